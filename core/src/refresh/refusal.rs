//! Why there is no token now, as errors.

use std::time::Duration;

use crate::{Action, Error, ErrorCode, NeedsLoginCause, Phase, TokenKey};

pub(super) fn needs_login(key: &TokenKey, cause: NeedsLoginCause) -> Error {
    let (code, what) = match cause {
        NeedsLoginCause::IdentityChanged => (
            ErrorCode::IdentityChanged,
            "a refresh answered with another identity",
        ),
        NeedsLoginCause::RegistrationChanged => (
            ErrorCode::LoginRequired,
            "the grant was issued to another registration",
        ),
        NeedsLoginCause::NotRefreshable => (
            ErrorCode::LoginRequired,
            "the access token is over, and there is no refresh token",
        ),
        NeedsLoginCause::AmbiguousLoss => (
            ErrorCode::LoginRequired,
            "the provider rotated the refresh token, and its answer was lost",
        ),
        _ => (
            ErrorCode::LoginRequired,
            "the provider does not accept the refresh token any more",
        ),
    };
    Error::new(code, Phase::Refresh, what).with_client(key.client())
}

pub(super) fn key_missing(key: &TokenKey) -> Error {
    Error::new(
        ErrorCode::KeyMissing,
        Phase::Store,
        "the key ring lacks the key that sealed this record",
    )
    .with_client(key.client())
}

pub(super) fn cooling(key: &TokenKey, wait: Duration) -> Error {
    Error::new(
        ErrorCode::RefreshUnavailable,
        Phase::Refresh,
        "the token cannot be renewed at this moment",
    )
    .with_client(key.client())
    .with_action(Action::Retry { after: Some(wait) })
}
