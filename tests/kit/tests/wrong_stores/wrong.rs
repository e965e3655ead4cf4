//! A store with one fault, over the reference store.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokenkeep_core::{Clock, SystemClock, Timestamp, TokenKey, store::*};
use tokenkeep_memory::MemoryStore;
use tokio::sync::broadcast;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Claims a capability and has no method for it.
    Lacks(&'static str),
    FailsOnAbsent,
    TellsNoTime,
    LosesWrites,
    NeverReplaces,
    Upserts,
    NeverCompares,
    InsertsOnMissing,
    FoldsVersions,
    AcceptsFormerVersions,
    CountsVersions,
    ComparesGenerations,
    SkipsLeases,
    DropsTombstones,
    KeepsPurgeAt,
    ReadsStale,
    ComparesThenWrites,
    ComparesThenReplaces,
    ReadsInTwoQueries,
    LeavesItselfLocked,
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
    PurgesFromAList,
    PutsTwice,
    FoldsIds,
    TakesValuesForText,
    CutsValues,
    LooksThenPuts,
    TakesWithoutRemoving,
    LooksThenTakes,
    CountsIn32Bits,
    CountsWholeSeconds,
    ForgetsEarly,
    NeverExpires,
    EndsWithItsTokens,
    IgnoresSid,
    FindsNoBodies,
    LosesTheLastOfAPage,
    CountsPages,
    TakesAnyPageCursor,
    TakesZeroAtItsWord,
    SubscribesLate,
    DropsChanges,
    HearsOnlyItself,
    ReordersChanges,
    HidesWritesAfterLeases,
    HasOneListener,
    IgnoresCursors,
    HidesGaps,
    HidesFallingBehind,
    AnnouncesRefusedWrites,
    ClosesAllFeeds,
    Panics,
    /// No fault, but it claims less than it has.
    HidesItsMerits,
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
    pub(crate) cache: Mutex<HashMap<TokenKey, StoredRecord>>,
    pub(crate) own: Arc<Mutex<HashSet<Version>>>,
}

/// What all handles share beside the right store.
pub(crate) struct Shared {
    pub(crate) clock: Arc<Ahead>,
    /// For each key its rows, one after the other, with the versions that each has had.
    pub(crate) former: Mutex<HashMap<TokenKey, Vec<Vec<Version>>>>,
    pub(crate) leased: Mutex<HashSet<TokenKey>>,
    pub(crate) writing: AtomicUsize,
    pub(crate) locked: AtomicBool,
    pub(crate) purge_list: Mutex<Vec<(Timestamp, TokenKey)>>,
    pub(crate) refused: broadcast::Sender<Change>,
    pub(crate) listener: AtomicUsize,
    pub(crate) closed: AtomicUsize,
}

impl Wrong {
    pub(crate) fn new(fault: Fault) -> Self {
        let shared = Arc::new(Shared {
            clock: Arc::default(),
            former: Mutex::default(),
            leased: Mutex::default(),
            writing: AtomicUsize::new(0),
            locked: AtomicBool::new(false),
            purge_list: Mutex::default(),
            refused: broadcast::Sender::new(16),
            listener: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
        });
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
    pub(crate) async fn force(&self, key: &TokenKey, record: &StoredRecord) {
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

    pub(crate) fn key(&self, key: &TokenKey) -> TokenKey {
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
            Fault::Unescapes => &|part| part.replace("''", "'"),
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

    pub(crate) fn spoilt(&self, record: &StoredRecord, old: Option<&StoredRecord>) -> StoredRecord {
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
                }
            }
            Fault::KeepsPurgeAt => {
                let old = old.and_then(|old| old.index.purge_at);
                index.purge_at = index.purge_at.or(old);
            }
            _ => {}
        }
        record
    }
}
