//! Which endpoint is asked, by which method, and what it is sent.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokenkeep::{
    ErrorCode, Grant, Hook, MemoryStore, OAuth, OAuthBuilder, Phase, RawAnswer, Registration,
    Settings, Token, TokenKey, TokenRequest,
};
use tokenkeep_testing::{Endpoint, Fault, Replies, Reply, SentRequest};

use crate::world::{CLIENT, World, alice, refused};

fn application(replies: &Replies, registration: Registration) -> OAuthBuilder {
    OAuth::builder()
        .store(MemoryStore::new())
        .register(registration.client_id("id").client_secret("secret"))
        .transport(replies.clone())
}

async fn adopted(oauth: &OAuth) -> Grant {
    let token = Token::builder("the-token").refresh("the-refresh-token");
    let key = TokenKey::new(CLIENT, "alice").unwrap();
    oauth.adopt(key, token.build().unwrap()).await.unwrap();
    alice(oauth)
}

fn token() -> Reply {
    Reply::json(json!({"access_token": "new", "token_type": "bearer"}))
}

fn asked(replies: &Replies) -> Vec<String> {
    let line = |request: &SentRequest| format!("{} {}", request.method, request.url);
    replies.requests().iter().map(line).collect()
}

#[tokio::test]
async fn a_refresh_goes_to_the_refresh_endpoint_and_nothing_else_does() {
    let replies = Replies::new()
        .on("POST", "/token", token())
        .on("POST", "/refresh", token());
    let op = Registration::oauth2(CLIENT, "https://op.example/a", "https://op.example/token");
    let settings = Settings::from_iter([
        ("OP_REFRESH_TOKEN_URL", "https://op.example/refresh"),
        ("OP_REFRESH_TOKEN_PARAMS", "audience=api"),
        ("OP_ACCESS_TOKEN_PARAMS", "audience=first"),
    ]);
    let oauth = application(&replies, op).config(settings).build().unwrap();
    adopted(&oauth).await.refresh().await.unwrap();
    oauth.client(CLIENT).unwrap().app().token().await.unwrap();
    assert_eq!(
        asked(&replies),
        [
            "POST https://op.example/refresh",
            "POST https://op.example/token"
        ]
    );
    let audience = |n: usize| replies.requests()[n].form("audience");
    assert_eq!(audience(0).as_deref(), Some("api"));
    assert_eq!(audience(1).as_deref(), Some("first"));
}

/// RFC 6749 section 3.2: a secret in an address would stand in logs.
#[tokio::test]
async fn whatever_goes_to_the_provider_with_a_secret_is_a_posted_form() {
    let metadata = json!({
        "issuer": "https://op.example",
        "authorization_endpoint": "https://op.example/authorize",
        "token_endpoint": "https://op.example/token",
        "revocation_endpoint": "https://op.example/revoke",
        "introspection_endpoint": "https://op.example/introspect",
        "response_types_supported": ["code"],
    });
    let active = json!({"active": true, "scope": "read", "sub": "alice"});
    let replies = Replies::new()
        .on(
            "GET",
            "/.well-known/openid-configuration",
            Reply::json(metadata),
        )
        .on("POST", "/token", token())
        .on("POST", "/introspect", Reply::json(active))
        .on("POST", "/revoke", Reply::status(200));
    let op = Registration::new(CLIENT)
        .issuer("https://op.example")
        .scopes(["read"]);
    let oauth = application(&replies, op).build().unwrap();
    let grant = adopted(&oauth).await;
    grant.refresh().await.unwrap();
    let known = grant.introspect().await.unwrap();
    assert!(known.is_active());
    assert_eq!(known.get("sub"), Some(&Value::from("alice")));
    grant.revoke().await.unwrap();
    oauth.drain(Duration::from_secs(30)).await.unwrap();
    let asked = asked(&replies);
    assert_eq!(
        asked[1..4],
        [
            "POST https://op.example/token",
            "POST https://op.example/introspect",
            "POST https://op.example/revoke",
        ]
    );
    for request in &replies.requests()[1..] {
        let headers = &request.headers;
        assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(headers["accept"], "application/json");
        assert!(headers["authorization"].is_sensitive());
        assert_eq!(request.url.query(), None);
    }
    let sent = |n: usize, name: &str| replies.requests()[n].form(name);
    assert_eq!(sent(2, "token").as_deref(), Some("new"));
    assert_eq!(sent(2, "token_type_hint").as_deref(), Some("access_token"));
    assert_eq!(sent(3, "token").as_deref(), Some("the-refresh-token"));
    assert_eq!(sent(3, "token_type_hint").as_deref(), Some("refresh_token"));
}

