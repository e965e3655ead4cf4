//! A logout by the provider that comes while a login is under way.

use std::{sync::Arc, time::Duration};

use tokenkeep::{
    ErrorCode, GrantState, Login, Token,
    store::{Page, TokenQuery},
};
use tokenkeep_testing::{LogoutToken, Provider};

use super::{is_in, tell, token};
use crate::{
    faulty::{Method, StoreFault},
    world::{
        CALLBACK, CLIENT, PATIENCE, World, alice, come_back, on_every_store, refused, soon, until,
    },
};

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
    let client = oauth.client(CLIENT).unwrap();
    let hour = Duration::from_secs(3600);
    let endless = client
        .authorize_redirect(CALLBACK)
        .life(hour + Duration::from_millis(1));
    refused(endless.await, ErrorCode::InvalidParameter);
    let redirect = client.authorize_redirect(CALLBACK).life(hour);
    let redirect = redirect.await.unwrap();
    tell(&oauth, &token(&world, &LogoutToken::of_subject("alice")))
        .await
        .unwrap();
    world.advance(hour - Duration::from_secs(5));
    let callback = world.at_provider(&redirect, "alice").await;
    let login = come_back(&client, &callback, &redirect.cookies)
        .await
        .unwrap();
    refused(
        oauth.keep_login(&login, "alice", None).await,
        ErrorCode::LoginRequired,
    );
    world.advance(Duration::from_secs(66));
    oauth.keep_login(&login, "alice", None).await.unwrap();
}

/// Whoever looks at a mark takes it for a moment: the others must not slip through meanwhile.
#[tokio::test]
async fn of_logins_that_come_back_at_once_none_overlooks_the_logout() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (there, store) = world.second().await;
        let mut begun = Vec::new();
        for _ in 0..4 {
            begun.push(world.login(&oauth, "alice").await.unwrap());
        }
        world.advance(Duration::from_secs(1));
        tell(&oauth, &token(world, &LogoutToken::of_subject("alice")))
            .await
            .unwrap();
        for store in [&world.store, &store] {
            let late = StoreFault::LateAnswer(Duration::from_millis(5));
            store.on(Method::Once, late);
        }
        let mut come = tokio::task::JoinSet::new();
        for (n, login) in begun.into_iter().enumerate() {
            let oauth = if n % 2 == 0 { &oauth } else { &there }.clone();
            come.spawn(async move { oauth.keep_login(&login, "alice", None).await });
        }
        while let Some(kept) = come.join_next().await {
            refused(kept.unwrap(), ErrorCode::LoginRequired);
        }
        world.store.clear();
    })
    .await;
}

#[tokio::test]
async fn a_browser_that_hangs_up_gets_no_logout_forgotten() {
    let world = World::new().await;
    let oauth = world.oauth();
    let login = Arc::new(world.login(&oauth, "alice").await.unwrap());
    world.advance(Duration::from_secs(1));
    tell(&oauth, &token(&world, &LogoutToken::of_subject("alice")))
        .await
        .unwrap();
    let late = StoreFault::LateAnswer(Duration::from_millis(50));
    world.store.on(Method::Once, late);
    for calls in 1..=5 {
        let until_then = world.store.calls(Method::Once) + calls;
        let (by, login) = (oauth.clone(), Arc::clone(&login));
        let keeping =
            tokio::spawn(async move { by.keep_login(&login, "alice", None).await.is_ok() });
        until("the login is as far as that", async || {
            keeping.is_finished() || world.store.calls(Method::Once) >= until_then
        })
        .await;
        keeping.abort();
        assert!(keeping.await.is_err(), "it was not done yet");
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        // Whatever it may have left behind is over.
        world.advance(Duration::from_secs(31));
    }
    world.store.clear();
    refused(
        oauth.keep_login(&login, "alice", None).await,
        ErrorCode::LoginRequired,
    );
}

/// Some providers name the session in logout tokens, and not in ID tokens: it may be any of the user's.
#[tokio::test]
async fn a_login_without_sid_is_ended_by_the_logout_of_any_session_of_its_user() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let client = oauth.client(CLIENT).unwrap();
        let nameless = async |subject| {
            let token = Token::builder("a").build().unwrap();
            Login::for_tests(&client, subject, token).await.unwrap()
        };
        let named = world.log_in(&oauth, "alice").await;
        let (before, bobs) = (nameless("alice").await, nameless("bob").await);
        let kept = oauth.keep_login(&before, "alice", None).await.unwrap();
        let bobs = oauth.keep_login(&bobs, "bob", None).await.unwrap();
        world.advance(Duration::from_secs(1));
        let elsewhere = LogoutToken::of_session("elsewhere").subject("alice");
        let ended = tell(&oauth, &token(world, &elsewhere)).await.unwrap();
        assert_eq!(ended.sessions, 1);
        assert!(!is_in(&oauth, &kept.cookies).await);
        for others in [&named, &bobs] {
            assert!(is_in(&oauth, &others.cookies).await);
        }
        // And one that is under way.
        refused(
            oauth.keep_login(&before, "alice", None).await,
            ErrorCode::LoginRequired,
        );
        world.advance(Duration::from_secs(1));
        let later = nameless("alice").await;
        oauth.keep_login(&later, "alice", None).await.unwrap();
    })
    .await;
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
        .authorize_redirect(CALLBACK)
        .connect("alice")
        .await
        .unwrap();
    let callback = world.at_provider(&redirect, "alice").await;
    let login = come_back(&mail, &callback, &redirect.cookies)
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
    let client = oauth.client(CLIENT).unwrap();
    let browser = world.provider.browser();
    let log_in = async || {
        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        let callback = browser
            .callback(redirect.url.as_str(), "alice")
            .await
            .unwrap();
        let login = come_back(&client, &callback, &redirect.cookies)
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
