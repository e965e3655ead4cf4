use super::*;
use crate::{ErrorCode, Phase, ProviderError};

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
fn a_refused_registration_pauses_all_targets_and_a_refused_target_itself() {
    let breakers = Breakers::default();
    let other = Target::new(["https://api"], ["read"]);
    assert!(breakers.refused("op", &other, &error("invalid_scope"), seconds(0)));
    assert!(breakers.check("op", &Target::default(), seconds(1)).is_ok());
    assert!(breakers.check("op", &other, seconds(1)).is_err());
    assert!(breakers.refused("op", &other, &error("invalid_client"), seconds(1)));
    assert!(
        breakers
            .check("op", &Target::default(), seconds(2))
            .is_err()
    );
    assert!(breakers.check("another", &other, seconds(2)).is_ok());
}

#[test]
fn pauses_double_and_an_accepted_request_ends_them() {
    let breakers = Breakers::default();
    let login = Target::default();
    assert!(breakers.refused("op", &login, &error("invalid_client"), seconds(0)));
    assert!(breakers.check("op", &login, seconds(5)).is_ok());
    assert!(!breakers.refused("op", &login, &error("invalid_client"), seconds(5)));
    assert!(breakers.check("op", &login, seconds(14)).is_err());
    breakers.accepted("op", &login);
    assert!(breakers.check("op", &login, seconds(14)).is_ok());
}
