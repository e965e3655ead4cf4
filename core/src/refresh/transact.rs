//! How records are written: a transition, run against the store.

use std::{sync::PoisonError, time::Duration};

use super::{
    decide::{Replaced, Wrote},
    keeper::Keeper,
    snapshot::{Entry, Recent},
    transition::{Move, Row},
};
use crate::{
    Error, ErrorCode, Phase, Result, Timestamp, TokenKey, measure,
    store::{Expected, StoreError, StoredRecord, Version},
    token::{Record, State},
};

/// What became of a transition.
pub(crate) struct Done<T> {
    pub(crate) outcome: T,
    /// The row as it is now.
    pub(crate) record: Option<Record>,
    pub(crate) now: Timestamp,
    /// The monotonic time before the look whose store time is `now`.
    pub(crate) at: Duration,
}

/// A write whose answer was lost, or was a conflict: it may have been applied.
struct Tried<T> {
    version: Version,
    outcome: T,
    replaced: Option<Replaced>,
}

/// Which writes of a transition the change feed may leave out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announce {
    Yes,
    /// It only takes or gives back a lease, or seals anew what is there.
    Lease,
}

impl Keeper {
    /// Runs a transition against the store: look, decide, compare and swap; on a conflict again, with what is there now.
    ///
    /// A conflict, like a lost answer, may mean that the write was applied: a look that shows the own version proves it.
    pub(crate) async fn transact<T: Send>(
        &self,
        key: &TokenKey,
        announce: Announce,
        mut step: impl FnMut(Row<'_>, Timestamp) -> Move<T> + Send,
    ) -> Result<Done<T>> {
        let entry = self.0.snapshots.entry(key);
        let mut tried: Option<Tried<T>> = None;
        let mut failures = 0;
        for round in 0_u32.. {
            let look = self.look(key, &entry).await?;
            let (now, at) = (look.now, look.seen.at);
            if let Some(tried) = tried.take_if(|tried| {
                look.record
                    .as_ref()
                    .is_some_and(|record| record.version == tried.version)
            }) {
                let Tried {
                    version,
                    outcome,
                    replaced,
                } = tried;
                tracing::debug!(key = %key.mark(), %version, "the answer of a write was lost; it had been applied");
                if let Some(record) = &look.record {
                    if announce == Announce::Yes {
                        let stored = record.encode(key, &self.0.sealing, true)?;
                        self.remember_recent(&entry, stored, record, replaced);
                    }
                    entry.install(self.snapshot_of(key, record, now, look.seen));
                }
                return Ok(Done {
                    outcome,
                    record: look.record,
                    now,
                    at,
                });
            }
            let (record, outcome) = match step(look.record.as_ref(), now) {
                Move::Stay(outcome) => {
                    match &look.record {
                        Some(record) => {
                            entry.install(self.snapshot_of(key, record, now, look.seen));
                        }
                        // Nothing of a row that is gone is served, not even what waited for its commit (G4).
                        None => self.observe_missing(key, &entry, now),
                    }
                    return Ok(Done {
                        outcome,
                        record: look.record,
                        now,
                        at,
                    });
                }
                Move::Write(mut record, outcome) => {
                    record.header.sign(&self.0.process);
                    (*record, outcome)
                }
            };
            let stored = record.encode(key, &self.0.sealing, announce == Announce::Yes)?;
            let expected = look
                .record
                .as_ref()
                .map_or(Expected::Absent, |record| Expected::Version(record.version));
            self.remember_own(record.version);
            let replaced = look.record.as_ref().map(Replaced::of);
            match self
                .within("update", self.0.store.update_token(key, &stored, expected))
                .await
            {
                Ok(()) => {
                    if announce == Announce::Yes {
                        self.remember_recent(&entry, stored, &record, replaced);
                    }
                    let seen = entry.written(look.seen);
                    entry.install(self.snapshot_of(key, &record, now, seen));
                    return Ok(Done {
                        outcome,
                        record: Some(record),
                        now,
                        at,
                    });
                }
                Err(StoreError::Conflict) => measure::store_conflict(key.client()),
                Err(error) => {
                    failures += 1;
                    if failures >= 3 || !matches!(error, StoreError::Unavailable { .. }) {
                        return Err(self.store_error(key, error));
                    }
                }
            }
            tried = Some(Tried {
                version: record.version,
                outcome,
                replaced,
            });
            self.pause(round).await;
        }
        Err(Error::new(
            ErrorCode::StoreUnavailable,
            Phase::Store,
            "too many conflicts",
        )
        .with_client(key.client()))
    }

    fn remember_recent(
        &self,
        entry: &Entry,
        stored: StoredRecord,
        record: &Record,
        replaced: Option<Replaced>,
    ) {
        *entry.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Recent {
            record: stored,
            wrote: Wrote {
                grant_id: record.header.grant_id,
                generation: record.header.generation,
                logged_out: record.header.state == State::LoggedOut,
                replaced,
            },
            at: self.0.clock.monotonic(),
        });
    }

    /// Backs off between rounds of a conflict: 1 ms doubling to 64 ms, with jitter.
    pub(super) async fn pause(&self, round: u32) {
        let most = 1_u64 << round.min(6);
        let [random] = crate::seal::random::<1>();
        self.0
            .clock
            .sleep(Duration::from_micros(
                most * 500 + most * 500 * u64::from(random) / 255,
            ))
            .await;
    }
}
