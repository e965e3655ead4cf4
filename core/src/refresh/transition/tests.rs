use super::*;
use crate::token::{AccessToken, Attempt, Credential, Lease, NeedsLoginCause, Target};

const LEASE: Duration = Duration::from_secs(30);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn terms(seconds: i64) -> Terms {
    Terms {
        now: at(seconds),
        lease: LEASE,
        commit_budget: Duration::from_secs(5),
        heed_cooling: true,
    }
}

fn binding() -> Binding {
    Binding {
        issuer: "https://op".into(),
        client_id: "c".into(),
    }
}

fn access(token: &str, target: Target) -> AccessToken {
    AccessToken {
        target,
        token: token.into(),
        credential: Credential::Bearer,
        expires_at: Some(at(1000)),
        issued_at: None,
        scopes: None,
        issued_generation: 0,
        unknown: serde_json::Map::new(),
    }
}

fn a_login(attempt: &str, refresh_token: Option<&str>) -> Login {
    Login {
        attempt: attempt.into(),
        grant_id: GrantId::random(),
        index: Index {
            issuer: Some("https://op".into()),
            subject: Some("alice".into()),
            ..Index::default()
        },
        client_id: Some("c".into()),
        payload: Payload {
            refresh_token: refresh_token.map(Secret::from),
            access_tokens: vec![access("a0", Target::login())],
            ..Payload::default()
        },
        never_rotates: false,
        step: Step::Login,
        client_credentials: false,
    }
}

fn answer(refresh_token: Option<&str>) -> Answered {
    Answered {
        access: access("a1", Target::login()),
        refresh_token: refresh_token.map(Secret::from),
        id_token: None,
        identity_changed: false,
        revokes_others: false,
    }
}

fn written<T>(step: Move<T>) -> (Record, T) {
    match step {
        Move::Write(record, outcome) => (*record, outcome),
        Move::Stay(_) => panic!("nothing is written"),
    }
}

fn stayed<T>(step: Move<T>) -> T {
    match step {
        Move::Write(..) => panic!("something is written"),
        Move::Stay(outcome) => outcome,
    }
}

/// A grant of time 100, with refresh token r0.
fn grant() -> Record {
    written(login(None, None, &a_login("login", Some("r0")), at(100))).0
}

fn begun(record: &Record, attempt: &str, seconds: i64) -> Record {
    written(begin(
        Some(record),
        Line::of(record),
        attempt,
        &binding(),
        terms(seconds),
    ))
    .0
}

fn committed(record: &Record, attempt: &str, seconds: i64) -> Record {
    let payload = record.payload().unwrap().clone();
    written(commit(
        Some(record),
        Line::of(record),
        attempt,
        &payload,
        &answer(Some("r1")),
        at(seconds),
    ))
    .0
}

fn refresh_token(record: &Record) -> &str {
    record
        .payload()
        .unwrap()
        .refresh_token
        .as_ref()
        .unwrap()
        .expose()
}

// --- login ---

#[test]
fn a_first_login_inserts_and_its_generation_is_the_time() {
    let record = grant();
    assert_eq!(record.header.generation, 100_000);
    assert_eq!(
        record.payload().unwrap().access_tokens[0].issued_generation,
        100_000
    );
    assert!(record.header.refreshable);
}

#[test]
fn a_login_that_was_written_recognises_itself() {
    let new = a_login("mine", Some("r0"));
    let record = written(login(None, None, &new, at(100))).0;
    assert_eq!(
        stayed(login(Some(&record), None, &new, at(101))),
        LoginOutcome::Mine
    );
}

#[test]
fn rule_1_a_login_replaces_only_what_its_first_load_showed() {
    let record = grant();
    let other = a_login("late", Some("r9"));
    assert_eq!(
        stayed(login(Some(&record), None, &other, at(101))),
        LoginOutcome::Superseded
    );
    let seen = Some(GrantId::random());
    assert_eq!(
        stayed(login(Some(&record), seen, &other, at(101))),
        LoginOutcome::Superseded
    );
    assert_eq!(
        stayed(login(None, seen, &other, at(101))),
        LoginOutcome::Superseded
    );
}

