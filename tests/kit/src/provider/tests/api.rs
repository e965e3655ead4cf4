//! The protected API, introspection and revocation.

use std::time::Duration;

use serde_json::{Value, json};

use super::{api, api_status, headless, log_in, post, refresh, text};
use crate::{Provider, TestClient};

fn challenge(response: &reqwest::Response) -> &str {
    response.headers()["www-authenticate"].to_str().unwrap()
}

#[tokio::test]
async fn a_token_is_good_until_it_expires_or_is_replaced() {
    let provider = headless()
        .access_token_lifetime(Duration::from_secs(60))
        .start()
        .await
        .unwrap();
    let tokens = log_in(&provider, &[("scope", "openid offline_access read")]).await;
    let me: Value = api(&provider, "/api/me", text(&tokens, "access_token"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(me["generation"], 1);
    assert_eq!(
        (&me["sub"], &me["scopes"]),
        (
            &json!("alice"),
            &json!(["offline_access", "openid", "read"])
        )
    );

    let (_, second) = refresh(&provider, text(&tokens, "refresh_token")).await;
    let replaced = api(&provider, "/api/me", text(&tokens, "access_token")).await;
    assert_eq!(replaced.status(), 401);
    assert!(challenge(&replaced).contains("error=\"invalid_token\""));
    let me: Value = api(&provider, "/api/me", text(&second, "access_token"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(me["generation"], 2);

    provider.advance(Duration::from_secs(59));
    assert_eq!(
        api_status(&provider, text(&second, "access_token")).await,
        200
    );
    provider.advance(Duration::from_secs(2));
    let expired = api(&provider, "/api/me", text(&second, "access_token")).await;
    assert!(expired.status() == 401 && challenge(&expired).contains("invalid_token"));
}

#[tokio::test]
async fn replaced_tokens_can_be_kept() {
    let provider = headless()
        .keep_replaced_access_tokens(true)
        .start()
        .await
        .unwrap();
    let tokens = log_in(&provider, &[]).await;
    refresh(&provider, text(&tokens, "refresh_token")).await;
    assert_eq!(
        api_status(&provider, text(&tokens, "access_token")).await,
        200
    );
}

#[tokio::test]
async fn tokens_can_go_stale_before_they_expire() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[]).await;
    provider.expire_access_tokens();
    assert_eq!(
        api_status(&provider, text(&tokens, "access_token")).await,
        401
    );
    assert_eq!(
        api(&provider, "/userinfo", text(&tokens, "access_token"))
            .await
            .status(),
        401
    );
    let (_, second) = refresh(&provider, text(&tokens, "refresh_token")).await;
    assert_eq!(
        api_status(&provider, text(&second, "access_token")).await,
        200
    );
    provider.stale(true);
    let (_, third) = refresh(&provider, text(&second, "refresh_token")).await;
    assert_eq!(
        api_status(&provider, text(&third, "access_token")).await,
        401
    );
    provider.stale(false);
    assert_eq!(
        api_status(&provider, text(&third, "access_token")).await,
        200
    );
}

#[tokio::test]
async fn without_a_token_the_challenge_has_no_error() {
    let provider = Provider::start().await.unwrap();
    let none = reqwest::get(format!("{}me", provider.api_base_url()))
        .await
        .unwrap();
    assert_eq!(
        (none.status().as_u16(), challenge(&none)),
        (401, "Bearer realm=\"provider\"")
    );
    let unknown = api(&provider, "/api/me", "at-unknown").await;
    assert_eq!(
        (unknown.status().as_u16(), challenge(&unknown)),
        (401, "Bearer realm=\"provider\", error=\"invalid_token\"")
    );
}

#[tokio::test]
async fn scopes_and_step_up_are_asked_for() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[("scope", "openid read")]).await;
    let token = text(&tokens, "access_token");
    assert_eq!(api(&provider, "/api/scope/read", token).await.status(), 200);
    let refused = api(&provider, "/api/scope/write", token).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(
        challenge(&refused),
        "Bearer realm=\"provider\", error=\"insufficient_scope\", scope=\"write\""
    );
    let refused = api(&provider, "/api/step-up", token).await;
    assert_eq!(refused.status(), 401);
    let expected = "Bearer realm=\"provider\", error=\"insufficient_user_authentication\", acr_values=\"urn:example:mfa\"";
    assert_eq!(challenge(&refused), expected);
    let stronger = log_in(&provider, &[("acr_values", "urn:example:mfa")]).await;
    assert_eq!(
        api(&provider, "/api/step-up", text(&stronger, "access_token"))
            .await
            .status(),
        200
    );
    assert_eq!(
        super::decode(&stronger["id_token"]).1["acr"],
        "urn:example:mfa"
    );
}

