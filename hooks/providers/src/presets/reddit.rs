use serde_json::Value;
use tokenkeep_core::{ProviderProfile, Registration, Rotation};

use crate::{answer::set_error, profile::Profile, quirks::Quirks};

const QUIRKS: Quirks = Quirks {
    // A bare `{"message": "Bad Request", "error": 400}`; an unknown client is a 401.
    refresh_answer: |status, members| {
        let is_bare = status == 400 && members.get("error").is_some_and(Value::is_number);
        if is_bare {
            set_error(members, "invalid_grant");
        }
        is_bare
    },
    profile: Some(Profile {
        claims: &[
            ("sub", "/id"),
            ("preferred_username", "/name"),
            ("picture", "/icon_img"),
        ],
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/reddit.md")]
#[must_use]
pub fn reddit() -> Registration {
    Registration::oauth2(
        "reddit",
        "https://www.reddit.com/api/v1/authorize",
        "https://www.reddit.com/api/v1/access_token",
    )
    .scopes(["identity"])
    // Without it there is no refresh token.
    .authorize_params([("duration", "permanent")])
    // Without raw_json its texts are escaped for HTML.
    .userinfo_url("https://oauth.reddit.com/api/v1/me?raw_json=1")
    .revocation_url("https://www.reddit.com/api/v1/revoke_token")
    .api_base_url("https://oauth.reddit.com/")
    .profile(ProviderProfile::new().rotation(Rotation::Never))
    .hook(QUIRKS)
}
