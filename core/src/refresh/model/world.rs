//! What may happen next: the processes' own steps, the provider's, and everything that goes wrong.

use super::{
    laws::{self, Law},
    state::{At, Budget, PROCESSES, Place, Reply, Row, State, Token},
    store::{crash, fail_over, look, start_logout, start_reseal},
    time::{cooling_ends, grace_ends, late, lease_ends, pending_lease_ends, window_ends},
};
use crate::{
    ProviderProfile, Reuse, Rotation,
    refresh::rules::{Rule, holds},
};

/// What is checked: a provider, and how much may happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) profile: ProviderProfile,
    pub(super) budget: Budget,
    /// Access tokens for a second target.
    pub(super) targets: bool,
    /// Answers that name another identity, or whose ID token does not verify.
    pub(super) identities: bool,
    /// Fail-overs that lose acknowledged writes.
    pub(super) fail_over: bool,
}

/// One step. `p` is the process that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    StartRefresh {
        p: u8,
        target: u8,
    },
    StartLogin {
        p: u8,
        with_token: bool,
    },
    StartLogout {
        p: u8,
    },
    StartReseal {
        p: u8,
    },
    Load {
        p: u8,
    },
    /// The store's clock went back: a login gets a generation that was there before.
    LoadClockBack {
        p: u8,
    },
    Look {
        p: u8,
    },
    Write {
        p: u8,
        lost: bool,
    },
    Ask {
        p: u8,
        reply: Reply,
        who: u8,
    },
    Receive {
        p: u8,
    },
    Lose {
        p: u8,
    },
    Revoke {
        p: u8,
    },
    Crash {
        p: u8,
    },
    Late {
        p: u8,
    },
    LeaseEnds,
    LeaseIsCut,
    PendingLeaseEnds {
        p: u8,
    },
    GraceEnds,
    CoolingEnds,
    AccessNearsEnd,
    JournalWindowEnds,
    WindowEnds {
        family: u8,
    },
    Purge,
    PurgeLook {
        p: u8,
    },
    PurgeDelete {
        p: u8,
    },
    Delete,
    CopyFallsBehind,
    FailOver,
}

impl Setup {
    pub(super) fn start(&self) -> State {
        State {
            row: Some(Row {
                version: 1,
                place: Place {
                    grant: 1,
                    generation: 1,
                },
                access: if self.targets { 3 } else { 1 },
                token: Token::newest(1),
                ..Row::default()
            }),
            honoured: 1 << 1,
            budget: self.budget,
            ..State::default()
        }
    }

    pub(super) fn rotates(&self) -> bool {
        self.profile.rotation == Rotation::Rotate
    }

    /// Does a lost answer lose the refresh token?
    pub(super) fn unforgiving(&self) -> bool {
        self.rotates() && matches!(self.profile.reuse, Reuse::Strict | Reuse::RevokesFamily)
    }

    pub(super) fn replays_for_a_while(&self) -> bool {
        self.rotates() && matches!(self.profile.reuse, Reuse::Replay(_))
    }

    /// Would the provider take this refresh token now?
    pub(super) fn lives(&self, state: &State, token: Token) -> bool {
        state.honours(token.family)
            && match self.profile.reuse {
                _ if token.age == 0 || !self.rotates() => true,
                Reuse::BothValid => true,
                Reuse::Replay(_) => token.age == 1 && state.windows & (1 << token.family) != 0,
                _ => false,
            }
    }

    /// Everything that may happen next, with the law that it breaks.
    pub(super) fn each(&self, state: &State, mut found: impl FnMut(Event, State, Option<Law>)) {
        let mut take = |event: Event| {
            let mut next = *state;
            if self.step(&mut next, event) {
                let law = laws::broken(self, state, &next, event);
                self.forget_what_cannot_matter(&mut next);
                found(event, next, law);
            }
        };
        for p in 0..PROCESSES as u8 {
            self.steps_of(state, p, &mut take);
        }
        for event in [
            Event::LeaseEnds,
            Event::LeaseIsCut,
            Event::GraceEnds,
            Event::CoolingEnds,
            Event::AccessNearsEnd,
            Event::JournalWindowEnds,
            Event::Purge,
            Event::Delete,
            Event::CopyFallsBehind,
            Event::FailOver,
        ] {
            take(event);
        }
        for family in 1..8 {
            if state.windows & (1 << family) != 0 {
                take(Event::WindowEnds { family });
            }
        }
    }

