//! Asking the userinfo endpoint (OpenID Connect Core section 5.3).

use reqwest::Method;

use super::{ApiRequest, Client, api::Bearer};
use crate::{Phase, Result, Token, Userinfo, http::Answer};

impl Client {
    /// Asks the provider who the user of a token is. With a subject, the answer must be about that one.
    ///
    /// # Errors
    /// `subject_mismatch`, `missing_claim`, `provider_error`, `provider_unavailable`; `invalid_configuration` without a
    /// userinfo endpoint.
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
        let answer: Answer = request.send_as_protocol(Phase::Userinfo).await?;
        let answer = self.fixed_userinfo(answer).await?;
        Userinfo::parse(&answer, subject).map_err(|error| error.with_client(self.name()))
    }

    /// Lets the hooks mend the claims.
    async fn fixed_userinfo(&self, mut answer: Answer) -> Result<Answer> {
        let hooks = self.oauth()?.hooks();
        if !hooks.is_empty() && answer.is_json() {
            if let Ok(mut claims) = serde_json::from_slice(&answer.body) {
                hooks.userinfo_response(self.name(), &mut claims).await?;
                answer.body = claims.to_string().into_bytes();
            }
        }
        Ok(answer)
    }
}
