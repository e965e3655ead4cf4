use serde_json::{Map, Value};
use tokenkeep_core::Registration;

use crate::{
    profile::{Claims, Profile},
    quirks::Quirks,
};

const QUIRKS: Quirks = Quirks {
    answer: scopes,
    profile: Some(Profile {
        claims: &[
            ("sub", "/uuid"),
            ("name", "/display_name"),
            ("nickname", "/nickname"),
            ("preferred_username", "/username"),
            ("picture", "/links/avatar/href"),
            ("profile", "/links/html/href"),
        ],
        more: primary_email,
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/bitbucket.md")]
#[must_use]
pub fn bitbucket() -> Registration {
    Registration::oauth2(
        "bitbucket",
        "https://bitbucket.org/site/oauth2/authorize",
        "https://bitbucket.org/site/oauth2/access_token",
    )
    .scopes(["account", "email"])
    .userinfo_url("https://api.bitbucket.org/2.0/user")
    .userinfo_part("emails", "https://api.bitbucket.org/2.0/user/emails")
    .api_base_url("https://api.bitbucket.org/2.0/")
    .hook(QUIRKS)
}

/// It calls them `scopes`.
fn scopes(members: &mut Map<String, Value>) -> bool {
    let Some(scopes) = members.remove("scopes") else {
        return false;
    };
    members.entry("scope").or_insert(scopes);
    true
}

fn primary_email(profile: &Value, claims: &mut Claims) {
    let emails = profile.pointer("/emails/values").and_then(Value::as_array);
    let is = |email: &Value, name: &str| email.get(name) == Some(&Value::Bool(true));
    let primary = emails
        .into_iter()
        .flatten()
        .find(|email| is(email, "is_primary"));
    if let Some(primary) = primary
        && let Some(email) = primary.get("email").and_then(Value::as_str)
    {
        claims.set_email(email, is(primary, "is_confirmed"));
    }
}
