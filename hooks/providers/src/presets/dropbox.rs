use tokenkeep_core::{ProviderProfile, Registration, Rotation};

use crate::{
    profile::Profile,
    quirks::{Quirks, revoke_by_bearer},
};

const QUIRKS: Quirks = Quirks {
    userinfo_by_post: true,
    revocation: revoke_by_bearer,
    profile: Some(Profile {
        claims: &[
            ("sub", "/account_id"),
            ("name", "/name/display_name"),
            ("given_name", "/name/given_name"),
            ("family_name", "/name/surname"),
            ("nickname", "/name/familiar_name"),
            ("email", "/email"),
            ("email_verified", "/email_verified"),
            ("picture", "/profile_photo_url"),
            ("locale", "/locale"),
        ],
        ..Profile::EMPTY
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/dropbox.md")]
#[must_use]
pub fn dropbox() -> Registration {
    Registration::oauth2(
        "dropbox",
        "https://www.dropbox.com/oauth2/authorize",
        "https://api.dropboxapi.com/oauth2/token",
    )
    .scopes(["account_info.read"])
    .authorize_params([("token_access_type", "offline")])
    .userinfo_url("https://api.dropboxapi.com/2/users/get_current_account")
    .revocation_url("https://api.dropboxapi.com/2/auth/token/revoke")
    .api_base_url("https://api.dropboxapi.com/2/")
    .allow_origin("https://content.dropboxapi.com")
    .profile(ProviderProfile::new().rotation(Rotation::Never))
    .hook(QUIRKS)
}
