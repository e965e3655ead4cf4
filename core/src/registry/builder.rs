//! Building a registry.

use std::{fmt, sync::Arc, time::Duration};

use url::Url;

use super::{ClientSource, Clients, OAuth, Ready, clients::ClientParts};
use crate::{
    Clock, ConfigSource, Error, ErrorCode, KeyRing, Phase, Registration, Result, Settings,
    SystemClock, Transport,
    closures::{Closures, Keeping},
    config::{check_variables, is_blank},
    hooks::{Hook, Hooks},
    http::{Http, ReqwestTransport, is_secure},
    refresh::{Keeper, KeeperParts, Timing, TokenSource, Upkeep},
    seal::LiveRing,
    store::{Capabilities, ClosureStore, DynTokenStore, RoutedStore, TokenStore},
    token::Sealing,
};

/// What the client that brings no HTTP client of its own calls itself.
const USER_AGENT: &str = concat!("tokenkeep/", env!("CARGO_PKG_VERSION"));

/// Builds an [`OAuth`].
#[derive(Default)]
#[must_use = "a builder does nothing before build()"]
pub struct OAuthBuilder {
    store: Option<DynTokenStore>,
    pub(super) closures: Closures,
    required: Capabilities,
    ring: Option<KeyRing>,
    plain_records: bool,
    registrations: Vec<Registration>,
    config: Vec<Arc<dyn ConfigSource>>,
    source: Option<Arc<dyn ClientSource>>,
    hooks: Vec<Arc<dyn Hook>>,
    base_url: Option<String>,
    http: Option<reqwest::ClientBuilder>,
    transport: Option<Arc<dyn Transport>>,
    clock: Option<Arc<dyn Clock>>,
    timing: Timing,
    session_lifetime: Option<Duration>,
    snapshot_capacity: Option<usize>,
    event_capacity: Option<usize>,
    process_name: Option<String>,
    pub(super) upkeep: Upkeep,
}

impl fmt::Debug for OAuthBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthBuilder")
            .field("store", &self.store.as_ref().map(|store| store.name()))
            .field("registrations", &self.registrations)
            .finish_non_exhaustive()
    }
}

impl OAuthBuilder {
    /// Where tokens are kept. There is no default; [`fetch_token`](Self::fetch_token) is the other way.
    pub fn store(self, store: impl TokenStore) -> Self {
        self.shared_store(Arc::new(store))
    }

    /// The same, for a store that is shared already.
    pub fn shared_store(mut self, store: DynTokenStore) -> Self {
        self.store = Some(store);
        self
    }

    /// Refuses a store that lacks one of these.
    pub fn require(mut self, capabilities: Capabilities) -> Self {
        self.required = capabilities;
        self
    }

    /// The keys that seal records and cookies. A store that leaves the process needs them.
    pub fn key_ring(mut self, ring: KeyRing) -> Self {
        self.ring = Some(ring);
        self
    }

    /// Keeps tokens readable in a store that leaves the process, and accepts records that are not sealed.
    ///
    /// Dangerous: whoever reads the store, or a copy of it, can act as every user; whoever writes it can hand users tokens of
    /// somebody else. With a key ring new records are sealed all the same: that is the way to move to sealed ones.
    pub fn dangerously_plain_text_records(mut self) -> Self {
        self.plain_records = true;
        self
    }

    /// Registers a client; a name alone takes everything from the settings.
    pub fn register(mut self, registration: impl Into<Registration>) -> Self {
        self.registrations.push(registration.into());
        self
    }

    /// Where clients find their settings: `{NAME}_{KEY}`. Of several sources the first that has a value counts.
    pub fn config(mut self, source: impl ConfigSource) -> Self {
        self.config.push(Arc::new(source));
        self
    }

    /// Finds clients that are not registered in this process.
    pub fn client_source(mut self, source: impl ClientSource) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Adds hooks; they run in the order in which they were added.
    pub fn hook(mut self, hook: impl Hook) -> Self {
        self.hooks.push(Arc::new(hook));
        self
    }

