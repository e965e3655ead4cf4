//! The refresh protocol as pure functions: record and time in, record or outcome out.
//!
//! Nothing here waits, reads a clock or touches a store; the coordinator loads a row, applies a transition, writes with
//! compare-and-swap, and on a conflict loads again and applies it to what is there now. Rule numbers are those of
//! ARCHITECTURE.md. The three that carry most weight: a success commits on the generation alone; a failure may only be
//! written by the holder of the lease; logout always wins.
//!
//! Logins, and what all transitions share, stand here; [`attempt`] has those of a refresh, [`end`] how a grant or its
//! access token ends.

mod attempt;
mod end;

use std::time::Duration;

pub(crate) use self::{
    attempt::{Answered, Begin, Commit, Fail, Failure, OVERTOOK, begin, commit, fail, release},
    end::{Forget, INSERT_WITHIN, Logout, SETTLED, expire, forget, forgotten, logout, quarantine},
};
use super::rules::{Rule, holds};
use crate::{
    Timestamp,
    openid::IssuerRule,
    store::{Index, Version},
    token::{Body, GrantId, Header, Payload, Record, Secret, State, Step},
};

/// What a transition wants: to write this record, or to leave the row alone; and what came of it.
#[derive(Debug)]
pub(crate) enum Move<T> {
    Write(Box<Record>, T),
    Stay(T),
}

impl<T> Move<T> {
    /// Notes in the trail what the provider had answered.
    pub(crate) fn answered(mut self, answer: &str) -> Self {
        if let Self::Write(record, _) = &mut self {
            record.header.answered(answer);
        }
        self
    }
}

/// The row as it was loaded; none means that there is no row.
pub(crate) type Row<'a> = Option<&'a Record>;

/// Which generation of which grant an attempt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) grant_id: GrantId,
    pub(crate) generation: u64,
}

impl Line {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            grant_id: record.header.grant_id,
            generation: record.header.generation,
        }
    }

    /// Is the record still of this generation of this grant (rule 4)?
    fn is_of(self, record: &Record) -> bool {
        self.is_of_grant(record) && record.header.generation == self.generation
    }

    fn is_of_grant(self, record: &Record) -> bool {
        record.header.grant_id == self.grant_id || !holds(Rule::OwnGrant)
    }
}

/// Is the lease this attempt's, over or not (rule 3)?
fn leased_to(record: &Record, attempt: &str) -> bool {
    record
        .header
        .lease
        .as_ref()
        .is_some_and(|lease| lease.attempt == attempt || !holds(Rule::OwnLease))
}

/// Ends the journal, if the attempt that began it knows that the token was not processed (rule 12): by itself, and by
/// nobody who overtook it since.
fn end_journal(header: &mut Header, attempt: &str, unprocessed: bool) {
    header.attempt.take_if(|journal| {
        let alone = journal.by == attempt && journal.overtaken_until.is_none();
        (unprocessed && alone) || !holds(Rule::Journal)
    });
}

/// To which registration a grant belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The issuer or issuers, or the token endpoint of a provider without one.
    pub(crate) issuer: IssuerRule,
    pub(crate) client_id: String,
}

impl Binding {
    /// Does the record belong to this registration? Adopted rows may not say.
    pub(super) fn fits(&self, record: &Record) -> bool {
        self.issued(&IssuedBy::of(record))
    }

    /// Was a token issued to this registration, as far as is known?
    pub(crate) fn issued(&self, by: &IssuedBy) -> bool {
        let IssuedBy { issuer, client_id } = by;
        let is_ours = |client_id: &String| *client_id == self.client_id;
        issuer
            .as_ref()
            .is_none_or(|issuer| self.issuer.covers(issuer))
            && client_id.as_ref().is_none_or(is_ours)
    }
}

/// Who issued a token, and to which client id. Nobody else may be shown it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IssuedBy {
    issuer: Option<String>,
    client_id: Option<String>,
}

impl IssuedBy {
    /// What a record holds.
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            issuer: record.index.issuer.clone(),
            client_id: record.header.client_id.clone(),
        }
    }

    /// What a login brought.
    pub(crate) fn of_login(login: &Login) -> Self {
        Self {
            issuer: login.index.issuer.clone(),
            client_id: login.client_id.clone(),
        }
    }
}

impl From<&Binding> for IssuedBy {
    fn from(binding: &Binding) -> Self {
        Self {
            issuer: Some(binding.issuer.published().to_owned()),
            client_id: Some(binding.client_id.clone()),
        }
    }
}

/// The time and length of leases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Now, in store time.
    pub(crate) now: Timestamp,
    pub(crate) lease: Duration,
    /// How long an answer may take from its arrival to its commit.
    pub(crate) commit_budget: Duration,
    /// Does a cool-down stand in the way? Not for a login, which asks nothing of the provider.
    pub(crate) heed_cooling: bool,
}

/// A copy to be written at a time, with a version that was never used (rule 5).
fn rewritten(record: &Record, now: Timestamp) -> Box<Record> {
    let mut record = record.clone();
    record.version = Version::random();
    record.index.changed_at = now;
    Box::new(record)
}

/// Until when an attempt that was overtaken may still be committing, if that is not over (rule 13).
fn grace(record: &Record, now: Timestamp) -> Option<Timestamp> {
    record
        .header
        .attempt
        .as_ref()?
        .overtaken_until
        .filter(|until| *until > now && holds(Rule::Grace))
}

