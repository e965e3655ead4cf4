use serde_json::{Map, Value};
use tokenkeep_core::{AuthMethod, Registration};

use crate::{answer::set_error, quirks::Quirks};

/// The claims beyond `sub` come only if they are asked for by name (OpenID Connect Core section 5.5).
const CLAIMS: &str =
    r#"{"id_token":{"email":null,"email_verified":null,"picture":null,"preferred_username":null}}"#;

const QUIRKS: Quirks = Quirks {
    answer: errors,
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/twitch.md")]
#[must_use]
pub fn twitch() -> Registration {
    Registration::openid("twitch", "https://id.twitch.tv/oauth2")
        .scopes(["openid", "user:read:email"])
        .authorize_params([("claims", CLAIMS)])
        .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
        .revocation_url("https://id.twitch.tv/oauth2/revoke")
        .revocation_endpoint_auth_method(AuthMethod::None)
        .api_base_url("https://api.twitch.tv/helix/")
        .client_id_header("client-id")
        .hook(QUIRKS)
}

/// `{"status": 400, "message": "Invalid refresh token"}`: the message is all that tells errors apart.
fn errors(members: &mut Map<String, Value>) -> bool {
    let Some(message) = members.get("message").and_then(Value::as_str) else {
        return false;
    };
    let name = match message.to_ascii_lowercase().as_str() {
        "invalid refresh token" | "invalid authorization code" => "invalid_grant",
        "invalid client" | "invalid client secret" => "invalid_client",
        _ => return false,
    };
    let message = Value::String(message.to_owned());
    members.insert("error_description".to_owned(), message);
    set_error(members, name);
    true
}
