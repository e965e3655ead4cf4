//! The in-tree stores keep the contract: each passes the conformance kit, with two handles and with time that moves.

mod mysql;
mod postgres;
mod redis;
mod sealing;
mod sqlite;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokenkeep::{Clock, MemoryStore, SystemClock, Timestamp, TokenKey, store::*};
use tokenkeep_testing::conformance::{self, Options, Outcome, Report, Verdict, check_with};
use tokio_stream::StreamExt;

use crate::kind::Kind;

/// The machine's clock, put forward.
#[derive(Debug, Default)]
struct Ahead(AtomicU64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }
}

/// Everything the kit can ask for but further processes: `second` makes the other handle.
async fn conforms<S: TokenStore + Clone>(clock: Arc<Ahead>, store: S, second: S) -> Report {
    let options = Options::new()
        .second_handle(move || std::future::ready(second.clone()))
        .fast_forward(move |by| {
            let millis = u64::try_from(by.as_millis()).unwrap();
            clock.0.fetch_add(millis, Ordering::SeqCst);
            std::future::ready(())
        });
    let report = check_with(options, || std::future::ready(store)).await;
    println!("{report}");
    report.assert();
    report
}

/// Everything the kit can ask of a store whose time is that of a server, which nobody moves: that takes real time.
async fn conforms_on_a_server<S: TokenStore + Clone>(store: S, second: S) {
    let options = Options::new()
        .second_handle(move || std::future::ready(second.clone()))
        .real_time();
    let report = check_with(options, || std::future::ready(store)).await;
    println!("{report}");
    report.assert();
    assert!(all_passed(&report));
}

/// The trials over processes: four of them in a fresh place of a store.
async fn conforms_with_four_processes<S: TokenStore>(
    kind: Kind,
    test: &str,
    open: impl AsyncFn(String) -> S,
) {
    // A further process uses what the first one has made, and leaves it to the first one to remove.
    let location = conformance::location();
    let place = location
        .is_none()
        .then(|| kind.place(Arc::new(SystemClock)));
    let url = location.unwrap_or_else(|| place.as_ref().unwrap().url().to_owned());
    let options = Options::new()
        .processes(3, test)
        .location(&url)
        .only("processes/");
    let report = check_with(options, || open(url)).await;
    println!("{report}");
    report.assert();
    let passed = |outcome: &&Outcome| outcome.verdict == Verdict::Passed;
    assert_eq!(report.outcomes.iter().filter(passed).count(), 7);
}

/// All but the trials over processes, which take a test of their own.
fn all_passed(report: &Report) -> bool {
    let mut outcomes = report.outcomes.iter();
    outcomes.all(|outcome| {
        outcome.verdict == Verdict::Passed || outcome.trial.starts_with("processes/")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_conforms() {
    let clock = Arc::new(Ahead::default());
    let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let report = conforms(clock, store.clone(), store).await;
    assert!(all_passed(&report));
    // Nothing in the memory of one process can be another's.
    let not_shared = Verdict::NotClaimed("shared");
    let mut outcomes = report.outcomes.iter();
    assert!(outcomes.any(|it| it.trial == "processes/insert" && it.verdict == not_shared));
}

fn key(owner: &str) -> TokenKey {
    TokenKey::new("client", owner).unwrap()
}

fn record(generation: u64) -> StoredRecord {
    let body = b"a body that nobody may see".to_vec();
    StoredRecord::new(Version::random(), generation, Index::default(), body)
}

async fn insert(store: &impl UpdateToken, owner: &str) -> StoredRecord {
    let record = record(1);
    write(store, owner, &record).await.unwrap();
    record
}

async fn write(
    store: &impl UpdateToken,
    owner: &str,
    record: &StoredRecord,
) -> Result<(), StoreError> {
    store
        .update_token(&key(owner), record, Expected::Absent)
        .await
}

/// What an error says, to people and to programs: never what a record holds, nor a password.
#[track_caller]
fn shown(error: &StoreError) -> String {
    let shown = format!("{error:?} {error}");
    for secret in ["nobody may see", "hunter2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    shown
}

#[track_caller]
fn is_misconfigured<T: std::fmt::Debug>(answer: Result<T, StoreError>, reason: &str) {
    let error = answer.unwrap_err();
    shown(&error);
    assert!(
        matches!(error, StoreError::Misconfigured { .. }) && error.to_string().contains(reason),
        "{error:?}"
    );
}

async fn next(changes: &mut Changes) -> Change {
    let next = tokio::time::timeout(Duration::from_secs(30), changes.next()).await;
    next.expect("a change in time").expect("an open feed")
}

fn generation(change: &Change) -> Option<u64> {
    match change {
        Change::Written { generation, .. } => Some(*generation),
        _ => None,
    }
}

/// The next change that is no gap, and whether there were gaps before it.
async fn written(changes: &mut Changes) -> (u64, bool) {
    let mut gap = false;
    loop {
        match generation(&next(changes).await) {
            Some(generation) => return (generation, gap),
            None => gap = true,
        }
    }
}

#[track_caller]
fn is_unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    let error = answer.unwrap_err();
    shown(&error);
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

/// Runs all of them at once.
async fn all<F>(callers: impl Iterator<Item = F>)
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    let callers: Vec<_> = callers.map(tokio::spawn).collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
}
