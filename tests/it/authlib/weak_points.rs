//! Weak points of Authlib's client, each as what is promised here instead.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokenkeep::{
    ErrorCode, Hook, IdTokenChecks, Registration, Result, Settings, Token, TokenKey, TokenRequest,
};
use tokenkeep_testing::{Endpoint, Fault, Provider, Proxy, Replies, Reply};

use crate::world::{CALLBACK, CLIENT, PATIENCE, World, come_back, refused, soon, until};

/// An answer of the test's own.
fn answer(body: &Value) -> Fault {
    Fault::Answer {
        status: 200,
        content_type: "application/json".into(),
        body: body.to_string(),
    }
}

async fn metadata(world: &World) -> Value {
    let document = reqwest::get(world.provider.metadata_url()).await;
    document.unwrap().json().await.unwrap()
}

/// The provider as one that has no metadata and knows no OpenID.
fn plain(world: &World, name: &str) -> Registration {
    let issuer = world.provider.issuer();
    Registration::oauth2(
        name,
        format!("{issuer}/authorize"),
        format!("{issuer}/token"),
    )
    .client_id(world.provider.client_id())
    .client_secret(world.provider.client_secret())
    .api_base_url(world.provider.api_base_url())
}

/// Logs somebody in at a client, without keeping it.
async fn login_at(world: &World, oauth: &tokenkeep::OAuth, client: &str) -> tokenkeep::Login {
    let client = oauth.client(client).unwrap();
    let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
    let callback = world.at_provider(&redirect, "alice").await;
    come_back(&client, &callback, &redirect.cookies)
        .await
        .unwrap()
}

/// W2: in Authlib a metadata document is keyword arguments of the HTTP session.
#[tokio::test]
async fn a_discovery_document_configures_nothing_of_ours() {
    let world = World::new().await;
    let mut metadata = metadata(&world).await;
    for (name, value) in [
        ("verify", json!(false)),
        ("proxies", json!({"https": "http://127.0.0.1:9"})),
        ("proxy", json!("http://127.0.0.1:9")),
        ("base_url", json!("http://127.0.0.1:9/")),
        ("headers", json!({"x-injected": "yes"})),
        ("scope", json!("admin")),
        ("client_id", json!("another")),
        ("client_secret", json!("another")),
        ("redirect_uri", json!("https://other.example/")),
        ("response_mode", json!("form_post")),
        ("prompt", json!("none")),
        ("token_placement", json!("uri")),
        ("leeway", json!(1_000_000_000)),
        ("authorize_params", json!({"x": "y"})),
    ] {
        metadata[name] = value;
    }
    world
        .provider
        .faults()
        .on(Endpoint::Discovery, answer(&metadata));
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
    let sent = |name: &str| {
        let mut pairs = redirect.url.query_pairs();
        pairs
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.into_owned())
    };
    assert_eq!(
        sent("client_id").as_deref(),
        Some(world.provider.client_id())
    );
    assert_eq!(sent("redirect_uri").as_deref(), Some(CALLBACK));
    assert_eq!(
        sent("scope").as_deref(),
        Some("openid offline_access email")
    );
    for absent in ["response_mode", "prompt", "x"] {
        assert_eq!(sent(absent), None, "{absent}");
    }
    // The login goes on to the same provider, with the client's own credentials, and so does a call.
    let callback = world.at_provider(&redirect, "alice").await;
    let login = come_back(&client, &callback, &redirect.cookies)
        .await
        .unwrap();
    oauth.keep_login(&login, "alice", None).await.unwrap();
    let echo: Value = client
        .owner("alice")
        .get("echo")
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(!echo.to_string().contains("x-injected"), "{echo}");
}

