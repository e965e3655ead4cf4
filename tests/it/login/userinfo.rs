//! Userinfo that is about somebody else, unreadable, without end, or not by the provider.

use std::time::Duration;

use serde_json::{Value, json};
use tokenkeep::{ErrorCode, Hook, OAuth, Phase, Registration};
use tokenkeep_testing::{Endpoint, Fault, Provider};

use super::{
    Begun, assert_nothing_kept, onward,
    raw::{Raw, gzip_of_a_megabyte, ok, with_head},
};
use crate::{
    kind::Kind,
    world::{CLIENT, World, alice, refused, soon},
};

/// A provider that signs userinfo, and one that does not.
async fn world(signed: bool) -> World {
    World::over(Kind::Memory, Provider::builder().signed_userinfo(signed)).await
}

fn registered(world: &World, registration: Registration) -> OAuth {
    world
        .bare(&world.store)
        .register(registration.userinfo_at_login())
        .build()
        .unwrap()
}

fn answer(content_type: &str, body: impl Into<String>) -> Fault {
    Fault::Answer {
        status: 200,
        content_type: content_type.into(),
        body: body.into(),
    }
}

/// Logs in with this at the userinfo endpoint: nothing of the login is kept.
async fn no_login(world: &World, oauth: &OAuth, fault: Fault, code: ErrorCode) -> tokenkeep::Error {
    let rule = world
        .provider
        .faults()
        .on(Endpoint::Userinfo, fault.clone());
    let begun = Begun::new(world, oauth).await;
    let result = begun.come_back().await;
    assert_eq!(
        result.as_ref().err().map(|e| e.code()),
        Some(code),
        "{fault:?}"
    );
    let error = refused(result, code);
    assert_eq!(error.client(), Some(CLIENT));
    assert_eq!(rule.fired(), 1, "{fault:?}");
    rule.off();
    assert_nothing_kept(world);
    error
}

