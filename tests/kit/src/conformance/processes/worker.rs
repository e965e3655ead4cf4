//! The part of a further process: it does what it is told until its orders end.

use std::{
    env,
    io::{self, BufRead, Write},
    process, thread,
    time::Duration,
};

use tokenkeep_core::store::DynTokenStore;
use tokio::{sync::mpsc, time::timeout};

use super::orders::{Answer, Order, carry_out};
use crate::conformance::{Options, trial::Broken};

/// The test that a further process runs, and where the first one keeps its data.
pub(super) const TEST: &str = "TOKENKEEP_CONFORMANCE_TEST";
pub(super) const LOCATION: &str = "TOKENKEEP_CONFORMANCE_LOCATION";

/// What stands before an answer: whatever else a test prints is none.
pub(super) const MARK: &str = "@tokenkeep-conformance ";

/// Where the first process keeps its data: what it gave to [`Options::location`], in a process that the kit has started
/// for [`Options::processes`]. In the first process it is `None`: it is to choose.
#[must_use]
pub fn location() -> Option<String> {
    env::var(TEST).ok().and_then(|_| env::var(LOCATION).ok())
}

/// Which part this process plays in a call of `check_with`.
pub(in crate::conformance) enum Part {
    /// It tries the store.
    First,
    /// It serves the first process.
    Further,
    /// It was started for another test or call.
    None,
}

impl Part {
    pub(in crate::conformance) fn of(options: &Options) -> Self {
        let Ok(test) = env::var(TEST) else {
            return Self::First;
        };
        match &options.processes {
            Some((_, named)) if *named == test => {
                if location() != options.location {
                    say(&Answer::Failed(
                        "the further process has chosen another location than the first one: \
                         begin with conformance::location()"
                            .to_owned(),
                    ));
                    process::exit(1);
                }
                Self::Further
            }
            _ => Self::None,
        }
    }
}

/// Serves the first process until it closes its end, or is no more.
pub(in crate::conformance) async fn serve(store: DynTokenStore, patience: Duration) -> ! {
    let (sender, mut orders) = mpsc::channel(1);
    // In a thread of its own, so that this process ends with the first one, whatever the store is doing.
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let order = line.ok().and_then(|line| serde_json::from_str(&line).ok());
            if order.is_none_or(|order: Order| sender.blocking_send(order).is_err()) {
                break;
            }
        }
        process::exit(0);
    });
    say(&Answer::Ready);
    while let Some(order) = orders.recv().await {
        let done = timeout(patience, carry_out(order, &store)).await;
        say(&match done {
            Ok(Ok(done)) => Answer::Done(done),
            Ok(Err(Broken(how))) => Answer::Failed(how),
            Err(_) => Answer::Failed(format!("it did not end within {patience:?}")),
        });
    }
    process::exit(0)
}

/// A test harness prints beside us, and may be in the middle of a line.
fn say(answer: &Answer) {
    let answer = serde_json::to_string(answer).unwrap_or_default();
    let mut out = io::stdout().lock();
    let said = writeln!(out, "\n{MARK}{answer}").and_then(|()| out.flush());
    if said.is_err() {
        // Nobody listens any more.
        process::exit(1);
    }
}
