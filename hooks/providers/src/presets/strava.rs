use serde_json::{Map, Value};
use tokenkeep_core::{AuthMethod, Registration, Result, TokenRequest};

use crate::{
    answer::set_error,
    profile::Profile,
    quirks::{Quirks, access_token_only},
};

const QUIRKS: Quirks = Quirks {
    answer: errors,
    revocation: revoke,
    profile: Some(Profile {
        claims: &[
            ("sub", "/id"),
            ("preferred_username", "/username"),
            ("given_name", "/firstname"),
            ("family_name", "/lastname"),
            // What it calls `profile` is a picture.
            ("picture", "/profile"),
        ],
        more: |profile, claims| {
            claims.name_of_parts();
            if let Some(id) = profile.get("id").and_then(Value::as_u64) {
                claims.set_text("profile", format!("https://www.strava.com/athletes/{id}"));
            }
        },
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/strava.md")]
#[must_use]
pub fn strava() -> Registration {
    Registration::oauth2(
        "strava",
        "https://www.strava.com/oauth/authorize",
        "https://www.strava.com/api/v3/oauth/token",
    )
    .scopes(["read"])
    .comma_separated_scopes()
    .authorize_params([("approval_prompt", "auto")])
    .userinfo_url("https://www.strava.com/api/v3/athlete")
    .revocation_url("https://www.strava.com/oauth/deauthorize")
    .api_base_url("https://www.strava.com/api/v3/")
    .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
    .hook(QUIRKS)
}

/// `{"message": "Bad Request", "errors": [{"resource": "RefreshToken", "field": "refresh_token", "code": "invalid"}]}`
fn errors(members: &mut Map<String, Value>) -> bool {
    let text = |name: &str| {
        let found = members.get("errors")?.get(0)?.get(name)?.as_str()?;
        Some(found.to_owned())
    };
    let (Some(resource), Some(code)) = (text("resource"), text("code")) else {
        return false;
    };
    let name = match resource.as_str() {
        "AuthorizationCode" | "RefreshToken" => "invalid_grant",
        "Application" => "invalid_client",
        _ => "invalid_request",
    };
    let field = text("field").unwrap_or_default();
    let description = format!("{resource} {field} {code}");
    members.insert("error_description".to_owned(), description.into());
    set_error(members, name);
    true
}

/// The access token under its own name, as its own proof.
fn revoke(request: &mut TokenRequest) -> Result<()> {
    let token = access_token_only(request)?;
    for name in ["token", "token_type_hint", "client_id"] {
        request.remove(name);
    }
    request.set("access_token", token);
    request.without_client_authentication();
    Ok(())
}