/// W43: Authlib believes a server's `expires_at` before its `expires_in`, and a fraction breaks it.
#[tokio::test]
async fn a_life_is_reckoned_from_expires_in_and_from_nothing_else() {
    for (life, seconds) in [(json!(3600), 3600), (json!("3599.5"), 3599)] {
        let world = World::new().await;
        let oauth = world
            .builder()
            .register(plain(&world, "plain"))
            .build()
            .unwrap();
        let said = json!({
            "access_token": "a", "token_type": "Bearer", "expires_in": life, "expires_at": 1,
        });
        world.provider.faults().on(Endpoint::Token, answer(&said));
        let before = world.now();
        let login = login_at(&world, &oauth, "plain").await;
        let until = login.token.expires_at().unwrap();
        let (low, high) = (before + Duration::from_secs(seconds), world.now());
        assert!(until >= low && until <= high + Duration::from_secs(3600));
    }
}

/// W11: Authlib leaves an ID token that nobody asked for in the token, without having looked at it.
#[tokio::test]
async fn an_id_token_that_nobody_asked_for_is_neither_believed_nor_kept() {
    let world = World::new().await;
    let oauth = world
        .builder()
        .register(plain(&world, "plain"))
        .build()
        .unwrap();
    let said = json!({"access_token": "a", "token_type": "Bearer", "id_token": "a.b.c"});
    world.provider.faults().on(Endpoint::Token, answer(&said));
    let login = login_at(&world, &oauth, "plain").await;
    assert!(login.claims.is_none() && login.token.id_token().is_none());
    refused(login.default_owner(), ErrorCode::OwnerUnknown);
}

/// W50: Authlib's API calls load the metadata first, also where every endpoint is known.
#[tokio::test]
async fn with_endpoints_by_hand_no_metadata_is_asked_for() {
    let world = World::new().await;
    world
        .provider
        .faults()
        .on(Endpoint::Discovery, Fault::ServerError(503));
    let issuer = world.provider.issuer();
    let by_hand = world
        .registration_named("by-hand")
        .authorize_url(format!("{issuer}/authorize"))
        .access_token_url(format!("{issuer}/token"))
        .jwks_uri(format!("{issuer}/jwks"))
        .api_base_url(world.provider.api_base_url());
    let oauth = world.builder().register(by_hand).build().unwrap();
    let login = login_at(&world, &oauth, "by-hand").await;
    oauth.keep_login(&login, "alice", None).await.unwrap();
    let client = oauth.client("by-hand").unwrap();
    for grant in [client.owner("alice"), client.app()] {
        assert_eq!(grant.get("me").await.unwrap().status(), 200);
    }
    let asked = world.provider.requests("/.well-known/openid-configuration");
    assert_eq!(asked, 0);
}

/// W53: Authlib refuses an ID token whose header has a member that it does not know.
#[tokio::test]
async fn an_unknown_member_of_a_header_is_passed_over_unless_it_is_critical() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let now = world.now().as_secs();
    let claims = json!({
        "iss": world.provider.issuer(), "aud": world.provider.client_id(), "sub": "alice",
        "iat": now, "exp": now + 60,
    });
    let mut header = world.provider.signing_header();
    header["client_id"] = "my-app".into();
    header["x5t#S256"] = "A".repeat(600).into();
    let parse = async |header: &Value| {
        let id_token = world.provider.sign(header, &claims);
        client
            .parse_id_token(&id_token, &IdTokenChecks::new())
            .await
    };
    assert_eq!(parse(&header).await.unwrap().subject(), "alice");
    header["crit"] = json!(["client_id"]);
    refused(parse(&header).await, ErrorCode::InvalidIdToken);
}

