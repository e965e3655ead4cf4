//! The conformance kit for token stores: one line tries every promise that a store makes.
//!
//! ```
//! # use tokenkeep_memory::MemoryStore as MyStore;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let report = tokenkeep_testing::conformance::check(|| async { MyStore::new() }).await;
//! println!("{report}");
//! report.assert();
//! # }
//! ```
//!
//! Each trial has a name and a promise; the contract itself is written at [`tokenkeep_core::store`]. A trial whose
//! promise is broken says what was found. Trials of what the store's
//! [`Capabilities`](tokenkeep_core::store::Capabilities) do not claim are listed as not claimed, and trials that need
//! a hand, or build on one that failed, as not run, with the reason. Read the report from the top: the first failure
//! names the fault, and later ones may follow from it.
//!
//! ```text
//! store `mine`: 27 passed, 1 failed, 35 not claimed, 9 not run
//!   ok    write/insert                      2 ms
//!   FAIL  write/version-on-missing     promised: A write that expects a version is a conflict if there is no record, and never an insert.
//!                                      found: a write that expected a version of a missing record was accepted
//!   -     find/pages                   not claimed: find
//!   -     write/read-your-writes       not run: Options::second_handle was not given
//!   note  `purge` is there and not claimed, so nobody will use it: say so in capabilities()
//! ```
//!
//! # For a store that a fleet uses
//!
//! One handle in one process hides much. Lend the kit a hand by [`Options`]:
//!
//! | | what is tried then |
//! |---|---|
//! | [`second_handle`](Options::second_handle) | a cache or a replica that answers old reads; a feed that hears its own writes only |
//! | [`processes`](Options::processes) | compare-and-swap, `put_once` and `take` that hold within one process only |
//! | [`fast_forward`](Options::fast_forward), or [`real_time`](Options::real_time) | what expires too early, or never |
//!
//! ```no_run
//! # use tokenkeep_memory::MemoryStore;
//! # struct MyStore; impl MyStore { async fn connect(_: &str) -> MemoryStore { MemoryStore::new() } }
//! # async fn create_database() -> String { String::new() }
//! use tokenkeep_testing::conformance::{self, Options, check_with};
//!
//! // #[tokio::test(flavor = "multi_thread")]
//! async fn my_store_conforms() {
//!     // Further processes run this test, too, and use what the first one has made.
//!     let url = match conformance::location() {
//!         Some(url) => url,
//!         None => create_database().await,
//!     };
//!     let second = url.clone();
//!     let options = Options::new()
//!         .second_handle(move || {
//!             let url = second.clone();
//!             async move { MyStore::connect(&url).await }
//!         })
//!         .processes(3, "my_store_conforms")
//!         .location(&url)
//!         .real_time();
//!     let report = check_with(options, || MyStore::connect(&url)).await;
//!     println!("{report}");
//!     report.assert();
//! }
//! ```
//!
//! Give the kit a database of its own: it purges whatever is due, and leaves records behind. Its keys are new in each
//! run, so that it may run again over the same tables. It needs a tokio runtime with I/O and time; with several threads
//! the races are real ones.
//!
//! The trials' names are stable enough to be looked up, and new ones may come with any version.

mod bodies;
mod capabilities;
mod changes;
mod expiry;
mod find;
mod keys;
mod once;
mod options;
mod processes;
mod purge;
mod races;
mod report;
mod trial;
mod writes;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokenkeep_core::store::TokenStore;

use self::processes::Part;
use self::trial::{Bench, Trial};
pub use self::{
    options::Options,
    processes::location,
    report::{Outcome, Report, Verdict},
};

/// Tries a store, by one handle in one process.
pub async fn check<S, F>(make: impl FnOnce() -> F) -> Report
where
    S: TokenStore,
    F: Future<Output = S>,
{
    check_with(Options::new(), make).await
}

/// Tries a store, with a hand from its author. In a process that the kit has started for
/// [`Options::processes`], this serves the first process and does not return.
///
/// `make` is called once. Should it panic, nothing was tried, and the test fails.
pub async fn check_with<S, F>(options: Options, make: impl FnOnce() -> F) -> Report
where
    S: TokenStore,
    F: Future<Output = S>,
{
    match Part::of(&options) {
        Part::First => {}
        Part::Further => processes::serve(Arc::new(make().await), options.patience).await,
        Part::None => return not_run(),
    }
    let mut bench = Bench::new(Arc::new(make().await), options).await;
    let mut outcomes = Vec::new();
    for trial in trials() {
        let started = Instant::now();
        let verdict = trial.run(&bench).await;
        // One fault, one failure: what is claimed and not there is not tried further.
        if matches!(verdict, Verdict::Failed(_)) {
            bench
                .unmet
                .extend(trial.proves.map(|need| (need, trial.name)));
        }
        outcomes.push(Outcome::new(&trial, verdict, started.elapsed()));
    }
    let notes = capabilities::notes(&bench).await;
    Report::new(bench.store.name(), outcomes, notes)
}

/// A further process does its part in one call; what others try, the first process tries.
fn not_run() -> Report {
    let why = Verdict::NotRun("this process was started by the kit for another test".into());
    let outcomes = trials().map(|trial| Outcome::new(&trial, why.clone(), Duration::ZERO));
    Report::new("", outcomes.collect(), Vec::new())
}

fn trials() -> impl Iterator<Item = Trial> {
    [
        capabilities::trials(),
        writes::trials(),
        bodies::trials(),
        keys::trials(),
        races::trials(),
        purge::trials(),
        once::trials(),
        find::trials(),
        changes::trials(),
        processes::trials(),
        // The last, because time that was moved does not come back.
        expiry::trials(),
    ]
    .into_iter()
    .flatten()
}
