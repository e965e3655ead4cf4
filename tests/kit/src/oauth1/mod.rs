//! A server of OAuth 1.0a in the process of the test (RFC 5849), with HMAC-SHA1, HMAC-SHA256 and PLAINTEXT.

mod endpoints;
mod signed;

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::StatusCode;
use tokenkeep_core::Registration;
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

const KEY: &str = "key-of-the-client";
const SECRET: &str = "secret-of-the-client";

/// A server of OAuth 1.0a whose one user allows everything, unless told otherwise.
///
/// It checks each signature by itself, takes no nonce twice, and no parameter twice in one request.
///
/// ```
/// use tokenkeep_testing::OAuth1Provider;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = OAuth1Provider::start().await?;
/// let registration = provider.registration("photos");
/// // ... build a registry with it, start a login, and follow its redirect:
/// // let callback = provider.allow(&redirect.url)?;
/// # let _ = registration;
/// # Ok(())
/// # }
/// ```
pub struct OAuth1Provider {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// Everything that the endpoints share.
pub(crate) struct Shared {
    base: Url,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Request tokens with their callback; each also has a secret.
    pending: HashMap<String, Pending>,
    /// Access tokens with their secrets.
    granted: HashMap<String, String>,
    nonces: HashSet<String>,
    canned: Vec<Canned>,
    seen: Vec<SignedRequest>,
    seconds_ahead: i64,
}

struct Pending {
    secret: String,
    callback: String,
    verifier: Option<String>,
}

struct Canned {
    path: String,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// A request as the server got it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedRequest {
    /// The path.
    pub path: String,
    /// The query, as it came.
    pub query: String,
    /// The `Authorization` header; empty if there is none.
    pub authorization: String,
    /// The `Content-Type`; empty if there is none.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl OAuth1Provider {
    /// Starts a server on a loopback port of its own. It ends when this is dropped.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}/", listener.local_addr()?);
        let base = Url::parse(&base).map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            base,
            state: Mutex::default(),
        });
        let router = endpoints::router(&shared);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { shared, serving })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.shared.base
    }

    /// The client's secret, to look for it where it should not be.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        SECRET
    }

    /// Its one client, with the API below `api/`.
    #[must_use]
    pub fn registration(&self, name: &str) -> Registration {
        let at = |path: &str| format!("{}{path}", self.shared.base);
        Registration::oauth1(name, at("initiate"), at("authorize"), at("token"))
            .client_id(KEY)
            .client_secret(SECRET)
            .api_base_url(at("api/"))
    }

    /// The user allows what an authorization address asks for: where the browser is sent back to. With `oob` there is no such
    /// address: [`verifier`](Self::verifier).
    ///
    /// # Errors
    /// If the address names no request token of this server, or it has no callback.
    pub fn allow(&self, address: &Url) -> io::Result<Url> {
        let (token, verifier) = self.shared.allow(address)?;
        let mut callback = self.shared.callback_of(&token)?;
        callback
            .query_pairs_mut()
            .append_pair("oauth_token", &token)
            .append_pair("oauth_verifier", &verifier);
        Ok(callback)
    }

    /// The same where the user types the verifier in: the request token, and what the page shows.
    ///
    /// # Errors
    /// If the address names no request token of this server.
    pub fn verifier(&self, address: &Url) -> io::Result<(String, String)> {
        self.shared.allow(address)
    }

    /// The user says no: where the browser is sent back to, with `denied=TOKEN`.
    ///
    /// # Errors
    /// As [`allow`](Self::allow).
    pub fn deny(&self, address: &Url) -> io::Result<Url> {
        let token = token_of(address)?;
        let mut callback = self.shared.callback_of(&token)?;
        callback.query_pairs_mut().append_pair("denied", &token);
        Ok(callback)
    }

    /// Answers the next request to a path with this instead. `headers` are added; several answers to one path come in order.
    pub fn answer(&self, path: &str, status: u16, headers: &[(&str, &str)], body: &str) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.shared.state().canned.push(Canned {
            path: path.to_owned(),
            status,
            headers: headers.iter().map(owned).collect(),
            body: body.to_owned(),
        });
    }

    /// Sets its clock ahead: it takes timestamps of the last five minutes, and the next.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.shared.state().seconds_ahead = seconds;
    }

    /// Revokes all access tokens.
    pub fn revoke_all(&self) {
        self.shared.state().granted.clear();
    }

    /// What was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<SignedRequest> {
        self.shared.state().seen.clone()
    }

    /// Every secret that it gave out: of request tokens that are not used yet, and of access tokens.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let state = self.shared.state();
        let pending = state.pending.values().map(|pending| pending.secret.clone());
        pending.chain(state.granted.values().cloned()).collect()
    }
}

impl Drop for OAuth1Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl fmt::Debug for OAuth1Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth1Provider")
            .field("url", &self.shared.base.as_str())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn allow(&self, address: &Url) -> io::Result<(String, String)> {
        let token = token_of(address)?;
        let mut state = self.state();
        let pending = state.pending.get_mut(&token).ok_or_else(unknown)?;
        let verifier = random();
        pending.verifier = Some(verifier.clone());
        Ok((token, verifier))
    }

    fn callback_of(&self, token: &str) -> io::Result<Url> {
        let state = self.state();
        let pending = state.pending.get(token).ok_or_else(unknown)?;
        Url::parse(&pending.callback).map_err(io::Error::other)
    }

    /// The canned answer to a path, if there is one.
    fn canned(&self, path: &str) -> Option<Canned> {
        let mut state = self.state();
        let at = state.canned.iter().position(|canned| canned.path == path)?;
        Some(state.canned.remove(at))
    }
}

fn token_of(address: &Url) -> io::Result<String> {
    let mut pairs = address.query_pairs();
    let token = pairs.find(|(name, _)| name == "oauth_token");
    token
        .map(|(_, value)| value.into_owned())
        .ok_or_else(unknown)
}

fn unknown() -> io::Error {
    io::Error::other("the address names no request token of this server")
}

fn random() -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bytes = [0; 18];
    // Without randomness the test fails by equal tokens.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A refusal by the names of OAuth Problem Reporting.
struct Refused(StatusCode, &'static str);
