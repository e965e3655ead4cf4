//! The settings of one client, read from a source and typed.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{ConfigSource, invalid, variable_name};
use crate::{
    Result, Secret, SignatureMethod, SignatureType,
    client::OAuth1Parts,
    provider::{Reuse, Rotation},
};

/// What the settings say of a client; text that needs more than reading is still text.
#[derive(Clone, Default)]
pub(crate) struct ClientSettings {
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) issuer: Option<String>,
    pub(crate) server_metadata_url: Option<String>,
    pub(crate) authorize_url: Option<String>,
    pub(crate) access_token_url: Option<String>,
    pub(crate) refresh_token_url: Option<String>,
    pub(crate) api_base_url: Option<String>,
    pub(crate) authorize_params: Option<Vec<(String, String)>>,
    pub(crate) access_token_params: Option<Vec<(String, String)>>,
    pub(crate) refresh_token_params: Option<Vec<(String, String)>>,
    pub(crate) oauth1: OAuth1Parts,
    pub(crate) kwargs: Kwargs,
}

/// The members of `CLIENT_KWARGS`.
#[derive(Clone, Default)]
pub(crate) struct Kwargs {
    pub(crate) scope: Option<Vec<String>>,
    pub(crate) token_endpoint_auth_method: Option<String>,
    pub(crate) revocation_endpoint_auth_method: Option<String>,
    pub(crate) code_challenge_method: Option<String>,
    pub(crate) response_type: Option<String>,
    pub(crate) response_mode: Option<String>,
    pub(crate) grant_type: Option<String>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) prompt: Option<String>,
    pub(crate) nonce: Option<Secret>,
    pub(crate) login_hint: Option<String>,
    pub(crate) token_placement: Option<String>,
    pub(crate) leeway: Option<Duration>,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) refresh_reuse: Option<Reuse>,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) revoke_at_logout: Option<bool>,
    pub(crate) issuer_template: Option<String>,
    pub(crate) allow_tenants: Option<Vec<String>>,
    /// Of OAuth 1.0a; [`ClientSettings::oauth1`] takes them over.
    oauth1: OAuth1Parts,
}

impl ClientSettings {
    /// Reads everything that the source has for a client.
    ///
    /// # Errors
    /// `invalid_configuration` naming client and variable, `unsupported` for what is known and not there.
    pub(crate) fn read(name: &str, source: &dyn ConfigSource) -> Result<Self> {
        Self::read_all(&variable_name(name), source).map_err(|error| error.with_client(name))
    }

    fn read_all(prefix: &str, source: &dyn ConfigSource) -> Result<Self> {
        let get = |key: &str| -> Result<Option<(String, Value)>> {
            let variable = format!("{prefix}_{key}");
            let value = source.value(&variable)?.filter(|value| !is_blank(value));
            Ok(value.map(|value| (variable, value)))
        };
        let text = |key: &str| match get(key)? {
            Some((variable, value)) => as_text(&variable, value).map(Some),
            None => Ok(None),
        };
        let params = |key: &str| match get(key)? {
            Some((variable, value)) => as_parameters(&variable, value).map(Some),
            None => Ok(None),
        };
        let mut kwargs = match get("CLIENT_KWARGS")? {
            Some((variable, value)) => Kwargs::read(&variable, value)?,
            None => Kwargs::default(),
        };
        Ok(Self {
            oauth1: OAuth1Parts {
                request_token_url: text("REQUEST_TOKEN_URL")?,
                request_token_params: params("REQUEST_TOKEN_PARAMS")?,
                ..std::mem::take(&mut kwargs.oauth1)
            },
            client_id: text("CLIENT_ID")?,
            client_secret: text("CLIENT_SECRET")?.map(Secret::from),
            issuer: text("ISSUER")?,
            server_metadata_url: text("SERVER_METADATA_URL")?,
            authorize_url: text("AUTHORIZE_URL")?,
            access_token_url: text("ACCESS_TOKEN_URL")?,
            refresh_token_url: text("REFRESH_TOKEN_URL")?,
            api_base_url: text("API_BASE_URL")?,
            authorize_params: params("AUTHORIZE_PARAMS")?,
            access_token_params: params("ACCESS_TOKEN_PARAMS")?,
            refresh_token_params: params("REFRESH_TOKEN_PARAMS")?,
            kwargs,
        })
    }
}

