//! What a provider answers, as data: shaped after its public documentation, with people who do not exist.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tokenkeep_core::Registration;
use tokenkeep_providers as providers;

/// One provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    /// The metadata, with its address, of a provider that has some.
    pub(crate) metadata: Option<Metadata>,
    pub(crate) authorize: Authorize,
    pub(crate) token: Exchange,
    /// Claims of the ID token beside those that the driver adds.
    pub(crate) id_token: Option<Value>,
    /// Asked for in this order after a login.
    #[serde(default)]
    pub(crate) userinfo: Vec<Ask>,
    /// What the posted answer brings beside code and state.
    #[serde(default)]
    pub(crate) posted: BTreeMap<String, Value>,
    /// The standard claims that the application sees.
    pub(crate) claims: Value,
    /// The scopes that were granted.
    pub(crate) scopes: Vec<String>,
    pub(crate) refresh: Option<Exchange>,
    /// The answer to a code that is over.
    pub(crate) refused: Refused,
    /// The answer to a refresh token that is over.
    pub(crate) ended: Option<Refused>,
    pub(crate) revoke: Option<Revoke>,
    pub(crate) api: Option<Api>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    pub(crate) at: String,
    pub(crate) document: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authorize {
    pub(crate) at: String,
    /// Beside those of the protocol.
    pub(crate) parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) without_pkce: bool,
    #[serde(default)]
    pub(crate) without_nonce: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) at: String,
    /// `basic`, `post` or `none`.
    pub(crate) by: String,
    #[serde(default = "form")]
    pub(crate) body: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) media: Option<String>,
    pub(crate) answer: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    #[serde(default = "get")]
    pub(crate) method: String,
    pub(crate) at: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) answer: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) answer: Value,
    /// As the application sees it.
    pub(crate) error: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoke {
    pub(crate) method: String,
    pub(crate) at: String,
    /// `basic`, `post`, `none` or `bearer`.
    pub(crate) by: String,
    pub(crate) body: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// `$access`, `$refresh` and `$client` stand for what they say.
    pub(crate) parameters: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) path: String,
    pub(crate) at: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

fn form() -> String {
    "form".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

impl Fixture {
    pub(crate) fn of(name: &str) -> Self {
        let file = file("tests/fixtures", &format!("{name}.json"));
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }
}

pub(crate) fn file(folder: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join(name)
}

/// The preset of that name, with a place for those that need one.
pub(crate) fn preset(name: &str) -> Registration {
    let preset = match name {
        "okta" => providers::okta("example.okta.com"),
        "auth0" => providers::auth0("example.eu.auth0.com"),
        "keycloak" => providers::keycloak("https://id.example.com", "staff"),
        "zitadel" => providers::zitadel("example.zitadel.cloud"),
        _ => providers::by_name(name).unwrap(),
    };
    preset.client_id("the-client").client_secret(SECRET)
}

pub(crate) const SECRET: &str = "the client's secret/+";
