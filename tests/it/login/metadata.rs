//! Metadata that is wrong, too much, too slow, or another one by now: no browser is sent anywhere by it, and no secret.

use std::time::Duration;

use serde_json::{Value, json};
use tokenkeep::{Error, ErrorCode, OAuth, Phase, Registration};
use tokenkeep_testing::{Endpoint, Fault, IdTokenFault, Provider};

use super::{
    Begun, onward,
    raw::{Raw, gzip_of_a_megabyte, ok, with_head},
};
use crate::world::{CALLBACK, CLIENT, World, come_back, refused, soon, until};

/// The provider's metadata with other members, null leaving one out.
pub(super) async fn document(world: &World, members: Value) -> Fault {
    let mut metadata: Value = reqwest::get(world.provider.metadata_url())
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for (name, value) in members.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    json_answer(&metadata)
}

pub(super) fn json_answer(value: &Value) -> Fault {
    Fault::Answer {
        status: 200,
        content_type: "application/json".into(),
        body: value.to_string(),
    }
}

/// Starts a login, which must not get as far as the provider.
async fn no_login(oauth: &OAuth, code: ErrorCode) -> Error {
    let client = oauth.client(CLIENT).unwrap();
    let start = soon(async { client.authorize_redirect(CALLBACK).await });
    refused(start.await, code)
}

#[tokio::test]
async fn metadata_that_cannot_be_believed_starts_no_login() {
    use ErrorCode::*;
    let text = |status: u16, content_type: &str, body: &str| Fault::Answer {
        status,
        content_type: content_type.into(),
        body: body.into(),
    };
    let mut cases = vec![
        (Fault::WrongIssuerInMetadata, IssuerMismatch),
        (Fault::HttpEndpoint, InvalidMetadata),
        (Fault::Html, ProviderError),
        (Fault::Empty, ProviderError),
        (Fault::Oversized(10 << 20), ProviderError),
        (Fault::Truncated, ProviderUnavailable),
        (Fault::DropBefore, ProviderUnavailable),
        (Fault::ServerError(500), ProviderUnavailable),
        (Fault::ServerError(404), ProviderError),
        (
            Fault::TooManyRequests { retry_after: None },
            ProviderUnavailable,
        ),
        (text(200, "application/json", "[]"), ProviderError),
        (
            text(200, "application/json", "{\"issuer\":"),
            InvalidMetadata,
        ),
        (text(200, "application/json", "{}"), InvalidMetadata),
        (text(200, "text/html", "{}"), InvalidMetadata),
    ];
    let world = World::new().await;
    let own = world.provider.issuer().to_owned();
    for (member, value, code) in [
        ("issuer", json!(format!("{own}/")), IssuerMismatch),
        ("issuer", json!(own.to_uppercase()), IssuerMismatch),
        ("issuer", json!([own]), InvalidMetadata),
        ("issuer", json!(null), InvalidMetadata),
        (
            "authorization_endpoint",
            json!("http://other.example/a"),
            InvalidMetadata,
        ),
        (
            "authorization_endpoint",
            json!("javascript:alert(1)"),
            InvalidMetadata,
        ),
        (
            "authorization_endpoint",
            json!("data:text/html,x"),
            InvalidMetadata,
        ),
        (
            "authorization_endpoint",
            json!("/authorize"),
            InvalidMetadata,
        ),
        (
            "token_endpoint",
            json!("https://user:password@op.example/t"),
            InvalidMetadata,
        ),
        (
            "token_endpoint",
            json!("https://op.example/t#x"),
            InvalidMetadata,
        ),
        (
            "token_endpoint",
            json!("file:///etc/passwd"),
            InvalidMetadata,
        ),
        ("token_endpoint", json!({"verify": false}), InvalidMetadata),
        (
            "userinfo_endpoint",
            json!("http://other.example/u"),
            InvalidMetadata,
        ),
        ("jwks_uri", json!("http://other.example/j"), InvalidMetadata),
        ("jwks_uri", json!(7), InvalidMetadata),
        (
            "revocation_endpoint",
            json!("http://other.example/r"),
            InvalidMetadata,
        ),
        (
            "introspection_endpoint",
            json!("http://other.example/i"),
            InvalidMetadata,
        ),
        (
            "end_session_endpoint",
            json!("javascript:alert(1)"),
            InvalidMetadata,
        ),
        (
            "mtls_endpoint_aliases",
            json!({"token_endpoint": "http://other.example/t"}),
            InvalidMetadata,
        ),
    ] {
        cases.push((document(&world, json!({member: value})).await, code));
    }
    for (fault, code) in cases {
        let rule = world
            .provider
            .faults()
            .on(Endpoint::Discovery, fault.clone());
        let error = no_login(&world.oauth(), code).await;
        assert_eq!(error.phase(), Phase::Discovery, "{fault:?}");
        assert_eq!(error.client(), Some(CLIENT));
        assert!(rule.fired() > 0, "{fault:?}");
        rule.off();
    }
    assert_eq!(world.provider.requests("/authorize"), 0);
    assert_eq!(onward(&world.provider), [0, 0, 0]);
}

