//! What a walk asked for, what was seen, and how long it took.

use std::{
    fmt::{self, Debug},
    future::Future,
    time::{Duration, Instant},
};

use tokenkeep_testing::BrowserError;

use crate::say;

/// No step takes so long, on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A step that came out otherwise.
#[derive(Debug)]
pub(crate) struct Unexpected(String);

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<BrowserError> for Unexpected {
    fn from(error: BrowserError) -> Self {
        Self(format!("expected an answer: {error}"))
    }
}

impl From<reqwest::Error> for Unexpected {
    fn from(error: reqwest::Error) -> Self {
        Self(format!("expected an answer: {}", error.without_url()))
    }
}

/// Fails a step that does not see what it should.
pub(crate) fn expect<T: Debug + PartialEq>(
    what: &str,
    seen: T,
    expected: T,
) -> Result<(), Unexpected> {
    if seen == expected {
        return Ok(());
    }
    unexpected(format!("expected {what} to be {expected:?}, saw {seen:?}"))
}

pub(crate) fn unexpected<T>(message: impl Into<String>) -> Result<T, Unexpected> {
    Err(Unexpected(message.into()))
}

pub(crate) struct Report {
    started: Instant,
    steps: u32,
}

impl Report {
    pub(crate) fn begin() -> Self {
        Self {
            started: Instant::now(),
            steps: 0,
        }
    }

    /// One step: what is asked for is said before it is done, what was seen afterwards.
    pub(crate) async fn step(
        &mut self,
        asked: &str,
        work: impl Future<Output = Result<String, Unexpected>>,
    ) -> Result<(), Unexpected> {
        self.steps += 1;
        say(&format!("{:>2}. {asked}", self.steps));
        let started = Instant::now();
        let seen = tokio::time::timeout(PATIENCE, work).await;
        let time = started.elapsed().as_millis();
        match seen.unwrap_or_else(|_| unexpected(format!("expected an end within {PATIENCE:?}"))) {
            Ok(seen) => {
                say(&format!("    {seen} ({time} ms)"));
                Ok(())
            }
            Err(error) => {
                say(&format!("    FAILED: {error} ({time} ms)"));
                Err(error)
            }
        }
    }

    pub(crate) fn skip(&self, asked: &str, why: &str) {
        say(&format!(" -. {asked}\n    skipped: {why}"));
    }

    pub(crate) fn end(&self, failed: bool) {
        let time = self.started.elapsed().as_millis();
        if failed {
            say(&format!("failed at step {}, after {time} ms", self.steps));
        } else {
            say(&format!("all {} steps went well, in {time} ms", self.steps));
        }
    }
}