/// W54: in Authlib a second application inherits the secret of the first one, through a class attribute.
#[tokio::test]
async fn two_registries_share_nothing_of_a_registration() {
    let world = World::new().await;
    let shared = Registration::openid(CLIENT, world.provider.issuer());
    let build = |settings: &[(&str, &str)]| {
        world
            .bare(&world.store)
            .register(shared.clone())
            .config(Settings::from_iter(settings.iter().copied()))
            .build()
    };
    let first = build(&[
        ("OP_CLIENT_ID", world.provider.client_id()),
        ("OP_CLIENT_SECRET", world.provider.client_secret()),
        ("OP_CLIENT_KWARGS", "scope=openid+email"),
    ])
    .unwrap();
    refused(build(&[]), ErrorCode::InvalidConfiguration);
    let second = build(&[("OP_CLIENT_ID", "another")]).unwrap();
    let asked = async |oauth: &tokenkeep::OAuth| {
        let client = oauth.client(CLIENT).unwrap();
        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        redirect.url.query().unwrap().to_owned()
    };
    let sent = asked(&second).await;
    assert!(
        sent.contains("client_id=another") && !sent.contains("email"),
        "{sent}"
    );
    // What one of them replaces is replaced there.
    second.replace(shared.clone().client_id("third")).unwrap();
    assert!(asked(&second).await.contains("client_id=third"));
    assert!(asked(&first).await.contains("scope=openid+email"));
}

/// W57: Authlib reads `refresh_token_url` and `refresh_token_params`, and uses neither.
#[tokio::test]
async fn a_refresh_goes_to_its_own_address_with_its_own_parameters() {
    let fresh = json!({"access_token": "fresh", "token_type": "Bearer", "expires_in": 3600});
    let replies = Replies::new().on("POST", "/refresh", Reply::json(fresh));
    let world = World::new().await;
    let registration =
        Registration::oauth2("plain", "https://op.example/a", "https://op.example/t")
            .client_id("me");
    let settings = Settings::from_iter([
        ("PLAIN_REFRESH_TOKEN_URL", "https://op.example/refresh"),
        ("PLAIN_REFRESH_TOKEN_PARAMS", "audience=api"),
    ]);
    let oauth = world
        .bare(&world.store)
        .register(registration)
        .config(settings)
        .transport(replies.clone())
        .build()
        .unwrap();
    let token = Token::builder("old").refresh("r").build().unwrap();
    let key = TokenKey::new("plain", "alice").unwrap();
    assert!(oauth.adopt(key, token).await.unwrap());
    let grant = oauth.client("plain").unwrap().owner("alice");
    let token = grant.refresh().await.unwrap();
    assert_eq!(token.access_token().expose(), "fresh");
    let [request] = replies.requests().try_into().unwrap();
    assert_eq!(request.url.path(), "/refresh");
    assert_eq!(request.form("audience").as_deref(), Some("api"));
    assert_eq!(request.form("grant_type").as_deref(), Some("refresh_token"));
}

/// What each hook saw, in order.
#[derive(Clone)]
struct Named(&'static str, Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Hook for Named {
    async fn access_token_request(&self, _: &str, request: &mut TokenRequest) -> Result<()> {
        tokio::task::yield_now().await;
        let seen = request.parameter("note").unwrap_or("nothing").to_owned();
        self.1
            .lock()
            .unwrap()
            .push(format!("{} after {seen}", self.0));
        request.set("note", self.0);
        Ok(())
    }

    async fn protected_request(&self, _: &str, request: &mut reqwest::Request) -> Result<()> {
        let name = self.0.parse().unwrap();
        request.headers_mut().append("x-note", name);
        Ok(())
    }
}

/// W60: Authlib keeps hooks in a set, has none for the request of the first token, and cannot await one.
#[tokio::test]
async fn hooks_are_awaited_in_the_order_in_which_they_were_added() {
    let world = World::new().await;
    let seen = Arc::default();
    let named = |name| Named(name, Arc::clone(&seen));
    let builder = world.builder().hook(named("b")).hook(named("a"));
    let oauth = builder.hook(named("c")).build().unwrap();
    let grant = world.alice(&oauth).await;
    let order = ["b after nothing", "a after b", "c after a"];
    assert_eq!(*seen.lock().unwrap(), order);
    let echo: Value = grant.get("echo").await.unwrap().json().await.unwrap();
    assert_eq!(echo["headers"]["x-note"], "b, a, c");
}

