//! What must never happen, whatever does.

use super::{
    state::{At, Outcome, Reply, Row, RowState, State},
    world::{Event, Setup},
};
use crate::{ProviderProfile, Reuse};

/// A promise, broken by one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Law {
    TwoRequests,
    OlderOverNewer,
    BackFromLogout,
    LogoutUndone,
    StaleLogin,
    DeclaredDead,
    Lost,
    PurgedAlive,
    FamilyRevoked,
    SpentTooEarly,
    OtherTargetLost,
    WrongIdentity,
    RevokedStored,
}

impl Law {
    /// What goes wrong.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::TwoRequests => "two attempts send the same refresh token at once (G2)",
            Self::OlderOverNewer => "an older write replaces a newer one (G3)",
            Self::BackFromLogout => {
                "a key that was logged out or deleted comes back without a login (G4)"
            }
            Self::LogoutUndone => "a logout is answered, and the grant lives on (G4)",
            Self::StaleLogin => "a login or logout ends something that its first look did not show",
            Self::DeclaredDead => {
                "the user must log in, although a process holds a good answer or the stored token is another one (G6)"
            }
            Self::Lost => {
                "a refresh token that lives and was known is lost, and the row keeps a dead one (G5)"
            }
            Self::PurgedAlive => "a row is purged that is not due",
            Self::FamilyRevoked => "the provider sees a spent refresh token and revokes the family",
            Self::SpentTooEarly => {
                "a refresh token that may be spent is sent while the access token is still good (G7)"
            }
            Self::OtherTargetLost => "the access token of another target is lost",
            Self::WrongIdentity => "an access token of another identity is kept",
            Self::RevokedStored => "a revocation of ours ends the grant that is stored",
        }
    }
}

/// Does a live process or the row know a refresh token of this family that works?
fn known(setup: &Setup, state: &State, family: u8) -> bool {
    let lives = |token| setup.lives(state, token);
    let in_row = |row: &Row| row.token.family == family && row.alive() && lives(row.token);
    state.row.as_ref().is_some_and(in_row)
        || state.processes.iter().any(|process| {
            let holds = match process.at {
                At::Asked | At::Commit => process.answer,
                At::Login => process.token,
                _ => process.answer,
            };
            (holds.family == family && lives(holds) && process.at != At::Revoke)
                || process.recent.is_some_and(|recent| in_row(&recent.row))
        })
}

fn placed(row: Option<Row>, family: u8) -> bool {
    row.is_some_and(|row| row.place.grant == family && row.alive())
}

/// The law that this step broke, if it broke one.
pub(super) fn broken(setup: &Setup, before: &State, after: &State, event: Event) -> Option<Law> {
    match event {
        Event::Write { p, .. } => {
            if after.row.map(|row| row.version) == before.row.map(|row| row.version)
                && after.row == before.row
            {
                return None;
            }
            written(before, after, p as usize).or_else(|| lost(setup, before, after))
        }
        Event::Load { p } | Event::LoadClockBack { p } | Event::Look { p } => {
            looked(before, after, p as usize).or_else(|| lost(setup, before, after))
        }
        Event::StartRefresh { p, .. } | Event::StartLogin { p, .. } | Event::StartLogout { p } => {
            looked(before, after, p as usize)
        }
        Event::Receive { .. } => lost(setup, before, after),
        Event::Ask { p, .. } => asked(setup, before, after, p as usize),
        Event::Revoke { p } => {
            let ended = before.row.is_some_and(|row| {
                row.alive() && setup.lives(before, row.token) && !setup.lives(after, row.token)
            });
            // A fail-over may bring back what was revoked rightly; who replaced it writes that again.
            (ended && !before.rolled_back && !before.processes[p as usize].after_logout)
                .then_some(Law::RevokedStored)
        }
        Event::PurgeDelete { .. } | Event::Purge => before
            .row
            .is_some_and(|row| !row.due)
            .then_some(Law::PurgedAlive),
        _ => None,
    }
}

