//! What a process holds of a record between two looks at the store: the hot path.
//!
//! A snapshot is replaced whole and read without a lock. It is trusted as long as nothing says otherwise: a hint about
//! its key, a gap of the feed (one number for all), or, without a feed, its age.

use std::{
    collections::HashMap,
    future::Future,
    hash::{BuildHasherDefault, Hasher},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use reqwest::header::HeaderValue;
use tokio::sync::Notify;

use super::decide::Wrote;
use crate::{
    Timestamp, Token, TokenKey,
    store::{StoredRecord, Version},
    token::{
        AccessToken, Credential, GrantId, NeedsLoginCause, Payload, Record, Secret, State, Target,
    },
};

/// An access token, ready to be sent. What the hot path reads stands first.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Held {
    /// The earlier of expiry and refresh: until then it is handed out without a thought.
    ready_until: Duration,
    material: Material,
    pub(crate) target: Target,
    /// The monotonic time at which it expires.
    expires: Option<Duration>,
    /// The monotonic time from which on it is renewed in the background.
    refresh_at: Option<Duration>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) issued_generation: u64,
}

#[derive(Clone)]
enum Material {
    /// `Authorization: Bearer …`, whole.
    Bearer(HeaderValue),
    Other(Credential, Secret),
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

const BEARER: &str = "Bearer ";

impl Held {
    pub(crate) fn wants_refresh(&self, monotonic: Duration) -> bool {
        self.refresh_at.is_some_and(|at| at <= monotonic)
    }

    /// The whole header value, for a bearer token.
    pub(crate) fn bearer(&self) -> Option<&HeaderValue> {
        match &self.material {
            Material::Bearer(header) => Some(header),
            Material::Other(..) => None,
        }
    }

    pub(crate) fn credential(&self) -> Credential {
        match &self.material {
            Material::Bearer(_) => Credential::Bearer,
            Material::Other(credential, _) => credential.clone(),
        }
    }

    fn access_token(&self) -> Secret {
        match &self.material {
            Material::Bearer(header) => header
                .to_str()
                .ok()
                .and_then(|text| text.strip_prefix(BEARER))
                .unwrap_or_default()
                .into(),
            Material::Other(_, secret) => secret.clone(),
        }
    }

    /// The token as the application sees it; what it does not need (the refresh token) is not held here.
    pub(crate) fn token(&self) -> Token {
        Token {
            access_token: self.access_token(),
            credential: self.credential(),
            refresh_token: None,
            id_token: None,
            expires_at: self.expires_at,
            scopes: self.scopes.clone(),
            generation: self.issued_generation,
        }
    }
}

/// A record as this process last saw it. What the hot path reads stands first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Snapshot {
    pub(crate) seen: Seen,
    /// The login's own token: nearly always the only one.
    login: Option<Held>,
    others: Vec<Held>,
    pub(crate) grant_id: GrantId,
    pub(crate) generation: u64,
    pub(crate) version: Version,
    pub(crate) state: State,
    pub(crate) refreshable: bool,
    /// The monotonic time before which nobody asks the provider.
    pub(crate) not_before: Option<Duration>,
    /// Does the store's change feed tell of it?
    followed: bool,
    /// Another process sealed it with a key that this one lacks.
    pub(crate) key_missing: bool,
    /// Access tokens issued up to this generation count as expired.
    expired_through: Option<u64>,
    /// What a session keeps; grants keep nothing here.
    pub(crate) session: Option<Arc<Payload>>,
}

/// What a look at the store knew when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    epoch: u64,
    hints: u64,
    /// Monotonic.
    pub(crate) at: Duration,
}

/// When tokens are renewed before they expire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefreshPoint {
    /// A part of the lifetime, per process between 0 and 0.1, so that a fleet does not wake at once.
    pub(crate) spread: f64,
    /// At least this long before the expiry, if the client says so.
    pub(crate) leeway: Option<Duration>,
}

