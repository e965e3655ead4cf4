//! An OpenID Provider in the process of the test: the protocol as the specifications have it, and faults on demand.
//!
//! It knows nothing of tokenkeep: a client of any make can be tested against it. Nothing it keeps outlives it.

mod assertion;
mod authorize;
mod authorize_request;
mod builder;
mod client;
mod client_auth;
mod device;
mod error;
mod fault_layer;
mod faults;
mod gate;
mod grants;
mod id_token;
mod interaction;
mod introspect;
mod issued;
mod keys;
mod ledger;
mod logout;
mod logout_channels;
mod logout_token;
mod metadata;
mod oracle;
mod other_grants;
mod pages;
mod refresh;
mod request;
mod resource;
mod server;
mod state;
mod token;
mod userinfo;

#[cfg(test)]
mod tests;

pub use assertion::ClientKey;
pub use builder::{ProviderBuilder, Rotation};
pub use client::{AuthMethod, TestClient};
pub use faults::{Endpoint, Fault, FaultRule, Faults, IdTokenFault};
pub use gate::Gate;
pub use issued::IssuedTokens;
pub use keys::SigningAlgorithm;
pub use ledger::KnownSecret;
pub use logout_channels::LogoutAnswer;
pub use logout_token::{LogoutToken, LogoutTokenFault};
pub use oracle::{Lineage, LoggedRequest};

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use self::{server::Server, state::Shared};
use crate::Browser;

/// A running OpenID Provider. A clone is a handle to the same provider; it ends when the last handle is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let provider = tokenkeep_testing::Provider::start().await?;
/// assert!(provider.issuer().starts_with("http://127.0.0.1:"));
/// # Ok(())
/// # }
/// ```
///
/// # Secrets
///
/// It remembers every grant and every refresh token for as long as it runs, some hundred octets each.
/// It is an oracle: client secrets and refresh tokens can be read from it, because tests compare them with what an
/// application kept. Its `Debug` prints none of them.
#[derive(Clone)]
pub struct Provider {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

impl Provider {
    /// Starts a provider with the default options on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// If no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Options for a provider.
    pub fn builder() -> ProviderBuilder {
        ProviderBuilder::default()
    }

    async fn launch(builder: ProviderBuilder) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(builder.listen).await?;
        let address = listener.local_addr()?;
        let host = builder.host.clone().unwrap_or_else(|| match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        });
        let algorithm = builder.algorithm;
        // An RSA key takes a tenth of a second to make, which would hold up everything else on a current-thread runtime.
        let keys = tokio::task::spawn_blocking(move || keys::KeySet::generate(algorithm))
            .await
            .map_err(io::Error::other)?;
        let shared = Arc::new(Shared::new(
            builder,
            format!("http://{host}:{}", address.port()),
            address.port(),
            keys,
        ));
        let server = Arc::new(Server::spawn(listener, address, server::router(&shared)));
        Ok(Self { shared, server })
    }

    /// The issuer identifier, an origin without a trailing slash: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The URL of the discovery document (OpenID Connect Discovery 1.0, section 4).
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.shared.issuer)
    }

    /// The base of the protected API: `{issuer}/api/`. A token that is missing, over, revoked or replaced is answered 401.
    ///
    /// | path | answer |
    /// |---|---|
    /// | `me` | whose token it is, its scopes, and how many there were before it |
    /// | `echo`, `echo/…` | the request: method, query, headers without the token, body |
    /// | `scope/{scope}` | 403 `insufficient_scope` unless the token has it |
    /// | `step-up` | 401 `insufficient_user_authentication` unless the login had `acr_values=urn:example:mfa` |
    /// | `redirect` | a redirect to `me` |
    /// | `redirect-away?to=URL` | a redirect to elsewhere |
    #[must_use]
    pub fn api_base_url(&self) -> String {
        format!("{}/api/", self.shared.issuer)
    }

    /// The address it listens at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The `client_id` of the first client: `tokenkeep`, unless clients were given to the builder.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.shared.first_client().map_or("", TestClient::id)
    }

    /// The secret of the first client; empty for a public one. It is random for each provider.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        self.shared
            .first_client()
            .and_then(TestClient::secret)
            .unwrap_or_default()
    }

    /// The faults of this provider, all off at first.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// A new browser: no cookies, nobody signed in. It knows the pages of this provider, and those of no other.
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser::at(self.issuer())
    }

    /// From now on, whoever comes to the authorization endpoint is signed in as `subject` without pages; `None` shows
    /// pages again.
    pub fn auto_login(&self, subject: Option<&str>) {
        self.shared.lock().auto_login = subject.map(str::to_owned);
    }

    /// Lets time pass at the provider, and only there: for tokens, codes, replay windows and the times in ID tokens.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// Signs any token by the present key: whatever an ID token, a logout token or signed userinfo can be, right or wrong.
    /// Nothing is added to header and claims. [`signing_header`](Self::signing_header) is the right header.
    #[must_use]
    pub fn sign(&self, header: &serde_json::Value, claims: &serde_json::Value) -> String {
        self.shared.keys().signing().token(header, claims)
    }

    /// The header of what the present key signs: `alg`, `kid` and `typ`.
    #[must_use]
    pub fn signing_header(&self) -> serde_json::Value {
        self.shared.keys().signing().header()
    }

    /// Makes a new signing key. The keys before it are still published.
    ///
    /// The first RSA keys are made once per process and shared by its providers, under a `kid` of each provider.
    pub fn rotate_keys(&self) {
        self.shared.keys().rotate();
    }

    /// Makes a new signing key under the `kid` of the present one, which is published no more: what a provider does that
    /// gives its key a fixed name.
    pub fn replace_key(&self) {
        self.shared.keys().replace();
    }

    /// Withdraws all keys but the signing one from the JWKS, decoys as well.
    pub fn withdraw_old_keys(&self) {
        self.shared.keys().withdraw();
    }

    /// Publishes `count` more keys that never sign: for encryption, of unknown types, of other algorithms, incomplete.
    pub fn add_decoy_keys(&self, count: usize) {
        self.shared.keys().add_decoys(count);
    }

    /// Stops listening and closes all connections. Handles that remain can still be asked what happened.
    pub async fn shutdown(&self) {
        self.server.shutdown().await;
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("issuer", &self.shared.issuer)
            .finish_non_exhaustive()
    }
}
