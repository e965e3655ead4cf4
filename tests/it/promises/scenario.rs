//! One fault, from a login to a logout.

use std::{sync::atomic::Ordering, time::Duration};

use tokenkeep::{KeyRing, Reseal, Timestamp, store::TokenStore};
use tokenkeep_testing::{Endpoint, Fault, Gate};
use tokio::{process::Child, runtime::Handle, task::JoinHandle};

use super::{
    oracle,
    point::{Act, Effect, FaultPoint, Plan, Promise},
    probe::Seam,
    process::{self, Got, OwnRuntime, Process},
    stage::Stage,
};
use crate::{
    kind::Kind,
    world::{alice, key, soon, until},
};

/// Plays a scenario; answers what was broken.
pub(super) async fn play(kind: Kind, point: FaultPoint, effect: Effect) -> Vec<(Promise, String)> {
    let stage = Stage::set(kind).await;
    let scene = Scene {
        point,
        effect,
        plan: point.plan(),
        stage,
        victim: None,
        dead: None,
        own: None,
        acted: false,
        callers: Vec::new(),
        got: Vec::new(),
    };
    scene.play().await
}

pub(super) struct Scene {
    pub(super) point: FaultPoint,
    pub(super) effect: Effect,
    pub(super) plan: Plan,
    pub(super) stage: Stage,
    /// The process that the fault hits, while it lives in this one.
    pub(super) victim: Option<Process>,
    /// The same once it was killed.
    pub(super) dead: Option<Process>,
    own: Option<OwnRuntime>,
    /// Has somebody else done what the point says?
    pub(super) acted: bool,
    pub(super) callers: Vec<JoinHandle<Got>>,
    pub(super) got: Vec<Got>,
}

impl Scene {
    async fn play(mut self) -> Vec<(Promise, String)> {
        let before = self.stage.stored().await;
        self.spoil_the_feed().await;
        if self.point == FaultPoint::CallerDropped {
            self.drop_callers().await;
        } else if self.effect == Effect::Kill && self.stage.world.kind.is_shared() && !self.stays()
        {
            self.another_process().await;
        } else {
            self.this_process().await;
        }
        self.recover(&before).await;
        self.go_on().await;
        self.end().await;
        let judged = oracle::judge(&self.evidence());
        self.stage.broken.extend(judged);
        self.stage.broken
    }

    /// Does the victim live in this process whatever happens to it?
    fn stays(&self) -> bool {
        matches!(self.point, FaultPoint::Shutdown | FaultPoint::TaskVanishes)
    }

    fn victims_ring(&self) -> String {
        match self.point {
            FaultPoint::KeyMissing => key("a", 7),
            _ => self.stage.ring.clone(),
        }
    }

    async fn spoil_the_feed(&self) {
        let other = &self.stage.other;
        other.probe.hear(self.plan.hints);
        if self.point == FaultPoint::FeedDropped {
            let effect = match self.effect {
                Effect::Kill => Effect::Fail,
                effect => effect,
            };
            other.probe.arm(Seam::Feed, effect, true, false);
            if effect == Effect::Fail {
                other.probe.open();
            }
            other.store.break_feed();
            other.store.unfollowed().await;
        }
    }

    /// The victim is a process of the operating system, and it is killed.
    async fn another_process(&mut self) {
        let world = &self.stage.world;
        let ring = self.victims_ring();
        let acts = !matches!(self.plan.act, Act::Nothing | Act::RollBack);
        if !acts && self.plan.seam != Seam::Sent {
            let mut child = process::spawn(world, &ring, &self.stage.history, Some(self.plan.seam));
            let ended = soon(child.wait()).await.unwrap();
            let signal = std::os::unix::process::ExitStatusExt::signal(&ended);
            assert_eq!(
                signal,
                Some(6),
                "it did not come to {:?}: {ended}",
                self.plan.seam
            );
            self.stage.settle().await;
            self.act().await;
            return;
        }
        // Killed while its request is at the provider.
        let gate = Gate::new();
        let held = world
            .provider
            .faults()
            .on(Endpoint::Token, Fault::Hold(gate.clone()));
        let held = held.for_grant_type("refresh_token").times(1);
        if self.plan.seam == Seam::Sent {
            let drop = world
                .provider
                .faults()
                .on(Endpoint::Token, Fault::DropBefore);
            drop.for_grant_type("refresh_token").times(1);
        } else {
            held.after_processing();
        }
        let mut child: Child = process::spawn(world, &ring, &self.stage.history, None);
        soon(gate.arrived(1)).await;
        self.act().await;
        child.start_kill().unwrap();
        soon(child.wait()).await.unwrap();
        gate.open();
        self.stage.settle().await;
    }

    /// The victim lives in this process, on a runtime of its own if that is to end.
    async fn this_process(&mut self) {
        let ring = self.victims_ring();
        let ends = self.effect == Effect::Kill || self.point == FaultPoint::Shutdown;
        let mut victim = if ends {
            self.stage.threads = true;
            let own = self.own.insert(OwnRuntime::new());
            self.stage.start_on(own, &ring).await
        } else {
            self.stage.start("victim", &ring).await
        };
        let panics = self.point == FaultPoint::TaskVanishes;
        if self.point.holds() || self.effect == Effect::Kill {
            victim
                .probe
                .arm(self.plan.seam, self.effect, self.plan.lasts, panics);
        } else {
            victim.probe.arm(Seam::Send, Effect::Delay, false, false);
        }
        if self.point == FaultPoint::TaskVanishes {
            // What ends is the runtime of the first caller; the others live in another one.
            self.callers.push(victim.refresh());
            victim.probe.reached().await;
            victim.runtime = Handle::current();
            self.callers.extend([victim.refresh(), victim.refresh()]);
        } else {
            self.three_ask(&victim).await;
        }
        victim.probe.reached().await;
        self.stage.settle().await;
        self.victim = Some(victim);
        self.samples("while the fault holds it").await;
        self.act().await;
        self.take_effect().await;
    }

