use tokenkeep_core::{ProviderProfile, Registration, Rotation};

#[doc = include_str!("../../docs/google.md")]
#[must_use]
pub fn google() -> Registration {
    Registration::openid("google", "https://accounts.google.com")
        .scopes(["openid", "email", "profile"])
        // Without it there is no refresh token.
        .authorize_params([("access_type", "offline")])
        .api_base_url("https://www.googleapis.com/")
        .profile(ProviderProfile::new().rotation(Rotation::Never))
}
