use serde_json::Value;
use tokenkeep_core::Registration;

use crate::{
    profile::{Claims, Profile},
    quirks::Quirks,
};

const QUIRKS: Quirks = Quirks {
    profile: Some(Profile {
        claims: &[
            ("sub", "/id"),
            ("preferred_username", "/username"),
            ("name", "/global_name"),
            ("name", "/username"),
            ("email", "/email"),
            ("email_verified", "/verified"),
            ("locale", "/locale"),
        ],
        more: picture,
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/discord.md")]
#[must_use]
pub fn discord() -> Registration {
    Registration::oauth2(
        "discord",
        "https://discord.com/oauth2/authorize",
        "https://discord.com/api/oauth2/token",
    )
    .scopes(["identify", "email"])
    .userinfo_url("https://discord.com/api/users/@me")
    .revocation_url("https://discord.com/api/oauth2/token/revoke")
    .api_base_url("https://discord.com/api/v10/")
    .hook(QUIRKS)
}

/// The profile has the picture's name alone.
fn picture(profile: &Value, claims: &mut Claims) {
    let text = |name: &str| profile.get(name).and_then(Value::as_str);
    if let (Some(id), Some(avatar)) = (text("id"), text("avatar")) {
        claims.set_text(
            "picture",
            format!("https://cdn.discordapp.com/avatars/{id}/{avatar}.png"),
        );
    }
}
