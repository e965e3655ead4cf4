//! A login: to the provider, back from it, and kept.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use url::Url;

use super::{
    AuthorizeOptions, Bounds, BrowserCookies, CallbackParams, Client, ClientState, Cookie,
    OpenFlow, ResponseMode, ReturnTo, check,
};
use crate::{
    Error, ErrorCode, IdTokenChecks, IdTokenClaims, Phase, Result, Secret, Token, Userinfo,
    hooks::ClientHooks,
    openid::validate_with,
    token::{Credential, TokenAnswer},
};

/// A login to start: await it.
#[must_use = "a login starts when it is awaited"]
pub struct AuthorizeRedirect {
    client: Client,
    options: AuthorizeOptions,
    cookies: BrowserCookies,
    return_to: Option<String>,
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
        }
    }

    options! {
        /// The state, instead of a random one: 16 to 512 visible ASCII characters.
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
        /// How long the login may take; 10 minutes if not said.
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

    /// The browser's cookies: with them older logins can make room.
    pub fn cookies(mut self, cookies: &BrowserCookies) -> Self {
        self.cookies = cookies.clone();
        self
    }

    async fn start(mut self) -> Result<Redirect> {
        let oauth = self.client.oauth()?;
        let state = self.client.state().await?;
        let endpoint = state.authorization_endpoint().await?;
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
        let authorization =
            self.options
                .authorize(&state.resolved, endpoint.as_ref(), issuer.as_deref(), now)?;
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

/// A login that came back and passed every check. Nothing is kept yet: that is
/// [`OAuth::keep_login`](crate::OAuth::keep_login), once it is known whose it is.
#[non_exhaustive]
pub struct Login {
    /// The client's name.
    pub client: String,
    /// The tokens.
    pub token: Token,
    /// The ID token's claims, if `openid` was asked for.
    pub claims: Option<IdTokenClaims>,
    /// The userinfo claims, if they were asked for at login.
    pub userinfo: Option<Userinfo>,
    /// The granted scopes; those that were asked for, if the provider does not say.
    pub scopes: Vec<String>,
    /// Where the browser wanted to go.
    pub return_to: Option<String>,
    /// The application's data of [`AuthorizeRedirect::flow_data`].
    pub flow_data: Value,
    /// The owner who adds a grant, if this is no login.
    pub connect: Option<String>,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// The application's address, for its cookies.
    pub(crate) base: Url,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("client", &self.client)
            .field("token", &self.token)
            .field("scopes", &self.scopes)
            .field("connect", &self.connect)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// A login that nobody made, for tests of an application without a provider: the claims are made up, the token is
    /// whatever the test says. It is kept by [`OAuth::keep_login`](crate::OAuth::keep_login) like any other.
    ///
    /// Never outside tests: it says that somebody proved who they are, and nobody did.
    ///
    /// # Errors
    /// Those of loading the metadata, if the registration names neither an issuer nor a token endpoint.
    pub async fn for_tests(client: &Client, subject: &str, token: Token) -> Result<Self> {
        let oauth = client.oauth()?;
        let state = client.state().await?;
        let binding = state.binding().await?;
        let redirect_uri = state.resolved.redirect_uri.as_deref();
        let base = oauth.base_for(redirect_uri.or(Some("http://localhost/")))?;
        let now = oauth.clock().now().as_secs();
        let claims = serde_json::json!({
            "iss": binding.issuer,
            "sub": subject,
            "aud": [binding.client_id],
            "iat": now,
            "exp": now + 3600,
        });
        // They are kept, and read back, as the text that came.
        let claims =
            serde_json::from_value(Value::String(claims.to_string())).map_err(|error| {
                let message = "the subject is not 1 to 255 bytes long";
                Error::new(ErrorCode::InvalidParameter, Phase::IdToken, message).with_source(error)
            })?;
        Ok(Self {
            client: client.name().to_owned(),
            scopes: token.scopes.clone().unwrap_or_default(),
            token,
            claims: Some(claims),
            userinfo: None,
            return_to: None,
            flow_data: Value::Null,
            connect: None,
            issuer: binding.issuer,
            client_id: binding.client_id,
            base,
        })
    }

    /// The provider's id of the user, if it named one.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claims
            .as_ref()
            .map(IdTokenClaims::subject)
            .or_else(|| self.userinfo.as_ref()?.subject())
            // An empty one would be the same for everybody.
            .filter(|subject| !subject.is_empty())
    }

    /// The owner where the application maps none: the issuer and the subject, unique over all providers.
    ///
    /// # Errors
    /// `owner_unknown` if the provider named nobody.
    pub fn default_owner(&self) -> Result<String> {
        let subject = self.subject().ok_or_else(|| {
            Error::new(
                ErrorCode::OwnerUnknown,
                Phase::Owner,
                "the login names nobody: map it to an owner, or ask for `openid` or userinfo",
            )
            .with_client(&self.client)
        })?;
        let owner = format!("{}#{subject}", self.issuer);
        if owner.len() <= 255 {
            return Ok(owner);
        }
        // An owner is at most 255 bytes: the digest of a longer one is as unique.
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, owner.as_bytes());
        Ok(digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }
}

/// A login whose owner is known, on its way to be kept: what [`Hook::before_login_kept`](crate::Hook::before_login_kept)
/// sees.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoginKept<'a> {
    /// The login.
    pub login: &'a Login,
    /// The application's user.
    pub owner: &'a str,
}

