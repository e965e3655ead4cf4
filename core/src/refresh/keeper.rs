//! Everything that reads records: looks at the store, which write again what it lost, and keeps snapshots true.

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    breaker::Breakers,
    circuit::Circuits,
    coordinator::Flights,
    decide::{self, Mend},
    missing::Missing,
    snapshot::{Entry, RefreshPoint, Seen, Snapshot, Snapshots},
    source::TokenSource,
    transition::{self, Move},
    upkeep::Upkeep,
};
use crate::{
    Clock, Error, ErrorCode, Phase, Result, Timestamp, Token, TokenKey,
    events::Events,
    measure,
    store::{
        DynTokenStore, Expected, Fetched, Page, PageOf, StoreError, StoredRecord, TokenQuery,
        TokenSummary, Version,
    },
    token::{Record, Sealing, State},
};

/// Times of the refresh protocol. Each can be set at the builder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Of one token request.
    pub(crate) request: Duration,
    pub(crate) lease: Duration,
    /// From an answer to its commit.
    pub(crate) commit_budget: Duration,
    /// Of one call of the store.
    pub(crate) store: Duration,
    /// How long a tombstone stays.
    pub(crate) tombstone: Duration,
    /// How old a snapshot may be without a change feed.
    pub(crate) snapshot_age: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(10),
            lease: Duration::from_secs(30),
            commit_budget: Duration::from_secs(5),
            store: Duration::from_secs(5),
            tombstone: Duration::from_secs(7 * 24 * 3600),
            snapshot_age: Duration::from_secs(2),
        }
    }
}

/// The keeper of one registry's records. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Keeper(pub(super) Arc<Shared>);

/// A [`Keeper`] that does not keep the registry alive.
#[derive(Clone, Debug)]
pub(crate) struct WeakKeeper(Weak<Shared>);

impl WeakKeeper {
    pub(crate) fn upgrade(&self) -> Result<Keeper> {
        self.0.upgrade().map(Keeper).ok_or_else(|| {
            Error::new(
                ErrorCode::NotInitialized,
                Phase::Store,
                "the registry of this event is gone",
            )
        })
    }
}

pub(crate) struct Shared {
    pub(super) store: DynTokenStore,
    pub(super) sealing: Sealing,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timing: Timing,
    pub(super) spread: f64,
    pub(super) snapshots: Snapshots,
    pub(super) events: Events,
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) flights: Flights,
    pub(super) missing: Missing,
    pub(super) breakers: Breakers,
    pub(super) circuits: Circuits,
    /// This process's name, in trails.
    pub(super) process: String,
    pub(super) upkeep: Upkeep,
    pub(super) upkeep_started: std::sync::atomic::AtomicBool,
    own: Mutex<OwnWrites>,
    /// How many detached tasks are under way.
    tasks: watch::Sender<usize>,
    pub(super) feed_started: std::sync::atomic::AtomicBool,
    pub(super) told: Mutex<VecDeque<String>>,
    /// Closed when the registry is dropped.
    pub(super) alive: watch::Sender<()>,
    /// Is the change feed up?
    pub(super) follows: watch::Sender<bool>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper")
            .field("store", &self.store.name())
            .finish_non_exhaustive()
    }
}

/// The versions that this process wrote lately: their echo in the change feed is no news.
#[derive(Default)]
struct OwnWrites {
    known: HashSet<Version>,
    order: VecDeque<Version>,
}

const OWN_WRITES: usize = 8192;

/// What a look at the store found.
pub(crate) struct Look {
    pub(crate) record: Option<Record>,
    /// The store's time; this process's, if the store has none.
    pub(crate) now: Timestamp,
    pub(super) seen: Seen,
}

pub(crate) struct KeeperParts {
    pub(crate) store: DynTokenStore,
    pub(crate) sealing: Sealing,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timing: Timing,
    pub(crate) process: String,
    pub(crate) upkeep: Upkeep,
    pub(crate) snapshot_capacity: usize,
    pub(crate) event_capacity: usize,
    pub(crate) source: Arc<dyn TokenSource>,
}

impl Keeper {
    pub(crate) fn new(parts: KeeperParts) -> Self {
        Self(Arc::new(Shared {
            snapshots: Snapshots::new(parts.timing.snapshot_age, parts.snapshot_capacity),
            events: Events::new(parts.event_capacity),
            store: parts.store,
            sealing: parts.sealing,
            clock: parts.clock,
            timing: parts.timing,
            process: parts.process,
            upkeep: parts.upkeep,
            upkeep_started: std::sync::atomic::AtomicBool::new(false),
            spread: f64::from(u16::from_be_bytes(crate::seal::random())) / f64::from(u16::MAX)
                * 0.1,
            source: parts.source,
            flights: Flights::default(),
            missing: Missing::default(),
            breakers: Breakers::default(),
            circuits: Circuits::default(),
            own: Mutex::default(),
            tasks: watch::Sender::new(0),
            feed_started: std::sync::atomic::AtomicBool::new(false),
            told: Mutex::default(),
            alive: watch::Sender::new(()),
            follows: watch::Sender::new(false),
        }))
    }

