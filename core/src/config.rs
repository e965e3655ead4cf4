//! The application's settings, by `{NAME}_{KEY}`: from the environment, from a map, or from a document that another
//! crate has read.
//!
//! Whatever is wrong with a setting is an error that names the client and the variable, never its value.

mod settings;

use std::{collections::BTreeMap, fmt};

use serde_json::Value;
pub(crate) use settings::{ClientSettings, Kwargs, is_blank};

use crate::{Error, ErrorCode, Phase, Result};

/// Every key that a client's settings may have, after the client's name and `_`.
pub(crate) const KEYS: [&str; 14] = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "REQUEST_TOKEN_URL",
    "REQUEST_TOKEN_PARAMS",
    "ACCESS_TOKEN_URL",
    "ACCESS_TOKEN_PARAMS",
    "REFRESH_TOKEN_URL",
    "REFRESH_TOKEN_PARAMS",
    "AUTHORIZE_URL",
    "AUTHORIZE_PARAMS",
    "API_BASE_URL",
    "CLIENT_KWARGS",
    "SERVER_METADATA_URL",
    "ISSUER",
];

/// Where clients find their settings.
///
/// A client named `my-op` reads `MY_OP_CLIENT_ID`, `MY_OP_CLIENT_SECRET` and so on: its name in upper case, with `_` for
/// everything but A-Z and 0-9. The keys are `CLIENT_ID`, `CLIENT_SECRET`, `REQUEST_TOKEN_URL`, `REQUEST_TOKEN_PARAMS`,
/// `ACCESS_TOKEN_URL`, `ACCESS_TOKEN_PARAMS`, `REFRESH_TOKEN_URL`, `REFRESH_TOKEN_PARAMS`, `AUTHORIZE_URL`,
/// `AUTHORIZE_PARAMS`, `API_BASE_URL`, `CLIENT_KWARGS`, `SERVER_METADATA_URL` and `ISSUER`. Those that end in `PARAMS`,
/// and `CLIENT_KWARGS`, are a JSON object or a query string.
///
/// | member of `CLIENT_KWARGS` | what it is |
/// |---|---|
/// | `scope` | scopes, as text or a list |
/// | `token_endpoint_auth_method`, `revocation_endpoint_auth_method`, `introspection_endpoint_auth_method` | `client_secret_basic`, `client_secret_post`, `client_secret_jwt`, `private_key_jwt`, `tls_client_auth`, `self_signed_tls_client_auth` or `none` ([`AuthMethod`](crate::AuthMethod)) |
/// | `token_endpoint_auth_signing_alg` | the algorithm of client assertions |
/// | `private_key_file` | the path of a file with the client's private key, in PEM or as a JWK ([`Registration::signing_key`](crate::Registration::signing_key)); it is read while the client is registered |
/// | `private_key`, `private_key_id` | the key itself, as a text or a JWK; how the provider calls it (`kid`) |
/// | `client_assertion_audience` | `issuer`, `token_endpoint`, or the audience itself ([`AssertionAudience`](crate::AssertionAudience)) |
/// | `code_challenge_method` | `S256`, which is the default |
/// | `response_type`, `response_mode` | `code`; `query` or `form_post` |
/// | `grant_type` | `authorization_code` or `client_credentials` |
/// | `redirect_uri`, `prompt`, `login_hint`, `nonce` | for every login; a fixed nonce is worth little |
/// | `token_placement` | `header`, `body` or `query` |
/// | `leeway`, `default_timeout` | seconds |
/// | `issuer_template`, `allow_tenants` | for Microsoft's tenants ([`issuer_template`](crate::Registration::issuer_template)); a text, and text or a list |
/// | `refresh_reuse` | `strict`, `revokes_family`, `replay:SECONDS` or `both_valid` ([`Reuse`](crate::Reuse)) |
/// | `rotation` | `rotate` or `never` ([`Rotation`](crate::Rotation)) |
/// | `signature_method`, `signature_type`, `realm`, `rsa_key`, `force_include_body` | of OAuth 1.0a ([`SignatureMethod`](crate::SignatureMethod), [`SignatureType`](crate::SignatureType)) |
/// | `automatic_refresh` | `false`: tokens are renewed only when asked to ([`Registration::without_automatic_refresh`](crate::Registration::without_automatic_refresh)) |
/// | `revoke_at_logout` | `true`: every logout also ends and revokes the grant ([`Registration::revoke_at_logout`](crate::Registration::revoke_at_logout)) |
///
/// `docs/configuration.md` in the repository says of each its type, its default, an example, and what a wrong value gives.
///
/// # Contract
/// Both methods are cheap and do not block: they are called while clients are registered, some of them while a request
/// waits. A source that must be asked over a network is read before, into [`Settings`].
pub trait ConfigSource: Send + Sync + fmt::Debug + 'static {
    /// The value of a variable; `None` if it is not set.
    ///
    /// # Errors
    /// `invalid_configuration` if it is set but cannot be read; the error names the variable and never its value.
    fn value(&self, variable: &str) -> Result<Option<Value>>;

    /// The names of all variables, to find misspelt ones.
    fn variables(&self) -> Vec<String>;

    /// Is a variable that begins with a client's name and is no known key an error? If not, it is a warning in the log,
    /// and only if it is nearly a known key.
    fn refuses_unknown(&self) -> bool {
        true
    }
}

/// The process environment. It holds the settings of many programs, so that an unknown variable is not an error; one that
/// is nearly a key of a client (up to two letters off) is a warning in the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Env;

