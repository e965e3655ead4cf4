//! A store with one fault, over the reference store.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokenkeep_core::{Clock, SystemClock, Timestamp, TokenKey, store::*};
use tokenkeep_memory::MemoryStore;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    FailsOnAbsent,
    TellsNoTime,
    LosesWrites,
    NeverReplaces,
    Upserts,
    NeverCompares,
    InsertsOnMissing,
    AcceptsFormerVersions,
    ReadsStale,
    ComparesThenWrites,
    LocksTheTable,
    TakesBodiesForText,
    CutsBodies,
    CountsInFloats,
    TakesEmptyForNull,
    KeepsOldColumns,
    FoldsCase,
    Normalises,
    KnowsNoEmoji,
    TrimsBlanks,
    JoinsKeys,
    Unescapes,
    CutsKeys,
    HasOneSlot,
    PurgesWhatIsNotDue,
    PurgesWithoutLimit,
    PurgesNewLogins,
    PutsTwice,
    FoldsIds,
    TakesValuesForText,
    LooksThenPuts,
    TakesWithoutRemoving,
    LooksThenTakes,
    ForgetsEarly,
    NeverExpires,
    IgnoresSid,
    FindsNoBodies,
    LosesTheLastOfAPage,
    CountsPages,
    TakesAnyPageCursor,
    SubscribesLate,
    DropsChanges,
    HearsOnlyItself,
    ReordersChanges,
    HidesWritesAfterLeases,
    HasOneListener,
    IgnoresCursors,
    HidesGaps,
    ClosesAllFeeds,
    Panics,
}

/// A clock that can be put forward.
#[derive(Debug, Default)]
pub(crate) struct Ahead(AtomicU64);

impl Ahead {
    pub(crate) fn forward(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }
}

/// One handle.
pub(crate) struct Wrong {
    pub(crate) fault: Fault,
    pub(crate) right: MemoryStore,
    pub(crate) shared: Arc<Shared>,
    /// What this handle has read and written.
    cache: Mutex<HashMap<TokenKey, StoredRecord>>,
    pub(crate) own: Arc<Mutex<HashSet<Version>>>,
}

/// What all handles share beside the right store.
#[derive(Default)]
pub(crate) struct Shared {
    clock: Arc<Ahead>,
    former: Mutex<HashMap<TokenKey, HashSet<Version>>>,
    leased: Mutex<HashSet<TokenKey>>,
    writing: AtomicUsize,
    pub(crate) listener: AtomicUsize,
    pub(crate) closed: AtomicUsize,
}

impl Wrong {
    pub(crate) fn new(fault: Fault) -> Self {
        let shared = Arc::new(Shared::default());
        let clock = Arc::clone(&shared.clock);
        Self {
            fault,
            right: MemoryStore::with_clock(clock),
            shared,
            cache: Mutex::default(),
            own: Arc::default(),
        }
    }

    pub(crate) fn second(&self) -> Self {
        Self {
            fault: self.fault,
            right: self.right.clone(),
            shared: Arc::clone(&self.shared),
            cache: Mutex::default(),
            own: Arc::default(),
        }
    }

    pub(crate) fn clock(&self) -> Arc<Ahead> {
        Arc::clone(&self.shared.clock)
    }

    pub(crate) async fn stored(&self, key: &TokenKey) -> Option<StoredRecord> {
        self.right.fetch_token(key).await.unwrap().record
    }

    /// Writes without comparing, whatever others do.
    async fn force(&self, key: &TokenKey, record: &StoredRecord) {
        loop {
            let found = self.stored(key).await;
            let expected = found.map_or(Expected::Absent, |found| Expected::Version(found.version));
            if self.right.update_token(key, record, expected).await.is_ok() {
                return;
            }
        }
    }

    /// Removes a record, whatever it is.
    pub(crate) async fn remove(&self, key: &TokenKey) {
        if let Some(mut record) = self.stored(key).await {
            record.index.purge_at = Some(Timestamp::from_millis(i64::MIN));
            record.announce = false;
            self.force(key, &record).await;
            let before = Timestamp::from_millis(i64::MIN + 1);
            self.right.purge_tokens(before, u32::MAX).await.unwrap();
        }
    }

