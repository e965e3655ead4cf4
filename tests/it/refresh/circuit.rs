//! A provider that is away: what the other grants of its client do meanwhile.

use std::{sync::Arc, time::Duration};

use tokenkeep::{ErrorCode, Grant, MemoryStore, OAuth, Registration, Token, TokenKey, TokenUpdate};
use tokenkeep_testing::{Endpoint, Fault, Gate, Replies, Reply};

use crate::world::{CLIENT, HandClock, Handle, World, refused, soon, told};

const PEOPLE: [&str; 8] = ["ann", "ben", "cem", "dan", "eve", "fay", "gus", "hal"];

async fn grants(world: &World, oauth: &OAuth) -> Vec<Grant> {
    let mut grants = Vec::new();
    for name in PEOPLE {
        world.log_in(oauth, name).await;
        grants.push(oauth.client(CLIENT).unwrap().owner(name));
    }
    grants
}

#[tokio::test]
async fn after_five_grants_without_an_answer_the_others_do_not_ask() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grants = grants(&world, &oauth).await;
    let mut updates = oauth.token_updates().unwrap();
    let rule = world
        .provider
        .faults()
        .on(Endpoint::Token, Fault::ServerError(503));
    for grant in &grants[..5] {
        refused(grant.refresh().await, ErrorCode::ProviderError);
    }
    assert_eq!(world.refreshes(), 5);
    let degraded = told(&mut updates);
    let degraded: Vec<_> = degraded
        .iter()
        .filter(|update| matches!(update, TokenUpdate::ProviderDegraded { .. }))
        .collect();
    assert_eq!(degraded.len(), 1);

    for grant in &grants[5..] {
        let before = grant.info().await.unwrap().unwrap();
        let error = refused(grant.refresh().await, ErrorCode::RefreshUnavailable);
        let wait = error.retry_after().unwrap();
        assert!(wait <= Duration::from_millis(6250), "{wait:?}");
        // Its record was not even looked at: what it has is served.
        assert_eq!(
            grant.info().await.unwrap().unwrap().generation,
            before.generation
        );
        assert_eq!(grant.get("me").await.unwrap().status(), 200);
    }
    assert_eq!(world.refreshes(), 5);

    // One asks, the others wait for what it hears.
    rule.off();
    let gate = Gate::new();
    let held = world
        .provider
        .faults()
        .on(Endpoint::Token, Fault::Hold(gate.clone()));
    world.advance(Duration::from_secs(7));
    let probe = tokio::spawn({
        let grant = grants[5].clone();
        async move { grant.refresh().await }
    });
    soon(gate.arrived(1)).await;
    held.off();
    refused(grants[6].refresh().await, ErrorCode::RefreshUnavailable);
    assert_eq!(world.refreshes(), 6);
    gate.open();
    soon(probe).await.unwrap().unwrap();
    for grant in &grants[6..] {
        grant.refresh().await.unwrap();
    }
}

#[tokio::test]
async fn a_service_that_says_it_is_away_is_left_alone_for_as_long() {
    let away = Reply::status(503).header("retry-after", "120");
    let token = serde_json::json!({"access_token": "new", "token_type": "bearer"});
    let replies =
        Replies::new()
            .on("POST", "/token", away)
            .on("POST", "/token", Reply::json(token));
    let clock = Arc::new(HandClock::default());
    let registration =
        Registration::oauth2(CLIENT, "https://op.example/a", "https://op.example/token");
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .clock(Handle(Arc::clone(&clock)))
        .register(registration.client_id("id"))
        .transport(replies.clone())
        .build()
        .unwrap();
    for name in PEOPLE {
        let token = Token::builder("old").refresh(format!("of {name}"));
        let key = TokenKey::new(CLIENT, name).unwrap();
        oauth.adopt(key, token.build().unwrap()).await.unwrap();
    }
    let grant = |name| oauth.client(CLIENT).unwrap().owner(name);
    refused(grant("ann").refresh().await, ErrorCode::ProviderError);
    for name in &PEOPLE[1..] {
        let error = refused(grant(name).refresh().await, ErrorCode::RefreshUnavailable);
        let wait = error.retry_after().unwrap();
        assert!(
            wait > Duration::from_secs(60) && wait <= Duration::from_secs(150),
            "{wait:?}"
        );
        assert_eq!(
            grant(name).token().await.unwrap().access_token().expose(),
            "old"
        );
    }
    assert_eq!(replies.requests().len(), 1);
    clock.advance(Duration::from_secs(150));
    let token = grant("ben").refresh().await.unwrap();
    assert_eq!(token.access_token().expose(), "new");
    grant("cem").refresh().await.unwrap();
    assert_eq!(replies.requests().len(), 3);
}

#[tokio::test]
async fn another_client_is_another_matter_and_a_new_registration_a_new_start() {
    let world = World::new().await;
    let oauth = world.oauth();
    oauth
        .register(
            world
                .registration_named("other")
                .scopes(["openid", "offline_access"]),
        )
        .unwrap();
    let grants = grants(&world, &oauth).await;
    let token = world.login(&oauth, "ann").await.unwrap().token;
    let other = TokenKey::new("other", "ann").unwrap();
    oauth.adopt(other, token).await.unwrap();
    let rule = world
        .provider
        .faults()
        .on(Endpoint::Token, Fault::ServerError(500));
    for grant in &grants[..5] {
        refused(grant.refresh().await, ErrorCode::ProviderError);
    }
    rule.off();
    refused(grants[5].refresh().await, ErrorCode::RefreshUnavailable);
    oauth
        .client("other")
        .unwrap()
        .owner("ann")
        .refresh()
        .await
        .unwrap();
    oauth.replace(world.registration()).unwrap();
    grants[5].refresh().await.unwrap();
}

/// A provider that wants to see one user again, or whose tenant blocks the application, says so of one grant.
#[tokio::test]
async fn a_refusal_of_one_user_keeps_no_other_waiting_until_five_were_refused() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grants = grants(&world, &oauth).await;
    let refusal = Fault::Answer {
        status: 400,
        content_type: "application/json".into(),
        body: r#"{"error":"interaction_required"}"#.into(),
    };
    let on = || world.provider.faults().on(Endpoint::Token, refusal.clone());
    let rule = on();
    refused(grants[0].refresh().await, ErrorCode::ProviderError);
    rule.off();
    for grant in &grants[1..] {
        grant.refresh().await.unwrap();
    }
    // The one that was refused waits.
    let asked = world.refreshes();
    refused(grants[0].refresh().await, ErrorCode::ProviderError);
    assert_eq!(world.refreshes(), asked);
    world.advance(Duration::from_secs(6));
    grants[0].refresh().await.unwrap();

    let rule = on();
    for grant in &grants[..5] {
        refused(grant.refresh().await, ErrorCode::ProviderError);
    }
    rule.off();
    let asked = world.refreshes();
    refused(grants[5].refresh().await, ErrorCode::ProviderError);
    assert_eq!(world.refreshes(), asked);
}
