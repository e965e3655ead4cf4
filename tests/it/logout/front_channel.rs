//! What a front-channel logout ends, and what it refuses.

use tokenkeep::{BrowserCookies, ErrorCode};
use tokenkeep_testing::Provider;

use super::{is_in, sid, until_out};
use crate::world::{CLIENT, World, alice, cookies, on_every_store, refused};

fn query(issuer: &str, sid: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("iss", issuer), ("sid", sid), ("unknown", "x")])
        .finish()
}

#[tokio::test]
async fn iss_and_sid_end_one_session_in_every_process_without_a_cookie() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (there, _) = world.second().await;
        let ended = world.log_in(&oauth, "alice").await;
        let other = world.log_in(&oauth, "alice").await;
        let client = there.client(CLIENT).unwrap();
        let asked = query(world.provider.issuer(), &sid(&ended));
        let none = BrowserCookies::default();
        let out = client.frontchannel_logout(&asked, &none).await.unwrap();
        assert_eq!((out.ended.sessions, out.cookies.len()), (1, 0));
        until_out(&oauth, &ended.cookies).await;
        assert!(is_in(&there, &other.cookies).await);
        alice(&oauth).token().await.unwrap();
        // Again, or for a session that never was: nothing to end is no error.
        for sid in [&*sid(&ended), "never"] {
            let asked = query(world.provider.issuer(), sid);
            let out = client.frontchannel_logout(&asked, &none).await.unwrap();
            assert_eq!(out.ended.sessions, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_names_no_session_of_this_issuer_ends_nothing() {
    let world = World::new().await;
    let oauth = world.oauth();
    let kept = world.log_in(&oauth, "alice").await;
    let client = oauth.client(CLIENT).unwrap();
    let (issuer, sid) = (world.provider.issuer(), sid(&kept));
    let long = "x".repeat(256);
    // With the browser's own cookie, which counts for nothing.
    let browser = cookies(&kept.cookies);
    for (asked, code) in [
        (String::new(), ErrorCode::MissingParameter),
        ("unknown=x".into(), ErrorCode::MissingParameter),
        (format!("sid={sid}"), ErrorCode::MissingParameter),
        (format!("iss={issuer}"), ErrorCode::MissingParameter),
        (
            query(&format!("{issuer}/"), &sid),
            ErrorCode::InvalidParameter,
        ),
        (
            query("https://x.example", &sid),
            ErrorCode::InvalidParameter,
        ),
        (query(issuer, ""), ErrorCode::InvalidParameter),
        (query(issuer, &long), ErrorCode::InvalidParameter),
        (query(issuer, "a\0"), ErrorCode::InvalidParameter),
        (
            format!("{}&sid={sid}", query(issuer, &sid)),
            ErrorCode::InvalidParameter,
        ),
        (
            format!("{}&iss={issuer}", query(issuer, &sid)),
            ErrorCode::InvalidParameter,
        ),
    ] {
        refused(client.frontchannel_logout(&asked, &browser).await, code);
    }
    assert!(is_in(&oauth, &kept.cookies).await);
}

#[tokio::test]
async fn by_its_cookie_a_browser_is_logged_out_only_where_the_registration_says_so() {
    let world = World::new().await;
    let by_cookie = world
        .registration()
        .dangerously_allow_frontchannel_logout_by_cookie();
    let oauth = world.bare(&world.store).register(by_cookie);
    let mail = world
        .registration_named("mail")
        .dangerously_allow_frontchannel_logout_by_cookie();
    let oauth = oauth.register(mail).build().unwrap();
    let kept = world.log_in(&oauth, "alice").await;
    let other = world.log_in(&oauth, "alice").await;
    let browser = cookies(&kept.cookies);
    // A session of another client, or none, is not its business.
    for (client, browser) in [("mail", &browser), (CLIENT, &BrowserCookies::default())] {
        let client = oauth.client(client).unwrap();
        let out = client.frontchannel_logout("", browser).await.unwrap();
        assert_eq!((out.ended.sessions, out.cookies.len()), (0, 0));
    }
    assert!(is_in(&oauth, &kept.cookies).await);
    let client = oauth.client(CLIENT).unwrap();
    let out = client.frontchannel_logout("", &browser).await.unwrap();
    assert_eq!((out.ended.sessions, out.cookies.len()), (1, 1));
    assert!(!is_in(&oauth, &kept.cookies).await && is_in(&oauth, &other.cookies).await);
}
