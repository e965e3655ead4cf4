//! Everything a process holds of one key: the snapshot, hints about it, and what was told.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::{
    Seen, Snapshot,
    map::{Ready, Shards},
};
use crate::{TokenKey, refresh::decide::Wrote, store::StoredRecord};

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
    pub(super) snapshot: ArcSwapOption<Snapshot>,
    pub(super) hints: AtomicU64,
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
pub(super) type HookTurn = Pin<Box<dyn Future<Output = tokio::sync::OwnedMutexGuard<()>> + Send>>;

impl Entry {
    /// The entry of a key, at its place in the map.
    pub(super) fn at(key: TokenKey, shards: Weak<Shards>) -> Self {
        Self {
            place: Some((key, shards)),
            ..Self::default()
        }
    }

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
        shards.settle(key, self);
    }

    pub(super) fn ready(&self) -> Option<Ready> {
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