#[tokio::test]
async fn echo_shows_the_request_without_the_token() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[]).await;
    let token = text(&tokens, "access_token");
    let url = format!("{}echo/a/b?x=1&x=2", provider.api_base_url());
    let http = reqwest::Client::new();
    let sent = http
        .put(&url)
        .bearer_auth(token)
        .header("x-mine", "yes")
        .body("{\"a\": 1}")
        .send()
        .await
        .unwrap();
    let seen: Value = sent.json().await.unwrap();
    assert_eq!(
        (&seen["method"], &seen["path"], &seen["query"]),
        (&json!("PUT"), &json!("/api/echo/a/b"), &json!("x=1&x=2"))
    );
    assert_eq!(
        (&seen["body"], &seen["headers"]["x-mine"]),
        (&json!("{\"a\": 1}"), &json!("yes"))
    );
    assert_eq!(seen["token_placement"], "header");
    assert!(!seen.to_string().contains(token));

    let in_query = http
        .get(format!("{url}&access_token={token}"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        in_query.contains("\"token_placement\":\"query\"")
            && in_query.contains("x=1&x=2")
            && !in_query.contains(token)
    );
    let in_body = http
        .post(&url)
        .form(&[("access_token", token), ("a", "1")])
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        in_body.contains("\"token_placement\":\"body\"")
            && in_body.contains("\"body\":\"a=1\"")
            && !in_body.contains(token)
    );
    let twice = http
        .post(&url)
        .bearer_auth(token)
        .form(&[("access_token", token)])
        .send()
        .await
        .unwrap();
    assert_eq!(twice.status(), 400);
}

#[tokio::test]
async fn redirects_lead_on_and_away() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[]).await;
    let token = text(&tokens, "access_token");
    let near = api(&provider, "/api/redirect", token).await;
    assert_eq!(
        (
            near.status().as_u16(),
            near.headers()["location"].to_str().unwrap()
        ),
        (302, "/api/me")
    );
    let away = api(
        &provider,
        "/api/redirect-away?status=307&to=http%3A%2F%2Fother.example%2Fx",
        token,
    )
    .await;
    assert_eq!(
        (
            away.status().as_u16(),
            away.headers()["location"].to_str().unwrap()
        ),
        (307, "http://other.example/x")
    );
    assert_eq!(
        api(&provider, "/api/redirect-away", token).await.status(),
        400
    );
}

#[tokio::test]
async fn tokens_are_introspected_and_given_back() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[]).await;
    let (access, refresh_token) = (
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
    );
    let active = async |token: &str| {
        post(&provider, "/introspect", &[("token", token)]).await.1["active"] == json!(true)
    };
    assert!(active(access).await && active(refresh_token).await && !active("at-unknown").await);
    assert_eq!(
        post(&provider, "/introspect", &[("token", access)]).await.1["sub"],
        "alice"
    );

    assert_eq!(
        post(&provider, "/revoke", &[("token", "rt-unknown")])
            .await
            .0,
        200
    );
    assert_eq!(
        post(
            &provider,
            "/revoke",
            &[("token", access), ("token_type_hint", "access_token")]
        )
        .await
        .0,
        200
    );
    assert!(!active(access).await && active(refresh_token).await);
    let (_, second) = refresh(&provider, refresh_token).await;
    assert!(!active(refresh_token).await, "it was spent");
    assert_eq!(
        post(
            &provider,
            "/revoke",
            &[("token", text(&second, "refresh_token"))]
        )
        .await
        .0,
        200
    );
    assert!(
        !active(text(&second, "access_token")).await,
        "the grant is over"
    );
    assert_eq!(
        refresh(&provider, text(&second, "refresh_token")).await.0,
        400
    );
}

#[tokio::test]
async fn nobody_revokes_or_introspects_for_others() {
    let provider = headless()
        .client(TestClient::confidential("one", "s").any_loopback_redirect_uri())
        .client(TestClient::confidential("two", "s"))
        .start()
        .await
        .unwrap();
    let tokens = log_in(&provider, &[]).await;
    let token = text(&tokens, "access_token");
    let send = async |path: &str, secret| {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", provider.issuer()))
            .basic_auth("two", Some(secret));
        request
            .form(&[("token", token)])
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(send("/revoke", "s").await, 400);
    assert_eq!(send("/revoke", "wrong").await, 401);
    assert_eq!(send("/introspect", "wrong").await, 401);
    assert_eq!(api_status(&provider, token).await, 200);
}

#[tokio::test]
async fn claims_can_be_given() {
    let claims = json!({"name": "Alice Liddell", "groups": ["a"]})
        .as_object()
        .unwrap()
        .clone();
    let provider = headless().claims("alice", claims).start().await.unwrap();
    let tokens = log_in(&provider, &[("scope", "openid profile")]).await;
    let about: Value = api(&provider, "/userinfo", text(&tokens, "access_token"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&about["name"], &about["groups"]),
        (&json!("Alice Liddell"), &json!(["a"]))
    );
    assert!(about.get("email").is_none());
}

#[tokio::test]
async fn requests_are_counted_whatever_their_path() {
    let provider = Provider::start().await.unwrap();
    let unknown = reqwest::get(format!("{}/nowhere?secret=1", provider.issuer()))
        .await
        .unwrap();
    assert_eq!(
        (
            unknown.status().as_u16(),
            provider.requests("/nowhere"),
            provider.requests("/elsewhere")
        ),
        (404, 1, 0)
    );
    let log = provider.requests_log();
    assert_eq!(
        (log[0].method.as_str(), log[0].path.as_str()),
        ("GET", "/nowhere")
    );
}
