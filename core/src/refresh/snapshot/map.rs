//! All keys of a process, and the hot path.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::header::HeaderValue;

use super::{Entry, Seen, Snapshot};
use crate::{TokenKey, token::Target};

/// The login's own header as the hot path finds it: a copy of what the entry's snapshot says, so that one look into the
/// map is all.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) seen: Seen,
    pub(super) followed: bool,
    pub(super) until: Duration,
    pub(super) header: HeaderValue,
}

#[derive(Debug)]
pub(super) struct Slot {
    ready: Option<Ready>,
    entry: Arc<Entry>,
}

pub(super) type Shard = RwLock<HashMap<TokenKey, Slot, BuildHasherDefault<Hashed>>>;

#[derive(Debug)]
pub(super) struct Shards(pub(super) Box<[Shard]>);

impl Shards {
    fn of(&self, key: &TokenKey) -> &Shard {
        // The map takes the low and the highest bits.
        &self.0[(key.hash_value() >> 40) as usize % SHARDS]
    }

    /// Writes down what an entry says for the hot path, if it still is the key's.
    pub(super) fn settle(&self, key: &TokenKey, entry: &Entry) {
        let mut shard = self.of(key).write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = shard.get_mut(key)
            && std::ptr::eq(&*slot.entry, entry)
        {
            slot.ready = entry.ready();
        }
    }
}

/// A key brings its hash along.
#[derive(Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Keys write one number; whatever else comes only has to be some hash.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// All snapshots of a process.
#[derive(Debug)]
pub(crate) struct Snapshots {
    pub(super) shards: Arc<Shards>,
    epoch: AtomicU64,
    feed: AtomicBool,
    /// How old a snapshot may be without a feed.
    max_age: Duration,
    /// How many keys at most.
    capacity: usize,
}

pub(super) const SHARDS: usize = 64;

impl Snapshots {
    pub(crate) fn new(max_age: Duration, capacity: usize) -> Self {
        Self {
            shards: Arc::new(Shards((0..SHARDS).map(|_| RwLock::default()).collect())),
            epoch: AtomicU64::new(0),
            feed: AtomicBool::new(false),
            max_age,
            capacity: capacity.max(SHARDS),
        }
    }

    pub(crate) fn get(&self, key: &TokenKey) -> Option<Arc<Entry>> {
        self.shards
            .of(key)
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .map(|slot| Arc::clone(&slot.entry))
    }

    /// The entry of a key, made if there is none. A full shard forgets entries that nobody holds.
    pub(crate) fn entry(&self, key: &TokenKey) -> Arc<Entry> {
        if let Some(entry) = self.get(key) {
            return entry;
        }
        let mut shard = self
            .shards
            .of(key)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= self.capacity / SHARDS && !shard.contains_key(key) {
            let mut spare = shard.len() / 8 + 1;
            shard.retain(|_, slot| {
                let forget = spare > 0 && Arc::strong_count(&slot.entry) == 1;
                spare -= usize::from(forget);
                !forget
            });
        }
        let slot = shard.entry(key.clone()).or_insert_with(|| Slot {
            ready: None,
            entry: Arc::new(Entry::at(key.clone(), Arc::downgrade(&self.shards))),
        });
        Arc::clone(&slot.entry)
    }

    /// What a look at the store that begins now knows.
    pub(crate) fn look(&self, entry: &Entry, monotonic: Duration) -> Seen {
        Seen {
            epoch: self.epoch.load(Ordering::Acquire),
            hints: entry.hints.load(Ordering::Acquire),
            at: monotonic,
        }
    }

    /// Can the snapshot be trusted at this time?
    pub(crate) fn trusted(&self, entry: &Entry, snapshot: &Snapshot, monotonic: Duration) -> bool {
        snapshot.seen.hints == entry.hints.load(Ordering::Acquire)
            && self.fresh(snapshot.seen, snapshot.followed, monotonic)
    }

    /// Is a look recent enough, but for hints about its key?
    fn fresh(&self, seen: Seen, followed: bool, monotonic: Duration) -> bool {
        seen.epoch == self.epoch.load(Ordering::Acquire)
            && (followed && self.feed.load(Ordering::Acquire)
                || monotonic.saturating_sub(seen.at) < self.max_age)
    }

    /// The hot path: the header of a token that can be trusted, is not over, and needs no refresh. No lock, no
    /// allocation.
    pub(crate) fn ready(
        &self,
        entry: &Entry,
        target: &Target,
        monotonic: Duration,
    ) -> Option<HeaderValue> {
        let snapshot = entry.snapshot.load();
        let snapshot = snapshot.as_ref()?;
        if !self.trusted(entry, snapshot, monotonic) {
            return None;
        }
        let held = if target.is_login() {
            snapshot.login.as_ref()?
        } else {
            snapshot.others.iter().find(|held| held.target == *target)?
        };
        if monotonic < held.ready_until {
            held.bearer().cloned()
        } else {
            None
        }
    }

    /// The same for the login's own token of a key.
    pub(crate) fn ready_login(&self, key: &TokenKey, monotonic: Duration) -> Option<HeaderValue> {
        let shard = self
            .shards
            .of(key)
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let ready = shard.get(key)?.ready.as_ref()?;
        let fresh = self.fresh(ready.seen, ready.followed, monotonic);
        (fresh && monotonic < ready.until).then(|| ready.header.clone())
    }

    /// Nothing can be trusted any more until it is looked at again.
    pub(crate) fn distrust_all(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The change feed is there, or not.
    pub(crate) fn set_feed(&self, up: bool) {
        self.feed.store(up, Ordering::Release);
        self.distrust_all();
    }
}
