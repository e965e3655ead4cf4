use tokenkeep_core::Registration;

#[doc = include_str!("../../docs/zitadel.md")]
#[must_use]
pub fn zitadel(domain: impl AsRef<str>) -> Registration {
    anywhere().issuer(super::issuer_at(domain.as_ref()))
}

/// The issuer comes from the settings.
pub(super) fn anywhere() -> Registration {
    Registration::new("zitadel")
        .scopes(["openid", "profile", "email", "offline_access"])
        // Its ID tokens have the profile only if the project says so.
        .userinfo_at_login()
}