#[tokio::test]
async fn what_a_provider_does_not_have_is_a_refusal_that_says_so() {
    let replies = Replies::new();
    let op = Registration::oauth2(CLIENT, "https://op.example/a", "https://op.example/token");
    let oauth = application(&replies, op).build().unwrap();
    let grant = adopted(&oauth).await;
    let error = refused(grant.introspect().await, ErrorCode::Unsupported);
    assert_eq!(
        (error.phase(), error.client()),
        (Phase::Introspect, Some(CLIENT))
    );
    // A grant ends here all the same.
    grant.revoke().await.unwrap();
    refused(grant.token().await, ErrorCode::LoginRequired);
    oauth.drain(Duration::from_secs(30)).await.unwrap();
    assert!(replies.requests().is_empty());
}

/// A token that ended at the provider is no secret of its: whoever introspects learns it.
#[tokio::test]
async fn a_provider_is_asked_what_it_knows_of_a_token() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    assert!(grant.introspect().await.unwrap().is_active());
    world.provider.expire_access_tokens();
    let known = grant.introspect().await.unwrap();
    assert!(!known.is_active());
    let twice = r#"{"active": false, "active": true}"#;
    for body in [r#"{"active": "yes"}"#, twice, "{}", "[]", "true"] {
        let answer = Fault::Answer {
            status: 200,
            content_type: "application/json".into(),
            body: body.into(),
        };
        let faults = world.provider.faults();
        faults.on(Endpoint::Introspect, answer).times(1);
        let error = refused(grant.introspect().await, ErrorCode::ProviderError);
        assert_eq!(error.phase(), Phase::Introspect, "{body}");
    }
}

#[tokio::test]
async fn requests_name_us_or_whom_the_application_names() {
    let world = World::new().await;
    let agent = async |oauth: &OAuth| {
        let echo = alice(oauth).get("echo").await.unwrap();
        let echo: Value = echo.json().await.unwrap();
        echo["headers"]["user-agent"].clone()
    };
    let ours = world.oauth();
    world.alice(&ours).await;
    let said = agent(&ours).await;
    let said = said.as_str().unwrap();
    assert!(said.starts_with("tokenkeep/") && said.len() > 12, "{said}");
    let named = reqwest::ClientBuilder::new().user_agent("my-app/3");
    let theirs = world.builder().http_client(named).build().unwrap();
    assert_eq!(agent(&theirs).await, "my-app/3");
}

