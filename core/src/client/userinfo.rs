//! Asking the userinfo endpoint (OpenID Connect Core section 5.3), and what else says something about the user.

use reqwest::Method;
use serde_json::{Map, Value};

use super::{ApiRequest, CallbackParams, Client, ClientState, api::Bearer};
use crate::{
    IdTokenClaims, Phase, Result, Token, Userinfo,
    openid::{UserinfoAnswer, has_each_member_once, verified_userinfo},
};

impl Client {
    /// Asks the provider who the user of a token is. With a subject, the answer must be about that one.
    ///
    /// A signed answer (`application/jwt`) is verified with the provider's keys. What is signed should name issuer and
    /// client; without a subject it must.
    ///
    /// # Errors
    /// `subject_mismatch`, `missing_claim`, `provider_error`, `provider_unavailable`; without a userinfo endpoint
    /// `unsupported`, or `invalid_metadata` where the metadata name none; for a signed answer also `invalid_signature`, `unsupported_algorithm`, `missing_key`,
    /// `issuer_mismatch`, `invalid_audience`, and those of loading the provider's keys.
    pub async fn userinfo(&self, token: &Token, subject: Option<&str>) -> Result<Userinfo> {
        self.userinfo_with(token, subject).await
    }

    pub(super) async fn userinfo_with(
        &self,
        token: &Token,
        subject: Option<&str>,
    ) -> Result<Userinfo> {
        self.userinfo_of(Bearer::Given(token.clone()), subject)
            .await
    }

    pub(super) async fn userinfo_of(
        &self,
        bearer: Bearer,
        subject: Option<&str>,
    ) -> Result<Userinfo> {
        let state = self.state().await?;
        let url = state.required(
            state.userinfo_endpoint().await?,
            Phase::Userinfo,
            "userinfo endpoint",
        )?;
        let request = ApiRequest::to_endpoint(self.clone(), bearer.clone(), Method::GET, url);
        let answer = request.send_as_protocol(Phase::Userinfo).await?;
        let is_signed = state.resolved.userinfo_algorithm.is_some();
        let read = async {
            let claims = match UserinfoAnswer::read(answer, is_signed)? {
                UserinfoAnswer::Plain(claims) => claims,
                UserinfoAnswer::Signed(raw) => self.verified(&state, &raw, subject).await?,
            };
            let claims = self.with_parts(&state, bearer, claims).await;
            Userinfo::about(self.mended(&state, claims).await?, subject)
        };
        read.await.map_err(|error| error.with_client(self.name()))
    }

    async fn verified(
        &self,
        state: &ClientState,
        raw: &str,
        subject: Option<&str>,
    ) -> Result<String> {
        let rules = state.userinfo_rules().await?;
        let clock = self.oauth()?.clock();
        verified_userinfo(
            raw,
            state.keys()?,
            &rules,
            subject.is_some(),
            clock.as_ref(),
        )
        .await
    }

    /// The claims with the provider's further answers in them, as far as they came in time.
    async fn with_parts(&self, state: &ClientState, bearer: Bearer, claims: String) -> String {
        let parts = &state.resolved.userinfo_parts;
        if parts.is_empty() {
            return claims;
        }
        let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(&claims) else {
            return claims;
        };
        for (name, _) in parts {
            members.remove(name);
        }
        let work = async {
            for (name, url) in parts {
                let (client, url) = (self.clone(), url.clone());
                let request = ApiRequest::to_endpoint(client, bearer.clone(), Method::GET, url);
                let answer = request.send_as_protocol(Phase::Userinfo).await;
                match answer.map(|answer| serde_json::from_slice(&answer.body)) {
                    Ok(Ok(value)) => drop(members.insert(name.clone(), value)),
                    Ok(Err(_)) => {
                        tracing::warn!(client = self.name(), part = %name, "a part of the userinfo is no JSON; it is left out");
                    }
                    Err(error) => {
                        tracing::warn!(client = self.name(), part = %name, %error, "a part of the userinfo is left out");
                    }
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = state.http.clock.sleep(state.http.timeout) => {
                tracing::warn!(client = self.name(), "the parts of the userinfo took too long; some are left out");
            }
        }
        Value::Object(members).to_string()
    }

    /// What the authorization response says about the user of an ID token, where the registration knows of it.
    pub(super) async fn brought_profile(
        &self,
        state: &ClientState,
        params: &CallbackParams,
        claims: Option<&IdTokenClaims>,
    ) -> Result<Option<Userinfo>> {
        let (Some(name), Some(claims)) = (&state.resolved.profile_parameter, claims) else {
            return Ok(None);
        };
        let Some(brought) = params.other(name) else {
            return Ok(None);
        };
        // Anybody may have written it: that it cannot be read is not worth a login.
        let brought = has_each_member_once(brought.expose())
            .then(|| serde_json::from_str::<Map<String, Value>>(brought.expose()));
        let Some(Ok(mut members)) = brought else {
            tracing::warn!(client = self.name(), parameter = %name, "what the authorization response says about the user cannot be read");
            return Ok(None);
        };
        for vouched in ["email_verified", "phone_number_verified"] {
            members.remove(vouched);
        }
        let subject = claims.subject();
        members.insert("sub".to_owned(), subject.into());
        let claims = self
            .mended(state, Value::Object(members).to_string())
            .await?;
        Userinfo::about(claims, Some(subject)).map(Some)
    }

    /// Lets the hooks mend the claims.
    async fn mended(&self, state: &ClientState, claims: String) -> Result<String> {
        let hooks = &state.hooks;
        if !hooks.is_empty()
            && let Ok(mut value) = serde_json::from_str(&claims)
        {
            hooks.userinfo_response(self.name(), &mut value).await?;
            return Ok(value.to_string());
        }
        Ok(claims)
    }
}
