//! The embedded provider, and the application's two clients there.

use std::time::Duration;

use tokenkeep::Registration;
use tokenkeep_testing::{Provider, TestClient};

use crate::setup::Failure;

/// Starts it for an application at `base_url`. Its host name is another one, as it would be outside.
pub(crate) async fn start(
    base_url: &str,
    access_token_lifetime: Duration,
) -> Result<(Provider, Vec<Registration>), Failure> {
    let known = ["op", "other"].map(|name| {
        TestClient::with_random_secret(name)
            .redirect_uri(format!("{base_url}/callback/{name}"))
            .post_logout_redirect_uri(format!("{base_url}/logged-out/{name}"))
    });
    let mut provider = Provider::builder()
        .host("localhost")
        .access_token_lifetime(access_token_lifetime);
    for client in &known {
        provider = provider.client(client.clone());
    }
    let provider = provider.start().await.map_err(|error| {
        Failure::other(format!("the embedded provider does not start: {error}"))
    })?;
    let clients = known.iter().map(|client| {
        Registration::openid(client.id(), provider.issuer())
            .client_id(client.id())
            .client_secret(client.secret().unwrap_or_default())
            .scopes(["openid", "profile", "email", "offline_access"])
            .userinfo_at_login()
            .api_base_url(provider.api_base_url())
    });
    let clients = clients.collect();
    Ok((provider, clients))
}