impl Kwargs {
    fn read(variable: &str, value: Value) -> Result<Self> {
        let mut kwargs = Self::default();
        for (member, value) in as_object(variable, value)? {
            let name = named(variable, &member);
            if is_blank(&value) {
                continue;
            }
            match member.as_str() {
                "scope" => kwargs.scope = Some(as_scopes(&name, value)?),
                "token_endpoint_auth_method" => {
                    kwargs.token_endpoint_auth_method = Some(as_text(&name, value)?);
                }
                "revocation_endpoint_auth_method" => {
                    kwargs.revocation_endpoint_auth_method = Some(as_text(&name, value)?);
                }
                "code_challenge_method" => {
                    kwargs.code_challenge_method = Some(as_text(&name, value)?);
                }
                "response_type" => kwargs.response_type = Some(as_text(&name, value)?),
                "response_mode" => kwargs.response_mode = Some(as_text(&name, value)?),
                "grant_type" => kwargs.grant_type = Some(as_text(&name, value)?),
                "redirect_uri" => kwargs.redirect_uri = Some(as_text(&name, value)?),
                "prompt" => kwargs.prompt = Some(as_text(&name, value)?),
                "nonce" => kwargs.nonce = Some(as_text(&name, value)?.into()),
                "login_hint" => kwargs.login_hint = Some(as_text(&name, value)?),
                "token_placement" => kwargs.token_placement = Some(as_text(&name, value)?),
                "leeway" => kwargs.leeway = Some(as_seconds(&name, &value)?),
                "issuer_template" => kwargs.issuer_template = Some(as_text(&name, value)?),
                "allow_tenants" => kwargs.allow_tenants = Some(as_scopes(&name, value)?),
                "default_timeout" => kwargs.default_timeout = Some(as_seconds(&name, &value)?),
                "refresh_reuse" => {
                    let reuse = Reuse::parse(&as_text(&name, value)?);
                    kwargs.refresh_reuse = Some(reuse.ok_or_else(|| {
                        invalid(format!(
                            "{name} is not strict, revokes_family, replay:SECONDS or both_valid"
                        ))
                    })?);
                }
                "rotation" => {
                    let rotation = Rotation::parse(&as_text(&name, value)?);
                    kwargs.rotation = Some(
                        rotation
                            .ok_or_else(|| invalid(format!("{name} is not rotate or never")))?,
                    );
                }
                "signature_method" => {
                    let method = SignatureMethod::parse(as_text(&name, value)?.trim())?;
                    kwargs.oauth1.signature_method = Some(method);
                }
                "signature_type" => {
                    let place = SignatureType::parse(&as_text(&name, value)?)?;
                    kwargs.oauth1.signature_type = Some(place);
                }
                "realm" => kwargs.oauth1.realm = Some(as_text(&name, value)?),
                "rsa_key" => kwargs.oauth1.rsa_key = Some(as_text(&name, value)?.into()),
                "force_include_body" => {
                    kwargs.oauth1.body_hash = Some(as_bool(&name, &value)?);
                }
                "revoke_at_logout" => kwargs.revoke_at_logout = Some(as_bool(&name, &value)?),
                "verify" | "proxies" | "proxy" | "cert" | "trust_env" => {
                    return Err(invalid(format!(
                        "{name} is about the connection; give the builder an HTTP client with the proxy, roots or \
                         certificates it needs"
                    )));
                }
                _ => {
                    return Err(invalid(format!(
                        "{name} is no member of {variable}; known are {}",
                        MEMBERS.join(", ")
                    )));
                }
            }
        }
        Ok(kwargs)
    }
}

