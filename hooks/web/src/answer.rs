//! Answers, and what browsers must know of them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use tokenkeep_core::{self as core, Cookie, ErrorCode, Phase};

use crate::Error;

/// An answer, whole.
pub type Response = http::Response<Bytes>;

/// For every answer: no cache keeps it, it is nothing but what it says it is, and its address, which may hold a code, is
/// told to nobody.
const PRIVATE: [(HeaderName, &str); 3] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// Makes an answer [private](PRIVATE).
pub(crate) fn keep_private(headers: &mut HeaderMap) {
    for (name, value) in PRIVATE {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Nothing but a status.
pub(crate) fn bare(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// A body of a media type, private.
pub(crate) fn of(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = bare(status);
    let headers = response.headers_mut();
    keep_private(headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    *response.body_mut() = body.into();
    response
}

pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    of(status, "application/json", body.to_string())
}

pub(crate) fn html(status: StatusCode, body: impl Into<Bytes>) -> Response {
    of(status, "text/html; charset=utf-8", body)
}

/// A redirect that is followed with GET, and kept by no cache.
pub(crate) fn see_other(to: &str) -> Result<Response, Error> {
    let location = HeaderValue::try_from(to).map_err(|_| {
        core::Error::new(
            ErrorCode::Internal,
            Phase::Session,
            "an address to go to cannot stand in a header",
        )
    })?;
    let mut response = bare(StatusCode::SEE_OTHER);
    keep_private(response.headers_mut());
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Sets cookies with an answer.
pub fn set_cookies<'a>(headers: &mut HeaderMap, cookies: impl IntoIterator<Item = &'a Cookie>) {
    for cookie in cookies {
        // Names, sealed values and paths of ours are visible ASCII.
        if let Ok(mut value) = HeaderValue::try_from(cookie.to_header()) {
            value.set_sensitive(true);
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// The same, on the way.
pub(crate) fn with_cookies<'a>(
    mut response: Response,
    cookies: impl IntoIterator<Item = &'a Cookie>,
) -> Response {
    set_cookies(response.headers_mut(), cookies);
    response
}
