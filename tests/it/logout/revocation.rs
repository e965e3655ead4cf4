//! `revoke_at_logout`: a logout also ends the grant, here at once and at the provider as soon as that is there.

use std::time::Duration;

use tokenkeep::{BrowserCookies, ErrorCode, OAuth, ProviderProfile, Revocation, Settings};
use tokenkeep_testing::{Endpoint, Fault, LogoutToken, Provider};

use super::{LOGGED_OUT, sid, tell, token};
use crate::world::{CLIENT, PATIENCE, World, alice, on_every_store, refused, soon, until};

fn revoking(world: &World) -> OAuth {
    let registration = world.registration().revoke_at_logout();
    world
        .bare(&world.store)
        .register(registration)
        .build()
        .unwrap()
}

fn lives(world: &World) -> bool {
    let client_id = world.provider.client_id();
    world
        .provider
        .live_refresh_token("alice", client_id)
        .is_some()
}

/// The three ways in which a logout begins. Answers how many grants ended, which the first does not say.
async fn log_out(world: &World, oauth: &OAuth, way: usize) -> usize {
    let kept = world.log_in(oauth, "alice").await;
    assert!(lives(world));
    let client = oauth.client(CLIENT).unwrap();
    match way {
        0 => {
            let session = kept.session.as_ref().unwrap();
            oauth.log_out(session, Some(LOGGED_OUT)).await.unwrap();
            1
        }
        1 => {
            let named = token(world, &LogoutToken::of_session(sid(&kept)));
            tell(oauth, &named).await.unwrap().grants
        }
        _ => {
            let asked = format!("iss={}&sid={}", world.provider.issuer(), sid(&kept));
            let none = BrowserCookies::default();
            let out = client.frontchannel_logout(&asked, &none).await.unwrap();
            out.ended.grants
        }
    }
}

#[tokio::test]
async fn every_logout_revokes_where_the_registration_says_so_and_none_otherwise() {
    on_every_store(Provider::builder, async |world| {
        for way in 0..3 {
            let oauth = world.oauth();
            log_out(world, &oauth, way).await;
            alice(&oauth).token().await.unwrap();
            assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
            assert!(lives(world), "offline access outlives a session");

            let oauth = revoking(world);
            assert_eq!(log_out(world, &oauth, way).await, 1, "way {way}");
            refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
            assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
            assert!(!lives(world), "way {way}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_logout_waits_for_the_revocation_which_is_tried_until_it_is_done() {
    let world = World::new().await;
    for way in 0..3 {
        let oauth = revoking(&world);
        let rule = world
            .provider
            .faults()
            .on(Endpoint::Revoke, Fault::ServerError(503));
        log_out(&world, &oauth, way).await;
        refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
        until("it was tried twice", async || rule.fired() >= 2).await;
        assert!(lives(&world));
        assert!(
            oauth.drain(Duration::ZERO).await.unwrap() > 0,
            "a drain waits for it"
        );
        rule.off();
        until("it is revoked", async || {
            world.clock.advance(Duration::from_secs(1));
            !lives(&world)
        })
        .await;
    }
}

#[tokio::test]
async fn a_revocation_is_given_up_after_a_while() {
    let world = World::new().await;
    let oauth = revoking(&world);
    let rule = world
        .provider
        .faults()
        .on(Endpoint::Revoke, Fault::ServerError(503));
    log_out(&world, &oauth, 0).await;
    until("it is given up", async || {
        world.clock.advance(Duration::from_secs(1));
        oauth.drain(Duration::ZERO).await.unwrap() == 0
    })
    .await;
    // Six times for the refresh token, and six for the access token.
    assert_eq!(rule.fired(), 12);
}

/// A revocation shows the token, and a logout the ID token: neither is for the provider that a client has moved to.
#[tokio::test]
async fn a_provider_that_took_another_s_place_is_shown_nothing_of_the_old_one() {
    let world = World::new().await;
    let other = Provider::builder()
        .auto_login("alice")
        .start()
        .await
        .unwrap();
    for way in 0..5 {
        let oauth = revoking(&world);
        let kept = world.log_in(&oauth, "alice").await;
        let session = kept.session.as_ref().unwrap();
        let moved = crate::world::registration(&other)
            .revoke_at_logout()
            .profile(ProviderProfile::new().revocation(Revocation::PerToken));
        oauth.replace(moved).unwrap();
        match way {
            0 => {
                let out = oauth.log_out(session, Some(LOGGED_OUT)).await.unwrap();
                assert!(out.redirect.is_none(), "{:?}", out.redirect);
            }
            1 => alice(&oauth).revoke().await.unwrap(),
            2 => assert!(oauth.forget("alice").await.unwrap().is_complete()),
            3 => {
                let there = oauth.client(CLIENT).unwrap();
                let redirect = there.authorize_redirect(crate::world::CALLBACK);
                let redirect = redirect.await.unwrap();
                let browser = other.browser();
                let callback = browser.callback(redirect.url.as_str(), "alice").await;
                let login =
                    crate::world::come_back(&there, &callback.unwrap(), &redirect.cookies).await;
                let kept = oauth.keep_login(&login.unwrap(), "alice", None).await;
                kept.unwrap();
            }
            _ => {
                oauth.replace(world.registration_named(CLIENT)).unwrap();
                let registration = world.registration().revoke_at_logout();
                oauth.replace(registration).unwrap();
                alice(&oauth).revoke().await.unwrap();
                assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
                assert!(!lives(&world), "back at the old one");
            }
        }
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        assert_eq!(other.requests("/revoke"), 0, "way {way}");
    }
}

#[tokio::test]
async fn it_can_be_said_in_the_settings() {
    let world = World::new().await;
    for (said, stays) in [("true", false), ("false", true)] {
        let kwargs = format!(r#"{{"revoke_at_logout": {said}}}"#);
        let oauth = world
            .bare(&world.store)
            .config(Settings::from_iter([("OP_CLIENT_KWARGS", kwargs)]))
            .register(world.registration())
            .build()
            .unwrap();
        let kept = world.log_in(&oauth, "alice").await;
        oauth
            .log_out(kept.session.as_ref().unwrap(), Some(LOGGED_OUT))
            .await
            .unwrap();
        assert_eq!(alice(&oauth).token().await.is_ok(), stays);
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        assert_eq!(lives(&world), stays);
    }
    let wrong = Settings::from_iter([("OP_CLIENT_KWARGS", r#"{"revoke_at_logout": "maybe"}"#)]);
    let oauth = world
        .bare(&world.store)
        .config(wrong)
        .register(world.registration())
        .build();
    let error = refused(oauth, ErrorCode::InvalidConfiguration);
    assert!(error.message().contains("revoke_at_logout"), "{error}");
}
