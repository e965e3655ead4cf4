//! What ends by itself: leases, grace, cool-downs, windows, access tokens.

use super::{
    state::{At, Clock, Cooling, Process, State},
    world::Setup,
};
use crate::Reuse;

impl Setup {
    pub(super) fn access_nears_end(&self, state: &mut State) -> bool {
        // Nobody asks whether it is, unless a lost answer loses the refresh token.
        let forgiving = !self.rotates() || self.profile.reuse == Reuse::BothValid;
        let Some(row) = state
            .row
            .filter(|row| row.access != 0 && !row.near_end && !forgiving)
        else {
            return false;
        };
        state.each_row(|other| {
            if other.place == row.place && other.access != 0 {
                other.near_end = true;
            }
        });
        true
    }

    pub(super) fn journal_window_ends(&self, state: &mut State) -> bool {
        let mut any = false;
        state.each_row(|row| any |= std::mem::take(&mut row.journal_open));
        for process in &mut state.processes {
            any |= std::mem::take(&mut process.window_open);
        }
        any && self.replays_for_a_while()
    }
}

/// The process's own clock comes too near to the end of its lease.
pub(super) fn late(state: &mut State, p: usize) -> bool {
    let process = &mut state.processes[p];
    matches!(process.at, At::Begin | At::Ready) && !std::mem::replace(&mut process.late, true)
}

/// May this process still send, or does it hold an answer?
pub(super) fn sends_or_holds(process: &Process) -> bool {
    match process.at {
        At::Asked | At::Commit => true,
        At::Ready => !process.late,
        _ => false,
    }
}

/// The lease ends: in its time, or (`cut`) while its holder sends or holds an answer.
pub(super) fn lease_ends(state: &mut State, cut: bool) -> bool {
    let Some(row) = state.row.filter(|row| row.lease == Clock::Running) else {
        return false;
    };
    let holder = state
        .processes
        .get_mut((row.lease_by as usize).wrapping_sub(1));
    let busy = holder.as_deref().is_some_and(sends_or_holds);
    if busy != cut {
        return false;
    }
    if cut {
        state.budget.faults -= 1;
        state.overlapped = true;
    }
    if let Some(holder) = holder.filter(|holder| holder.at == At::Begin) {
        holder.late = true;
    }
    state.each_row(|other| {
        if other.lease_by == row.lease_by && other.lease == Clock::Running {
            other.lease = Clock::JustOver;
        }
    });
    true
}

/// The write of a lease takes so long that the lease is over before it is there.
pub(super) fn pending_lease_ends(state: &mut State, p: usize) -> bool {
    let process = &mut state.processes[p];
    let late = process.late;
    process.write.as_mut().is_some_and(|write| {
        let runs = late && write.row.lease == Clock::Running && write.row.lease_by == p as u8 + 1;
        if runs {
            write.row.lease = Clock::JustOver;
        }
        runs
    })
}

/// The time of attempts whose lease ended is over.
pub(super) fn grace_ends(state: &mut State) -> bool {
    let Some(row) = state.row else { return false };
    let mut any = false;
    state.each_row(|row| {
        if row.lease == Clock::JustOver {
            row.lease = Clock::Over;
            any = true;
        }
        if row.overtaken == Clock::Running {
            row.overtaken = Clock::Over;
            any = true;
        }
    });
    let slow = state.processes.iter().enumerate().any(|(p, process)| {
        let leased = row.lease == Clock::Running && row.lease_by == p as u8 + 1;
        !leased && sends_or_holds(process) && process.place == row.place
    });
    state.slow |= slow;
    any
}

pub(super) fn cooling_ends(state: &mut State) -> bool {
    let Some(row) = state.row else { return false };
    let over = match row.cooling {
        Cooling::No => return false,
        Cooling::Short => true,
        Cooling::NearEnd => row.near_end || row.access == 0,
    };
    if over {
        state.each_row(|other| {
            if other.place == row.place {
                other.cooling = Cooling::No;
            }
        });
    }
    over
}

pub(super) fn window_ends(state: &mut State, family: u8) -> bool {
    let open = state
        .row
        .is_some_and(|row| row.journal_open && row.token.family == family);
    let asked = state
        .processes
        .iter()
        .any(|process| process.window_open && process.token.family == family);
    state.windows &= !(1 << family);
    // Whoever waits for the window knows when it began at the latest.
    !open && !asked
}