fn at(raw: &Raw) -> Registration {
    Registration::openid(CLIENT, raw.url(""))
        .client_id("x")
        .timeout(Duration::from_millis(300))
}

#[tokio::test]
async fn redirects_of_metadata_are_not_followed() {
    let world = World::new().await;
    for (status, to) in [
        (301, world.provider.metadata_url()),
        (302, world.provider.metadata_url()),
        (
            307,
            "https://login.example/.well-known/openid-configuration".to_owned(),
        ),
        (308, "/.well-known/elsewhere".to_owned()),
    ] {
        let head = format!("{status} Moved\r\nlocation: {to}\r\ncontent-type: application/json");
        let raw = Raw::answering(with_head(&head, "{}")).await;
        let oauth = world.bare(&world.store).register(at(&raw)).build().unwrap();
        let error = no_login(&oauth, ErrorCode::ProviderError).await;
        assert!(error.message().contains("redirect"), "{error}");
        // At the two places where metadata may be.
        assert_eq!(raw.requests(), 2, "{status}");
    }
    assert_eq!(
        world.provider.requests("/.well-known/openid-configuration"),
        0
    );
}

#[tokio::test]
async fn metadata_without_an_end_is_given_up_in_time_and_packed_one_is_not_unpacked() {
    let world = World::new().await;
    let packed = "200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip";
    for (raw, code) in [
        (
            Raw::dripping(ok("application/json", "{")).await,
            ErrorCode::ProviderUnavailable,
        ),
        (
            Raw::dripping("HTTP/1.1 200 OK\r\nx: ").await,
            ErrorCode::ProviderUnavailable,
        ),
        (Raw::dripping("").await, ErrorCode::ProviderUnavailable),
        (
            Raw::answering(with_head(packed, gzip_of_a_megabyte())).await,
            ErrorCode::ProviderError,
        ),
        (
            Raw::answering(with_head("200 OK\r\ncontent-length: 9999999999", "{}")).await,
            ErrorCode::ProviderUnavailable,
        ),
    ] {
        let oauth = world.bare(&world.store).register(at(&raw)).build().unwrap();
        no_login(&oauth, code).await;
    }
}

/// What a provider says of its algorithms allows none: that is the client's own decision.
#[tokio::test]
async fn algorithms_that_metadata_lists_are_not_thereby_allowed() {
    let world = World::new().await;
    let listed = json!({"id_token_signing_alg_values_supported": ["none", "HS256"]});
    let metadata = document(&world, listed).await;
    world.provider.faults().on(Endpoint::Discovery, metadata);
    let oauth = world.oauth();
    let unsigned = Fault::IdToken(IdTokenFault::AlgNone);
    let rule = world.provider.faults().on(Endpoint::Token, unsigned);
    let login = world.login(&oauth, "alice").await;
    let error = refused(login, ErrorCode::UnsupportedAlgorithm);
    assert!(error.message().contains("id_token_algorithms"), "{error}");
    rule.off();
    world.login(&oauth, "alice").await.unwrap();
}

/// Almost as long as metadata is fresh; with [`OVER`], longer. A login may take both.
const FRESH: Duration = Duration::from_secs(3500);
const OVER: Duration = Duration::from_secs(200);

/// Lets the time of the metadata pass, with another one in its place, until that was fetched.
async fn changes(world: &World, oauth: &OAuth, metadata: Fault) {
    let client = oauth.client(CLIENT).unwrap();
    let rule = world.provider.faults().on(Endpoint::Discovery, metadata);
    world.advance(OVER);
    until("the metadata is fetched anew", async || {
        client.metadata().await.unwrap();
        rule.fired() > 0
    })
    .await;
}

#[tokio::test]
async fn metadata_that_turns_into_another_issuer_s_under_way_is_not_followed() {
    let world = World::new().await;
    let evil = Provider::builder()
        .auto_login("alice")
        .start()
        .await
        .unwrap();
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let before = onward(&world.provider)[0];
    let other = reqwest::get(evil.metadata_url()).await.unwrap();
    let other: Value = other.json().await.unwrap();
    world.advance(FRESH);
    let client = oauth.client(CLIENT).unwrap();
    let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
    changes(&world, &oauth, json_answer(&other)).await;
    let callback = world.at_provider(&redirect, "alice").await;
    // The registration names its issuer: what was known stays in use, and nothing goes to the other one.
    come_back(&client, &callback, &redirect.cookies)
        .await
        .unwrap();
    grant.refresh().await.unwrap();
    assert_eq!(onward(&world.provider)[0], before + 2);
    assert_eq!(onward(&evil), [0, 0, 0]);
    assert_eq!(evil.requests("/jwks"), 0);
}

