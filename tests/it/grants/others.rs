//! Passwords, token exchange, and grants that tokenkeep does not know.

use tokenkeep::{
    Client, ErrorCode, Hook, LoginKept, MemoryStore, OAuth, Registration, Result, TokenKind,
    TokenRequest,
};
use tokenkeep_testing::{Endpoint, Fault, IdTokenFault, Provider, Replies, Reply};

use crate::{
    kind::Kind,
    world::{CLIENT, World, alice, next_of, refused},
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

async fn with_users() -> (World, OAuth, Client) {
    let provider = Provider::builder().user("alice", "correct horse battery");
    let world = World::over(Kind::Memory, provider).await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    (world, oauth, client)
}

#[tokio::test]
async fn a_user_logs_in_by_name_and_password_where_nothing_better_is_there() {
    let (world, oauth, client) = with_users().await;
    let mut updates = oauth.token_updates().unwrap();
    let request = client.legacy_password_login("alice", "correct horse battery");
    let shown = format!("{request:?}");
    assert!(
        !shown.contains("horse") && !shown.contains("alice"),
        "{shown}"
    );
    let login = request.await.unwrap();
    assert_eq!(login.subject(), Some("alice"));
    let grant = oauth.keep_grant(&login, "alice").await.unwrap();
    next_of(&mut updates, "issued").await;
    grant.refresh().await.unwrap();
    assert_eq!(world.refreshes(), 1);
    assert!(
        oauth
            .grants("alice")
            .await
            .unwrap()
            .iter()
            .all(|info| info.key.is_account()),
        "no session began"
    );

    for (name, password) in [
        ("alice", "wrong"),
        ("nobody", "correct horse battery"),
        ("", ""),
    ] {
        let error = refused(
            client.legacy_password_login(name, password).await,
            ErrorCode::ProviderError,
        );
        assert_eq!(error.client(), Some(CLIENT));
        assert!(!format!("{error:?}").contains("horse"));
    }
    // Also where the provider says everything again.
    let echo = Fault::Answer {
        status: 400,
        content_type: "application/json".into(),
        body: r#"{"error":"invalid_grant","error_description":"not correct horse battery"}"#.into(),
    };
    world.provider.faults().on(Endpoint::Token, echo).times(1);
    let error = refused(
        client
            .legacy_password_login("alice", "correct horse battery")
            .await,
        ErrorCode::ProviderError,
    );
    assert!(
        !format!("{error:?} {error}").contains("correct horse"),
        "{error:?}"
    );
    // A browser session may follow, if the application wants one.
    let login = client
        .legacy_password_login("alice", "correct horse battery")
        .await
        .unwrap();
    assert!(
        oauth
            .keep_login(&login, "alice", None)
            .await
            .unwrap()
            .session
            .is_some()
    );
    // And the request before says nothing of the next one.
    let login = world.login(&oauth, "alice").await.unwrap();
    assert_eq!(login.subject(), Some("alice"));
}

#[tokio::test]
async fn an_id_token_beside_any_grant_is_validated() {
    let (world, _, client) = with_users().await;
    for (spoilt, code) in [
        (IdTokenFault::WrongSignature, ErrorCode::InvalidSignature),
        (IdTokenFault::WrongIssuer, ErrorCode::IssuerMismatch),
        (IdTokenFault::WrongAtHash, ErrorCode::InvalidHash),
    ] {
        let faults = world.provider.faults();
        faults.on(Endpoint::Token, Fault::IdToken(spoilt)).times(1);
        let login = client
            .legacy_password_login("alice", "correct horse battery")
            .await;
        refused(login, code);
    }
}

/// Refuses whoever is not alice.
struct OnlyAlice;

#[async_trait::async_trait]
impl Hook for OnlyAlice {
    async fn before_login_kept(&self, login: &LoginKept<'_>) -> Result<()> {
        if login.owner == "alice" {
            return Ok(());
        }
        Err(tokenkeep::Error::new(
            ErrorCode::OwnerRefused,
            tokenkeep::Phase::Owner,
            "not you",
        ))
    }

    async fn access_token_request(&self, _: &str, request: &mut TokenRequest) -> Result<()> {
        request.set("seen", "by the hook");
        Ok(())
    }
}

#[tokio::test]
async fn the_application_s_hooks_take_part() {
    let (world, ..) = with_users().await;
    let oauth = world.builder().hook(OnlyAlice).build().unwrap();
    let client = oauth.client(CLIENT).unwrap();
    let login = client
        .legacy_password_login("alice", "correct horse battery")
        .await
        .unwrap();
    refused(
        oauth.keep_grant(&login, "bob").await,
        ErrorCode::OwnerRefused,
    );
    refused(client.owner("bob").token().await, ErrorCode::LoginRequired);
    oauth.keep_grant(&login, "alice").await.unwrap();
    refused(
        oauth.keep_grant(&login, "a\nb").await,
        ErrorCode::InvalidKey,
    );
}

#[tokio::test]
async fn a_login_that_connects_an_account_is_not_kept_without_its_session() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let redirect = client
        .authorize_redirect(crate::world::CALLBACK)
        .connect("bob")
        .await
        .unwrap();
    let callback = world.at_provider(&redirect, "alice").await;
    let login = crate::world::come_back(&client, &callback, &redirect.cookies)
        .await
        .unwrap();
    refused(
        oauth.keep_grant(&login, "bob").await,
        ErrorCode::UserChanged,
    );
}

