//! What a back-channel logout ends, and which tokens it is refused for.

use std::time::Duration;

use tokenkeep::{ErrorCode, Login, LogoutCause, Phase, Token, TokenUpdate};
use tokenkeep_testing::{Endpoint, Fault, IdTokenFault, LogoutToken, LogoutTokenFault, Provider};

use super::{form, is_in, sid, tell, token, until_out};
use crate::{
    faulty::{Method, StoreFault},
    world::{CLIENT, World, alice, next, next_of, on_every_store, refused, soon},
};

#[tokio::test]
async fn a_logout_token_ends_the_session_it_names_in_every_process() {
    on_every_store(Provider::builder, async |world| {
        let here = world.oauth();
        let (there, _) = world.second().await;
        for oauth in [&here, &there] {
            soon(oauth.follow_changes()).await.unwrap();
        }
        let ended = world.log_in(&here, "alice").await;
        let other = world.log_in(&here, "alice").await;
        for set in [&ended.cookies, &other.cookies] {
            assert!(is_in(&here, set).await && is_in(&there, set).await);
        }
        let (mut hears, mut hears_there) = (
            here.token_updates().unwrap(),
            there.token_updates().unwrap(),
        );
        let named = LogoutToken::of_session(sid(&ended)).subject("alice");
        let done = tell(&there, &token(world, &named)).await.unwrap();
        assert_eq!((done.sessions, done.grants), (1, 0));
        assert!(!is_in(&there, &ended.cookies).await);
        until_out(&here, &ended.cookies).await;
        assert!(is_in(&here, &other.cookies).await && is_in(&there, &other.cookies).await);
        let key = ended.session.unwrap().key().clone();
        for (hears, is_local) in [(&mut hears, false), (&mut hears_there, true)] {
            let update = next_of(hears, "logged_out").await;
            assert_eq!(update.key(), Some(&key));
            let TokenUpdate::LoggedOut { cause, .. } = update else {
                unreachable!()
            };
            assert_eq!(cause == LogoutCause::Provider, is_local, "{cause:?}");
        }
        // Its grant has offline_access: it works on.
        alice(&here).token().await.unwrap();
        // Nothing is left to end, and that is no error.
        let again = tell(&here, &token(world, &named)).await.unwrap();
        assert_eq!((again.sessions, again.grants), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_logout_token_without_sid_ends_all_sessions_of_its_user_and_nobody_elses() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        oauth.register(world.registration_named("mail")).unwrap();
        let hers = [
            world.log_in(&oauth, "alice").await,
            world.log_in(&oauth, "alice").await,
        ];
        let bobs = world.log_in(&oauth, "bob").await;
        let mail = oauth.client("mail").unwrap();
        let elsewhere = Login::for_tests(&mail, "alice", Token::builder("a").build().unwrap());
        let elsewhere = elsewhere.await.unwrap();
        let elsewhere = oauth.keep_login(&elsewhere, "alice", None).await.unwrap();
        let done = tell(&oauth, &token(world, &LogoutToken::of_subject("alice"))).await;
        assert_eq!(done.unwrap().sessions, 2);
        for kept in &hers {
            assert!(!is_in(&oauth, &kept.cookies).await);
        }
        assert!(is_in(&oauth, &bobs.cookies).await);
        assert!(is_in(&oauth, &elsewhere.cookies).await, "another client");

        // A sid of hers, and another user beside it: neither's session.
        let mixed = LogoutToken::of_session(sid(&bobs)).subject("alice");
        let done = tell(&oauth, &token(world, &mixed)).await.unwrap();
        assert_eq!(done.sessions, 0);
        assert!(is_in(&oauth, &bobs.cookies).await);
        let done = tell(&oauth, &token(world, &LogoutToken::of_session(sid(&bobs)))).await;
        assert_eq!(done.unwrap().sessions, 1);
    })
    .await;
}

#[tokio::test]
async fn a_session_of_another_issuer_is_nobody_elses_business() {
    let world = World::new().await;
    let oauth = world.oauth();
    let kept = world.log_in(&oauth, "alice").await;
    // The client moves to another provider, which knows an alice too, and may choose any sid.
    let other = Provider::start().await.unwrap();
    let moved = crate::world::registration(&other);
    oauth.replace(moved).unwrap();
    for named in [
        LogoutToken::of_subject("alice"),
        LogoutToken::of_session(sid(&kept)),
    ] {
        let token = other.logout_token(other.client_id(), &named);
        assert_eq!(tell(&oauth, &token).await.unwrap().sessions, 0);
    }
    assert!(is_in(&world.oauth(), &kept.cookies).await);
}

#[tokio::test]
async fn every_page_of_a_users_sessions_ends() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let token_of_login = Token::builder("a").build().unwrap();
    let login = Login::for_tests(&client, "alice", token_of_login);
    let login = login.await.unwrap();
    let mut all = Vec::new();
    for _ in 0..450 {
        let kept = oauth.keep_login(&login, "alice", None).await.unwrap();
        all.push(kept.cookies);
    }
    world.clock.advance(Duration::from_secs(1));
    let done = tell(&oauth, &token(&world, &LogoutToken::of_subject("alice"))).await;
    assert_eq!(done.unwrap().sessions, 450);
    for set in &all {
        assert!(!is_in(&oauth, set).await);
    }
    // A store that gives one page for ever is an error, and not a logout for ever.
    world.store.repeat_pages();
    let endless = tell(&oauth, &token(&world, &LogoutToken::of_subject("alice"))).await;
    refused(endless, ErrorCode::StoreUnavailable);
}

