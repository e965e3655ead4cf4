//! The processes at the provider: requests, answers, failures, revocations.

use super::{
    rows,
    state::{At, Clock, Failed, Reply, State, Token},
    world::Setup,
};
use crate::{
    NeedsLoginCause, Reuse, Revocation, Timestamp,
    refresh::{
        decide::{self, AfterFailure, By},
        keeper::Timing,
    },
    token::Verdict,
};

impl Setup {
    /// Is the token that was first sent when the journal began still replayed?
    pub(super) fn replays(&self, open: bool) -> bool {
        let now = Timestamp::from_secs(2000);
        let since = now - std::time::Duration::from_secs(if open { 1 } else { 1000 });
        decide::replays(self.profile, since, now)
    }

    /// The lease is the process's: does it send, or leave the token alone until its access token is nearly over?
    pub(super) fn granted(&self, state: &mut State, p: usize) {
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

    pub(super) fn ask(&self, state: &mut State, p: usize, reply: Reply, who: u8) -> bool {
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
    pub(super) fn provider_takes(&self, state: &mut State, p: usize, token: Token) {
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

    pub(super) fn receive(&self, state: &mut State, p: usize) -> bool {
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
    pub(super) fn lose(&self, state: &mut State, p: usize) -> bool {
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

    pub(super) fn failed(&self, state: &mut State, p: usize, verdict: Verdict) {
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
        process.failed = match decide::after_failure(
            verdict,
            By::Refresh,
            process.maybe_sent,
            self.profile,
            near_end,
        ) {
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
            // Only the application's own grant goes on without its refresh token.
            AfterFailure::AskByOwnGrant | AfterFailure::Release => {
                process.at = At::Release;
                Failed::Cool
            }
        };
    }

    pub(super) fn revoke(&self, state: &mut State, p: usize) -> bool {
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
}