#[test]
fn a_login_with_its_own_refresh_token_is_a_new_grant_and_names_what_it_replaced() {
    let old = begun(&grant(), "busy", 101);
    let (record, outcome) = written(login(
        Some(&old),
        Some(old.header.grant_id),
        &a_login("b", Some("r9")),
        at(50),
    ));
    assert_ne!(record.header.grant_id, old.header.grant_id);
    assert_eq!(
        record.header.generation,
        old.header.generation + 1,
        "never repeats, even if the clock goes back"
    );
    assert_eq!(record.header.fence, old.header.fence);
    assert_eq!(record.header.lease, None);
    assert_eq!(
        outcome,
        LoginOutcome::Kept {
            replaced: Some("r0".into())
        }
    );
}

#[test]
fn rule_8_a_login_without_a_refresh_token_keeps_the_stored_one_under_the_lease() {
    let old = grant();
    let new = a_login("b", None);
    let first = Some(old.header.grant_id);
    assert_eq!(
        stayed(login(Some(&old), first, &new, at(101))),
        LoginOutcome::LeaseFirst
    );
    let leased = begun(&old, "b", 101);
    let (record, outcome) = written(login(Some(&leased), first, &new, at(102)));
    assert_eq!(outcome, LoginOutcome::Kept { replaced: None });
    assert_eq!(refresh_token(&record), "r0");
    assert_eq!(record.header.grant_id, old.header.grant_id);
    assert!(record.header.generation > old.header.generation);
    assert_eq!((record.header.lease, record.header.attempt), (None, None));
}

#[test]
fn rule_8_not_for_another_identity_or_registration_or_a_dead_grant() {
    let old = grant();
    let first = Some(old.header.grant_id);
    let mut someone = a_login("b", None);
    someone.index.subject = Some("bob".into());
    let mut elsewhere = a_login("b", None);
    elsewhere.client_id = Some("other".into());
    for other in [someone, elsewhere] {
        let (record, outcome) = written(login(Some(&old), first, &other, at(101)));
        assert_eq!(record.payload().unwrap().refresh_token, None);
        assert_eq!(
            outcome,
            LoginOutcome::Kept {
                replaced: Some("r0".into())
            }
        );
    }
    let leased = begun(&old, "x", 101);
    let cause = NeedsLoginCause::Rejected;
    let dead = written(fail(
        Some(&leased),
        Line::of(&old),
        "x",
        Failure::NeedsLogin { cause },
        false,
        at(102),
    ))
    .0;
    let record = written(login(Some(&dead), first, &a_login("b", None), at(103))).0;
    assert_eq!(record.payload().unwrap().refresh_token, None);
    assert_eq!(record.header.state, State::Active);
}

#[test]
fn rule_8_at_once_where_the_provider_never_rotates() {
    let old = begun(&grant(), "other", 101);
    let new = Login {
        never_rotates: true,
        ..a_login("b", None)
    };
    let record = written(login(Some(&old), Some(old.header.grant_id), &new, at(102))).0;
    assert_eq!(refresh_token(&record), "r0");
    assert!(
        record.header.lease.is_some() && record.header.attempt.is_some(),
        "another's lease and journal stay"
    );
}

#[test]
fn only_a_login_leaves_a_tombstone_behind() {
    let old = grant();
    let out = written(logout(
        Some(&old),
        Some(old.header.grant_id),
        at(101),
        LEASE,
    ))
    .0;
    let (again, _) = written(login(
        Some(&out),
        Some(out.header.grant_id),
        &a_login("b", Some("r1")),
        at(102),
    ));
    assert_eq!(again.header.state, State::Active);
    assert_eq!(again.index.purge_at, None);
    assert!(again.header.generation > out.header.generation);
}

