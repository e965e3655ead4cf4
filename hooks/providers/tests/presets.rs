//! Every preset against a server on loopback that plays its provider's fixture: whole logins, profiles, refreshes, errors,
//! revocations and API calls, through the public API.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by them"
)]

#[path = "presets/apple.rs"]
mod apple;
#[path = "presets/fixture.rs"]
mod fixture;
#[path = "presets/pages.rs"]
mod pages;
#[path = "presets/peer.rs"]
mod peer;
#[path = "presets/seams.rs"]
mod seams;
#[path = "presets/world.rs"]
mod world;

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use tokenkeep_core::{Action, AtProvider, ErrorCode, IdTokenClaims, Login, Phase};
use tokenkeep_providers::NAMES;

use crate::{
    fixture::{Exchange, Refused},
    peer::{Reply, Seen},
    world::{CODE, World, has_headers, has_members, is_proof, proof, query},
};

/// Runs a test with each preset.
async fn with_each(test: impl AsyncFn(&World)) {
    for name in NAMES {
        eprintln!("{name}");
        test(&World::of(name).await).await;
    }
}

#[tokio::test]
async fn every_preset_sends_the_browser_where_its_provider_expects_it() {
    with_each(async |world| {
        let (name, expected) = (&world.name, &world.fixture.authorize);
        let redirect = world.begin().await;
        let mut url = redirect.url.clone();
        url.set_query(None);
        assert_eq!(url.as_str(), expected.at, "{name}");
        let mut found = query(&redirect.url);
        for (parameter, value) in [
            ("response_type", "code"),
            ("client_id", "the-client"),
            ("redirect_uri", world.callback().as_str()),
        ] {
            assert_eq!(found.remove(parameter).as_deref(), Some(value), "{name}");
        }
        assert!(found.remove("state").unwrap().len() >= 20, "{name}");
        let openid = world.fixture.metadata.is_some() && !expected.without_nonce;
        assert_eq!(found.remove("nonce").is_some(), openid, "{name}: nonce");
        let challenge = found.remove("code_challenge");
        assert_eq!(challenge.is_none(), expected.without_pkce, "{name}: PKCE");
        if challenge.is_some() {
            let method = found.remove("code_challenge_method");
            assert_eq!(method.as_deref(), Some("S256"), "{name}");
        }
        let expected: HashMap<_, _> = expected.parameters.clone().into_iter().collect();
        assert_eq!(found, expected, "{name}");
    })
    .await;
}

/// The last request to the token endpoint, checked against what the provider wants.
fn checked(world: &World, exchange: &Exchange) -> (Seen, HashMap<String, String>) {
    let name = &world.name;
    let seen = world.peer.seen(&exchange.at).pop().unwrap();
    let (parameters, body) = seen.parameters();
    assert_eq!(body, exchange.body, "{name}");
    assert_eq!(proof(&seen, &parameters), exchange.by, "{name}");
    assert_eq!(seen.header("accept"), Some("application/json"), "{name}");
    has_headers(&seen, &exchange.headers, name);
    (seen, parameters)
}

#[tokio::test]
async fn every_preset_logs_in_and_says_who_it_was() {
    with_each(async |world| {
        let (name, fixture) = (&world.name, &world.fixture);
        let (redirect, login) = world.login().await;
        let login = login.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let (_, parameters) = checked(world, &fixture.token);
        assert_eq!(parameters["grant_type"], "authorization_code", "{name}");
        assert_eq!(parameters["code"], CODE, "{name}");
        assert_eq!(parameters["redirect_uri"], world.callback(), "{name}");
        match query(&redirect.url).get("code_challenge") {
            Some(challenge) => assert!(is_proof(&parameters["code_verifier"], challenge), "{name}"),
            None => assert!(!parameters.contains_key("code_verifier"), "{name}"),
        }
        let access = fixture.token.answer["access_token"].as_str().unwrap();
        assert_eq!(login.token.access_token().expose(), access, "{name}");
        assert_eq!(login.scopes, fixture.scopes, "{name}");
        for ask in &fixture.userinfo {
            let seen = world.peer.seen(&ask.at).pop().unwrap();
            let bearer = format!("Bearer {access}");
            assert_eq!(
                seen.header("authorization"),
                Some(bearer.as_str()),
                "{name}"
            );
            assert_eq!(seen.url.as_str(), ask.at, "{name}");
            has_headers(&seen, &ask.headers, name);
        }
        has_members(&claims_of(&login), &fixture.claims, name);
        let owner = login.default_owner().unwrap();
        let subject = fixture.claims["sub"].as_str().unwrap();
        assert!(owner.ends_with(&format!("#{subject}")), "{name}: {owner}");
    })
    .await;
}

