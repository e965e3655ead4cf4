//! Logging out here, and at the provider if it can be asked.

use std::{fmt, time::Duration};

use url::Url;

use super::{COOKIE, Session};
use crate::{
    Cookie, Error, ErrorCode, IdTokenClaims, LogoutCause, OAuth, Phase, Redirect, Result,
    registry::Ready,
};

/// How long a logout waits for the provider's metadata: a person looks at an empty page meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);

/// A session that ended. `Debug` shows no query: the ID token stands there as a hint.
#[non_exhaustive]
pub struct LoggedOut {
    /// Where the browser goes to end the session at the provider too, if it has an end-session endpoint and can be asked.
    pub redirect: Option<Url>,
    /// To be set with the answer.
    pub cookies: Vec<Cookie>,
}

impl fmt::Debug for LoggedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedOut")
            .field("redirect", &self.redirect.as_ref().map(crate::http::Shown))
            .field("cookies", &self.cookies)
            .finish()
    }
}

impl OAuth {
    /// Ends a session here, in every process, and says where the browser ends it at the provider. A grant that the provider
    /// bound to its session (no `offline_access`) ends with it; others stay for the application's own work, unless the
    /// registration says [`revoke_at_logout`](crate::Registration::revoke_at_logout).
    ///
    /// It ends here even if the provider is down: then there is no redirect. A provider that does not answer is waited for
    /// three seconds at most.
    ///
    /// # Errors
    /// `store_unavailable`: the session is not ended then.
    ///
    /// # Cancel safety
    /// The session may be ended or not.
    pub async fn log_out(
        &self,
        session: &Session,
        post_logout_redirect_uri: Option<&str>,
    ) -> Result<LoggedOut> {
        let ready = self.ready()?;
        // Before anything ends: without an address no cookie could be taken back.
        let base = ready.base_for(post_logout_redirect_uri)?;
        ready.end_key(&session.key, LogoutCause::Requested).await?;
        let mut cookies = vec![ready.cookie(&base, COOKIE).removal()];
        let redirect = match self
            .way_to_provider(ready, session, post_logout_redirect_uri)
            .await
        {
            Ok(redirect) => redirect,
            Err(error) => {
                tracing::warn!(key = %session.key.mark(), %error, "the session ended here, but the provider cannot be asked");
                None
            }
        };
        if let Err(error) = self.end_grant(ready, session, redirect.is_some()).await {
            tracing::warn!(key = %session.key.mark(), %error, "the grant of a session that ended stays");
        }
        let redirect = redirect.map(|redirect| {
            cookies.extend(redirect.cookies);
            redirect.url
        });
        Ok(LoggedOut { redirect, cookies })
    }

    async fn way_to_provider(
        &self,
        ready: &Ready,
        session: &Session,
        post_logout_redirect_uri: Option<&str>,
    ) -> Result<Option<Redirect>> {
        let client = self.client(session.client())?;
        let Some(id_token) = &session.payload.id_token else {
            return Ok(None);
        };
        let is_the_issuers = async {
            let rule = client.state().await?.issuer_rule().await?;
            let issuer = session.claims.as_ref().map(IdTokenClaims::issuer);
            Ok::<_, Error>(issuer.is_none_or(|issuer| rule.is_some_and(|rule| rule.covers(issuer))))
        };
        let mut logout = client.logout_redirect().id_token_hint(id_token.clone());
        if let Some(uri) = post_logout_redirect_uri {
            logout = logout.post_logout_redirect_uri(uri);
        }
        // The client may have moved to another provider, which must not learn who the user was at the old one.
        let redirect = async {
            match is_the_issuers.await? {
                true => logout.await,
                false => Ok(None),
            }
        };
        tokio::select! {
            redirect = redirect => redirect,
            () = ready.clock().sleep(PATIENCE) => Err(Error::new(
                ErrorCode::ProviderUnavailable,
                Phase::Logout,
                "the provider's metadata did not come in time",
            )),
        }
    }

    /// What the provider's session bears ends at the provider only if the browser goes there.
    async fn end_grant(&self, ready: &Ready, session: &Session, at_provider: bool) -> Result<()> {
        let state = ready.client_state(session.client()).await?;
        if !at_provider && !state.resolved.revoke_at_logout {
            return Ok(());
        }
        ready
            .end_grant_of(&state, &session.key, LogoutCause::Requested)
            .await
            .map(drop)
    }
}
