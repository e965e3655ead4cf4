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
//! Each trial has a name and a promise. Trials of what the store's
//! [`Capabilities`](tokenkeep_core::store::Capabilities) do not claim are listed as not claimed, and trials that need
//! a hand ([`Options`]) are listed as not run, with the reason. Give the kit a database of its own: it purges, and
//! leaves records behind. It needs a tokio runtime; with several threads the races are real ones.
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

/// Tries a store.
pub async fn check<S, F>(make: impl FnOnce() -> F) -> Report
where
    S: TokenStore,
    F: Future<Output = S>,
{
    check_with(Options::new(), make).await
}

/// Tries a store, with a hand from its author.
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
