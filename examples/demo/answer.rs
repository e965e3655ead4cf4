//! How answers look, whatever framework sends them: a page for people, JSON for programs, and what the browser must know
//! about either.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use maud::Markup;
use reqwest::{
    StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;
use serde_json::json;
use tokenkeep::{Error, ErrorCode, Phase};

use crate::pages;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    Page,
    Json,
}

impl Wants {
    pub(crate) fn of(wants_page: bool) -> Self {
        if wants_page { Self::Page } else { Self::Json }
    }

    pub(crate) fn answer(self, page: impl FnOnce() -> Markup, json: impl Serialize) -> Answer {
        match self {
            Self::Page => Answer::page(page()),
            Self::Json => Answer::json(json),
        }
    }
}

/// An answer that each framework can send.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) no_such: Option<NoSuch>,
}

pub(crate) enum Body {
    Whole(Vec<u8>),
    Streamed(BoxStream<'static, Result<Bytes, reqwest::Error>>),
}

/// A route or method that there is not.
#[derive(Clone, Copy)]
pub(crate) struct NoSuch(&'static str);

impl Answer {
    fn new(media_type: &'static str, body: Body) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        Self {
            status: StatusCode::OK,
            headers,
            body,
            no_such: None,
        }
    }

    pub(crate) fn page(page: Markup) -> Self {
        let body = page.into_string().into_bytes();
        Self::new("text/html; charset=utf-8", Body::Whole(body))
    }

    pub(crate) fn json(json: impl Serialize) -> Self {
        // What is answered here are maps with names: it always can be written.
        let body = serde_json::to_vec(&json).unwrap_or_default();
        Self::new("application/json", Body::Whole(body))
    }

    pub(crate) fn see_other(path: &str) -> Self {
        let mut answer = Self::new("text/plain", Body::Whole(Vec::new()));
        answer.status = StatusCode::SEE_OTHER;
        answer.headers.clear();
        if let Ok(path) = HeaderValue::try_from(path) {
            answer.headers.insert(header::LOCATION, path);
        }
        answer
    }

    pub(crate) fn file(media_type: &'static str, text: &'static str) -> Self {
        Self::new(media_type, Body::Whole(text.into())).with(header::CACHE_CONTROL, "no-cache")
    }

    /// Server-sent events.
    pub(crate) fn events(events: BoxStream<'static, String>) -> Self {
        let events = events.map(|event| Ok(event.into()));
        Self::new("text/event-stream", Body::Streamed(events.boxed()))
            .with(header::CACHE_CONTROL, "no-store")
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// The answer for a route or method that there is not, in the form of every other error.
    pub(crate) fn no_such(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::METHOD_NOT_ALLOWED => (
                "method_not_allowed",
                "this address does not take that method",
            ),
            _ => ("not_found", "there is nothing at this address"),
        };
        let mut answer = Self::json(
            json!({"error": code, "phase": "request", "client": null, "message": message, "action": "none"}),
        );
        answer.status = status;
        answer.no_such = Some(NoSuch(code));
        answer
    }
}

/// A method by which nobody asks here, where the framework does not say which ones do (RFC 9110 section 15.5.6).
impl Answer {
    pub(crate) fn not_allowed(methods: &'static str) -> Self {
        Self::no_such(StatusCode::METHOD_NOT_ALLOWED).with(header::ALLOW, methods)
    }
}

/// The answer to everything while the store has not answered yet.
pub(crate) fn store_is_away() -> Error {
    let message = "the store has not answered yet";
    Error::new(ErrorCode::StoreUnavailable, Phase::Store, message)
}

/// The page of an error, where people asked.
pub(crate) fn error_page(error: Option<&Arc<Error>>, no_such: Option<&NoSuch>) -> Option<String> {
    error
        .map(|error| pages::error(error))
        .or_else(|| no_such.map(|NoSuch(code)| pages::no_such(code)))
        .map(Markup::into_string)
}

/// The headers that keep an answer to ourselves, as far as it has none of its own; `policy` is its own, if it has one.
pub(crate) fn security(
    policy: Option<&[u8]>,
) -> impl Iterator<Item = (HeaderName, &'static str)> + use<> {
    let may_be_framed = policy.is_some_and(|policy| policy.ends_with(b"frame-ancestors *"));
    SECURITY
        .into_iter()
        .filter(move |(name, _)| !may_be_framed || name != header::X_FRAME_OPTIONS)
}

// No `form-action`: browsers apply it to the redirects after a form too, and logging out leads to any provider.
const SECURITY: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    // For browsers that know no `frame-ancestors`.
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];