impl RefreshPoint {
    /// How long before its expiry a token of this lifetime is renewed.
    pub(crate) fn before_expiry(self, lifetime: Duration) -> Duration {
        let fifth = (lifetime / 5).min(Duration::from_secs(300));
        let margin = self
            .leeway
            .unwrap_or(Duration::ZERO)
            .max(Duration::from_secs(30))
            .max(fifth);
        (margin + lifetime.mul_f64(self.spread.clamp(0.0, 0.1))).min(lifetime / 2)
    }
}

impl Snapshot {
    /// What a record of the store holds at this moment; `now` is the store's time at `seen.at`.
    pub(crate) fn of(
        key: &TokenKey,
        record: &Record,
        now: Timestamp,
        seen: Seen,
        point: RefreshPoint,
    ) -> Self {
        let header = &record.header;
        let monotonic = |at: Timestamp| seen.at + at.since(now);
        let held = |access: &AccessToken| {
            let expired = header
                .expired_through
                .is_some_and(|through| access.issued_generation <= through);
            let expires = if expired {
                Some(seen.at)
            } else {
                access.expires_at.map(monotonic)
            };
            let refresh_at = expires.zip(access.expires_at).map(|(expires, at)| {
                let lifetime = access
                    .issued_at
                    .map_or_else(|| at.since(now), |issued| at.since(issued));
                expires.saturating_sub(point.before_expiry(lifetime))
            });
            let refresh_at = refresh_at.filter(|_| header.refreshable);
            let text = access.token.expose();
            let material = match &access.credential {
                Credential::Bearer => {
                    let mut header = HeaderValue::try_from([BEARER, text].concat()).ok()?;
                    header.set_sensitive(true);
                    Material::Bearer(header)
                }
                other => Material::Other(other.clone(), access.token.clone()),
            };
            Some(Held {
                target: access.target.clone(),
                material,
                expires_at: if expired {
                    Some(now)
                } else {
                    access.expires_at
                },
                expires,
                refresh_at,
                ready_until: [expires, refresh_at]
                    .into_iter()
                    .flatten()
                    .min()
                    .unwrap_or(Duration::MAX),
                scopes: access.scopes.clone(),
                issued_generation: access.issued_generation,
            })
        };
        let payload = record
            .payload()
            .filter(|_| header.state != State::LoggedOut);
        let mut tokens: Vec<Held> = payload
            .map(|payload| payload.access_tokens.iter().filter_map(held).collect())
            .unwrap_or_default();
        tokens.sort_by_key(|held| !held.target.is_login());
        let mut tokens = tokens.into_iter().peekable();
        Self {
            grant_id: header.grant_id,
            generation: header.generation,
            version: record.version,
            state: header.state,
            refreshable: header.refreshable,
            not_before: header.not_before.map(monotonic),
            login: tokens.next_if(|held| held.target.is_login()),
            others: tokens.collect(),
            followed: true,
            key_missing: matches!(record.body, crate::token::Body::KeyMissing { .. }),
            expired_through: header.expired_through,
            session: payload
                .filter(|_| !key.is_account())
                .map(|payload| Arc::new(payload.clone())),
            seen,
        }
    }

    /// It is kept where no change feed tells of it.
    pub(crate) fn unfollowed(mut self) -> Self {
        self.followed = false;
        self
    }

    /// The grant was issued to another registration: nothing of it may be sent.
    pub(crate) fn of_another_registration(mut self) -> Self {
        self.login = None;
        self.others.clear();
        self.session = None;
        // Nothing that was seen before is kept for it either.
        self.key_missing = false;
        if self.state == State::Active {
            self.state = State::NeedsLogin {
                cause: NeedsLoginCause::RegistrationChanged,
            };
        }
        self
    }

    /// What this process cannot open any more it goes on serving as it last saw it: the same grant's access tokens, as long
    /// as they last (G7), and the same generation's session.
    fn keeping(mut self, old: &Self) -> Self {
        let cause = NeedsLoginCause::IdentityChanged;
        let taken_back = [State::LoggedOut, State::NeedsLogin { cause }].contains(&self.state);
        if taken_back || self.grant_id != old.grant_id {
            return self;
        }
        let lasts = |held: &&Held| {
            self.expired_through
                .is_none_or(|through| held.issued_generation > through)
        };
        self.login = old.login.as_ref().filter(lasts).cloned();
        self.others = old.others.iter().filter(lasts).cloned().collect();
        if self.generation == old.generation {
            self.session.clone_from(&old.session);
        }
        self
    }

