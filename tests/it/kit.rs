//! The kit's stand-ins: canned answers, and somebody who is signed in.

use tokenkeep::{BrowserCookies, ErrorCode, MemoryStore, OAuth, Registration, Sent, Token};
use tokenkeep_testing::{Replies, Reply, signed_in, signed_in_with};

use crate::world::refused;

fn oauth(replies: &Replies) -> OAuth {
    OAuth::builder()
        .store(MemoryStore::new())
        .base_url("https://app.example/")
        .register(
            Registration::openid("op", "https://op.example")
                .client_id("id")
                .client_secret("the client's secret")
                .access_token_url("https://op.example/token")
                .api_base_url("https://api.example/v1/"),
        )
        .transport(replies.clone())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_handlers_test_signs_somebody_in_without_a_request() {
    let replies = Replies::new();
    let oauth = oauth(&replies);
    let browser = signed_in(&oauth, "alice").await.unwrap();
    let cookies = BrowserCookies::parse([browser.cookie.as_str()]);
    let session = oauth.session(&cookies).await.unwrap().unwrap();
    assert_eq!(session.owner(), "alice");
    assert_eq!(session.claims().unwrap().subject(), "alice");
    session.check_csrf(Some(&browser.csrf)).unwrap();
    assert!(replies.requests().is_empty());
    assert!(!format!("{browser:?}").contains(&browser.csrf));

    let strange = signed_in(&oauth, "zoë \u{1f600} of\tmars").await;
    refused(strange, ErrorCode::InvalidKey);
    let nobody = OAuth::builder().store(MemoryStore::new()).build().unwrap();
    refused(signed_in(&nobody, "alice").await, ErrorCode::UnknownClient);
}

#[tokio::test]
async fn replies_come_in_order_and_what_has_none_is_named() {
    let replies = Replies::new()
        .on("GET", "/v1/me", Reply::json(serde_json::json!({"n": 1})))
        .on("GET", "/v1/me", Reply::status(204))
        .on(
            "GET",
            "https://api.example/v1/broken",
            Reply::fail(Sent::Maybe),
        );
    let oauth = oauth(&replies);
    signed_in(&oauth, "alice").await.unwrap();
    let grant = oauth.client("op").unwrap().owner("alice");
    for status in [200, 204, 204] {
        assert_eq!(grant.get("me?page=2").await.unwrap().status(), status);
    }
    refused(grant.get("broken").await, ErrorCode::RequestFailed);
    let missing = grant.post("me").await.unwrap();
    assert_eq!(missing.status(), 501);
    let text = missing.text().await.unwrap();
    assert!(text.contains("POST https://api.example/v1/me"), "{text}");
    let requests = replies.requests();
    assert_eq!(requests.len(), 5);
    assert!(requests[0].headers.contains_key("authorization"));
    assert_eq!(
        format!("{:?}", requests[0]),
        "GET https://api.example/v1/me"
    );
}

#[tokio::test]
async fn a_token_of_the_tests_own_is_renewed_by_a_reply() {
    let answer =
        serde_json::json!({"access_token": "new", "token_type": "bearer", "expires_in": 60});
    let replies = Replies::new().on("POST", "/token", Reply::json(answer)).on(
        "GET",
        "/.well-known/openid-configuration",
        Reply::json(serde_json::json!({
            "issuer": "https://op.example",
            "authorization_endpoint": "https://op.example/authorize",
            "token_endpoint": "https://op.example/token",
            "jwks_uri": "https://op.example/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })),
    );
    let oauth = oauth(&replies);
    let token = Token::builder("old")
        .refresh("the refresh token")
        .build()
        .unwrap();
    signed_in_with(&oauth, "op", "alice", token).await.unwrap();
    let grant = oauth.client("op").unwrap().owner("alice");
    assert_eq!(
        grant.refresh().await.unwrap().access_token().expose(),
        "new"
    );
    let requests = replies.requests();
    let sent = requests
        .iter()
        .find(|request| request.url.path() == "/token")
        .unwrap();
    assert_eq!(
        sent.form("refresh_token").as_deref(),
        Some("the refresh token")
    );
    assert!(!format!("{replies:?}").contains("the refresh token"));
}
