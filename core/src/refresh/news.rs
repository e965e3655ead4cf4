//! News of records: events for what this process did, and for what it learns of others through the feed or by looking.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio_stream::StreamExt;

use super::{
    keeper::{Keeper, WeakKeeper},
    snapshot::{Entry, Seen, Snapshot},
    transition::Line,
};
use crate::{
    ErrorCode, Timestamp, TokenKey,
    events::{Changed, LogoutCause, Origin, TokenUpdate},
    measure,
    store::{Change, StoreError},
    token::{Record, State, Step},
};

/// How many ids of past events are remembered, to tell each once.
const TOLD: usize = 1024;

impl Keeper {
    /// What an event tells of a record.
    pub(crate) fn changed(
        &self,
        key: &TokenKey,
        record: &Record,
        at: Timestamp,
        origin: Origin,
    ) -> Changed {
        self.changed_line(key, Line::of(record), at, origin)
    }

    fn changed_line(&self, key: &TokenKey, line: Line, at: Timestamp, origin: Origin) -> Changed {
        Changed {
            key: key.clone(),
            grant_id: line.grant_id,
            generation: line.generation,
            origin,
            at,
            replaced: None,
            token: None,
            keeper: self.downgrade(),
        }
    }

    /// Tells of what this process did to a record.
    pub(crate) fn tell(
        &self,
        key: &TokenKey,
        record: &Record,
        at: Timestamp,
        make: impl FnOnce(Changed) -> TokenUpdate,
    ) {
        self.tell_line(key, Line::of(record), at, make);
    }

    pub(crate) fn tell_line(
        &self,
        key: &TokenKey,
        line: Line,
        at: Timestamp,
        make: impl FnOnce(Changed) -> TokenUpdate,
    ) {
        self.tell_once(make(self.changed_line(key, line, at, Origin::Local)));
    }

    /// Sends an event unless one of the same id was sent lately.
    fn tell_once(&self, update: TokenUpdate) {
        let id = update.id();
        {
            let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.contains(&id) {
                return;
            }
            if told.len() >= TOLD {
                told.pop_front();
            }
            told.push_back(id);
        }
        self.0.events.send(update);
    }

    /// Installs a record that this process made or read.
    pub(crate) fn install_record(
        &self,
        key: &TokenKey,
        entry: &Entry,
        record: &Record,
        now: Timestamp,
        seen: Seen,
    ) -> Arc<Snapshot> {
        entry.install(self.snapshot_of(key, record, now, seen))
    }

    /// A look showed this record: what others did is news, once, and never backwards.
    pub(super) fn observe(&self, key: &TokenKey, entry: &Entry, record: &Record) {
        self.learn(key, entry, record, false);
    }

    fn learn(&self, key: &TokenKey, entry: &Entry, record: &Record, by_feed: bool) {
        // What this process wrote it tells itself.
        if self.wrote(&record.version) {
            return;
        }
        let at = record.index.changed_at;
        let remote = || self.changed(key, record, at, Origin::Remote);
        let last = record.header.trail.last().map(|step| step.step);
        let tell = || {
            if !key.is_account() {
                return;
            }
            let mut steps = record.header.trail.iter().rev().map(|entry| entry.step);
            match steps.find(|step| matches!(step, Step::Login | Step::Adopt | Step::Commit)) {
                // The application's own, before its first token.
                Some(Step::Login) if record.header.client_credentials => {}
                Some(Step::Login | Step::Adopt) => {
                    self.0.events.send(TokenUpdate::Issued(remote()))
                }
                _ => self.0.events.send(TokenUpdate::Refreshed(remote())),
            }
        };
        let generation = record.header.generation;
        if by_feed {
            entry.announce(generation, tell);
        } else if !entry.looked_at(generation, tell) {
            return;
        }
        match record.header.state {
            State::NeedsLogin { cause } => {
                self.tell_once(TokenUpdate::NeedsLogin {
                    grant: remote(),
                    cause,
                });
            }
            State::LoggedOut => {
                self.tell_once(TokenUpdate::LoggedOut {
                    grant: remote(),
                    cause: LogoutCause::Elsewhere,
                });
            }
            State::Active if last == Some(Step::Cool) => {
                self.tell_once(TokenUpdate::RefreshFailed {
                    grant: remote(),
                    code: ErrorCode::RefreshUnavailable,
                    retry_at: record.header.not_before,
                })
            }
            State::Active => {}
        }
    }

    /// A look showed no row: whoever had one is logged out (rule 2).
    pub(super) fn observe_missing(&self, key: &TokenKey, entry: &Entry, now: Timestamp) {
        if let Some(snapshot) = entry
            .clear()
            .filter(|snapshot| snapshot.state != State::LoggedOut)
        {
            let line = Line {
                grant_id: snapshot.grant_id,
                generation: snapshot.generation,
            };
            self.tell_line(key, line, now, |grant| TokenUpdate::LoggedOut {
                grant,
                cause: LogoutCause::RowMissing,
            });
        }
    }

