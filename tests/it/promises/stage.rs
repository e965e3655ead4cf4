//! Where a scenario plays: two processes over one store and one provider, and a clock that is put forward when nothing
//! else can happen.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokenkeep::{
    Action, Clock as _, ErrorCode, TokenKey,
    store::{FetchToken, StoredRecord},
};
use tokenkeep_testing::Provider;
use tokio::task::JoinHandle;

use super::{
    history::History,
    point::Promise,
    process::{OwnRuntime, Process},
};
use crate::{
    faulty::Faulty,
    kind::Kind,
    world::{CLIENT, PATIENCE, World, alice, key, soon},
};

/// How long access tokens last: no scenario but those that wait for the end of one takes half of it.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);

const SECOND: Duration = Duration::from_secs(1);

pub(super) struct Stage {
    pub(super) world: Arc<World>,
    pub(super) history: Arc<History>,
    busy: Arc<AtomicUsize>,
    /// The keys of everybody who knows all of them.
    pub(super) ring: String,
    /// A handle to the store that no fault spoils.
    pub(super) raw: Faulty,
    /// The process that no fault hits.
    pub(super) other: Process,
    /// Does somebody run on another thread, whose tasks nobody here sees?
    pub(super) threads: bool,
    pub(super) broken: Vec<(Promise, String)>,
}

pub(super) fn key_of_alice() -> TokenKey {
    TokenKey::new(CLIENT, "alice").unwrap()
}

impl Stage {
    /// Alice has logged in, and the other process holds her token.
    pub(super) async fn set(kind: Kind) -> Self {
        let provider = Provider::builder()
            .access_token_lifetime(LIFETIME)
            .keep_replaced_access_tokens(true);
        let world = Arc::new(World::over(kind, provider).await);
        let history = Arc::new(History::at(world.file("history")));
        let busy = Arc::default();
        let ring = format!("{},{}", key("a", 7), key("b", 8));
        let other = Process::start(&world, "other", &ring, &history, &busy).await;
        world.alice(&other.oauth).await.token().await.unwrap();
        let raw = world.another_store().await;
        Self {
            world,
            history,
            busy,
            ring,
            raw,
            other,
            threads: false,
            broken: Vec::new(),
        }
    }

    /// Starts a process on the test's runtime.
    pub(super) async fn start(&self, name: &'static str, ring: &str) -> Process {
        let process = Process::start(&self.world, name, ring, &self.history, &self.busy).await;
        soon(process.token()).await.unwrap().unwrap();
        process
    }

    /// Starts a process on a runtime of its own.
    pub(super) async fn start_on(&self, runtime: &OwnRuntime, ring: &str) -> Process {
        let (world, history) = (Arc::clone(&self.world), Arc::clone(&self.history));
        let (busy, ring) = (Arc::clone(&self.busy), ring.to_owned());
        let start = async move { Process::start(&world, "victim", &ring, &history, &busy).await };
        let process = runtime.run(start).await;
        soon(process.token()).await.unwrap().unwrap();
        process
    }

    pub(super) async fn stored(&self) -> StoredRecord {
        let fetched = self.raw.fetch_token(&key_of_alice()).await.unwrap();
        fetched.record.unwrap()
    }

    pub(super) fn breaks(&mut self, promise: Promise, how: impl Into<String>) {
        self.broken.push((promise, how.into()));
    }

    /// Waits until all tasks wait: for time to pass, or at a gate.
    pub(super) async fn settle(&self) {
        let mut quiet = 0;
        while quiet < 3 {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            if self.busy.load(Ordering::SeqCst) == 0 {
                quiet += 1;
            } else {
                quiet = 0;
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
    }

    /// Lets time pass, and everybody do what they do at each moment.
    pub(super) async fn pass(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            self.settle().await;
            let step = left.min(SECOND);
            self.world.advance(step);
            left -= step;
        }
        self.settle().await;
    }

    /// Lets time pass until it comes true.
    pub(super) async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        for _ in 0..400 {
            self.settle().await;
            // What other threads do takes real time, and no test knows how much: they get some before the clock moves.
            let tries = if self.threads { 50 } else { 0 };
            for _ in 0..tries {
                if condition() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if condition() {
                return;
            }
            self.world.advance(SECOND);
        }
        let row = super::history::header_of(&self.stored().await);
        panic!("it never came true: {what}; {row}");
    }

    /// Lets time pass until a task ends.
    pub(super) async fn ends<T>(&self, what: &str, task: JoinHandle<T>) -> T {
        self.until(what, || task.is_finished()).await;
        task.await.unwrap()
    }

    /// An unexpired token is there: does the process hand it out (G7)?
    pub(super) async fn sample(&self, process: &Process, when: &str) -> Option<(Promise, String)> {
        let got = self.ends("a caller of token()", process.token()).await;
        let how = match got {
            Ok(token) if token.expires_at() > Some(self.world.clock.now()) => return None,
            Ok(_) => "hands out what is over".to_owned(),
            Err(error) => format!("answers {error}"),
        };
        Some((Promise::G7, format!("{when}: {} {how}", process.name)))
    }

    /// Asks for a new token until it comes, or until it is certain that none will.
    pub(super) async fn renew(&self, process: &Process) -> Result<(), ErrorCode> {
        for _ in 0..40 {
            let grant = alice(&process.oauth);
            let refresh = process.runtime.spawn(async move { grant.refresh().await });
            let Err(error) = self.ends("a caller of refresh()", refresh).await else {
                return Ok(());
            };
            if error.code() == ErrorCode::LoginRequired {
                return Err(error.code());
            }
            let after = match error.action() {
                Action::Retry { after } => after.unwrap_or_default(),
                _ => Duration::ZERO,
            };
            self.settle().await;
            self.world.advance(after.max(SECOND));
        }
        panic!("{} never gets a new token", process.name);
    }

    /// Waits until a process refuses, as after a logout that it has heard of. Answers whether it does.
    pub(super) async fn refuses(&self, process: &Process) -> bool {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let got = self.ends("a caller of token()", process.token()).await;
            if got.is_err_and(|error| error.code() == ErrorCode::LoginRequired) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        false
    }
}
