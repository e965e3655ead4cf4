//! Reading the authorization response (RFC 6749 section 4.1.2, RFC 9207), and where to go after it.

use std::fmt;

use url::{Url, form_urlencoded};

use super::{flow::Flow, token_endpoint::scrub};
use crate::{Action, Error, ErrorCode, Phase, ProviderError, Result, Secret};

const MAX_TOTAL: usize = 16 * 1024;
const MAX_PARAMETERS: usize = 64;
const MAX_VALUE: usize = 8 * 1024;
const MAX_RETURN_TO: usize = 2048;

/// What the browser brought back from the provider, read but not trusted.
///
/// A query string and a posted form are read alike. `Debug` shows which parameters are there.
#[derive(Clone, Default)]
pub struct CallbackParams {
    code: Option<Secret>,
    state: Option<Secret>,
    iss: Option<Secret>,
    error: Option<Secret>,
    error_description: Option<Secret>,
    error_uri: Option<Secret>,
    /// Whatever else a provider sends along.
    others: Vec<(String, Secret)>,
    oauth_token: Option<Secret>,
    oauth_verifier: Option<Secret>,
    denied: Option<Secret>,
    oauth_problem: Option<Secret>,
}

impl CallbackParams {
    /// Reads a query string (without `?`) or the body of a form, at most 16 KiB with 64 parameters.
    ///
    /// # Errors
    /// `invalid_parameter` if it is too large, not UTF-8, or has a parameter twice that means something.
    pub fn parse(encoded: impl AsRef<[u8]>) -> Result<Self> {
        let encoded = encoded.as_ref();
        if encoded.len() > MAX_TOTAL {
            return Err(invalid("the authorization response is larger than 16 KiB"));
        }
        let mut params = Self::default();
        for (count, (name, value)) in form_urlencoded::parse(encoded).enumerate() {
            if count >= MAX_PARAMETERS {
                return Err(invalid(
                    "the authorization response has more than 64 parameters",
                ));
            }
            // What was not UTF-8 was replaced by this character.
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err(invalid("the authorization response is not UTF-8"));
            }
            params.insert(&name, value.into_owned())?;
        }
        Ok(params)
    }

    fn insert(&mut self, name: &str, value: String) -> Result<()> {
        if value.len() > MAX_VALUE {
            return Err(invalid(
                "the authorization response has a parameter over 8 KiB",
            ));
        }
        let slot = match name {
            "code" => &mut self.code,
            "state" => &mut self.state,
            "iss" => &mut self.iss,
            "error" => &mut self.error,
            "error_description" => &mut self.error_description,
            "error_uri" => &mut self.error_uri,
            "oauth_token" => &mut self.oauth_token,
            "oauth_verifier" => &mut self.oauth_verifier,
            "denied" => &mut self.denied,
            "oauth_problem" => &mut self.oauth_problem,
            _ => {
                self.others.push((name.to_owned(), Secret::from(value)));
                return Ok(());
            }
        };
        // What describes an error is only ever shown, and cleaned for that.
        if !name.starts_with("error_") && value.chars().any(char::is_control) {
            return Err(invalid(&format!(
                "the authorization response has control characters in {name}"
            )));
        }
        match slot.replace(Secret::from(value)) {
            None => Ok(()),
            Some(_) => Err(invalid(&format!(
                "the authorization response has {name} twice; no parameter of the redirect URI's own may be called like that"
            ))),
        }
    }

    /// The state, by which the login is found.
    ///
    /// # Errors
    /// `missing_parameter` if there is none.
    pub fn state(&self) -> Result<&Secret> {
        present(&self.state).ok_or_else(|| missing("state"))
    }

    /// The verifier that a user typed in, where the redirect URI is `oob` (OAuth 1.0a, RFC 5849 section 2.1).
    /// `request_token` is the `oauth_token` in the address of [`Redirect::url`](crate::Redirect::url); the page that asks for
    /// the verifier can carry it in a hidden field. White space around the verifier does not count.
    ///
    /// # Errors
    /// `invalid_parameter` if one of both is too large or has control characters; `missing_parameter` if one is empty.
    pub fn typed_in(request_token: &str, verifier: &str) -> Result<Self> {
        let mut params = Self::default();
        let given = [("oauth_token", request_token), ("oauth_verifier", verifier)];
        for (name, value) in given {
            let value = value.trim();
            if value.is_empty() {
                return Err(missing(name));
            }
            params.insert(name, value.to_owned())?;
        }
        Ok(params)
    }

    /// The request token (OAuth 1.0a), by which the login is found: also where a provider names it as the one that was
    /// `denied`.
    ///
    /// # Errors
    /// `missing_parameter` if there is none, `invalid_parameter` if there are two.
    pub fn request_token(&self) -> Result<&Secret> {
        match (present(&self.oauth_token), present(&self.denied)) {
            (Some(token), Some(denied)) if token != denied => Err(invalid(
                "the answer names two request tokens, as oauth_token and as denied",
            )),
            (Some(token), _) | (None, Some(token)) => Ok(token),
            (None, None) => Err(missing("oauth_token")),
        }
    }

    /// Is there nothing but a state?
    pub(crate) fn is_state_alone(&self) -> bool {
        present(&self.code).is_none() && present(&self.error).is_none()
    }
}