#[tokio::test]
async fn a_token_is_exchanged_for_another_service() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let users = world.alice(&oauth).await.token().await.unwrap();
    let robot = client.app().token().await.unwrap();
    let exchanged = client
        .token_exchange(users.access_token().clone(), TokenKind::AccessToken)
        .actor(robot.access_token().clone(), TokenKind::AccessToken)
        .requested(TokenKind::AccessToken)
        .audience("inventory")
        .resource("https://api.example/")
        .scopes(["inventory.read"])
        .await
        .unwrap();
    assert_eq!(exchanged.kind, TokenKind::AccessToken);
    let call = client.request_with(
        &exchanged.login.token,
        reqwest::Method::GET,
        "scope/inventory.read",
    );
    assert_eq!(call.send().await.unwrap().status(), 200);
    let grant = oauth
        .keep_grant(&exchanged.login, "inventory")
        .await
        .unwrap();
    assert_eq!(
        grant.get("scope/inventory.read").await.unwrap().status(),
        200
    );
    // It cannot be renewed, and nobody pretends that it could.
    refused(grant.refresh().await, ErrorCode::LoginRequired);
    assert_eq!(world.provider.token_requests(EXCHANGE), 1);

    let id_token = client
        .token_exchange(users.access_token().clone(), TokenKind::AccessToken)
        .requested(TokenKind::IdToken)
        .await
        .unwrap();
    assert_eq!(id_token.kind, TokenKind::IdToken);
    let no_token = oauth.keep_grant(&id_token.login, "alice").await;
    refused(no_token, ErrorCode::InvalidToken);
}

#[tokio::test]
async fn a_token_of_another_kind_than_asked_for_is_refused() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let users = world.alice(&oauth).await.token().await.unwrap();
    let exchange = || {
        let token = users.access_token().clone();
        client
            .token_exchange(token, TokenKind::AccessToken)
            .requested(TokenKind::AccessToken)
    };
    for issued in [
        "",
        r#","issued_token_type":null"#,
        r#","issued_token_type":"urn:ietf:params:oauth:token-type:id_token""#,
        r#","issued_token_type":7"#,
    ] {
        let answer = Fault::Answer {
            status: 200,
            content_type: "application/json".into(),
            body: format!(r#"{{"access_token":"a","token_type":"Bearer"{issued}}}"#),
        };
        let faults = world.provider.faults();
        let rule = faults
            .on(Endpoint::Token, answer)
            .for_grant_type(EXCHANGE)
            .times(1);
        refused(exchange().await, ErrorCode::ProviderError);
        assert_eq!(rule.fired(), 1);
    }
    // A type without a use is one of this grant only.
    let no_use = Fault::Answer {
        status: 200,
        content_type: "application/json".into(),
        body: r#"{"access_token":"a","token_type":"N_A"}"#.into(),
    };
    world.provider.faults().on(Endpoint::Token, no_use).times(1);
    let assertion = client.assertion_grant("an assertion");
    refused(assertion.await, ErrorCode::ProviderError);
    let foreign = client
        .token_exchange("another token", TokenKind::AccessToken)
        .await;
    let error = refused(foreign, ErrorCode::ProviderError);
    assert_eq!(
        error.provider().unwrap().error.as_deref(),
        Some("invalid_request")
    );
}

