use std::time::Duration;

use tokenkeep_core::{AuthMethod, ProviderProfile, Registration, Reuse};

use crate::{profile::Profile, quirks::Quirks};

const QUIRKS: Quirks = Quirks {
    // It comes as `unauthorized_client` too, which would count for everybody.
    descriptions: &[("refresh_token is invalid", "invalid_grant")],
    profile: Some(Profile {
        claims: &[
            ("sub", "/account_id"),
            ("name", "/name"),
            ("nickname", "/nickname"),
            ("email", "/email"),
            ("picture", "/picture"),
            ("zoneinfo", "/zoneinfo"),
            ("locale", "/locale"),
        ],
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/atlassian.md")]
#[must_use]
pub fn atlassian() -> Registration {
    Registration::oauth2(
        "atlassian",
        "https://auth.atlassian.com/authorize",
        "https://auth.atlassian.com/oauth/token",
    )
    .scopes(["read:me", "offline_access"])
    .authorize_params([("audience", "api.atlassian.com")])
    .prompt("consent")
    .userinfo_url("https://api.atlassian.com/me")
    .api_base_url("https://api.atlassian.com/")
    .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
    .profile(ProviderProfile::new().reuse(Reuse::Replay(Duration::from_secs(600))))
    .hook(QUIRKS)
}
