//! A request to the token or revocation endpoint before it is sent, and the hooks that see it.

use std::fmt;

use async_trait::async_trait;
use reqwest::{
    Method, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::{Phase, Result, Secret};

/// A form on its way to the token or revocation endpoint: what hooks and client authentication may change.
///
/// `Debug` shows the parameters' names only.
pub struct TokenRequest {
    url: Url,
    phase: Phase,
    parameters: Vec<(String, Secret)>,
    /// Names of parameters that are secrets of the application's own.
    concealed: Vec<String>,
    headers: HeaderMap,
    method: Method,
    is_json: bool,
    is_its_own_proof: bool,
}

impl TokenRequest {
    pub(crate) fn new(url: Url, phase: Phase) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Self {
            url,
            phase,
            parameters: Vec::new(),
            concealed: Vec::new(),
            headers,
            method: Method::POST,
            is_json: false,
            is_its_own_proof: false,
        }
    }

    pub(super) fn from_form(url: Url, phase: Phase, form: &[u8]) -> Self {
        let mut request = Self::new(url, phase);
        for (name, value) in form_urlencoded::parse(form) {
            request.append(name, value);
        }
        request
    }

    /// Where it goes.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What it is for.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let (_, value) = parameters.find(|(other, _)| other == name)?;
        Some(value.expose())
    }

    /// The parameters' names, in order, doubled ones twice.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name.as_str())
    }

    /// Sets a parameter, instead of all that have its name.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.remove(&name);
        self.append(name, value);
    }

    /// Adds a parameter beside those that have its name.
    pub fn append(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.parameters
            .push((name.into(), Secret::new(value.into())));
    }

    /// Removes all parameters of a name.
    pub fn remove(&mut self, name: &str) {
        self.parameters.retain(|(other, _)| other != name);
    }

    /// Another method than POST, for a provider that revokes by DELETE.
    pub fn set_method(&mut self, method: Method) {
        self.method = method;
    }

    /// Another path at the same origin, for a provider that wants an id in it. It is no place for a secret: addresses stand in
    /// logs.
    pub fn set_path(&mut self, path: &str) {
        self.url.set_path(path);
    }

    /// Sends the parameters as a JSON object instead of a form, for a provider that reads nothing else; of those with the same
    /// name the last.
    pub fn send_as_json(&mut self) {
        self.is_json = true;
    }

    /// Sends it as it is: the client does not authenticate. For a provider to whom the token that is revoked is the proof.
    pub fn without_client_authentication(&mut self) {
        self.is_its_own_proof = true;
    }

    pub(super) fn is_its_own_proof(&self) -> bool {
        self.is_its_own_proof
    }

    /// The headers; `Content-Type` is set when it is sent.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, to change them. Mark credentials as sensitive.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// Keeps the values of a parameter out of errors, though no specification calls it a secret.
    pub(super) fn conceal(&mut self, name: &str) {
        self.concealed.push(name.to_owned());
    }

    /// The values that may not come back in an error.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        const SECRET: &[&str] = &[
            "access_token",
            "code",
            "code_verifier",
            "refresh_token",
            "token",
            "client_secret",
            "client_assertion",
            "assertion",
            "username",
            "password",
            "device_code",
            "subject_token",
            "actor_token",
        ];
        /// Of the others, what is shorter may be a part of any word.
        const SHORTEST: usize = 4;
        let is_secret = |(name, value): &&(String, Secret)| {
            let length = value.expose().len();
            match SECRET.contains(&name.as_str()) {
                true => length > 0,
                false => length >= SHORTEST && self.concealed.contains(name),
            }
        };
        let secrets = self.parameters.iter().filter(is_secret);
        secrets.map(|(_, value)| value.clone()).collect()
    }

    pub(in crate::client) fn into_request(self) -> Request {
        let mut request = Request::new(self.method, self.url);
        *request.headers_mut() = self.headers;
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|(name, value)| (name.as_str(), value.expose()));
        let (media, body) = match self.is_json {
            // A hook took them all out: there is nothing to send.
            _ if self.parameters.is_empty() && self.is_its_own_proof => return request,
            true => {
                let members = parameters.map(|(name, value)| (name.to_owned(), value.into()));
                let object = Value::Object(members.collect());
                ("application/json", object.to_string())
            }
            false => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                let form = form.extend_pairs(parameters).finish();
                ("application/x-www-form-urlencoded", form)
            }
        };
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(media));
        *request.body_mut() = Some(body.into());
        request
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("host", &self.url.host_str())
            .field("phase", &self.phase)
            .field("parameters", &self.names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Which hooks a request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// `access_token_request`, `access_token_response`.
    AccessToken,
    /// The same; the answer may hold another token than an access token (RFC 8693 section 2.2.1).
    TokenExchange,
    /// None: a hook of the token endpoint would take it for a token request.
    DeviceAuthorization,
    /// `refresh_token_request`, `refresh_token_response`.
    Refresh,
    /// `revoke_token_request`.
    Revoke,
    /// `introspect_token_request`.
    Introspect,
}

/// The hook points of this endpoint.
#[async_trait]
pub(crate) trait TokenHooks: Send + Sync {
    /// May change the request; an error keeps it from being sent. The client authenticates after it.
    async fn request(&self, _kind: RequestKind, _request: &mut TokenRequest) -> Result<()> {
        Ok(())
    }

    /// May give another body for the answer. It comes back in bounded time, whatever the application's hook does.
    async fn response(
        &self,
        _kind: RequestKind,
        _status: StatusCode,
        _headers: &HeaderMap,
        _body: &[u8],
    ) -> Option<Vec<u8>> {
        None
    }
}

/// No hooks.
#[cfg(any(test, fuzzing))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoHooks;

#[cfg(any(test, fuzzing))]
impl TokenHooks for NoHooks {}
