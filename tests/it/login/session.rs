//! Sessions, connecting accounts, and the way back from a logout.

use std::time::Duration;

use tokenkeep::{CallbackParams, ErrorCode, KeyRing, Phase};
use tokenkeep_testing::{Endpoint, Fault, Provider};

use crate::world::{
    CALLBACK, CLIENT, World, alice, come_back, cookies, key, on_every_store, refused,
};

const LOGGED_OUT: &str = "http://127.0.0.1:3000/logged-out/op";

#[tokio::test]
async fn a_session_is_only_what_its_cookie_and_its_record_say() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let kept = world.log_in(&oauth, "alice").await;
        let session = oauth
            .session(&cookies(&kept.cookies))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(session.owner(), "alice");
        assert_eq!(session.claims().unwrap().subject(), "alice");
        session.check_csrf(Some(session.csrf())).unwrap();
        for wrong in [None, Some(""), Some("x"), Some(&session.csrf()[1..])] {
            refused(session.check_csrf(wrong), ErrorCode::CsrfMismatch);
        }
        let mut tampered = kept.cookies.clone();
        let text = tampered[0].value.expose().to_owned();
        for at in [0, text.len() / 2, text.len() - 2] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            tampered[0].value = String::from_utf8(bytes).unwrap().into();
            assert!(oauth.session(&cookies(&tampered)).await.unwrap().is_none());
        }
        let other = world
            .builder()
            .key_ring(KeyRing::parse(&key("b", 9)).unwrap());
        let other = other.build().unwrap();
        assert!(
            other
                .session(&cookies(&kept.cookies))
                .await
                .unwrap()
                .is_none()
        );
        world.clock.advance(Duration::from_secs(14 * 24 * 3600));
        assert!(
            oauth
                .session(&cookies(&kept.cookies))
                .await
                .unwrap()
                .is_none()
        );
    })
    .await;
}

#[tokio::test]
async fn a_logout_ends_the_session_even_if_the_provider_cannot_be_asked() {
    let world = World::new().await;
    let oauth = world.oauth();
    let kept = world.log_in(&oauth, "alice").await;
    world.provider.shutdown().await;
    let out = oauth.log_out(kept.session.as_ref().unwrap(), Some(LOGGED_OUT));
    let out = out.await.unwrap();
    assert!(
        out.cookies
            .iter()
            .any(|cookie| cookie.max_age == Some(Duration::ZERO))
    );
    assert!(
        oauth
            .session(&cookies(&kept.cookies))
            .await
            .unwrap()
            .is_none()
    );
    // Twice is as good as once.
    oauth
        .log_out(kept.session.as_ref().unwrap(), Some(LOGGED_OUT))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_grant_that_was_bound_to_its_session_ends_with_it() {
    let world = World::new().await;
    let registration = world.registration().scopes(["openid"]);
    let oauth = world
        .bare(&world.store)
        .register(registration)
        .build()
        .unwrap();
    let kept = world.log_in(&oauth, "alice").await;
    alice(&oauth).token().await.unwrap();
    oauth
        .log_out(kept.session.as_ref().unwrap(), Some(LOGGED_OUT))
        .await
        .unwrap();
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
}

#[tokio::test]
async fn only_the_way_back_from_our_own_logout_is_taken() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let client = oauth.client(CLIENT).unwrap();
        let kept = world.log_in(&oauth, "alice").await;
        let out = oauth.log_out(kept.session.as_ref().unwrap(), Some(LOGGED_OUT));
        let out = out.await.unwrap();
        let browser = world.provider.browser();
        let url = out.redirect.unwrap();
        let back = browser.callback(url.as_str(), "alice").await.unwrap();
        let query = back.url.query().unwrap().to_owned();
        let check = |query: &str, set: &[tokenkeep::Cookie]| {
            let params = CallbackParams::parse(query).unwrap();
            client.validate_logout_response(&params, &cookies(set), None)
        };
        let error = refused(check("", &out.cookies), ErrorCode::MissingParameter);
        assert_eq!(error.phase(), Phase::Logout);
        refused(
            check("state=foreign", &out.cookies),
            ErrorCode::StateMismatch,
        );
        refused(check(&query, &[]), ErrorCode::StateMismatch);
        let removal = check(&query, &out.cookies).unwrap();
        assert_eq!(removal.max_age, Some(Duration::ZERO));
        world.clock.advance(Duration::from_secs(600));
        refused(check(&query, &out.cookies), ErrorCode::StateMismatch);
    })
    .await;
}

