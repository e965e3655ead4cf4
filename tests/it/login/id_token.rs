//! Each fault of an ID token, at login.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use tokenkeep::{ErrorCode, Phase};
use tokenkeep_testing::{Endpoint, Fault, IdTokenFault, Provider, SigningAlgorithm};

use super::{Begun, assert_nothing_kept, onward};
use crate::kind::Kind;
use crate::world::{CALLBACK, PATIENCE, World, come_back, refused, soon};

#[tokio::test]
async fn each_fault_of_an_id_token_has_its_code_and_ends_the_login() {
    use IdTokenFault as Id;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    for (fault, code) in [
        (Id::WrongSignature, ErrorCode::InvalidSignature),
        (Id::WrongNonce, ErrorCode::InvalidNonce),
        (Id::MissingNonce, ErrorCode::InvalidNonce),
        (Id::WrongAudience, ErrorCode::InvalidAudience),
        (Id::MissingAudience, ErrorCode::MissingClaim),
        (Id::WrongAuthorizedParty, ErrorCode::InvalidAudience),
        (Id::WrongIssuer, ErrorCode::IssuerMismatch),
        (Id::MissingIssuer, ErrorCode::MissingClaim),
        (Id::Expired, ErrorCode::InvalidIdToken),
        (Id::MissingExpiry, ErrorCode::MissingClaim),
        (Id::MissingSubject, ErrorCode::MissingClaim),
        (Id::Claim("sub".into(), "".into()), ErrorCode::MissingClaim),
        (Id::MissingIssuedAt, ErrorCode::MissingClaim),
        (
            Id::Claim("iat".into(), (now + 3600).into()),
            ErrorCode::InvalidIdToken,
        ),
        (
            Id::Claim("nbf".into(), (now + 3600).into()),
            ErrorCode::InvalidIdToken,
        ),
        (
            Id::Claim("exp".into(), "soon".into()),
            ErrorCode::InvalidIdToken,
        ),
        (Id::AlgNone, ErrorCode::UnsupportedAlgorithm),
        (Id::UnknownKid, ErrorCode::MissingKey),
        (Id::WrongAtHash, ErrorCode::InvalidHash),
        // What the token says of itself turns no check off.
        (
            Id::Claims(json!({"nonce": null, "nonce_supported": false})),
            ErrorCode::InvalidNonce,
        ),
        (
            Id::Claims(json!({"nonce": "another", "nonce_supported": false})),
            ErrorCode::InvalidNonce,
        ),
    ] {
        let world = World::new().await;
        let registration = world.registration().userinfo_at_login();
        let oauth = world
            .bare(&world.store)
            .register(registration)
            .build()
            .unwrap();
        world
            .provider
            .faults()
            .on(Endpoint::Token, Fault::IdToken(fault.clone()));
        let begun = Begun::new(&world, &oauth).await;
        let result = begun.come_back().await;
        assert_eq!(
            result.as_ref().err().map(tokenkeep::Error::code),
            Some(code),
            "{fault:?}"
        );
        let error = refused(result, code);
        assert_eq!(error.phase(), Phase::IdToken, "{fault:?}");
        assert_eq!(error.client(), Some("op"));
        assert_eq!(
            onward(&world.provider),
            [1, 0, 0],
            "{fault:?}: userinfo was asked"
        );
        assert_nothing_kept(&world);
    }
}

/// A nonce is left out by the registration alone, and only there.
#[tokio::test]
async fn a_client_that_skips_the_nonce_sends_none_and_the_next_one_still_checks_it() {
    let world = World::new().await;
    let oauth = world.oauth();
    let skipping = world
        .registration_named("skipping")
        .dangerously_skip_nonce();
    oauth.register(skipping).unwrap();
    let without = Fault::IdToken(IdTokenFault::MissingNonce);
    world.provider.faults().on(Endpoint::Token, without);
    let client = oauth.client("skipping").unwrap();
    let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
    assert!(!redirect.url.query().unwrap().contains("nonce="));
    let callback = world.at_provider(&redirect, "alice").await;
    let login = come_back(&client, &callback, &redirect.cookies).await;
    login.unwrap();
    refused(world.login(&oauth, "alice").await, ErrorCode::InvalidNonce);
}

#[tokio::test]
async fn own_checks_run_at_each_login_and_refresh_after_all_others() {
    let world = World::new().await;
    let (seen, allowed) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(usize::MAX)),
    );
    let (count, limit) = (Arc::clone(&seen), Arc::clone(&allowed));
    let registration = world
        .registration()
        .check_claims(|claims| match claims.subject() {
            "mallory" => Err("the closure's own words"),
            _ => Ok(()),
        })
        .check_claims(move |_| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            if number < limit.load(Ordering::SeqCst) {
                Ok(())
            } else {
                Err("no more")
            }
        });
    let oauth = world
        .bare(&world.store)
        .register(registration)
        .build()
        .unwrap();
    let begun = Begun::new(&world, &oauth).await;
    begun.come_back().await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 1);

    // They add: what is wrong otherwise is refused otherwise, and they are not asked.
    let wrong = Fault::IdToken(IdTokenFault::WrongIssuer);
    let rule = world.provider.faults().on(Endpoint::Token, wrong);
    refused(
        world.login(&oauth, "alice").await,
        ErrorCode::IssuerMismatch,
    );
    rule.off();
    assert_eq!(seen.load(Ordering::SeqCst), 1);

    let error = refused(
        world.login(&oauth, "mallory").await,
        ErrorCode::OwnerRefused,
    );
    assert_eq!(
        (error.phase(), error.client()),
        (Phase::IdToken, Some("op"))
    );
    let shown = tokenkeep::axum::Error::json(&error).to_string();
    assert!(!shown.contains("own words"), "{shown}");
    assert_nothing_kept(&world);

    let grant = world.alice(&oauth).await;
    let before = seen.load(Ordering::SeqCst);
    grant.refresh().await.unwrap();
    assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
    assert_eq!(seen.load(Ordering::SeqCst), before + 1);
    allowed.store(0, Ordering::SeqCst);
    refused(soon(grant.refresh()).await, ErrorCode::IdentityChanged);
    refused(grant.token().await, ErrorCode::IdentityChanged);
}

