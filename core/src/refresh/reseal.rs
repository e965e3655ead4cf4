//! Sealing anew what is kept, record by record, while everything else goes on.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::watch;
use tokio_stream::{Stream, wrappers::WatchStream};

use super::{
    keeper::Keeper,
    transact::Announce,
    transition::{self, Line, Move},
};
use crate::{
    Error, ErrorCode, Phase, Result, TokenKey, measure,
    store::{Page, TokenQuery, TokenSummary},
    token::{Body, Record},
};

/// How many records a page has at most.
const PAGE: u32 = 200;

/// A record that needs no new seal costs this part of one that does.
const LOOKS_PER_WRITE: u64 = 20;

/// How often a page is asked for while the store is away, with a second more between each two times.
const PATIENCE: u32 = 10;

/// How to seal anew what is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reseal {
    records_per_second: u32,
    from: Option<String>,
}

impl Default for Reseal {
    fn default() -> Self {
        Self {
            records_per_second: 200,
            from: None,
        }
    }
}

impl Reseal {
    /// From the beginning, at most 200 records a second.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records are sealed anew in a second at most; 0 counts as 1.
    #[must_use]
    pub fn records_per_second(mut self, records: u32) -> Self {
        self.records_per_second = records.max(1);
        self
    }

    /// Goes on where an earlier pass stood: its [`cursor`](ResealReport::cursor).
    #[must_use]
    pub fn resume(mut self, cursor: impl Into<String>) -> Self {
        self.from = Some(cursor.into());
        self
    }
}

/// How far sealing anew has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResealReport {
    /// How many records were looked at: grants and sessions.
    pub looked_at: u64,
    /// How many were sealed anew.
    pub resealed: u64,
    /// How many were skipped, because the first key seals them already or they hold nothing.
    pub skipped: u64,
    /// How many could not be sealed anew, although they should: they are damaged, or the store failed.
    pub failed: u64,
    /// How many are sealed by a key that this ring lacks.
    pub key_missing: u64,
    /// How many are still sealed by a key that is not the first one, by the key's id; those in plain have the empty id. What
    /// cannot be read at all counts as failed only.
    pub left: BTreeMap<String, u64>,
    /// Where to [go on](Reseal::resume) if it ends before the end.
    pub cursor: Option<String>,
    /// Did it come to the end?
    pub finished: bool,
    unreadable: u64,
    resumed: bool,
}

impl ResealReport {
    /// May something that is kept still be sealed by the key of this id? True as well if that is not known: the pass did not
    /// come to the end or did not begin at the beginning, or there were records that could not be read.
    ///
    /// It is about what was there during the pass. A process that still seals by that key goes on doing so: give all of
    /// them the new ring first. And it is about records: a browser's session cookie that the key sealed opens by it for the
    /// [session's lifetime](crate::OAuthBuilder::session_lifetime), and without it its user must sign in again.
    #[must_use]
    pub fn may_use(&self, key_id: &str) -> bool {
        !self.finished || self.resumed || self.unreadable > 0 || self.left.contains_key(key_id)
    }
}

/// A pass that seals anew, in the background: a stream of how far it has come, which ends when it does. A slow reader
/// misses reports, never the last one. Dropping it stops nothing.
#[derive(Debug)]
pub struct Resealing {
    reports: WatchStream<ResealReport>,
    last: watch::Receiver<ResealReport>,
    stopped: Arc<AtomicBool>,
}

impl Resealing {
    /// How far it has come.
    #[must_use]
    pub fn report(&self) -> ResealReport {
        self.last.borrow().clone()
    }

    /// Ends the pass after the record at hand; its report says where to go on.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Waits for the end.
    ///
    /// # Cancel safety
    /// Dropping the future stops nothing.
    pub async fn finish(mut self) -> ResealReport {
        // An error means that the pass is over.
        while self.last.changed().await.is_ok() {}
        self.report()
    }
}

impl Stream for Resealing {
    type Item = ResealReport;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<ResealReport>> {
        Pin::new(&mut self.reports).poll_next(context)
    }
}

/// What became of one record.
enum Outcome {
    Resealed,
    Skipped,
    /// It is still sealed by this key.
    Left(String),
}

impl Keeper {
    /// Begins a pass. It ends with the registry.
    pub(crate) fn reseal(&self, options: Reseal) -> Result<Resealing> {
        let refused = |code, what: String| Err(Error::new(code, Phase::Store, what));
        if !self.0.store.capabilities().find {
            return refused(
                ErrorCode::Unsupported,
                format!(
                    "reseal needs the capability \"find\", which the store {:?} has not: each record is sealed anew \
                     when its token is refreshed",
                    self.0.store.name()
                ),
            );
        }
        if self.0.sealing.ring.is_none() {
            return refused(
                ErrorCode::KeyRingRequired,
                format!(
                    "the registry was built without a key ring: nothing is sealed; {}",
                    crate::seal::NEW_RING
                ),
            );
        }
        let report = ResealReport {
            resumed: options.from.is_some(),
            cursor: options.from.clone(),
            ..ResealReport::default()
        };
        let (sender, last) = watch::channel(report.clone());
        let stopped = Arc::new(AtomicBool::new(false));
        let resealing = Resealing {
            reports: WatchStream::from_changes(last.clone()),
            last,
            stopped: Arc::clone(&stopped),
        };
        let (weak, mut alive) = (self.downgrade(), self.0.alive.subscribe());
        tokio::spawn(async move {
            let mut pass = Pass {
                rate: u64::from(options.records_per_second),
                report,
                sender,
                stopped,
            };
            let all = async {
                // The registry is held for a page at a time only.
                while let Ok(keeper) = weak.upgrade() {
                    let Some(rest) = pass.page(&keeper).await else {
                        return;
                    };
                    let clock = Arc::clone(keeper.clock());
                    drop(keeper);
                    clock.sleep(rest).await;
                }
            };
            tokio::select! {
                () = all => {}
                _ = alive.changed() => {}
            }
        });
        Ok(resealing)
    }

