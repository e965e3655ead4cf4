//! The provider's keys: too many, too few, wrong, new, gone, or asked for by ten thousand at once.

use std::time::Duration;

use serde_json::{Value, json};
use tokenkeep::{Client, ErrorCode, IdTokenChecks, IdTokenClaims, OAuth, Phase};
use tokenkeep_testing::{Endpoint, Fault, FaultRule, Provider, SigningAlgorithm};

use super::{
    metadata::json_answer,
    raw::{Raw, gzip_of_a_megabyte, ok, with_head},
};
use crate::{
    kind::Kind,
    world::{CALLBACK, CLIENT, World, refused, soon, until},
};

const CROWD: usize = 10_000;

/// A provider that signs quickly.
async fn quick() -> World {
    let provider = Provider::builder().id_token_algorithm(SigningAlgorithm::EdDsa);
    World::over(Kind::Memory, provider).await
}

fn client(oauth: &OAuth) -> Client {
    oauth.client(CLIENT).unwrap()
}

/// Claims that pass every check, for a day.
fn claims(provider: &Provider) -> Value {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    json!({
        "iss": provider.issuer(), "aud": provider.client_id(), "sub": "alice",
        "iat": now, "exp": now + 3 * 24 * 3600,
    })
}

/// An ID token by the provider's present key.
fn token(provider: &Provider) -> String {
    provider.sign(&provider.signing_header(), &claims(provider))
}

/// The same under another header.
fn token_with(provider: &Provider, name: &str, value: Value) -> String {
    let mut header = provider.signing_header();
    header[name] = value;
    provider.sign(&header, &claims(provider))
}

async fn parse(client: &Client, raw: &str) -> tokenkeep::Result<IdTokenClaims> {
    soon(async { client.parse_id_token(raw, &IdTokenChecks::new()).await }).await
}

async fn jwks(provider: &Provider) -> Vec<Value> {
    let answer = reqwest::get(format!("{}/jwks", provider.issuer())).await;
    let mut keys: Value = answer.unwrap().json().await.unwrap();
    keys["keys"].as_array_mut().unwrap().drain(..).collect()
}

