use tokenkeep_core::Registration;

#[doc = include_str!("../../docs/keycloak.md")]
#[must_use]
pub fn keycloak(base: impl AsRef<str>, realm: impl AsRef<str>) -> Registration {
    let base = super::issuer_of(base.as_ref());
    anywhere().issuer(format!("{base}/realms/{}", realm.as_ref()))
}

/// The issuer comes from the settings.
pub(super) fn anywhere() -> Registration {
    Registration::new("keycloak").scopes(["openid", "profile", "email"])
}
