use super::*;
use crate::{ErrorCode, Phase, ProviderError};

const ALICE: u64 = 1;
const BOB: u64 = 2;

fn error(name: &str) -> Error {
    Error::new(ErrorCode::ProviderError, Phase::Refresh, "refused").with_provider(ProviderError {
        error: Some(name.into()),
        ..ProviderError::default()
    })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_refused_registration_pauses_all_and_a_refused_grant_itself_for_its_target() {
    let breakers = Breakers::default();
    let (login, other) = (Target::default(), Target::new(["https://api"], ["read"]));
    assert!(breakers.refused("op", &other, ALICE, &error("invalid_scope"), seconds(0)));
    assert!(breakers.check("op", &login, ALICE, seconds(1)).is_ok());
    assert!(breakers.check("op", &other, ALICE, seconds(1)).is_err());
    assert!(breakers.check("op", &other, BOB, seconds(1)).is_ok());
    assert!(breakers.refused("op", &other, ALICE, &error("invalid_client"), seconds(1)));
    assert!(breakers.check("op", &login, BOB, seconds(2)).is_err());
    assert!(breakers.check("another", &other, ALICE, seconds(2)).is_ok());
    breakers.forget("op");
    assert!(breakers.check("op", &other, ALICE, seconds(2)).is_ok());
}

#[test]
fn pauses_double_and_an_accepted_request_ends_them() {
    let breakers = Breakers::default();
    let login = Target::default();
    for refusal in ["invalid_client", "interaction_required"] {
        let refused = |now| breakers.refused("op", &login, ALICE, &error(refusal), seconds(now));
        let check = |now| breakers.check("op", &login, ALICE, seconds(now));
        assert!(refused(0));
        assert!(check(4).is_err());
        assert!(check(5).is_ok());
        assert!(!refused(5));
        assert!(check(14).is_err());
        breakers.accepted("op", &login, ALICE);
        assert!(check(14).is_ok());
    }
}

#[test]
fn one_grant_that_is_refused_again_and_again_keeps_no_other_waiting() {
    let breakers = Breakers::default();
    let login = Target::default();
    for second in 0..100 {
        let refusal = error("interaction_required");
        breakers.refused("op", &login, ALICE, &refusal, seconds(second));
        assert!(breakers.check("op", &login, BOB, seconds(second)).is_ok());
    }
}

#[test]
fn five_grants_that_are_refused_in_a_row_pause_the_others_of_their_target() {
    let breakers = Breakers::default();
    let login = Target::default();
    let refuse = |grants: std::ops::Range<u64>| {
        for grant in grants {
            breakers.refused("op", &login, grant, &error("access_denied"), seconds(0));
        }
        breakers.check("op", &login, 99, seconds(1)).is_err()
    };
    assert!(!refuse(0..4));
    // One that is taken begins a new row.
    breakers.accepted("op", &login, BOB);
    assert!(!refuse(10..14));
    assert!(refuse(14..15));
    let other = Target::new(["https://api"], ["read"]);
    assert!(breakers.check("op", &other, 99, seconds(1)).is_ok());
    assert!(breakers.check("op", &login, 99, seconds(5)).is_ok());
}

#[test]
fn no_more_is_remembered_than_there_is_room_for() {
    let breakers = Breakers::default();
    for grant in 0..MAX as u64 + 10 {
        let target = Target::new([format!("https://{grant}.example")], ["read"]);
        breakers.refused("op", &target, grant, &error("invalid_target"), seconds(1));
    }
    assert!(breakers.0.lock().unwrap().len() <= MAX);
}
