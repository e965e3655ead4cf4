//! The registry: the clients of an application, its store, and everything they share.

mod builder;
mod clients;
mod forget;
mod inspect;
mod keeping;
mod keys;
mod missing;
mod ready;
mod source;
mod upkeep;

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

pub use builder::OAuthBuilder;
pub use clients::ClientSource;
pub(crate) use clients::Clients;
pub use inspect::Explanation;
pub(crate) use ready::Ready;

use crate::{
    Client, Error, ErrorCode, Phase, Registration, Result, Timestamp, Token, TokenKey,
    TokenUpdates, refresh::TokenSource, token::Target,
};

/// The clients of an application, and where their tokens are kept. Cheap to clone; clones are the same registry.
///
/// Built at once by [`builder`](Self::builder), or late: [`new`](Self::new), then [`register`](Self::register), then
/// [`init`](Self::init). Handles that were taken before `init` work after it.
#[derive(Clone, Default)]
pub struct OAuth(Arc<Registry>);

#[derive(Default)]
struct Registry {
    ready: OnceLock<Ready>,
    /// Registered before `init`.
    waiting: Mutex<Vec<Registration>>,
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth")
            .field("ready", &self.0.ready.get())
            .finish()
    }
}

impl OAuth {
    /// Builds a registry at once.
    pub fn builder() -> OAuthBuilder {
        OAuthBuilder::default()
    }

    /// A registry that is initialised later.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Initialises a late registry.
    ///
    /// # Errors
    /// As [`OAuthBuilder::build`]; `invalid_configuration` if it was initialised before.
    pub fn init(&self, mut builder: OAuthBuilder) -> Result<()> {
        // Held to the end: what is registered meanwhile finds the registry ready. If it fails, it can be tried again.
        let mut waiting = self.waiting();
        for registration in waiting.iter() {
            builder = builder.register(registration.clone());
        }
        let ready = builder.ready()?;
        self.0.ready.set(ready).map_err(|_| {
            Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                "the registry was initialised before",
            )
        })?;
        waiting.clear();
        drop(waiting);
        // So that it is up before anybody subscribes; outside a runtime, the first use starts it.
        self.ready()?.keeper().start_feed();
        Ok(())
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Registration>> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ready(&self) -> Result<&Ready> {
        self.0.ready.get().ok_or_else(|| {
            Error::new(
                ErrorCode::NotInitialized,
                Phase::Configure,
                "the registry is not initialised: call init(OAuth::builder().store(…)) before its clients are used",
            )
        })
    }

    /// Registers a client, before `init` or at run time.
    ///
    /// # Errors
    /// `invalid_configuration` for what cannot be used, and for a name that is registered already: see
    /// [`replace`](Self::replace).
    pub fn register(&self, registration: impl Into<Registration>) -> Result<()> {
        let registration = registration.into();
        let mut waiting = self.waiting();
        if let Some(ready) = self.0.ready.get() {
            return ready.clients().register(registration, false);
        }
        if waiting
            .iter()
            .any(|other| other.name() == registration.name())
        {
            return Err(clients::registered(registration.name()));
        }
        waiting.push(registration);
        Ok(())
    }

    /// Registers a client in the place of the one that has its name. Grants of another issuer or client id need a new login.
    ///
    /// # Errors
    /// `invalid_configuration` for what cannot be used.
    pub fn replace(&self, registration: impl Into<Registration>) -> Result<()> {
        let registration = registration.into();
        let mut waiting = self.waiting();
        if let Some(ready) = self.0.ready.get() {
            ready.keeper().registered_anew(registration.name());
            return ready.clients().register(registration, true);
        }
        waiting.retain(|other| other.name() != registration.name());
        waiting.push(registration);
        Ok(())
    }

    /// The handle of a client. Nothing is loaded before it is used.
    ///
    /// # Errors
    /// `unknown_client`, naming the registered ones. With a [`ClientSource`] that is found out when the handle is used.
    pub fn client(&self, name: &str) -> Result<Client> {
        match self.0.ready.get() {
            Some(ready) => ready.clients().check(name)?,
            None => {
                let waiting = self.waiting();
                if !waiting.iter().any(|other| other.name() == name) {
                    return Err(clients::unknown(
                        name,
                        waiting.iter().map(Registration::name),
                    ));
                }
            }
        }
        Ok(Client::new(self.clone(), name.into()))
    }

    /// The names of the registered clients, in order.
    #[must_use]
    pub fn client_names(&self) -> Vec<String> {
        match self.0.ready.get() {
            Some(ready) => ready.clients().names(),
            None => self
                .waiting()
                .iter()
                .map(|registration| registration.name().to_owned())
                .collect(),
        }
    }

    /// The application's address as browsers see it, if it was given.
    #[must_use]
    pub fn base_url(&self) -> Option<&url::Url> {
        self.0.ready.get()?.base_url()
    }

    /// For web hooks: under which path of the application their routes stand, so that errors can say where to log in.
    /// The first call counts.
    ///
    /// # Errors
    /// `not_initialized`.
    pub fn routes_at(&self, prefix: &str) -> Result<()> {
        self.ready()?.prefix.get_or_init(|| prefix.to_owned());
        Ok(())
    }

