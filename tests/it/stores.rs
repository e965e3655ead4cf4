//! The in-tree stores keep the contract: each passes the conformance kit, with two handles and with time that moves.

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

use tokenkeep::{Clock, MemoryStore, SystemClock, Timestamp, store::TokenStore};
use tokenkeep_testing::conformance::{Options, Report, Verdict, check_with};

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

/// Everything the kit can ask for: `second` makes the other handle.
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

fn all_passed(report: &Report) -> bool {
    let mut outcomes = report.outcomes.iter();
    outcomes.all(|outcome| outcome.verdict == Verdict::Passed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_conforms() {
    let clock = Arc::new(Ahead::default());
    let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let report = conforms(clock, store.clone(), store).await;
    assert!(all_passed(&report));
}
