//! From the small row to a real record and back, and the real transitions in between.
//!
//! The transitions are pure, so that each is run once for the same input and remembered.

use std::{cell::RefCell, collections::HashMap, sync::OnceLock, time::Duration};

use super::{
    search::Mixer,
    state::{Clock, Cooling, DEAD, Failed, Outcome, Place, Row, RowState, Token},
};
use crate::{
    NeedsLoginCause, Timestamp,
    refresh::{
        decide::{self, Mend, Replaced, Wrote},
        transition::{
            self, Answered, Begin, Binding, Commit, Fail, Failure, Line, Login, LoginOutcome,
            Logout, Move, Terms,
        },
    },
    store::Index,
    token::{
        self, AccessToken, Attempt, Credential, GrantId, Header, Lease, Payload, Record, State,
        Target,
    },
};

/// Of a provider that replays.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(30);
const COMMIT_BUDGET: Duration = Duration::from_secs(5);
const SUBJECTS: [&str; 2] = ["user", "another"];

/// One transition with all that it depends on, but for the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    Begin {
        place: Place,
        attempt: u8,
        heed_cooling: bool,
    },
    Login {
        attempt: u8,
        first: u8,
        grant: u8,
        token: Token,
        never_rotates: bool,
    },
    Commit {
        place: Place,
        attempt: u8,
        begun: Token,
        answer: Token,
        who: u8,
        target: u8,
    },
    Fail {
        place: Place,
        attempt: u8,
        failed: Failed,
        unprocessed: bool,
    },
    Release {
        attempt: u8,
        unprocessed: bool,
    },
    Logout {
        first: u8,
    },
    Quarantine {
        place: Place,
    },
    Reseal {
        place: Place,
    },
}

/// The row that it writes, if it does, and what came of it.
pub(super) type Step = (Option<Row>, Outcome);

type Known = HashMap<(Op, Option<Row>, u8), Step, Mixer>;

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Forgets what the transitions answered: another rule is broken now.
pub(super) fn forget() {
    KNOWN.with_borrow_mut(HashMap::clear);
}

/// Runs the real transition. `now` stands for the store's time in milliseconds, which a login takes its generation from.
pub(super) fn apply(op: Op, row: Option<Row>, now: u8) -> Step {
    // Versions are the store's business; they are no input of a transition.
    let input = row.map(|row| Row { version: 0, ..row });
    let key = (op, input, now);
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&key).copied()) {
        return known;
    }
    let step = run(op, input, now);
    KNOWN.with_borrow_mut(|known| known.insert(key, step));
    step
}

fn grants() -> &'static [GrantId; 8] {
    static GRANTS: OnceLock<[GrantId; 8]> = OnceLock::new();
    GRANTS.get_or_init(|| std::array::from_fn(|_| GrantId::random()))
}

fn grant(number: u8) -> GrantId {
    grants()[number as usize]
}

fn maybe_grant(number: u8) -> Option<GrantId> {
    (number != 0).then(|| grant(number))
}

