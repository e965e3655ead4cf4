use tokenkeep_core::{ProviderProfile, Registration, Reuse};

#[doc = include_str!("../../docs/auth0.md")]
#[must_use]
pub fn auth0(domain: impl AsRef<str>) -> Registration {
    // Its issuers end in a slash.
    anywhere().issuer(format!("{}/", super::issuer_at(domain.as_ref())))
}

/// The issuer comes from the settings.
pub(super) fn anywhere() -> Registration {
    Registration::new("auth0")
        .scopes(["openid", "profile", "email", "offline_access"])
        .profile(ProviderProfile::new().reuse(Reuse::RevokesFamily))
}