    fn steps_of(&self, state: &State, p: u8, take: &mut impl FnMut(Event)) {
        let process = &state.processes[p as usize];
        match process.at {
            At::Idle => {
                // Idle processes that know nothing are all the same.
                let first = state.processes[..p as usize]
                    .iter()
                    .all(|other| other.at != At::Idle || other.recent != process.recent);
                if !first {
                    return;
                }
                take(Event::Look { p });
                take(Event::StartRefresh { p, target: 0 });
                if self.targets {
                    take(Event::StartRefresh { p, target: 1 });
                }
                take(Event::StartLogin {
                    p,
                    with_token: true,
                });
                take(Event::StartLogin {
                    p,
                    with_token: false,
                });
                take(Event::StartLogout { p });
                take(Event::StartReseal { p });
                take(Event::PurgeLook { p });
            }
            At::Ready => {
                let asks: &[_] = &[
                    Reply::Good,
                    Reply::Vanished,
                    Reply::NotSent,
                    Reply::Throttled,
                ];
                for reply in asks.iter().copied() {
                    take(Event::Ask { p, reply, who: 0 });
                }
                if self.identities {
                    for who in [1, 2] {
                        take(Event::Ask {
                            p,
                            reply: Reply::Good,
                            who,
                        });
                    }
                }
                take(Event::Late { p });
            }
            At::Asked => {
                take(Event::Receive { p });
                take(Event::Lose { p });
            }
            At::Revoke => take(Event::Revoke { p }),
            At::Purge => take(Event::PurgeDelete { p }),
            _ if process.write.is_none() => {
                take(Event::Load { p });
                take(Event::LoadClockBack { p });
            }
            _ => {
                take(Event::Write { p, lost: false });
                take(Event::Write { p, lost: true });
                take(Event::Late { p });
                take(Event::PendingLeaseEnds { p });
            }
        }
        if process.at != At::Idle {
            take(Event::Crash { p });
        }
    }

    /// Takes the step, if it can be taken.
    fn step(&self, state: &mut State, event: Event) -> bool {
        let Budget {
            attempts,
            actions,
            faults,
        } = state.budget;
        match event {
            Event::StartRefresh { p, target } => {
                attempts > 0 && self.start_refresh(state, p as usize, target)
            }
            Event::StartLogin { p, with_token } => {
                actions > 0 && self.start_login(state, p as usize, with_token)
            }
            Event::StartLogout { p } => actions > 0 && start_logout(state, p as usize),
            Event::StartReseal { p } => actions > 0 && start_reseal(state, p as usize),
            Event::Load { p } => {
                let now = state.next_generation();
                self.load(state, p as usize, now)
            }
            Event::LoadClockBack { p } => {
                faults > 0 && self.load_with_the_clock_back(state, p as usize)
            }
            Event::Look { p } => look(state, p as usize),
            Event::Write { p, lost } => {
                (!lost || faults > 0) && self.write(state, p as usize, lost)
            }
            Event::Ask { p, reply, who } => self.ask(state, p as usize, reply, who),
            Event::Receive { p } => self.receive(state, p as usize),
            Event::Lose { p } => self.lose(state, p as usize),
            Event::Revoke { p } => self.revoke(state, p as usize),
            Event::Crash { p } => faults > 0 && crash(state, p as usize),
            Event::Late { p } => late(state, p as usize),
            Event::LeaseEnds => lease_ends(state, false),
            Event::LeaseIsCut => faults > 0 && lease_ends(state, true),
            Event::PendingLeaseEnds { p } => pending_lease_ends(state, p as usize),
            Event::GraceEnds => grace_ends(state),
            Event::CoolingEnds => cooling_ends(state),
            Event::AccessNearsEnd => self.access_nears_end(state),
            Event::JournalWindowEnds => self.journal_window_ends(state),
            Event::WindowEnds { family } => window_ends(state, family),
            Event::Purge => {
                let due = state.row.is_some_and(|row| row.due);
                state.budget.actions = actions.saturating_sub(1);
                due && actions > 0 && state.row.take().is_some()
            }
            Event::PurgeLook { p } => {
                let due = state.row.is_some_and(|row| row.due);
                state.budget.actions = actions.saturating_sub(1);
                state.processes[p as usize].at = At::Purge;
                due && actions > 0 && !holds(Rule::PurgeTests)
            }
            Event::PurgeDelete { p } => {
                state.processes[p as usize].at = At::Idle;
                state.row.take().is_some()
            }
            Event::Delete => {
                state.budget.actions = actions.saturating_sub(1);
                actions > 0 && state.row.take().is_some()
            }
            Event::CopyFallsBehind => {
                state.budget.faults = faults.saturating_sub(1);
                state.backup = state.row;
                self.fail_over && faults > 0 && !state.rolled_back && state.row.is_some()
            }
            Event::FailOver => fail_over(state),
        }
    }

    /// What a fail-over could still lose is remembered only while there can be one.
    fn forget_what_cannot_matter(&self, state: &mut State) {
        let may_come = self.fail_over && (state.backup.is_some() || state.budget.faults > 0);
        if !state.rolled_back && !may_come {
            for process in &mut state.processes {
                process.recent = None;
            }
        }
    }
}
