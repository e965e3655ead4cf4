//! Back-channel logout: the provider itself says that a session ended (OpenID Connect Back-Channel Logout 1.0).

use std::time::Duration;

use super::{
    ending::{EndedByProvider, Of, Whose},
    form,
    marks::name_of,
};
use crate::{
    Client, Error, ErrorCode, OAuth, Phase, Result,
    openid::{LogoutToken, validate_logout_token},
    registry::Ready,
};

/// Where used logout tokens are remembered.
const USED: &str = "logout-token";

impl Client {
    /// Ends what the provider says has ended: the session that its logout token names by `sid`, or all sessions of the user
    /// that it names by `sub`. They end in all processes, whatever their browsers do, with the grants that were bound to them
    /// (no `offline_access`; all with [`revoke_at_logout`](crate::Registration::revoke_at_logout)). `form` is the body of the
    /// provider's request, with `logout_token` in it.
    ///
    /// The token passes every check of section 2.6. Its signature algorithm is one of those of the client's ID tokens:
    /// [`id_token_algorithms`](crate::Registration::id_token_algorithms) narrows them. It counts once in the whole fleet, or,
    /// where the store has no `put_once`, once in each process.
    ///
    /// That nothing was there to end is no error. A login that is under way at this moment and belongs to the session is
    /// refused when it comes back, where the store has `put_once`.
    ///
    /// ```
    /// # async fn handler(oauth: tokenkeep_core::OAuth, body: &[u8]) -> u16 {
    /// let ended = async { oauth.client("example")?.backchannel_logout(body).await };
    /// // Whatever went wrong, the provider is answered 400 (section 2.8), and nothing is to be cached.
    /// match ended.await {
    ///     Ok(_) => 200,
    ///     Err(_) => 400,
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// `invalid_logout_token` with the check that failed; `missing_parameter`, `invalid_parameter` for the form;
    /// `provider_unavailable`, `provider_error`, `invalid_metadata` if the provider's keys cannot be had;
    /// `store_unavailable`: the provider may send the same token again; `unsupported` where the store has no `find_tokens`,
    /// `missing_store` without a store; `unknown_client`, `invalid_configuration`.
    ///
    /// # Cancel safety
    /// Once the token is validated, the logout goes on, whether the caller waits or not.
    pub async fn backchannel_logout(&self, form: &[u8]) -> Result<EndedByProvider> {
        self.end_by_token(form)
            .await
            .map_err(|error| error.with_client(self.name()))
    }

    async fn end_by_token(&self, form: &[u8]) -> Result<EndedByProvider> {
        let oauth = self.registry();
        let ready = oauth.ready()?;
        let state = self.state().await?;
        ready.check_finds_sessions()?;
        let [raw] = form::read(form, ["logout_token"])?;
        let raw = raw.ok_or_else(|| {
            let message = "the request has no logout_token; it is a form, posted by the provider";
            Error::new(ErrorCode::MissingParameter, Phase::Logout, message)
        })?;
        let rules = state.id_token_rules().await?;
        let clock = ready.clock().as_ref();
        let token = validate_logout_token(raw.expose(), state.keys()?, &rules, clock).await?;
        // Where the session is there no more, nothing else tells how its ID token was signed.
        if state.never_signs_by(token.algorithm) {
            return Err(Error::new(
                ErrorCode::InvalidLogoutToken,
                Phase::Logout,
                format!(
                    "the logout token is signed by {}, and no ID token of this client is: register it at the provider with one \
                     id_token_signed_response_alg",
                    token.algorithm
                ),
            ));
        }
        let id = name_of(&[self.name(), &token.issuer, &token.id]);
        // Kept a second longer than it is looked at: stores count in seconds.
        let life = token.over_at.since(clock.now()) + Duration::from_secs(1);
        let (sender, answer) = tokio::sync::oneshot::channel();
        let (oauth, name) = (oauth.clone(), self.name().to_owned());
        ready.keeper().spawn(async move {
            // Whoever asked may be gone.
            let _ = sender.send(end(&oauth, &name, &id, life, token).await);
        });
        answer.await.map_err(|_| {
            Error::new(
                ErrorCode::StoreUnavailable,
                Phase::Logout,
                "the logout was cut short by the end of its runtime",
            )
        })?
    }
}

async fn end(
    oauth: &OAuth,
    client: &str,
    id: &str,
    life: Duration,
    token: LogoutToken,
) -> Result<EndedByProvider> {
    let ready = oauth.ready()?;
    if !ready.first_time(USED, id, life).await? {
        let message = "it was used before (jti)";
        return Err(Error::new(
            ErrorCode::InvalidLogoutToken,
            Phase::Logout,
            message,
        ));
    }
    let ended = end_whose(ready, client, token).await;
    if ended.is_err() {
        // So that the provider may send it again.
        ready.may_come_again(USED, id).await;
    }
    ended
}

async fn end_whose(ready: &Ready, client: &str, token: LogoutToken) -> Result<EndedByProvider> {
    let state = ready.client_state(client).await?;
    let of = match (token.sid, token.subject) {
        (Some(sid), subject) => Of::Session { sid, subject },
        (None, subject) => Of::Subject(subject.unwrap_or_default()),
    };
    let whose = Whose {
        issuer: token.issuer,
        of,
        algorithm: Some(token.algorithm),
    };
    ready.mark(&state, &whose).await?;
    ready.end_by_provider(&state, &whose).await
}
