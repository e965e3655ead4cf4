use reqwest::Method;
use serde_json::Value;
use tokenkeep_core::{AuthMethod, ProviderProfile, Registration, Result, Revocation, TokenRequest};

use crate::{
    answer,
    profile::{Claims, Profile},
    quirks::{Quirks, access_token_only},
};

const QUIRKS: Quirks = Quirks {
    errors: &[
        ("bad_verification_code", "invalid_grant"),
        ("bad_refresh_token", "invalid_grant"),
        ("incorrect_client_credentials", "invalid_client"),
        ("redirect_uri_mismatch", "invalid_request"),
    ],
    answer: answer::scopes_with_blanks,
    headers: &[("x-github-api-version", "2022-11-28")],
    revocation: revoke,
    profile: Some(Profile {
        claims: &[
            ("sub", "/id"),
            ("preferred_username", "/login"),
            ("name", "/name"),
            ("picture", "/avatar_url"),
            ("profile", "/html_url"),
            ("website", "/blog"),
            // The one on the profile page: nobody says that it was verified.
            ("email", "/email"),
        ],
        more: primary_email,
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/github.md")]
#[must_use]
pub fn github() -> Registration {
    registration("https://github.com", "https://api.github.com")
}

/// As [`github`], for a GitHub Enterprise Server: its address without a slash at the end, such as `https://git.example.com`.
#[must_use]
pub fn github_at(base: impl AsRef<str>) -> Registration {
    let base = super::issuer_of(base.as_ref());
    registration(&base, &format!("{base}/api/v3"))
}

fn registration(web: &str, api: &str) -> Registration {
    Registration::oauth2(
        "github",
        format!("{web}/login/oauth/authorize"),
        format!("{web}/login/oauth/access_token"),
    )
    .scopes(["read:user", "user:email"])
    .userinfo_url(format!("{api}/user"))
    .userinfo_part("emails", format!("{api}/user/emails"))
    .api_base_url(format!("{api}/"))
    .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
    .revocation_url(format!("{api}/applications"))
    .revocation_endpoint_auth_method(AuthMethod::ClientSecretBasic)
    .profile(
        ProviderProfile::new()
            .revocation(Revocation::PerToken)
            .refresh_revokes_access(true),
    )
    .hook(QUIRKS)
}

fn primary_email(profile: &Value, claims: &mut Claims) {
    let emails = profile.get("emails").and_then(Value::as_array);
    let primary = emails
        .into_iter()
        .flatten()
        .find(|email| email.get("primary") == Some(&Value::Bool(true)));
    if let Some(primary) = primary
        && let Some(email) = primary.get("email").and_then(Value::as_str)
    {
        claims.set_email(email, primary.get("verified") == Some(&Value::Bool(true)));
    }
}

/// `DELETE /applications/{client_id}/token` with the access token as JSON.
fn revoke(request: &mut TokenRequest) -> Result<()> {
    let token = access_token_only(request)?;
    let id = request
        .parameter("client_id")
        .unwrap_or_default()
        .to_owned();
    let path = format!("{}/{id}/token", request.url().path());
    request.set_path(&path);
    request.set_method(Method::DELETE);
    request.remove("token");
    request.remove("token_type_hint");
    request.set("access_token", token);
    request.send_as_json();
    Ok(())
}
