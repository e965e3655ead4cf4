use tokenkeep_core::Registration;

use crate::{profile::Profile, quirks::Quirks};

const QUIRKS: Quirks = Quirks {
    profile: Some(Profile {
        claims: &[
            ("sub", "/id"),
            ("name", "/display_name"),
            ("email", "/email"),
            ("picture", "/images/0/url"),
            ("profile", "/external_urls/spotify"),
        ],
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/spotify.md")]
#[must_use]
pub fn spotify() -> Registration {
    Registration::oauth2(
        "spotify",
        "https://accounts.spotify.com/authorize",
        "https://accounts.spotify.com/api/token",
    )
    .scopes(["user-read-email", "user-read-private"])
    .userinfo_url("https://api.spotify.com/v1/me")
    .api_base_url("https://api.spotify.com/v1/")
    .hook(QUIRKS)
}