// --- begin ---

#[test]
fn begin_takes_the_lease_and_writes_the_journal() {
    let record = begun(&grant(), "a", 200);
    assert_eq!(record.header.fence, 1);
    assert_eq!(
        record.header.lease,
        Some(Lease {
            attempt: "a".into(),
            until: at(230)
        })
    );
    assert_eq!(
        record.header.attempt,
        Some(Attempt {
            by: "a".into(),
            since: at(200),
            overtaken_until: None
        })
    );
    assert_eq!(
        record.header.generation, 100_000,
        "a lease is no new generation"
    );
}

#[test]
fn rule_3_a_lease_belongs_to_its_attempt() {
    let record = begun(&grant(), "a", 200);
    let line = Line::of(&record);
    let own = stayed(begin(Some(&record), line, "a", &binding(), terms(210)));
    assert_eq!(
        own,
        Begin::Granted { until: at(230) },
        "its own again, at the same fence"
    );
    let other = stayed(begin(Some(&record), line, "b", &binding(), terms(229)));
    assert_eq!(other, Begin::Busy { until: at(230) });
    assert_eq!(
        stayed(fail(
            Some(&record),
            line,
            "b",
            Failure::Cool { until: at(300) },
            false,
            at(210)
        )),
        Fail::NotMine
    );
    assert!(!stayed(release(Some(&record), "b", true, at(210))));
}

#[test]
fn rules_12_and_13_an_overtaken_lease_keeps_the_journal_and_starts_a_grace() {
    let first = begun(&grant(), "a", 200);
    let second = begun(&first, "b", 230);
    assert_eq!(second.header.fence, 2);
    assert_eq!(
        second.header.attempt,
        Some(Attempt {
            by: "a".into(),
            since: at(200),
            overtaken_until: Some(at(235))
        })
    );
    let line = Line::of(&second);
    let dead = Failure::NeedsLogin {
        cause: NeedsLoginCause::AmbiguousLoss,
    };
    assert_eq!(
        stayed(fail(Some(&second), line, "b", dead, false, at(234))),
        Fail::Grace { until: at(235) }
    );
    let failed = written(fail(Some(&second), line, "b", dead, true, at(235))).0;
    assert!(
        failed.header.attempt.is_some(),
        "the journal of another attempt stays"
    );
    assert_eq!(
        stayed(fail(Some(&second), line, "a", dead, false, at(300))),
        Fail::NotMine
    );
}

#[test]
fn a_refresh_token_is_forsaken_by_the_holder_of_the_lease_who_keeps_it() {
    let first = begun(&grant(), "a", 200);
    let line = Line::of(&first);
    let forsake = |row, by, now| fail(row, line, by, Failure::Forsaken, false, at(now));
    assert_eq!(stayed(forsake(Some(&first), "b", 201)), Fail::NotMine);
    let next = written(forsake(Some(&first), "a", 201)).0;
    assert_eq!(next.header.lease, first.header.lease);
    assert_eq!(Line::of(&next), line);
    assert!(next.header.refreshable && next.header.attempt.is_none());
    let payload = next.payload().unwrap();
    assert!(payload.refresh_token.is_none());
    assert_eq!(
        payload.access_tokens.len(),
        first.payload().unwrap().access_tokens.len()
    );
    // One that was overtaken may still be committing a new one (rule 13).
    let second = begun(&first, "b", 230);
    assert_eq!(
        stayed(forsake(Some(&second), "b", 234)),
        Fail::Grace { until: at(235) }
    );
}