impl ConfigSource for Env {
    fn value(&self, variable: &str) -> Result<Option<Value>> {
        match std::env::var(variable) {
            Ok(text) => Ok(Some(Value::String(text))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(invalid(format!(
                "the environment's {variable} is not UTF-8"
            ))),
        }
    }

    fn variables(&self) -> Vec<String> {
        std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .collect()
    }

    fn refuses_unknown(&self) -> bool {
        false
    }
}

/// Settings from a map, or from a document that a configuration crate has read.
///
/// ```
/// use tokenkeep_core::Settings;
///
/// let flat = Settings::from_iter([("OP_CLIENT_ID", "x"), ("OP_ISSUER", "https://op.example")]);
/// let nested = Settings::from_value(serde_json::json!({
///     "op": { "client_id": "x", "client_kwargs": { "scope": "openid email" } },
/// }))?;
/// # let _ = (flat, nested);
/// # Ok::<(), tokenkeep_core::Error>(())
/// ```
///
/// `Debug` shows the variables' names only.
#[derive(Clone, Default)]
pub struct Settings(BTreeMap<String, Value>);

impl Settings {
    /// Reads a document: flat variables (`OP_CLIENT_ID`, in any case), or an object per client with the keys in it.
    ///
    /// # Errors
    /// `invalid_configuration` if it is not an object, or if a variable stands in it twice.
    pub fn from_value(document: Value) -> Result<Self> {
        let Value::Object(members) = document else {
            return Err(invalid("the settings are not an object"));
        };
        let mut settings = BTreeMap::new();
        let mut insert = |variable: String, value| match settings.insert(variable.clone(), value) {
            None => Ok(()),
            Some(_) => Err(invalid(format!("{variable} stands twice in the settings"))),
        };
        for (name, value) in members {
            match value {
                // `OP_CLIENT_KWARGS = { … }` is an object, but no client.
                Value::Object(keys) if !ends_in_key(&variable_name(&name)) => {
                    for (key, value) in keys {
                        insert(
                            format!("{}_{}", variable_name(&name), variable_name(&key)),
                            value,
                        )?;
                    }
                }
                value => insert(variable_name(&name), value)?,
            }
        }
        Ok(Self(settings))
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Settings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self(
            variables
                .map(|(name, value)| (variable_name(&name.into()), value.into()))
                .collect(),
        )
    }
}

impl ConfigSource for Settings {
    fn value(&self, variable: &str) -> Result<Option<Value>> {
        Ok(self.0.get(variable).cloned())
    }

    fn variables(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A name as it stands in variables: upper case, `_` for everything but A-Z and 0-9.
pub(crate) fn variable_name(name: &str) -> String {
    name.chars()
        .map(|c| match c.to_ascii_uppercase() {
            c @ ('A'..='Z' | '0'..='9') => c,
            _ => '_',
        })
        .collect()
}

/// Do two clients read the same variables?
///
/// # Errors
/// `invalid_configuration` naming both.
pub(crate) fn check_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for name in names {
        let variable = variable_name(name);
        match seen.insert(variable.clone(), name) {
            Some(other) if other != name => {
                return Err(invalid(format!(
                    "the clients {other:?} and {name:?} would share the settings {variable}_*; rename one of them"
                ))
                .with_client(name));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Looks for misspelt variables of the named clients: an error or a warning, as the source wants it.
///
/// # Errors
/// `invalid_configuration` naming client and variable.
pub(crate) fn check_variables<'a>(
    names: impl IntoIterator<Item = &'a str>,
    source: &dyn ConfigSource,
) -> Result<()> {
    let clients: Vec<(&str, String)> = names
        .into_iter()
        .map(|name| (name, variable_name(name) + "_"))
        .collect();
    for variable in source.variables() {
        // `OP_TWO_CLIENT_ID` belongs to `op-two`, not to `op`.
        let owner = clients
            .iter()
            .filter(|(_, prefix)| variable.starts_with(prefix.as_str()))
            .max_by_key(|(_, prefix)| prefix.len());
        let Some((name, prefix)) = owner else {
            continue;
        };
        let key = &variable[prefix.len()..];
        if KEYS.contains(&key) || ends_in_key(key) {
            continue;
        }
        let nearest = nearest_key(key);
        let hint = nearest.map_or_else(
            || format!("known are {}", KEYS.join(", ")),
            |key| format!("did you mean {prefix}{key}?"),
        );
        if source.refuses_unknown() {
            return Err(invalid(format!("{variable} is no setting; {hint}")).with_client(*name));
        }
        if nearest.is_some() {
            tracing::warn!(client = name, variable, "this is no setting; {hint}");
        }
    }
    Ok(())
}

/// Does it end in `_` and a key, so that it is a variable of some client?
fn ends_in_key(variable: &str) -> bool {
    KEYS.iter().any(|key| {
        variable
            .strip_suffix(key)
            .is_some_and(|name| name.len() > 1 && name.ends_with('_'))
    })
}

/// The key that is at most two letters off.
fn nearest_key(key: &str) -> Option<&'static str> {
    KEYS.into_iter()
        .map(|known| (edit_distance(key, known), known))
        .filter(|(distance, _)| (1..=2).contains(distance))
        .min()
        .map(|(_, known)| known)
}

/// How many letters must be put in, left out or replaced to come from one to the other.
fn edit_distance(a: &str, b: &str) -> usize {
    // More than two apart already; and it bounds the work.
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, Phase::Configure, message)
}

#[cfg(test)]
mod tests;