/// What the application sees: the ID token's claims, and userinfo's over them.
fn claims_of(login: &Login) -> Value {
    let claims = login.claims.as_ref().map(IdTokenClaims::to_value);
    let mut all = claims.unwrap_or_else(|| serde_json::json!({}));
    if let Some(userinfo) = &login.userinfo {
        let members = userinfo.to_value();
        all.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
    }
    all
}

#[tokio::test]
async fn every_preset_that_can_refreshes_as_its_provider_wants_it() {
    with_each(async |world| {
        let name = &world.name;
        let Some(refresh) = &world.fixture.refresh else {
            return;
        };
        let grant = world.grant().await;
        let old = world.fixture.token.answer["refresh_token"]
            .as_str()
            .unwrap();
        world.answer_with("POST", refresh, None);
        let token = grant.refresh().await;
        let token = token.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let (_, parameters) = checked(world, refresh);
        assert_eq!(parameters["grant_type"], "refresh_token", "{name}");
        assert_eq!(parameters["refresh_token"], old, "{name}");
        let access = refresh.answer["access_token"].as_str().unwrap();
        assert_eq!(token.access_token().expose(), access, "{name}");
        // The next one sends the new refresh token, or the old one where none came.
        grant.refresh().await.unwrap();
        let (_, parameters) = checked(world, refresh);
        let next = refresh.answer.get("refresh_token").and_then(Value::as_str);
        assert_eq!(parameters["refresh_token"], next.unwrap_or(old), "{name}");
    })
    .await;
}

fn refuse(world: &World, at: &str, refused: &Refused) {
    let reply = Reply::json(refused.status, &refused.answer);
    world.peer.answers("POST", at, reply);
}

