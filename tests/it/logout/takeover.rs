//! Sessions that another one takes the place of: what was planted, left behind or copied.

use tokenkeep::{LogoutCause, TokenUpdate};
use tokenkeep_testing::Provider;

use super::{LOGGED_OUT, is_in, until_out};
use crate::{
    web::{App, Framework, on_each_framework},
    world::{World, alice, cookies, next_of, on_every_store},
};

#[tokio::test]
async fn a_login_ends_the_session_that_its_browser_had() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (there, _) = world.second().await;
        let before = world.log_in(&oauth, "alice").await;
        let elsewhere = world.log_in(&oauth, "alice").await;
        assert!(is_in(&there, &before.cookies).await);
        let mut hears = oauth.token_updates().unwrap();
        let login = world.login(&oauth, "bob").await.unwrap();
        let kept = oauth
            .keep_login(&login, "bob", before.session.as_ref())
            .await
            .unwrap();
        assert!(is_in(&oauth, &kept.cookies).await);
        assert!(!is_in(&oauth, &before.cookies).await);
        until_out(&there, &before.cookies).await;
        assert!(is_in(&oauth, &elsewhere.cookies).await, "her other browser");
        let TokenUpdate::LoggedOut { cause, .. } = next_of(&mut hears, "logged_out").await else {
            unreachable!()
        };
        assert_eq!(cause, LogoutCause::Replaced);
        alice(&oauth).token().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_login_that_fails_ends_nothing() {
    let world = World::new().await;
    let oauth = world
        .builder()
        .hook(crate::refresh::Refuses)
        .build()
        .unwrap();
    let before = world.log_in(&world.oauth(), "alice").await;
    let login = world.login(&oauth, "alice").await.unwrap();
    let refused = oauth
        .keep_login(&login, "alice", before.session.as_ref())
        .await;
    assert!(refused.is_err());
    assert!(is_in(&oauth, &before.cookies).await);
}

/// Login CSRF turned round: an attacker plants their own session in the victim's browser, and waits for the victim to log in.
async fn a_planted_session_ends_when_its_browser_logs_in(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let attacker = app.browser();
    let login = app.at("/login/op");
    app.world.provider.auto_login(Some("mallory"));
    attacker.log_in(&login, "mallory").await.unwrap();
    let planted = attacker.cookies(&app.base);
    let victim = app.browser();
    for (name, value) in &planted {
        victim.set_cookie(&app.base, &format!("{name}={value}; Path=/"));
    }
    let me = app.at("/me");
    assert!(victim.get(&me).await.unwrap().body.ends_with("#mallory"));
    app.world.provider.auto_login(Some("alice"));
    victim.log_in(&login, "alice").await.unwrap();
    assert!(victim.get(&me).await.unwrap().body.ends_with("#alice"));
    let now = victim.cookies(&app.base);
    assert!(
        planted.iter().all(|cookie| !now.contains(cookie)),
        "no cookie stays as it was"
    );
    assert_eq!(
        attacker.get(&me).await.unwrap().status,
        401,
        "the planted one is dead"
    );
}

async fn a_session_that_cannot_be_looked_at_keeps_nobody_from_logging_in(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let browser = app.browser();
    browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let start = browser.get(&app.at("/login/op")).await.unwrap();
    let there = browser
        .get(start.header("location").unwrap())
        .await
        .unwrap();
    let back = there.header("location").unwrap().to_owned();
    // Of the calls of a callback the first reads the session.
    app.oauth.replace(app.world.registration()).unwrap();
    app.world.store.times(
        crate::faulty::Method::Fetch,
        crate::faulty::StoreFault::Fail,
        1,
    );
    assert_eq!(browser.get(&back).await.unwrap().status, 303);
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 200);
}

#[tokio::test]
async fn after_a_logout_the_cookie_is_dead_in_every_process() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (there, _) = world.second().await;
        let kept = world.log_in(&oauth, "alice").await;
        let browser = cookies(&kept.cookies);
        let session = there.session(&browser).await.unwrap().unwrap();
        oauth.log_out(&session, Some(LOGGED_OUT)).await.unwrap();
        assert!(!is_in(&oauth, &kept.cookies).await);
        until_out(&there, &kept.cookies).await;
        assert!(!there.is_signed_in(&session).await.unwrap());
        // And in one that starts later.
        let (fresh, _) = world.second().await;
        assert!(!is_in(&fresh, &kept.cookies).await);
    })
    .await;
}

on_each_framework!(
    a_planted_session_ends_when_its_browser_logs_in,
    a_session_that_cannot_be_looked_at_keeps_nobody_from_logging_in,
);
