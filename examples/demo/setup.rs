//! The application's registry, from options and environment.

use std::{env, fmt, path::Path};

use tokenkeep::{Action, Env, KeyRing, OAuth, Registration};

use crate::store::StoreUrl;

/// Everything a registry of this application is made of. Two registries of the same parts are one application.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) store: StoreUrl,
    pub(crate) keys: Option<KeyRing>,
    pub(crate) base_url: String,
    pub(crate) clients: Vec<Registration>,
    /// More roots to trust.
    pub(crate) roots: Vec<reqwest::Certificate>,
}

impl Setup {
    pub(crate) async fn registry(&self) -> Result<OAuth, Failure> {
        let store = self.store.open().await.map_err(|error| {
            let source = std::error::Error::source(&error);
            let why = source.map_or_else(String::new, |source| format!(": {source}"));
            Failure::configuration(format!(
                "the store {} cannot be used: {error}{why}",
                self.store
            ))
        })?;
        let http = reqwest::Client::builder()
            .user_agent(concat!("tokenkeep-demo/", env!("CARGO_PKG_VERSION")))
            .tls_certs_merge(self.roots.iter().cloned());
        let mut oauth = OAuth::builder()
            .shared_store(store)
            .base_url(&self.base_url)
            .http_client(http)
            .config(Env);
        if let Some(keys) = &self.keys {
            oauth = oauth.key_ring(keys.clone());
        }
        for client in &self.clients {
            oauth = oauth.register(client.clone());
        }
        Ok(oauth.build()?)
    }
}

/// The clients that the environment names: everything else about them is in its `{NAME}_{KEY}`.
pub(crate) fn clients_of_environment() -> Vec<Registration> {
    let names = env::var("TOKENKEEP_CLIENTS").unwrap_or_default();
    names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(Registration::new)
        .collect()
}

/// The key ring of the environment, if there is one.
pub(crate) fn keys_of_environment() -> Result<Option<KeyRing>, Failure> {
    match env::var_os("TOKENKEEP_KEYS") {
        Some(_) => Ok(Some(KeyRing::from_env("TOKENKEEP_KEYS")?)),
        None => Ok(None),
    }
}

pub(crate) fn certificates(file: &Path) -> Result<Vec<reqwest::Certificate>, Failure> {
    let unusable = |error: &dyn fmt::Display| {
        Failure::configuration(format!("--ca {}: {error}", file.display()))
    };
    let pem = std::fs::read(file).map_err(|error| unusable(&error))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&error))?;
    if found.is_empty() {
        return Err(unusable(&"there is no certificate in it"));
    }
    Ok(found)
}

/// Why the demo ends, and how.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) exit_code: u8,
}

impl Failure {
    /// The command line or the environment must be corrected.
    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: 2,
        }
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: 1,
        }
    }
}

impl From<tokenkeep::Error> for Failure {
    fn from(error: tokenkeep::Error) -> Self {
        match error.action() {
            Action::Configure => Self::configuration(error.to_string()),
            _ => Self::other(error.to_string()),
        }
    }
}
