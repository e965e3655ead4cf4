//! What the bounded check found (`docs/refresh-protocol.md`).

use super::*;

/// A grant whose refresh token r0 attempt `a` sent, and which a login kept meanwhile under a lease of its own.
fn kept_over_a_pending_answer() -> (Record, Record) {
    let leased = begun(&grant(), "a", 200);
    let overtaken = begun(&leased, "again", 300);
    let first = Some(leased.header.grant_id);
    let kept = written(login(
        Some(&overtaken),
        first,
        &a_login("again", None),
        at(301),
    ));
    (leased, kept.0)
}

fn commit_of(leased: &Record, row: &Record, refresh_token: Option<&str>) -> Move<Commit> {
    commit(
        Some(row),
        Line::of(leased),
        "a",
        leased.payload().unwrap(),
        &answer(refresh_token),
        at(302),
    )
}

#[test]
fn an_answer_lands_where_a_login_kept_the_token_that_it_spent() {
    let (leased, kept) = kept_over_a_pending_answer();
    assert!(kept.header.generation > leased.header.generation);
    let (record, outcome) = written(commit_of(&leased, &kept, Some("r1")));
    assert_eq!(outcome, Commit::Done { recovered: false });
    assert_eq!(refresh_token(&record), "r1");
    assert_eq!(record.header.generation, kept.header.generation + 1);
}

#[test]
fn an_answer_without_a_new_refresh_token_leaves_a_newer_login_alone() {
    let (leased, kept) = kept_over_a_pending_answer();
    for same in [None, Some("r0")] {
        let outcome = stayed(commit_of(&leased, &kept, same));
        assert!(matches!(outcome, Commit::Superseded { .. }), "{same:?}");
    }
}

#[test]
fn an_answer_lands_on_an_older_row_of_its_grant() {
    let old = begun(&grant(), "x", 150);
    let newer = begun(&committed(&old, "x", 160), "a", 200);
    let (record, outcome) = written(commit_of(&newer, &old, Some("r2")));
    assert_eq!(outcome, Commit::Done { recovered: false });
    assert_eq!(refresh_token(&record), "r2");
    assert_eq!(record.header.generation, newer.header.generation + 1);
}

#[test]
fn a_superseded_answer_says_whether_its_refresh_token_is_kept_all_the_same() {
    let leased = begun(&grant(), "a", 200);
    let by_another = committed(&leased, "b", 201);
    for (token, keeps_token) in [("r1", true), ("rx", false)] {
        let outcome = stayed(commit_of(&leased, &by_another, Some(token)));
        assert_eq!(outcome, Commit::Superseded { keeps_token });
    }
    let mut unreadable = by_another;
    unreadable.body = Body::KeyMissing {
        key_id: "k".into(),
        stored: vec![1],
    };
    assert_eq!(
        stayed(commit_of(&leased, &unreadable, Some("rx"))),
        Commit::Superseded { keeps_token: true },
        "nobody here can say"
    );
}

#[test]
fn a_login_knows_its_own_grant_after_others_went_on_with_it() {
    let mine = a_login("mine", Some("r0"));
    let record = written(login(None, None, &mine, at(100))).0;
    let refreshed = committed(&begun(&record, "a", 101), "a", 102);
    assert_eq!(
        stayed(login(Some(&refreshed), None, &mine, at(103))),
        LoginOutcome::Mine
    );
}

#[test]
fn rule_12_a_login_does_not_end_a_journal_that_others_sent_under() {
    let old = grant();
    let first = Some(old.header.grant_id);
    let by_login = begun(&old, "again", 200);
    let sent = begun(&by_login, "a", 231);
    let again = begun(&sent, "again", 262);
    let journal = again.header.attempt.as_ref().unwrap();
    assert_eq!(journal.by, "again", "the earliest is kept");
    let grace_over = at(300);
    let kept = written(login(
        Some(&again),
        first,
        &a_login("again", None),
        grace_over,
    ))
    .0;
    assert_eq!(kept.header.attempt, again.header.attempt);
}
