//! What a registry does by itself: removes what is over, and uses refresh tokens that would die of idleness.
//!
//! Every process does it, at times of its own. A row is removed by whoever comes first, and a token is refreshed under its
//! lease: once for the whole fleet, however many look after it.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{keeper::Keeper, snapshot::Need};
use crate::{
    ErrorCode, Owner, Result, Target, Timestamp, measure,
    store::{Page, TokenQuery, TokenSummary},
    token::{Record, State, Step},
};

/// How many rows a page of records has.
const PAGE: u32 = 200;

/// Between two pages, and between two batches of removals: other work comes first.
const BREATH: Duration = Duration::from_millis(100);

/// How many batches a purge removes at most before it rests until its next time.
const BATCHES: u32 = 1000;

/// So many refreshes in a row that fail, and the provider is left alone until the next time.
const PATIENCE: u32 = 5;

/// What a registry does by itself in the background, from its building (inside a runtime) or first use on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Upkeep {
    purge_every: Option<Duration>,
    batch: u32,
    keep_alive: bool,
    refreshes_per_second: u32,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            purge_every: Some(Duration::from_secs(3600)),
            batch: 1000,
            keep_alive: true,
            refreshes_per_second: 10,
        }
    }
}

impl Upkeep {
    /// Everything that the store allows: see [`purge_every`](Self::purge_every) and
    /// [`Registration::keep_alive`](crate::Registration::keep_alive).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing: call [`OAuth::purge`](crate::OAuth::purge) and [`OAuth::keep_alive`](crate::OAuth::keep_alive) yourself.
    #[must_use]
    pub fn none() -> Self {
        Self {
            purge_every: None,
            keep_alive: false,
            ..Self::default()
        }
    }

    /// How often what is over is removed: about every hour if not said, and not more often than every second. The first
    /// time is at a random point within it.
    #[must_use]
    pub fn purge_every(mut self, time: Duration) -> Self {
        self.purge_every = Some(time.max(Duration::from_secs(1)));
        self
    }

    /// How many records one call of the store removes at most: 1,000 if not said.
    #[must_use]
    pub fn purge_batch(mut self, records: u32) -> Self {
        self.batch = records.max(1);
        self
    }

    /// Removes nothing by itself.
    #[must_use]
    pub fn without_purge(mut self) -> Self {
        self.purge_every = None;
        self
    }

    /// Keeps nothing alive by itself.
    #[must_use]
    pub fn without_keep_alive(mut self) -> Self {
        self.keep_alive = false;
        self
    }

    /// How many tokens this process refreshes in a second at most to keep them alive: 10 if not said.
    #[must_use]
    pub fn refreshes_per_second(mut self, tokens: u32) -> Self {
        self.refreshes_per_second = tokens.max(1);
        self
    }
}

/// What became of keeping a client's grants alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptAlive {
    /// How many grants were looked at.
    pub looked_at: u64,
    /// How many were refreshed, by this process or another one at the same time.
    pub refreshed: u64,
    /// How many were due and could not be refreshed; each is an event as well.
    pub failed: u64,
    /// How many were due and are left for the next time: the provider asked for a pause or is away, the key ring lacks their
    /// key, or too many failed before them.
    pub postponed: u64,
}

/// A random part of a time.
fn part_of(time: Duration) -> Duration {
    time.mul_f64(f64::from(u16::from_be_bytes(crate::seal::random())) / f64::from(u16::MAX))
}

/// Nine to eleven tenths of a time.
fn about(time: Duration) -> Duration {
    time * 9 / 10 + part_of(time / 5)
}

/// When refresh tokens were last issued, as far as that can be known.
fn renewed_at(record: &Record) -> Timestamp {
    let issued = record
        .payload()
        .into_iter()
        .flat_map(|payload| &payload.access_tokens)
        .filter_map(|access| access.issued_at);
    let trail = &record.header.trail;
    let noted = trail
        .iter()
        .filter(|entry| matches!(entry.step, Step::Login | Step::Adopt | Step::Commit))
        .map(|entry| entry.at);
    // A trail of nothing but failures began after the last good step: as long ago as that is certain.
    let oldest = || trail.first().map(|entry| entry.at);
    issued
        .chain(noted)
        .max()
        .or_else(oldest)
        .unwrap_or_default()
}

impl Keeper {
    /// Begins the upkeep, once, inside a runtime; it ends with the registry.
    pub(super) fn start_upkeep(&self) {
        let (upkeep, has) = (&self.0.upkeep, self.0.store.capabilities());
        let purges = upkeep.purge_every.filter(|_| has.purge);
        let keeps_alive = upkeep.keep_alive && has.find;
        if (purges.is_none() && !keeps_alive)
            || self.0.upkeep_started.load(Ordering::Acquire)
            || tokio::runtime::Handle::try_current().is_err()
            || self.0.upkeep_started.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let (weak, clock) = (self.downgrade(), Arc::clone(&self.0.clock));
        let mut alive = self.0.alive.subscribe();
        let mut due = Due {
            purge: purges.map(|every| (every, clock.monotonic() + part_of(every))),
            keeps_alive,
            clients: HashMap::new(),
        };
        tokio::spawn(async move {
            let work = async {
                loop {
                    let Ok(keeper) = weak.upgrade() else { return };
                    due.do_what_is_due(&keeper).await;
                    let wait = due.wait(clock.monotonic());
                    drop(keeper);
                    clock.sleep(wait).await;
                }
            };
            tokio::select! {
                () = work => {}
                // The registry was dropped.
                _ = alive.changed() => {}
            }
        });
    }