    /// The application's address as browsers see it, such as `https://app.example/`, also where a proxy ends TLS. Web hooks
    /// need it; the addresses that requests name are not trusted. `http` is for loopback alone: elsewhere a login's cookies
    /// could be read and planted on the way, and a posted answer (`form_post`) would not bring them back.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The HTTP client: proxy, roots, certificates. Redirects are turned off: following them is ours.
    /// Give it a user agent: some providers, GitHub among them, answer nobody without one. Without this call it is
    /// `tokenkeep/` and the version.
    pub fn http_client(mut self, builder: reqwest::ClientBuilder) -> Self {
        self.http = Some(builder);
        self
    }

    /// Another way to the network, for tests. It follows no redirects: one that [says it does](Transport::follows_redirects) is
    /// refused as `invalid_configuration`.
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Another clock, for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// How long a protocol request may take: 10 s if not said. A client's own timeout wins, except for refreshes.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timing.request = timeout;
        self
    }

    /// How long one process may hold the right to refresh a token: 30 s if not said; at least twice the request timeout
    /// plus the commit budget.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.timing.lease = lease;
        self
    }

    /// How long an answer may take from its arrival to its commit: 5 s if not said. It bounds no commit; leases are
    /// reckoned with it.
    pub fn commit_budget(mut self, budget: Duration) -> Self {
        self.timing.commit_budget = budget;
        self
    }

    /// How long a call of the store may take: 5 s if not said.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.timing.store = timeout;
        self
    }

    /// How long what ended is remembered: 7 days if not said, at least one.
    pub fn tombstone(mut self, time: Duration) -> Self {
        self.timing.tombstone = time;
        self
    }

    /// How old a token in memory may be before the store is asked whether another process changed it, where the store has
    /// no change feed: 2 s if not said. A million tokens in use are read at a million divided by this each second.
    pub fn snapshot_age(mut self, age: Duration) -> Self {
        self.timing.snapshot_age = age;
        self
    }

    /// How many tokens are held in memory: a million if not said.
    pub fn snapshot_capacity(mut self, tokens: usize) -> Self {
        self.snapshot_capacity = Some(tokens);
        self
    }

    /// How many events a slow subscriber may be behind before it misses some: 1,024 if not said.
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.event_capacity = Some(events);
        self
    }

    /// How long a browser stays signed in: 14 days if not said.
    pub fn session_lifetime(mut self, time: Duration) -> Self {
        self.session_lifetime = Some(time);
        self
    }

    /// What to call this process in the history of grants ([`OAuth::explain`]): 1 to 40 bytes without control characters,
    /// such as a pod's name. If not said, it is the process id and a random part. It stands in plain in the store.
    pub fn process_name(mut self, name: impl Into<String>) -> Self {
        self.process_name = Some(name.into());
        self
    }

    /// The registry.
    ///
    /// # Errors
    /// `missing_store`, `key_ring_required`, `unsupported` for a capability that was required, and `invalid_configuration`
    /// for a registration, setting or time that cannot be used.
    pub fn build(self) -> Result<OAuth> {
        let oauth = OAuth::new();
        oauth.init(self)?;
        Ok(oauth)
    }

    /// Is there a place for what is to be kept? Says what is off where closures are the only one.
    fn check_is_kept(&self, for_all: Option<&Keeping>) -> Result<()> {
        let by_closures = |registration: &Registration| registration.closures().fetch.is_some();
        if for_all.is_some() || self.registrations.iter().any(by_closures) {
            tracing::info!(
                "closures keep tokens: processes do not share their refreshes, and nothing is sealed by us"
            );
        }
        if self.store.is_some() {
            return Ok(());
        }
        let missing = |message| {
            Err(Error::new(
                ErrorCode::MissingStore,
                Phase::Configure,
                message,
            ))
        };
        if for_all.is_none() {
            if !self.registrations.iter().any(by_closures) {
                return missing(
                    "there is no token store: add .store(MemoryStore::new()) to try things out, a store of your database, or \
                     .fetch_token(…) and .update_token(…) for tokens that you keep yourself",
                );
            }
            if self.source.is_some() {
                return missing(
                    "the clients of the client source have no token store: add .store(…), or .fetch_token(…) and \
                     .update_token(…) for all clients",
                );
            }
        }
        tracing::info!(
            "without a store: browsers cannot be signed in, and an owner's grants cannot be listed"
        );
        Ok(())
    }

    fn check_sealed(&self) -> Result<()> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let has = store.capabilities();
        // What others share is elsewhere, whether it outlives the process or not.
        let leaves = has.persistent || has.shared;
        if leaves && self.ring.is_none() && !self.plain_records {
            return Err(Error::new(
                ErrorCode::KeyRingRequired,
                Phase::Configure,
                format!(
                    "the store {:?} leaves the process, and there is no key ring to seal its records: add \
                     .key_ring(KeyRing::from_env(\"TOKENKEEP_KEYS\")?); {}",
                    store.name(),
                    crate::seal::NEW_RING
                ),
            ));
        }
        Ok(())
    }

    pub(super) fn ready(self) -> Result<Ready> {
        let keeping = self.closures.keeping()?;
        self.check_is_kept(keeping.as_ref())?;
        self.check_sealed()?;
        let given = self.ring.map(LiveRing::new);
        let sealing = Sealing {
            ring: given.clone(),
            // Where records are sealed, one that is not was put there by somebody else.
            accept_plain: self.plain_records || given.is_none(),
        };
        let ring = given.unwrap_or_else(|| {
            tracing::info!("no key ring: cookies are sealed by a key that ends with this process");
            LiveRing::new(KeyRing::ephemeral())
        });
        let base_url = self.base_url.as_deref().map(base_url).transpose()?;
        let led_away = |transport: &Arc<dyn Transport>| transport.follows_redirects();
        if self.transport.as_ref().is_some_and(led_away) {
            return Err(Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                "the transport follows redirects by itself, and would take codes and secrets along: give it to send_through(), or                  have it follow none",
            ));
        }
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let capacity = self.snapshot_capacity.unwrap_or(1_000_000);
        let has_store = self.store.is_some();
        let closures = Arc::new(ClosureStore::new(
            keeping,
            sealing.clone(),
            Arc::clone(&clock),
            capacity,
        ));
        let store: DynTokenStore = Arc::new(RoutedStore::new(self.store, Arc::clone(&closures)));
        let has = store.capabilities();
        check_store(&store, self.required)?;
        check_timing(self.timing)?;
        // Some providers turn away requests without one.
        let named = || reqwest::ClientBuilder::new().user_agent(USER_AGENT);
        let real = ReqwestTransport::new(self.http.unwrap_or_else(named))?;
        let builder = real.client().clone();
        let transport = self.transport.unwrap_or_else(|| Arc::new(real));
        let http = Http {
            transport,
            clock: Arc::clone(&clock),
            timeout: self.timing.request,
        };
        let sources = self.config.clone();
        let config: Arc<dyn ConfigSource> = match self.config.len() {
            0 => Arc::new(Settings::default()),
            _ => Arc::new(FirstOf(self.config)),
        };
        let clients = Arc::new(Clients::new(ClientParts {
            source: self.source,
            config,
            http: http.clone(),
            hooks: Hooks::new(self.hooks),
            closures,
            has_store,
            on_missing: self.closures.on_missing,
        }));
        for registration in self.registrations {
            clients.register(registration, false)?;
        }
        // Each by itself: what the environment may hold is a mistake in a file beside it.
        for source in sources {
            check_variables(clients.names().iter().map(String::as_str), source.as_ref())?;
        }
        if let Some((name, _)) = clients.kept_alive().first().filter(|_| !has.find) {
            return Err(Error::new(
                ErrorCode::Unsupported,
                Phase::Configure,
                format!(
                    "keep_alive needs the capability \"find\", which the store {:?} has not",
                    store.name()
                ),
            )
            .with_client(name));
        }
        let keeper = Keeper::new(KeeperParts {
            store,
            sealing: sealing.clone(),
            clock,
            timing: self.timing,
            process: process_name(self.process_name)?,
            upkeep: self.upkeep,
            snapshot_capacity: capacity,
            event_capacity: self.event_capacity.unwrap_or(1024),
            source: Arc::<Clients>::clone(&clients),
        });
        Ok(Ready {
            keeper,
            clients,
            has_store,
            http,
            ring,
            sealing,
            base_url,
            prefix: std::sync::OnceLock::new(),
            session_lifetime: self
                .session_lifetime
                .unwrap_or(Duration::from_secs(14 * 24 * 3600)),
            builder,
            used: std::sync::Mutex::default(),
        })
    }
}

