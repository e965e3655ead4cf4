//! Logging in by a code that is typed elsewhere (RFC 8628).

use std::time::Duration;

use tokenkeep::{DeviceLogin, ErrorCode, Login, OAuth, Registration, Result, Upkeep};
use tokenkeep_testing::{Endpoint, Fault, Gate, IdTokenFault, Provider};

use crate::world::{CLIENT, World, alice, next_of, on_every_store, refused, soon, until};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn begin(oauth: &OAuth) -> DeviceLogin {
    let client = oauth.client(CLIENT).unwrap();
    client.device_login().await.unwrap()
}

fn questions(world: &World) -> u64 {
    world.provider.token_requests(GRANT)
}

/// Waits, while time goes by as quickly as the waiting allows.
async fn wait(world: &World, device: &mut DeviceLogin) -> Result<Login> {
    let mut waited = std::pin::pin!(device.wait());
    loop {
        tokio::select! {
            login = &mut waited => return login,
            () = tokio::time::sleep(Duration::from_millis(20)) => world.advance(Duration::from_secs(1)),
        }
    }
}

/// Lets seconds go by one by one, while somebody waits.
async fn pass(world: &World, seconds: u64, device: &mut DeviceLogin) {
    let mut waited = std::pin::pin!(device.wait());
    for _ in 0..seconds {
        world.advance(Duration::from_secs(1));
        tokio::select! {
            login = &mut waited => panic!("it ended: {login:?}"),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_types_a_code_and_the_grant_is_kept_and_renewed_like_any_other() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let mut device = begin(&oauth).await;
        assert!(device.verification_uri().as_str().ends_with("/device"));
        let complete = device.verification_uri_complete().unwrap().as_str();
        assert!(complete.contains(device.user_code()));
        assert!(device.expires_at() > world.now());
        let shown = format!("{device:?}");
        assert!(!shown.contains(device.user_code()), "{shown}");

        pass(world, 12, &mut device).await;
        assert!((2..=3).contains(&questions(world)), "{}", questions(world));
        assert!(world.provider.approve_device(device.user_code(), "alice"));
        let login = wait(world, &mut device).await.unwrap();
        assert_eq!(login.subject(), Some("alice"), "the ID token was validated");
        refused(alice(&oauth).token().await, ErrorCode::LoginRequired);

        let grant = oauth.keep_grant(&login, "alice").await.unwrap();
        next_of(&mut updates, "issued").await;
        assert_eq!(grant.get("me").await.unwrap().status(), 200);
        let before = grant.token().await.unwrap().generation();
        world.advance(Duration::from_secs(301));
        assert_eq!(grant.get("me").await.unwrap().status(), 200);
        assert_eq!(grant.token().await.unwrap().generation(), before + 1);
        assert_eq!(world.refreshes(), 1);
        // Another process has it, too.
        let (second, _) = world.second().await;
        assert_eq!(alice(&second).get("me").await.unwrap().status(), 200);
        // And a code is good once.
        refused(device.wait().await, ErrorCode::FlowExpired);
    })
    .await;
}

#[tokio::test]
async fn who_asks_too_often_slows_down_by_five_seconds() {
    let world = World::new().await;
    let mut device = begin(&world.oauth()).await;
    let slow = Fault::Answer {
        status: 400,
        content_type: "application/json".into(),
        body: r#"{"error":"slow_down"}"#.into(),
    };
    world.provider.faults().on(Endpoint::Token, slow).times(1);
    pass(&world, 7, &mut device).await;
    assert_eq!(questions(&world), 1);
    pass(&world, 5, &mut device).await;
    assert_eq!(questions(&world), 1, "ten seconds from now on");
    pass(&world, 6, &mut device).await;
    assert_eq!(questions(&world), 2);
    pass(&world, 5, &mut device).await;
    assert_eq!(questions(&world), 2, "and it stays so");
    assert!(world.provider.approve_device(device.user_code(), "alice"));
    wait(&world, &mut device).await.unwrap();
}

