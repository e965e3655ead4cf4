//! The clients a provider knows, and which redirect URIs are theirs.

use std::fmt;

use url::{Host, Url};

use super::{
    assertion::ClientKey, builder::Rotation, logout_channels::LogoutUris, state::random_token,
};

/// How a confidential client authenticates at the token endpoint (RFC 6749 section 2.3.1, RFC 7523 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
    /// `client_secret_jwt`
    SecretJwt,
    /// `private_key_jwt`
    KeyJwt,
}

/// A client registered at the provider.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct TestClient {
    id: String,
    secret: Option<String>,
    key: Option<ClientKey>,
    endpoint_audience: bool,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    any_loopback: bool,
    auth_method: Option<AuthMethod>,
    rotation: Option<Rotation>,
    logout_uris: LogoutUris,
}

impl TestClient {
    /// A client with a secret, which it may send in either way.
    pub fn confidential(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            secret: Some(secret.into()),
            ..Self::public(id)
        }
    }

    /// The same with a random secret: see [`secret`](Self::secret).
    pub fn with_random_secret(id: impl Into<String>) -> Self {
        Self::confidential(id, random_token(24))
    }

    /// A client that authenticates by a key alone (`private_key_jwt`).
    pub fn with_key(id: impl Into<String>, key: &ClientKey) -> Self {
        Self {
            key: Some(key.clone()),
            ..Self::public(id)
        }
        .auth_method(AuthMethod::KeyJwt)
    }

    /// Takes assertions for the token endpoint, and none for the issuer.
    pub fn token_endpoint_audience(mut self) -> Self {
        self.endpoint_audience = true;
        self
    }

    /// A client without a secret. It must use PKCE.
    pub fn public(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secret: None,
            key: None,
            endpoint_audience: false,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            any_loopback: false,
            auth_method: None,
            rotation: None,
            logout_uris: LogoutUris::default(),
        }
    }

    /// Registers a redirect URI. It is compared exactly, except that a loopback one (127.0.0.1, \[::1\], localhost)
    /// matches with any port (RFC 8252 section 7.3).
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uris.push(uri.into());
        self
    }

    /// Registers a URI to come back to after RP-initiated logout, compared as redirect URIs are.
    pub fn post_logout_redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.post_logout_redirect_uris.push(uri.into());
        self
    }

    /// Takes every loopback URI as one of its redirect and post-logout redirect URIs.
    pub fn any_loopback_redirect_uri(mut self) -> Self {
        self.any_loopback = true;
        self
    }

    /// Accepts only this way of sending the secret.
    pub fn auth_method(mut self, method: AuthMethod) -> Self {
        self.auth_method = Some(method);
        self
    }

    /// What happens to the refresh tokens of this client, whatever the provider does otherwise.
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = Some(rotation);
        self
    }

    /// Where the provider itself tells it of logouts (OpenID Connect Back-Channel Logout 1.0 section 2.2).
    pub fn backchannel_logout_uri(mut self, uri: impl Into<String>) -> Self {
        self.logout_uris.back = Some(uri.into());
        self
    }

    /// What the provider's page loads in a frame after a logout (OpenID Connect Front-Channel Logout 1.0 section 2).
    pub fn frontchannel_logout_uri(mut self, uri: impl Into<String>) -> Self {
        self.logout_uris.front = Some(uri.into());
        self
    }

    /// Leaves `sid` out of what it is told of logouts, as for a client without `backchannel_logout_session_required` and
    /// `frontchannel_logout_session_required`.
    pub fn logout_without_session(mut self) -> Self {
        self.logout_uris.without_session = true;
        self
    }

    pub(super) fn logout_uris(&self) -> &LogoutUris {
        &self.logout_uris
    }

    /// Its `client_id`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its secret, for the configuration of the application; none for a public client.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    pub(super) fn key(&self) -> Option<&ClientKey> {
        self.key.as_ref()
    }

    /// Whom its assertions must be for.
    pub(super) fn audience(&self, issuer: &str) -> String {
        match self.endpoint_audience {
            true => format!("{issuer}/token"),
            false => issuer.to_owned(),
        }
    }

    pub(super) fn is_public(&self) -> bool {
        self.secret.is_none() && self.key.is_none()
    }

    pub(super) fn accepts(&self, method: AuthMethod) -> bool {
        self.auth_method.is_none_or(|only| only == method)
    }

    pub(super) fn rotation_or(&self, default: Rotation) -> Rotation {
        self.rotation.unwrap_or(default)
    }

    pub(super) fn may_redirect_to(&self, uri: &str) -> bool {
        self.owns(&self.redirect_uris, uri)
    }

    pub(super) fn may_return_to(&self, uri: &str) -> bool {
        self.owns(&self.post_logout_redirect_uris, uri)
    }

    fn owns(&self, registered: &[String], uri: &str) -> bool {
        // A fragment is never part of a redirect URI (RFC 6749 section 3.1.2), and a Location header has one line.
        if uri.contains('#') || uri.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return false;
        }
        if registered.iter().any(|known| known == uri) {
            return true;
        }
        let Ok(asked) = Url::parse(uri) else {
            return false;
        };
        is_loopback(&asked)
            && (self.any_loopback
                || registered
                    .iter()
                    .filter_map(|known| Url::parse(known).ok())
                    .any(|known| same_but_port(known, asked.clone())))
    }
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("id", &self.id)
            .field("confidential", &self.secret.is_some())
            .field("redirect_uris", &self.redirect_uris)
            .field("rotation", &self.rotation)
            .finish_non_exhaustive()
    }
}

fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http"
        && url.username().is_empty()
        && url.password().is_none()
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
}

fn same_but_port(mut known: Url, mut asked: Url) -> bool {
    known.set_port(None).is_ok() && asked.set_port(None).is_ok() && known == asked
}
