//! What an application says of a client, and what comes of it together with the settings.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AuthMethod, ClientAuthentication};
use crate::{ProviderProfile, Secret, closures::Closures, openid::ClaimChecks};

mod keeping;
mod oauth1;
mod openid;
mod resolve;

pub(crate) use oauth1::OAuth1Parts;
pub(crate) use resolve::{LoginGrant, Resolved, check_redirect_uri, check_scope, resolve};

/// A client to register: its name, and whatever the settings do not say.
///
/// What is set here wins, and the [settings](crate::ConfigSource) fill the gaps; [`overwrite`](Self::overwrite) turns that
/// round. Values given at a call win over both. `Debug` shows no secret.
///
/// ```
/// use tokenkeep_core::Registration;
///
/// Registration::new("example"); // everything from EXAMPLE_CLIENT_ID, EXAMPLE_CLIENT_SECRET, …
/// Registration::openid("google", "https://accounts.google.com").scopes(["openid", "email"]);
/// Registration::oauth2("github", "https://github.com/login/oauth/authorize", "https://github.com/login/oauth/access_token")
///     .api_base_url("https://api.github.com/");
/// ```
///
/// A client of OAuth 1.0a has a request token URL: [`oauth1`](Self::oauth1).
#[derive(Clone, Default)]
pub struct Registration {
    name: String,
    openid: bool,
    overwrite: bool,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    scopes: Option<Vec<String>>,
    issuer: Option<String>,
    server_metadata_url: Option<String>,
    authorize_url: Option<String>,
    access_token_url: Option<String>,
    refresh_token_url: Option<String>,
    userinfo_url: Option<String>,
    revocation_url: Option<String>,
    introspection_url: Option<String>,
    end_session_url: Option<String>,
    jwks_uri: Option<String>,
    jwks: Option<Value>,
    api_base_url: Option<String>,
    allowed_origins: Vec<String>,
    authorize_params: Option<Vec<(String, String)>>,
    access_token_params: Option<Vec<(String, String)>>,
    refresh_token_params: Option<Vec<(String, String)>>,
    token_endpoint_auth_method: Option<AuthMethod>,
    revocation_endpoint_auth_method: Option<AuthMethod>,
    client_authentication: Option<Arc<dyn ClientAuthentication>>,
    raw_basic: bool,
    pkce: Option<Pkce>,
    response_mode: Option<ResponseMode>,
    prompt: Option<String>,
    login_hint: Option<String>,
    redirect_uri: Option<String>,
    leeway: Option<Duration>,
    clock_leeway: Option<Duration>,
    timeout: Option<Duration>,
    profile: Option<ProviderProfile>,
    id_token_algorithms: Option<Vec<String>>,
    userinfo_at_login: bool,
    skip_nonce: bool,
    assume_bearer: bool,
    placement: Option<Placement>,
    without_automatic_refresh: bool,
    keep_alive: Option<Duration>,
    trusted_audiences: Vec<String>,
    revoke_at_logout: Option<bool>,
    frontchannel_by_cookie: bool,
    issuer_template: Option<String>,
    allowed_tenants: Option<Vec<String>>,
    claim_checks: ClaimChecks,
    userinfo_signed_response_alg: Option<String>,
    closures: Closures,
    oauth1: OAuth1Parts,
}

/// Proof Key for Code Exchange (RFC 7636).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pkce {
    /// The challenge is the verifier's SHA-256.
    #[default]
    S256,
    /// The challenge is the verifier itself: whoever reads the authorization request can use the code.
    Plain,
    /// No challenge: whoever gets hold of a code can use it.
    Off,
}

/// How the authorization response comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseMode {
    /// As query parameters of a redirect; what the code flow does by itself.
    #[default]
    Query,
    /// As a form that the browser posts (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

/// Where a request to an API carries the access token (RFC 6750 section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// In the `Authorization` header.
    #[default]
    Header,
    /// As the form parameter `access_token`; for form bodies only.
    Body,
    /// As the query parameter `access_token`, for an API that takes nothing else. Dangerous: addresses stand in logs, histories
    /// and `Referer` headers, and RFC 9700 section 4.3.2 forbids it.
    DangerouslyInQuery,
}

impl ResponseMode {
    /// The value of `response_mode`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }

    /// Reads a `response_mode`; the others are not there.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "query" => Some(Self::Query),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }
}

macro_rules! setters {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        $(
            $(#[doc = $doc])+
            #[must_use]
            pub fn $name(mut self, value: impl Into<String>) -> Self {
                self.$name = Some(value.into());
                self
            }
        )*
    };
}

impl Registration {
    /// A client of this name; everything else comes from the settings or the methods below.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// A client of an OpenID Provider: endpoints and keys come from the issuer's metadata, and `openid` is always asked for.
    #[must_use]
    pub fn openid(name: impl Into<String>, issuer: impl Into<String>) -> Self {
        Self {
            openid: true,
            ..Self::new(name).issuer(issuer)
        }
    }