    /// Does it stay in the place of another one? Of one generation the later look counts; a logout is the end of its grant
    /// (G4), whatever generation was being committed meanwhile.
    fn beats(&self, new: &Self) -> bool {
        let ended = |snapshot: &Self| snapshot.state == State::LoggedOut;
        if self.grant_id == new.grant_id && ended(self) != ended(new) {
            return ended(self);
        }
        let look = |snapshot: &Self| (snapshot.seen.hints, snapshot.seen.at);
        self.generation > new.generation
            || (self.generation == new.generation && look(self) > look(new))
    }

    /// The token for a target that fits the need, if it may be sent at this time.
    pub(crate) fn usable(&self, target: &Target, need: Need, monotonic: Duration) -> Option<&Held> {
        if self.state == State::LoggedOut {
            return None;
        }
        self.login.iter().chain(&self.others).find(|held| {
            held.target == *target
                && need
                    .newer_than
                    .is_none_or(|generation| held.issued_generation > generation)
                && held
                    .expires
                    .is_none_or(|expires| expires > monotonic + need.min_ttl)
        })
    }
}

/// What a caller needs of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// It must live this much longer.
    pub(crate) min_ttl: Duration,
    /// It must be of a later generation than this one, which an API refused.
    pub(crate) newer_than: Option<u64>,
}

/// What this process wrote last: if a fail-over loses it, it is written again (rule 14).
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    pub(crate) record: StoredRecord,
    pub(crate) wrote: Wrote,
    /// Monotonic.
    pub(crate) at: Duration,
}

/// Forced refreshes that did not help pause the next ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Forced {
    pub(crate) until: Duration,
    pub(crate) pause: Duration,
}

/// Everything a process holds of one key.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    snapshot: ArcSwapOption<Snapshot>,
    hints: AtomicU64,
    /// Wakes whoever waits for another process.
    pub(crate) changed: Notify,
    /// One look at the store at a time.
    pub(crate) loading: tokio::sync::Mutex<()>,
    announced: Mutex<Announced>,
    pub(crate) recent: Mutex<Option<Recent>>,
    pub(crate) forced: Mutex<Forced>,
    /// Where its [`Ready`] stands.
    place: Option<(TokenKey, Weak<Shards>)>,
    /// The hooks of a key run one after the other.
    hooks: Arc<tokio::sync::Mutex<()>>,
}

/// What was told of a key; its generations never repeat.
#[derive(Debug, Default)]
struct Announced {
    /// The last generation that was told.
    told: u64,
    /// The one that the first look showed: no news by itself, because it may be old. The feed may still tell of it.
    first: u64,
}

/// A place in the line of a key's hooks.
pub(crate) type HookTurn = Pin<Box<dyn Future<Output = tokio::sync::OwnedMutexGuard<()>> + Send>>;

