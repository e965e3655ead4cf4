use tokenkeep_core::Registration;

use crate::{profile::Profile, quirks::Quirks};

const QUIRKS: Quirks = Quirks {
    profile: Some(Profile {
        claims: &[
            ("sub", "/id"),
            ("name", "/display_name"),
            ("given_name", "/first_name"),
            ("family_name", "/last_name"),
            ("email", "/email"),
            ("picture", "/pic_url"),
            ("zoneinfo", "/timezone"),
            ("locale", "/language"),
        ],
        more: |_, claims| claims.name_of_parts(),
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/zoom.md")]
#[must_use]
pub fn zoom() -> Registration {
    Registration::oauth2(
        "zoom",
        "https://zoom.us/oauth/authorize",
        "https://zoom.us/oauth/token",
    )
    .userinfo_url("https://api.zoom.us/v2/users/me")
    .revocation_url("https://zoom.us/oauth/revoke")
    .api_base_url("https://api.zoom.us/v2/")
    .hook(QUIRKS)
}
