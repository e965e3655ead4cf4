//! What may happen next: the processes' own steps, the provider's, and everything that goes wrong.

use super::{
    laws::{self, Law},
    rows::{self, Op, apply},
    state::{
        At, Budget, Clock, Cooling, Failed, Outcome, PROCESSES, Place, Process, Reply, Row, State,
        Token, Write,
    },
};
use crate::{
    NeedsLoginCause, ProviderProfile, Reuse, Revocation, Rotation, Timestamp,
    refresh::{
        decide::{self, AfterFailure, Fate, Homeless},
        keeper::Timing,
        rules::{Rule, holds},
    },
    token::Verdict,
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

/// A version that was never used.
const FRESH: u8 = 200;

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

    fn rotates(&self) -> bool {
        self.profile.rotation == Rotation::Rotate
    }

    /// Does a lost answer lose the refresh token?
    pub(super) fn unforgiving(&self) -> bool {
        self.rotates() && matches!(self.profile.reuse, Reuse::Strict | Reuse::RevokesFamily)
    }

    fn replays_for_a_while(&self) -> bool {
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

    fn op(&self, process: &Process, p: usize, row: Option<Row>) -> Op {
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
    fn load(&self, state: &mut State, p: usize, now: u8) -> bool {
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

    fn load_with_the_clock_back(&self, state: &mut State, p: usize) -> bool {
        let before = state.processes.iter().find_map(|other| {
            matches!(other.at, At::Ready | At::Asked | At::Commit).then_some(other.place.generation)
        });
        let Some(generation) = before.filter(|_| state.row.is_none()) else {
            return false;
        };
        state.budget.faults -= 1;
        state.processes[p].at == At::Login && self.load(state, p, generation)
    }

    fn start_refresh(&self, state: &mut State, p: usize, target: u8) -> bool {
        let Some(row) = state.row else { return false };
        state.budget.attempts -= 1;
        look(state, p);
        state.processes[p].at = At::Begin;
        state.processes[p].target = target;
        state.processes[p].place = row.place;
        let now = state.next_generation();
        self.load(state, p, now) && state.processes[p].at != At::Idle
    }

    fn start_login(&self, state: &mut State, p: usize, with_token: bool) -> bool {
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
    fn write(&self, state: &mut State, p: usize, lost: bool) -> bool {
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
    fn advance(&self, state: &mut State, p: usize, outcome: Outcome) {
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

    /// Is the token that was first sent when the journal began still replayed?
    fn replays(&self, open: bool) -> bool {
        let now = Timestamp::from_secs(2000);
        let since = now - std::time::Duration::from_secs(if open { 1 } else { 1000 });
        decide::replays(self.profile, since, now)
    }

    /// The lease is the process's: does it send, or leave the token alone for now?
    fn granted(&self, state: &mut State, p: usize) {
        let row = state.row.expect("it was just written");
        let process = &mut state.processes[p];
        process.token = row.token;
        process.late |= row.lease != Clock::Running;
        process.maybe_sent = rows::maybe_sent(&row, p as u8 + 1);
        process.window_open = row.journal_open;
        process.unprocessed = true;
        let near_end = rows::near_end(&row, Timestamp::from_secs(2000));
        if process.maybe_sent && !self.replays(row.journal_open) && near_end.is_some() {
            process.at = At::Fail;
            process.failed = Failed::CoolNearEnd;
        } else {
            process.at = At::Ready;
        }
    }

    fn ask(&self, state: &mut State, p: usize, reply: Reply, who: u8) -> bool {
        let process = &mut state.processes[p];
        let secs = std::time::Duration::from_secs;
        let started = secs(if process.late { 20 } else { 0 });
        if !decide::may_start(started, secs(30), &Timing::default()) {
            process.at = At::Release;
            return reply == Reply::Good && who == 0;
        }
        process.at = At::Asked;
        process.reply = reply;
        process.who = who;
        if reply != Reply::Good || who != 0 {
            if state.budget.faults == 0 {
                return false;
            }
            state.budget.faults -= 1;
        }
        if reply == Reply::Good {
            let token = process.token;
            self.provider_takes(state, p, token);
        }
        true
    }

    /// The provider looks at the refresh token.
    fn provider_takes(&self, state: &mut State, p: usize, token: Token) {
        let lives = self.lives(state, token);
        let process = &mut state.processes[p];
        if !lives {
            process.reply = Reply::InvalidGrant;
            if self.profile.reuse == Reuse::RevokesFamily && self.rotates() {
                state.honoured &= !(1 << token.family);
            }
            return;
        }
        if !self.rotates() {
            return;
        }
        let replayed = self.replays_for_a_while() && token.age == 1;
        if !replayed {
            state.tokens(|other| {
                if other.family == token.family {
                    other.age = (other.age + 1).min(6);
                }
            });
            if self.replays_for_a_while() {
                state.windows |= 1 << token.family;
            }
        }
        state.processes[p].answer = Token::newest(token.family);
    }

    fn receive(&self, state: &mut State, p: usize) -> bool {
        let process = &mut state.processes[p];
        let verdict = match process.reply {
            Reply::Good => {
                process.at = At::Commit;
                return true;
            }
            Reply::Vanished => return false,
            Reply::InvalidGrant => Verdict::InvalidGrant,
            Reply::NotSent => Verdict::NotSent,
            Reply::Throttled => Verdict::Throttled { retry_after: None },
        };
        self.failed(state, p, verdict);
        true
    }

    /// The answer does not come, or cannot be read.
    fn lose(&self, state: &mut State, p: usize) -> bool {
        let process = &mut state.processes[p];
        if matches!(process.reply, Reply::Good | Reply::InvalidGrant) {
            if state.budget.faults == 0 {
                return false;
            }
            state.budget.faults -= 1;
            state.ambiguous = true;
        } else if process.reply != Reply::Vanished {
            return false;
        }
        state.processes[p].answer = Token::NONE;
        state.processes[p].who = 0;
        self.failed(state, p, Verdict::Ambiguous);
        true
    }

    fn failed(&self, state: &mut State, p: usize, verdict: Verdict) {
        let near_end = state
            .row
            .filter(|row| row.place == state.processes[p].place)
            .and_then(|row| rows::near_end(&row, Timestamp::from_secs(2000)));
        let process = &mut state.processes[p];
        process.unprocessed &= verdict.proves_unprocessed();
        process.reply = Reply::Good;
        if decide::again(
            verdict,
            process.round.into(),
            self.replays(process.window_open),
        ) {
            process.at = At::Ready;
            process.round += 1;
            process.maybe_sent |= verdict == Verdict::Ambiguous;
            return;
        }
        process.at = At::Fail;
        process.failed =
            match decide::after_failure(verdict, false, process.maybe_sent, self.profile, near_end)
            {
                AfterFailure::DeclareDead { cause } => {
                    process.unprocessed = false;
                    if cause == NeedsLoginCause::AmbiguousLoss {
                        Failed::AmbiguousLoss
                    } else {
                        Failed::Rejected
                    }
                }
                AfterFailure::CoolUntil { .. } => Failed::CoolNearEnd,
                AfterFailure::CoolFor { .. } | AfterFailure::BackOff => Failed::Cool,
                AfterFailure::Release => {
                    process.at = At::Release;
                    Failed::Cool
                }
            };
    }

    fn revoke(&self, state: &mut State, p: usize) -> bool {
        let token = state.processes[p].answer;
        let stored = state.row.is_some_and(|row| row.token == token);
        if self.profile.revocation == Revocation::Grant {
            state.honoured = 0;
        } else if stored || (token.age == 0 && self.profile.reuse != Reuse::BothValid) {
            state.honoured &= !(1 << token.family);
        }
        state.processes[p] = state.processes[p].idle();
        true
    }

    fn access_nears_end(&self, state: &mut State) -> bool {
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

    fn journal_window_ends(&self, state: &mut State) -> bool {
        let mut any = false;
        state.each_row(|row| any |= std::mem::take(&mut row.journal_open));
        for process in &mut state.processes {
            any |= std::mem::take(&mut process.window_open);
        }
        any && self.replays_for_a_while()
    }
}

/// Looks at the row; what a fail-over took is written again (rule 14). Answers whether something was.
fn look(state: &mut State, p: usize) -> bool {
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

fn start_logout(state: &mut State, p: usize) -> bool {
    state.budget.actions -= 1;
    look(state, p);
    let Some(row) = state.row.filter(Row::alive) else {
        return false;
    };
    state.processes[p].at = At::Logout;
    state.processes[p].first = row.place.grant;
    true
}

fn start_reseal(state: &mut State, p: usize) -> bool {
    state.budget.actions -= 1;
    let Some(row) = state.row.filter(Row::alive) else {
        return false;
    };
    state.processes[p].at = At::Reseal;
    state.processes[p].place = row.place;
    true
}

fn crash(state: &mut State, p: usize) -> bool {
    state.budget.faults -= 1;
    state.ambiguous |= matches!(state.processes[p].at, At::Asked | At::Commit);
    state.bury(p);
    state.processes[p] = Process::default();
    true
}

/// The process's own clock comes too near to the end of its lease.
fn late(state: &mut State, p: usize) -> bool {
    let process = &mut state.processes[p];
    matches!(process.at, At::Begin | At::Ready) && !std::mem::replace(&mut process.late, true)
}

/// May this process still send, or does it hold an answer?
fn sends_or_holds(process: &Process) -> bool {
    match process.at {
        At::Asked | At::Commit => true,
        At::Ready => !process.late,
        _ => false,
    }
}

/// The lease ends: in its time, or (`cut`) while its holder sends or holds an answer.
fn lease_ends(state: &mut State, cut: bool) -> bool {
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
fn pending_lease_ends(state: &mut State, p: usize) -> bool {
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
fn grace_ends(state: &mut State) -> bool {
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

fn cooling_ends(state: &mut State) -> bool {
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

fn window_ends(state: &mut State, family: u8) -> bool {
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

fn fail_over(state: &mut State) -> bool {
    let Some(backup) = state.backup.take() else {
        return false;
    };
    let lost = state.row.is_none_or(|row| row.version != backup.version);
    state.row = Some(backup);
    (state.rolled_back, state.overlapped, state.slow) = (true, true, true);
    lost
}