impl CallbackParams {
    /// The issuer that it names (RFC 9207).
    pub(super) fn issuer(&self) -> Option<&str> {
        self.iss.as_ref().map(Secret::expose)
    }

    /// A parameter of the provider's own. One that stands there twice is none.
    pub(super) fn other(&self, name: &str) -> Option<&Secret> {
        let mut found = self.others.iter().filter(|(other, _)| other == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }
}

impl fmt::Debug for CallbackParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackParams")
            .field("code", &self.code.is_some())
            .field("state", &self.state.is_some())
            .field("iss", &self.iss.is_some())
            .field("error", &self.error.is_some())
            .field("oauth_token", &self.oauth_token.is_some())
            .field("oauth_verifier", &self.oauth_verifier.is_some())
            .finish()
    }
}

/// An authorization code that came with the right state from the right issuer.
#[derive(Clone, Debug)]
pub(crate) struct Code(Secret);

impl Code {
    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }
}

/// Checks an authorization response against the login it belongs to; what the provider says of an error is looked at only
/// after that. `iss_required`: the metadata has `authorization_response_iss_parameter_supported` (RFC 9207 section 3).
///
/// # Errors
/// `missing_parameter`, `invalid_parameter`, `state_mismatch`, `issuer_mismatch`; `access_denied` and `provider_error` for
/// what the provider says.
pub(crate) fn check(
    params: &CallbackParams,
    flow: &Flow,
    expected_issuer: Option<&str>,
    iss_required: bool,
) -> Result<Code> {
    checked(params, flow, expected_issuer, iss_required)
        .map_err(|error| error.with_client(&flow.client))
}

fn checked(
    params: &CallbackParams,
    flow: &Flow,
    expected_issuer: Option<&str>,
    iss_required: bool,
) -> Result<Code> {
    if !flow.has_state(params.state()?) {
        return Err(Error::new(
            ErrorCode::StateMismatch,
            Phase::Callback,
            "the state belongs to another login",
        ));
    }
    match (&params.iss, expected_issuer) {
        (Some(iss), Some(expected)) if iss.expose() != expected => {
            return Err(Error::new(
                ErrorCode::IssuerMismatch,
                Phase::Callback,
                "the authorization response names another issuer than the metadata of the provider that was asked: it is the \
                 answer of another provider, or this one writes its issuer in two ways and has to be corrected there",
            ));
        }
        (None, Some(_)) if iss_required => {
            return Err(Error::new(
                ErrorCode::IssuerMismatch,
                Phase::Callback,
                "the authorization response names no issuer, though the provider's metadata says that it does \
                 (authorization_response_iss_parameter_supported): something between took it away, or the metadata is wrong",
            ));
        }
        _ => {}
    }
    match (present(&params.code), present(&params.error)) {
        (Some(_), Some(_)) => Err(invalid(
            "the authorization response has both a code and an error",
        )),
        (None, None) => Err(missing("code")),
        (Some(code), None) => Ok(Code(code.clone())),
        (None, Some(error)) => Err(refusal(params, flow, error.expose())),
    }
}

/// The same for OAuth 1.0a (RFC 5849 section 2.2): the verifier, if the answer belongs to this login.
///
/// # Errors
/// `missing_parameter`, `invalid_parameter`, `state_mismatch`; `access_denied` and `provider_error` for what the provider says.
pub(crate) fn check_verifier(params: &CallbackParams, flow: &Flow) -> Result<Secret> {
    verifier_of(params, flow).map_err(|error| error.with_client(&flow.client))
}

