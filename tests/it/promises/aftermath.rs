//! What follows a fault: recovery, life as before, a logout; and the evidence of it all.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokenkeep::{
    KeyRing,
    store::{Expected, StoredRecord, UpdateToken, Version},
};

use super::{
    history::ROLLBACK,
    oracle::{self, Evidence},
    point::{Act, Effect, FaultPoint, Promise},
    probe::{Hints, Probe, Seam},
    process::Process,
    scenario::Scene,
    stage::key_of_alice,
};
use crate::world::{PATIENCE, alice, until};

/// Longer than anything takes that is under way.
const LONG: Duration = Duration::from_secs(3600);

impl Scene {
    /// The processes that live in this one.
    fn alive(&self) -> impl Iterator<Item = &Process> {
        self.victim.iter().chain([&self.stage.other])
    }

    /// Everybody who lives is asked for a token, unless the user has logged out.
    pub(super) async fn samples(&mut self, when: &str) {
        if self.plan.act == Act::LogOut && self.acted {
            return;
        }
        let mut broken = Vec::new();
        for process in self.alive() {
            broken.extend(self.stage.sample(process, when).await);
        }
        self.stage.broken.extend(broken);
    }

    /// The fault is over; whoever waited gets an answer, and whoever died is started again.
    pub(super) async fn recover(&mut self, before: &StoredRecord) {
        let callers = std::mem::take(&mut self.callers);
        let own = if self.effect == Effect::Kill { 0 } else { 3 };
        for (number, caller) in callers.into_iter().enumerate() {
            let done = || caller.is_finished();
            self.stage.until("a caller of refresh()", done).await;
            // Those of a runtime that ended are gone.
            if let Ok(got) = caller.await
                && number < own
            {
                self.got.push(got);
            }
        }
        self.samples("before the fault is over").await;
        if let Some(victim) = &self.victim {
            assert!(victim.probe.was_reached() || self.point == FaultPoint::CallerDropped);
        }
        self.feed_is_spoilt().await;
        for process in self.alive() {
            process.probe.clear();
        }
        self.stage.world.provider.faults().clear();
        if let (Some(victim), FaultPoint::KeyMissing) = (&self.victim, self.point) {
            let ring = KeyRing::parse(&self.stage.ring).unwrap();
            victim.oauth.set_key_ring(ring).unwrap();
        }
        if self.plan.act == Act::RollBack {
            self.roll_back(before).await;
        }
        for process in self.alive() {
            self.stage.ends("draining", process.drain(LONG)).await;
        }
        self.samples("after the fault").await;
    }

    /// A fault of the feed comes when the store has something to tell, and not before.
    async fn feed_is_spoilt(&self) {
        let probe = &self.stage.other.probe;
        if self.plan.hints != Hints::Straight {
            until("a hint is spoilt", async || probe.has_spoilt()).await;
        }
        if self.point == FaultPoint::FeedDropped {
            let tried = || probe.was_reached();
            self.stage.until("the feed is tried again", tried).await;
        }
    }

    /// The store forgets the commit.
    async fn roll_back(&self, before: &StoredRecord) {
        if self.effect == Effect::Delay {
            self.stage.pass(Duration::from_secs(61)).await;
        }
        let mut record = before.clone();
        record.version = Version::random();
        let expected = Expected::Version(self.stage.stored().await.version);
        let done = self
            .stage
            .raw
            .update_token(&key_of_alice(), &record, expected)
            .await;
        done.unwrap();
        self.stage
            .history
            .note(ROLLBACK, &key_of_alice(), &record, expected);
        if let Some(victim) = &self.victim {
            let grant = alice(&victim.oauth);
            let look = victim.runtime.spawn(async move { grant.info().await });
            self.stage.ends("a look", look).await.unwrap();
        }
    }

