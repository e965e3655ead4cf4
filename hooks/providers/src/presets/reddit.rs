use tokenkeep_core::{ProviderProfile, Registration, Rotation};

use crate::{profile::Profile, quirks::Quirks};

const QUIRKS: Quirks = Quirks {
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
