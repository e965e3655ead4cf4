//! A logout that begins here: what goes out, what comes back, and a provider that is down.

use std::{collections::BTreeMap, time::Duration};

use tokenkeep::{CallbackParams, ErrorCode};
use tokenkeep_testing::{Endpoint, Fault, Gate, Provider};

use super::{LOGGED_OUT, is_in, sid};
use crate::world::{CLIENT, World, cookies, on_every_store, refused, soon};

#[tokio::test]
async fn all_six_parameters_go_out_and_the_state_comes_back() {
    let world = World::new().await;
    let oauth = world.oauth();
    let kept = world.log_in(&oauth, "alice").await;
    let login = world.login(&oauth, "alice").await.unwrap();
    let hint = login.token.id_token().unwrap().clone();
    let client = oauth.client(CLIENT).unwrap();
    let redirect = client
        .logout_redirect()
        .id_token_hint(hint.clone())
        .client_id(world.provider.client_id())
        .post_logout_redirect_uri(LOGGED_OUT)
        .state("a state/ä")
        .logout_hint("alice@mail.example")
        .ui_locales("de fr")
        .await
        .unwrap()
        .unwrap();
    let sent: BTreeMap<_, _> = redirect.url.query_pairs().into_owned().collect();
    let expected = [
        ("id_token_hint", hint.expose()),
        ("client_id", world.provider.client_id()),
        ("post_logout_redirect_uri", LOGGED_OUT),
        ("state", "a state/ä"),
        ("logout_hint", "alice@mail.example"),
        ("ui_locales", "de fr"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(sent, BTreeMap::from(expected));
    let browser = world.provider.browser();
    let back = browser
        .callback(redirect.url.as_str(), "alice")
        .await
        .unwrap();
    assert_eq!(back.parameter("state").as_deref(), Some("a state/ä"));
    let ended = login.claims.as_ref().unwrap().sid().unwrap();
    assert!(!world.provider.session_active(ended));
    assert!(
        world.provider.session_active(&sid(&kept)),
        "another session"
    );
    let params = CallbackParams::parse(back.url.query().unwrap()).unwrap();
    client
        .validate_logout_response(&params, &cookies(&redirect.cookies), None)
        .unwrap();
}

#[tokio::test]
async fn what_is_not_given_does_not_go_out() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let redirect = client.logout_redirect().await.unwrap().unwrap();
    let sent: Vec<_> = redirect.url.query_pairs().into_owned().collect();
    // A state comes back only with a redirect.
    let client_id = world.provider.client_id().to_owned();
    assert_eq!(sent, [("client_id".to_owned(), client_id)]);
    let first = client
        .logout_redirect()
        .post_logout_redirect_uri(LOGGED_OUT);
    let second = client
        .logout_redirect()
        .post_logout_redirect_uri(LOGGED_OUT);
    let state = |redirect: tokenkeep::Redirect| {
        let mut sent = redirect.url.query_pairs().into_owned();
        sent.find(|(name, _)| name == "state").unwrap().1
    };
    let (first, second) = (
        state(first.await.unwrap().unwrap()),
        state(second.await.unwrap().unwrap()),
    );
    assert!(first != second && first.len() >= 22, "{first} {second}");
}

#[tokio::test]
async fn a_state_is_good_in_one_browser_for_one_client_once_and_for_ten_minutes() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        oauth.register(world.registration_named("mail")).unwrap();
        let client = oauth.client(CLIENT).unwrap();
        let start = async || {
            let logout = client
                .logout_redirect()
                .post_logout_redirect_uri(LOGGED_OUT);
            logout.state("s".repeat(22)).await.unwrap().unwrap()
        };
        let (mine, others) = (
            start().await,
            client.logout_redirect().await.unwrap().unwrap(),
        );
        let params = CallbackParams::parse(format!("state={}", "s".repeat(22))).unwrap();
        let check = |set: &[tokenkeep::Cookie]| {
            client.validate_logout_response(&params, &cookies(set), None)
        };
        refused(check(&others.cookies), ErrorCode::StateMismatch);
        refused(check(&[]), ErrorCode::StateMismatch);
        let mail = oauth.client("mail").unwrap();
        let browser = cookies(&mine.cookies);
        refused(
            mail.validate_logout_response(&params, &browser, None),
            ErrorCode::StateMismatch,
        );
        let removal = check(&mine.cookies).unwrap();
        // Afterwards the browser has no such cookie, and the same answer is nobody's.
        assert_eq!(
            (removal.value.expose(), removal.max_age),
            ("", Some(Duration::ZERO))
        );
        refused(check(&[removal]), ErrorCode::StateMismatch);
        world.clock.advance(Duration::from_secs(599));
        check(&mine.cookies).unwrap();
        world.clock.advance(Duration::from_secs(1));
        refused(check(&mine.cookies), ErrorCode::StateMismatch);
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_is_away_or_does_not_answer_keeps_nobody_signed_in() {
    on_every_store(Provider::builder, async |world| {
        let first = world.oauth();
        for fault in [
            Fault::ServerError(503),
            Fault::DropBefore,
            Fault::Html,
            Fault::Hold(Gate::new()),
        ] {
            let kept = world.log_in(&first, "alice").await;
            // A process that knows nothing of the provider yet.
            let store = world.another_store().await;
            // Its requests may take longer than anybody waits.
            let patient = world.registration().timeout(Duration::from_secs(3600));
            let oauth = world.bare(&store).register(patient).build().unwrap();
            let session = oauth
                .session(&cookies(&kept.cookies))
                .await
                .unwrap()
                .unwrap();
            let rule = world
                .provider
                .faults()
                .on(Endpoint::Discovery, fault.clone());
            let (leaving, by) = (oauth.clone(), session.clone());
            let out = tokio::spawn(async move { leaving.log_out(&by, Some(LOGGED_OUT)).await });
            if let Fault::Hold(gate) = &fault {
                soon(gate.arrived(1)).await;
                assert!(
                    !is_in(&oauth, &kept.cookies).await,
                    "before the provider is asked"
                );
                world.clock.advance(Duration::from_secs(3));
            }
            let out = soon(out).await.unwrap().unwrap();
            assert!(out.redirect.is_none());
            assert_eq!(out.cookies.len(), 1);
            assert_eq!(out.cookies[0].max_age, Some(Duration::ZERO));
            assert!(!is_in(&oauth, &kept.cookies).await);
            super::until_out(&first, &kept.cookies).await;
            rule.off();
            if let Fault::Hold(gate) = &fault {
                gate.open();
            }
        }
    })
    .await;
}