    /// Life goes on: each process refreshes once more, and each hears of it.
    pub(super) async fn go_on(&mut self) {
        let received = self
            .victim
            .as_ref()
            .map_or(0, |victim| count(&victim.probe.good));
        if self.plan.act == Act::LogOut {
            self.all_refuse("after the logout").await;
            self.log_in().await;
        }
        if self.victim.is_none() {
            let again = self.stage.start("restarted", &self.stage.ring).await;
            self.victim = Some(again);
        }
        let mut renewed = self.renew().await;
        if let Err(code) = renewed {
            self.stage.breaks(Promise::Lives, code.to_string());
            if received > 0 && self.plan.act != Act::RevokeFamily {
                let how = "a good answer that a live process received is of no use any more";
                self.stage.breaks(Promise::G5, how);
            }
            self.log_in().await;
            renewed = self.renew().await;
        }
        assert!(renewed.is_ok(), "even after a new login: {renewed:?}");
        self.everybody_hears().await;
    }

    async fn log_in(&self) {
        let stage = &self.stage;
        stage.world.log_in(&stage.other.oauth, "alice").await;
        stage.settle().await;
    }

    async fn renew(&self) -> Result<(), tokenkeep::ErrorCode> {
        for process in self.alive() {
            self.stage.renew(process).await?;
        }
        Ok(())
    }

    async fn everybody_hears(&mut self) {
        let last = self.stage.stored().await.generation;
        let mut victim = self.victim.take().unwrap();
        let started = Instant::now();
        for round in 0.. {
            victim.listen();
            self.stage.other.listen();
            let late: Vec<_> = [&victim, &self.stage.other]
                .into_iter()
                .filter(|process| oracle::newest(&process.heard) < last)
                .map(|process| process.name)
                .collect();
            if late.is_empty() {
                break;
            }
            if started.elapsed() > PATIENCE {
                self.stage.breaks(
                    Promise::G8,
                    format!("{late:?} never heard of generation {last}"),
                );
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            // Enough for whatever waits for time to pass; what is left takes real time.
            if round < 200 {
                self.stage.world.advance(Duration::from_millis(200));
            }
            // Callers come and go, and where hints do not help they bring the news.
            for process in [&victim, &self.stage.other] {
                let _ = self
                    .stage
                    .ends("a caller of token()", process.token())
                    .await;
            }
        }
        self.victim = Some(victim);
    }

    /// Alice logs out: nothing brings her back.
    pub(super) async fn end(&mut self) {
        let grant = alice(&self.stage.other.oauth);
        let logout = tokio::spawn(async move { grant.log_out().await });
        self.stage.ends("a logout", logout).await.unwrap();
        for process in self.alive() {
            self.stage.ends("draining", process.drain(LONG)).await;
        }
        self.all_refuse("at the end").await;
        self.victim.as_mut().unwrap().listen();
        self.stage.other.listen();
    }

    async fn all_refuse(&mut self, when: &str) {
        let mut broken = Vec::new();
        for process in self.alive() {
            if !self.stage.refuses(process).await {
                broken.push((
                    Promise::G4,
                    format!("{when}: {} does not refuse", process.name),
                ));
            }
        }
        self.stage.broken.extend(broken);
    }

    pub(super) fn evidence(&self) -> Evidence<'_> {
        // A process that was drained was live to its end; one that was killed was not.
        let drained = self.dead.iter().filter(|_| self.effect != Effect::Kill);
        let all = || self.alive().chain(&self.dead);
        let of = |counter: fn(&Probe) -> &AtomicU64| {
            move |process: &Process| count(counter(&process.probe))
        };
        Evidence {
            chain: self.stage.history.chain(),
            flights: all().map(of(|probe| &probe.most_flights)).max(),
            good: self
                .alive()
                .chain(drained)
                .map(of(|probe| &probe.good))
                .sum(),
            refused: all().map(of(|probe| &probe.refused)).sum(),
            got: &self.got,
            looked_apart: self.plan.seam == Seam::Read && self.effect == Effect::Delay,
            spends: self.stage.world.provider.max_spends(),
            // The answer of a grant that was logged out or replaced meanwhile may end up nowhere.
            may_be_dropped: u64::from(matches!(self.plan.act, Act::LogOut | Act::LogIn)),
            heard: self
                .alive()
                .map(|process| (process.name, process.heard.as_slice()))
                .collect(),
        }
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}
