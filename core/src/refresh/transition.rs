//! The refresh protocol as pure functions: record and time in, record or outcome out.
//!
//! Nothing here waits, reads a clock or touches a store; the coordinator loads a row, applies a transition, writes with
//! compare-and-swap, and on a conflict loads again and applies it to what is there now. Rule numbers are those of
//! ARCHITECTURE.md. The three that carry most weight: a success commits on the generation alone; a failure may only be
//! written by the holder of the lease; logout always wins.

use std::time::Duration;

use super::rules::{Rule, holds};
use crate::{
    Timestamp,
    store::{Index, Version},
    token::{
        AccessToken, Attempt, Body, GrantId, Header, Lease, NeedsLoginCause, Payload, Record,
        Secret, State, Step,
    },
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
    /// The issuer, or the token endpoint of a provider without one.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
}

impl Binding {
    /// Does the record belong to this registration? Adopted rows may not say.
    fn fits(&self, record: &Record) -> bool {
        record
            .index
            .issuer
            .as_ref()
            .is_none_or(|issuer| *issuer == self.issuer)
            && record
                .header
                .client_id
                .as_ref()
                .is_none_or(|client_id| *client_id == self.client_id)
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
    if let Failure::NeedsLogin { .. } = failure
        && let Some(until) = grace(record, now)
    {
        return Move::Stay(Fail::Grace { until });
    }
    let mut next = rewritten(record, now);
    next.header.lease = None;
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

#[cfg(test)]
mod tests;
