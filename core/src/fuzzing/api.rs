//! API calls: where they may go, and what an API says of a token it refuses.

use std::sync::OnceLock;

use reqwest::Response;
use url::Url;

use super::line;
use crate::{
    Registration, Secret, Settings,
    client::{Challenge, Resolved, resolve, resolve_api_path},
};

/// A path or URL to call. Whatever is taken goes to an allowed origin, by https, without credentials; and a path stays
/// below the base.
pub(super) fn path(data: &[u8]) -> bool {
    let Ok(path) = std::str::from_utf8(data) else {
        return false;
    };
    static CLIENT: OnceLock<Resolved> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        let registration = Registration::new("op")
            .client_id("id")
            .authorize_url("https://login.example/a")
            .access_token_url("https://login.example/t")
            .api_base_url("https://api.example/v1?tenant=a")
            .allow_origin("https://more.example:8443");
        resolve(&registration, &Settings::default()).unwrap()
    });
    let Ok(url) = resolve_api_path(client, path) else {
        return false;
    };
    // As whoever sends it reads it.
    for url in [url.clone(), Url::parse(url.as_str()).unwrap()] {
        let origin = url.origin().ascii_serialization();
        assert!(["https://api.example", "https://more.example:8443"].contains(&&*origin));
        assert!(url.username().is_empty() && url.password().is_none());
    }
    let is_absolute = path
        .split(['/', '?', '#'])
        .next()
        .is_some_and(|head| head.contains(':'));
    assert!(is_absolute || url.as_str().starts_with("https://api.example/v1/"));
    true
}

/// The status, `Bearer` or not, then a `WWW-Authenticate` a line. Nothing of the token comes back; what is kept is bounded.
pub(super) fn challenge(data: &[u8]) -> bool {
    const TOKEN: &str = "token-that-was-sent-0123456789";
    let text = String::from_utf8_lossy(data);
    let (status, headers) = line(&text);
    let status = if status == "403" { 403 } else { 401 };
    let mut response = oauth2::http::Response::builder().status(status);
    for header in headers.lines() {
        if let Ok(value) = reqwest::header::HeaderValue::from_bytes(header.as_bytes()) {
            response = response.header("www-authenticate", value);
        }
    }
    let response = Response::from(response.body("").unwrap());
    let Some(challenge) = Challenge::of(&response, &[Secret::new(TOKEN)]) else {
        assert_eq!(status, 403, "every 401 has to do with the token");
        return false;
    };
    let shown = format!("{challenge:?}");
    assert!(!shown.contains(TOKEN));
    assert!(shown.len() < 64 * 1024, "{} bytes", shown.len());
    assert!(!challenge.asks_for_a_fresh_token() || status == 401);
    let wants_scope = shown.contains("error: Some(\"insufficient_scope\")");
    assert!(!challenge.asks_for_a_fresh_token() || !wants_scope);
    true
}