#[tokio::test]
async fn an_answer_without_an_id_token_is_no_openid_login() {
    let world = World::new().await;
    let oauth = world.oauth();
    let fault = Fault::Answer {
        status: 200,
        content_type: "application/json".into(),
        body: r#"{"access_token":"a","token_type":"Bearer"}"#.into(),
    };
    world.provider.faults().on(Endpoint::Token, fault);
    let begun = Begun::new(&world, &oauth).await;
    refused(begun.come_back().await, ErrorCode::MissingIdToken);
    assert_nothing_kept(&world);
}

#[tokio::test]
async fn a_key_made_just_before_signing_is_fetched_exactly_once() {
    let world = World::new().await;
    let oauth = world.oauth();
    world.log_in(&oauth, "alice").await;
    assert_eq!(world.provider.requests("/jwks"), 1);
    let begun = Begun::new(&world, &oauth).await;
    world.provider.rotate_keys();
    begun.come_back().await.unwrap();
    assert_eq!(world.provider.requests("/jwks"), 2);
    world.log_in(&oauth, "bob").await;
    assert_eq!(world.provider.requests("/jwks"), 2);
}

#[tokio::test]
async fn another_key_under_the_same_name_is_fetched_too() {
    let world = World::new().await;
    let oauth = world.oauth();
    world.log_in(&oauth, "alice").await;
    world.provider.replace_key();
    world.login(&oauth, "alice").await.unwrap();
    assert_eq!(world.provider.requests("/jwks"), 2);
}

#[tokio::test]
async fn a_further_audience_is_trusted_by_name_only_also_beside_our_azp() {
    let world = World::new().await;
    let fault = Fault::IdToken(IdTokenFault::ExtraAudience);
    world.provider.faults().on(Endpoint::Token, fault);
    let oauth = world.oauth();
    let begun = Begun::new(&world, &oauth).await;
    let error = refused(begun.come_back().await, ErrorCode::InvalidAudience);
    assert!(error.message().contains("trust_audience"), "{error}");
    assert_nothing_kept(&world);

    oauth
        .replace(world.registration().trust_audience("another-client"))
        .unwrap();
    world.login(&oauth, "alice").await.unwrap();
}

#[tokio::test]
async fn decoy_keys_no_kid_and_other_algorithms_do_no_harm() {
    for algorithm in [
        SigningAlgorithm::Rs256,
        SigningAlgorithm::Es256,
        SigningAlgorithm::EdDsa,
    ] {
        let provider = Provider::builder().id_token_algorithm(algorithm);
        let world = World::over(Kind::Memory, provider).await;
        let oauth = world.oauth();
        let no_kid = Fault::IdToken(IdTokenFault::NoKid);
        world.provider.faults().on(Endpoint::Token, no_kid).times(1);
        world.login(&oauth, "alice").await.unwrap();
        world.provider.add_decoy_keys(100);
        world.provider.rotate_keys();
        world.login(&oauth, "alice").await.unwrap();
    }
}

#[tokio::test]
async fn userinfo_about_somebody_else_ends_the_login() {
    let world = World::new().await;
    let registration = world.registration().userinfo_at_login();
    let oauth = world
        .bare(&world.store)
        .register(registration)
        .build()
        .unwrap();
    let fault = Fault::OtherSubjectInUserinfo("mallory".into());
    let rule = world
        .provider
        .faults()
        .on(Endpoint::Userinfo, fault.clone());
    let begun = Begun::new(&world, &oauth).await;
    refused(begun.come_back().await, ErrorCode::SubjectMismatch);
    assert_nothing_kept(&world);

    rule.off();
    let grant = world.alice(&oauth).await;
    assert_eq!(grant.userinfo().await.unwrap().subject(), Some("alice"));
    world.provider.faults().on(Endpoint::Userinfo, fault);
    refused(grant.userinfo().await, ErrorCode::SubjectMismatch);
}

#[tokio::test]
async fn freshness_and_strength_that_were_asked_for_are_enforced() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client("op").unwrap();
    let fault = Fault::IdToken(IdTokenFault::Claim("auth_time".into(), 1.into()));
    world.provider.faults().on(Endpoint::Token, fault);
    let start = client.authorize_redirect(CALLBACK);
    let redirect = start.max_age(60).await.unwrap();
    let callback = world.at_provider(&redirect, "alice").await;
    let login = come_back(&client, &callback, &redirect.cookies).await;
    refused(login, ErrorCode::InvalidIdToken);

    world.provider.faults().clear();
    let fault = Fault::IdToken(IdTokenFault::Claim("acr".into(), "weak".into()));
    world.provider.faults().on(Endpoint::Token, fault);
    let start = client.authorize_redirect(CALLBACK);
    let redirect = start.acr_values(["strong"]).await.unwrap();
    let callback = world.at_provider(&redirect, "alice").await;
    let login = come_back(&client, &callback, &redirect.cookies).await;
    refused(login, ErrorCode::InvalidIdToken);
}