#[tokio::test]
async fn a_code_that_is_over_is_the_same_error_with_every_preset() {
    with_each(async |world| {
        let (name, refused) = (&world.name, &world.fixture.refused);
        let redirect = world.begin().await;
        refuse(world, &world.fixture.token.at, refused);
        let error = world.come_back(&redirect).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::ProviderError, "{name}");
        assert_eq!(error.phase(), Phase::TokenRequest, "{name}");
        assert_eq!(error.client(), Some(name.as_str()));
        let said = error.provider().unwrap();
        assert_eq!(said.status, Some(refused.status), "{name}");
        assert_eq!(said.error, refused.error, "{name}");
        if said.error.as_deref() == Some("invalid_grant") {
            assert!(matches!(error.action(), Action::Login { .. }), "{name}");
        }
        for secret in [CODE, fixture::SECRET] {
            assert!(!format!("{error:?}").contains(secret), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_that_is_over_asks_for_a_login_with_every_preset() {
    with_each(async |world| {
        let name = &world.name;
        let (Some(refresh), Some(ended)) = (&world.fixture.refresh, &world.fixture.ended) else {
            return;
        };
        let grant = world.grant().await;
        refuse(world, &refresh.at, ended);
        let error = grant.refresh().await.unwrap_err();
        if ended.error.as_deref() == Some("invalid_grant") {
            assert_eq!(error.code(), ErrorCode::LoginRequired, "{name}: {error:?}");
        } else {
            // The provider does not say it.
            assert_eq!(error.code(), ErrorCode::ProviderError, "{name}: {error:?}");
            assert!(matches!(error.action(), Action::Retry { .. }), "{name}");
        }
        // Nobody else has to wait for it.
        world.answer_with("POST", refresh, None);
        world.grant().await.refresh().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_user_who_says_no_is_the_same_error_with_every_preset() {
    with_each(async |world| {
        let redirect = world.begin().await;
        let login = world.come_back_with(&redirect, &[("error", "access_denied")]);
        let error = login.await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::AccessDenied, "{}", world.name);
        assert_eq!(world.peer.seen(&world.fixture.token.at).len(), 0);
    })
    .await;
}

#[tokio::test]
async fn every_preset_that_can_revokes_as_its_provider_wants_it() {
    with_each(async |world| {
        let name = &world.name;
        world.grant().await;
        let Some(revoke) = &world.fixture.revoke else {
            let at_provider = forget(world).await;
            assert!(
                matches!(at_provider, AtProvider::Unsupported),
                "{name}: {at_provider:?}"
            );
            return;
        };
        let token = |kind: &str| {
            world.fixture.token.answer[kind]
                .as_str()
                .unwrap_or_default()
        };
        let (access, refresh) = (token("access_token"), token("refresh_token"));
        let written = |text: &str| match text {
            "$access" => access.to_owned(),
            "$refresh" => refresh.to_owned(),
            text => text.replace("$client", "the-client"),
        };
        let at = revoke.at.replace("$client", "the-client");
        let done = Reply::json(200, &serde_json::json!({}));
        world.peer.answers(&revoke.method, &at, done);
        let at_provider = forget(world).await;
        assert!(
            matches!(at_provider, AtProvider::Revoked),
            "{name}: {at_provider:?}"
        );
        let seen = world.peer.seen(&at);
        let wanted: HashMap<String, String> = revoke
            .parameters
            .iter()
            .map(|(parameter, value)| (parameter.clone(), written(value)))
            .collect();
        let by = revoke.by.replace("$access", access);
        let found = seen.iter().any(|seen| {
            let (mut parameters, body) = seen.parameters();
            let proof = proof(seen, &parameters);
            for credential in ["client_id", "client_secret"] {
                if !wanted.contains_key(credential) {
                    parameters.remove(credential);
                }
            }
            has_headers(seen, &revoke.headers, name);
            seen.method == revoke.method.as_str()
                && body == revoke.body
                && proof == by
                && parameters == wanted
        });
        assert!(found, "{name}: {seen:?}");
    })
    .await;
}

/// What the provider said to a revocation of all that the user had.
async fn forget(world: &World) -> AtProvider {
    let mut forgotten = world.oauth.forget("the-user").await.unwrap();
    assert!(forgotten.is_complete());
    forgotten.grants.remove(0).at_provider
}

#[tokio::test]
async fn every_preset_calls_its_api_with_what_that_wants() {
    with_each(async |world| {
        let (name, Some(api)) = (&world.name, &world.fixture.api) else {
            return;
        };
        let grant = world.grant().await;
        world.peer.answers(
            "GET",
            &api.at,
            Reply::json(200, &serde_json::json!({"ok": true})),
        );
        let answer = grant.get(&api.path).await;
        let answer = answer.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(answer.status(), 200, "{name}");
        let seen = world.peer.seen(&api.at).pop().unwrap();
        let access = world.fixture.token.answer["access_token"].as_str().unwrap();
        let bearer = format!("Bearer {access}");
        assert_eq!(
            seen.header("authorization"),
            Some(bearer.as_str()),
            "{name}"
        );
        has_headers(&seen, &api.headers, name);
    })
    .await;
}

#[tokio::test]
async fn no_preset_asks_a_host_of_another() {
    let mut hosts: HashMap<String, String> = HashMap::new();
    for name in NAMES {
        let world = World::of(name).await;
        world.login().await.1.unwrap();
        let asked: BTreeSet<String> = world.peer.hosts().into_iter().collect();
        for host in asked.into_iter().filter(|host| host != "keys.example.com") {
            if let Some(other) = hosts.insert(host.clone(), (*name).to_owned()) {
                panic!("{name} and {other} both ask {host}");
            }
        }
    }
}
