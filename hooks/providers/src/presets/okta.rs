use tokenkeep_core::{ProviderProfile, Registration, Reuse};

#[doc = include_str!("../../docs/okta.md")]
#[must_use]
pub fn okta(domain: impl AsRef<str>) -> Registration {
    anywhere().issuer(super::issuer_at(domain.as_ref()))
}

/// The issuer comes from the settings.
pub(super) fn anywhere() -> Registration {
    Registration::new("okta")
        .scopes(["openid", "profile", "email", "offline_access"])
        // Its ID tokens have few claims where an access token comes along.
        .userinfo_at_login()
        .profile(ProviderProfile::new().reuse(Reuse::RevokesFamily))
}
