use tokenkeep_core::Registration;

use crate::quirks::{Quirks, revoke_by_bearer};

const QUIRKS: Quirks = Quirks {
    errors: &[
        ("invalid_code", "invalid_grant"),
        ("code_already_used", "invalid_grant"),
        ("invalid_refresh_token", "invalid_grant"),
        ("token_revoked", "invalid_grant"),
        ("token_expired", "invalid_grant"),
        ("invalid_client_id", "invalid_client"),
        ("bad_client_secret", "invalid_client"),
        ("bad_redirect_uri", "invalid_request"),
        ("invalid_grant_type", "unsupported_grant_type"),
        ("ratelimited", "slow_down"),
    ],
    revocation: revoke_by_bearer,
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/slack.md")]
#[must_use]
pub fn slack() -> Registration {
    Registration::openid("slack", "https://slack.com")
        .scopes(["openid", "profile", "email"])
        .userinfo_at_login()
        .revocation_url("https://slack.com/api/auth.revoke")
        .api_base_url("https://slack.com/api/")
        .hook(QUIRKS)
}
