//! The application's own tokens: client credentials, one request for the fleet.

use tokenkeep::{
    Action, ErrorCode, Grant, OAuth, Timestamp, Token, TokenKey,
    store::{Expected, FetchToken, UpdateToken, Version},
};
use tokenkeep_testing::{Endpoint, Fault, Provider};

use crate::world::{CLIENT, World, next, on_every_store, refused, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_the_application_is_asked_for_once_by_the_whole_fleet() {
    on_every_store(Provider::builder, async |world| {
        let (one, two) = (world.oauth(), world.second().await);
        let asked = || world.provider.token_requests("client_credentials");
        let crowd = async || {
            let mut generations = Vec::new();
            let callers: Vec<_> = (0..40)
                .map(|n| {
                    let oauth = if n % 2 == 0 { &one } else { &two.0 };
                    let app = oauth.client(CLIENT).unwrap().app();
                    tokio::spawn(async move { app.token().await })
                })
                .collect();
            for caller in callers {
                generations.push(soon(caller).await.unwrap().unwrap().generation());
            }
            generations.dedup();
            assert_eq!(generations.len(), 1);
            generations[0]
        };
        let first = crowd().await;
        assert_eq!(asked(), 1);
        assert_eq!(crowd().await, first, "kept");
        assert_eq!(asked(), 1);
        world.advance(std::time::Duration::from_secs(301));
        let second = crowd().await;
        assert_eq!(second, first + 1);
        assert_eq!(asked(), 2);

        let answer = one.client(CLIENT).unwrap().app().get("me").await.unwrap();
        assert_eq!(answer.status(), 200);
    })
    .await;
}

#[tokio::test]
async fn tokens_for_two_targets_stand_side_by_side() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let app = oauth.client(CLIENT).unwrap().app();
        let invoices = app.clone().scopes(["invoices"]);
        let orders = app.clone().scopes(["orders"]);
        for _ in 0..2 {
            for (grant, path, other) in [
                (&invoices, "scope/invoices", "scope/orders"),
                (&orders, "scope/orders", "scope/invoices"),
            ] {
                assert_eq!(grant.get(path).await.unwrap().status(), 200);
                refused(grant.get(other).await, ErrorCode::InsufficientScope);
            }
        }
        assert_eq!(world.provider.token_requests("client_credentials"), 2);
        let (one, two) = tokio::join!(invoices.refresh(), orders.refresh());
        let both = [one, two];
        assert!(both.iter().all(Result::is_ok), "{both:?}");
        assert_eq!(world.provider.token_requests("client_credentials"), 4);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_the_provider_refuses_is_to_be_configured() {
    on_every_store(Provider::builder, async |world| {
        let registration = world.registration().client_secret("another");
        let oauth = world
            .bare(&world.store)
            .register(registration)
            .build()
            .unwrap();
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let app = oauth.client(CLIENT).unwrap().app();
        let error = refused(app.token().await, ErrorCode::ProviderError);
        assert_eq!(error.action(), &Action::Configure);
        let said = error.provider().unwrap();
        assert_eq!(said.error.as_deref(), Some("invalid_client"));
        assert_eq!(next(&mut updates).await.kind(), "provider_degraded");
    })
    .await;
}

#[tokio::test]
async fn a_throttled_application_waits() {
    let world = World::new().await;
    let oauth = world.oauth();
    let app = oauth.client(CLIENT).unwrap().app();
    let wait = std::time::Duration::from_secs(7);
    let fault = Fault::TooManyRequests {
        retry_after: Some(wait),
    };
    world.provider.faults().on(Endpoint::Token, fault).times(1);
    assert_eq!(
        refused(app.token().await, ErrorCode::ProviderError).retry_after(),
        Some(wait)
    );
    refused(app.token().await, ErrorCode::RefreshUnavailable);
    assert_eq!(world.provider.token_requests("client_credentials"), 1);
    world.advance(wait);
    app.token().await.unwrap();
}

/// Whoever can write the store, but has no key, makes a user's grant look as if it could be renewed.
#[tokio::test]
async fn no_user_is_given_the_application_s_own_token() {
    on_every_store(Provider::builder, async |world| {
        let key = TokenKey::new(CLIENT, "mallory").unwrap();
        let token = Token::builder("over")
            .expires_at(Timestamp::from_secs(1))
            .build()
            .unwrap();
        assert!(world.oauth().adopt(key.clone(), token).await.unwrap());

        let store = world.another_store().await;
        let mut record = store.fetch_token(&key).await.unwrap().record.unwrap();
        let (expected, mut body) = (record.version, record.body.split_off(8));
        let length = u32::from_be_bytes(record.body[4..].try_into().unwrap());
        let payload = body.split_off(length as usize);
        let mut header: serde_json::Value = serde_json::from_slice(&body).unwrap();
        header["refreshable"] = true.into();
        header["client_credentials"] = true.into();
        let header = serde_json::to_vec(&header).unwrap();
        record.body.truncate(4);
        record
            .body
            .extend_from_slice(&(header.len() as u32).to_be_bytes());
        record.body.extend_from_slice(&header);
        record.body.extend_from_slice(&payload);
        record.version = Version::random();
        store
            .update_token(&key, &record, Expected::Version(expected))
            .await
            .unwrap();

        let mallory = world.oauth().client(CLIENT).unwrap().owner("mallory");
        assert!(mallory.info().await.unwrap().unwrap().refreshable);
        refused(soon(mallory.token()).await, ErrorCode::LoginRequired);
        refused(soon(mallory.refresh()).await, ErrorCode::LoginRequired);
        assert_eq!(world.provider.token_requests("client_credentials"), 0);
    })
    .await;
}

/// The application's own grant, with what another program kept of it: over, with this refresh token.
async fn adopted(world: &World, oauth: &OAuth, refresh_token: Option<&str>) -> Grant {
    let token = Token::builder("over")
        .maybe_refresh(refresh_token)
        .expires_at(Timestamp::from_secs(1))
        .build()
        .unwrap();
    let key = TokenKey::app(CLIENT).unwrap();
    assert!(oauth.adopt(key, token).await.unwrap());
    assert_eq!(world.provider.token_requests("client_credentials"), 0);
    oauth.client(CLIENT).unwrap().app()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_of_the_application_that_is_refused_or_missing_costs_one_request_by_its_grant()
 {
    for refresh_token in [Some("rt-of-nobody"), None] {
        on_every_store(Provider::builder, async |world| {
            let (one, two) = (world.oauth(), world.second().await);
            let mut updates = one.token_updates().unwrap();
            adopted(world, &one, refresh_token).await;
            let callers: Vec<_> = (0..20)
                .map(|n| {
                    let oauth = if n % 2 == 0 { &one } else { &two.0 };
                    let app = oauth.client(CLIENT).unwrap().app();
                    tokio::spawn(async move { app.token().await })
                })
                .collect();
            let mut tokens = Vec::new();
            for caller in callers {
                let token = soon(caller).await.unwrap().unwrap();
                assert!(token.refresh_token().is_none(), "it is dropped");
                tokens.push(token.generation());
            }
            tokens.dedup();
            assert_eq!(tokens.len(), 1);
            let asked = |grant| world.provider.token_requests(grant);
            let refreshed = u64::from(refresh_token.is_some());
            assert_eq!(asked("refresh_token"), refreshed);
            assert_eq!(asked("client_credentials"), 1);
            // Nobody is told to log in, for nobody could.
            let kinds = [next(&mut updates).await, next(&mut updates).await];
            assert_eq!(kinds.map(|update| update.kind()), ["issued", "refreshed"]);
            // From here on it is a grant like any other of the application.
            world.advance(std::time::Duration::from_secs(301));
            let app = one.client(CLIENT).unwrap().app();
            assert_eq!(app.get("me").await.unwrap().status(), 200);
            assert_eq!(asked("refresh_token"), refreshed);
            assert_eq!(asked("client_credentials"), 2);
        })
        .await;
    }
}

#[tokio::test]
async fn a_refresh_token_that_a_provider_gives_the_application_is_used_until_it_is_refused() {
    let world = World::new().await;
    let oauth = world.oauth();
    let app = oauth.client(CLIENT).unwrap().app();
    let answer = Fault::Answer {
        status: 200,
        content_type: "application/json".into(),
        body: r#"{"access_token":"first","token_type":"Bearer","expires_in":60,"refresh_token":"rt-of-nobody"}"#
            .into(),
    };
    world.provider.faults().on(Endpoint::Token, answer).times(1);
    assert_eq!(app.token().await.unwrap().access_token().expose(), "first");
    world.advance(std::time::Duration::from_secs(61));
    let renewed = app.token().await.unwrap();
    assert_ne!(renewed.access_token().expose(), "first");
    assert_eq!(world.provider.token_requests("refresh_token"), 1);
    assert_eq!(world.provider.token_requests("client_credentials"), 2);
}

/// What was issued to another client id is no use to this one, and nobody can log in for it.
#[tokio::test]
async fn another_registration_asks_anew_for_the_application() {
    let world = World::new().await;
    let other = world.registration().client_id("before");
    let before = world.bare(&world.store).register(other).build().unwrap();
    adopted(&world, &before, Some("rt-of-before")).await;
    let app = world.oauth().client(CLIENT).unwrap().app();
    app.token().await.unwrap();
    assert_eq!(world.provider.token_requests("refresh_token"), 0);
    assert_eq!(world.provider.token_requests("client_credentials"), 1);
}

/// A client that may not ask by its own grant is told so, and keeps what it has.
#[tokio::test]
async fn a_grant_that_the_provider_gives_no_application_is_a_matter_of_configuration() {
    let world = World::new().await;
    let oauth = world.oauth();
    let app = adopted(&world, &oauth, Some("rt-of-nobody")).await;
    let refused_grant = Fault::Answer {
        status: 400,
        content_type: "application/json".into(),
        body: r#"{"error":"unauthorized_client"}"#.into(),
    };
    let gone = Fault::Answer {
        status: 400,
        content_type: "application/json".into(),
        body: r#"{"error":"invalid_grant"}"#.into(),
    };
    world.provider.faults().on(Endpoint::Token, gone).times(1);
    world
        .provider
        .faults()
        .on(Endpoint::Token, refused_grant)
        .times(1);
    let error = refused(app.token().await, ErrorCode::ProviderError);
    assert_eq!(error.action(), &Action::Configure);
    let said = error.provider().unwrap().error.as_deref();
    assert_eq!(said, Some("unauthorized_client"));
}
