//! Between the two generations of HTTP types: actix-web's are those of `http` 0.2. Nothing is lost: values that are not
//! UTF-8, names that stand more than once, and their order.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
};
use tokenkeep_core as core;
use tokenkeep_web as web;

pub(crate) fn headers(headers: &HeaderMap) -> http::HeaderMap {
    let mut converted = http::HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = http::HeaderValue::from_bytes(value.as_bytes());
        // Both generations allow the same.
        if let (Ok(name), Ok(value)) = (name, value) {
            converted.append(name, value);
        }
    }
    converted
}

pub(crate) fn method(method: &actix_web::http::Method) -> http::Method {
    // What one generation takes as a method the other takes too. Anything else may change something, and is none of our routes'.
    http::Method::from_bytes(method.as_str().as_bytes()).unwrap_or(http::Method::PATCH)
}

pub(crate) fn status(status: http::StatusCode) -> StatusCode {
    StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn append(to: &mut HeaderMap, headers: &http::HeaderMap) {
    for (name, value) in headers {
        let is_sensitive = value.is_sensitive();
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(mut value)) = (name, value) {
            value.set_sensitive(is_sensitive);
            to.append(name, value);
        }
    }
}

/// Puts headers in the place of those that have their names.
pub(crate) fn replace(of: &mut HeaderMap, headers: &http::HeaderMap) {
    for name in headers.keys() {
        of.remove(name.as_str());
    }
    append(of, headers);
}

pub(crate) fn response(response: web::Response) -> HttpResponse {
    let (parts, body) = response.into_parts();
    let mut converted = HttpResponse::build(status(parts.status)).body(body);
    append(converted.headers_mut(), &parts.headers);
    if let Some(error) = parts.extensions.get::<Arc<core::Error>>() {
        converted.extensions_mut().insert(Arc::clone(error));
    }
    converted
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{self, HeaderMap, HeaderValue};

    use super::{append, headers};

    #[test]
    fn headers_cross_over_whole_in_both_directions() {
        let mut theirs = HeaderMap::new();
        for value in [b"a=b".as_slice(), b"name=\xff", b"a=c"] {
            theirs.append(header::COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        theirs.append(header::HOST, HeaderValue::from_static("app.example"));
        let ours = headers(&theirs);
        let cookies: Vec<_> = ours.get_all("cookie").iter().collect();
        assert_eq!(cookies, [&b"a=b"[..], b"name=\xff", b"a=c"]);
        assert_eq!(ours.len(), 4);

        let mut secret = http::HeaderValue::from_static("a=b");
        secret.set_sensitive(true);
        let mut answer = http::HeaderMap::new();
        answer.append(http::header::SET_COOKIE, secret);
        answer.append(
            http::header::SET_COOKIE,
            http::HeaderValue::from_static("c=d"),
        );
        let mut back = HeaderMap::new();
        append(&mut back, &answer);
        let set: Vec<_> = back.get_all(header::SET_COOKIE).collect();
        assert_eq!(set, ["a=b", "c=d"]);
        assert!(set[0].is_sensitive() && !set[1].is_sensitive());
    }
}