fn process_name(given: Option<String>) -> Result<String> {
    let Some(name) = given else {
        let [a, b] = crate::seal::random();
        return Ok(format!("{}-{a:02x}{b:02x}", std::process::id()));
    };
    if (1..=40).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(name);
    }
    Err(Error::new(
        ErrorCode::InvalidConfiguration,
        Phase::Configure,
        "the process name is not 1 to 40 bytes without control characters",
    ))
}

/// The application's own address: https, or http on loopback; its path ends with a slash.
fn base_url(text: &str) -> Result<Url> {
    let invalid = || {
        Error::new(
            ErrorCode::InvalidConfiguration,
            Phase::Configure,
            "base_url is no address such as https://app.example.com, without user, query and fragment",
        )
    };
    let mut url = Url::parse(text).map_err(|_| invalid())?;
    if !is_secure(&url) {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            Phase::Configure,
            format!(
                "base_url is {}://{}: give the https address that browsers see, also where a proxy ends TLS (http is for \
                 127.0.0.0/8, [::1] and localhost only, because cookies of a login can be read and planted elsewhere)",
                url.scheme(),
                url.host_str().unwrap_or_default()
            ),
        ));
    }
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(invalid());
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// Refuses a store that lacks what was asked for, and names what is off without the rest.
fn check_store(store: &DynTokenStore, required: Capabilities) -> Result<()> {
    let has = store.capabilities();
    let features = [
        (
            has.clock,
            required.clock,
            "clock",
            "leases are measured by this process's own time",
        ),
        (
            has.find,
            required.find,
            "find",
            "grants cannot be listed, forgotten, kept alive or sealed anew, and a provider's logout finds no session",
        ),
        (
            has.purge,
            required.purge,
            "purge",
            "what is over is never removed, and what is forgotten leaves a tombstone",
        ),
        (
            has.once,
            required.once,
            "once",
            "the answer to a login, and a provider's logout, can be replayed in another process",
        ),
        (
            has.changes,
            required.changes,
            "changes",
            "changes of other processes are seen after snapshot_age only",
        ),
        (
            has.shared,
            required.shared,
            "shared",
            "no other process can share it",
        ),
        (
            has.persistent,
            required.persistent,
            "persistent",
            "tokens end with the process",
        ),
    ];
    for (has, required, name, without) in features {
        if has {
            continue;
        }
        if required {
            return Err(Error::new(
                ErrorCode::Unsupported,
                Phase::Configure,
                format!(
                    "the store {:?} has not the required capability {name:?}: {without}",
                    store.name()
                ),
            ));
        }
        tracing::info!(
            store = store.name(),
            "without the capability {name:?}: {without}"
        );
    }
    Ok(())
}

fn check_timing(timing: Timing) -> Result<()> {
    let least = timing.request * 2 + timing.commit_budget;
    if timing.lease >= least
        && !timing.request.is_zero()
        && timing.lease <= Duration::from_secs(3600)
    {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::InvalidConfiguration,
        Phase::Configure,
        format!(
            "the lease of {:?} is not between twice the request timeout plus the commit budget ({least:?}) and an hour",
            timing.lease
        ),
    ))
}

/// Several sources: the first that has a value counts.
#[derive(Debug)]
struct FirstOf(Vec<Arc<dyn ConfigSource>>);

impl ConfigSource for FirstOf {
    fn value(&self, variable: &str) -> Result<Option<serde_json::Value>> {
        for source in &self.0 {
            // An empty value is an absent one.
            if let Some(value) = source.value(variable)?.filter(|value| !is_blank(value)) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn variables(&self) -> Vec<String> {
        self.0
            .iter()
            .flat_map(|source| source.variables())
            .collect()
    }

    fn refuses_unknown(&self) -> bool {
        self.0.iter().all(|source| source.refuses_unknown())
    }
}
