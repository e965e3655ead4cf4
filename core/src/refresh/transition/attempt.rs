//! The transitions of a refresh: lease, commit, failure.

use super::{Binding, Line, Move, Row, Terms, end_journal, grace, leased_to, rewritten};
use crate::{
    Timestamp,
    refresh::rules::{Rule, holds},
    token::{AccessToken, Attempt, Lease, NeedsLoginCause, Payload, Record, Secret, State, Step},
};

/// What became of the wish to refresh.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// The lease is the attempt's: it may send the refresh token until a margin before this time.
    Granted { until: Timestamp },
    /// Another attempt holds the lease, not longer than this.
    Busy { until: Timestamp },
    /// The generation is another one by now.
    Moved,
    /// The provider asked for a pause, or failed.
    Cooling { until: Timestamp },
    /// The user must log in.
    NeedsLogin { cause: NeedsLoginCause },
    /// Logged out, or there is no row (rule 2).
    Gone,
    /// The row cannot be opened: nothing may be sent, and nothing is written.
    KeyMissing,
}

/// What a step notes that took the lease of another attempt.
pub(crate) const OVERTOOK: &str = "overtook a lease";

/// Takes the lease, and journals that the refresh token may be sent from now on (rules 3, 4, 12, 13).
pub(crate) fn begin(
    row: Row<'_>,
    line: Line,
    attempt: &str,
    binding: &Binding,
    terms: Terms,
) -> Move<Begin> {
    let Some(record) = row else {
        return Move::Stay(Begin::Gone);
    };
    let now = terms.now;
    if record.header.state == State::LoggedOut {
        return Move::Stay(Begin::Gone);
    }
    if !line.is_of(record) {
        return Move::Stay(Begin::Moved);
    }
    if !binding.fits(record) {
        return Move::Stay(Begin::NeedsLogin {
            cause: NeedsLoginCause::RegistrationChanged,
        });
    }
    if let State::NeedsLogin { cause } = record.header.state {
        return Move::Stay(Begin::NeedsLogin { cause });
    }
    if !record.header.refreshable {
        return Move::Stay(Begin::NeedsLogin {
            cause: NeedsLoginCause::NotRefreshable,
        });
    }
    if record.payload().is_none() {
        return Move::Stay(Begin::KeyMissing);
    }
    let overtaken = match &record.header.lease {
        Some(lease) if leased_to(record, attempt) => {
            return Move::Stay(Begin::Granted { until: lease.until });
        }
        Some(lease) if lease.until > now => return Move::Stay(Begin::Busy { until: lease.until }),
        other => other.as_ref(),
    };
    if let Some(until) = record
        .header
        .not_before
        .filter(|until| terms.heed_cooling && *until > now)
    {
        return Move::Stay(Begin::Cooling { until });
    }
    let until = now + terms.lease;
    let mut next = rewritten(record, now);
    next.header.fence = next.header.fence.saturating_add(1);
    next.header.lease = Some(Lease {
        attempt: attempt.to_owned(),
        until,
    });
    // The earliest is kept (rule 12).
    next.header.attempt.take_if(|_| !holds(Rule::Journal));
    let journal = next.header.attempt.get_or_insert_with(|| Attempt {
        by: attempt.to_owned(),
        since: now,
        overtaken_until: None,
    });
    if let Some(lease) = overtaken {
        journal.overtaken_until = journal
            .overtaken_until
            .max(Some(lease.until + terms.commit_budget));
    }
    next.header.note(
        now,
        Step::Begin,
        attempt,
        if overtaken.is_some() { OVERTOOK } else { "" },
    );
    Move::Write(next, Begin::Granted { until })
}

/// A good answer of the provider, as it goes into a record.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) access: AccessToken,
    /// None keeps the old one.
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) id_token: Option<Secret>,
    /// Another identity than the record's: the refresh token is kept, the access token is not (rule 10).
    pub(crate) identity_changed: bool,
    /// A refresh ends the access tokens of other targets at this provider (rule 9).
    pub(crate) revokes_others: bool,
}

/// What became of a commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// It is the row now.
    Done {
        /// A grant that had been declared dead lives again.
        recovered: bool,
    },
    /// It had been written before; the answer was lost.
    Mine,
    /// The generation is another one by now.
    Superseded {
        /// The row holds the answer's refresh token all the same, or nobody here can say: it must live.
        keeps_token: bool,
    },
    /// The grant is logged out, or its row is gone (G4): the new refresh token ends up nowhere.
    Gone,
    /// Another grant stands there: the new refresh token ends up nowhere, and the new login's must live.
    Replaced,
}