fn verifier_of(params: &CallbackParams, flow: &Flow) -> Result<Secret> {
    if !flow.has_state(params.request_token()?) {
        return Err(Error::new(
            ErrorCode::StateMismatch,
            Phase::Callback,
            "the request token belongs to another login",
        ));
    }
    // Three vocabularies: that of one large provider, OAuth Problem Reporting, and OAuth 2.0's.
    let denied = present(&params.denied).map(|_| "access_denied");
    let said = present(&params.oauth_problem).or_else(|| present(&params.error));
    match (
        present(&params.oauth_verifier),
        denied.or_else(|| said.map(Secret::expose)),
    ) {
        (Some(_), Some(_)) => Err(invalid("the answer has both a verifier and an error")),
        (None, None) => Err(missing("oauth_verifier")),
        (Some(verifier), None) => Ok(verifier.clone()),
        (None, Some(error)) => Err(refusal(params, flow, error)),
    }
}

/// What the provider said (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6).
fn refusal(params: &CallbackParams, flow: &Flow, error: &str) -> Error {
    let sent = [
        Some(flow.state.clone()),
        flow.nonce.clone(),
        flow.verifier.clone(),
        flow.token_secret.clone(),
    ];
    let sent: Vec<Secret> = sent.into_iter().flatten().collect();
    let clean = |text| Some(scrub(present(text)?.expose(), &sent));
    let name = scrub(error, &sent);
    // It may end in a page of somebody's who escapes nothing.
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let shown = match name.chars().all(is_name) {
        true => name.as_str(),
        false => "an error whose name is none",
    };
    let action = match error {
        "login_required"
        | "interaction_required"
        | "consent_required"
        | "account_selection_required" => Action::Login { connect_url: None },
        "temporarily_unavailable" | "server_error" => Action::Retry { after: None },
        "invalid_request"
        | "unauthorized_client"
        | "unsupported_response_type"
        | "invalid_scope" => Action::Configure,
        _ => Action::None,
    };
    let code = match error {
        // The others are OAuth Problem Reporting's.
        "access_denied" | "user_refused" | "permission_denied" => ErrorCode::AccessDenied,
        _ => ErrorCode::ProviderError,
    };
    let provider = ProviderError {
        error: Some(name.clone()),
        description: clean(&params.error_description),
        uri: clean(&params.error_uri),
        ..ProviderError::default()
    };
    Error::new(
        code,
        Phase::Callback,
        format!("the provider answered the login with {shown}"),
    )
    .with_action(action)
    .with_provider(provider)
}

/// Where the browser goes after a login: a path of the application's own origin, with query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReturnTo(String);

impl ReturnTo {
    /// Reads a path. `base` is the application's address as browsers see it.
    ///
    /// # Errors
    /// `invalid_return_to` for whatever a browser could take for another origin.
    pub(crate) fn parse(path: &str, base: &Url) -> Result<Self> {
        let refused = || {
            Error::new(
                ErrorCode::InvalidReturnTo,
                Phase::Authorize,
                "the return-to is not a path of the application's own origin, of at most 2 KiB: begin it with one slash, and \
                 leave scheme and host out",
            )
        };
        let plain = path.starts_with('/')
            && !path.starts_with("//")
            // Browsers read a backslash as a slash, and skip tabs and line breaks.
            && !path.chars().any(|c| c == '\\' || c.is_control());
        if !plain {
            return Err(refused());
        }
        let url = base.join(path).map_err(|_| refused())?;
        // As browsers would read it: without dots, in ASCII.
        let path = &url[url::Position::BeforePath..];
        // `/.//other.example` is a path that becomes `//other.example` once its dots are resolved.
        let stays = url.origin() == base.origin() && !path.starts_with("//");
        if !stays || path.len() > MAX_RETURN_TO {
            return Err(refused());
        }
        Ok(Self(path.to_owned()))
    }

    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

fn present(value: &Option<Secret>) -> Option<&Secret> {
    value.as_ref().filter(|value| !value.expose().is_empty())
}

fn missing(name: &str) -> Error {
    Error::new(
        ErrorCode::MissingParameter,
        Phase::Callback,
        format!(
            "the authorization response has no {name}: it was called by hand, or something between the provider and here \
             took it away"
        ),
    )
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::InvalidParameter, Phase::Callback, message)
}

#[cfg(test)]
mod tests;
