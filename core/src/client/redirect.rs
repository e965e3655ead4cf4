//! The way to the provider: a login as a builder, and where it sends the browser.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use serde_json::Value;
use url::Url;

use super::{
    AuthorizeOptions, BrowserCookies, Client, Cookie, ResponseMode, ReturnTo, oauth1::Legs,
    required,
};
use crate::{Error, ErrorCode, Phase, Result, Secret, TokenKey};

/// A login to start: await it.
#[must_use = "a login starts when it is awaited"]
pub struct AuthorizeRedirect {
    client: Client,
    options: AuthorizeOptions,
    cookies: BrowserCookies,
    return_to: Option<String>,
    /// What an API missed, as an address brings it.
    required: Option<String>,
}

/// Where the browser goes, and the cookies to set with the redirect. `Debug` shows no query: state, nonce and the hint of a
/// logout stand there.
#[non_exhaustive]
pub struct Redirect {
    /// The provider's endpoint, with the request.
    pub url: Url,
    /// What to remember until the browser comes back, sealed; and older cookies that must make room.
    pub cookies: Vec<Cookie>,
}

impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirect")
            .field("url", &crate::http::Shown(&self.url))
            .field("cookies", &self.cookies)
            .finish()
    }
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $convert:expr;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(mut self, value: $type) -> Self {
                self.options.$name = Some($convert(value));
                self
            }
        )*
    };
}

impl AuthorizeRedirect {
    pub(super) fn new(client: Client, redirect_uri: Option<String>) -> Self {
        let options = AuthorizeOptions {
            redirect_uri,
            ..AuthorizeOptions::default()
        };
        Self {
            client,
            options,
            cookies: BrowserCookies::default(),
            return_to: None,
            required: None,
        }
    }

    options! {
        /// The state, instead of a random one: 16 to 512 visible ASCII characters. This and what follows, up to `acr_values`,
        /// is refused with `invalid_parameter` at a client of OAuth 1.0a; `life` is not.
        state: impl Into<Secret> => Into::into;
        /// The nonce, instead of a random one.
        nonce: impl Into<Secret> => Into::into;
        /// The PKCE verifier, instead of a random one: 43 to 128 unreserved characters (RFC 7636 section 4.1).
        verifier: impl Into<Secret> => Into::into;
        /// How the response comes back.
        response_mode: ResponseMode => std::convert::identity;
        /// The `prompt` (OpenID Connect Core section 3.1.2.1).
        prompt: impl Into<String> => Into::into;
        /// The `login_hint`.
        login_hint: impl Into<String> => Into::into;
        /// How long ago the user may have authenticated, in seconds. It is enforced on the ID token.
        max_age: u64 => std::convert::identity;
        /// How long the login may take, an hour at most; 10 minutes if not said.
        life: Duration => std::convert::identity;
    }

    /// The scopes, instead of the registration's.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.options.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// The ways of authentication, one of which must be in the ID token's `acr`.
    pub fn acr_values<S: Into<String>>(mut self, values: impl IntoIterator<Item = S>) -> Self {
        self.options.acr_values = Some(values.into_iter().map(Into::into).collect());
        self
    }

    /// Asks for what an API missed: the error's `acr_values` and `max_age` (RFC 9470 section 4), and its `scope` beside those of
    /// the registration or of [`scopes`](Self::scopes) (RFC 6750 section 3.1). An error that names none of them changes nothing, so
    /// that every error whose action is to log in may be given here. What the user has granted beyond that is not asked
    /// for again: name it by `scopes`.
    ///
    /// An API may ask for more than the application does, and never for less: of two `max_age` the smaller one counts, and where
    /// the registration or this login names `acr_values`, only those of the API count that are among them.
    ///
    /// ```
    /// # async fn example(oauth: tokenkeep_core::OAuth) -> tokenkeep_core::Result<()> {
    /// use tokenkeep_core::Action;
    ///
    /// let client = oauth.client("bank")?;
    /// if let Err(error) = client.owner("42").post("payments").await {
    ///     if let Action::Login { .. } = error.action() {
    ///         let login = client.authorize().required_by(&error).connect("42").return_to("/payments").await?;
    ///         // Send the browser to `login.url`, and set `login.cookies`.
    /// #       let _ = login;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Awaiting it is `invalid_parameter` where the API names a `max_age` that is no number of seconds, a scope that is none, or
    /// `acr_values` of which none is good enough.
    pub fn required_by(mut self, error: &Error) -> Self {
        self.options.required.by(error);
        self
    }