/// A refresh token that lives and was known is known to nobody any more, and the row still counts on its grant.
fn lost(setup: &Setup, before: &State, after: &State) -> Option<Law> {
    (1..8)
        .any(|family| {
            !after.login_after
                && placed(after.row, family)
                && known(setup, before, family)
                && !known(setup, after, family)
        })
        .then_some(Law::Lost)
}

fn written(before: &State, after: &State, p: usize) -> Option<Law> {
    let process = &before.processes[p];
    let new = after.row?;
    let login = process.at == At::Login;
    let Some(old) = before.row else {
        return (!login).then_some(Law::BackFromLogout);
    };
    if !old.alive() && new.alive() && !login {
        return Some(Law::BackFromLogout);
    }
    let acts_on_its_look = matches!(process.at, At::Login | At::Logout);
    if acts_on_its_look && old.place.grant != process.first {
        return Some(Law::StaleLogin);
    }
    let newer = if matches!(process.at, At::Login | At::Commit) {
        new.place.generation > old.place.generation
    } else {
        new.place.generation == old.place.generation
    };
    // Over a newer generation it commits only to mend what an overlap of leases broke.
    let late = process.at == At::Commit
        && old.place.generation > process.place.generation
        && !before.overlapped;
    if late || !newer || (new.place.grant != old.place.grant && !login) {
        return Some(Law::OlderOverNewer);
    }
    if process.at == At::Fail && new.state.declared_dead() && !old.state.declared_dead() {
        let pending = after.processes.iter().enumerate().any(|(other, process)| {
            other != p && process.at == At::Commit && process.place == old.place
        });
        if (pending && !before.slow) || old.token != process.token {
            return Some(Law::DeclaredDead);
        }
    }
    if process.at == At::Commit && new.state == RowState::Active {
        if new.who == 1 && new.access != 0 {
            return Some(Law::WrongIdentity);
        }
        let others = old.access & !(1 << process.target);
        if others & !new.access != 0 {
            return Some(Law::OtherTargetLost);
        }
    }
    None
}

fn looked(before: &State, after: &State, p: usize) -> Option<Law> {
    let process = &before.processes[p];
    if let (Some(old), Some(new)) = (before.row, after.row) {
        // It wrote again what a fail-over had taken.
        if !old.alive() && new.alive() && before.out_since {
            return Some(Law::BackFromLogout);
        }
    }
    let knew = process.recent.filter(|recent| !recent.row.alive());
    if let (Some(knew), Some(row), true) = (knew, after.row, before.rolled_back)
        && row.place.grant == knew.row.place.grant
        && row.alive()
    {
        return Some(Law::LogoutUndone);
    }
    let answered = process.at == At::Logout
        && after.processes[p].at == At::Idle
        && process.tried_outcome != Outcome::Done;
    if answered && placed(after.row, process.first) {
        return Some(Law::LogoutUndone);
    }
    None
}

fn asked(setup: &Setup, before: &State, after: &State, p: usize) -> Option<Law> {
    let process = &before.processes[p];
    if after.processes[p].at != At::Asked {
        return None;
    }
    let excused = before.overlapped || before.rolled_back;
    let two = before.processes.iter().enumerate().any(|(other, process)| {
        other != p
            && matches!(process.at, At::Asked | At::Commit)
            && process.place == before.processes[p].place
    });
    if two && !excused {
        return Some(Law::TwoRequests);
    }
    let reused = after.processes[p].reply == Reply::InvalidGrant;
    let family = setup.unforgiving() && before.honours(process.token.family) && reused;
    let valid = before.row.is_some_and(|row| {
        row.place == process.place && row.token == process.token && row.access != 0 && !row.near_end
    });
    if family && valid && !excused {
        return Some(Law::SpentTooEarly);
    }
    let revokes = |profile: ProviderProfile| profile.reuse == Reuse::RevokesFamily;
    (family && revokes(setup.profile) && !excused && !before.ambiguous)
        .then_some(Law::FamilyRevoked)
}
