//! What can be chosen before a provider starts.

use std::{collections::BTreeMap, fmt, io, net::SocketAddr, time::Duration};

use serde_json::{Map, Value};

use super::{Provider, assertion::ClientKey, client::TestClient, keys::SigningAlgorithm};

/// What happens to a refresh token when it is spent (RFC 6749 section 6, RFC 9700 section 4.14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// The answer holds no refresh token: the one of the login stays good.
    Never,
    /// Each refresh token can be spent once; spending it again answers `invalid_grant`, and harms nothing else.
    Strict,
    /// Each refresh token can be spent once; spending it again revokes all refresh and access tokens of that login.
    FamilyRevoking,
    /// Within this time after it was first spent, a refresh token gets the very same answer again; later `invalid_grant`.
    ReplayWindow(Duration),
    /// Every answer holds a new refresh token, and all earlier ones stay good.
    BothValid,
}

/// Options of a [`Provider`], from [`Provider::builder`].
#[must_use]
pub struct ProviderBuilder {
    pub(super) listen: SocketAddr,
    pub(super) host: Option<String>,
    pub(super) access_token_lifetime: Duration,
    pub(super) rotation: Rotation,
    pub(super) clients: Vec<TestClient>,
    pub(super) auto_login: Option<String>,
    pub(super) algorithm: SigningAlgorithm,
    pub(super) refresh_without_offline_access: bool,
    pub(super) keep_replaced_access_tokens: bool,
    pub(super) remember_secrets: bool,
    pub(super) claims: BTreeMap<String, Map<String, Value>>,
    pub(super) signed_userinfo: bool,
    pub(super) users: Vec<(String, String)>,
    pub(super) assertion_issuers: Vec<(String, ClientKey)>,
}

impl Default for ProviderBuilder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            host: None,
            access_token_lifetime: Duration::from_secs(300),
            rotation: Rotation::Strict,
            clients: Vec::new(),
            auto_login: None,
            algorithm: SigningAlgorithm::Rs256,
            refresh_without_offline_access: false,
            keep_replaced_access_tokens: false,
            remember_secrets: false,
            claims: BTreeMap::new(),
            signed_userinfo: false,
            users: Vec::new(),
            assertion_issuers: Vec::new(),
        }
    }
}

impl ProviderBuilder {
    /// Where to listen; `127.0.0.1:0` unless given. Port 0 is a free port.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// The host name in the issuer, such as `localhost`; the address it listens at unless given. Cookies are kept by host
    /// name and ignore ports, so that two names keep an application and its provider apart.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.host = Some(name.into());
        self
    }

    /// How long access tokens last, in whole seconds; 300 s unless given.
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_token_lifetime = lifetime;
        self
    }

    /// What happens to refresh tokens that are spent, for all clients that say nothing else; [`Rotation::Strict`] unless
    /// given.
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = rotation;
        self
    }

    /// Registers a client. Without any, there is a confidential one called `tokenkeep` with a random secret, which may
    /// use every loopback redirect URI.
    pub fn client(mut self, client: TestClient) -> Self {
        self.clients.push(client);
        self
    }

    /// Signs everybody in as `subject` without showing pages, for tests that have no browser. Consent is given to
    /// whatever is asked for, and logging out asks nobody.
    pub fn auto_login(mut self, subject: impl Into<String>) -> Self {
        self.auto_login = Some(subject.into());
        self
    }

    /// The algorithm of ID tokens; RS256 unless given.
    pub fn id_token_algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Gives refresh tokens also to logins that did not ask for `offline_access`; off unless given.
    pub fn refresh_without_offline_access(mut self, on: bool) -> Self {
        self.refresh_without_offline_access = on;
        self
    }

    /// Whether an access token that was replaced by a refresh is good until it expires. Off unless given: the API and
    /// userinfo then answer 401 to it, which shows a client that goes on using it. [`Rotation::BothValid`] keeps them.
    pub fn keep_replaced_access_tokens(mut self, on: bool) -> Self {
        self.keep_replaced_access_tokens = on;
        self
    }

    /// Remembers every secret that it gives or is sent, for [`Provider::secrets`].
    pub fn remember_secrets(mut self) -> Self {
        self.remember_secrets = true;
        self
    }

    /// Claims about `subject`, which replace the made-up ones of the same names at userinfo.
    pub fn claims(mut self, subject: impl Into<String>, claims: Map<String, Value>) -> Self {
        self.claims
            .entry(subject.into())
            .or_default()
            .extend(claims);
        self
    }

    /// Somebody who logs in by name and password (RFC 6749 section 4.3).
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// Takes the assertions of this issuer, signed by this key, as grants (RFC 7523 section 2.1): a service account.
    pub fn assertion_issuer(mut self, issuer: impl Into<String>, key: &ClientKey) -> Self {
        self.assertion_issuers.push((issuer.into(), key.clone()));
        self
    }

    /// Whether userinfo is signed by the key of the ID tokens, with `iss` and `aud` (OpenID Connect Core 1.0 section
    /// 5.3.2); off unless given.
    pub fn signed_userinfo(mut self, on: bool) -> Self {
        self.signed_userinfo = on;
        self
    }

    /// Binds the port and starts to answer.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub async fn start(self) -> io::Result<Provider> {
        Provider::launch(self).await
    }
}

impl fmt::Debug for ProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderBuilder")
            .field("listen", &self.listen)
            .field("host", &self.host)
            .field("access_token_lifetime", &self.access_token_lifetime)
            .field("rotation", &self.rotation)
            .field("clients", &self.clients)
            .field("auto_login", &self.auto_login)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