    fn key(&self, key: &TokenKey) -> TokenKey {
        let change: &dyn Fn(&str) -> String = match self.fault {
            Fault::FoldsCase => &str::to_lowercase,
            Fault::Normalises => &|part| part.replace("e\u{301}", "\u{e9}"),
            Fault::KnowsNoEmoji => &|part| {
                let known = |c: char| if c > '\u{ffff}' { '?' } else { c };
                part.chars().map(known).collect()
            },
            Fault::TrimsBlanks => &|part| match part.trim_end_matches(' ') {
                "" => part.to_owned(),
                trimmed => trimmed.to_owned(),
            },
            Fault::Unescapes => &|part| part.replace("\\\\", "\\"),
            Fault::CutsKeys => &|part| part.chars().take(191).collect(),
            Fault::HasOneSlot => &|part| part.replacen("session:", "account:", 1),
            Fault::JoinsKeys => {
                let (client, owner, slot) = (key.client(), key.owner_column(), key.slot_column());
                let mut hasher = DefaultHasher::new();
                format!("{client}:{owner}:{slot}").hash(&mut hasher);
                return TokenKey::new("joined", &hasher.finish().to_string()).unwrap();
            }
            _ => return key.clone(),
        };
        let [client, owner] = [key.client(), key.owner_column()].map(change);
        TokenKey::from_columns(&client, &owner, &change(&key.slot_column())).unwrap()
    }

    fn spoilt(&self, record: &StoredRecord, old: Option<&StoredRecord>) -> StoredRecord {
        let mut record = record.clone();
        let index = &mut record.index;
        match self.fault {
            Fault::TakesBodiesForText => {
                record.body = String::from_utf8_lossy(&record.body)
                    .into_owned()
                    .into_bytes();
            }
            Fault::CutsBodies => record.body.truncate(1 << 19),
            Fault::CountsInFloats => record.generation = record.generation as f64 as u64,
            Fault::TakesEmptyForNull => {
                for text in [&mut index.issuer, &mut index.subject, &mut index.sid] {
                    *text = text.take().filter(|text| !text.is_empty());
                }
            }
            Fault::KeepsOldColumns => {
                if let Some(old) = old {
                    index.sid = index.sid.take().or_else(|| old.index.sid.clone());
                    index.purge_at = index.purge_at.or(old.index.purge_at);
                }
            }
            _ => {}
        }
        record
    }
}

#[async_trait]
impl FetchToken for Wrong {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let mut fetched = self.right.fetch_token(&self.key(key)).await?;
        match self.fault {
            Fault::Panics if key.owner_column() == "nobody" => panic!("a wrong store"),
            Fault::FailsOnAbsent if fetched.record.is_none() => {
                return Err(StoreError::other("no rows"));
            }
            Fault::TellsNoTime if fetched.record.is_none() => fetched.now = None,
            Fault::ReadsStale => {
                let mut cache = self.cache.lock().unwrap();
                if let Some(cached) = cache.get(key) {
                    fetched.record = Some(cached.clone());
                } else if let Some(record) = &fetched.record {
                    cache.insert(key.clone(), record.clone());
                }
            }
            _ => {}
        }
        Ok(fetched)
    }
}

#[async_trait]
impl UpdateToken for Wrong {
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let key = &self.key(key);
        let found = self.stored(key).await;
        let mut record = self.spoilt(record, found.as_ref());
        let current = found
            .as_ref()
            .map_or(Expected::Absent, |found| Expected::Version(found.version));
        let mut expected = expected;
        match (self.fault, expected) {
            (Fault::LosesWrites, _) => return Ok(()),
            (Fault::NeverReplaces, Expected::Version(_)) => return Err(StoreError::Conflict),
            (Fault::Upserts, Expected::Absent) => {
                self.force(key, &record).await;
                return Ok(());
            }
            (Fault::NeverCompares, Expected::Version(_)) if found.is_some() => {
                self.force(key, &record).await;
                return Ok(());
            }
            (Fault::InsertsOnMissing, Expected::Version(_)) if found.is_none() => {
                expected = Expected::Absent;
            }
            (Fault::AcceptsFormerVersions, Expected::Version(version)) => {
                let former = self.shared.former.lock().unwrap();
                if former.get(key).is_some_and(|seen| seen.contains(&version)) {
                    expected = current;
                }
            }
            (Fault::ComparesThenWrites, _) => {
                if expected != current {
                    return Err(StoreError::Conflict);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
                self.force(key, &record).await;
                return Ok(());
            }
            (Fault::LocksTheTable, _) => {
                let others = self.shared.writing.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
                self.shared.writing.fetch_sub(1, Ordering::SeqCst);
                if others > 0 {
                    return Err(StoreError::Conflict);
                }
            }
            (Fault::HidesWritesAfterLeases, _) => {
                let mut leased = self.shared.leased.lock().unwrap();
                if !record.announce {
                    leased.insert(key.clone());
                } else if leased.remove(key) {
                    record.announce = false;
                }
            }
            _ => {}
        }
        if self.fault == Fault::AcceptsFormerVersions {
            let mut former = self.shared.former.lock().unwrap();
            former
                .entry(key.clone())
                .or_default()
                .insert(record.version);
        }
        if self.fault == Fault::HearsOnlyItself {
            self.own.lock().unwrap().insert(record.version);
        }
        self.right.update_token(key, &record, expected).await
    }
}