    /// The id of the key that seals now.
    fn sealing_key_id(&self) -> String {
        let ring = self.0.sealing.ring.as_ref();
        ring.map(|ring| ring.current().sealing_key_id().to_owned())
            .unwrap_or_default()
    }

    async fn reseal_one(&self, key: &TokenKey, record: Record) -> Result<Outcome> {
        let newest = self.sealing_key_id();
        let newest = Some(newest.as_str());
        let current = |record: &Record| record.body == Body::Empty || record.sealed_by() == newest;
        if current(&record) {
            return Ok(Outcome::Skipped);
        }
        if let Body::KeyMissing { key_id, .. } = record.body {
            return Ok(Outcome::Left(key_id));
        }
        // Of whatever is there now: between two looks it may be refreshed, or a login may take its place.
        let done = self
            .transact(key, Announce::Lease, |row, now| match row {
                Some(row) if !current(row) => transition::reseal(Some(row), Line::of(row), now),
                _ => Move::Stay(false),
            })
            .await?;
        Ok(
            match (done.outcome, done.record.map(|record| record.body)) {
                (true, _) => Outcome::Resealed,
                (false, Some(Body::KeyMissing { key_id, .. })) if Some(&*key_id) != newest => {
                    Outcome::Left(key_id)
                }
                _ => Outcome::Skipped,
            },
        )
    }
}

/// A pass under way.
struct Pass {
    rate: u64,
    report: ResealReport,
    sender: watch::Sender<ResealReport>,
    stopped: Arc<AtomicBool>,
}

impl Pass {
    /// Goes through a page. Answers how long to rest before the next one; none if there is no next one.
    async fn page(&mut self, keeper: &Keeper) -> Option<Duration> {
        let began = keeper.clock().monotonic();
        let limit = PAGE.min(u32::try_from(self.rate).unwrap_or(PAGE));
        let found = self.find(keeper, limit).await?;
        let before = (self.report.looked_at, self.report.resealed);
        for summary in found.items {
            // The page is not over: whoever goes on begins with it again.
            if self.stopped.load(Ordering::Relaxed) {
                return None;
            }
            self.one(keeper, summary).await;
        }
        self.report.finished = found.next.is_none();
        self.report.cursor = found.next;
        self.sender.send_replace(self.report.clone());
        if self.report.finished {
            return None;
        }
        let (looked_at, resealed) = (
            self.report.looked_at - before.0,
            self.report.resealed - before.1,
        );
        let cost = resealed * LOOKS_PER_WRITE + looked_at;
        let due = Duration::from_millis(cost * 1000 / (self.rate * LOOKS_PER_WRITE));
        Some(due.saturating_sub(keeper.clock().monotonic().saturating_sub(began)))
    }

    /// The next page, however long the store is away within reason.
    async fn find(
        &self,
        keeper: &Keeper,
        limit: u32,
    ) -> Option<crate::store::PageOf<TokenSummary>> {
        for round in 1..=PATIENCE {
            let mut page = Page::first(limit);
            page.after.clone_from(&self.report.cursor);
            match keeper.find(&TokenQuery::default(), page).await {
                Ok(found) => return Some(found),
                Err(error) if error.code() == ErrorCode::StoreUnavailable => {
                    tracing::warn!(%error, round, "records to be sealed anew cannot be listed");
                    if self.stopped.load(Ordering::Relaxed) {
                        return None;
                    }
                    keeper
                        .clock()
                        .sleep(Duration::from_secs(round.into()))
                        .await;
                }
                Err(error) => {
                    tracing::error!(%error, "records to be sealed anew cannot be listed");
                    return None;
                }
            }
        }
        None
    }

    async fn one(&mut self, keeper: &Keeper, summary: TokenSummary) {
        let report = &mut self.report;
        report.looked_at += 1;
        // What the ring can open, or should.
        let known = |id: &str| {
            let ring = keeper.0.sealing.ring.as_ref();
            ring.is_some_and(|ring| ring.current().key_ids().any(|known| known == id))
        };
        let record = Record::survey(&summary.key, summary.record, &keeper.0.sealing);
        let id = |record: &Record| record.sealed_by().unwrap_or_default().to_owned();
        let sealed_by = record.as_ref().ok().map(id);
        let outcome = match record {
            Ok(record) => keeper.reseal_one(&summary.key, record).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Outcome::Resealed) => {
                measure::resealed("resealed");
                report.resealed += 1;
            }
            Ok(Outcome::Skipped) => report.skipped += 1,
            Ok(Outcome::Left(id)) => {
                if known(&id) {
                    measure::resealed("failed");
                    report.failed += 1;
                } else {
                    measure::resealed("key_missing");
                    report.key_missing += 1;
                }
                *report.left.entry(id).or_default() += 1;
            }
            Err(error) => {
                tracing::warn!(%error, "a record cannot be sealed anew");
                measure::resealed("failed");
                report.failed += 1;
                match sealed_by {
                    Some(id) => *report.left.entry(id).or_default() += 1,
                    None => report.unreadable += 1,
                }
            }
        }
        self.sender.send_replace(self.report.clone());
    }
}
