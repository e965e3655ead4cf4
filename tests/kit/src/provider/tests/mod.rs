//! The provider as its clients see it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod assertions;
mod clients;
mod faults;
mod keys;
mod login;
mod logout;
mod refusals;
mod rotation;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use url::Url;

use super::{Provider, ProviderBuilder, state::sha256};
use crate::Callback;

const VERIFIER: &str = "a-verifier-that-is-long-enough-for-rfc-7636-and-known";
const REDIRECT_URI: &str = "http://127.0.0.1:9/callback";

/// Options for a provider that shows no pages.
fn headless() -> ProviderBuilder {
    Provider::builder().auto_login("alice")
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()))
}

/// An authorization URL; later parameters replace earlier ones of the same name, empty ones are left out.
fn authorize_url(provider: &Provider, parameters: &[(&str, &str)]) -> String {
    let challenge = challenge();
    let mut all = vec![
        ("client_id", provider.client_id()),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid offline_access"),
        ("state", "a state"),
        ("nonce", "a-nonce"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    for &(name, value) in parameters {
        all.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            all.push((name, value));
        }
    }
    Url::parse_with_params(&format!("{}/authorize", provider.issuer()), all)
        .unwrap()
        .into()
}

async fn callback(provider: &Provider, parameters: &[(&str, &str)]) -> Callback {
    provider
        .browser()
        .callback(&authorize_url(provider, parameters), "alice")
        .await
        .unwrap()
}

/// A request of the first client to an endpoint; the body is null where it is no JSON.
async fn post(provider: &Provider, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let request = reqwest::Client::new()
        .post(format!("{}{path}", provider.issuer()))
        .basic_auth(provider.client_id(), Some(provider.client_secret()))
        .form(fields);
    let response = request.send().await.unwrap();
    (
        response.status().as_u16(),
        serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default(),
    )
}

async fn exchange(provider: &Provider, code: &str) -> (u16, Value) {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    post(provider, "/token", &fields).await
}

/// A whole login, without pages if the provider is headless.
async fn log_in(provider: &Provider, parameters: &[(&str, &str)]) -> Value {
    let code = callback(provider, parameters)
        .await
        .parameter("code")
        .unwrap();
    let (status, tokens) = exchange(provider, &code).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

async fn refresh(provider: &Provider, refresh_token: &str) -> (u16, Value) {
    post(
        provider,
        "/token",
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ],
    )
    .await
}

async fn api(provider: &Provider, path: &str, access_token: &str) -> reqwest::Response {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    http.get(format!("{}{path}", provider.issuer()))
        .bearer_auth(access_token)
        .send()
        .await
        .unwrap()
}

async fn api_status(provider: &Provider, access_token: &str) -> u16 {
    api(provider, "/api/me", access_token)
        .await
        .status()
        .as_u16()
}

async fn get_json(url: String) -> Value {
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

/// The header and the claims of an ID token, whatever its signature.
fn decode(id_token: &Value) -> (Value, Value) {
    let mut parts = id_token.as_str().unwrap().split('.');
    let mut part =
        || serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap()).unwrap();
    (part(), part())
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap()
}
