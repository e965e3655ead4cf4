//! What an attempt does next, as pure functions: beside the transitions, which say what a record becomes, these say what
//! a process does. The coordinator asks them, and so does the bounded check.

use std::time::Duration;

use super::{
    keeper::Timing,
    rules::{Rule, holds},
};
use crate::{
    NeedsLoginCause, ProviderProfile, Reuse, Revocation, Rotation, Timestamp,
    token::{Attempt, GrantId, Record, State, Verdict},
};

/// May a request start at this monotonic time, so that it and its commit end within the lease (rule 7)?
pub(super) fn may_start(started: Duration, deadline: Duration, timing: &Timing) -> bool {
    started + timing.request + timing.commit_budget <= deadline || !holds(Rule::Deadline)
}

/// Does the journal say that an earlier attempt may have sent this refresh token?
pub(super) fn maybe_sent(journal: Option<&Attempt>, attempt: &str) -> bool {
    journal.is_some_and(|journal| journal.by != attempt)
}

/// Does a refresh token that was sent at `since` work once more at this time?
pub(super) fn replays(profile: ProviderProfile, since: Timestamp, now: Timestamp) -> bool {
    if profile.rotation == Rotation::Never {
        return true;
    }
    match profile.reuse {
        Reuse::BothValid => true,
        Reuse::Replay(window) => now < since + window,
        _ => false,
    }
}

/// Is a lost answer the end of the refresh token at this provider?
fn strict(profile: ProviderProfile) -> bool {
    profile.rotation == Rotation::Rotate
        && matches!(profile.reuse, Reuse::Strict | Reuse::RevokesFamily)
}

/// Is the same request sent again after this verdict, in the round `round`?
pub(super) fn again(verdict: Verdict, round: u32, replays: bool) -> bool {
    match verdict {
        Verdict::NotSent => round == 0,
        Verdict::Ambiguous => round < 2 && replays,
        _ => false,
    }
}

/// What an attempt asks by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// A user's refresh token.
    Refresh,
    /// A refresh token of the application itself, which can be asked for without one.
    ApplicationsRefresh,
    /// The application's credentials, or an assertion of its own.
    OwnGrant,
}

impl By {
    pub(super) fn of(application: bool, refresh_token: bool) -> Self {
        match (application, refresh_token) {
            (false, _) => Self::Refresh,
            (true, true) => Self::ApplicationsRefresh,
            (true, false) => Self::OwnGrant,
        }
    }
}

/// What a failed attempt does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// The refresh token is dropped, and the application's own grant asked for anew under the same lease.
    AskByOwnGrant,
    /// The grant is declared dead, if another look does not say otherwise.
    DeclareDead { cause: NeedsLoginCause },
    /// The lease is given back; the registration is wrong, and not the grant.
    Release,
    /// Nobody asks before the provider said.
    CoolFor { wait: Duration },
    /// Nobody asks before this time: the access token is served as long as it lasts.
    CoolUntil { until: Timestamp },
    /// Nobody asks for a while, which grows.
    BackOff,
}

/// What a failed attempt does. `near_end`: when its access token is nearly over, if it is not yet.
pub(super) fn after_failure(
    verdict: Verdict,
    by: By,
    maybe_sent: bool,
    profile: ProviderProfile,
    near_end: Option<Timestamp>,
) -> AfterFailure {
    match verdict {
        // Nobody could log in for it.
        Verdict::InvalidGrant if by == By::ApplicationsRefresh => AfterFailure::AskByOwnGrant,
        Verdict::InvalidGrant if by == By::Refresh => AfterFailure::DeclareDead {
            cause: if maybe_sent {
                NeedsLoginCause::AmbiguousLoss
            } else {
                NeedsLoginCause::Rejected
            },
        },
        Verdict::Refused | Verdict::InvalidGrant => AfterFailure::Release,
        Verdict::Throttled {
            retry_after: Some(wait),
        }
        | Verdict::Unavailable {
            retry_after: Some(wait),
        } => AfterFailure::CoolFor { wait },
        Verdict::Ambiguous if strict(profile) => near_end.map_or(AfterFailure::BackOff, |until| {
            AfterFailure::CoolUntil { until }
        }),
        _ => AfterFailure::BackOff,
    }
}

/// How a refresh token came to be kept nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Homeless {
    /// Its answer came after the logout, or after its row was deleted.
    LoggedOut,
    /// Another answer or another login stands in the row.
    Overtaken,
}

/// What becomes of a refresh token that is kept nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Revoke,
    /// Told as an event: to revoke it could end what is kept.
    Orphaned,
}

/// What becomes of a refresh token that is kept nowhere (rule 11).
pub(super) fn fate(homeless: Homeless, profile: ProviderProfile) -> Fate {
    let alone = profile.revocation == Revocation::PerToken;
    if homeless == Homeless::LoggedOut || alone || !holds(Rule::Homeless) {
        Fate::Revoke
    } else {
        Fate::Orphaned
    }
}

/// The last write of a process that others must not miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrote {
    pub(crate) grant_id: GrantId,
    pub(crate) generation: u64,
    pub(crate) logged_out: bool,
    pub(crate) replaced: Option<Replaced>,
}

/// What stood in a row before a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) grant_id: GrantId,
    pub(crate) logged_out: bool,
}

impl Replaced {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            grant_id: record.header.grant_id,
            logged_out: record.header.state == State::LoggedOut,
        }
    }
}

/// How a lost write is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// The same record is written again.
    WriteAgain,
    /// Somebody went on with a grant whose logout was lost: it is logged out as it is now.
    LogOut,
}

/// Did a fail-over lose what this process wrote, and what is to be done (rule 14)? A logout beats all.
pub(super) fn lost_write(wrote: &Wrote, found: &Record) -> Option<Mend> {
    if !holds(Rule::WriteAgain) {
        return None;
    }
    let header = &found.header;
    let same = header.grant_id == wrote.grant_id;
    let before = wrote
        .replaced
        .filter(|replaced| replaced.grant_id == header.grant_id);
    let older = header.generation < wrote.generation;
    if header.state == State::LoggedOut {
        // A tombstone that this login replaced is old; any other is somebody's logout, and stays.
        let old = older && before.is_some_and(|before| before.logged_out);
        return old.then_some(Mend::WriteAgain);
    }
    if same && wrote.logged_out && header.generation > wrote.generation {
        return Some(Mend::LogOut);
    }
    let lost = older || (same && wrote.logged_out);
    ((same || before.is_some()) && lost).then_some(Mend::WriteAgain)
}

#[cfg(test)]
mod tests;
