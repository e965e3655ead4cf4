//! The application's registry, from options and environment.

use std::{env, fmt, io, path::Path, time::Duration};

use tokenkeep::{
    Action, Env, KeyRing, OAuth, Registration, providers,
    store::{DynTokenStore, StoreError},
};

use crate::{store::StoreUrl, web::Web};

/// Everything a registry of this application is made of. Two registries of the same parts are one application.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) store: StoreUrl,
    pub(crate) keys: Option<KeyRing>,
    pub(crate) base_url: String,
    pub(crate) clients: Vec<Registration>,
    /// More roots to trust.
    pub(crate) roots: Vec<reqwest::Certificate>,
    pub(crate) web: Web,
}

impl Setup {
    pub(crate) async fn registry(&self) -> Result<OAuth, Failure> {
        let store = self.store().await?;
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

impl Setup {
    /// Opens the store; waits for one that does not answer yet.
    async fn store(&self) -> Result<DynTokenStore, Failure> {
        let mut pause = Duration::from_millis(250);
        loop {
            match self.store.open().await {
                Ok(store) => return Ok(store),
                Err(StoreError::Unavailable { source }) => {
                    tracing::warn!(store = %self.store, error = %source, "waiting for the store");
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error);
                    let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
                    return Err(Failure::configuration(format!(
                        "the store {} cannot be used: {error}{cause}",
                        self.store
                    )));
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
}

/// The clients that the environment names: everything else about them is in its `{NAME}_{KEY}`.
pub(crate) fn clients_of_environment() -> Vec<Registration> {
    let names = env::var("TOKENKEEP_CLIENTS").unwrap_or_default();
    names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| client_named(name, |variable| env::var_os(variable).is_some()))
        .collect()
}

/// A name that is a preset's is that preset, unless the settings say where else the provider is; they win over the rest of it.
fn client_named(name: &str, is_set: impl Fn(&str) -> bool) -> Registration {
    let prefix = name.to_ascii_uppercase();
    let any_of = |keys: &[&str]| keys.iter().any(|key| is_set(&format!("{prefix}_{key}")));
    let elsewhere = any_of(&["AUTHORIZE_URL", "ACCESS_TOKEN_URL", "REQUEST_TOKEN_URL"])
        || (!providers::needs_issuer(name) && any_of(&["ISSUER", "SERVER_METADATA_URL"]));
    match providers::by_name(name) {
        Some(preset) if !elsewhere => preset.overwrite(),
        _ => Registration::new(name),
    }
}

/// The key ring of the environment, if there is one.
pub(crate) fn keys_of_environment() -> Result<Option<KeyRing>, Failure> {
    match env::var_os("TOKENKEEP_KEYS") {
        Some(keys) if !keys.is_empty() => Ok(Some(KeyRing::from_env("TOKENKEEP_KEYS")?)),
        _ => Ok(None),
    }
}

/// The application's address as the environment names it, if it does; without a slash at its end.
pub(crate) fn base_url_of_environment() -> Result<Option<String>, Failure> {
    let Some(url) = env::var_os("TOKENKEEP_BASE_URL").filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let url = url.to_string_lossy().trim_end_matches('/').to_owned();
    let Ok(parsed) = reqwest::Url::parse(&url) else {
        return Err(Failure::configuration(
            "TOKENKEEP_BASE_URL is no address such as https://demo.example.com",
        ));
    };
    if parsed.path() != "/" {
        tracing::warn!(
            "TOKENKEEP_BASE_URL has a path, and the demo's pages lead to the root of its host"
        );
    }
    Ok(Some(url))
}

/// The embedded provider's clients are beside those of the environment, which have other names.
pub(crate) fn check_names(named: &[Registration], known: &[Registration]) -> Result<(), Failure> {
    let twice = named
        .iter()
        .map(Registration::name)
        .find(|name| known.iter().any(|known| known.name() == *name));
    match twice {
        None => Ok(()),
        Some(name) => Err(Failure::configuration(format!(
            "TOKENKEEP_CLIENTS names {name:?}, and so is a client at the embedded provider: rename it, or leave the \
             provider out with --provider none"
        ))),
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

    pub(crate) fn server(error: io::Error) -> Self {
        Self::other(format!("the server does not work: {error}"))
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

#[cfg(test)]
mod tests {
    use tokenkeep::{MemoryStore, Registration, Settings};

    use super::{check_names, client_named};

    /// Where a browser is sent to log in at a client of that name, with these settings.
    async fn endpoint_of(
        name: &str,
        settings: &[(&str, &str)],
    ) -> Result<String, tokenkeep::Error> {
        let client = client_named(name, |variable| {
            settings.iter().any(|(other, _)| *other == variable)
        });
        let oauth = tokenkeep::OAuth::builder()
            .store(MemoryStore::new())
            .base_url("https://app.example/")
            .register(client)
            .config(Settings::from_iter(settings.iter().copied()))
            .build()?;
        let redirect = oauth
            .client(name)?
            .authorize_redirect("https://app.example/callback");
        let mut url = redirect.await?.url;
        let scope = url.query_pairs().find(|(name, _)| name == "scope");
        let scope = scope.map_or_else(String::new, |(_, scope)| scope.into_owned());
        url.set_query(None);
        Ok(format!("{url} {scope}"))
    }

    #[tokio::test]
    async fn id_and_secret_are_enough_for_a_client_that_is_a_preset() {
        let id = ("GITHUB_CLIENT_ID", "id");
        let secret = ("GITHUB_CLIENT_SECRET", "secret");
        let preset = "https://github.com/login/oauth/authorize";
        let found = endpoint_of("github", &[id, secret]).await.unwrap();
        assert_eq!(found, format!("{preset} read:user user:email"));
        // The settings win.
        let scope = ("GITHUB_CLIENT_KWARGS", r#"{"scope": "repo"}"#);
        let found = endpoint_of("github", &[id, secret, scope]).await.unwrap();
        assert_eq!(found, format!("{preset} repo"));
        let elsewhere = [
            id,
            ("GITHUB_AUTHORIZE_URL", "https://git.example.com/authorize"),
            ("GITHUB_ACCESS_TOKEN_URL", "https://git.example.com/token"),
        ];
        let found = endpoint_of("github", &elsewhere).await.unwrap();
        assert_eq!(found, "https://git.example.com/authorize ");
        // A name that is none's needs its endpoints.
        endpoint_of("nobody", &[("NOBODY_CLIENT_ID", "id")])
            .await
            .unwrap_err();
    }

    #[test]
    fn a_name_that_the_embedded_provider_has_too_says_what_to_change() {
        let named = [Registration::new("op")];
        let known = [Registration::new("op"), Registration::new("other")];
        let failure = check_names(&named, &known).unwrap_err();
        assert_eq!(failure.exit_code, 2);
        for part in ["TOKENKEEP_CLIENTS", "\"op\"", "--provider none"] {
            assert!(failure.message.contains(part), "{}", failure.message);
        }
        check_names(&[Registration::new("mine")], &known).unwrap();
    }
}
