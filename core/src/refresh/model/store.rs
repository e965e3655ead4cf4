//! The processes at the store: looks, decisions, writes, and what follows from them.

use super::{
    rows::{self, Op, apply},
    state::{At, Outcome, Process, Row, State, Token, Write},
    world::Setup,
};
use crate::refresh::{
    decide::{self, Fate, Homeless},
    rules::{Rule, holds},
};

/// A version that was never used.
const FRESH: u8 = 200;

impl Setup {
    pub(super) fn op(&self, process: &Process, p: usize, row: Option<Row>) -> Op {
        let attempt = p as u8 + 1;
        let Process { place, .. } = *process;
        match process.at {
            At::Begin | At::LoginBegin => Op::Begin {
                // The line is what the look before it showed; a line that moved is looked at again.
                place: row.map_or(place, |row| row.place),
                attempt,
                heed_cooling: process.at == At::Begin,
            },
            At::Commit => Op::Commit {
                place,
                attempt,
                begun: process.token,
                answer: process.answer,
                who: process.who,
                target: process.target,
            },
            At::Quarantine => Op::Quarantine { place },
            At::Fail => Op::Fail {
                place,
                attempt,
                failed: process.failed,
                unprocessed: process.unprocessed,
            },
            At::Release => Op::Release {
                attempt,
                unprocessed: process.unprocessed,
            },
            At::Login => Op::Login {
                attempt,
                first: process.first,
                grant: process.grant,
                token: process.token,
                never_rotates: !self.rotates(),
            },
            At::Logout => Op::Logout {
                first: process.first,
            },
            At::Reseal => Op::Reseal { place },
            At::Idle | At::Ready | At::Asked | At::Revoke | At::Purge => {
                unreachable!("no transition")
            }
        }
    }

    /// Loads the row and decides. Answers whether that changed anything.
    pub(super) fn load(&self, state: &mut State, p: usize, now: u8) -> bool {
        let before = *state;
        look(state, p);
        let process = &mut state.processes[p];
        let (tried, outcome) = (process.tried, process.tried_outcome);
        (process.tried, process.tried_outcome) = (0, Outcome::Nothing);
        let here = state.row.map_or(0, |row| row.version);
        if tried != 0 && tried == here {
            let process = &mut state.processes[p];
            let (replaced, replaced_out) = (process.tried_replaced, process.tried_replaced_out);
            (process.tried_replaced, process.tried_replaced_out) = (0, false);
            if let Some(row) = state.row {
                process.remember(row, replaced, replaced_out);
            }
            self.advance(state, p, outcome);
            return true;
        }
        let process = &mut state.processes[p];
        (process.tried_replaced, process.tried_replaced_out) = (0, false);
        let op = self.op(&state.processes[p], p, state.row);
        match apply(op, state.row, now) {
            (Some(row), outcome) => {
                if let Op::Begin { place, .. } = op
                    && state.processes[p].at == At::Begin
                {
                    state.processes[p].place = place;
                }
                state.processes[p].write = Some(Write {
                    expected: here,
                    row,
                    outcome,
                });
            }
            (None, outcome) => {
                if let Op::Begin { place, .. } = op
                    && state.processes[p].at == At::Begin
                {
                    state.processes[p].place = place;
                }
                self.advance(state, p, outcome);
            }
        }
        *state != before
    }

    pub(super) fn load_with_the_clock_back(&self, state: &mut State, p: usize) -> bool {
        let before = state.processes.iter().find_map(|other| {
            matches!(other.at, At::Ready | At::Asked | At::Commit).then_some(other.place.generation)
        });
        let Some(generation) = before.filter(|_| state.row.is_none()) else {
            return false;
        };
        state.budget.faults -= 1;
        state.processes[p].at == At::Login && self.load(state, p, generation)
    }

    pub(super) fn start_refresh(&self, state: &mut State, p: usize, target: u8) -> bool {
        let Some(row) = state.row else { return false };
        state.budget.attempts -= 1;
        look(state, p);
        state.processes[p].at = At::Begin;
        state.processes[p].target = target;
        state.processes[p].place = row.place;
        let now = state.next_generation();
        self.load(state, p, now) && state.processes[p].at != At::Idle
    }

    pub(super) fn start_login(&self, state: &mut State, p: usize, with_token: bool) -> bool {
        state.budget.actions -= 1;
        look(state, p);
        let grant = state.unused_grant();
        let first = state.row.map_or(0, |row| row.place.grant);
        let process = &mut state.processes[p];
        process.at = At::Login;
        process.first = first;
        process.grant = grant;
        if with_token {
            process.token = Token::newest(grant);
            state.honoured |= 1 << grant;
        }
        true
    }