/// What `CLIENT_KWARGS` may hold.
const MEMBERS: [&str; 24] = [
    "issuer_template",
    "allow_tenants",
    "scope",
    "token_endpoint_auth_method",
    "revocation_endpoint_auth_method",
    "code_challenge_method",
    "response_type",
    "response_mode",
    "grant_type",
    "redirect_uri",
    "prompt",
    "nonce",
    "login_hint",
    "token_placement",
    "leeway",
    "default_timeout",
    "refresh_reuse",
    "rotation",
    "revoke_at_logout",
    "signature_method",
    "signature_type",
    "realm",
    "rsa_key",
    "force_include_body",
];

/// How an error names a member. A secret that was put where a dictionary belongs, such as base64 with its `==`, is read as
/// a member's name: only what looks like one is shown.
fn named(variable: &str, member: &str) -> String {
    let looks_like_one =
        member.len() <= 48 && member.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if looks_like_one {
        format!("{variable}.{member}")
    } else {
        format!(
            "a member of {variable} (its name is not shown, for it may be a secret in the wrong place)"
        )
    }
}

/// An empty value is an absent one: `OP_CLIENT_SECRET=` in an environment file says that there is none.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

fn as_text(variable: &str, value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        // YAML reads a client id of digits as a number.
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(invalid(format!("{variable} is not text"))),
    }
}

fn as_scopes(variable: &str, value: Value) -> Result<Vec<String>> {
    match value {
        Value::Array(items) => items
            .into_iter()
            .map(|item| as_text(variable, item))
            .collect(),
        Value::String(text) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        _ => Err(invalid(format!("{variable} is neither text nor a list"))),
    }
}

/// Seconds, also in fractions, up to a year.
fn as_seconds(variable: &str, value: &Value) -> Result<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds
        .filter(|seconds| (0.0..=31_536_000.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| invalid(format!("{variable} is not a number of seconds")))
}

fn as_bool(variable: &str, value: &Value) -> Result<bool> {
    let said = match value {
        Value::Bool(said) => Some(*said),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    said.ok_or_else(|| invalid(format!("{variable} is neither true nor false")))
}

fn as_parameters(variable: &str, value: Value) -> Result<Vec<(String, String)>> {
    parameters(variable, as_object(variable, value)?)
}

/// A dictionary: an object, the text of a JSON object, or a query string whose doubled members become a list.
fn as_object(variable: &str, value: Value) -> Result<Map<String, Value>> {
    let unreadable = || {
        invalid(format!(
            "{variable} is neither a JSON object nor a query string"
        ))
    };
    let text = match value {
        Value::Object(members) => return Ok(members),
        Value::String(text) => text,
        _ => return Err(unreadable()),
    };
    let text = text.trim();
    if text.starts_with('{') {
        // The parser's message could quote the value.
        return serde_json::from_str(text).map_err(|_| unreadable());
    }
    let mut members = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        if !pair.contains('=') {
            return Err(unreadable());
        }
        for (name, value) in url::form_urlencoded::parse(pair.as_bytes()) {
            let value = Value::String(value.into_owned());
            match members.entry(name.into_owned()).or_insert(Value::Null) {
                Value::Array(list) => list.push(value),
                empty @ Value::Null => *empty = value,
                one => *one = Value::Array(vec![one.take(), value]),
            }
        }
    }
    Ok(members)
}

/// Request parameters of an object: lists repeat, `null` is left out, an object is sent as its JSON text.
fn parameters(variable: &str, members: Map<String, Value>) -> Result<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    for (name, value) in members {
        let items = match value {
            Value::Array(items) => items,
            Value::Null => continue,
            value => vec![value],
        };
        for item in items {
            let text = match item {
                Value::String(text) => text,
                Value::Number(_) | Value::Bool(_) | Value::Object(_) => item.to_string(),
                Value::Null | Value::Array(_) => {
                    let name = named(variable, &name);
                    return Err(invalid(format!(
                        "{name} is not a value or a list of values"
                    )));
                }
            };
            parameters.push((name.clone(), text));
        }
    }
    Ok(parameters)
}