    /// A client of a plain OAuth 2.0 server without metadata.
    #[must_use]
    pub fn oauth2(
        name: impl Into<String>,
        authorize_url: impl Into<String>,
        access_token_url: impl Into<String>,
    ) -> Self {
        Self::new(name)
            .authorize_url(authorize_url)
            .access_token_url(access_token_url)
    }

    /// The client's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    setters! {
        /// The `client_id` that the provider gave.
        client_id,
        /// The issuer, exactly as the provider writes it; its metadata is found from it (OpenID Connect Discovery 1.0
        /// section 4, RFC 8414 section 3).
        issuer,
        /// Where the metadata is, if it is not found from the issuer. An address of no well-known form does not say whose it is:
        /// it needs the issuer beside it.
        server_metadata_url,
        /// The authorization endpoint (RFC 6749 section 3.1).
        authorize_url,
        /// The token endpoint (RFC 6749 section 3.2).
        access_token_url,
        /// Another token endpoint for refreshing.
        refresh_token_url,
        /// The userinfo endpoint (OpenID Connect Core section 5.3).
        userinfo_url,
        /// The revocation endpoint (RFC 7009).
        revocation_url,
        /// The introspection endpoint (RFC 7662).
        introspection_url,
        /// The end-session endpoint (OpenID Connect RP-Initiated Logout 1.0).
        end_session_url,
        /// Where the provider's keys are (RFC 7517 section 5).
        jwks_uri,
        /// What relative paths of API calls are relative to; its origin may be sent tokens.
        api_base_url,
        /// The `prompt` of every login (OpenID Connect Core section 3.1.2.1).
        prompt,
        /// The `login_hint` of every login.
        login_hint,
        /// One redirect URI for every login, exactly as it is registered at the provider. It must be no other client's: by it
        /// an answer is known for one of this provider, also where the provider names no issuer (RFC 9700 section 4.4.2).
        redirect_uri,
    }

    /// The client's secret.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.client_secret = Some(secret.into());
        self
    }

    /// The scopes to ask for at login.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// The provider's keys themselves (a JWK Set, RFC 7517 section 5); nothing is fetched then.
    #[must_use]
    pub fn jwks(mut self, jwks: Value) -> Self {
        self.jwks = Some(jwks);
        self
    }

    /// One more origin that may be sent tokens, beside the one of `api_base_url`: scheme, host and port, without a path.
    #[must_use]
    pub fn allow_origin(mut self, url: impl Into<String>) -> Self {
        self.allowed_origins.push(url.into());
        self
    }

    /// Further parameters of every authorization request. A name may stand several times.
    #[must_use]
    pub fn authorize_params<K: Into<String>, V: Into<String>>(
        mut self,
        parameters: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.authorize_params = Some(collect(parameters));
        self
    }

    /// Further parameters of every request for a first token.
    #[must_use]
    pub fn access_token_params<K: Into<String>, V: Into<String>>(
        mut self,
        parameters: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.access_token_params = Some(collect(parameters));
        self
    }

    /// Further parameters of every refresh.
    #[must_use]
    pub fn refresh_token_params<K: Into<String>, V: Into<String>>(
        mut self,
        parameters: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.refresh_token_params = Some(collect(parameters));
        self
    }

    /// How the client proves who it is; without it, what the metadata names.
    #[must_use]
    pub fn token_endpoint_auth_method(mut self, method: AuthMethod) -> Self {
        self.token_endpoint_auth_method = Some(method);
        self
    }

    /// The same for the revocation endpoint; without it, that of the token endpoint.
    #[must_use]
    pub fn revocation_endpoint_auth_method(mut self, method: AuthMethod) -> Self {
        self.revocation_endpoint_auth_method = Some(method);
        self
    }

    /// A method of client authentication of the application's own, for every endpoint.
    #[must_use]
    pub fn client_authentication(mut self, method: impl ClientAuthentication) -> Self {
        self.client_authentication = Some(Arc::new(method));
        self
    }

    /// Sends id and secret as they are with `client_secret_basic`, for providers that do not decode what RFC 6749
    /// section 2.3.1 wants encoded.
    #[must_use]
    pub fn raw_basic_credentials(mut self) -> Self {
        self.raw_basic = true;
        self
    }

    /// PKCE by `plain`, for a provider that knows no S256.
    ///
    /// Dangerous: whoever reads the authorization request can use the code.
    #[must_use]
    pub fn dangerously_plain_pkce(mut self) -> Self {
        self.pkce = Some(Pkce::Plain);
        self
    }

    /// No PKCE, for a provider that refuses its parameters.
    ///
    /// Dangerous: whoever gets hold of a code can use it.
    #[must_use]
    pub fn dangerously_without_pkce(mut self) -> Self {
        self.pkce = Some(Pkce::Off);
        self
    }

    /// How the authorization response comes back.
    #[must_use]
    pub fn response_mode(mut self, mode: ResponseMode) -> Self {
        self.response_mode = Some(mode);
        self
    }

    /// How long before its expiry an access token is refreshed; without it, a share of its life.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// How far the provider's clock may be from ours when an ID token is validated. Default: 60 s.
    #[must_use]
    pub fn clock_leeway(mut self, leeway: Duration) -> Self {
        self.clock_leeway = Some(leeway);
        self
    }

    /// How long the provider may take to answer; without it, what the builder says.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How the provider treats refresh tokens.
    #[must_use]
    pub fn profile(mut self, profile: ProviderProfile) -> Self {
        self.profile = Some(profile);
        self
    }

    /// The signature algorithms that an ID token may have. `none` never counts; HS256, HS384 and HS512, with the client's
    /// secret as key, count only if they are named here, and need a secret as long as their hash: 32, 48 or 64 bytes.
    #[must_use]
    pub fn id_token_algorithms<S: Into<String>>(
        mut self,
        algorithms: impl IntoIterator<Item = S>,
    ) -> Self {
        self.id_token_algorithms = Some(algorithms.into_iter().map(Into::into).collect());
        self
    }

    /// Asks for userinfo at every login, so that [`Login::userinfo`](crate::Login::userinfo) is there. Without `openid` it is
    /// asked for anyway, if there is an endpoint.
    #[must_use]
    pub fn userinfo_at_login(mut self) -> Self {
        self.userinfo_at_login = true;
        self
    }

    /// Sends no nonce and expects none, for a provider that does not return it.
    ///
    /// Dangerous: an ID token of another login is not told apart.
    #[must_use]
    pub fn dangerously_skip_nonce(mut self) -> Self {
        self.skip_nonce = true;
        self
    }

    /// Takes a token answer without `token_type` for a bearer token, for a provider that leaves out what RFC 6749
    /// section 5.1 requires.
    #[must_use]
    pub fn assume_bearer(mut self) -> Self {
        self.assume_bearer = true;
        self
    }

    /// Where API calls carry the access token.
    #[must_use]
    pub fn token_placement(mut self, placement: Placement) -> Self {
        self.placement = Some(placement);
        self
    }

    /// Refreshes only when asked to.
    #[must_use]
    pub fn without_automatic_refresh(mut self) -> Self {
        self.without_automatic_refresh = true;
        self
    }

    /// For a provider whose refresh tokens die of idleness: those that were not used for so long are, in the background, once
    /// for the whole fleet. At least a minute; choose half of the provider's limit, because it may take an eighth longer, and
    /// more while the provider is away.
    ///
    /// It needs a store with `find_tokens`, whose records of this client it goes through eight times in that time, and a
    /// process that runs. A client of a [`ClientSource`](crate::ClientSource) is not known before it is used: call
    /// [`OAuth::keep_alive`](crate::OAuth::keep_alive) for it.
    #[must_use]
    pub fn keep_alive(mut self, every: Duration) -> Self {
        self.keep_alive = Some(every);
        self
    }

    /// An audience that may stand in an ID token beside this client's own id (OpenID Connect Core section 3.1.3.7, step 3).
    /// Any other one is refused, also where the token says that it was issued to this client (`azp`): whoever the audience
    /// is gets tokens by which it could log in here as the user.
    #[must_use]
    pub fn trust_audience(mut self, audience: impl Into<String>) -> Self {
        self.trusted_audiences.push(audience.into());
        self
    }

    /// Ends and revokes the user's grant of this client at every logout, wherever it began: here, or at the provider by
    /// back-channel or front-channel logout (RFC 7009). Without it a grant with `offline_access` outlives its sessions, for
    /// the application's own work (OpenID Connect Back-Channel Logout section 2.7).
    ///
    /// It ends here first; the provider is asked in the background, with retries, and no logout waits for it.
    #[must_use]
    pub fn revoke_at_logout(mut self) -> Self {
        self.revoke_at_logout = Some(true);
        self
    }

    /// Lets a front-channel logout without `iss` and `sid` end the session of the browser that brings it, for a provider that
    /// cannot send them. They are sent if the client is registered there with `frontchannel_logout_session_required`.
    ///
    /// Dangerous: any page of the application's own site can log a user out then. It also works for few providers: browsers
    /// send the session's cookie (SameSite=Lax) into no frame of another site.
    #[must_use]
    pub fn dangerously_allow_frontchannel_logout_by_cookie(mut self) -> Self {
        self.frontchannel_by_cookie = true;
        self
    }

    /// Lets the settings win over what is said here.
    #[must_use]
    pub fn overwrite(mut self) -> Self {
        self.overwrite = true;
        self
    }
}

fn collect<K: Into<String>, V: Into<String>>(
    parameters: impl IntoIterator<Item = (K, V)>,
) -> Vec<(String, String)> {
    let parameters = parameters.into_iter();
    parameters.map(|(k, v)| (k.into(), v.into())).collect()
}

impl From<&str> for Registration {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Registration {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

/// Shows what the registration is about; parameters and keys may hold secrets.
impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("name", &self.name)
            .field("client_id", &self.client_id)
            .field("issuer", &self.issuer)
            .field("server_metadata_url", &self.server_metadata_url)
            .field("authorize_url", &self.authorize_url)
            .field("access_token_url", &self.access_token_url)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