impl Entry {
    /// The snapshot, whether it can be trusted or not.
    pub(crate) fn latest(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// Installs a snapshot unless it is older than what is there. Answers what is there then.
    pub(crate) fn install(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let new = match self.latest() {
            Some(old) if snapshot.key_missing => Arc::new(snapshot.keeping(&old)),
            _ => Arc::new(snapshot),
        };
        let old = self.snapshot.rcu(|old| match old {
            Some(old) if old.beats(&new) => Some(Arc::clone(old)),
            _ => Some(Arc::clone(&new)),
        });
        self.settle();
        // Whoever waits has looked itself: what it saw then is no reason to look again.
        if old.is_none_or(|old| old.version != new.version && !old.beats(&new)) {
            self.changed.notify_waiters();
        }
        self.latest().unwrap_or(new)
    }

    /// What a look may claim to know once this process has written on its ground: a look that began before the write ended
    /// can neither replace what was written nor be trusted.
    pub(crate) fn written(&self, look: Seen) -> Seen {
        let hints = self.hints.fetch_add(1, Ordering::AcqRel);
        if hints == look.hints {
            Seen {
                hints: hints + 1,
                ..look
            }
        } else {
            // Somebody else may have written on top of it.
            look
        }
    }

    /// Forgets the snapshot: there is no row.
    pub(crate) fn clear(&self) -> Option<Arc<Snapshot>> {
        let old = self.snapshot.swap(None);
        self.settle();
        self.changed.notify_waiters();
        old
    }

    /// Somebody says that the record changed; a look at the store that began before does not count.
    pub(crate) fn hint(&self) {
        self.hints.fetch_add(1, Ordering::AcqRel);
        self.settle();
        self.changed.notify_waiters();
    }

    /// Writes down for the hot path what holds now. Whatever changes the snapshot or the hints ends with it; under the
    /// shard's lock the last of several has the last word.
    fn settle(&self) {
        let Some((key, shards)) = &self.place else {
            return;
        };
        let Some(shards) = shards.upgrade() else {
            return;
        };
        let mut shard = shards
            .of(key)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = shard.get_mut(key)
            && std::ptr::eq(&*slot.entry, self)
        {
            slot.ready = self.ready();
        }
    }

    fn ready(&self) -> Option<Ready> {
        let snapshot = self.snapshot.load();
        let snapshot = snapshot.as_ref()?;
        let held = snapshot.login.as_ref()?;
        let hinted = snapshot.seen.hints != self.hints.load(Ordering::Acquire);
        let header = held.bearer().filter(|_| !hinted)?;
        Some(Ready {
            seen: snapshot.seen,
            followed: snapshot.followed,
            until: held.ready_until,
            header: header.clone(),
        })
    }

    /// A look shows a generation. The first one of a key is no news; a later one is told, if it was not yet.
    pub(crate) fn looked_at(&self, generation: u64, tell: impl FnOnce()) -> bool {
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = announced.told.max(announced.first);
        if known == 0 {
            announced.first = generation;
        } else if known < generation {
            announced.told = generation;
            tell();
        }
        known > 0
    }

    /// Takes a place in the line of the key's hooks, now: they run in the order of what they tell, and what is written
    /// elsewhere is never older than what was written there before.
    pub(crate) fn hook_turn(&self) -> HookTurn {
        let mut turn: HookTurn = Box::pin(tokio::task::unconstrained(
            Arc::clone(&self.hooks).lock_owned(),
        ));
        // Whoever waits for a lock has a place from the first poll on.
        match turn.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(guard) => Box::pin(std::future::ready(guard)),
            Poll::Pending => turn,
        }
    }

    /// Tells of a generation, unless this or a newer one was told before: a commit whose answer came late may find that
    /// others have gone on. Whoever tells holds the lock, so that the order of telling is that of the generations (G8).
    pub(crate) fn announce(&self, generation: u64, tell: impl FnOnce()) {
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if announced.told < generation {
            announced.told = generation;
            tell();
        }
    }
}

/// The login's own header as the hot path finds it: a copy of what the entry's snapshot says, so that one look into the
/// map is all.
#[derive(Debug)]
struct Ready {
    seen: Seen,
    followed: bool,
    until: Duration,
    header: HeaderValue,
}

#[derive(Debug)]
struct Slot {
    ready: Option<Ready>,
    entry: Arc<Entry>,
}

type Shard = RwLock<HashMap<TokenKey, Slot, BuildHasherDefault<Hashed>>>;

#[derive(Debug)]
struct Shards(Box<[Shard]>);

impl Shards {
    fn of(&self, key: &TokenKey) -> &Shard {
        // The map takes the low and the highest bits.
        &self.0[(key.hash_value() >> 40) as usize % SHARDS]
    }
}

/// A key brings its hash along.
#[derive(Default)]
struct Hashed(u64);

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
    shards: Arc<Shards>,
    epoch: AtomicU64,
    feed: AtomicBool,
    /// How old a snapshot may be without a feed.
    max_age: Duration,
    /// How many keys at most.
    capacity: usize,
}

const SHARDS: usize = 64;

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
            entry: Arc::new(Entry {
                place: Some((key.clone(), Arc::downgrade(&self.shards))),
                ..Entry::default()
            }),
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

#[cfg(test)]
mod tests;