    /// Begins what goes on in the background: follows the store's change feed, from the first use inside a runtime until
    /// the registry is dropped.
    pub(crate) fn start_feed(&self) {
        self.start_upkeep();
        if !self.0.store.capabilities().changes
            || self.0.feed_started.load(Ordering::Acquire)
            || tokio::runtime::Handle::try_current().is_err()
            || self.0.feed_started.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let (weak, store, clock) = (
            self.downgrade(),
            Arc::clone(&self.0.store),
            Arc::clone(&self.0.clock),
        );
        let mut alive = self.0.alive.subscribe();
        let following = Following(Some(self.downgrade()));
        tokio::spawn(async move {
            let follow = async {
                let mut cursor = None;
                let mut wait = Duration::from_millis(100);
                loop {
                    match store.changes(cursor.clone()).await {
                        Ok(mut changes) => {
                            let Ok(keeper) = weak.upgrade() else { return };
                            keeper.feed_is_up();
                            drop(keeper);
                            wait = Duration::from_millis(100);
                            while let Some(change) = changes.next().await {
                                let Ok(keeper) = weak.upgrade() else { return };
                                if let Change::Written { cursor: at, .. } = &change {
                                    cursor = Some(at.clone());
                                }
                                keeper.on_change(change).await;
                            }
                        }
                        Err(StoreError::Unsupported { .. }) => return,
                        Err(error) => {
                            tracing::warn!(%error, "the change feed is not there");
                            // Perhaps the place is none any more. What was missed is a gap either way.
                            cursor = None;
                        }
                    }
                    let Ok(keeper) = weak.upgrade() else { return };
                    measure::feed_gap();
                    keeper.0.snapshots.set_feed(false);
                    keeper.0.follows.send_replace(false);
                    keeper.0.events.send(TokenUpdate::Resync { missed: 0 });
                    drop(keeper);
                    clock.sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
            };
            tokio::select! {
                () = follow => {}
                // The registry was dropped.
                _ = alive.changed() => {}
            }
            following.ended();
        });
    }

    /// From now on, what others do is told. Whoever subscribed before may have missed something, if there are others.
    fn feed_is_up(&self) {
        self.0.snapshots.set_feed(true);
        if self.0.store.capabilities().shared && self.0.events.has_subscribers() {
            self.0.events.send(TokenUpdate::Resync { missed: 0 });
        }
        self.0.follows.send_replace(true);
    }

    /// Waits until the change feed is up; at once where the store has none.
    pub(crate) async fn follow(&self) {
        self.start_feed();
        if self.0.store.capabilities().changes {
            // It cannot be closed: the keeper holds its sender.
            let _ = self.0.follows.subscribe().wait_for(|up| *up).await;
        }
    }

    async fn on_change(&self, change: Change) {
        match change {
            Change::Gap => {
                tracing::warn!("the change feed had a gap: whatever is held is looked at again");
                measure::feed_gap();
                self.0.snapshots.distrust_all();
                self.0.events.send(TokenUpdate::Resync { missed: 0 });
            }
            Change::Written { version, .. } if self.wrote(&version) => {}
            Change::Written { key, version, .. } => {
                let subscribed = self.0.events.has_subscribers();
                let entry = if subscribed {
                    self.0.snapshots.entry(&key)
                } else {
                    let Some(entry) = self.0.snapshots.get(&key) else {
                        return;
                    };
                    entry
                };
                if entry
                    .latest()
                    .is_none_or(|snapshot| snapshot.version != version)
                {
                    entry.hint();
                }
                if subscribed {
                    match self.load_as_news(&key, &entry).await {
                        Ok(()) => {}
                        Err(error) => {
                            tracing::warn!(key = %key.mark(), %error, "a change cannot be read")
                        }
                    }
                }
            }
        }
    }

    /// Looks at a record because the feed says that it changed: even the first sight of a key is news.
    async fn load_as_news(&self, key: &TokenKey, entry: &Entry) -> crate::Result<()> {
        let look = self.look(key, entry).await?;
        match &look.record {
            Some(record) => {
                self.install_record(key, entry, record, look.now, look.seen);
                self.learn(key, entry, record, true);
            }
            None => self.observe_missing(key, entry, look.now),
        }
        Ok(())
    }
}

/// The task that follows the change feed. If it vanishes, with its runtime or by a panic of the store, somebody else's
/// next look starts another: until then nothing is told of what others do.
struct Following(Option<WeakKeeper>);

impl Following {
    /// It ended on purpose: nobody is to start another.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(Ok(keeper)) = self.0.as_ref().map(WeakKeeper::upgrade) {
            keeper.0.snapshots.set_feed(false);
            keeper.0.follows.send_replace(false);
            keeper.0.feed_started.store(false, Ordering::Release);
            keeper.events().send(TokenUpdate::Resync { missed: 0 });
        }
    }
}