#[test]
fn begin_answers_what_stands_in_its_way() {
    let record = grant();
    let line = Line::of(&record);
    let ask = |row: Row<'_>, line| stayed(begin(row, line, "a", &binding(), terms(200)));
    assert_eq!(ask(None, line), Begin::Gone);
    let out = written(logout(Some(&record), Some(line.grant_id), at(101), LEASE)).0;
    assert_eq!(ask(Some(&out), line), Begin::Gone);
    assert_eq!(
        ask(
            Some(&record),
            Line {
                generation: 1,
                ..line
            }
        ),
        Begin::Moved
    );
    assert_eq!(
        ask(
            Some(&record),
            Line {
                grant_id: GrantId::random(),
                ..line
            }
        ),
        Begin::Moved,
        "rule 4"
    );
    let leased = begun(&record, "x", 150);
    let cooled = written(fail(
        Some(&leased),
        line,
        "x",
        Failure::Cool { until: at(201) },
        true,
        at(151),
    ))
    .0;
    assert_eq!(ask(Some(&cooled), line), Begin::Cooling { until: at(201) });
    let other = Binding {
        client_id: "new".into(),
        ..binding()
    };
    assert_eq!(
        stayed(begin(Some(&record), line, "a", &other, terms(200))),
        Begin::NeedsLogin {
            cause: NeedsLoginCause::RegistrationChanged
        }
    );
    let mut closed = record;
    closed.body = Body::KeyMissing {
        key_id: "k".into(),
        stored: vec![1],
    };
    assert_eq!(ask(Some(&closed), line), Begin::KeyMissing);
    let plain = written(login(None, None, &a_login("l", None), at(100))).0;
    let cause = NeedsLoginCause::NotRefreshable;
    assert_eq!(
        ask(Some(&plain), Line::of(&plain)),
        Begin::NeedsLogin { cause }
    );
}

// --- commit ---

#[test]
fn a_commit_is_the_next_generation_and_ends_lease_and_journal() {
    let record = committed(&begun(&grant(), "a", 200), "a", 201);
    assert_eq!(record.header.generation, 100_001);
    assert_eq!(refresh_token(&record), "r1");
    assert_eq!(
        (&record.header.lease, &record.header.attempt),
        (&None, &None)
    );
    assert_eq!(
        record
            .payload()
            .unwrap()
            .access(&Target::login())
            .unwrap()
            .issued_generation,
        100_001
    );
}

#[test]
fn a_commit_that_was_written_recognises_itself() {
    let leased = begun(&grant(), "a", 200);
    let record = committed(&leased, "a", 201);
    let payload = leased.payload().unwrap();
    let again = commit(
        Some(&record),
        Line::of(&leased),
        "a",
        payload,
        &answer(Some("r1")),
        at(202),
    );
    assert_eq!(stayed(again), Commit::Mine);
}

#[test]
fn a_success_commits_on_the_generation_alone() {
    let first = begun(&grant(), "a", 200);
    let second = begun(&first, "b", 231);
    let payload = first.payload().unwrap().clone();
    let (record, outcome) = written(commit(
        Some(&second),
        Line::of(&first),
        "a",
        &payload,
        &answer(Some("r1")),
        at(232),
    ));
    assert_eq!(outcome, Commit::Done { recovered: false });
    assert_eq!(
        record.header.lease.unwrap().attempt,
        "b",
        "another's lease stays"
    );
    let late = commit(
        Some(&committed(&second, "a", 232)),
        Line::of(&first),
        "b",
        &payload,
        &answer(Some("rx")),
        at(233),
    );
    assert_eq!(stayed(late), Commit::Superseded { keeps_token: false });
}

#[test]
fn a_late_success_repairs_a_grant_that_was_declared_dead() {
    let leased = begun(&grant(), "a", 200);
    let line = Line::of(&leased);
    let overtaken = begun(&leased, "b", 231);
    let cause = NeedsLoginCause::AmbiguousLoss;
    let dead = written(fail(
        Some(&overtaken),
        line,
        "b",
        Failure::NeedsLogin { cause },
        false,
        at(240),
    ))
    .0;
    let payload = leased.payload().unwrap();
    let (record, outcome) = written(commit(
        Some(&dead),
        line,
        "a",
        payload,
        &answer(Some("r1")),
        at(241),
    ));
    assert_eq!(
        (record.header.state, outcome),
        (State::Active, Commit::Done { recovered: true })
    );
}