fn line(place: Place) -> Line {
    Line {
        grant_id: grant(place.grant),
        generation: place.generation.into(),
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn time(now: u8) -> Timestamp {
    Timestamp::from_millis(now.into())
}

/// When the access token is nearly over: as far away as a cool-down that waits for it.
pub(super) fn near_end(row: &Row, now: Timestamp) -> Option<Timestamp> {
    (row.access != 0 && !row.near_end).then(|| now + secs(500))
}

fn target(bit: u8) -> Target {
    if bit == 0 {
        Target::login()
    } else {
        Target::new(["https://api"], [] as [&str; 0])
    }
}

fn binding() -> Binding {
    Binding {
        issuer: "https://op".into(),
        client_id: "client".into(),
    }
}

fn index() -> Index {
    Index {
        issuer: Some("https://op".into()),
        subject: Some(SUBJECTS[0].into()),
        ..Index::default()
    }
}

fn access(bit: u8, who: u8, expires_at: Timestamp) -> AccessToken {
    AccessToken {
        target: target(bit),
        token: SUBJECTS
            .get(who as usize)
            .copied()
            .unwrap_or("unverified")
            .into(),
        credential: Credential::Bearer,
        expires_at: Some(expires_at),
        issued_at: None,
        scopes: None,
        issued_generation: 0,
        unknown: serde_json::Map::new(),
    }
}

fn payload(token: Token, bits: u8, who: u8, expires_at: Timestamp) -> Payload {
    Payload {
        refresh_token: token
            .is_some()
            .then(|| format!("{} {}", token.family, token.age).into()),
        access_tokens: (0..2)
            .filter(|bit| bits & (1 << bit) != 0)
            .map(|bit| access(bit, who, expires_at))
            .collect(),
        ..Payload::default()
    }
}

/// The record that a small row stands for.
pub(super) fn record(row: &Row, now: Timestamp) -> Record {
    let mut header = Header::new(grant(row.place.grant), row.place.generation.into());
    header.client_id = Some("client".into());
    header.commit_id = (row.commit_id != 0).then(|| row.commit_id.to_string());
    header.lease = match row.lease {
        Clock::None => None,
        Clock::Running => Some(now + LEASE),
        Clock::JustOver => Some(now - secs(1)),
        Clock::Over => Some(now - secs(100)),
    }
    .map(|until| Lease {
        attempt: row.lease_by.to_string(),
        until,
    });
    header.attempt = (row.journal_by != 0).then(|| Attempt {
        by: row.journal_by.to_string(),
        since: now
            - if row.journal_open {
                secs(1)
            } else {
                secs(1000)
            },
        overtaken_until: match row.overtaken {
            Clock::None => None,
            Clock::Running => Some(now + secs(3)),
            _ => Some(now - secs(50)),
        },
    });
    header.state = match row.state {
        RowState::Active => State::Active,
        RowState::LoggedOut => State::LoggedOut,
        RowState::Rejected => State::NeedsLogin {
            cause: NeedsLoginCause::Rejected,
        },
        RowState::AmbiguousLoss => State::NeedsLogin {
            cause: NeedsLoginCause::AmbiguousLoss,
        },
        RowState::IdentityChanged => State::NeedsLogin {
            cause: NeedsLoginCause::IdentityChanged,
        },
    };
    header.not_before = match row.cooling {
        Cooling::No => None,
        Cooling::Short => Some(now + secs(10)),
        Cooling::NearEnd => Some(now + secs(500)),
    };
    let expires_at = now + secs(if row.near_end { 20 } else { 530 });
    let mut index = index();
    let alive = row.alive();
    index.purge_at = row.due.then(|| now + secs(86_400));
    let mut record = Record::new(header, index, Payload::default());
    if alive {
        record.set_payload(payload(row.token, row.access, row.who, expires_at));
    } else {
        record.body = token::Body::Empty;
        record.header.refreshable = false;
    }
    record
}

/// The small row that stands for a record.
fn row(record: &Record, now: Timestamp) -> Row {
    let header = &record.header;
    let number = |text: &str| text.parse().unwrap();
    let payload = record.payload().cloned().unwrap_or_default();
    let (lease, lease_by) = match &header.lease {
        None => (Clock::None, 0),
        Some(lease) => {
            let clock = if lease.until > now {
                Clock::Running
            } else if lease.until + COMMIT_BUDGET > now {
                Clock::JustOver
            } else {
                Clock::Over
            };
            (clock, number(&lease.attempt))
        }
    };
    let journal = header.attempt.as_ref();
    let whose = payload.access_tokens.iter().map(|access| {
        let known = SUBJECTS
            .iter()
            .position(|who| *who == access.token.expose());
        known.map_or(2, |who| who as u8)
    });
    let who = whose.max().unwrap_or(0);
    Row {
        version: 0,
        place: Place {
            grant: grants()
                .iter()
                .position(|grant| *grant == header.grant_id)
                .unwrap() as u8,
            generation: header.generation.try_into().unwrap(),
        },
        lease,
        lease_by,
        journal_by: journal.map_or(0, |journal| number(&journal.by)),
        journal_open: journal.is_some_and(|journal| now < journal.since + WINDOW),
        overtaken: match journal.and_then(|journal| journal.overtaken_until) {
            None => Clock::None,
            Some(until) if until > now => Clock::Running,
            Some(_) => Clock::Over,
        },
        commit_id: header.commit_id.as_deref().map_or(0, number),
        state: match header.state {
            State::Active => RowState::Active,
            State::LoggedOut => RowState::LoggedOut,
            State::NeedsLogin { cause } => match cause {
                NeedsLoginCause::IdentityChanged => RowState::IdentityChanged,
                NeedsLoginCause::AmbiguousLoss => RowState::AmbiguousLoss,
                _ => RowState::Rejected,
            },
        },
        cooling: match header.not_before {
            Some(until) if until > now + secs(60) => Cooling::NearEnd,
            Some(until) if until > now => Cooling::Short,
            _ => Cooling::No,
        },
        access: payload.access_tokens.iter().fold(0, |bits, access| {
            bits | if access.target.is_login() { 1 } else { 2 }
        }),
        who,
        near_end: payload
            .access_tokens
            .iter()
            .any(|access| access.expires_at.is_some_and(|at| at < now + secs(30))),
        token: payload.refresh_token.map_or(Token::NONE, |token| {
            let (family, age) = token.expose().split_once(' ').unwrap();
            Token {
                family: number(family),
                age: number(age),
            }
        }),
        due: record.index.purge_at.is_some(),
    }
}

fn moved<T>(step: Move<T>, now: Timestamp, outcome: impl FnOnce(T) -> Outcome) -> Step {
    match step {
        Move::Stay(what) => (None, outcome(what)),
        Move::Write(record, what) => (Some(row(&record, now)), outcome(what)),
    }
}

fn run(op: Op, small: Option<Row>, millis: u8) -> Step {
    let now = time(millis);
    let real = small.map(|small| record(&small, now));
    let loaded = real.as_ref();
    let done = |done: bool| {
        if done {
            Outcome::Done
        } else {
            Outcome::NotMine
        }
    };
    let name = |attempt: u8| {
        assert_ne!(attempt, DEAD);
        attempt.to_string()
    };
    match op {
        Op::Begin {
            place,
            attempt,
            heed_cooling,
        } => {
            let terms = Terms {
                now,
                lease: LEASE,
                commit_budget: COMMIT_BUDGET,
                heed_cooling,
            };
            let step = transition::begin(loaded, line(place), &name(attempt), &binding(), terms);
            moved(step, now, |begin| match begin {
                Begin::Granted { .. } => Outcome::Granted,
                Begin::Busy { .. } => Outcome::Busy,
                Begin::Gone => Outcome::Gone,
                _ => Outcome::NotNow,
            })
        }
        Op::Login {
            attempt,
            first,
            grant: new,
            token,
            never_rotates,
        } => {
            let login = Login {
                attempt: name(attempt),
                grant_id: grant(new),
                index: index(),
                client_id: Some("client".into()),
                payload: payload(token, 1, 0, now + secs(530)),
                never_rotates,
                step: token::Step::Login,
                client_credentials: false,
            };
            let replaced_token = small.map_or(Token::NONE, |small| small.token);
            let step = transition::login(loaded, maybe_grant(first), &login, now);
            moved(step, now, |outcome| match outcome {
                LoginOutcome::Kept { replaced } => Outcome::Kept {
                    replaced: replaced.map_or(Token::NONE, |_| replaced_token),
                },
                LoginOutcome::Mine => Outcome::Mine,
                LoginOutcome::Superseded => Outcome::Superseded,
                LoginOutcome::LeaseFirst => Outcome::LeaseFirst,
                LoginOutcome::Grace { .. } => Outcome::Grace,
                LoginOutcome::KeyMissing => Outcome::NotNow,
            })
        }
        Op::Commit {
            place,
            attempt,
            begun,
            answer,
            who,
            target: bit,
        } => {
            let expires_at = now + secs(530);
            let answered = Answered {
                access: access(bit, who, expires_at),
                refresh_token: payload(answer, 0, 0, now).refresh_token,
                id_token: None,
                // What the pure comparison sees: an ID token that names another subject.
                identity_changed: who == 1,
                revokes_others: false,
            };
            let begun = payload(begun, 1, 0, expires_at);
            let line = line(place);
            let step = transition::commit(loaded, line, &name(attempt), &begun, &answered, now);
            moved(step, now, |commit| match commit {
                Commit::Done { .. } => Outcome::Done,
                Commit::Mine => Outcome::Mine,
                Commit::Superseded { keeps_token: true } => Outcome::Nothing,
                Commit::Superseded { .. } => Outcome::Superseded,
                Commit::Gone => Outcome::Gone,
                Commit::Replaced => Outcome::Replaced,
            })
        }
        Op::Fail {
            place,
            attempt,
            failed,
            unprocessed,
        } => {
            let failure = match failed {
                Failed::Cool => Failure::Cool {
                    until: now + secs(10),
                },
                Failed::CoolNearEnd => Failure::Cool {
                    until: now + secs(500),
                },
                Failed::Rejected => Failure::NeedsLogin {
                    cause: NeedsLoginCause::Rejected,
                },
                Failed::AmbiguousLoss => Failure::NeedsLogin {
                    cause: NeedsLoginCause::AmbiguousLoss,
                },
            };
            let line = line(place);
            let step = transition::fail(loaded, line, &name(attempt), failure, unprocessed, now);
            moved(step, now, |fail| match fail {
                Fail::Written => Outcome::Done,
                Fail::Grace { .. } => Outcome::Grace,
                Fail::NotMine => Outcome::NotMine,
            })
        }
        Op::Release {
            attempt,
            unprocessed,
        } => moved(
            transition::release(loaded, &name(attempt), unprocessed, now),
            now,
            done,
        ),
        Op::Logout { first } => moved(
            transition::logout(loaded, maybe_grant(first), now, secs(7 * 86_400)),
            now,
            |logout| match logout {
                Logout::Done { .. } => Outcome::Done,
                Logout::Already => Outcome::Mine,
                Logout::Superseded => Outcome::Superseded,
            },
        ),
        Op::Quarantine { place } => {
            moved(transition::quarantine(loaded, line(place), now), now, done)
        }
        Op::Reseal { place } => moved(transition::reseal(loaded, line(place), now), now, done),
    }
}

/// Rule 14 as the keeper follows it: what is written over a row that a fail-over brought back.
pub(super) fn mend(recent: &super::state::Recent, found: &Row) -> Option<Row> {
    let now = time(100);
    let wrote = Wrote {
        grant_id: grant(recent.row.place.grant),
        generation: recent.row.place.generation.into(),
        logged_out: !recent.row.alive(),
        replaced: maybe_grant(recent.replaced).map(|grant_id| Replaced {
            grant_id,
            logged_out: recent.replaced_out,
        }),
    };
    match decide::lost_write(&wrote, &record(found, now))? {
        Mend::WriteAgain => Some(recent.row),
        Mend::LogOut => {
            let first = recent.row.place.grant;
            apply(Op::Logout { first }, Some(*found), 100).0
        }
    }
}

/// Does the journal say that somebody else may have sent the refresh token?
pub(super) fn maybe_sent(row: &Row, attempt: u8) -> bool {
    let record = record(row, time(100));
    decide::maybe_sent(record.header.attempt.as_ref(), &attempt.to_string())
}
