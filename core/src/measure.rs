//! What the refresh protocol counts, for the recorder that the application installs (crate `metrics`), and the end of a
//! refresh's span. The table of metrics stands in the documentation of the facade. Without the feature `metrics` nothing is
//! counted, and nothing costs anything.
//!
//! No label says whose token it is, and a client that is not registered has the label `unknown`: nobody outside makes up
//! labels.

use std::time::Duration;

use crate::{Error, ErrorCode, token::Verdict};

/// Adds to a counter.
fn count(name: &'static str, labels: &[(&'static str, &str)], by: u64) {
    #[cfg(feature = "metrics")]
    metrics::counter!(name, owned(labels)).increment(by);
    let _ = (name, labels, by);
}

/// Takes down how long something took.
fn time(name: &'static str, client: &str, time: Duration) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(name, owned(&[("client", client)])).record(time.as_secs_f64());
    let _ = (name, client, time);
}

#[cfg(feature = "metrics")]
fn owned(labels: &[(&'static str, &str)]) -> Vec<metrics::Label> {
    labels
        .iter()
        .map(|(name, value)| metrics::Label::new(*name, (*value).to_owned()))
        .collect()
}

/// A refresh is over, and this came of it.
pub(crate) fn refresh_ended(client: &str, outcome: &'static str) {
    tracing::Span::current().record("outcome", outcome);
    count(
        "tokenkeep_refreshes_total",
        &[("client", client), ("outcome", outcome)],
        1,
    );
}

/// A refresh failed.
pub(crate) fn refresh_failed(client: &str, error: &Error) {
    let client = match error.code() {
        ErrorCode::UnknownClient => "unknown",
        _ => client,
    };
    refresh_ended(client, error.code().as_str());
}

/// A token request is over; none is a good answer.
pub(crate) fn token_request(client: &str, failure: Option<Verdict>, took: Duration) {
    let outcome = failure.map_or("answered", Verdict::as_str);
    count(
        "tokenkeep_token_requests_total",
        &[("client", client), ("outcome", outcome)],
        1,
    );
    time("tokenkeep_token_request_seconds", client, took);
}

/// A refresh waited for another process.
pub(crate) fn waited(client: &str, waited: Duration) {
    let millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    tracing::Span::current().record("waited_ms", millis);
    time("tokenkeep_lease_wait_seconds", client, waited);
}

/// A lease was overtaken.
pub(crate) fn lease_overtaken(client: &str) {
    count("tokenkeep_lease_takeovers_total", &[("client", client)], 1);
}

/// An answer that the store does not take yet, as long as this is held.
#[derive(Debug)]
pub(crate) struct CommitPending(String);

impl CommitPending {
    pub(crate) fn of(client: &str) -> Self {
        let pending = Self(client.to_owned());
        pending.add(1.0);
        pending
    }

    fn add(&self, by: f64) {
        #[cfg(feature = "metrics")]
        metrics::gauge!("tokenkeep_commits_pending", owned(&[("client", &self.0)])).increment(by);
        let _ = (&self.0, by);
    }
}

impl Drop for CommitPending {
    fn drop(&mut self) {
        self.add(-1.0);
    }
}

/// Another write came first.
pub(crate) fn store_conflict(client: &str) {
    count("tokenkeep_store_conflicts_total", &[("client", client)], 1);
}

/// A call of the store failed.
pub(crate) fn store_error(operation: &'static str) {
    count(
        "tokenkeep_store_errors_total",
        &[("operation", operation)],
        1,
    );
}

/// The change feed may have missed something.
pub(crate) fn feed_gap() {
    count("tokenkeep_feed_gaps_total", &[], 1);
}

/// Records were removed.
pub(crate) fn purged(records: u64) {
    count("tokenkeep_purged_total", &[], records);
}

/// A grant or session was forgotten.
pub(crate) fn forgotten() {
    count("tokenkeep_forgotten_total", &[], 1);
}

/// A record was sealed anew, or could not be.
pub(crate) fn resealed(outcome: &'static str) {
    count("tokenkeep_resealed_total", &[("outcome", outcome)], 1);
}

/// An idle grant was refreshed, or could not be.
pub(crate) fn kept_alive(client: &str, outcome: &'static str) {
    count(
        "tokenkeep_kept_alive_total",
        &[("client", client), ("outcome", outcome)],
        1,
    );
}