#[test]
fn logout_and_a_new_grant_win_over_a_commit() {
    let leased = begun(&grant(), "a", 200);
    let (line, payload) = (Line::of(&leased), leased.payload().unwrap().clone());
    let out = written(logout(Some(&leased), Some(line.grant_id), at(201), LEASE)).0;
    let anew = written(login(
        Some(&leased),
        Some(line.grant_id),
        &a_login("n", Some("rn")),
        at(201),
    ))
    .0;
    for (row, expected) in [
        (None, Commit::Gone),
        (Some(&out), Commit::Gone),
        (Some(&anew), Commit::Replaced),
    ] {
        let outcome = stayed(commit(
            row,
            line,
            "a",
            &payload,
            &answer(Some("r1")),
            at(202),
        ));
        assert_eq!(outcome, expected);
    }
}

#[test]
fn rule_9_other_targets_keep_their_tokens_unless_a_refresh_ends_them() {
    let other = Target::new(["https://api"], ["read"]);
    let mut record = begun(&grant(), "a", 200);
    let mut payload = record.payload().unwrap().clone();
    payload.set_access(access("other", other.clone()));
    record.set_payload(payload.clone());
    let line = Line::of(&record);
    let kept = written(commit(
        Some(&record),
        line,
        "a",
        &payload,
        &answer(None),
        at(201),
    ))
    .0;
    assert!(kept.payload().unwrap().access(&other).is_some());
    assert_eq!(
        refresh_token(&kept),
        "r0",
        "no new refresh token: the old one stays"
    );
    let ends = Answered {
        revokes_others: true,
        ..answer(None)
    };
    let ended = written(commit(Some(&record), line, "a", &payload, &ends, at(201))).0;
    assert!(ended.payload().unwrap().access(&other).is_none());
}

#[test]
fn rule_10_another_identity_saves_the_refresh_token_and_gives_no_access() {
    let leased = begun(&grant(), "a", 200);
    let payload = leased.payload().unwrap();
    let changed = Answered {
        identity_changed: true,
        ..answer(Some("r1"))
    };
    let (record, outcome) = written(commit(
        Some(&leased),
        Line::of(&leased),
        "a",
        payload,
        &changed,
        at(201),
    ));
    assert_eq!(outcome, Commit::Done { recovered: false });
    assert_eq!(
        record.header.state,
        State::NeedsLogin {
            cause: NeedsLoginCause::IdentityChanged
        }
    );
    assert!(record.payload().unwrap().access_tokens.is_empty());
    assert_eq!(refresh_token(&record), "r1");
}

#[test]
fn a_commit_over_a_row_that_was_sealed_by_another_key_uses_what_it_began_with() {
    let leased = begun(&grant(), "a", 200);
    let payload = leased.payload().unwrap().clone();
    let mut resealed = leased.clone();
    resealed.body = Body::KeyMissing {
        key_id: "new".into(),
        stored: vec![1, 2],
    };
    let record = written(commit(
        Some(&resealed),
        Line::of(&leased),
        "a",
        &payload,
        &answer(None),
        at(201),
    ))
    .0;
    assert_eq!(refresh_token(&record), "r0");
}

// --- fail, release ---

#[test]
fn a_cool_down_ends_the_lease_and_counts() {
    let leased = begun(&grant(), "a", 200);
    let line = Line::of(&leased);
    let record = written(fail(
        Some(&leased),
        line,
        "a",
        Failure::Cool { until: at(210) },
        false,
        at(201),
    ))
    .0;
    assert_eq!(
        (record.header.not_before, record.header.failures),
        (Some(at(210)), 1)
    );
    assert_eq!(record.header.lease, None);
    assert!(
        record.header.attempt.is_some(),
        "it may have been processed"
    );
    let sure = written(fail(
        Some(&leased),
        line,
        "a",
        Failure::Cool { until: at(210) },
        true,
        at(201),
    ))
    .0;
    assert_eq!(sure.header.attempt, None);
}

