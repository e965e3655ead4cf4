//! Building the authorization request (RFC 6749 section 4.1.1, RFC 7636, OpenID Connect Core section 3.1.2.1).
//!
//! Pure: nothing is sent and nothing is kept. What comes out is where the browser goes, and the flow to remember.

mod required;

use std::time::Duration;

use oauth2::{
    AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    basic::BasicClient,
};
pub(crate) use required::Required;
use serde_json::Value;
use url::Url;

use super::{
    Pkce, Resolved, ResponseMode, ReturnTo,
    flow::{Flow, LIFE, MAX_LIFE},
    registration::{LoginGrant, check_redirect_uri, check_scope},
};
use crate::{
    Error, ErrorCode, Phase, Result, Secret, Timestamp, http,
    seal::{random, random_id},
};

/// What one login asks for beyond its registration. Everything given here wins over the registration and the settings.
#[derive(Clone, Default)]
pub(crate) struct AuthorizeOptions {
    /// Exactly as it is registered at the provider.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) scopes: Option<Vec<String>>,
    /// What an API asks for, beside all that.
    pub(crate) required: Required,
    /// At least 16 characters.
    pub(crate) state: Option<Secret>,
    pub(crate) nonce: Option<Secret>,
    /// 43 to 128 unreserved characters (RFC 7636 section 4.1).
    pub(crate) verifier: Option<Secret>,
    pub(crate) response_mode: Option<ResponseMode>,
    pub(crate) prompt: Option<String>,
    pub(crate) login_hint: Option<String>,
    /// In seconds; enforced on the ID token.
    pub(crate) max_age: Option<u64>,
    /// Enforced on the ID token.
    pub(crate) acr_values: Option<Vec<String>>,
    /// Any other parameter: several values repeat it, none drops it.
    pub(crate) parameters: Vec<(String, Vec<String>)>,
    pub(crate) return_to: Option<ReturnTo>,
    /// The owner who adds a grant.
    pub(crate) connect: Option<String>,
    /// The label of a further account of theirs.
    pub(crate) account: String,
    pub(crate) flow_data: Value,
    /// How long the login may take, an hour at most; 10 minutes if not said.
    pub(crate) life: Option<Duration>,
}

/// A login to start.
pub(crate) struct Authorization {
    /// Where the browser goes.
    pub(crate) url: Url,
    /// What to remember until it comes back.
    pub(crate) flow: Flow,
}