    /// Compares and swaps. `lost`: it was applied, and the answer does not come.
    pub(super) fn write(&self, state: &mut State, p: usize, lost: bool) -> bool {
        let Some(write) = state.processes[p].write.take() else {
            return false;
        };
        let here = state.row.map_or(0, |row| row.version);
        if here != write.expected {
            return !lost;
        }
        let version = if holds(Rule::FreshVersions) {
            FRESH
        } else {
            write.expected + 1
        };
        let (replaced, replaced_out) = state
            .row
            .map_or((0, false), |row| (row.place.grant, !row.alive()));
        let row = Row {
            version,
            ..write.row
        };
        state.out_since |= state.rolled_back && !row.alive() && state.processes[p].at == At::Logout;
        let (at, grant) = (state.processes[p].at, row.place.grant);
        state.login_after |= state.rolled_back
            && at == At::Login
            && state.processes.iter().any(|other| {
                other.place.grant == grant
                    || other
                        .recent
                        .is_some_and(|recent| recent.row.place.grant == grant)
            });
        state.row = Some(row);
        if lost {
            state.budget.faults -= 1;
            let process = &mut state.processes[p];
            (process.tried, process.tried_outcome) = (version, write.outcome);
            (process.tried_replaced, process.tried_replaced_out) = (replaced, replaced_out);
            return true;
        }
        state.processes[p].remember(row, replaced, replaced_out);
        self.advance(state, p, write.outcome);
        true
    }

    /// Goes on with what came of a transition.
    pub(super) fn advance(&self, state: &mut State, p: usize, outcome: Outcome) {
        let process = &mut state.processes[p];
        let homeless = match (process.at, outcome) {
            (At::Begin, Outcome::Granted) => return self.granted(state, p),
            (At::Begin, Outcome::Busy) => None,
            (At::Commit, Outcome::Done | Outcome::Mine) if process.who == 2 => {
                process.at = At::Quarantine;
                process.place = state.row.map_or(process.place, |row| row.place);
                return;
            }
            (At::Commit, Outcome::Gone) => Some((process.answer, Homeless::LoggedOut)),
            (At::Commit, Outcome::Superseded | Outcome::Replaced) => {
                Some((process.answer, Homeless::Overtaken))
            }
            (At::Login, Outcome::Kept { replaced }) => Some((replaced, Homeless::Overtaken)),
            (At::Login, Outcome::Superseded) => Some((process.token, Homeless::Overtaken)),
            (At::Login, Outcome::LeaseFirst) => {
                process.at = At::LoginBegin;
                return;
            }
            (At::LoginBegin, Outcome::Busy) => return,
            (At::LoginBegin, _) => {
                process.at = At::Login;
                return;
            }
            (At::Login | At::Fail, Outcome::Grace) => return,
            _ => None,
        };
        let homeless = homeless.filter(|(token, how)| {
            token.is_some() && decide::fate(*how, self.profile) == Fate::Revoke
        });
        state.bury(p);
        state.processes[p] = state.processes[p].idle();
        if let Some((token, how)) = homeless {
            let process = &mut state.processes[p];
            process.at = At::Revoke;
            process.answer = token;
            process.after_logout = how == Homeless::LoggedOut;
        }
    }
}

/// Looks at the row; what a fail-over took is written again (rule 14). Answers whether something was.
pub(super) fn look(state: &mut State, p: usize) -> bool {
    let (Some(recent), Some(found), true) =
        (state.processes[p].recent, state.row, state.rolled_back)
    else {
        return false;
    };
    let Some(row) = rows::mend(&recent, &found) else {
        return false;
    };
    let version = if holds(Rule::FreshVersions) {
        FRESH
    } else {
        found.version + 1
    };
    state.row = Some(Row { version, ..row });
    true
}

pub(super) fn start_logout(state: &mut State, p: usize) -> bool {
    state.budget.actions -= 1;
    look(state, p);
    let Some(row) = state.row.filter(Row::alive) else {
        return false;
    };
    state.processes[p].at = At::Logout;
    state.processes[p].first = row.place.grant;
    true
}

pub(super) fn start_reseal(state: &mut State, p: usize) -> bool {
    state.budget.actions -= 1;
    let Some(row) = state.row.filter(Row::alive) else {
        return false;
    };
    state.processes[p].at = At::Reseal;
    state.processes[p].place = row.place;
    true
}

pub(super) fn crash(state: &mut State, p: usize) -> bool {
    state.budget.faults -= 1;
    state.ambiguous |= matches!(state.processes[p].at, At::Asked | At::Commit);
    state.bury(p);
    state.processes[p] = Process::default();
    true
}

pub(super) fn fail_over(state: &mut State) -> bool {
    let Some(backup) = state.backup.take() else {
        return false;
    };
    let lost = state.row.is_none_or(|row| row.version != backup.version);
    state.row = Some(backup);
    (state.rolled_back, state.overlapped, state.slow) = (true, true, true);
    lost
}