/// W61: Authlib opens a session, and with it a connection, for every single call.
#[tokio::test]
async fn calls_in_a_row_share_a_connection() {
    let world = World::new().await;
    let proxy = Proxy::start(world.provider.address()).await.unwrap();
    let registration = world
        .registration()
        .api_base_url(format!("http://{}/api/", proxy.addr()));
    let oauth = world
        .bare(&world.store)
        .register(registration)
        .build()
        .unwrap();
    let grant = world.alice(&oauth).await;
    for _ in 0..20 {
        let me = grant.get("me").await.unwrap();
        assert_eq!(me.json::<Value>().await.unwrap()["sub"], "alice");
    }
    assert_eq!(world.provider.requests("/api/me"), 20);
    assert_eq!(proxy.traffic().connections, 1);
}

/// W44: Authlib's web clients have no refresh, no revocation and no introspection, and read none of the addresses.
#[tokio::test]
async fn what_the_metadata_names_introspects_and_revokes() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    grant.refresh().await.unwrap();
    let token = grant.token().await.unwrap();
    let known = grant.introspect().await.unwrap();
    assert!(known.is_active());
    assert_eq!(known.get("sub"), Some(&json!("alice")));
    grant.revoke().await.unwrap();
    assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
    until("the provider was told", async || {
        world.provider.lineages().iter().all(|line| line.revoked)
    })
    .await;
    let known = oauth.client(CLIENT).unwrap().introspect(&token).await;
    assert!(!known.unwrap().is_active());
}

/// Section 1.15: a userinfo endpoint that is not there is an error that says what to add.
#[tokio::test]
async fn without_a_userinfo_endpoint_the_error_names_it() {
    let world = World::new().await;
    let elsewhere = Provider::start().await.unwrap();
    let oauth = world
        .builder()
        .register(plain(&world, "plain"))
        .build()
        .unwrap();
    let token = Token::builder(elsewhere.issue("alice").access_token)
        .build()
        .unwrap();
    let asked = oauth.client("plain").unwrap();
    let error = refused(asked.userinfo(&token, None).await, ErrorCode::Unsupported);
    assert!(error.message().contains("call userinfo_url()"), "{error}");
    // 500 is a fault of ours, and this is none.
    assert_eq!(error.code().http_status(), 501);
    assert_eq!(error.client(), Some("plain"));
}

/// Section 1.16: without an end-session endpoint Authlib raises, and nobody is logged out.
#[tokio::test]
async fn without_an_end_session_endpoint_a_logout_ends_here_and_is_no_error() {
    let world = World::new().await;
    let mut metadata = metadata(&world).await;
    metadata["end_session_endpoint"] = Value::Null;
    world
        .provider
        .faults()
        .on(Endpoint::Discovery, answer(&metadata));
    let oauth = world.oauth();
    let session = world.log_in(&oauth, "alice").await.session.unwrap();
    let client = oauth.client(CLIENT).unwrap();
    assert!(client.logout_redirect().await.unwrap().is_none());
    let out = oauth.log_out(&session, None).await.unwrap();
    assert!(out.redirect.is_none() && !out.cookies.is_empty());
    assert!(!oauth.is_signed_in(&session).await.unwrap());
}

/// Section 1.23: in Authlib a resource (RFC 8707) is a free parameter, of which no token knows.
#[tokio::test]
async fn each_resource_has_a_token_of_its_own() {
    let world = World::new().await;
    let oauth = world.oauth();
    let app = oauth.client(CLIENT).unwrap().app();
    for _ in 0..2 {
        for resource in ["https://a.example/", "https://b.example/"] {
            let answer = app.clone().resource(resource).get("me").await;
            let me: Value = answer.unwrap().json().await.unwrap();
            assert_eq!(me["resources"], json!([resource]));
        }
    }
    assert_eq!(world.provider.token_requests("client_credentials"), 2);
}
