//! How a grant ends, or its access token before its time.

use std::time::Duration;

use super::{IssuedBy, Line, Move, Row, rewritten};
use crate::{
    Timestamp,
    refresh::rules::{Rule, holds},
    store::Index,
    token::{Body, GrantId, Header, NeedsLoginCause, Payload, Record, State, Step},
};

/// What became of a logout.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Logout {
    /// The tombstone is written; these were its secrets, if the row could be opened.
    Done { payload: Option<Box<Payload>> },
    /// It was logged out already, or there is no row.
    Already,
    /// A new login stands there.
    Superseded,
}

/// Logs out: leaves a tombstone without secrets, which only a login replaces (rules 1, 2, 6).
pub(crate) fn logout(
    row: Row<'_>,
    first: Option<GrantId>,
    now: Timestamp,
    tombstone: Duration,
) -> Move<Logout> {
    let Some(record) = row else {
        return Move::Stay(Logout::Already);
    };
    if Some(record.header.grant_id) != first && holds(Rule::FirstLook) {
        return Move::Stay(Logout::Superseded);
    }
    if record.header.state == State::LoggedOut {
        return Move::Stay(Logout::Already);
    }
    if record.header.lease.is_some() && !holds(Rule::LogoutWins) {
        return Move::Stay(Logout::Superseded);
    }
    let payload = match &record.body {
        Body::Open { payload, .. } => Some(payload.clone()),
        _ => None,
    };
    let mut next = rewritten(record, now);
    next.header.state = State::LoggedOut;
    next.header.lease = None;
    next.header.attempt = None;
    next.header.refreshable = false;
    next.header.note(now, Step::Logout, "", "");
    next.index.access_expires_at = None;
    next.index.purge_at = Some(now + tombstone.max(Duration::from_secs(24 * 3600)));
    next.body = Body::Empty;
    Move::Write(next, Logout::Done { payload })
}

/// What became of forgetting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Forget {
    /// Nothing is left of what stood there; that is what it was.
    Done {
        ended: Line,
        body: Body,
        issued_by: IssuedBy,
        /// It may be removed at once.
        at_once: bool,
    },
    /// There is no row, or only what an earlier forgetting left.
    Already,
}

/// No login inserts later than this after its first look.
pub(crate) const INSERT_WITHIN: Duration = Duration::from_secs(60);

/// How long a row must have been there until a login that looked before it was there cannot insert any more: twice as
/// long, for a write that takes its time.
pub(crate) const SETTLED: Duration = Duration::from_secs(120);

/// Was this row, or the lack of one, left by [`forget`]?
pub(crate) fn forgotten(row: Row<'_>) -> bool {
    row.is_none_or(|record| {
        record.header.state == State::LoggedOut
            && record
                .header
                .trail
                .last()
                .is_some_and(|entry| entry.step == Step::Forget)
    })
}

/// Forgets whose row it was: what is left is a grant that nobody was ever given, and that is over.
///
/// A grant of another id, so that no login whose first look was before can take its place (rule 1), and of a later
/// generation, so that nothing of the old one beats it. A row that was there for long may be removed at once: to all
/// transitions but login a missing row is a logged-out one (rule 2), and a login that looked while there was no row yet
/// is too late to insert. A younger row has to stay until that is so.
pub(crate) fn forget(row: Row<'_>, now: Timestamp) -> Move<Forget> {
    let Some(record) = row.filter(|record| !forgotten(Some(record))) else {
        return Move::Stay(Forget::Already);
    };
    let at_once = record
        .header
        .trail
        .first()
        .is_some_and(|entry| entry.at + SETTLED <= now);
    let generation = record.header.generation.saturating_add(1);
    let generation = generation.max(u64::try_from(now.as_millis()).unwrap_or(0));
    let mut header = Header::new(GrantId::random(), generation);
    header.state = State::LoggedOut;
    header.fence = record.header.fence;
    header.trail.clone_from(&record.header.trail);
    header.note(now, Step::Forget, "", "");
    let index = Index {
        changed_at: now,
        purge_at: Some(if at_once {
            Timestamp::default()
        } else {
            now + SETTLED
        }),
        ..Index::default()
    };
    let mut next = Record::new(header, index, Payload::default());
    next.body = Body::Empty;
    let outcome = Forget::Done {
        ended: Line::of(record),
        body: record.body.clone(),
        issued_by: IssuedBy::of(record),
        at_once,
    };
    Move::Write(Box::new(next), outcome)
}

/// Takes the access tokens of a generation whose ID token turned out to be wrong. Answers whether it did.
pub(crate) fn quarantine(row: Row<'_>, line: Line, now: Timestamp) -> Move<bool> {
    let Some(record) =
        row.filter(|record| line.is_of(record) && record.header.state != State::LoggedOut)
    else {
        return Move::Stay(false);
    };
    let Some(payload) = record.payload() else {
        return Move::Stay(false);
    };
    let mut payload = payload.clone();
    payload.access_tokens.clear();
    let mut next = rewritten(record, now);
    next.header.state = State::NeedsLogin {
        cause: NeedsLoginCause::IdentityChanged,
    };
    next.header.note(now, Step::Quarantine, "", "");
    next.set_payload(payload);
    Move::Write(next, true)
}

/// Lets the access tokens of a generation count as expired, for the whole fleet. Answers whether it did.
pub(crate) fn expire(row: Row<'_>, line: Line, now: Timestamp) -> Move<bool> {
    let Some(record) = row.filter(|record| {
        line.is_of(record)
            && record.header.state == State::Active
            && record.header.expired_through != Some(line.generation)
    }) else {
        return Move::Stay(false);
    };
    let mut next = rewritten(record, now);
    next.header.expired_through = Some(line.generation);
    next.header.note(now, Step::Expire, "", "");
    next.index.access_expires_at = Some(now);
    Move::Write(next, true)
}
