//! A logout by the provider that comes while a login is under way.

use std::time::Duration;

use tokenkeep::{
    ErrorCode, GrantState,
    store::{Page, TokenQuery},
};
use tokenkeep_testing::{LogoutToken, Provider};

use super::{is_in, tell, token};
use crate::world::{World, alice, on_every_store, refused};

/// How many sessions and grants are alive.
async fn alive(oauth: &tokenkeep::OAuth) -> usize {
    let all = oauth
        .find_tokens(&TokenQuery::default(), Page::first(100))
        .await;
    let all = all.unwrap().items;
    all.iter()
        .filter(|info| info.state == GrantState::Active)
        .count()
}

#[tokio::test]
async fn a_login_whose_session_was_ended_meanwhile_begins_none() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world
            .bare(&world.store)
            .register(world.registration().scopes(["openid"]));
        let oauth = oauth.build().unwrap();
        let (there, _) = world.second().await;
        let login = world.login(&oauth, "alice").await.unwrap();
        let sid = login.claims.as_ref().unwrap().sid().unwrap().to_owned();
        // In another process, and long before the browser is back.
        let named = token(world, &LogoutToken::of_session(&sid).subject("alice"));
        assert_eq!(tell(&there, &named).await.unwrap().sessions, 0);
        // Twice: what looks at the mark leaves it there.
        for _ in 0..2 {
            let error = refused(
                oauth.keep_login(&login, "alice", None).await,
                ErrorCode::LoginRequired,
            );
            assert_eq!(error.action().as_str(), "login");
            assert_eq!(alive(&oauth).await, 0, "neither a session nor a grant");
            refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
        }
        // Another session of the same user is another matter.
        let kept = world.log_in(&oauth, "alice").await;
        assert!(is_in(&oauth, &kept.cookies).await);
    })
    .await;
}

#[tokio::test]
async fn a_logout_of_all_sessions_refuses_the_logins_that_began_before_it() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let before = world.login(&oauth, "alice").await.unwrap();
        let bobs = world.login(&oauth, "bob").await.unwrap();
        for _ in 0..2 {
            world.advance(Duration::from_secs(1));
            tell(&oauth, &token(world, &LogoutToken::of_subject("alice")))
                .await
                .unwrap();
        }
        refused(
            oauth.keep_login(&before, "alice", None).await,
            ErrorCode::LoginRequired,
        );
        oauth.keep_login(&bobs, "bob", None).await.unwrap();
        world.advance(Duration::from_secs(1));
        let kept = world.log_in(&oauth, "alice").await;
        assert!(is_in(&oauth, &kept.cookies).await);
    })
    .await;
}

#[tokio::test]
async fn a_logout_is_remembered_for_as_long_as_a_login_may_take() {
    let world = World::new().await;
    let oauth = world.oauth();
    let login = world.login(&oauth, "alice").await.unwrap();
    let sid = login.claims.as_ref().unwrap().sid().unwrap().to_owned();
    tell(&oauth, &token(&world, &LogoutToken::of_session(&sid)))
        .await
        .unwrap();
    world.advance(Duration::from_secs(600));
    refused(
        oauth.keep_login(&login, "alice", None).await,
        ErrorCode::LoginRequired,
    );
    world.advance(Duration::from_secs(61));
    oauth.keep_login(&login, "alice", None).await.unwrap();
}

#[tokio::test]
async fn an_account_that_was_being_connected_is_not_kept_either() {
    let world = World::new().await;
    let oauth = world
        .bare(&world.store)
        .register(world.registration().scopes(["openid"]));
    let oauth = oauth
        .register(world.registration_named("mail").scopes(["openid"]))
        .build()
        .unwrap();
    let kept = world.log_in(&oauth, "alice").await;
    let mail = oauth.client("mail").unwrap();
    let redirect = mail
        .authorize_redirect(crate::world::CALLBACK)
        .connect("alice")
        .await
        .unwrap();
    let callback = world.at_provider(&redirect, "alice").await;
    let login = crate::world::come_back(&mail, &callback, &redirect.cookies)
        .await
        .unwrap();
    let sid = login.claims.as_ref().unwrap().sid().unwrap().to_owned();
    let named = token(&world, &LogoutToken::of_session(sid));
    mail.backchannel_logout(&super::form(&named)).await.unwrap();
    let connected = oauth
        .keep_login(&login, "alice", kept.session.as_ref())
        .await;
    refused(connected, ErrorCode::LoginRequired);
    refused(mail.owner("alice").token().await, ErrorCode::LoginRequired);
    assert!(
        is_in(&oauth, &kept.cookies).await,
        "that is another session"
    );
}

#[tokio::test]
async fn a_provider_that_gives_the_same_sid_again_locks_nobody_out() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(crate::world::CLIENT).unwrap();
    let browser = world.provider.browser();
    let log_in = async || {
        let redirect = client
            .authorize_redirect(crate::world::CALLBACK)
            .await
            .unwrap();
        let callback = browser
            .callback(redirect.url.as_str(), "alice")
            .await
            .unwrap();
        let login = crate::world::come_back(&client, &callback, &redirect.cookies)
            .await
            .unwrap();
        let sid = login.claims.as_ref().unwrap().sid().unwrap().to_owned();
        (login, sid)
    };
    let (before, sid) = log_in().await;
    let named = LogoutToken::of_session(&sid);
    tell(&oauth, &token(&world, &named)).await.unwrap();
    let (at_once, same) = log_in().await;
    assert_eq!(same, sid);
    world.advance(Duration::from_secs(61));
    let (later, _) = log_in().await;
    for login in [&before, &at_once] {
        refused(
            oauth.keep_login(login, "alice", None).await,
            ErrorCode::LoginRequired,
        );
    }
    let kept = oauth.keep_login(&later, "alice", None).await.unwrap();
    assert!(is_in(&oauth, &kept.cookies).await);
}
