//! How answers look: a page for people, JSON for programs, and what the browser must know about either.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, Request},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use maud::Markup;
use serde::Serialize;
use serde_json::json;
use tokenkeep::{Error, ErrorCode, Phase, axum::wants_page};

use crate::pages;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    Page,
    Json,
}

impl Wants {
    pub(crate) fn answer(self, page: impl FnOnce() -> Markup, json: impl Serialize) -> Response {
        match self {
            Self::Page => page().into_response(),
            Self::Json => Json(json).into_response(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Wants {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(if wants_page(&parts.headers) {
            Self::Page
        } else {
            Self::Json
        })
    }
}

/// A route or method that there is not.
#[derive(Clone, Copy)]
struct NoSuch(&'static str);

/// The answer for a route or method that there is not, in the form of every other error.
pub(crate) async fn no_such(status: StatusCode) -> Response {
    let (code, message) = match status {
        StatusCode::METHOD_NOT_ALLOWED => (
            "method_not_allowed",
            "this address does not take that method",
        ),
        _ => ("not_found", "there is nothing at this address"),
    };
    let body = json!({"error": code, "phase": "request", "client": null, "message": message, "action": "none"});
    let mut response = (status, Json(body)).into_response();
    response.extensions_mut().insert(NoSuch(code));
    response
}

/// The answer to everything while the store has not answered yet.
pub(crate) async fn store_is_away() -> tokenkeep::axum::Error {
    let message = "the store has not answered yet";
    Error::new(ErrorCode::StoreUnavailable, Phase::Store, message).into()
}

/// Gives an error a page where people asked, and every answer the headers that keep it to ourselves.
pub(crate) async fn dress(request: Request, next: Next) -> Response {
    let page = wants_page(request.headers());
    let mut response = next.run(request).await;
    if page && let Some(markup) = error_page(&response) {
        *response.body_mut() = Body::from(markup.into_string());
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, html);
        // That of tokenkeep's own page knows another style sheet.
        headers.remove(header::CONTENT_SECURITY_POLICY);
    }
    let may_be_framed = response
        .headers()
        .get(header::CONTENT_SECURITY_POLICY)
        .is_some_and(|policy| policy.as_bytes().ends_with(b"frame-ancestors *"));
    for (name, value) in SECURITY {
        if may_be_framed && name == header::X_FRAME_OPTIONS {
            continue;
        }
        let value = HeaderValue::from_static(value);
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

fn error_page(response: &Response) -> Option<Markup> {
    let extensions = response.extensions();
    let error = extensions.get::<Arc<Error>>();
    error
        .map(|error| pages::error(error))
        .or_else(|| extensions.get().map(|NoSuch(code)| pages::no_such(code)))
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