    /// Where a user logs in (again) at a client: known once [`routes_at`](Self::routes_at) and a base URL were given.
    #[must_use]
    pub fn connect_url(&self, client: &str) -> Option<String> {
        self.0.ready.get()?.connect_url(client)
    }

    /// What is committed from now on, in all processes that share the store (where it has a change feed). When the feed
    /// of a shared store comes up behind a subscriber, that one gets a [`Resync`](crate::TokenUpdate::Resync): others may have
    /// committed something in between. Not so after [`follow_changes`](Self::follow_changes).
    ///
    /// # Errors
    /// `not_initialized`.
    pub fn token_updates(&self) -> Result<TokenUpdates> {
        let keeper = self.ready()?.keeper();
        let updates = keeper.events().subscribe();
        keeper.start_feed();
        Ok(updates)
    }

    /// Waits until the store's change feed is up: whoever subscribes then misses nothing. At once where the store has no
    /// feed. As long as the store is away it waits; bound it by a timeout of your own.
    ///
    /// # Errors
    /// `not_initialized`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing: the feed is followed all the same.
    pub async fn follow_changes(&self) -> Result<()> {
        self.ready()?.keeper().follow().await;
        Ok(())
    }

    /// The value of the `Authorization` header for a key: at once if the token is in memory, not over, and not to be
    /// renewed yet; otherwise as [`Grant::token`](crate::Grant::token). For one key that is used often,
    /// [`Kept`](crate::Kept) is quicker still.
    ///
    /// # Errors
    /// As [`Grant::token`](crate::Grant::token); `unsupported` for a token that is no bearer token.
    ///
    /// # Cancel safety
    /// As [`Grant::token`](crate::Grant::token).
    pub async fn header(&self, key: &TokenKey) -> Result<reqwest::header::HeaderValue> {
        let keeper = self.ready()?.keeper();
        match keeper.ready_header(key) {
            Some(header) => Ok(header),
            // In a box: the way through the store is long, and this future is moved about.
            None => Box::pin(keeper.header(key, &Target::login())).await,
        }
    }

    /// Keeps a token that was issued elsewhere, if nothing was ever kept under the key: what was logged out here stays so.
    /// Safe to call twice and in many processes. Answers whether it was kept by this call. To have it done key by key, when
    /// a token is wanted, there is [`on_missing`](OAuthBuilder::on_missing). What is adopted for the application itself
    /// ([`TokenKey::app`]) is renewed by its refresh token as long as the provider takes it, and by the client's own grant
    /// then.
    ///
    /// # Errors
    /// `unknown_client`; `invalid_key` for a session's key; `store_unavailable`.
    ///
    /// # Cancel safety
    /// The token may be kept or not.
    pub async fn adopt(&self, key: TokenKey, token: Token) -> Result<bool> {
        let ready = self.ready()?;
        let state = ready.client_state(key.client()).await?;
        if !key.is_account() {
            return Err(Error::new(
                ErrorCode::InvalidKey,
                Phase::Store,
                "only a grant can be adopted, and this is the key of a session",
            )
            .with_client(key.client()));
        }
        let login = missing::adoption(&state, &key, token);
        ready.keeper().adopt(&key, login).await
    }

    /// Removes at most `limit` records that are over: tombstones after their time, and sessions after theirs. The background
    /// does so by itself ([`Upkeep`](crate::Upkeep)). Answers how many were removed.
    ///
    /// # Errors
    /// `unsupported` if the store has no `purge_tokens`; `store_unavailable`.
    pub async fn purge(&self, limit: u32) -> Result<u64> {
        let ready = self.ready()?;
        ready.keeper().purge(ready.clock().now(), limit).await
    }

    /// Looks whether the store answers. Closures for every client are asked for a token of a client `tokenkeep-health`;
    /// those of single clients are not asked.
    ///
    /// # Errors
    /// `store_unavailable`, `not_initialized`.
    pub async fn check_store(&self) -> Result<()> {
        self.ready()?.keeper().check_store().await
    }

    /// The store's name, such as `sqlite`.
    ///
    /// # Errors
    /// `not_initialized`.
    pub fn store_name(&self) -> Result<&'static str> {
        Ok(self.ready()?.keeper().store().name())
    }

    /// Waits until no refresh, commit or revocation is under way, at most so long: call it at shutdown. Answers how many
    /// are left.
    ///
    /// # Errors
    /// `not_initialized`.
    pub async fn drain(&self, timeout: Duration) -> Result<usize> {
        Ok(self.ready()?.keeper().drain(timeout).await)
    }

    /// The time as this registry sees it.
    ///
    /// # Errors
    /// `not_initialized`.
    pub fn now(&self) -> Result<Timestamp> {
        Ok(self.ready()?.clock().now())
    }

    /// Loads the provider's metadata that a client needs, if they are not loaded yet: before the first user comes, or to
    /// say that this process is ready.
    ///
    /// # Errors
    /// Those of loading the metadata.
    pub async fn warm_up(&self, client: &str) -> Result<()> {
        self.ready()?.clients().terms(client).await.map(drop)
    }
}