/// Commits an answer on the generation alone; **not** fenced, and allowed over a `NeedsLogin` of the same generation.
///
/// `begun` is the payload that the attempt began with: it stands in when the row was sealed meanwhile by a key that this
/// process lacks, because within a generation the tokens are the same.
pub(crate) fn commit(
    row: Row<'_>,
    line: Line,
    attempt: &str,
    begun: &Payload,
    answer: &Answered,
    now: Timestamp,
) -> Move<Commit> {
    let Some(record) = row else {
        return Move::Stay(Commit::Gone);
    };
    if record.header.state == State::LoggedOut && holds(Rule::TombstonesStay) {
        return Move::Stay(Commit::Gone);
    }
    if !line.is_of_grant(record) {
        return Move::Stay(Commit::Replaced);
    }
    if record.header.commit_id.as_deref() == Some(attempt) {
        return Move::Stay(Commit::Mine);
    }
    let fenced_off = !holds(Rule::CommitUnfenced) && !leased_to(record, attempt);
    if fenced_off || is_newer(record, line, begun, answer) {
        let keeps_token = record.payload().is_none_or(|payload| {
            answer.refresh_token.is_some() && payload.refresh_token == answer.refresh_token
        });
        return Move::Stay(Commit::Superseded { keeps_token });
    }
    let mut next = rewritten(record, now);
    let recovered = record.header.state != State::Active;
    let generation = line
        .generation
        .max(record.header.generation)
        .saturating_add(1);
    next.header.generation = generation;
    next.header.commit_id = Some(attempt.to_owned());
    next.header.lease.take_if(|lease| lease.attempt == attempt);
    next.header.attempt = None;
    next.header.not_before = None;
    next.header.failures = 0;

    let mut payload = record.payload().unwrap_or(begun).clone();
    if let Some(refresh_token) = &answer.refresh_token {
        payload.refresh_token = Some(refresh_token.clone());
    }
    if answer.identity_changed && holds(Rule::Identity) {
        payload.access_tokens.clear();
        next.header.state = State::NeedsLogin {
            cause: NeedsLoginCause::IdentityChanged,
        };
        next.header.note(
            now,
            Step::Commit,
            attempt,
            "another identity: no access token",
        );
    } else {
        if answer.revokes_others || !holds(Rule::OtherTargets) {
            payload.access_tokens.clear();
        }
        if answer.id_token.is_some() {
            payload.id_token.clone_from(&answer.id_token);
        }
        payload.set_access(AccessToken {
            issued_generation: generation,
            ..answer.access.clone()
        });
        next.header.state = State::Active;
        next.header.note(now, Step::Commit, attempt, "");
    }
    next.set_payload(payload);
    let recovered = recovered && next.header.state == State::Active;
    Move::Write(next, Commit::Done { recovered })
}

/// Is the row newer than what the attempt began with, so that its answer comes too late?
///
/// Not if it is older, as after a fail-over, nor if a login kept the very refresh token that the attempt spent: the
/// grant lives by the answer alone then.
fn is_newer(record: &Record, line: Line, begun: &Payload, answer: &Answered) -> bool {
    let keeps_spent = answer.refresh_token.is_some()
        && begun.refresh_token.is_some()
        && answer.refresh_token != begun.refresh_token
        && record
            .payload()
            .is_some_and(|payload| payload.refresh_token == begun.refresh_token);
    record.header.generation > line.generation && !keeps_spent
}

/// What a failed attempt writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No process asks before this time.
    Cool { until: Timestamp },
    /// The user must log in.
    NeedsLogin { cause: NeedsLoginCause },
    /// The refresh token is over, and the attempt goes on without it: the application asks by its own grant.
    Forsaken,
}

/// What became of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    Written,
    /// An attempt that was overtaken may still be committing: not before this time (rule 13).
    Grace {
        until: Timestamp,
    },
    /// Whatever the attempt learnt is about something that is not there any more, or not its own.
    NotMine,
}

/// Writes a failure; only the holder of the lease may, expired or not.
///
/// `unprocessed`: no byte was sent, or the answer proves that the token was not processed (rule 12).
pub(crate) fn fail(
    row: Row<'_>,
    line: Line,
    attempt: &str,
    failure: Failure,
    unprocessed: bool,
    now: Timestamp,
) -> Move<Fail> {
    let Some(record) = row.filter(|record| {
        line.is_of(record)
            && record.header.state == State::Active
            && (leased_to(record, attempt) || !holds(Rule::FailFenced))
    }) else {
        return Move::Stay(Fail::NotMine);
    };
    if let Failure::NeedsLogin { .. } | Failure::Forsaken = failure
        && let Some(until) = grace(record, now)
    {
        return Move::Stay(Fail::Grace { until });
    }
    let mut next = rewritten(record, now);
    if failure != Failure::Forsaken {
        next.header.lease = None;
    }
    end_journal(&mut next.header, attempt, unprocessed);
    match failure {
        Failure::Cool { until } => {
            next.header.not_before = Some(until);
            next.header.failures = next.header.failures.saturating_add(1);
            next.header.note(
                now,
                Step::Cool,
                attempt,
                format!("{} s", until.since(now).as_secs()),
            );
        }
        Failure::NeedsLogin { cause } => {
            next.header.state = State::NeedsLogin { cause };
            next.header
                .note(now, Step::NeedsLogin, attempt, cause.as_str());
        }
        Failure::Forsaken => {
            let mut payload = record.payload().cloned().unwrap_or_default();
            payload.refresh_token = None;
            // What is asked for now is no refresh token's any more.
            next.header.attempt = None;
            next.header.client_credentials = true;
            next.set_payload(payload);
            next.header
                .note(now, Step::Release, attempt, "forsook the refresh token");
        }
    }
    Move::Write(next, Fail::Written)
}

/// Gives the lease back, if it is the attempt's. Answers whether it was.
pub(crate) fn release(
    row: Row<'_>,
    attempt: &str,
    unprocessed: bool,
    now: Timestamp,
) -> Move<bool> {
    let Some(record) = row.filter(|record| leased_to(record, attempt)) else {
        return Move::Stay(false);
    };
    let mut next = rewritten(record, now);
    next.header.lease = None;
    end_journal(&mut next.header, attempt, unprocessed);
    next.header.note(now, Step::Release, attempt, "");
    Move::Write(next, true)
}
