use serde_json::Value;
use tokenkeep_core::Registration;

use crate::{
    profile::{Claims, Profile},
    quirks::Quirks,
};

const QUIRKS: Quirks = Quirks {
    // Both come as `invalid_request`.
    descriptions: &[
        (
            "Value passed for the authorization code was invalid.",
            "invalid_grant",
        ),
        ("Value passed for the token was invalid.", "invalid_grant"),
    ],
    profile: Some(Profile {
        claims: &[
            ("sub", "/data/id"),
            ("name", "/data/name"),
            ("preferred_username", "/data/username"),
            ("picture", "/data/profile_image_url"),
            ("website", "/data/url"),
        ],
        more: page,
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/x.md")]
#[must_use]
pub fn x() -> Registration {
    Registration::oauth2(
        "x",
        "https://x.com/i/oauth2/authorize",
        "https://api.x.com/2/oauth2/token",
    )
    .scopes(["users.read", "tweet.read", "offline.access"])
    .userinfo_url("https://api.x.com/2/users/me?user.fields=profile_image_url,url")
    .revocation_url("https://api.x.com/2/oauth2/revoke")
    .api_base_url("https://api.x.com/2/")
    .hook(QUIRKS)
}

fn page(profile: &Value, claims: &mut Claims) {
    if let Some(name) = profile.pointer("/data/username").and_then(Value::as_str) {
        claims.set_text("profile", format!("https://x.com/{name}"));
    }
}