/// A login, or the adoption of tokens issued elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// Its own id: it recognises what it wrote.
    pub(crate) attempt: String,
    /// The id of the grant that it begins.
    pub(crate) grant_id: GrantId,
    pub(crate) index: Index,
    pub(crate) client_id: Option<String>,
    pub(crate) payload: Payload,
    /// May a stored refresh token be kept at once, because this provider never rotates (rule 8)?
    pub(crate) never_rotates: bool,
    pub(crate) step: Step,
    /// A grant of the application itself: its tokens are yet to be asked for.
    pub(crate) client_credentials: bool,
}

/// What became of a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LoginOutcome {
    /// It is the row now; the refresh token that it replaced ends up nowhere (rule 11).
    Kept { replaced: Option<Secret> },
    /// It had been written before; the answer was lost.
    Mine,
    /// Somebody else logged in or out meanwhile.
    Superseded,
    /// It keeps the stored refresh token, which another attempt may be rotating: take the lease first (rule 8).
    LeaseFirst,
    /// The same, and an attempt that was overtaken may still be committing: not before this time (rule 13).
    Grace { until: Timestamp },
    /// It would keep the stored refresh token, but the row cannot be opened.
    KeyMissing,
}

/// Writes a login if what its first load showed is still there (rule 1).
pub(crate) fn login(
    row: Row<'_>,
    first: Option<GrantId>,
    login: &Login,
    now: Timestamp,
) -> Move<LoginOutcome> {
    if let Some(record) = row
        && (record.header.commit_id.as_ref() == Some(&login.attempt)
            || record.header.grant_id == login.grant_id)
    {
        return Move::Stay(LoginOutcome::Mine);
    }
    if row.map(|record| record.header.grant_id) != first && holds(Rule::FirstLook) {
        return Move::Stay(LoginOutcome::Superseded);
    }
    let generation = row
        .map_or(0, |record| record.header.generation.saturating_add(1))
        .max(u64::try_from(now.as_millis()).unwrap_or(0));

    if let Some(record) = row.filter(|record| keeps_refresh_token(record, login)) {
        let Some(stored) = record.payload() else {
            return Move::Stay(LoginOutcome::KeyMissing);
        };
        let mine = leased_to(record, &login.attempt);
        if !login.never_rotates && holds(Rule::KeptUnderLease) {
            if !mine {
                return Move::Stay(LoginOutcome::LeaseFirst);
            }
            if let Some(until) = grace(record, now) {
                return Move::Stay(LoginOutcome::Grace { until });
            }
        }
        let mut payload = login.payload.clone();
        payload.refresh_token.clone_from(&stored.refresh_token);
        let mut next = rewritten(record, now);
        next.header.generation = generation;
        next.header.commit_id = Some(login.attempt.clone());
        // The journal of another attempt is about the very refresh token that stays.
        end_journal(&mut next.header, &login.attempt, true);
        next.header.lease.take_if(|_| mine);
        next.header.not_before = None;
        next.header.failures = 0;
        next.header
            .note(now, login.step, &login.attempt, "kept the refresh token");
        next.index = Index {
            changed_at: now,
            ..login.index.clone()
        };
        payload
            .access_tokens
            .iter_mut()
            .for_each(|access| access.issued_generation = generation);
        next.set_payload(payload);
        return Move::Write(next, LoginOutcome::Kept { replaced: None });
    }

    let replaced = row
        .and_then(Record::payload)
        .and_then(|payload| payload.refresh_token.clone());
    let mut header = Header::new(login.grant_id, generation);
    header.client_id.clone_from(&login.client_id);
    header.commit_id = Some(login.attempt.clone());
    header.client_credentials = login.client_credentials;
    if let Some(record) = row {
        header.fence = record.header.fence;
        header.trail.clone_from(&record.header.trail);
    }
    header.note(now, login.step, &login.attempt, "");
    let index = Index {
        changed_at: now,
        ..login.index.clone()
    };
    let mut payload = login.payload.clone();
    payload
        .access_tokens
        .iter_mut()
        .for_each(|access| access.issued_generation = generation);
    let mut record = Record::new(header, index, Payload::default());
    record.set_payload(payload);
    Move::Write(Box::new(record), LoginOutcome::Kept { replaced })
}

/// Does a login without a refresh token renew this very grant (rule 8)?
fn keeps_refresh_token(record: &Record, login: &Login) -> bool {
    login.step == Step::Login
        && login.payload.refresh_token.is_none()
        && record.header.state == State::Active
        && record.header.refreshable
        && record.index.issuer == login.index.issuer
        && record.index.subject == login.index.subject
        && record.index.subject.is_some()
        && record.header.client_id == login.client_id
}

/// Seals the payload anew, by the key that seals now. Answers whether it did.
pub(crate) fn reseal(row: Row<'_>, line: Line, now: Timestamp) -> Move<bool> {
    let Some(record) = row.filter(|record| line.is_of(record)) else {
        return Move::Stay(false);
    };
    let Body::Open { payload, .. } = &record.body else {
        return Move::Stay(false);
    };
    let mut next = rewritten(record, now);
    next.body = Body::Open {
        payload: payload.clone(),
        stored: None,
    };
    next.header.note(now, Step::Reseal, "", "");
    Move::Write(next, true)
}

#[cfg(test)]
mod tests;
