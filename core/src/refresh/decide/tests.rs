use super::*;
use crate::{
    store::Index,
    token::{Header, Payload},
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn profile(reuse: Reuse) -> ProviderProfile {
    ProviderProfile::new().reuse(reuse)
}

fn found(grant_id: GrantId, generation: u64, state: State) -> Record {
    let mut header = Header::new(grant_id, generation);
    header.state = state;
    Record::new(header, Index::default(), Payload::default())
}

fn wrote(grant_id: GrantId, generation: u64) -> Wrote {
    Wrote {
        grant_id,
        generation,
        logged_out: false,
        replaced: None,
    }
}

#[test]
fn rule_7_a_request_starts_only_if_it_and_its_commit_end_in_time() {
    let timing = Timing::default();
    let deadline = secs(100);
    assert!(may_start(secs(85), deadline, &timing));
    assert!(!may_start(
        secs(85) + Duration::from_millis(1),
        deadline,
        &timing
    ));
    assert!(
        !may_start(Duration::ZERO, secs(14), &timing),
        "not even when the clock has just begun"
    );
}

#[test]
fn a_refresh_token_is_sent_again_only_where_the_provider_takes_it() {
    let now = at(100);
    let replay = profile(Reuse::Replay(secs(30)));
    assert!(replays(replay, at(71), now));
    assert!(!replays(replay, at(70), now));
    assert!(replays(profile(Reuse::BothValid), at(0), now));
    assert!(!replays(profile(Reuse::Strict), now, now));
    let never = profile(Reuse::Strict).rotation(Rotation::Never);
    assert!(replays(never, at(0), now));
    assert!(again(Verdict::NotSent, 0, false) && !again(Verdict::NotSent, 1, true));
    assert!(again(Verdict::Ambiguous, 1, true) && !again(Verdict::Ambiguous, 2, true));
    assert!(!again(Verdict::Ambiguous, 0, false));
    assert!(!again(Verdict::InvalidGrant, 0, true));
}

#[test]
fn only_the_application_goes_on_without_its_refresh_token() {
    let next = |verdict, by| after_failure(verdict, by, false, profile(Reuse::Strict), None);
    let cause = NeedsLoginCause::Rejected;
    for (by, expected) in [
        (By::of(false, true), AfterFailure::DeclareDead { cause }),
        // The plain header may lie: this is no application's.
        (By::of(false, false), AfterFailure::DeclareDead { cause }),
        (By::of(true, true), AfterFailure::AskByOwnGrant),
        (By::of(true, false), AfterFailure::Release),
    ] {
        assert_eq!(next(Verdict::InvalidGrant, by), expected);
        assert_eq!(next(Verdict::Refused, by), AfterFailure::Release);
        assert_eq!(next(Verdict::Ambiguous, by), AfterFailure::BackOff);
    }
}

#[test]
fn rule_11_only_a_logout_revokes_where_a_revocation_ends_the_grant() {
    let grant = profile(Reuse::Strict);
    let alone = grant.revocation(Revocation::PerToken);
    assert_eq!(fate(Homeless::LoggedOut, grant), Fate::Revoke);
    assert_eq!(fate(Homeless::Overtaken, grant), Fate::Orphaned);
    assert_eq!(fate(Homeless::Overtaken, alone), Fate::Revoke);
}

#[test]
fn rule_14_an_older_state_of_the_same_grant_is_written_again() {
    let (mine, other) = (GrantId::random(), GrantId::random());
    let wrote = wrote(mine, 5);
    let look = |grant, generation| lost_write(&wrote, &found(grant, generation, State::Active));
    assert_eq!(look(mine, 4), Some(Mend::WriteAgain));
    assert_eq!(look(mine, 5), None);
    assert_eq!(look(mine, 6), None);
    assert_eq!(look(other, 4), None);
}

#[test]
fn rule_14_a_logout_beats_whatever_was_done_with_the_grant_since() {
    let mine = GrantId::random();
    let logout = Wrote {
        logged_out: true,
        ..wrote(mine, 5)
    };
    let look = |generation, state| lost_write(&logout, &found(mine, generation, state));
    assert_eq!(look(5, State::Active), Some(Mend::WriteAgain));
    assert_eq!(look(6, State::Active), Some(Mend::LogOut));
    assert_eq!(look(5, State::LoggedOut), None);
}

#[test]
fn rule_14_a_logout_after_the_fail_over_stays() {
    let (mine, before) = (GrantId::random(), GrantId::random());
    let login = |logged_out| Wrote {
        replaced: Some(Replaced {
            grant_id: before,
            logged_out,
        }),
        ..wrote(mine, 5)
    };
    let out = |grant| found(grant, 4, State::LoggedOut);
    assert_eq!(lost_write(&wrote(mine, 5), &out(mine)), None);
    assert_eq!(lost_write(&login(false), &out(before)), None);
    assert_eq!(
        lost_write(&login(true), &out(before)),
        Some(Mend::WriteAgain),
        "this tombstone is the one that the login replaced"
    );
}
