use tokenkeep_core::{ProviderProfile, Registration, Reuse};

/// The tenant of personal accounts, under which the metadata of `consumers` names itself.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

#[doc = include_str!("../../docs/microsoft.md")]
#[must_use]
pub fn microsoft(tenant: impl AsRef<str>) -> Registration {
    let host = "https://login.microsoftonline.com";
    let (tenant, many) = match tenant.as_ref() {
        "consumers" => (CONSUMERS, false),
        many @ ("common" | "organizations") => (many, true),
        one => (one, false),
    };
    let client = Registration::openid("microsoft", format!("{host}/{tenant}/v2.0"))
        .scopes(["openid", "profile", "email", "offline_access"])
        .api_base_url("https://graph.microsoft.com/v1.0/")
        .profile(ProviderProfile::new().reuse(Reuse::BothValid));
    if many {
        client.issuer_template(format!("{host}/{{tenantid}}/v2.0"))
    } else {
        client
    }
}