impl Client {
    /// Reads the answer to a login (RFC 6749 section 4.1.2), exchanges the code and validates what comes.
    ///
    /// A login can be read once: afterwards its state is used up, whatever came of it. The cookie of
    /// [`Returned::removal`] should be set on every answer.
    ///
    /// # Errors
    /// `missing_parameter`, `invalid_parameter`, `state_mismatch`, `flow_expired`, `issuer_mismatch`, `access_denied`,
    /// `provider_error`, and those of the token endpoint and the ID token.
    ///
    /// # Cancel safety
    /// **Not** cancel safe: the code may be spent.
    pub async fn authorize_access_token(
        &self,
        params: &CallbackParams,
        cookies: &BrowserCookies,
        redirect_uri: Option<&str>,
    ) -> Returned {
        let found = async {
            let oauth = self.oauth()?;
            let state = self.state().await?;
            let redirect_uri = redirect_uri.or(state.resolved.redirect_uri.as_deref());
            let base = oauth.base_for(redirect_uri)?;
            let now = oauth.clock().now();
            let open = oauth.flow_cookies(&base).open(
                cookies.iter(),
                self.name(),
                params.state()?,
                now,
            )?;
            Ok((state, open, base))
        }
        .await
        .map_err(|error: Error| error.with_client(self.name()));
        match found {
            Err(error) => Returned {
                removal: None,
                login: Err(error),
            },
            Ok((state, OpenFlow { flow, removal }, base)) => {
                let login = self
                    .redeem(&state, params, flow, base)
                    .await
                    .map_err(|error| error.with_client(self.name()));
                Returned {
                    removal: Some(removal),
                    login,
                }
            }
        }
    }

    async fn redeem(
        &self,
        state: &Arc<ClientState>,
        params: &CallbackParams,
        mut flow: super::Flow,
        base: Url,
    ) -> Result<Login> {
        let oauth = self.oauth()?;
        // What may fail for a while comes before the flow is used up.
        let metadata = state.metadata().await?;
        let issuer = state.issuer().await?;
        oauth.use_up_flow(&flow).await?;
        oauth.fetch_flow_data(&mut flow).await?;
        let iss_required = metadata.as_ref().is_some_and(|metadata| {
            metadata
                .value
                .authorization_response_iss_parameter_supported
                .unwrap_or(false)
        });
        if flow.issuer != issuer {
            return Err(Error::new(
                ErrorCode::IssuerMismatch,
                Phase::Callback,
                "the client was registered anew with another issuer while the login was under way",
            ));
        }
        let code = check(params, &flow, issuer.as_deref(), iss_required)?;
        let clock = Arc::clone(oauth.clock());
        let asked_at = clock.now();
        let hooks = ClientHooks {
            hooks: oauth.hooks(),
            client: self.name(),
            clock: clock.as_ref(),
        };
        let bounds = Bounds {
            timeout: state.http.timeout,
            phase: Phase::TokenRequest,
        };
        let answer = state
            .at_token_endpoint(false, &hooks, async |endpoint| {
                endpoint
                    .exchange_code(
                        code.secret(),
                        &flow.redirect_uri,
                        flow.verifier.as_ref(),
                        &[],
                        bounds,
                    )
                    .await
                    .map_err(|failure| failure.error)
            })
            .await?;
        let claims = if flow.is_openid() {
            Some(
                self.validate_login(state, &answer, &flow, code.secret())
                    .await?,
            )
        } else {
            None
        };
        let token = token_of(state, &answer, &flow, asked_at, claims.is_some())?;
        let userinfo = if state.resolved.userinfo_at_login
            || (claims.is_none() && state.resolved.userinfo_url.is_some())
        {
            Some(
                self.userinfo_with(&token, claims.as_ref().map(IdTokenClaims::subject))
                    .await?,
            )
        } else {
            None
        };
        let scopes = token.scopes.clone().unwrap_or_default();
        let binding = state.binding().await?;
        Ok(Login {
            client: self.name().to_owned(),
            token,
            claims,
            userinfo,
            scopes,
            return_to: flow.return_to.clone(),
            flow_data: flow.flow_data.clone(),
            connect: flow.connect.clone(),
            issuer: binding.issuer,
            client_id: binding.client_id,
            base,
        })
    }