#[test]
fn a_failure_is_about_its_generation_and_its_lease() {
    let leased = begun(&grant(), "a", 200);
    let line = Line::of(&leased);
    let dead = Failure::NeedsLogin {
        cause: NeedsLoginCause::Rejected,
    };
    let moved = committed(&leased, "a", 201);
    let released = written(release(Some(&leased), "a", true, at(201))).0;
    for row in [None, Some(&moved), Some(&released)] {
        assert_eq!(
            stayed(fail(row, line, "a", dead, false, at(202))),
            Fail::NotMine
        );
    }
    let late = written(fail(Some(&leased), line, "a", dead, false, at(999)));
    assert_eq!(late.1, Fail::Written, "its own lease, expired or not");
}

// --- logout, quarantine, metadata ---

#[test]
fn a_tombstone_keeps_grant_generation_and_fence_and_no_secret() {
    let leased = begun(&grant(), "a", 200);
    let (record, outcome) = written(logout(
        Some(&leased),
        Some(leased.header.grant_id),
        at(201),
        Duration::ZERO,
    ));
    let Logout::Done {
        payload: Some(payload),
    } = outcome
    else {
        panic!("no payload")
    };
    assert_eq!(payload.refresh_token, Some("r0".into()));
    assert_eq!(record.body, Body::Empty);
    assert_eq!(Line::of(&record), Line::of(&leased));
    assert_eq!(record.header.fence, 1);
    assert_eq!(record.header.lease, None);
    assert_eq!(
        record.index.purge_at,
        Some(at(201 + 24 * 3600)),
        "rule 6: later than any retry lives"
    );
}

#[test]
fn a_logout_spares_a_login_that_it_has_not_seen() {
    let record = grant();
    assert_eq!(
        stayed(logout(
            Some(&record),
            Some(GrantId::random()),
            at(201),
            LEASE
        )),
        Logout::Superseded
    );
    assert_eq!(
        stayed(logout(None, Some(GrantId::random()), at(201), LEASE)),
        Logout::Already
    );
    let out = written(logout(
        Some(&record),
        Some(record.header.grant_id),
        at(201),
        LEASE,
    ))
    .0;
    assert_eq!(
        stayed(logout(
            Some(&out),
            Some(out.header.grant_id),
            at(202),
            LEASE
        )),
        Logout::Already
    );
}

#[test]
fn rule_2_nothing_but_a_login_touches_a_tombstone() {
    let leased = begun(&grant(), "a", 200);
    let line = Line::of(&leased);
    let out = written(logout(Some(&leased), Some(line.grant_id), at(201), LEASE)).0;
    let payload = leased.payload().unwrap();
    assert_eq!(
        stayed(commit(
            Some(&out),
            line,
            "a",
            payload,
            &answer(None),
            at(202)
        )),
        Commit::Gone
    );
    assert_eq!(
        stayed(fail(
            Some(&out),
            line,
            "a",
            Failure::Cool { until: at(300) },
            false,
            at(202)
        )),
        Fail::NotMine
    );
    assert!(!stayed(release(Some(&out), "a", true, at(202))));
    assert!(!stayed(quarantine(Some(&out), line, at(202))));
    assert!(!stayed(expire(Some(&out), line, at(202))));
    assert!(!stayed(reseal(Some(&out), line, at(202))));
}

#[test]
fn quarantine_takes_the_access_tokens_of_its_own_generation_only() {
    let record = grant();
    let line = Line::of(&record);
    let held = written(quarantine(Some(&record), line, at(201))).0;
    assert!(held.payload().unwrap().access_tokens.is_empty());
    assert_eq!(
        held.header.state,
        State::NeedsLogin {
            cause: NeedsLoginCause::IdentityChanged
        }
    );
    assert!(!stayed(quarantine(
        Some(&record),
        Line {
            generation: 1,
            ..line
        },
        at(201)
    )));
}