    /// Three callers want the same refresh. It goes on once each of them has looked at the store: whoever looks after its
    /// commit wants the next one, and rightly so.
    async fn three_ask(&mut self, victim: &Process) {
        let gate = victim.probe.hold_lease();
        let callers = [victim.refresh(), victim.refresh(), victim.refresh()];
        self.callers.extend(callers);
        // Where nobody can look, nobody gets as far as to a lease.
        if self.plan.seam != Seam::Read {
            soon(gate.arrived(1)).await;
            let asking = &victim.probe.asking;
            until("all three ask", async || asking.load(Ordering::SeqCst) >= 3).await;
            self.stage.settle().await;
        }
        gate.open();
    }

    /// What somebody else does meanwhile.
    async fn act(&mut self) {
        let stage = &mut self.stage;
        let other = alice(&stage.other.oauth);
        match self.plan.act {
            Act::Nothing | Act::RollBack | Act::EndRuntime | Act::Drain => {}
            Act::CutLease => stage.world.store_time.jump(Duration::from_secs(31)),
            Act::LogOut => {
                let logout = tokio::spawn(async move { other.log_out().await });
                stage.ends("a logout", logout).await.unwrap();
            }
            Act::LogIn => {
                stage.world.log_in(&stage.other.oauth, "alice").await;
            }
            Act::Reseal => {
                // By a key that a victim may lack.
                let ring = [key("b", 8), key("a", 7)].join(",");
                let other = stage.other.oauth.clone();
                other.set_key_ring(KeyRing::parse(&ring).unwrap()).unwrap();
                let reseal =
                    async move { other.reseal(Reseal::new()).await.unwrap().finish().await };
                let report = stage.ends("sealing anew", tokio::spawn(reseal)).await;
                assert!(!report.may_use("a"), "{report:?}");
            }
            Act::Purge => {
                let far = Timestamp::from_secs(100_000_000_000);
                // The session of the login has an end, and is gone.
                assert_eq!(stage.raw.purge_tokens(far, 1000).await.unwrap(), 1);
            }
            Act::RevokeFamily => assert_eq!(stage.world.provider.revoke_grant("alice"), 1),
        }
        self.acted = true;
        let alone = [Act::LogOut, Act::LogIn, Act::Drain, Act::RollBack];
        if !alone.contains(&self.plan.act) {
            let stage = &self.stage;
            self.callers.push(stage.other.refresh());
            stage.settle().await;
            if self.plan.act == Act::CutLease {
                let probe = &stage.other.probe;
                let asked =
                    || probe.good.load(Ordering::SeqCst) + probe.refused.load(Ordering::SeqCst) > 0;
                stage.until("the other process takes over", asked).await;
            }
        }
    }

    /// The fault has its effect on the victim.
    async fn take_effect(&mut self) {
        let victim = self.victim.take().unwrap();
        let drain = (self.plan.act == Act::Drain).then(|| victim.drain(Duration::from_secs(30)));
        match self.effect {
            Effect::Kill => {
                let mut own = self.own.take().unwrap();
                own.end().await;
                self.stage.threads = false;
                victim.probe.clear();
                if self.point == FaultPoint::TaskVanishes {
                    self.victim = Some(victim);
                } else {
                    self.dead = Some(victim);
                }
                return;
            }
            Effect::Delay => {
                self.stage.pass(Duration::from_millis(500)).await;
                victim.probe.open();
            }
            Effect::Fail | Effect::Hang => victim.probe.open(),
        }
        let Some(drain) = drain else {
            self.victim = Some(victim);
            return;
        };
        // A shutdown: the process ends when it was drained, or when it has waited for long enough.
        if self.effect == Effect::Fail {
            self.stage.pass(Duration::from_secs(3)).await;
            assert!(!drain.is_finished(), "a commit is pending");
            victim.probe.clear();
        }
        let left = self.stage.ends("draining", drain).await;
        if left > 0 {
            self.stage.breaks(
                Promise::G5,
                format!("{left} commit is left at the end of the drain"),
            );
        }
        self.own.take().unwrap().end().await;
        self.stage.threads = false;
        self.dead = Some(victim);
    }

    /// A caller is dropped after each number of polls, until one gets its token.
    async fn drop_callers(&mut self) {
        let victim = self.stage.start("victim", &self.victims_ring()).await;
        for polls in 1.. {
            assert!(polls < 100, "it never ends");
            let before = self.stage.stored().await.generation;
            let grant = alice(&victim.oauth);
            let mut caller = Box::pin(async move { process::got(grant.refresh().await) });
            let mut polled = 0;
            let got = std::future::poll_fn(|context| {
                polled += 1;
                match caller.as_mut().poll(context) {
                    std::task::Poll::Ready(got) => std::task::Poll::Ready(Some(got)),
                    std::task::Poll::Pending if polled == polls => std::task::Poll::Ready(None),
                    std::task::Poll::Pending => std::task::Poll::Pending,
                }
            })
            .await;
            drop(caller);
            self.stage
                .ends("draining", victim.drain(Duration::from_secs(3600)))
                .await;
            let after = self.stage.stored().await.generation;
            if after > before + 1 {
                self.stage
                    .breaks(Promise::G1, "a dropped caller cost a second refresh");
            }
            let when = "after a caller was dropped";
            let sampled = self.stage.sample(&victim, when).await;
            self.stage.broken.extend(sampled);
            if got.is_some() {
                break;
            }
        }
        self.victim = Some(victim);
    }
}