    pub(crate) fn downgrade(&self) -> WeakKeeper {
        WeakKeeper(Arc::downgrade(&self.0))
    }

    pub(crate) fn events(&self) -> &Events {
        &self.0.events
    }

    pub(crate) fn store(&self) -> &DynTokenStore {
        &self.0.store
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.0.snapshots
    }

    /// Runs work that no caller can cancel; [`drain`](Self::drain) waits for it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        struct UnderWay(watch::Sender<usize>);
        impl Drop for UnderWay {
            fn drop(&mut self) {
                self.0.send_modify(|count| *count -= 1);
            }
        }
        self.0.tasks.send_modify(|count| *count += 1);
        let guard = UnderWay(self.0.tasks.clone());
        tokio::spawn(async move {
            let _guard = guard;
            work.await;
        });
    }

    /// Waits until no refresh, commit or revocation is under way, at most so long. Answers how many are left.
    pub(crate) async fn drain(&self, timeout: Duration) -> usize {
        let mut tasks = self.0.tasks.subscribe();
        tokio::select! {
            _ = tasks.wait_for(|count| *count == 0) => 0,
            () = self.0.clock.sleep(timeout) => *self.0.tasks.borrow(),
        }
    }

    /// A call of the store, with its timeout.
    pub(super) async fn within<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let result = tokio::select! {
            result = call => result,
            () = self.0.clock.sleep(self.0.timing.store) => Err(StoreError::other("no answer in time")),
        };
        if let Err(error) = &result
            && !matches!(error, StoreError::Conflict | StoreError::Unsupported { .. })
        {
            measure::store_error(operation);
        }
        result
    }

    pub(super) fn store_error(&self, key: &TokenKey, error: StoreError) -> Error {
        Error::from(error).with_client(key.client())
    }

    /// Looks at the store; what this process wrote within the last minute and the store lost, it writes again (rule 14).
    pub(super) async fn look(&self, key: &TokenKey, entry: &Entry) -> Result<Look> {
        let seen = self.0.snapshots.look(entry, self.0.clock.monotonic());
        let Fetched { record, now, .. } = self
            .within("fetch", self.0.store.fetch_token(key))
            .await
            .map_err(|error| self.store_error(key, error))?;
        let now = now.unwrap_or_else(|| self.0.clock.now());
        let mut record = record
            .map(|stored| Record::decode(key, stored, &self.0.sealing))
            .transpose()?;
        if let Some(found) = &record
            && let Some(again) = self.lost_write(key, entry, found, now)?
        {
            let expected = Expected::Version(found.version);
            let written = self
                .within("update", self.0.store.update_token(key, &again, expected))
                .await;
            if written.is_ok() {
                tracing::warn!(key = %key.mark(), "the store lost an acknowledged write; it was written again");
                record = Some(Record::decode(key, again, &self.0.sealing)?);
            }
        }
        Ok(Look { record, now, seen })
    }

    /// What this process writes again, because the store shows an older state than it wrote last.
    fn lost_write(
        &self,
        key: &TokenKey,
        entry: &Entry,
        found: &Record,
        now: Timestamp,
    ) -> Result<Option<StoredRecord>> {
        let mut recent = entry.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.take_if(|recent| {
            self.0.clock.monotonic().saturating_sub(recent.at) > Duration::from_secs(60)
        });
        let Some(recent) = recent.as_ref() else {
            return Ok(None);
        };
        let mut again = match decide::lost_write(&recent.wrote, found) {
            None => return Ok(None),
            Some(Mend::WriteAgain) => recent.record.clone(),
            Some(Mend::LogOut) => {
                let grant = Some(recent.wrote.grant_id);
                match transition::logout(Some(found), grant, now, self.0.timing.tombstone) {
                    Move::Write(record, _) => record.encode(key, &self.0.sealing, true)?,
                    Move::Stay(_) => return Ok(None),
                }
            }
        };
        again.version = Version::random();
        self.remember_own(again.version);
        Ok(Some(again))
    }

    pub(super) fn remember_own(&self, version: Version) {
        let mut own = self.0.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.order.len() >= OWN_WRITES
            && let Some(oldest) = own.order.pop_front()
        {
            own.known.remove(&oldest);
        }
        own.order.push_back(version);
        own.known.insert(version);
    }

    /// Did this process write that?
    pub(super) fn wrote(&self, version: &Version) -> bool {
        self.0
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .known
            .contains(version)
    }

    pub(super) fn snapshot_of(
        &self,
        key: &TokenKey,
        record: &Record,
        now: Timestamp,
        seen: Seen,
    ) -> Snapshot {
        let known = self.0.source.known(key.client());
        let point = RefreshPoint {
            spread: self.0.spread,
            leeway: known.leeway,
        };
        let snapshot = Snapshot::of(key, record, now, seen, point);
        let snapshot = if known.followed || !key.is_account() {
            snapshot
        } else {
            snapshot.unfollowed()
        };
        if known.fits(record) {
            snapshot
        } else {
            snapshot.of_another_registration()
        }
    }

    /// Looks at the store and installs what it shows.
    pub(crate) async fn load(
        &self,
        key: &TokenKey,
        entry: &Entry,
    ) -> Result<(Look, Option<Arc<Snapshot>>)> {
        self.start_feed();
        let look = self.look(key, entry).await?;
        let snapshot = match &look.record {
            Some(record) => {
                let installed = entry.install(self.snapshot_of(key, record, look.now, look.seen));
                self.observe(key, entry, record);
                Some(installed)
            }
            None => {
                self.observe_missing(key, entry, look.now);
                None
            }
        };
        Ok((look, snapshot))
    }

    /// A snapshot that can be trusted: the one that is there, or the store's. One look at a time for each key.
    pub(crate) async fn snapshot(
        &self,
        key: &TokenKey,
        entry: &Entry,
    ) -> Result<Option<Arc<Snapshot>>> {
        let trusted = || {
            entry.latest().filter(|snapshot| {
                self.0
                    .snapshots
                    .trusted(entry, snapshot, self.0.clock.monotonic())
            })
        };
        if let Some(snapshot) = trusted() {
            return Ok(Some(snapshot));
        }
        let _one = entry.loading.lock().await;
        if let Some(snapshot) = trusted() {
            return Ok(Some(snapshot));
        }
        Ok(self.load(key, entry).await?.1)
    }

    /// A page of records. A store that gives the same page again would keep whoever goes through all of them for ever.
    pub(crate) async fn find(
        &self,
        query: &TokenQuery,
        page: Page,
    ) -> Result<PageOf<TokenSummary>> {
        let after = page.after.clone();
        let found = self
            .within("find", self.0.store.find_tokens(query, page))
            .await?;
        if after.is_some() && found.next == after {
            return Err(StoreError::other("the store lists the same page again and again").into());
        }
        Ok(found)
    }

    /// Removes what is over.
    pub(crate) async fn purge(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let removed = self
            .within("purge", self.0.store.purge_tokens(before, limit))
            .await?;
        measure::purged(removed);
        Ok(removed)
    }

    /// Remembers something once.
    pub(crate) async fn put_once(
        &self,
        space: &str,
        id: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool> {
        Ok(self
            .within("once", self.0.store.put_once(space, id, value, ttl))
            .await?)
    }

    /// Gets back what was remembered, once.
    pub(crate) async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.within("once", self.0.store.take(space, id)).await?)
    }

    /// A client was registered anew: what its provider refused before says nothing any more.
    pub(crate) fn registered_anew(&self, client: &str) {
        self.0.breakers.forget(client);
        self.0.circuits.forget(client);
        // Tokens of another registration must not go on being served.
        self.0.snapshots.distrust_all();
    }

    /// Whatever is held in memory is looked at again before it is used.
    pub(crate) fn distrust(&self) {
        self.0.snapshots.distrust_all();
    }

    /// Does the store answer?
    pub(crate) async fn check_store(&self) -> Result<()> {
        let key = TokenKey::app("tokenkeep-health")?;
        self.within("fetch", self.0.store.fetch_token(&key))
            .await
            .map_err(Error::from)
            .map(drop)
    }

    /// Whatever token is stored, fresh or not; nothing is refreshed for it.
    pub(crate) async fn stored_token(&self, key: &TokenKey) -> Result<Token> {
        let entry = self.0.snapshots.entry(key);
        let (look, _) = self.load(key, &entry).await?;
        let record = look
            .record
            .filter(|record| record.header.state != State::LoggedOut);
        record
            .as_ref()
            .and_then(Record::login_token)
            .ok_or_else(|| no_token(key))
    }
}

/// Nobody logged in, or somebody logged out.
pub(crate) fn no_token(key: &TokenKey) -> Error {
    Error::new(
        ErrorCode::LoginRequired,
        Phase::Store,
        format!("no token is kept for {}", key.mark()),
    )
    .with_client(key.client())
}
