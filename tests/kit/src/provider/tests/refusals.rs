//! What is wrong with a request, and who hears of it.

use super::{REDIRECT_URI, VERIFIER, authorize_url, callback, exchange, headless, post, text};
use crate::{Provider, TestClient};

#[tokio::test]
async fn an_unknown_client_or_redirect_uri_is_told_to_nobody() {
    let provider = headless().start().await.unwrap();
    for parameter in [
        ("client_id", "unknown"),
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "https://attacker.example/callback"),
        ("redirect_uri", "http://127.0.0.1.attacker.example/"),
        ("redirect_uri", "http://127.0.0.1@attacker.example/"),
        ("redirect_uri", "http://127.0.0.1:9/callback#fragment"),
        ("redirect_uri", "javascript:alert(1)"),
    ] {
        let page = provider
            .browser()
            .get(&authorize_url(&provider, &[parameter]))
            .await
            .unwrap();
        assert_eq!(
            (page.status, page.header("location")),
            (400, None),
            "{parameter:?}"
        );
        assert!(page.body.contains("role=\"alert\""));
    }
    let doubled = format!(
        "{}&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2F",
        authorize_url(&provider, &[])
    );
    assert_eq!(provider.browser().get(&doubled).await.unwrap().status, 400);
}

#[tokio::test]
async fn other_errors_go_to_the_client() {
    let provider = headless().start().await.unwrap();
    for (parameter, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("response_mode", "fragment"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("prompt", "none login"), "invalid_request"),
        (("max_age", "-1"), "invalid_request"),
        (("scope", "openid \"quoted\""), "invalid_scope"),
        (("request", "eyJ"), "request_not_supported"),
        (("request_uri", "urn:x"), "request_uri_not_supported"),
    ] {
        let came_back = callback(&provider, &[parameter]).await;
        assert_eq!(
            came_back.parameter("error").as_deref(),
            Some(error),
            "{parameter:?}"
        );
        assert_eq!(came_back.parameter("state").as_deref(), Some("a state"));
        assert_eq!(
            came_back.parameter("iss").as_deref(),
            Some(provider.issuer())
        );
        assert_eq!(came_back.parameter("code"), None);
    }
    let posted = callback(
        &provider,
        &[("response_mode", "form_post"), ("response_type", "token")],
    )
    .await;
    assert_eq!(
        (posted.method.as_str(), posted.parameter("error").as_deref()),
        ("POST", Some("unsupported_response_type"))
    );
}

#[tokio::test]
async fn a_public_client_must_use_pkce() {
    let client = TestClient::public("app").redirect_uri("http://127.0.0.1/callback");
    let provider = headless().client(client).start().await.unwrap();
    let came_back = callback(
        &provider,
        &[("code_challenge", ""), ("code_challenge_method", "")],
    )
    .await;
    assert_eq!(
        came_back.parameter("error").as_deref(),
        Some("invalid_request")
    );
    let code = callback(&provider, &[]).await.parameter("code").unwrap();
    let fields = [
        ("client_id", "app"),
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
    ];
    let send = async |fields: Vec<(&str, &str)>| {
        reqwest::Client::new()
            .post(format!("{}/token", provider.issuer()))
            .form(&fields)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(send(fields.to_vec()).await, 400);
    assert_eq!(
        send([&fields[..], &[("code_verifier", VERIFIER)]].concat()).await,
        200
    );
}

#[tokio::test]
async fn a_wrong_verifier_or_redirect_uri_gets_no_token() {
    let provider = headless().start().await.unwrap();
    let code = callback(&provider, &[]).await.parameter("code").unwrap();
    let good = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    for (name, wrong) in [
        (
            "code_verifier",
            "another-verifier-that-is-long-enough-for-rfc-7636",
        ),
        ("code_verifier", ""),
        ("redirect_uri", "http://127.0.0.1:9/elsewhere"),
        ("redirect_uri", ""),
        ("code", "code-of-nobody"),
    ] {
        let fields = good.map(|(known, value)| {
            if known == name {
                (known, wrong)
            } else {
                (known, value)
            }
        });
        let (status, body) = post(&provider, "/token", &fields).await;
        assert_eq!(
            (status, text(&body, "error")),
            (400, "invalid_grant"),
            "{name} {wrong}"
        );
    }
    assert_eq!(exchange(&provider, &code).await.0, 200);

    let unchallenged = callback(
        &provider,
        &[("code_challenge", ""), ("code_challenge_method", "")],
    )
    .await;
    let (status, _) = exchange(&provider, &unchallenged.parameter("code").unwrap()).await;
    assert_eq!(status, 400, "a verifier where there was no challenge");
}

#[tokio::test]
async fn token_requests_are_read_strictly() {
    let provider = Provider::start().await.unwrap();
    for (fields, error) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "implicit")], "unsupported_grant_type"),
        (
            vec![("grant_type", "authorization_code")],
            "invalid_request",
        ),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("refresh_token", "rt-unknown"),
            ],
            "invalid_grant",
        ),
        (
            vec![
                ("grant_type", "client_credentials"),
                ("grant_type", "client_credentials"),
            ],
            "invalid_request",
        ),
        (
            vec![("grant_type", "client_credentials"), ("scope", "a\"b")],
            "invalid_scope",
        ),
    ] {
        let (status, body) = post(&provider, "/token", &fields).await;
        assert_eq!((status, text(&body, "error")), (400, error), "{fields:?}");
    }
    let http = reqwest::Client::new();
    let url = format!("{}/token", provider.issuer());
    let json = http
        .post(&url)
        .header("content-type", "application/json")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(json.status(), 400);
    assert_eq!(http.get(&url).send().await.unwrap().status(), 405);
    let huge = http
        .post(&url)
        .form(&[("grant_type", "x".repeat(70_000))])
        .send()
        .await
        .unwrap();
    assert_eq!(huge.status(), 413);
}

#[tokio::test]
async fn a_token_answer_is_not_cached() {
    let provider = Provider::start().await.unwrap();
    let request = reqwest::Client::new().post(format!("{}/token", provider.issuer()));
    let request = request.basic_auth(provider.client_id(), Some(provider.client_secret()));
    let response = request
        .form(&[("grant_type", "client_credentials")])
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
}