#[tokio::test]
async fn any_grant_is_asked_for_by_its_name_and_parameters() {
    let token =
        serde_json::json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "r"});
    let replies = Replies::new().on("POST", "https://op.example/token", Reply::json(token));
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .register(
            Registration::oauth2(CLIENT, "https://op.example/a", "https://op.example/token")
                .client_id("app")
                .access_token_params([("tenant", "registered"), ("region", "eu")]),
        )
        .transport(replies.clone())
        .build()
        .unwrap();
    let client = oauth.client(CLIENT).unwrap();
    let login = client
        .extension_grant("urn:example:magic")
        .parameter("spell", "abracadabra")
        .parameter("tenant", "called")
        .scopes(["a", "b"])
        .resource("https://api.example/")
        .await
        .unwrap();
    let sent = replies.requests().pop().unwrap();
    for (name, value) in [
        ("grant_type", "urn:example:magic"),
        ("spell", "abracadabra"),
        ("tenant", "called"),
        ("region", "eu"),
        ("scope", "a b"),
        ("resource", "https://api.example/"),
        ("client_id", "app"),
    ] {
        assert_eq!(sent.form(name).as_deref(), Some(value));
    }
    oauth.keep_grant(&login, "alice").await.unwrap();
    alice(&oauth).refresh().await.unwrap();
    let refresh = replies.requests().pop().unwrap();
    assert_eq!(refresh.form("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(refresh.form("refresh_token").as_deref(), Some("r"));
    assert_eq!(refresh.form("spell"), None, "nothing sticks");

    let asked = replies.requests().len();
    for name in [
        "grant_type",
        "client_id",
        "client_secret",
        "client_assertion",
        "scope",
    ] {
        let request = client
            .extension_grant("urn:example:magic")
            .parameter(name, "mine");
        let error = refused(request.await, ErrorCode::InvalidParameter);
        assert!(error.message().contains(name));
    }
    let password = client
        .legacy_password_login("a", "b")
        .parameter("password", "c");
    refused(password.await, ErrorCode::InvalidParameter);
    refused(
        client.extension_grant(" ").await,
        ErrorCode::InvalidParameter,
    );
    refused(
        client.extension_grant("x").scopes(["a b"]).await,
        ErrorCode::InvalidParameter,
    );
    assert_eq!(replies.requests().len(), asked, "nothing was sent");
}

/// What stands in a request and in no specification may be a secret all the same.
#[tokio::test]
async fn no_error_repeats_who_asked_or_what_only_the_application_knows() {
    let said = |error: &str, description: &str| {
        let body = serde_json::json!({"error": error, "error_description": description});
        Reply::json(body).with_status(400)
    };
    let replies = Replies::new()
        .on(
            "POST",
            "https://op.example/token",
            said("invalid_grant", "no user alice@example.com"),
        )
        .on(
            "POST",
            "https://op.example/token",
            said("wrong_pin", "the pin 4711 of cat+food is wrong"),
        )
        .on(
            "POST",
            "https://op.example/token",
            said("invalid_grant", "grant"),
        );
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .register(
            Registration::oauth2(CLIENT, "https://op.example/a", "https://op.example/token")
                .client_id("app"),
        )
        .transport(replies.clone())
        .build()
        .unwrap();
    let client = oauth.client(CLIENT).unwrap();
    let shown = |error: &tokenkeep::Error| {
        let said = error.provider().unwrap();
        (
            said.error.clone().unwrap(),
            said.description.clone().unwrap(),
        )
    };
    let login = client.legacy_password_login("alice@example.com", "x");
    let error = refused(login.await, ErrorCode::ProviderError);
    assert_eq!(shown(&error).1, "no user [secret]");
    let magic = client
        .extension_grant("urn:example:magic")
        .parameter("pin", "4711")
        .parameter("spell", "cat food");
    let error = refused(magic.await, ErrorCode::ProviderError);
    assert_eq!(shown(&error).1, "the pin [secret] of [secret] is wrong");
    // A name of the protocol's is no echo.
    let login = client.legacy_password_login("alice", "grant");
    let error = refused(login.await, ErrorCode::ProviderError);
    assert_eq!(shown(&error), ("invalid_grant".into(), "[secret]".into()));
    assert!(!format!("{error:?}").contains("[secret]_"), "{error:?}");
}