    /// Removes what is over, batch by batch.
    async fn purge_all(&self) {
        let batch = self.0.upkeep.batch;
        for _ in 0..BATCHES {
            match self.purge(self.0.clock.now(), batch).await {
                Ok(count) if count < u64::from(batch) => return,
                Ok(_) => self.0.clock.sleep(BREATH).await,
                Err(error) => {
                    tracing::warn!(%error, "what is over cannot be removed; the next time does it");
                    return;
                }
            }
        }
    }

    /// Goes through a client's grants, and refreshes those that were not refreshed for so long.
    pub(crate) async fn keep_alive(&self, client: &str, every: Duration) -> Result<KeptAlive> {
        let query = TokenQuery {
            client: Some(client.to_owned()),
            ..TokenQuery::default()
        };
        let (mut page, mut pass) = (Page::first(PAGE), KeptAlive::default());
        let mut failures = 0;
        loop {
            let found = self.find(&query, page).await?;
            for summary in found.items {
                self.keep_one_alive(summary, every, &mut pass, &mut failures)
                    .await;
            }
            match found.next {
                None => break,
                Some(next) => page = Page::after(next, PAGE),
            }
            self.0.clock.sleep(BREATH).await;
        }
        if pass.failed + pass.postponed > 0 {
            tracing::warn!(
                client,
                refreshed = pass.refreshed,
                failed = pass.failed,
                postponed = pass.postponed,
                "not all idle grants could be kept alive"
            );
        }
        Ok(pass)
    }

    async fn keep_one_alive(
        &self,
        summary: TokenSummary,
        every: Duration,
        pass: &mut KeptAlive,
        failures: &mut u32,
    ) {
        let key = summary.key;
        if !key.is_account() || *key.owner() == Owner::App {
            return;
        }
        pass.looked_at += 1;
        // One that cannot be read is somebody else's to look after.
        let Ok(record) = Record::survey(&key, summary.record, &self.0.sealing) else {
            return;
        };
        let (header, now) = (&record.header, self.0.clock.now());
        if header.state != State::Active || !header.refreshable || renewed_at(&record) + every > now
        {
            return;
        }
        let cooling = header.not_before.is_some_and(|until| until > now)
            || self
                .0
                .circuits
                .pauses(key.client(), self.0.clock.monotonic());
        if cooling || record.payload().is_none() || *failures >= PATIENCE {
            pass.postponed += 1;
            measure::kept_alive(key.client(), "postponed");
            return;
        }
        // Of a later generation than this one: if another process is quicker, nothing is sent.
        let need = Need {
            newer_than: Some(header.generation),
            ..Need::default()
        };
        match self.token(&key, &Target::login(), need, |_| ()).await {
            Ok(()) => {
                pass.refreshed += 1;
                measure::kept_alive(key.client(), "refreshed");
                *failures = 0;
            }
            Err(error) => {
                pass.failed += 1;
                measure::kept_alive(key.client(), "failed");
                // A user who must log in says nothing of the provider.
                if error.code() != ErrorCode::LoginRequired {
                    *failures += 1;
                }
            }
        }
        let rest = Duration::from_secs(1) / self.0.upkeep.refreshes_per_second;
        self.0.clock.sleep(rest).await;
    }
}

/// When what is due. Times are monotonic.
struct Due {
    purge: Option<(Duration, Duration)>,
    keeps_alive: bool,
    /// By name: how long its grants may be idle, and when it is due.
    clients: HashMap<String, (Duration, Duration)>,
}

/// How often a client's grants are gone through.
fn interval(every: Duration) -> Duration {
    every / 8
}

impl Due {
    async fn do_what_is_due(&mut self, keeper: &Keeper) {
        let clock = Arc::clone(keeper.clock());
        if let Some((every, at)) = self.purge
            && at <= clock.monotonic()
        {
            keeper.purge_all().await;
            self.purge = Some((every, clock.monotonic() + about(every)));
        }
        if !self.keeps_alive {
            return;
        }
        // Clients come and go.
        let wanted: HashMap<_, _> = keeper.0.source.kept_alive().into_iter().collect();
        self.clients
            .retain(|name, (every, _)| wanted.get(name) == Some(every));
        for (name, every) in wanted {
            let (_, at) = *self
                .clients
                .entry(name.clone())
                .or_insert_with(|| (every, clock.monotonic() + part_of(interval(every))));
            if at > clock.monotonic() {
                continue;
            }
            if let Err(error) = keeper.keep_alive(&name, every).await {
                tracing::warn!(client = name, %error, "idle grants cannot be listed; the next time does it");
            }
            let next = clock.monotonic() + about(interval(every));
            self.clients.insert(name, (every, next));
        }
    }

    /// How long there is nothing to do: a minute at most, for clients that are registered meanwhile.
    fn wait(&self, now: Duration) -> Duration {
        let purge = self.purge.map(|(_, at)| at);
        let clients = self.clients.values().map(|(_, at)| *at);
        let next = purge.into_iter().chain(clients).min();
        next.map_or(Duration::MAX, |at| at.saturating_sub(now))
            .clamp(Duration::from_millis(1), Duration::from_secs(60))
    }
}
