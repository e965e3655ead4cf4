//! The reference token store: in memory, inside one process.
//!
//! It keeps every promise of the store contract in the plainest way, so it is what other stores are compared with, what
//! tests use, and what an application of one process may use if its users can log in again after a restart.

mod feed;
mod once;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokenkeep_core::{
    Clock, SystemClock, Timestamp, TokenKey,
    store::{
        Capabilities, Changes, Cursor, Expected, FetchToken, Fetched, Page, PageOf, StoreError,
        StoredRecord, TokenQuery, TokenStore, TokenSummary, UpdateToken,
    },
};

use crate::{feed::Feed, once::Once};

/// A token store in memory.
///
/// A clone is another handle to the same records. Everything is gone when the last one is dropped.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use tokenkeep_core::{TokenKey, store::FetchToken};
/// use tokenkeep_memory::MemoryStore;
///
/// let store = MemoryStore::new();
/// let fetched = store.fetch_token(&TokenKey::new("github", "42")?).await?;
/// assert!(fetched.record.is_none());
/// # Ok::<_, Box<dyn std::error::Error>>(()) })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

struct State {
    // The order of keys is the order of their columns: owner, client, slot.
    records: BTreeMap<TokenKey, StoredRecord>,
    once: Once,
    feed: Feed,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store that takes its time from this clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Arc::new(Mutex::new(State {
                records: BTreeMap::new(),
                once: Once::default(),
                feed: Feed::new(),
            })),
        }
    }

    /// How many values [`put_once`](TokenStore::put_once) may keep at a time: 100,000 unless told. When as many are
    /// kept and none has expired, it fails: it never forgets a replay guard to make room.
    #[must_use]
    pub fn with_once_limit(self, limit: usize) -> Self {
        self.state().once.limit(limit);
        self
    }

    /// The lock is held for single steps that cannot fail halfway, and never over an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.state().records.len();
        f.debug_struct("MemoryStore")
            .field("records", &records)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl FetchToken for MemoryStore {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let record = self.state().records.get(key).cloned();
        Ok(Fetched::new(record, Some(self.clock.now())))
    }
}

#[async_trait]
impl UpdateToken for MemoryStore {
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let record = record.clone();
        let mut state = self.state();
        let found = state.records.get(key).map(|stored| stored.version);
        let fits = match expected {
            Expected::Absent => found.is_none(),
            Expected::Version(version) => found == Some(version),
        };
        if !fits {
            return Err(StoreError::Conflict);
        }
        if record.announce {
            // Under the lock, so that the order of the feed is the order of the writes.
            state.feed.announce(key, &record);
        }
        state.records.insert(key.clone(), record);
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::embedded()
    }

    async fn find_tokens(
        &self,
        query: &TokenQuery,
        page: Page,
    ) -> Result<PageOf<TokenSummary>, StoreError> {
        let limit = page.limit.max(1);
        let start = match (page.after_key()?, &query.owner) {
            (Some(after), _) => Bound::Excluded(after),
            // The records of an owner stand together, and no client's name sorts before a blank.
            (None, Some(owner)) => match TokenKey::from_columns(" ", owner, "") {
                Ok(first) => Bound::Included(first),
                Err(_) => return Ok(PageOf::new(Vec::new(), None)),
            },
            (None, None) => Bound::Unbounded,
        };
        let state = self.state();
        let found = state
            .records
            .range((start, Bound::Unbounded))
            .take_while(|(key, _)| {
                query
                    .owner
                    .as_ref()
                    .is_none_or(|owner| owner == key.owner_column())
            })
            .filter(|(key, record)| query.matches(key, &record.index))
            .take(
                usize::try_from(limit)
                    .unwrap_or(usize::MAX)
                    .saturating_add(1),
            )
            .map(|(key, record)| TokenSummary::new(key.clone(), record.clone()))
            .collect();
        Ok(PageOf::in_key_order(found, limit, |summary| &summary.key))
    }

    async fn purge_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.state();
        let due: Vec<_> = state
            .records
            .iter()
            .filter(|(_, record)| record.index.purge_at.is_some_and(|at| at < before))
            .map(|(key, _)| key.clone())
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect();
        for key in &due {
            state.records.remove(key);
        }
        Ok(due.len() as u64)
    }

    async fn put_once(
        &self,
        space: &str,
        id: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        self.state().once.put(space, id, value, now, now + ttl)
    }

    async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().once.take(space, id, self.clock.now()))
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        Ok(self.state().feed.subscribe(since.as_ref()))
    }
}