#[tokio::test]
async fn a_call_with_a_token_in_hand_needs_no_metadata() {
    let replies = Replies::new().on("GET", "/v1/me", Reply::json(json!({})));
    let op =
        Registration::openid(CLIENT, "https://op.example").api_base_url("https://api.example/v1/");
    let oauth = application(&replies, op).build().unwrap();
    let client = oauth.client(CLIENT).unwrap();
    let token = Token::builder("in-hand").build().unwrap();
    for _ in 0..3 {
        let answer = client
            .request_with(&token, reqwest::Method::GET, "me")
            .await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(asked(&replies), ["GET https://api.example/v1/me"; 3]);
}

#[tokio::test]
async fn without_automatic_refresh_nothing_is_renewed_unasked() {
    let world = World::new().await;
    let settings = Settings::from_iter([("OP_CLIENT_KWARGS", "automatic_refresh=false")]);
    for builder in [
        world.builder().config(settings),
        world
            .bare(&world.store)
            .register(world.registration().without_automatic_refresh()),
    ] {
        let oauth = builder.build().unwrap();
        let grant = world.alice(&oauth).await;
        let before = world.refreshes();
        // An API that refuses the token is believed, and nothing is tried.
        world.provider.expire_access_tokens();
        refused(grant.get("me").await, ErrorCode::TokenRejected);
        // Near its end, and over.
        world.advance(Duration::from_secs(299));
        grant.token().await.unwrap();
        world.advance(Duration::from_secs(60));
        let error = refused(grant.token().await, ErrorCode::RefreshUnavailable);
        assert!(error.message().contains("refresh()"), "{error}");
        assert_eq!(world.refreshes(), before);
        grant.refresh().await.unwrap();
        assert_eq!(world.refreshes(), before + 1);
        assert_eq!(grant.get("me").await.unwrap().status(), 200);
    }
}

/// Writes down where it is called, and changes what it may change.
#[derive(Clone, Default)]
struct Everywhere(Arc<Mutex<Vec<&'static str>>>);

impl Everywhere {
    fn at(&self, point: &'static str) {
        self.0.lock().unwrap().push(point);
    }

    fn mark(&self, point: &'static str, request: &mut TokenRequest) -> tokenkeep::Result<()> {
        self.at(point);
        request.set("hook", point);
        Ok(())
    }
}

#[async_trait]
impl Hook for Everywhere {
    async fn access_token_request(&self, _: &str, r: &mut TokenRequest) -> tokenkeep::Result<()> {
        self.mark("access_token_request", r)
    }

    async fn access_token_response(
        &self,
        _: &str,
        _: &RawAnswer<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        self.at("access_token_response");
        let text = String::from_utf8_lossy(body);
        Some(text.replace("\"token\"", "\"access_token\"").into())
    }

    async fn refresh_token_request(&self, _: &str, r: &mut TokenRequest) -> tokenkeep::Result<()> {
        self.mark("refresh_token_request", r)
    }

    async fn refresh_token_response(
        &self,
        _: &str,
        _: &RawAnswer<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        self.at("refresh_token_response");
        let text = String::from_utf8_lossy(body);
        Some(text.replace("\"token\"", "\"access_token\"").into())
    }

    async fn protected_request(&self, _: &str, r: &mut reqwest::Request) -> tokenkeep::Result<()> {
        self.at("protected_request");
        r.url_mut().set_query(Some("hook=protected_request"));
        Ok(())
    }

    async fn revoke_token_request(&self, _: &str, r: &mut TokenRequest) -> tokenkeep::Result<()> {
        self.mark("revoke_token_request", r)
    }

    async fn introspect_token_request(
        &self,
        _: &str,
        r: &mut TokenRequest,
    ) -> tokenkeep::Result<()> {
        self.mark("introspect_token_request", r)
    }
}

#[tokio::test]
async fn each_hook_is_called_in_its_place_and_what_it_changes_counts() {
    // Without the hooks this is no token.
    let odd = || Reply::json(json!({"token": "new", "token_type": "bearer"}));
    let replies = Replies::new()
        .on("POST", "/token", odd())
        .on("POST", "/introspect", Reply::json(json!({"active": true})))
        .on("GET", "/v1/me", Reply::json(json!({})))
        .on("POST", "/revoke", Reply::status(200));
    let op = Registration::oauth2(CLIENT, "https://op.example/a", "https://op.example/token")
        .introspection_url("https://op.example/introspect")
        .revocation_url("https://op.example/revoke")
        .api_base_url("https://api.example/v1/");
    let hook = Everywhere::default();
    let builder = application(&replies, op).hook(hook.clone());
    let oauth = builder.build().unwrap();
    let app = oauth.client(CLIENT).unwrap().app();
    assert_eq!(app.token().await.unwrap().access_token().expose(), "new");
    let grant = adopted(&oauth).await;
    grant.refresh().await.unwrap();
    grant.introspect().await.unwrap();
    grant.get("me").await.unwrap();
    grant.revoke().await.unwrap();
    oauth.drain(Duration::from_secs(30)).await.unwrap();
    let called = hook.0.lock().unwrap();
    assert_eq!(
        called[..7],
        [
            "access_token_request",
            "access_token_response",
            "refresh_token_request",
            "refresh_token_response",
            "introspect_token_request",
            "protected_request",
            "revoke_token_request",
        ]
    );
    let sent = replies.requests();
    for request in &sent {
        let marked = request.form("hook").is_some() || request.url.query().is_some();
        assert!(marked, "{request:?}");
    }
    assert_eq!(sent[3].url.query(), Some("hook=protected_request"));
}