    async fn validate_login(
        &self,
        state: &ClientState,
        answer: &TokenAnswer,
        flow: &super::Flow,
        code: &Secret,
    ) -> Result<IdTokenClaims> {
        let id_token = answer.id_token.as_ref().ok_or_else(|| {
            Error::new(
                ErrorCode::MissingIdToken,
                Phase::IdToken,
                "`openid` was asked for, and no ID token came",
            )
        })?;
        let mut checks = IdTokenChecks::new()
            .access_token(answer.access_token.expose())
            .code(code.expose());
        if let Some(nonce) = &flow.nonce {
            checks = checks.nonce(nonce.expose());
        }
        if let Some(seconds) = flow.max_age {
            checks = checks.max_age(Duration::from_secs(seconds));
        }
        if !flow.acr_values.is_empty() {
            checks = checks.acr_values(flow.acr_values.iter().map(String::as_str));
        }
        let rules = state.id_token_rules().await?;
        let clock = Arc::clone(self.oauth()?.clock());
        validate_with(
            id_token.expose(),
            state.keys()?,
            &rules,
            &checks,
            clock.as_ref(),
        )
        .await
    }
}

/// What a callback came to, and the cookie that makes the browser forget the login.
#[derive(Debug)]
#[non_exhaustive]
pub struct Returned {
    /// Set it with every answer to the callback, good or bad. None if the browser had no such login.
    pub removal: Option<Cookie>,
    /// The login.
    pub login: Result<Login>,
}

fn token_of(
    state: &ClientState,
    answer: &TokenAnswer,
    flow: &super::Flow,
    asked_at: crate::Timestamp,
    id_token_is_valid: bool,
) -> Result<Token> {
    let credential = match &answer.credential {
        Some(Credential::Other { token_type }) => {
            return Err(Error::new(
                ErrorCode::ProviderError,
                Phase::TokenRequest,
                format!(
                    "the provider gave a token of the type {:?}",
                    crate::error::excerpt(token_type)
                ),
            ));
        }
        Some(credential) => credential.clone(),
        None if state.resolved.assume_bearer => Credential::Bearer,
        None => {
            return Err(Error::new(
                ErrorCode::ProviderError,
                Phase::TokenRequest,
                "the token answer has no token_type; if this provider never sends one, say assume_bearer()",
            ));
        }
    };
    Ok(Token {
        access_token: answer.access_token.clone(),
        credential,
        refresh_token: answer.refresh_token.clone(),
        // One that was not asked for was not validated either: it is not kept.
        id_token: answer.id_token.clone().filter(|_| id_token_is_valid),
        expires_at: answer.expires_in.map(|time| asked_at + time),
        scopes: Some(answer.scopes.clone().unwrap_or_else(|| flow.scopes.clone())),
        generation: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_of_the_provider_does_not_print() {
        let redirect = Redirect {
            url: "https://op.example/authorize?state=s3cret&nonce=s3cret#s3cret"
                .parse()
                .unwrap(),
            cookies: vec![Cookie::new("name", "s3cret")],
        };
        let shown = format!("{redirect:?}");
        assert!(shown.contains("https://op.example/authorize"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn an_empty_subject_is_nobody() {
        let login = |userinfo: &str| Login {
            client: "op".into(),
            token: Token::builder("a").build().unwrap(),
            claims: None,
            userinfo: Some(serde_json::from_value(userinfo.into()).unwrap()),
            scopes: Vec::new(),
            return_to: None,
            flow_data: Value::Null,
            connect: None,
            issuer: "https://op.example/token".into(),
            client_id: "id".into(),
            base: "https://app.example/".parse().unwrap(),
        };
        assert_eq!(
            login(r#"{"sub": "7"}"#).default_owner().unwrap(),
            "https://op.example/token#7"
        );
        for nobody in [r#"{"sub": ""}"#, r#"{"sub": 7}"#, "{}"] {
            let error = login(nobody).default_owner().unwrap_err();
            assert_eq!(error.code(), ErrorCode::OwnerUnknown, "{nobody}");
        }
    }
}
