//! The registered clients, and those that another process may have registered.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicBool},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::{
    ConfigSource, Error, ErrorCode, Phase, Registration, Result, Settings, TokenKey,
    client::{ClientState, resolve},
    closures::Fetch,
    config::check_names,
    hooks::Hooks,
    http::Http,
    store::ClosureStore,
};

/// Finds clients that are not registered in this process: tenants, kept in the application's database.
///
/// # Contract
/// Answers are kept for a minute, "no such client" for 5 s; callers who ask together wait for one answer.
///
/// Nothing is read from the settings for these clients: a tenant whose name somebody chose well would otherwise be given
/// the secret of another client, or of another program in the environment.
///
/// Whoever says what stands in a registration decides where its users' tokens go (`api_base_url`, endpoints) and who its
/// users are: [`Login::default_owner`](crate::Login::default_owner) believes the issuer that stands there. Where tenants
/// bring their own, map owners by tenant.
#[async_trait]
pub trait ClientSource: Send + Sync + 'static {
    /// The registration of that name, if there is one.
    ///
    /// # Errors
    /// Whatever keeps it from being looked up; nothing is remembered of it.
    async fn registration(&self, name: &str) -> Result<Option<Registration>>;
}

const FOUND: Duration = Duration::from_secs(60);
const NOT_FOUND: Duration = Duration::from_secs(5);
const MAX_FOUND: usize = 10_000;

/// One name that the source was asked for.
#[derive(Default)]
struct Asked {
    answer: OnceCell<Option<Arc<ClientState>>>,
    /// Monotonic.
    at: Duration,
}

/// All clients of a registry.
pub(crate) struct Clients {
    pub(super) registered: RwLock<BTreeMap<String, Arc<ClientState>>>,
    asked: Mutex<HashMap<String, Arc<Asked>>>,
    /// Clients whose provider was seen not to rotate.
    pub(super) never_rotates: RwLock<HashMap<String, AtomicBool>>,
    pub(super) parts: ClientParts,
}

/// What clients share.
pub(super) struct ClientParts {
    pub(super) source: Option<Arc<dyn ClientSource>>,
    pub(super) config: Arc<dyn ConfigSource>,
    pub(super) http: Http,
    pub(super) hooks: Hooks,
    /// Clients whose tokens the application keeps itself.
    pub(super) closures: Arc<ClosureStore>,
    /// Is there a store beside them?
    pub(super) has_store: bool,
    /// Answers what an old table holds, of clients that bring no answer of their own.
    pub(super) on_missing: Option<Fetch>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

pub(super) fn registered(name: &str) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        Phase::Configure,
        "a client of this name is registered already; replace() takes its place",
    )
    .with_client(name)
}

pub(super) fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let mut names: Vec<_> = names.take(21).collect();
    if names.len() > 20 {
        names[20] = "…";
    }
    let known = if names.is_empty() {
        "none is".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    };
    let name = crate::error::excerpt(name);
    Error::new(
        ErrorCode::UnknownClient,
        Phase::Configure,
        format!("no client {name:?} is registered; {known}"),
    )
}

impl Clients {
    pub(super) fn new(parts: ClientParts) -> Self {
        Self {
            registered: RwLock::default(),
            asked: Mutex::default(),
            never_rotates: RwLock::default(),
            parts,
        }
    }

    pub(super) fn register(&self, registration: Registration, replace: bool) -> Result<()> {
        let state = Arc::new(self.resolved(&registration, self.parts.config.as_ref())?);
        let keeping = self.keeping_of(&registration)?;
        let mut clients = self
            .registered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if !replace && clients.contains_key(registration.name()) {
            return Err(registered(registration.name()));
        }
        let others = clients
            .keys()
            .map(String::as_str)
            .filter(|name| *name != registration.name());
        check_names(others.chain([registration.name()]))?;
        self.parts.closures.set(registration.name(), keeping);
        clients.insert(registration.name().to_owned(), state);
        // What was learnt was learnt of the one before.
        self.never_rotates
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(registration.name());
        Ok(())
    }

    fn resolved(
        &self,
        registration: &Registration,
        settings: &dyn ConfigSource,
    ) -> Result<ClientState> {
        // A name is part of token keys and cookies.
        TokenKey::app(registration.name())?;
        let mut resolved = resolve(registration, settings)?;
        let http = Http {
            timeout: resolved.timeout.unwrap_or(self.parts.http.timeout),
            ..self.parts.http.clone()
        };
        resolved.timeout = Some(http.timeout);
        ClientState::new(resolved, http, &self.parts.hooks)
            .map_err(|error| error.with_client(registration.name()))
    }

    pub(super) fn registered(&self, name: &str) -> Option<Arc<ClientState>> {
        self.registered
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .map(Arc::clone)
    }

    /// What the source said of a name lately.
    pub(super) fn found(&self, name: &str) -> Option<Arc<ClientState>> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(name)?.answer.get()?.clone()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.registered
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    fn unknown(&self, name: &str) -> Error {
        unknown(name, self.names().iter().map(String::as_str))
    }

    /// Is there a client of that name, as far as that can be told at once?
    pub(super) fn check(&self, name: &str) -> Result<()> {
        if self.parts.source.is_some() || self.registered(name).is_some() {
            Ok(())
        } else {
            Err(self.unknown(name))
        }
    }

    /// A client, from the registry or from the source.
    pub(super) async fn state(&self, name: &str) -> Result<Arc<ClientState>> {
        if let Some(state) = self.registered(name) {
            return Ok(state);
        }
        let Some(source) = &self.parts.source else {
            return Err(self.unknown(name));
        };
        // What can be no client's name is not looked up, let alone remembered: it comes from anybody's request.
        if TokenKey::app(name).is_err() {
            return Err(self.unknown(name));
        }
        let asked = self.asked(name);
        let found = asked
            .answer
            .get_or_try_init(async || {
                let registration = source.registration(name).await?;
                registration
                    .map(|registration| {
                        // A database may fold case: another name is another client.
                        if registration.name() != name {
                            return Err(Error::new(
                                ErrorCode::InvalidConfiguration,
                                Phase::Configure,
                                "the source answered with a client of another name",
                            )
                            .with_client(name));
                        }
                        Self::check_found(&registration)?;
                        self.resolved(&registration, &Settings::default())
                            .map(Arc::new)
                    })
                    .transpose()
            })
            .await?;
        found
            .as_ref()
            .map(Arc::clone)
            .ok_or_else(|| self.unknown(name))
    }

    fn asked(&self, name: &str) -> Arc<Asked> {
        let now = self.parts.http.clock.monotonic();
        let lives = |asked: &Asked| {
            let life = if matches!(asked.answer.get(), Some(None)) {
                NOT_FOUND
            } else {
                FOUND
            };
            now.saturating_sub(asked.at) < life
        };
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = all.get(name).filter(|asked| lives(asked)) {
            return Arc::clone(asked);
        }
        if all.len() >= MAX_FOUND {
            all.retain(|_, asked| lives(asked));
            // Names that nobody has cost nothing to ask for: they must not push out clients with all that is loaded.
            if all.len() >= MAX_FOUND {
                all.retain(|_, asked| matches!(asked.answer.get(), Some(Some(_))));
            }
            if all.len() >= MAX_FOUND {
                all.clear();
            }
        }
        let asked = Arc::new(Asked {
            answer: OnceCell::new(),
            at: now,
        });
        all.insert(name.to_owned(), Arc::clone(&asked));
        asked
    }
}

#[cfg(test)]
mod tests;
