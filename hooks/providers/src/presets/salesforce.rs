use tokenkeep_core::Registration;

#[doc = include_str!("../../docs/salesforce.md")]
#[must_use]
pub fn salesforce(domain: impl AsRef<str>) -> Registration {
    let base = super::issuer_at(domain.as_ref());
    Registration::openid("salesforce", base.as_str())
        .scopes(["openid", "profile", "email", "refresh_token"])
        .userinfo_at_login()
        .api_base_url(format!("{base}/services/data/"))
}
