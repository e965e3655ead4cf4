//! Logging out at the provider (OpenID Connect RP-Initiated Logout 1.0), and the way back.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{BrowserCookies, CallbackParams, Client, Cookie, Redirect};
use crate::{
    Error, ErrorCode, Phase, Result, Secret, Timestamp,
    openid::{EndSession, end_session_url},
};

/// How long the provider's part of a logout may take.
const LIFE: Duration = Duration::from_secs(600);

/// A logout at the provider to start: await it. It answers none if the provider has no end-session endpoint.
#[must_use = "a logout starts when it is awaited"]
pub struct LogoutRedirect {
    client: Client,
    post_logout_redirect_uri: Option<String>,
    id_token_hint: Option<Secret>,
    client_id: Option<String>,
    state: Option<Secret>,
    logout_hint: Option<String>,
    ui_locales: Option<String>,
}

/// What the cookie of a logout remembers.
#[derive(Serialize, Deserialize)]
struct Pending {
    client: String,
    state: Secret,
    until: Timestamp,
}

impl LogoutRedirect {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            post_logout_redirect_uri: None,
            id_token_hint: None,
            client_id: None,
            state: None,
            logout_hint: None,
            ui_locales: None,
        }
    }

    /// Where the provider sends the browser afterwards, exactly as it is registered there.
    pub fn post_logout_redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.post_logout_redirect_uri = Some(uri.into());
        self
    }

    /// The ID token of the session that ends: the provider then need not ask.
    pub fn id_token_hint(mut self, id_token: impl Into<Secret>) -> Self {
        self.id_token_hint = Some(id_token.into());
        self
    }

    /// Another `client_id` than the registered one.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// The state, instead of a random one.
    pub fn state(mut self, state: impl Into<Secret>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Who logs out, for the provider's page.
    pub fn logout_hint(mut self, hint: impl Into<String>) -> Self {
        self.logout_hint = Some(hint.into());
        self
    }

    /// The languages of the provider's page.
    pub fn ui_locales(mut self, locales: impl Into<String>) -> Self {
        self.ui_locales = Some(locales.into());
        self
    }

    async fn start(self) -> Result<Option<Redirect>> {
        let oauth = self.client.oauth()?;
        let state = self.client.state().await?;
        let Some(endpoint) = state.end_session_endpoint().await? else {
            return Ok(None);
        };
        let base = oauth.base_for(self.post_logout_redirect_uri.as_deref())?;
        let now = oauth.clock().now();
        let pending = Pending {
            client: state.name().to_owned(),
            state: self
                .state
                .unwrap_or_else(|| Secret::new(crate::seal::random_id())),
            until: now + LIFE,
        };
        let url = end_session_url(
            &endpoint,
            &EndSession {
                id_token_hint: self.id_token_hint.as_ref().map(Secret::expose),
                client_id: Some(
                    self.client_id
                        .as_deref()
                        .unwrap_or(&state.resolved.client_id),
                ),
                post_logout_redirect_uri: self.post_logout_redirect_uri.as_deref(),
                // A state comes back only with the redirect.
                state: self
                    .post_logout_redirect_uri
                    .as_ref()
                    .map(|_| pending.state.expose()),
                logout_hint: self.logout_hint.as_deref(),
                ui_locales: self.ui_locales.as_deref(),
                extra: &[],
            },
        );
        let mut cookie = oauth.cookie(&base, "tokenkeep-logout");
        let plain = Zeroizing::new(serde_json::to_vec(&pending).map_err(|error| {
            Error::new(
                ErrorCode::Internal,
                Phase::Logout,
                "the logout cannot be written",
            )
            .with_source(error)
        })?);
        cookie.value = oauth.ring().seal_text(&bound(&cookie.name), &plain)?.into();
        cookie.max_age = Some(LIFE);
        Ok(Some(Redirect {
            url,
            cookies: vec![cookie],
        }))
    }
}

fn bound(cookie: &str) -> Vec<u8> {
    format!("tokenkeep logout\0{cookie}").into_bytes()
}

impl IntoFuture for LogoutRedirect {
    type Output = Result<Option<Redirect>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl fmt::Debug for LogoutRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutRedirect")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Logs the user out at the provider: where the browser goes, and the cookie to set. Await it.
    ///
    /// It ends nothing here: [`OAuth::log_out`](crate::OAuth::log_out) does both.
    ///
    /// # Errors
    /// Those of loading the metadata.
    pub fn logout_redirect(&self) -> LogoutRedirect {
        LogoutRedirect::new(self.clone())
    }

    /// Checks that the browser comes back from a logout that began here (section 3 of the specification), and answers the
    /// cookie that makes it forget that. `params` is the query, read by [`CallbackParams::parse`]; `base` as with
    /// [`OAuthBuilder::base_url`](crate::OAuthBuilder::base_url) if that is not set.
    ///
    /// # Errors
    /// `missing_parameter` without a state, `state_mismatch` for a state that is not ours.
    pub fn validate_logout_response(
        &self,
        params: &CallbackParams,
        cookies: &BrowserCookies,
        base: Option<&str>,
    ) -> Result<Cookie> {
        let oauth = self.oauth()?;
        let state = params
            .state()
            .map_err(|error| {
                let message = "the browser brings no state back from the logout; it is logged out here all the same";
                Error::new(error.code(), Phase::Logout, message).with_client(self.name())
            })?;
        let cookie = oauth.cookie(&oauth.base_for(base)?, "tokenkeep-logout");
        let now = oauth.clock().now();
        let is_ours = cookies.values(&cookie.name).any(|value| {
            let plain = oauth.ring().open_text(&bound(&cookie.name), value);
            let pending = plain
                .ok()
                .and_then(|plain| serde_json::from_slice::<Pending>(&plain).ok());
            pending.is_some_and(|pending| {
                pending.client == self.name()
                    && pending.until > now
                    && crate::seal::equal(pending.state.expose(), state.expose())
            })
        });
        if is_ours {
            return Ok(cookie.removal());
        }
        let message = "this browser has no logout under way with this state";
        Err(Error::new(ErrorCode::StateMismatch, Phase::Logout, message)
            .with_client(self.name())
            .with_action(crate::Action::None))
    }
}