impl AuthorizeOptions {
    /// Builds the request to `endpoint`, which is the registration's or the metadata's; `issuer` is whoever it belongs to.
    ///
    /// # Errors
    /// `invalid_configuration` without a redirect URI, `invalid_metadata` for an endpoint that is not https, `invalid_parameter` for a value that cannot be sent.
    pub(crate) fn authorize(
        self,
        client: &Resolved,
        endpoint: &Url,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<Authorization> {
        self.build(client, endpoint, issuer, now)
            .map_err(|error| error.with_client(&client.name))
    }

    fn build(
        self,
        client: &Resolved,
        endpoint: &Url,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<Authorization> {
        let configuration =
            |what: &str| Error::new(ErrorCode::InvalidConfiguration, Phase::Authorize, what);
        if client.grant == LoginGrant::ClientCredentials {
            return Err(configuration(
                "the client has the grant client_credentials, with which nobody logs in",
            ));
        }
        http::require_https(endpoint, Phase::Authorize)?;
        let life = self.checked_life()?;
        let redirect_uri = self
            .redirect_uri
            .or_else(|| client.redirect_uri.clone())
            .ok_or_else(|| configuration("there is no redirect URI"))?;
        check_redirect_uri(&redirect_uri, Phase::Authorize)?;

        let mut dropped: Vec<String> = Vec::new();
        let mut given = Parameters::of_call(self.parameters)?;
        let mut registered = Parameters::of_registration(&client.authorize_params);
        let mut one = |name: &str, typed: Option<String>, default: Option<String>| {
            let (given, registered) = (given.take(name), registered.take(name));
            match (typed, given) {
                (Some(typed), _) => Ok(Some(typed)),
                (None, Some(given)) => {
                    if given.is_empty() {
                        dropped.push(name.to_owned());
                    }
                    single(name, given)
                }
                (None, None) => match default {
                    Some(default) => Ok(Some(default)),
                    None => single(name, registered.unwrap_or_default()),
                },
            }
        };
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
        let join = |words: Vec<String>| words.join(" ");
        let scopes: Vec<String> = one(
            "scope",
            self.scopes.map(join),
            Some(client.scopes.join(" ")).filter(|scopes| !scopes.is_empty()),
        )?
        .map(words)
        .unwrap_or_default();
        let scopes = self.required.with_scopes(scopes)?;
        let acr_values: Vec<String> = one("acr_values", self.acr_values.map(join), None)?
            .map(words)
            .unwrap_or_default();
        let acr_values = self.required.with_acr_values(acr_values)?;
        let prompt = one("prompt", self.prompt, client.prompt.clone())?;
        let login_hint = one("login_hint", self.login_hint, client.login_hint.clone())?;
        let max_age = one("max_age", self.max_age.map(|age| age.to_string()), None)?
            .map(|age| {
                age.parse::<u64>()
                    .map_err(|_| invalid("max_age is not a whole number of seconds"))
            })
            .transpose()?;
        let max_age = self.required.with_max_age(max_age)?;
        let response_mode = one(
            "response_mode",
            self.response_mode.map(|mode| mode.as_str().to_owned()),
            Some(client.response_mode.as_str().to_owned()),
        )?
        .map(|mode| {
            ResponseMode::parse(&mode)
                .ok_or_else(|| invalid("the response mode is not query or form_post"))
        })
        .transpose()?
        .unwrap_or_default();
        for scope in &scopes {
            check_scope(scope)?;
        }

        let state = match self.state {
            Some(state) => checked("state", state, 16)?,
            None => Secret::new(random_id()),
        };
        let openid = scopes.iter().any(|scope| scope == "openid");
        let nonce = match self.nonce.or_else(|| client.nonce.clone()) {
            Some(nonce) => Some(checked("nonce", nonce, 1)?),
            None => openid.then(|| Secret::new(random_id())),
        }
        .filter(|_| client.check_nonce);
        let verifier = match (client.pkce, self.verifier) {
            (Pkce::Off, _) => None,
            (_, Some(verifier)) => Some(checked_verifier(verifier)?),
            (_, None) => Some(random_verifier()),
        };

        let mut extra: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: Option<String>| {
            extra.extend(value.map(|value| (name.to_owned(), value)));
        };
        add(
            "nonce",
            nonce.as_ref().map(|nonce| nonce.expose().to_owned()),
        );
        add(
            "response_mode",
            (response_mode != ResponseMode::Query).then(|| response_mode.as_str().to_owned()),
        );
        add("prompt", prompt);
        add("login_hint", login_hint);
        add("max_age", max_age.map(|age| age.to_string()));
        add(
            "acr_values",
            (!acr_values.is_empty()).then(|| acr_values.join(" ")),
        );
        if let (Pkce::Plain, Some(verifier)) = (client.pkce, &verifier) {
            add("code_challenge", Some(verifier.expose().to_owned()));
            add("code_challenge_method", Some("plain".to_owned()));
        }
        dropped.extend(registered.replace_by(given));
        extra.extend(registered.into_pairs());

        let commas = client.comma_separated_scopes && !scopes.is_empty();
        if commas {
            extra.push(("scope".to_owned(), scopes.join(",")));
        }
        let base = without(endpoint, |name| {
            is_protocol(name)
                || (name == "scope" && !scopes.is_empty())
                // The cookie's SameSite depends on it.
                || name == "response_mode"
                || dropped.iter().any(|other| other == name)
                || extra.iter().any(|(other, _)| other == name)
        });
        let oauth2 = BasicClient::new(ClientId::new(client.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(base))
            .set_redirect_uri(
                RedirectUrl::new(redirect_uri.clone())
                    .map_err(|_| invalid("the redirect URI is no URL"))?,
            );
        let csrf = CsrfToken::new(state.expose().to_owned());
        let mut request = oauth2
            .authorize_url(|| csrf)
            .add_scopes(scopes.iter().filter(|_| !commas).cloned().map(Scope::new));
        if let (Pkce::S256, Some(verifier)) = (client.pkce, &verifier) {
            let verifier = PkceCodeVerifier::new(verifier.expose().to_owned());
            request =
                request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        }
        for (name, value) in extra {
            request = request.add_extra_param(name, value);
        }
        let (url, _) = request.url();
        Ok(Authorization {
            url,
            flow: Flow {
                client: client.name.clone(),
                state,
                nonce,
                verifier,
                redirect_uri,
                issuer: issuer.map(str::to_owned),
                response_mode,
                return_to: self.return_to.map(ReturnTo::into_string),
                connect: self.connect,
                account: self.account,
                flow_data: self.flow_data,
                data_in_store: false,
                max_age,
                token_secret: None,
                acr_values,
                scopes,
                created_at: now,
                expires_at: now + life,
            },
        })
    }
}

impl AuthorizeOptions {
    pub(super) fn checked_life(&self) -> Result<Duration> {
        let life = self.life.unwrap_or(LIFE);
        if life > MAX_LIFE {
            return Err(invalid(
                "a login may take an hour at most, for a logout is not remembered for longer: give life() less",
            ));
        }
        Ok(life)
    }
}

/// Parameters that only the protocol sets.
pub(super) fn is_protocol(name: &str) -> bool {
    const PROTOCOL: [&str; 8] = [
        "response_type",
        "client_id",
        "redirect_uri",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
    ];
    PROTOCOL.contains(&name)
}

/// Further parameters, each name once with its values in order.
pub(super) struct Parameters(Vec<(String, Vec<String>)>);

impl Parameters {
    pub(super) fn of_call(parameters: Vec<(String, Vec<String>)>) -> Result<Self> {
        let mut all = Self(Vec::new());
        for (name, values) in parameters {
            if is_protocol(&name) {
                return Err(invalid(&format!(
                    "the parameter {name} belongs to the protocol; state, nonce and code verifier have options of their \
                     own"
                )));
            }
            all.0.retain(|(other, _)| *other != name);
            all.0.push((name, values));
        }
        Ok(all)
    }

    pub(super) fn of_registration(parameters: &[(String, String)]) -> Self {
        let mut all: Vec<(String, Vec<String>)> = Vec::new();
        for (name, value) in parameters {
            match all.iter_mut().find(|(other, _)| other == name) {
                Some((_, values)) => values.push(value.clone()),
                None => all.push((name.clone(), vec![value.clone()])),
            }
        }
        Self(all)
    }

    fn take(&mut self, name: &str) -> Option<Vec<String>> {
        let position = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.remove(position).1)
    }

    /// Lets other parameters win; the names that they drop are the answer.
    pub(super) fn replace_by(&mut self, other: Self) -> Vec<String> {
        let mut dropped = Vec::new();
        for (name, values) in other.0 {
            self.take(&name);
            if values.is_empty() {
                dropped.push(name);
            } else {
                self.0.push((name, values));
            }
        }
        dropped
    }

    pub(super) fn into_pairs(self) -> impl Iterator<Item = (String, String)> {
        self.0
            .into_iter()
            .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
    }
}

fn single(name: &str, values: Vec<String>) -> Result<Option<String>> {
    if values.len() > 1 {
        return Err(invalid(&format!("the parameter {name} cannot repeat")));
    }
    Ok(values.into_iter().next())
}

/// The endpoint without the parameters that are ours to set; the rest of its query stays (RFC 6749 section 3.1).
pub(super) fn without(endpoint: &Url, ours: impl Fn(&str) -> bool) -> Url {
    let kept: Vec<(String, String)> = endpoint
        .query_pairs()
        .filter(|(name, _)| !ours(name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = endpoint.clone();
    url.set_fragment(None);
    if kept.is_empty() {
        url.set_query(None);
    } else {
        url.query_pairs_mut().clear().extend_pairs(kept);
    }
    url
}

fn checked(name: &str, value: Secret, min: usize) -> Result<Secret> {
    let text = value.expose();
    if (min..=512).contains(&text.len()) && text.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        return Ok(value);
    }
    Err(invalid(&format!(
        "the {name} is not {min} to 512 visible ASCII characters long"
    )))
}

/// RFC 7636 section 4.1.
fn checked_verifier(verifier: Secret) -> Result<Secret> {
    let text = verifier.expose();
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if (43..=128).contains(&text.len()) && text.bytes().all(unreserved) {
        return Ok(verifier);
    }
    Err(invalid(
        "the code verifier is not 43 to 128 letters, digits, dots, dashes, underscores or tildes",
    ))
}

fn random_verifier() -> Secret {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    Secret::new(URL_SAFE_NO_PAD.encode(random::<32>()))
}

pub(super) fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::InvalidParameter, Phase::Authorize, message)
}

#[cfg(test)]
mod tests;