#[tokio::test]
async fn a_refusal_and_the_end_of_the_code_have_codes_of_their_own() {
    let world = World::new().await;
    let oauth = world.oauth();
    let mut device = begin(&oauth).await;
    assert!(world.provider.deny_device(device.user_code()));
    let error = refused(wait(&world, &mut device).await, ErrorCode::AccessDenied);
    assert_eq!(error.client(), Some(CLIENT));
    refused(device.wait().await, ErrorCode::FlowExpired);

    let mut device = begin(&oauth).await;
    let asked = questions(&world);
    let waited = tokio::spawn(async move { device.wait().await.map(drop) });
    until("it waits", async || world.clock.ahead() > Duration::ZERO).await;
    for _ in 0..130 {
        // Ours alone: whatever the provider goes on to say.
        world.clock.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    refused(soon(waited).await.unwrap(), ErrorCode::FlowExpired);
    assert!(questions(&world) - asked <= 121, "bounded by its life");

    // The provider says so itself where its clock is ahead of ours.
    let mut device = begin(&oauth).await;
    world.provider.advance(Duration::from_secs(601));
    refused(wait(&world, &mut device).await, ErrorCode::FlowExpired);
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_asked_less_and_less_and_not_given_up() {
    let world = World::new().await;
    let mut device = begin(&world.oauth()).await;
    let faults = world.provider.faults();
    faults.on(Endpoint::Token, Fault::DropBefore).times(1);
    faults.on(Endpoint::Token, Fault::ServerError(503)).times(1);
    pass(&world, 7, &mut device).await;
    assert_eq!(questions(&world), 1);
    pass(&world, 5, &mut device).await;
    assert_eq!(questions(&world), 1, "ten seconds");
    pass(&world, 6, &mut device).await;
    assert_eq!(questions(&world), 2);
    pass(&world, 12, &mut device).await;
    assert_eq!(questions(&world), 2, "twenty");
    let later = Fault::TooManyRequests {
        retry_after: Some(Duration::from_secs(90)),
    };
    faults.on(Endpoint::Token, later).times(1);
    pass(&world, 9, &mut device).await;
    assert_eq!(questions(&world), 3);
    pass(&world, 70, &mut device).await;
    assert_eq!(questions(&world), 3, "as the provider says");
    assert!(world.provider.approve_device(device.user_code(), "alice"));
    wait(&world, &mut device).await.unwrap();
    assert_eq!(questions(&world), 4);
}

#[tokio::test]
async fn whoever_stops_waiting_loses_nothing() {
    let world = World::new().await;
    let mut device = begin(&world.oauth()).await;
    let gate = Gate::new();
    world
        .provider
        .faults()
        .on(Endpoint::Token, Fault::Hold(gate.clone()))
        .times(1)
        .after_processing();
    assert!(world.provider.approve_device(device.user_code(), "alice"));
    // The token is issued, and its answer on the way, when the waiting ends.
    pass(&world, 6, &mut device).await;
    soon(gate.arrived(1)).await;
    gate.open();
    let login = soon(device.wait()).await.unwrap();
    assert_eq!(login.subject(), Some("alice"));
    assert_eq!(questions(&world), 1);
}

#[tokio::test]
async fn what_stands_beside_the_token_is_validated() {
    let world = World::new().await;
    let oauth = world.oauth();
    for (spoilt, code) in [
        (IdTokenFault::WrongSignature, ErrorCode::InvalidSignature),
        (IdTokenFault::WrongAudience, ErrorCode::InvalidAudience),
        (IdTokenFault::WrongAtHash, ErrorCode::InvalidHash),
        (IdTokenFault::Expired, ErrorCode::InvalidIdToken),
    ] {
        let mut device = begin(&oauth).await;
        let faults = world.provider.faults();
        faults.on(Endpoint::Token, Fault::IdToken(spoilt)).times(1);
        assert!(world.provider.approve_device(device.user_code(), "alice"));
        refused(wait(&world, &mut device).await, code);
    }
    let without = Fault::Answer {
        status: 200,
        content_type: "application/json".into(),
        body: r#"{"access_token":"a","token_type":"Bearer"}"#.into(),
    };
    let mut device = begin(&oauth).await;
    world
        .provider
        .faults()
        .on(Endpoint::Token, without)
        .times(1);
    refused(wait(&world, &mut device).await, ErrorCode::MissingIdToken);
    // Without `openid` nobody said who it is.
    let client = oauth.client(CLIENT).unwrap();
    let mut device = client.device_login().scopes(["email"]).await.unwrap();
    assert!(world.provider.approve_device(device.user_code(), "alice"));
    let login = wait(&world, &mut device).await.unwrap();
    assert_eq!(login.scopes, ["email"]);
    refused(login.default_owner(), ErrorCode::OwnerUnknown);
}

#[tokio::test]
async fn answers_that_could_harm_a_user_or_a_provider_are_not_shown() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    for (name, value) in [
        ("verification_uri", "\"javascript:alert(1)\""),
        ("verification_uri", "\"http://op.example/\""),
        ("verification_uri_complete", "\"http://op.example/\""),
        ("user_code", "\"\\u001b[2J\""),
        ("user_code", "\"\""),
        ("device_code", "\"\""),
        ("expires_in", "0"),
        ("expires_in", "-1"),
    ] {
        let members = [
            ("device_code", "\"d\""),
            ("user_code", "\"u\""),
            ("verification_uri", "\"https://op.example/\""),
            ("expires_in", "60"),
            ("interval", "5"),
        ];
        let kept = members.iter().filter(|(other, _)| *other != name);
        let all: Vec<_> = kept
            .chain([&(name, value)])
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        let answer = Fault::Answer {
            status: 200,
            content_type: "application/json".into(),
            body: format!("{{{}}}", all.join(",")),
        };
        let faults = world.provider.faults();
        let rule = faults.on(Endpoint::DeviceAuthorization, answer).times(1);
        let error = refused(client.device_login().await, ErrorCode::ProviderError);
        assert!(error.message().contains(name), "{}", error.message());
        assert_eq!(rule.fired(), 1);
    }
    let faults = world.provider.faults();
    faults
        .on(Endpoint::DeviceAuthorization, Fault::DropBefore)
        .times(1);
    refused(client.device_login().await, ErrorCode::ProviderUnavailable);
    let error = client.device_login().parameter("client_id", "x").await;
    refused(error.map(drop), ErrorCode::InvalidParameter);
    let error = client.device_login().scopes(["a\nb"]).await;
    refused(error.map(drop), ErrorCode::InvalidParameter);
}

#[tokio::test]
async fn a_provider_without_device_codes_is_named() {
    let world = World::new().await;
    let issuer = world.provider.issuer();
    let endpoints = [format!("{issuer}/authorize"), format!("{issuer}/token")];
    let [authorize, token] = &endpoints;
    let plain = || Registration::oauth2(CLIENT, authorize, token).client_id("x");
    let oauth = world.bare(&world.store).register(plain()).build().unwrap();
    let device = oauth.client(CLIENT).unwrap().device_login().await;
    let error = refused(device.map(drop), ErrorCode::Unsupported);
    assert!(error.message().contains("device_authorization_url"));
    // Named by hand it is asked.
    let by_hand = plain()
        .device_authorization_url(format!("{issuer}/device_authorization"))
        .client_id(world.provider.client_id())
        .client_secret(world.provider.client_secret());
    let oauth = world
        .bare(&world.store)
        .upkeep(Upkeep::none())
        .register(by_hand)
        .build()
        .unwrap();
    oauth.client(CLIENT).unwrap().device_login().await.unwrap();
}
