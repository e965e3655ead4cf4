//! The provider's client, as an application registers it.

use tokenkeep_core::Registration;

use crate::Provider;

/// The registration of the provider's first client under this name, with its API and a refresh token at login. It starts
/// from [`Registration::openid`]; whatever a test wants otherwise is set on it.
#[must_use]
pub fn registration(name: &str, provider: &Provider) -> Registration {
    Registration::openid(name, provider.issuer())
        .client_id(provider.client_id())
        .client_secret(provider.client_secret())
        .scopes(["openid", "offline_access"])
        .api_base_url(provider.api_base_url())
}
