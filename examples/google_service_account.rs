//! A Google service account: the key file that Google gives, an assertion for each request (RFC 7523), and tokens that are
//! kept and renewed like any others. Yours needs the file alone: everything about the stand-in below goes.

use std::error::Error;

use serde::Deserialize;
use tokenkeep::{JwtBearer, MemoryStore, OAuth, Registration, SigningAlgorithm, SigningKey};
use tokenkeep_testing::{ClientKey, Provider};

/// The file, as far as it is needed. Keep it where secrets are kept.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    private_key_id: String,
    token_uri: String,
}

/// The account's client. `user`: whom it acts for, where the domain allows that (domain-wide delegation).
fn calendar(file: &str, user: Option<&str>) -> Result<Registration, Box<dyn Error>> {
    let file: KeyFile = serde_json::from_str(file)?;
    let key = SigningKey::from_pem(SigningAlgorithm::Rs256, &file.private_key)?;
    let assertion = JwtBearer::new(key.with_key_id(file.private_key_id))
        .scopes(["https://www.googleapis.com/auth/calendar.readonly"])
        .scopes_as_claim();
    let assertion = match user {
        Some(user) => assertion.subject(user),
        None => assertion,
    };
    Ok(Registration::new("calendar")
        .access_token_url(file.token_uri)
        .client_id(file.client_email)
        .jwt_bearer(assertion))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // Stands in for Google: it knows the account's public key, and takes no assertion twice.
    let email = "robot@project.iam.gserviceaccount.com";
    let key = ClientKey::generate("RS256").named("k1");
    let google = Provider::builder().assertion_issuer(email, &key);
    let google = google.start().await?;
    let token_uri = format!("{}/token", google.issuer());
    let file = serde_json::json!({"type": "service_account", "client_email": email, "private_key_id": "k1",
        "private_key": key.pem(), "token_uri": token_uri}).to_string();
    for user in [None, Some("alice@example.com")] {
        let account = calendar(&file, user)?.api_base_url(google.api_base_url());
        let oauth = OAuth::builder().store(MemoryStore::new());
        let calendar = oauth.register(account).build()?.client("calendar")?.app();
        let me: serde_json::Value = calendar.get("me").await?.json().await?;
        println!("the API sees {} with {}", me["sub"], me["scopes"]);
        assert_eq!(me["sub"], user.unwrap_or(email));
    }
    Ok(())
}
