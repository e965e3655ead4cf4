//! What a provider remembers: its settings, its clock, browser sessions, pages somebody is at, codes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{digest, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    assertion::{ClientKey, Used},
    authorize_request::AuthorizationRequest,
    builder::{ProviderBuilder, Rotation},
    client::TestClient,
    device::DeviceCode,
    faults::Faults,
    grants::Grants,
    keys::KeySet,
    ledger::Ledger,
    logout_channels::{LogoutAnswer, LogoutUris},
    oracle::Traffic,
};

/// What the handlers and the handles to a provider share.
pub(super) struct Shared {
    pub(super) issuer: String,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) faults: Faults,
    keys: Mutex<KeySet>,
    state: Mutex<State>,
    traffic: Mutex<Traffic>,
}

pub(super) struct Settings {
    pub(super) clients: Vec<TestClient>,
    pub(super) access_token_lifetime: Duration,
    pub(super) rotation: Rotation,
    pub(super) refresh_without_offline_access: bool,
    pub(super) keep_replaced_access_tokens: bool,
    pub(super) claims: BTreeMap<String, Map<String, Value>>,
    pub(super) signed_userinfo: bool,
    /// Names and passwords.
    pub(super) users: Vec<(String, String)>,
    pub(super) assertion_issuers: Vec<(String, ClientKey)>,
    /// Cookies ignore ports, so that the port is part of their names.
    pub(super) session_cookie: String,
    pub(super) browser_cookie: String,
}

impl Shared {
    pub(super) fn new(builder: ProviderBuilder, issuer: String, port: u16, keys: KeySet) -> Self {
        let mut clients = builder.clients;
        if clients.is_empty() {
            clients.push(TestClient::with_random_secret("tokenkeep").any_loopback_redirect_uri());
        }
        let logout_uris = clients
            .iter()
            .map(|client| (client.id().to_owned(), client.logout_uris().clone()))
            .collect();
        let settings = Settings {
            clients,
            access_token_lifetime: builder.access_token_lifetime,
            rotation: builder.rotation,
            refresh_without_offline_access: builder.refresh_without_offline_access,
            keep_replaced_access_tokens: builder.keep_replaced_access_tokens,
            claims: builder.claims,
            signed_userinfo: builder.signed_userinfo,
            users: builder.users,
            assertion_issuers: builder.assertion_issuers,
            session_cookie: format!("op_session_{port}"),
            browser_cookie: format!("op_browser_{port}"),
        };
        Self {
            issuer,
            settings,
            clock: Clock::default(),
            faults: Faults::default(),
            keys: Mutex::new(keys),
            state: Mutex::new(State {
                auto_login: builder.auto_login,
                logout_uris,
                ledger: Ledger::new(builder.remember_secrets),
                ..State::default()
            }),
            traffic: Mutex::new(Traffic::default()),
        }
    }

    /// Nothing is awaited while it is held. Keys and faults may be locked after it, never before.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keys(&self) -> MutexGuard<'_, KeySet> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self, id: &str) -> Option<&TestClient> {
        self.settings
            .clients
            .iter()
            .find(|client| client.id() == id)
    }

    pub(super) fn first_client(&self) -> Option<&TestClient> {
        self.settings.clients.first()
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) auto_login: Option<String>,
    pub(super) sessions: Bounded<Session>,
    pub(super) interactions: Bounded<Interaction>,
    pub(super) logouts: Bounded<Logout>,
    pub(super) codes: Bounded<Code>,
    pub(super) devices: Bounded<DeviceCode>,
    pub(super) grants: Grants,
    /// By client.
    pub(super) logout_uris: BTreeMap<String, LogoutUris>,
    pub(super) logout_answers: VecDeque<LogoutAnswer>,
    pub(super) ledger: Ledger,
    pub(super) assertions: Used,
}

/// Somebody who is signed in at the provider with one browser.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) subject: String,
    pub(super) sid: String,
    pub(super) auth_time: Duration,
    pub(super) acr: Option<String>,
    /// The scopes that were allowed, by client.
    pub(super) consents: BTreeMap<String, BTreeSet<String>>,
}

/// An authorization request while its login or consent page is shown.
#[derive(Clone)]
pub(super) struct Interaction {
    pub(super) request: AuthorizationRequest,
    /// The cookie of the browser that brought the request: no other one can go on with it.
    pub(super) browser: String,
    pub(super) logged_in: bool,
    pub(super) consented: bool,
}

/// A logout that waits for a person to confirm it.
#[derive(Clone)]
pub(super) struct Logout {
    pub(super) browser: String,
    pub(super) sid: Option<String>,
    pub(super) return_to: Option<String>,
}

/// An authorization code (RFC 6749 section 4.1.2).
pub(super) struct Code {
    pub(super) request: AuthorizationRequest,
    pub(super) session: Session,
    pub(super) expires_at: Duration,
    /// The grant it was exchanged for. Spending it again revokes that grant.
    pub(super) grant: Option<usize>,
}

/// A map that forgets its oldest entry when it is full: what browsers leave behind must not grow for ever.
pub(super) struct Bounded<T> {
    entries: HashMap<String, T>,
    order: VecDeque<String>,
}

impl<T> Bounded<T> {
    const CAPACITY: usize = 10_000;

    pub(super) fn insert(&mut self, key: String, value: T) {
        while self.order.len() >= Self::CAPACITY {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
        self.order.push_back(key.clone());
        self.entries.insert(key, value);
    }

    pub(super) fn get(&self, key: &str) -> Option<&T> {
        self.entries.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.entries.get_mut(key)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<T> {
        self.entries.remove(key)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.values_mut()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values()
    }

    pub(super) fn remove_if(&mut self, mut condition: impl FnMut(&T) -> bool) {
        self.entries.retain(|_, value| !condition(value));
    }
}

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

/// The time at the provider, since the Unix epoch. It never goes back, and a test can move it forward.
pub(super) struct Clock {
    started_at: Duration,
    started: Instant,
    ahead_ms: AtomicU64,
}

impl Clock {
    pub(super) fn now(&self) -> Duration {
        self.started_at
            + self.started.elapsed()
            + Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    pub(super) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(
            u64::try_from(by.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

impl Default for Clock {
    fn default() -> Self {
        let started_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started_at,
            started: Instant::now(),
            ahead_ms: AtomicU64::new(0),
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "a provider without randomness can do nothing"
)]
pub(super) fn random_token(octets: usize) -> String {
    let mut random = vec![0; octets];
    rand::fill(&mut random).expect("the system has randomness");
    URL_SAFE_NO_PAD.encode(random)
}

pub(super) fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    hash
}