/// Publishes these keys and no others.
fn publish(provider: &Provider, keys: Vec<Value>) -> FaultRule {
    let keys = json_answer(&json!({ "keys": keys }));
    provider.faults().on(Endpoint::Jwks, keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_at_once_cost_one_request_for_metadata_and_one_for_keys() {
    let world = quick().await;
    let oauth = world.oauth();
    let raw = token(&world.provider);
    let (discovery, keys) = ("/.well-known/openid-configuration", "/jwks");
    let tasks: Vec<_> = (0..CROWD)
        .map(|number| {
            let (client, raw) = (client(&oauth), raw.clone());
            tokio::spawn(async move {
                if number % 10 == 0 {
                    client.authorize_redirect(CALLBACK).await.unwrap();
                }
                let checks = IdTokenChecks::new();
                client.parse_id_token(&raw, &checks).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    let requests = [discovery, keys].map(|path| world.provider.requests(path));
    assert_eq!(requests, [1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_unknown_keys_cost_one_request_in_a_while() {
    let world = quick().await;
    let oauth = world.oauth();
    parse(&client(&oauth), &token(&world.provider))
        .await
        .unwrap();
    for round in 1..=3 {
        let tasks: Vec<_> = (0..CROWD)
            .map(|number| {
                let kid = json!(format!("{round}-{number}"));
                let raw = token_with(&world.provider, "kid", kid);
                let client = client(&oauth);
                tokio::spawn(async move {
                    let checks = IdTokenChecks::new();
                    let outcome = client.parse_id_token(&raw, &checks).await;
                    outcome.unwrap_err().code()
                })
            })
            .take(if round == 1 { CROWD } else { 100 })
            .collect();
        for task in tasks {
            assert_eq!(soon(task).await.unwrap(), ErrorCode::MissingKey);
        }
        assert_eq!(world.provider.requests("/jwks"), 1 + round);
        // Less than the pause makes no difference to anybody.
        world.clock.advance(Duration::from_secs(20));
        let raw = token_with(&world.provider, "kid", json!("another"));
        refused(parse(&client(&oauth), &raw).await, ErrorCode::MissingKey);
        assert_eq!(world.provider.requests("/jwks"), 1 + round);
        world.clock.advance(Duration::from_secs(11));
    }
    // Whoever's key is known is not bothered.
    parse(&client(&oauth), &token(&world.provider))
        .await
        .unwrap();
}

#[tokio::test]
async fn keys_that_cannot_be_used_disturb_no_other() {
    let world = World::new().await;
    let good = jwks(&world.provider).await.remove(0);
    let kid = good["kid"].clone();
    let of = |members: Value| {
        let mut key = good.clone();
        for (name, value) in members.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    };
    // 4/3 letters a byte: 16,384 bits of modulus.
    let (huge, short) = ("_".repeat(2_731), "_".repeat(171));
    let bad = vec![
        json!("a key"),
        json!(null),
        json!({"kid": kid}),
        of(json!({"n": huge})),
        of(json!({"n": short})),
        of(json!({"e": "_".repeat(8_000)})),
        of(json!({"e": "AQ"})),
        of(json!({"e": "Ag"})),
        of(json!({"n": "?"})),
        of(json!({"use": "enc"})),
        of(json!({"alg": "RS512"})),
        of(json!({"alg": "none"})),
        of(json!({"key_ops": ["encrypt"]})),
        of(json!({"d": "AQAB"})),
        json!({"kty": "oct", "kid": kid, "k": "c2VjcmV0"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": kid, "pub": "AA"}),
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": "AA", "y": "AA"}),
    ];
    // Alone they verify nothing.
    let rule = publish(&world.provider, bad.clone());
    let raw = token(&world.provider);
    let oauth = world.oauth();
    refused(parse(&client(&oauth), &raw).await, ErrorCode::MissingKey);
    rule.off();
    for among in [
        [&bad[..], std::slice::from_ref(&good)].concat(),
        [std::slice::from_ref(&good), &bad[..]].concat(),
    ] {
        let rule = publish(&world.provider, among);
        parse(&client(&world.oauth()), &raw).await.unwrap();
        rule.off();
    }
}

#[tokio::test]
async fn the_right_one_of_a_thousand_keys_is_found_by_its_name() {
    let world = quick().await;
    let good = jwks(&world.provider).await.remove(0);
    let many: Vec<Value> = (0..999)
        .map(|number| {
            let mut key = good.clone();
            key["kid"] = json!(format!("other-{number}"));
            key
        })
        .chain([good.clone()])
        .collect();
    publish(&world.provider, many);
    parse(&client(&world.oauth()), &token(&world.provider))
        .await
        .unwrap();
}

#[tokio::test]
async fn keys_that_cannot_be_had_have_their_own_phase() {
    use ErrorCode::*;
    let world = World::new().await;
    let raw = token(&world.provider);
    let packed = "200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip";
    let moved = format!("301 Moved\r\nlocation: {}/jwks", world.provider.issuer());
    let too_much = format!("{{\"keys\":[],\"x\":\"{}\"}}", "y".repeat(10 << 20));
    for (server, code) in [
        (
            Raw::answering(ok("text/html", "<html>")).await,
            ProviderError,
        ),
        (
            Raw::answering(ok("application/json", "[]")).await,
            ProviderError,
        ),
        (
            Raw::answering(ok("application/json", "{}")).await,
            InvalidMetadata,
        ),
        (
            Raw::answering(ok("application/json", too_much)).await,
            ProviderError,
        ),
        (Raw::answering(with_head(&moved, "")).await, ProviderError),
        (
            Raw::answering(with_head(packed, gzip_of_a_megabyte())).await,
            ProviderError,
        ),
        (
            Raw::answering(with_head("503 Down", "")).await,
            ProviderUnavailable,
        ),
        (
            Raw::dripping(ok("application/json", "{\"keys\":[")).await,
            ProviderUnavailable,
        ),
        (Raw::answering("").await, ProviderUnavailable),
    ] {
        let registration = world
            .registration()
            .jwks_uri(server.url("/keys"))
            .timeout(Duration::from_millis(500));
        let oauth = world
            .bare(&world.store)
            .register(registration)
            .build()
            .unwrap();
        let error = refused(parse(&client(&oauth), &raw).await, code);
        assert_eq!((error.phase(), error.client()), (Phase::Keys, Some(CLIENT)));
        // And are not asked for again at once.
        refused(parse(&client(&oauth), &raw).await, code);
        assert_eq!(server.requests(), 1, "{error}");
    }
    assert_eq!(world.provider.requests("/jwks"), 0);
}

#[tokio::test]
async fn a_key_that_was_withdrawn_is_trusted_no_longer_than_its_document() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = client(&oauth);
    let old = token(&world.provider);
    parse(&client, &old).await.unwrap();
    world.provider.rotate_keys();
    // While it is published it verifies, also after the new one was found.
    parse(&client, &token(&world.provider)).await.unwrap();
    parse(&client, &old).await.unwrap();
    world.provider.withdraw_old_keys();
    world.clock.advance(Duration::from_secs(3601));
    until("the old key is known no more", async || {
        match parse(&client, &old).await {
            Ok(_) => false,
            Err(error) => error.code() == ErrorCode::MissingKey,
        }
    })
    .await;
    parse(&client, &token(&world.provider)).await.unwrap();
}

#[tokio::test]
async fn keys_known_last_verify_while_the_provider_is_away_and_new_ones_after_it() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = client(&oauth);
    let raw = token(&world.provider);
    parse(&client, &raw).await.unwrap();
    let faults = world.provider.faults();
    faults.on(Endpoint::Jwks, Fault::DropBefore);
    faults.on(Endpoint::Discovery, Fault::DropBefore);
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(6 * 3600));
        parse(&client, &raw).await.unwrap();
        parse(&client, &raw).await.unwrap();
    }
    // A new key cannot be known: that is not the token's fault.
    world.provider.rotate_keys();
    let next = token(&world.provider);
    refused(parse(&client, &next).await, ErrorCode::ProviderUnavailable);
    // Nor are keys of the day before yesterday trusted.
    world.clock.advance(Duration::from_secs(2 * 24 * 3600));
    refused(parse(&client, &raw).await, ErrorCode::ProviderUnavailable);
    faults.clear();
    world.clock.advance(Duration::from_secs(120));
    parse(&client, &next).await.unwrap();
}

#[tokio::test]
async fn a_token_brings_no_key_and_points_to_none() {
    let world = World::new().await;
    let stranger = Provider::start().await.unwrap();
    // The first keys of all providers of a process are the same.
    stranger.rotate_keys();
    let own = jwks(&stranger).await.pop().unwrap();
    let server = Raw::answering(ok("application/json", json!({"keys": [own]}).to_string())).await;
    let oauth = world.oauth();
    let client = client(&oauth);
    let claims = claims(&world.provider);
    for kid in [world.provider.signing_header()["kid"].clone(), json!(null)] {
        for (name, value) in [
            ("jwk", own.clone()),
            ("jku", json!(server.url("/jku"))),
            ("x5u", json!(server.url("/x5u"))),
            ("x5c", json!(["AA=="])),
        ] {
            let mut header = json!({"alg": "RS256", name: value});
            if !kid.is_null() {
                header["kid"] = kid.clone();
            }
            let raw = stranger.sign(&header, &claims);
            refused(parse(&client, &raw).await, ErrorCode::InvalidSignature);
        }
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn tokens_of_other_providers_and_other_clients_are_none_of_ours() {
    let world = World::new().await;
    let other = Provider::start().await.unwrap();
    other.rotate_keys();
    let oauth = world.oauth();
    let client = client(&oauth);
    let ours = world.provider.signing_header();
    let changed = |name: &str, value: Value| {
        let mut claims = claims(&world.provider);
        claims[name] = value;
        world.provider.sign(&ours, &claims)
    };
    for (raw, code) in [
        // Its own token; the same under our key's name; and one that says that it is ours.
        (token(&other), ErrorCode::MissingKey),
        (
            other.sign(&ours, &claims(&other)),
            ErrorCode::InvalidSignature,
        ),
        (
            other.sign(&ours, &claims(&world.provider)),
            ErrorCode::InvalidSignature,
        ),
        (
            changed("iss", json!(other.issuer())),
            ErrorCode::IssuerMismatch,
        ),
        (
            changed("aud", json!("another-client")),
            ErrorCode::InvalidAudience,
        ),
        (
            changed("azp", json!("another-client")),
            ErrorCode::InvalidAudience,
        ),
    ] {
        refused(parse(&client, &raw).await, code);
    }
    parse(&client, &changed("azp", json!(world.provider.client_id())))
        .await
        .unwrap();
}