#[tokio::test]
async fn nobody_is_sent_to_a_provider_that_lacks_an_endpoint_of_a_login() {
    for member in ["authorization_endpoint", "token_endpoint"] {
        let world = World::new().await;
        let answer = reqwest::get(world.provider.metadata_url()).await.unwrap();
        let mut document: Value = answer.json().await.unwrap();
        document.as_object_mut().unwrap().remove(member);
        let faults = world.provider.faults();
        faults.on(Endpoint::Discovery, json_answer(&document));
        let error = no_login(&world.oauth(), ErrorCode::InvalidMetadata).await;
        let named = member.replace('_', " ");
        assert!(error.message().contains(&named), "{error}");
        assert_eq!(error.client(), Some(CLIENT));
    }
}

#[tokio::test]
async fn an_address_that_does_not_say_whose_it_is_vouches_for_nobody() {
    let world = World::new().await;
    // It could call itself anything: here the provider of other users.
    let evil = Provider::start().await.unwrap();
    let said = reqwest::get(world.provider.metadata_url()).await.unwrap();
    let said = json_answer(&said.json().await.unwrap());
    evil.faults().on(Endpoint::Jwks, said);
    let registration = Registration::new(CLIENT)
        .server_metadata_url(format!("{}/jwks", evil.issuer()))
        .client_id(world.provider.client_id())
        .client_secret(world.provider.client_secret());
    let with = |registration| {
        let oauth = world.bare(&world.store).register(registration);
        oauth.build().unwrap()
    };
    let error = no_login(&with(registration.clone()), ErrorCode::IssuerMismatch).await;
    assert!(error.message().contains("issuer()"), "{error}");
    let other = registration.clone().issuer(evil.issuer());
    no_login(&with(other), ErrorCode::IssuerMismatch).await;
    // Unless the registration says whose it is.
    let named = with(registration.issuer(world.provider.issuer()));
    world.log_in(&named, "alice").await;
}

#[tokio::test]
async fn endpoints_that_move_are_found_at_their_new_place() {
    let world = World::new().await;
    let second = Provider::start().await.unwrap();
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let keys = reqwest::get(format!("{}/jwks", world.provider.issuer()));
    let keys: Value = keys.await.unwrap().json().await.unwrap();
    second.faults().on(Endpoint::Jwks, json_answer(&keys));
    let moved = json!({
        "jwks_uri": format!("{}/jwks", second.issuer()),
        "token_endpoint": format!("{}/moved", second.issuer()),
    });
    let metadata = document(&world, moved).await;
    world.advance(FRESH);
    let begun = Begun::new(&world, &oauth).await;
    changes(&world, &oauth, metadata).await;
    let client = oauth.client(CLIENT).unwrap();
    until("the other metadata is known", async || {
        let now = client.metadata().await.unwrap().unwrap();
        now.jwks_uri.unwrap().as_str().starts_with(second.issuer())
    })
    .await;
    // The issuer is the same, and so it says where codes and refresh tokens go; there is nothing there.
    let sent = onward(&world.provider);
    refused(begun.come_back().await, ErrorCode::ProviderError);
    grant.refresh().await.unwrap_err();
    assert_eq!(onward(&world.provider), sent);
    assert_eq!(second.requests("/moved"), 2);
    // Keys are fetched where they are now, as soon as those that are known are no longer enough.
    world.provider.rotate_keys();
    let header = world.provider.signing_header();
    let raw = world.provider.sign(&header, &json!({}));
    let checks = tokenkeep::IdTokenChecks::new();
    refused(
        client.parse_id_token(&raw, &checks).await,
        ErrorCode::MissingKey,
    );
    assert_eq!(second.requests("/jwks"), 1);
}

#[tokio::test]
async fn what_was_known_last_stays_in_use_while_the_provider_is_away() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let faults = world.provider.faults();
    for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
        faults.on(endpoint, Fault::ServerError(503));
    }
    for _ in 0..3 {
        world.advance(Duration::from_secs(6 * 3600));
        world.login(&oauth, "alice").await.unwrap();
        grant.refresh().await.unwrap();
    }
    // Not for ever: a key that was withdrawn meanwhile must not be trusted for long.
    world.advance(Duration::from_secs(2 * 24 * 3600));
    let client = oauth.client(CLIENT).unwrap();
    refused(client.metadata().await, ErrorCode::ProviderUnavailable);
    faults.clear();
    world.provider.rotate_keys();
    world.provider.withdraw_old_keys();
    world.clock.advance(Duration::from_secs(120));
    world.login(&oauth, "alice").await.unwrap();
}
