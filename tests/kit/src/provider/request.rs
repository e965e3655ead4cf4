//! What is read from a request: its parameters once each, its cookies, its bearer token.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, Method, header},
};
use url::form_urlencoded;

use super::error::OAuthError;

/// Protocol requests are small; the fault layer has already cut longer ones off.
pub(super) const PROTOCOL_BODY_LIMIT: usize = 64 * 1024;

/// The parameters of a protocol request: the query of a GET, the form of a POST (RFC 6749 section 3.1).
#[derive(Default)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    doubled: Option<String>,
}

impl Parameters {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(encoded) {
            // A resource may be named several times (RFC 8707 section 2).
            if name != "resource" && parameters.pairs.iter().any(|(known, _)| *known == name) {
                parameters.doubled = Some(name.into_owned());
            } else {
                parameters
                    .pairs
                    .push((name.into_owned(), value.into_owned()));
            }
        }
        parameters
    }

    /// A parameter without a value counts as left out (RFC 6749 section 3.1).
    pub(super) fn get<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The name of a parameter that was sent more than once, which makes the request invalid.
    pub(super) fn doubled(&self) -> Option<&str> {
        self.doubled.as_deref()
    }

    pub(super) fn require_single(&self) -> Result<(), OAuthError> {
        match self.doubled {
            Some(_) => Err(OAuthError::invalid_request("a parameter was sent twice")),
            None => Ok(()),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        if request.method() != Method::POST {
            return Ok(Self::parse(
                request.uri().query().unwrap_or_default().as_bytes(),
            ));
        }
        if !is_form(request.headers()) {
            return Err(OAuthError::invalid_request(
                "the body must be application/x-www-form-urlencoded",
            ));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|_| OAuthError::invalid_request("the body cannot be read"))?;
        Ok(Self::parse(&body))
    }
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| {
            value
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.to_owned())
}

/// Where a bearer token stood (RFC 6750 section 2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    Header,
    Body,
    Query,
}

impl Placement {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Body => "body",
            Self::Query => "query",
        }
    }
}

/// The bearer tokens of a request. More than one is an error of the client (RFC 6750 section 2).
pub(super) fn bearer_tokens(
    headers: &HeaderMap,
    query: Option<&str>,
    body: &[u8],
) -> Vec<(Placement, String)> {
    let mut found = Vec::new();
    for value in headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .filter_map(|value| value.to_str().ok())
    {
        if let Some((scheme, token)) = value.split_once(' ')
            && scheme.eq_ignore_ascii_case("bearer")
        {
            found.push((Placement::Header, token.trim().to_owned()));
        }
    }
    let mut collect = |placement, encoded: &[u8]| {
        found.extend(
            form_urlencoded::parse(encoded)
                .filter(|(name, _)| name == "access_token")
                .map(|(_, value)| (placement, value.into_owned())),
        );
    };
    collect(Placement::Query, query.unwrap_or_default().as_bytes());
    if is_form(headers) {
        collect(Placement::Body, body);
    }
    found
}
