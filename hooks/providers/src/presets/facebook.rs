use reqwest::Method;
use tokenkeep_core::{AuthMethod, Registration, Result, TokenRequest};

use crate::{
    profile::Profile,
    quirks::{Quirks, revoke_by_bearer},
};

const QUIRKS: Quirks = Quirks {
    revocation: revoke,
    profile: Some(Profile {
        claims: &[
            ("sub", "/id"),
            ("name", "/name"),
            ("given_name", "/first_name"),
            ("middle_name", "/middle_name"),
            ("family_name", "/last_name"),
            ("picture", "/picture/data/url"),
            ("email", "/email"),
        ],
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/facebook.md")]
#[must_use]
pub fn facebook() -> Registration {
    Registration::oauth2(
        "facebook",
        "https://www.facebook.com/dialog/oauth",
        "https://graph.facebook.com/oauth/access_token",
    )
    .scopes(["email", "public_profile"])
    .userinfo_url(
        "https://graph.facebook.com/me?fields=id,name,first_name,middle_name,last_name,email,picture",
    )
    .api_base_url("https://graph.facebook.com/")
    .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
    .revocation_url("https://graph.facebook.com/me/permissions")
    .hook(QUIRKS)
}

/// `DELETE /me/permissions`, as the user: the application is removed from the account.
fn revoke(request: &mut TokenRequest) -> Result<()> {
    revoke_by_bearer(request)?;
    request.set_method(Method::DELETE);
    Ok(())
}
