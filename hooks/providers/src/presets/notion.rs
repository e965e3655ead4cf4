use tokenkeep_core::{AuthMethod, Registration, Result, TokenRequest};

use crate::{profile::Profile, quirks::Quirks};

const QUIRKS: Quirks = Quirks {
    reads_json: true,
    headers: &[("notion-version", "2022-06-28")],
    revocation: revoke,
    profile: Some(Profile {
        // The token is a bot's; who installed it is inside.
        claims: &[
            ("sub", "/bot/owner/user/id"),
            ("name", "/bot/owner/user/name"),
            ("picture", "/bot/owner/user/avatar_url"),
            ("email", "/bot/owner/user/person/email"),
        ],
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/notion.md")]
#[must_use]
pub fn notion() -> Registration {
    Registration::oauth2(
        "notion",
        "https://api.notion.com/v1/oauth/authorize",
        "https://api.notion.com/v1/oauth/token",
    )
    .authorize_params([("owner", "user")])
    .userinfo_url("https://api.notion.com/v1/users/me")
    .revocation_url("https://api.notion.com/v1/oauth/revoke")
    .introspection_url("https://api.notion.com/v1/oauth/introspect")
    .api_base_url("https://api.notion.com/v1/")
    .token_endpoint_auth_method(AuthMethod::ClientSecretBasic)
    .raw_basic_credentials()
    .hook(QUIRKS)
}

fn revoke(request: &mut TokenRequest) -> Result<()> {
    request.remove("token_type_hint");
    Ok(())
}