    /// The same, as it stands in the query of an error's [`connect_url`](Error::connect_url), under the name `required`: sealed,
    /// for one owner of one client, and for an hour. The routes of the web hooks read it there. Only with
    /// [`connect`](Self::connect).
    ///
    /// # Errors
    /// Awaiting it is `invalid_parameter` for one that was changed, is over, or is somebody else's.
    pub fn required(mut self, sealed: impl Into<String>) -> Self {
        self.required = Some(sealed.into());
        self
    }

    /// Any other parameter: several values repeat it, none drops one of the registration's.
    pub fn parameter<V: Into<String>>(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        self.options
            .parameters
            .push((name.into(), values.into_iter().map(Into::into).collect()));
        self
    }

    /// Where the browser goes after the login: a path of the application's own origin, up to 2 KiB.
    pub fn return_to(mut self, path: impl Into<String>) -> Self {
        self.return_to = Some(path.into());
        self
    }

    /// The application's own data (a tenant, a plan), up to 64 KiB; it travels sealed, in the flow's cookie or, if it is too
    /// large for one, through the store.
    pub fn flow_data(mut self, data: Value) -> Self {
        self.options.flow_data = data;
        self
    }

    /// Adds a grant to this owner, instead of logging somebody in.
    pub fn connect(mut self, owner: impl Into<String>) -> Self {
        self.options.connect = Some(owner.into());
        self
    }

    /// Adds it as a further account of that owner's, beside the one that everybody has: two accounts of one user at one
    /// provider. It is [`Grant::account`](super::Grant::account) by this label then. Only with [`connect`](Self::connect):
    /// nobody is logged in by it.
    pub fn account(mut self, label: impl Into<String>) -> Self {
        self.options.account = label.into();
        self
    }

    /// The browser's cookies: with them older logins can make room.
    pub fn cookies(mut self, cookies: &BrowserCookies) -> Self {
        self.cookies = cookies.clone();
        self
    }

    async fn start(mut self) -> Result<Redirect> {
        let client = self.client.clone();
        let oauth = client.oauth()?;
        let state = client.state().await?;
        if let Some(sealed) = self.required.take() {
            let owner = self.options.connect.as_deref().unwrap_or_default();
            let now = oauth.clock().now();
            let required = required::open(&oauth.ring(), state.name(), owner, &sealed, now)
                .map_err(|error| error.with_client(state.name()))?;
            self.options.required.add(&required);
        }
        self.check_account(state.name())
            .map_err(|error| error.with_client(state.name()))?;
        // Before anybody is sent away: without either of them nobody would come back logged in.
        let endpoint = state.required(
            state.authorization_endpoint().await?,
            Phase::Authorize,
            "authorization endpoint",
        )?;
        state.required(
            state.token_endpoint().await?,
            Phase::Authorize,
            "token endpoint",
        )?;
        let issuer = state.issuer().await?;
        let redirect_uri = self
            .options
            .redirect_uri
            .as_ref()
            .or(state.resolved.redirect_uri.as_ref());
        let base = oauth.base_for(redirect_uri.map(String::as_str))?;
        if let Some(path) = &self.return_to {
            self.options.return_to =
                Some(ReturnTo::parse(path, &base).map_err(|e| e.with_client(state.name()))?);
        }
        let now = oauth.clock().now();
        let authorization = match &state.resolved.oauth1 {
            None => {
                let issuer = issuer.as_deref();
                self.options
                    .authorize(&state.resolved, &endpoint, issuer, now)?
            }
            Some(oauth1) => {
                let leg = Legs::of(&state, oauth1);
                leg.authorize(self.options, &endpoint, now).await?
            }
        };
        let flows = oauth.flow_cookies(&base);
        let cookie = match flows.seal(&authorization.flow) {
            Ok(cookie) => cookie,
            Err(too_large) => {
                let flow = oauth
                    .park_flow_data(authorization.flow)
                    .await?
                    .ok_or(too_large)?;
                flows.seal(&flow)?
            }
        };
        let mut cookies = flows.make_room(self.cookies.iter(), &cookie, now);
        cookies.push(cookie);
        Ok(Redirect {
            url: authorization.url,
            cookies,
        })
    }
}

impl AuthorizeRedirect {
    /// # Errors
    /// `invalid_key`; `invalid_parameter` without an owner.
    fn check_account(&self, client: &str) -> Result<()> {
        let label = self.options.account.as_str();
        match &self.options.connect {
            Some(owner) => TokenKey::new(client, owner)?.account(label).map(drop),
            None if label.is_empty() => Ok(()),
            None => Err(Error::new(
                ErrorCode::InvalidParameter,
                Phase::Authorize,
                "a further account needs its owner: say connect() beside account()",
            )),
        }
    }
}

impl IntoFuture for AuthorizeRedirect {
    type Output = Result<Redirect>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl fmt::Debug for AuthorizeRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeRedirect")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