#[test]
fn metadata_is_no_new_generation() {
    let record = begun(&grant(), "a", 200);
    let line = Line::of(&record);
    for next in [
        written(expire(Some(&record), line, at(201))).0,
        written(reseal(Some(&record), line, at(201))).0,
    ] {
        assert_eq!(Line::of(&next), line);
        assert_eq!(next.header.lease, record.header.lease);
        assert_ne!(next.version, record.version, "rule 5");
    }
    let other = Line {
        grant_id: GrantId::random(),
        ..line
    };
    assert!(!stayed(expire(Some(&record), other, at(201))), "rule 4");
    assert!(!stayed(reseal(Some(&record), other, at(201))), "rule 4");
}

#[test]
fn what_is_forgotten_holds_nothing_and_lets_nobody_back() {
    let record = begun(&grant(), "a", 1);
    let (left, outcome) = written(forget(Some(&record), at(1000)));
    let Forget::Done {
        ended,
        body,
        at_once,
        ..
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!((ended, body), (Line::of(&record), record.body.clone()));
    assert!(at_once);
    assert_eq!(left.index.purge_at, Some(Timestamp::default()));
    assert_eq!(left.index.subject, None);
    assert_eq!(left.body, Body::Empty);
    assert_ne!(left.header.grant_id, record.header.grant_id);
    assert!(left.header.generation > record.header.generation + 1);
    assert!(left.header.lease.is_none() && left.header.client_id.is_none());
    assert!(forgotten(Some(&left)) && forgotten(None) && !forgotten(Some(&record)));

    // Neither what was sent before, nor who looked before.
    let begun = record.payload().unwrap();
    let late = commit(
        Some(&left),
        ended,
        "a",
        begun,
        &answer(Some("r9")),
        at(1001),
    );
    assert_eq!(stayed(late), Commit::Gone);
    let first = Some(record.header.grant_id);
    let back = login(Some(&left), first, &a_login("l", Some("r1")), at(1001));
    assert_eq!(stayed(back), LoginOutcome::Superseded);
    assert_eq!(stayed(forget(Some(&left), at(1002))), Forget::Already);
    assert_eq!(stayed(forget(None, at(1002))), Forget::Already);
    // Who looks now may begin anew.
    let first = Some(left.header.grant_id);
    let (anew, _) = written(login(
        Some(&left),
        first,
        &a_login("n", Some("r1")),
        at(1003),
    ));
    assert_eq!(anew.header.state, State::Active);
    assert!(anew.index.purge_at.is_none());
}

#[test]
fn a_row_is_removed_at_once_when_nobody_can_have_looked_before_it_was_there() {
    let record = grant();
    let made = record.header.trail[0].at;
    for (age, expected) in [(0, false), (119, false), (120, true), (1000, true)] {
        let now = made + Duration::from_secs(age);
        let (left, outcome) = written(forget(Some(&record), now));
        assert!(
            matches!(outcome, Forget::Done { at_once, .. } if at_once == expected),
            "{age}"
        );
        let purge_at = left.index.purge_at.unwrap();
        assert_eq!(purge_at < now, expected);
        assert!(purge_at <= now + SETTLED);
    }
    // A tombstone of a logout is no older than its row.
    let (tombstone, _) = written(logout(
        Some(&record),
        Some(record.header.grant_id),
        made + Duration::from_secs(5),
        LEASE,
    ));
    let (_, outcome) = written(forget(Some(&tombstone), made + Duration::from_secs(10)));
    assert!(matches!(
        outcome,
        Forget::Done {
            at_once: false,
            body: Body::Empty,
            ..
        }
    ));
}

mod found;
