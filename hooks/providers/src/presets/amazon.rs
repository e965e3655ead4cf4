use tokenkeep_core::{AuthMethod, Registration};

use crate::{profile::Profile, quirks::Quirks};

const QUIRKS: Quirks = Quirks {
    profile: Some(Profile {
        claims: &[("sub", "/user_id"), ("name", "/name"), ("email", "/email")],
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/amazon.md")]
#[must_use]
pub fn amazon() -> Registration {
    Registration::oauth2(
        "amazon",
        "https://www.amazon.com/ap/oa",
        "https://api.amazon.com/auth/o2/token",
    )
    .scopes(["profile"])
    .userinfo_url("https://api.amazon.com/user/profile")
    .api_base_url("https://api.amazon.com/")
    .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
    .hook(QUIRKS)
}