#[tokio::test]
async fn userinfo_that_is_not_plainly_about_the_user_ends_the_login() {
    use ErrorCode::*;
    let world = world(false).await;
    let oauth = registered(&world, world.registration());
    let json = |body: &str| answer("application/json", body);
    for (fault, code) in [
        (
            Fault::OtherSubjectInUserinfo("mallory".into()),
            SubjectMismatch,
        ),
        (
            Fault::OtherSubjectInUserinfo("Alice".into()),
            SubjectMismatch,
        ),
        (
            Fault::OtherSubjectInUserinfo("alice ".into()),
            SubjectMismatch,
        ),
        (json(r#"{"email":"alice@example.com"}"#), MissingClaim),
        (json(r#"{"sub":""}"#), MissingClaim),
        (json(r#"{"sub":null}"#), MissingClaim),
        (json(r#"{"sub":7}"#), MissingClaim),
        (json(r#"{"sub":["alice"]}"#), MissingClaim),
        (json(r#"{"sub":"alice","sub":"alice"}"#), ProviderError),
        (
            json(r#"{"sub":"mallory","\u0073ub":"alice"}"#),
            ProviderError,
        ),
        (json(r#"[{"sub":"alice"}]"#), ProviderError),
        (json(r#"{"sub":"alice""#), ProviderError),
        (json(""), ProviderError),
        (answer("text/plain", r#"{"sub":"alice"}"#), ProviderError),
        (answer("", r#"{"sub":"alice"}"#), ProviderError),
        (Fault::Html, ProviderError),
        (Fault::Empty, ProviderError),
        (Fault::Oversized(10 << 20), ProviderError),
        (Fault::Truncated, ProviderUnavailable),
        (Fault::ServerError(500), ProviderError),
    ] {
        let error = no_login(&world, &oauth, fault, code).await;
        assert_eq!(error.phase(), Phase::Userinfo);
    }
}

#[tokio::test]
async fn userinfo_is_bounded_in_time_and_follows_no_redirect() {
    let world = world(false).await;
    let packed = "200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip";
    let own = format!("{}/userinfo", world.provider.issuer());
    let moved = format!("307 Moved\r\nlocation: {own}");
    for (raw, code) in [
        (
            Raw::dripping(ok("application/json", "{")).await,
            ErrorCode::ProviderUnavailable,
        ),
        (
            Raw::answering(with_head(packed, gzip_of_a_megabyte())).await,
            ErrorCode::ProviderError,
        ),
        (
            Raw::answering(with_head(&moved, "")).await,
            ErrorCode::ProviderError,
        ),
    ] {
        let registration = world
            .registration()
            .userinfo_url(raw.url("/userinfo"))
            .timeout(Duration::from_millis(500));
        let oauth = registered(&world, registration);
        let begun = Begun::new(&world, &oauth).await;
        refused(soon(begun.come_back()).await, code);
        assert_eq!(raw.requests(), 1);
    }
    assert_eq!(world.provider.requests("/userinfo"), 0);
}

#[tokio::test]
async fn the_token_of_another_user_brings_nobody_s_userinfo() {
    let world = world(false).await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let bob = world.login(&oauth, "bob").await.unwrap();
    let about = client.userinfo(&bob.token, Some("bob")).await.unwrap();
    assert_eq!(about.subject(), Some("bob"));
    refused(
        client.userinfo(&bob.token, Some("alice")).await,
        ErrorCode::SubjectMismatch,
    );
}

/// Reads the claims before they are compared, and gives them on as it understood them.
struct Reads;

#[async_trait::async_trait]
impl Hook for Reads {
    async fn userinfo_response(&self, _: &str, claims: &mut Value) -> tokenkeep::Result<()> {
        claims["seen"] = true.into();
        Ok(())
    }
}

#[tokio::test]
async fn a_hook_that_reads_the_claims_hides_no_fault_of_theirs() {
    for signed in [false, true] {
        let world = world(signed).await;
        let registration = world.registration().userinfo_at_login();
        let oauth = world
            .bare(&world.store)
            .register(registration)
            .hook(Reads)
            .build()
            .unwrap();
        let doubled = answer("application/json", r#"{"sub":"mallory","sub":"alice"}"#);
        no_login(&world, &oauth, doubled, ErrorCode::ProviderError).await;
        let login = world.login(&oauth, "alice").await.unwrap();
        assert_eq!(login.userinfo.unwrap().get("seen"), Some(json!(true)));
    }
}

#[tokio::test]
async fn signed_userinfo_is_verified_with_the_provider_s_keys() {
    let world = world(true).await;
    for registration in [
        world.registration(),
        world.registration().userinfo_signed_response_alg("RS256"),
    ] {
        let oauth = registered(&world, registration);
        let login = world.login(&oauth, "alice").await.unwrap();
        let about = login.userinfo.as_ref().unwrap();
        assert_eq!(about.email(), Some("alice@example.com"));
        oauth.keep_login(&login, "alice", None).await.unwrap();
        assert_eq!(
            alice(&oauth).userinfo().await.unwrap().subject(),
            Some("alice")
        );

        // A key made just before signing is fetched once, for whichever token comes first.
        let fetched = world.provider.requests("/jwks");
        world.provider.rotate_keys();
        assert_eq!(
            alice(&oauth).userinfo().await.unwrap().subject(),
            Some("alice")
        );
        assert_eq!(world.provider.requests("/jwks"), fetched + 1);
    }
}

#[tokio::test]
async fn what_must_be_signed_is_never_taken_plain() {
    let world = world(false).await;
    let demanding = world.registration().userinfo_signed_response_alg("RS256");
    let oauth = registered(&world, demanding);
    let begun = Begun::new(&world, &oauth).await;
    let error = refused(begun.come_back().await, ErrorCode::InvalidSignature);
    assert_eq!(error.phase(), Phase::Userinfo);
    assert!(
        error.message().contains("userinfo_signed_response_alg"),
        "{error}"
    );
    let right =
        json!({"iss": world.provider.issuer(), "aud": world.provider.client_id(), "sub": "alice"});
    let unsigned = answer("application/json", right.to_string());
    no_login(&world, &oauth, unsigned, ErrorCode::InvalidSignature).await;
    // By the right key, and not by the algorithm that was registered.
    let other = registered(
        &world,
        world.registration().userinfo_signed_response_alg("PS256"),
    );
    let signed = world
        .provider
        .sign(&world.provider.signing_header(), &right);
    let signed = answer("application/jwt", signed);
    no_login(&world, &other, signed, ErrorCode::UnsupportedAlgorithm).await;
}

#[tokio::test]
async fn signed_userinfo_that_is_wrong_in_one_point_ends_the_login() {
    use ErrorCode::*;
    let world = world(true).await;
    let oauth = registered(&world, world.registration());
    // So that its keys are known.
    world.login(&oauth, "alice").await.unwrap();
    let stranger = Provider::start().await.unwrap();
    // The first keys of all providers of a process are the same.
    stranger.rotate_keys();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let header = world.provider.signing_header();
    let right =
        json!({"iss": world.provider.issuer(), "aud": world.provider.client_id(), "sub": "alice"});
    let changed = |object: &Value, name: &str, value: Value| {
        let mut object = object.clone();
        object[name] = value;
        object
    };
    let claim =
        |name: &str, value: Value| world.provider.sign(&header, &changed(&right, name, value));
    let head =
        |name: &str, value: Value| world.provider.sign(&changed(&header, name, value), &right);
    let good = world.provider.sign(&header, &right);
    let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
    let cases = [
        (claim("sub", json!("mallory")), SubjectMismatch),
        (claim("sub", json!(null)), MissingClaim),
        (claim("sub", json!("")), MissingClaim),
        (claim("sub", json!(7)), ProviderError),
        (claim("iss", json!(stranger.issuer())), IssuerMismatch),
        (claim("aud", json!("another-client")), InvalidAudience),
        (claim("aud", json!([])), InvalidAudience),
        (claim("exp", json!(now - 120)), ProviderError),
        (claim("iat", json!(now + 3600)), ProviderError),
        (claim("nbf", json!(now + 3600)), ProviderError),
        (
            claim(
                "events",
                json!({"http://schemas.openid.net/event/backchannel-logout": {}}),
            ),
            ProviderError,
        ),
        (head("alg", json!("none")), UnsupportedAlgorithm),
        (head("alg", json!("HS256")), UnsupportedAlgorithm),
        (head("alg", json!("ES256")), MissingKey),
        (head("typ", json!("at+jwt")), ProviderError),
        (head("typ", json!("logout+jwt")), ProviderError),
        (head("cty", json!("JWT")), ProviderError),
        (head("crit", json!(["exp"])), ProviderError),
        (head("kid", json!("unknown")), MissingKey),
        (stranger.sign(&header, &right), InvalidSignature),
        (unsigned, InvalidSignature),
        (format!("{good}.x.y"), UnsupportedAlgorithm),
        (format!("{good}.x"), ProviderError),
        (String::new(), ProviderError),
        (right.to_string(), ProviderError),
    ];
    for (body, code) in cases {
        let rule = world
            .provider
            .faults()
            .on(Endpoint::Userinfo, answer("application/jwt", &*body));
        let login = world.login(&oauth, "alice").await;
        let error = refused(login, code);
        assert_eq!(error.phase(), Phase::Userinfo, "{error}");
        rule.off();
    }
    // Unknown keys were asked for once, and then not again so soon.
    assert_eq!(world.provider.requests("/jwks"), 2);
    assert_nothing_kept(&world);
}

#[tokio::test]
async fn signed_userinfo_without_issuer_and_audience_counts_only_beside_an_id_token() {
    let world = world(true).await;
    let oauth = registered(&world, world.registration());
    let bare = world
        .provider
        .sign(&world.provider.signing_header(), &json!({"sub": "alice"}));
    world
        .provider
        .faults()
        .on(Endpoint::Userinfo, answer("application/jwt", bare));
    let login = world.login(&oauth, "alice").await.unwrap();
    let client = oauth.client(CLIENT).unwrap();
    refused(
        client.userinfo(&login.token, None).await,
        ErrorCode::MissingClaim,
    );
    assert_eq!(onward(&world.provider)[1], 2);
}
