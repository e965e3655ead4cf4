//! Calling an API: where a token may go, and what a refusal means.

use tokenkeep::{Error, ErrorCode, Phase};
use tokenkeep_testing::Provider;

use crate::world::{CLIENT, World, on_every_store, refused};

#[tokio::test]
async fn no_token_and_no_request_goes_to_a_foreign_origin() {
    let world = World::new().await;
    let elsewhere = Provider::start().await.unwrap();
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let base = world.provider.requests("/api/me");
    for path in [
        "//other.host/x".to_owned(),
        elsewhere.issuer().trim_start_matches("http:").to_owned(),
        elsewhere.api_base_url() + "me",
        "https://other.host/x".into(),
        "http://other.host/x".into(),
        "\\\\other.host/x".into(),
        "file:///etc/passwd".into(),
        " //other.host/x".into(),
        format!(
            "http://user:pass@127.0.0.1:{}/api/me",
            world.provider.address().port()
        ),
    ] {
        let error = refused(grant.get(&path).await, ErrorCode::ForeignOrigin);
        assert_eq!(error.phase(), Phase::Request);
        assert_eq!(error.client(), Some(CLIENT));
    }
    assert!(elsewhere.requests_log().is_empty());
    assert_eq!(world.provider.requests("/api/me"), base);
    // An absolute address of the own API is one.
    let own = world.provider.api_base_url() + "me";
    assert_eq!(grant.get(&own).await.unwrap().status(), 200);
    // What the registration allows by name gets the token, whatever it thinks of it.
    let registration = world.registration().allow_origin(elsewhere.issuer());
    oauth.replace(registration).unwrap();
    let there = grant.get(&(elsewhere.api_base_url() + "me")).await;
    refused(there, ErrorCode::TokenRejected);
    assert_eq!(elsewhere.requests("/api/me"), 2);
}

#[tokio::test]
async fn a_redirect_keeps_the_token_within_the_origin_and_goes_nowhere_else() {
    let world = World::new().await;
    let elsewhere = Provider::start().await.unwrap();
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    for status in [301, 302, 303, 307, 308] {
        let within = grant
            .get(&format!("redirect?status={status}"))
            .await
            .unwrap();
        assert_eq!(within.status(), 200);
        let me: serde_json::Value = within.json().await.unwrap();
        assert_eq!(me["sub"], "alice");
        let away = format!(
            "redirect-away?status={status}&to={}",
            elsewhere.metadata_url()
        );
        refused(grant.get(&away).await, ErrorCode::ForeignOrigin);
        refused(grant.post(&away).body("x").await, ErrorCode::ForeignOrigin);
    }
    assert!(elsewhere.requests_log().is_empty());
    let loops = format!(
        "redirect-away?to={}redirect-away",
        world.provider.api_base_url()
    );
    assert_eq!(grant.get(&loops).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_stale_token_is_refreshed_once_and_the_request_repeated() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap();
        world.provider.expire_access_tokens();
        let answer = grant
            .post("echo")
            .json(serde_json::json!({"a": 1}))
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let echo: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(echo["body"], r#"{"a":1}"#);
        assert_eq!(world.refreshes(), 1);
        assert_eq!(world.provider.requests("/api/echo"), 2);
        assert_eq!(
            grant.token().await.unwrap().generation(),
            before.generation() + 1
        );
    })
    .await;
}

#[tokio::test]
async fn an_api_that_refuses_fresh_tokens_too_is_an_error_and_pauses_refreshes() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    world.provider.stale(true);
    let error = refused(grant.get("me").await, ErrorCode::TokenRejected);
    assert_eq!(error.provider().unwrap().status, Some(401));
    assert_eq!(world.refreshes(), 1);
    refused(grant.get("me").await, ErrorCode::TokenRejected);
    assert_eq!(
        world.refreshes(),
        1,
        "the API's refusal cost another refresh"
    );
    world.advance(std::time::Duration::from_secs(31));
    refused(grant.get("me").await, ErrorCode::TokenRejected);
    assert_eq!(world.refreshes(), 2);
    // Never is a grant deleted for that.
    world.provider.stale(false);
    assert_eq!(grant.get("me").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_rejected_and_stays() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let redirect = client
        .authorize_redirect(crate::world::CALLBACK)
        .scopes(["openid"]);
    let redirect = redirect.await.unwrap();
    let callback = world.at_provider(&redirect, "alice").await;
    let login = crate::world::come_back(&client, &callback, &redirect.cookies)
        .await
        .unwrap();
    oauth.keep_login(&login, "alice", None).await.unwrap();
    let grant = client.owner("alice");
    world.provider.expire_access_tokens();
    let error = refused(grant.get("me").await, ErrorCode::TokenRejected);
    assert!(matches!(error.action(), tokenkeep::Action::Login { .. }));
    assert_eq!(
        grant.info().await.unwrap().unwrap().state,
        tokenkeep::GrantState::Active
    );
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn missing_scope_and_step_up_say_what_to_ask_for() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let required = |error: &Error| error.provider().unwrap().required.clone();
    let error = refused(
        grant.get("scope/invoices").await,
        ErrorCode::InsufficientScope,
    );
    assert_eq!(
        required(&error),
        [("scope".to_owned(), "invoices".to_owned())]
    );
    let error = refused(grant.get("step-up").await, ErrorCode::StepUpRequired);
    assert_eq!(
        required(&error),
        [("acr_values".to_owned(), "urn:example:mfa".to_owned())]
    );
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn a_streamed_body_is_sent_once() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let body = || {
        let pieces = tokio_stream::iter(["a", "b"].map(Ok::<_, std::io::Error>));
        reqwest::Body::wrap_stream(pieces)
    };
    assert_eq!(grant.post("echo").body(body()).await.unwrap().status(), 200);
    world.provider.expire_access_tokens();
    refused(
        grant.post("echo").body(body()).await,
        ErrorCode::TokenRejected,
    );
    assert_eq!(world.provider.requests("/api/echo"), 2);
}

#[tokio::test]
async fn nobody_is_guessed() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let error = refused(client.get("me").await, ErrorCode::OwnerMissing);
    assert!(error.message().contains("owner("));
    assert_eq!(world.provider.requests("/api/me"), 0);
    let without = client.get("me").withhold_token().await.unwrap();
    assert_eq!(without.status(), 401);
    refused(
        client.owner("nobody").get("me").await,
        ErrorCode::LoginRequired,
    );
    refused(client.owner("").get("me").await, ErrorCode::InvalidKey);
    let own = client
        .owner("alice")
        .get("me")
        .header("authorization", "Bearer x");
    refused(own.await, ErrorCode::InvalidParameter);
}

#[tokio::test]
async fn a_token_of_ones_own_is_sent_as_it_is() {
    let world = World::new().await;
    let oauth = world.oauth();
    let login = world.login(&oauth, "alice").await.unwrap();
    let client = oauth.client(CLIENT).unwrap();
    let me = client.request_with(&login.token, reqwest::Method::GET, "me");
    assert_eq!(me.await.unwrap().status(), 200);
    world.provider.expire_access_tokens();
    let me = client.request_with(&login.token, reqwest::Method::GET, "me");
    refused(me.await, ErrorCode::TokenRejected);
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn an_api_that_is_not_there_is_an_error_of_the_request() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    world.provider.shutdown().await;
    let error = refused(grant.get("me").await, ErrorCode::RequestFailed);
    assert!(matches!(error.action(), tokenkeep::Action::Retry { .. }));
}
