//! Asking the userinfo endpoint (OpenID Connect Core section 5.3).

use reqwest::Method;

use super::{ApiRequest, Client, ClientState, api::Bearer};
use crate::{
    Phase, Result, Token, Userinfo,
    openid::{UserinfoAnswer, verified_userinfo},
};

impl Client {
    /// Asks the provider who the user of a token is. With a subject, the answer must be about that one.
    ///
    /// A signed answer (`application/jwt`) is verified with the provider's keys. What is signed should name issuer and
    /// client; without a subject it must.
    ///
    /// # Errors
    /// `subject_mismatch`, `missing_claim`, `provider_error`, `provider_unavailable`; `invalid_configuration` without a
    /// userinfo endpoint; for a signed answer also `invalid_signature`, `unsupported_algorithm`, `missing_key`,
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
        let request = ApiRequest::to_endpoint(self.clone(), bearer, Method::GET, url);
        let answer = request.send_as_protocol(Phase::Userinfo).await?;
        let is_signed = state.resolved.userinfo_algorithm.is_some();
        let read = async {
            let claims = match UserinfoAnswer::read(answer, is_signed)? {
                UserinfoAnswer::Plain(claims) => claims,
                UserinfoAnswer::Signed(raw) => self.verified(&state, &raw, subject).await?,
            };
            Userinfo::about(self.mended(claims).await?, subject)
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

    /// Lets the hooks mend the claims.
    async fn mended(&self, claims: String) -> Result<String> {
        let hooks = self.oauth()?.hooks();
        if !hooks.is_empty()
            && let Ok(mut value) = serde_json::from_str(&claims)
        {
            hooks.userinfo_response(self.name(), &mut value).await?;
            return Ok(value.to_string());
        }
        Ok(claims)
    }
}