#[tokio::test]
async fn connecting_adds_a_grant_to_whoever_is_signed_in_and_to_nobody_else() {
    on_every_store(Provider::builder, async |world| {
        let mail = tokenkeep::Registration::openid("mail", world.provider.issuer())
            .client_id(world.provider.client_id())
            .client_secret(world.provider.client_secret());
        let oauth = world.builder().register(mail).build().unwrap();
        let alices = world.log_in(&oauth, "alice").await.session.unwrap();
        let bobs = world.log_in(&oauth, "bob").await.session.unwrap();
        let client = oauth.client("mail").unwrap();
        let redirect = client
            .authorize_redirect(CALLBACK)
            .connect("alice")
            .await
            .unwrap();
        let callback = world.at_provider(&redirect, "alice-at-mail").await;
        let login = come_back(&client, &callback, &redirect.cookies)
            .await
            .unwrap();
        assert_eq!(login.connect.as_deref(), Some("alice"));
        for signed_in in [None, Some(&bobs)] {
            let kept = oauth.keep_login(&login, "mallory", signed_in).await;
            let error = refused(kept, ErrorCode::UserChanged);
            assert_eq!(error.code().http_status(), 409);
        }
        assert_eq!(oauth.grants("alice").await.unwrap().len(), 1);
        let kept = oauth
            .keep_login(&login, "mallory", Some(&alices))
            .await
            .unwrap();
        assert_eq!(kept.owner, "alice");
        assert!(kept.session.is_none() && kept.cookies.is_empty());
        client.owner("alice").token().await.unwrap();
        assert_eq!(oauth.grants("alice").await.unwrap().len(), 2);
        assert!(oauth.grants("mallory").await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_login_that_names_nobody_has_no_owner_of_its_own() {
    let world = World::new().await;
    let issuer = world.provider.issuer();
    let plain = tokenkeep::Registration::oauth2(
        CLIENT,
        format!("{issuer}/authorize"),
        format!("{issuer}/token"),
    )
    .client_id(world.provider.client_id())
    .client_secret(world.provider.client_secret())
    .scopes(["email"]);
    let oauth = world.bare(&world.store).register(plain).build().unwrap();
    let login = world.login(&oauth, "alice").await.unwrap();
    refused(login.default_owner(), ErrorCode::OwnerUnknown);
    let with = world.oauth();
    let login = world.login(&with, "alice").await.unwrap();
    assert_eq!(login.default_owner().unwrap(), format!("{issuer}#alice"));
}

#[tokio::test]
async fn revoking_ends_a_grant_here_and_there_even_if_there_is_down() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let rule = world
        .provider
        .faults()
        .on(Endpoint::Revoke, Fault::ServerError(503));
    grant.revoke().await.unwrap();
    refused(grant.token().await, ErrorCode::LoginRequired);
    crate::world::until("it was tried", async || rule.fired() >= 2).await;
    rule.off();
    let client_id = world.provider.client_id();
    crate::world::until("it is revoked there", async || {
        world.clock.advance(Duration::from_secs(1));
        world
            .provider
            .live_refresh_token("alice", client_id)
            .is_none()
    })
    .await;
}

#[tokio::test]
async fn a_logout_that_cannot_take_its_cookie_back_ends_nothing() {
    let world = World::new().await;
    let oauth = world
        .bare(&world.store)
        .register(world.registration())
        .build()
        .unwrap();
    let kept = world.log_in(&oauth, "alice").await;
    let browser = cookies(&kept.cookies);
    let session = oauth.session(&browser).await.unwrap().unwrap();
    // The same application as one that was never told its address.
    let nowhere = tokenkeep::OAuth::builder()
        .store(world.store.clone())
        .key_ring(KeyRing::parse(&world.ring).unwrap())
        .register(world.registration())
        .build()
        .unwrap();
    refused(
        nowhere.log_out(&session, None).await,
        ErrorCode::InvalidConfiguration,
    );
    // Asked anew: what a registry holds in memory could be of before.
    let fresh = world.oauth();
    assert!(fresh.session(&browser).await.unwrap().is_some());
}
