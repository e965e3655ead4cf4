//! What the trials found.

use std::{borrow::Cow, fmt, time::Duration};

use super::trial::Trial;

/// What the trials found, in their order. `Display` prints it as a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The store's name.
    pub store: String,
    /// One entry for each trial.
    pub outcomes: Vec<Outcome>,
    /// What breaks no promise and is worth knowing, such as a method that is there and not claimed.
    pub notes: Vec<String>,
}

/// What one trial found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The trial's name, such as `keys/case`.
    pub trial: &'static str,
    /// What the store contract promises there.
    pub promise: &'static str,
    /// What was found.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The promise was kept.
    Passed,
    /// The promise was broken: how.
    Failed(String),
    /// The store does not claim this capability.
    NotClaimed(&'static str),
    /// The trial needs a hand that was not lent, or what it builds on has failed: which.
    NotRun(Cow<'static, str>),
}

impl Report {
    pub(super) fn new(store: &str, outcomes: Vec<Outcome>, notes: Vec<String>) -> Self {
        Self {
            store: store.to_owned(),
            outcomes,
            notes,
        }
    }

    /// The trials whose promise was broken.
    pub fn failed(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes
            .iter()
            .filter(|outcome| matches!(outcome.verdict, Verdict::Failed(_)))
    }

    /// Was no promise broken?
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failed().next().is_none()
    }

    /// Fails the test that calls it if a promise was broken.
    ///
    /// # Panics
    /// With the report, if a promise was broken: that is its purpose.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.is_ok(), "the store breaks promises\n{self}");
    }
}

impl Outcome {
    pub(super) fn new(trial: &Trial, verdict: Verdict, took: Duration) -> Self {
        Self {
            trial: trial.name,
            promise: trial.promise,
            verdict,
            took,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |fits: fn(&Verdict) -> bool| {
            let fitting = self.outcomes.iter().filter(|it| fits(&it.verdict));
            fitting.count()
        };
        writeln!(
            f,
            "store `{}`: {} passed, {} failed, {} not claimed, {} not run",
            self.store,
            count(|verdict| matches!(verdict, Verdict::Passed)),
            count(|verdict| matches!(verdict, Verdict::Failed(_))),
            count(|verdict| matches!(verdict, Verdict::NotClaimed(_))),
            count(|verdict| matches!(verdict, Verdict::NotRun(_))),
        )?;
        for outcome in &self.outcomes {
            write!(f, "  {outcome}")?;
        }
        let mut notes = self.notes.iter();
        notes.try_for_each(|note| writeln!(f, "  note  {note}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.trial;
        match &self.verdict {
            Verdict::Passed => writeln!(f, "ok    {name:<28} {:>6} ms", self.took.as_millis()),
            Verdict::Failed(how) => {
                writeln!(f, "FAIL  {name:<28} promised: {}", self.promise)?;
                writeln!(f, "        {:<28} found: {how}", "")
            }
            Verdict::NotClaimed(what) => writeln!(f, "-     {name:<28} not claimed: {what}"),
            Verdict::NotRun(why) => writeln!(f, "-     {name:<28} not run: {why}"),
        }
    }
}
