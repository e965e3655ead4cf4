//! Machine to machine: the application asks for tokens of its own (client credentials, RFC 6749 section 4.4). They are kept
//! and renewed like any others, once for the whole fleet, for each set of scopes.

use std::error::Error;

use serde_json::Value;
use tokenkeep::{MemoryStore, OAuth, Registration};
use tokenkeep_testing::Provider;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // Stands in for the service that is called, and whoever issues tokens for it.
    let provider = Provider::start().await?;

    // Two processes of a fleet share a store; in yours it is a database.
    let store = MemoryStore::new();
    let process = || {
        OAuth::builder()
            .store(store.clone())
            .register(
                Registration::new("billing")
                    .access_token_url(format!("{}/token", provider.issuer()))
                    .client_id(provider.client_id())
                    .client_secret(provider.client_secret())
                    .api_base_url(provider.api_base_url()),
            )
            .build()
    };

    for (name, oauth) in [("first", process()?), ("second", process()?)] {
        let billing = oauth.client("billing")?.app().scopes(["invoices"]);
        let answer = billing.get("scope/invoices").await?.error_for_status()?;
        println!("{name} process: {}", answer.status());

        // Another set of scopes is another token.
        let reports = oauth.client("billing")?.app().scopes(["reports"]);
        let refused = reports.get("scope/invoices").await;
        println!(
            "{name} process: {}",
            refused.map_or_else(|error| error.to_string(), |_| "?".into())
        );

        let me: Value = billing.get("me").await?.json().await?;
        println!("{name} process: {}", me["scopes"]);
    }
    let requests = provider.token_requests("client_credentials");
    println!("two processes, two sets of scopes, {requests} token requests");
    assert_eq!(requests, 2);
    Ok(())
}