#[tokio::test]
async fn a_grant_that_was_bound_to_the_session_ends_with_it() {
    on_every_store(
        || Provider::builder().refresh_without_offline_access(true),
        async |world| {
            let registration = world.registration().scopes(["openid"]);
            let oauth = world.bare(&world.store).register(registration);
            let oauth = oauth.build().unwrap();
            let kept = world.log_in(&oauth, "alice").await;
            alice(&oauth).token().await.unwrap();
            let named = LogoutToken::of_session(sid(&kept));
            let done = tell(&oauth, &token(world, &named)).await.unwrap();
            assert_eq!((done.sessions, done.grants), (1, 1));
            refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
            // A later login is not touched by a token about an earlier session.
            let kept = world.log_in(&oauth, "alice").await;
            tell(&oauth, &token(world, &named)).await.unwrap();
            assert!(is_in(&oauth, &kept.cookies).await);
            alice(&oauth).token().await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_logout_token_counts_once_in_the_whole_fleet() {
    on_every_store(Provider::builder, async |world| {
        let here = world.oauth();
        let (there, _) = world.second().await;
        let kept = world.log_in(&here, "alice").await;
        let once = token(world, &LogoutToken::of_session(sid(&kept)));
        tell(&here, &once).await.unwrap();
        for oauth in [&here, &there] {
            let error = refused(tell(oauth, &once).await, ErrorCode::InvalidLogoutToken);
            assert!(error.message().contains("jti"), "{error}");
        }
        // As long as it is not over, and then it is.
        world.advance(Duration::from_secs(179));
        refused(tell(&there, &once).await, ErrorCode::InvalidLogoutToken);
        world.advance(Duration::from_secs(3));
        let error = refused(tell(&there, &once).await, ErrorCode::InvalidLogoutToken);
        assert!(error.message().contains("expired"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_logout_token_counts_once_in_a_process_whose_store_cannot_remember_it() {
    let world = World::new().await;
    let store = world
        .another_store()
        .await
        .limited_to(|has| has.once = false);
    let oauth = world.bare(&store).register(world.registration());
    let oauth = oauth.build().unwrap();
    let kept = world.log_in(&oauth, "alice").await;
    let once = token(&world, &LogoutToken::of_session(sid(&kept)));
    assert_eq!(tell(&oauth, &once).await.unwrap().sessions, 1);
    refused(tell(&oauth, &once).await, ErrorCode::InvalidLogoutToken);
}

#[tokio::test]
async fn a_logout_that_the_store_failed_may_be_told_again() {
    let world = World::new().await;
    let oauth = world.oauth();
    let kept = world.log_in(&oauth, "alice").await;
    let again = token(&world, &LogoutToken::of_session(sid(&kept)));
    for method in [Method::Once, Method::Find, Method::Write] {
        world.store.on(method, StoreFault::Fail);
        refused(tell(&oauth, &again).await, ErrorCode::StoreUnavailable);
        world.store.clear();
        assert!(is_in(&oauth, &kept.cookies).await, "{method:?}");
    }
    assert_eq!(tell(&oauth, &again).await.unwrap().sessions, 1);
    assert!(!is_in(&oauth, &kept.cookies).await);
}

#[tokio::test]
async fn a_store_that_finds_nothing_by_sid_says_so() {
    let world = World::new().await;
    let store = world
        .another_store()
        .await
        .limited_to(|has| has.find = false);
    let oauth = world.bare(&store).register(world.registration());
    let oauth = oauth.build().unwrap();
    let kept = world.log_in(&oauth, "alice").await;
    let named = token(&world, &LogoutToken::of_session(sid(&kept)));
    let error = refused(tell(&oauth, &named).await, ErrorCode::Unsupported);
    assert!(error.message().contains("find"), "{error}");
}

#[tokio::test]
async fn every_wrong_logout_token_is_refused_and_ends_nothing() {
    use LogoutTokenFault::*;
    let world = World::new().await;
    let oauth = world.oauth();
    let registration = world.registration().id_token_algorithms(["RS256"]);
    oauth.replace(registration).unwrap();
    let kept = world.log_in(&oauth, "alice").await;
    let claim = |name: &str, value| Claim(name.into(), value);
    for fault in [
        WrongSignature,
        AlgNone,
        OtherAlgorithm,
        UnknownKid,
        Encrypted,
        WrongType,
        Critical,
        DoubledMember,
        WrongIssuer,
        WrongAudience,
        Expired,
        Old,
        FromTheFuture,
        NoEvent,
        WrongEvent,
        EventIsNoObject,
        WithNonce,
        Nobody,
        claim("iss", serde_json::Value::Null),
        claim("aud", serde_json::Value::Null),
        claim("iat", serde_json::Value::Null),
        claim("exp", serde_json::Value::Null),
        claim("jti", serde_json::Value::Null),
    ] {
        let wrong = LogoutToken::of_session(sid(&kept)).fault(fault.clone());
        let told = tell(&oauth, &token(&world, &wrong)).await;
        let error = refused(told, ErrorCode::InvalidLogoutToken);
        assert_eq!(
            (error.phase(), error.client()),
            (Phase::Logout, Some(CLIENT)),
            "{fault:?}"
        );
        assert!(is_in(&oauth, &kept.cookies).await, "{fault:?}");
    }
    let id_token = kept_id_token(&world, &oauth).await;
    refused(tell(&oauth, &id_token).await, ErrorCode::InvalidLogoutToken);
    assert!(is_in(&oauth, &kept.cookies).await);
    tell(&oauth, &token(&world, &LogoutToken::of_session(sid(&kept))))
        .await
        .unwrap();
}

/// A good ID token, which is no logout token.
async fn kept_id_token(world: &World, oauth: &tokenkeep::OAuth) -> String {
    let login = world.login(oauth, "alice").await.unwrap();
    login.token.id_token().unwrap().expose().to_owned()
}

#[tokio::test]
async fn a_logout_token_is_signed_as_the_id_token_of_what_it_ends() {
    let world = World::new().await;
    let oauth = world.oauth();
    let kept = world.log_in(&oauth, "alice").await;
    for named in [
        LogoutToken::of_session(sid(&kept)),
        LogoutToken::of_subject("alice"),
    ] {
        let other = named.clone().fault(LogoutTokenFault::OtherAlgorithm);
        let error = refused(
            tell(&oauth, &token(&world, &other)).await,
            ErrorCode::InvalidLogoutToken,
        );
        assert!(
            error.message().contains("id_token_signed_response_alg"),
            "{error}"
        );
        assert!(is_in(&oauth, &kept.cookies).await);
    }
    // A process that has seen no ID token goes by the session's own.
    let (there, _) = world.second().await;
    let other = LogoutToken::of_subject("alice").fault(LogoutTokenFault::OtherAlgorithm);
    refused(
        tell(&there, &token(&world, &other)).await,
        ErrorCode::InvalidLogoutToken,
    );
    let named = token(&world, &LogoutToken::of_session(sid(&kept)));
    assert_eq!(tell(&oauth, &named).await.unwrap().sessions, 1);
    // Nor does one pass where nothing is left to end, nor to compare with.
    alice(&oauth).log_out().await.unwrap();
    refused(
        tell(&oauth, &token(&world, &other)).await,
        ErrorCode::InvalidLogoutToken,
    );
}

#[tokio::test]
async fn a_session_whose_id_token_named_no_sid_is_found_by_its_user() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let without = IdTokenFault::Claim("sid".into(), serde_json::Value::Null);
        let rule = world
            .provider
            .faults()
            .on(Endpoint::Token, Fault::IdToken(without));
        let nameless = world.log_in(&oauth, "alice").await;
        rule.off();
        let named = world.log_in(&oauth, "alice").await;
        let bobs = world.log_in(&oauth, "bob").await;
        let told = LogoutToken::of_session("a-session-of-the-provider").subject("alice");
        let done = tell(&oauth, &token(world, &told)).await.unwrap();
        assert_eq!(done.sessions, 1);
        assert!(!is_in(&oauth, &nameless.cookies).await);
        assert!(is_in(&oauth, &named.cookies).await, "it is another session");
        assert!(is_in(&oauth, &bobs.cookies).await);
    })
    .await;
}

#[tokio::test]
async fn keys_are_fetched_anew_and_a_provider_that_is_away_is_not_the_tokens_fault() {
    let world = World::new().await;
    let oauth = world.oauth();
    let kept = world.log_in(&oauth, "alice").await;
    world.provider.rotate_keys();
    let named = token(&world, &LogoutToken::of_session(sid(&kept)));
    let rule = world
        .provider
        .faults()
        .on(Endpoint::Jwks, Fault::ServerError(503));
    let error = refused(tell(&oauth, &named).await, ErrorCode::ProviderUnavailable);
    assert_eq!(error.phase(), Phase::Keys);
    assert!(is_in(&oauth, &kept.cookies).await);
    rule.off();
    // What failed pauses for a while; the same token is good then.
    world.clock.advance(Duration::from_secs(100));
    assert_eq!(tell(&oauth, &named).await.unwrap().sessions, 1);
}

#[tokio::test]
async fn the_form_brings_one_logout_token() {
    let world = World::new().await;
    let oauth = world.oauth();
    let kept = world.log_in(&oauth, "alice").await;
    let client = oauth.client(CLIENT).unwrap();
    let good = token(&world, &LogoutToken::of_session(sid(&kept)));
    let twice = [form(&good), b"&".to_vec(), form(&good)].concat();
    let long = [form(&good), vec![b'x'; 64 * 1024]].concat();
    let many = format!("{}logout_token={good}", "a=b&".repeat(64));
    for (body, code) in [
        (Vec::new(), ErrorCode::MissingParameter),
        (b"token=x".to_vec(), ErrorCode::MissingParameter),
        (b"logout_token=".to_vec(), ErrorCode::InvalidLogoutToken),
        (b"logout_token=%ff".to_vec(), ErrorCode::InvalidParameter),
        (twice, ErrorCode::InvalidParameter),
        (long, ErrorCode::InvalidParameter),
        (many.into_bytes(), ErrorCode::InvalidParameter),
    ] {
        refused(client.backchannel_logout(&body).await, code);
    }
    assert!(is_in(&oauth, &kept.cookies).await);
    client.backchannel_logout(&form(&good)).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_no_logout() {
    let world = World::new().await;
    let oauth = world.oauth();
    let kept = world.log_in(&oauth, "alice").await;
    let mut hears = oauth.token_updates().unwrap();
    let named = token(&world, &LogoutToken::of_session(sid(&kept)));
    let gate = tokenkeep_testing::Gate::new();
    // When the token was just used up, at the latest, there is no way back: the provider could not send it again.
    let used_up = StoreFault::HoldAnswer(gate.clone());
    world.store.times(Method::Once, used_up, 1);
    let (telling, by) = (oauth.clone(), named.clone());
    let told = tokio::spawn(async move { tell(&telling, &by).await });
    soon(gate.arrived(1)).await;
    told.abort();
    assert!(soon(told).await.is_err());
    gate.open();
    assert_eq!(next(&mut hears).await.kind(), "logged_out");
    assert!(!is_in(&oauth, &kept.cookies).await);
}
