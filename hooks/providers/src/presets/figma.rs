use serde_json::Value;
use tokenkeep_core::{ProviderProfile, Registration, Rotation};

use crate::{answer::set_error, profile::Profile, quirks::Quirks};

const QUIRKS: Quirks = Quirks {
    // What is wrong is not said by any name: another grant must not wait for it.
    refresh_answer: |status, members| {
        let is_nameless = status == 400 && members.get("error") == Some(&Value::Bool(true));
        if is_nameless {
            set_error(members, "temporarily_unavailable");
        }
        is_nameless
    },
    profile: Some(Profile {
        claims: &[
            ("sub", "/id"),
            ("preferred_username", "/handle"),
            ("name", "/handle"),
            ("email", "/email"),
            ("picture", "/img_url"),
        ],
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/figma.md")]
#[must_use]
pub fn figma() -> Registration {
    Registration::oauth2(
        "figma",
        "https://www.figma.com/oauth",
        "https://api.figma.com/v1/oauth/token",
    )
    .scopes(["current_user:read"])
    .refresh_token_url("https://api.figma.com/v1/oauth/refresh")
    .userinfo_url("https://api.figma.com/v1/me")
    .api_base_url("https://api.figma.com/v1/")
    .profile(ProviderProfile::new().rotation(Rotation::Never))
    .hook(QUIRKS)
}
