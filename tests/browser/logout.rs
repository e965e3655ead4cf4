//! Logouts that the certified provider begins, by its back channel.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, header::ACCEPT};

use crate::{
    parts::{Demo, eventually},
    person::{AtProvider, Person},
    world::{Case, Setup, World, case},
};

const ALICE: AtProvider<'static> = AtProvider::Agree { login: "alice" };

pub(crate) fn cases() -> Vec<Case> {
    let plain = Setup::default();
    vec![
        case!(
            logout::back_channel_ends_the_session_in_two_processes,
            plain
        ),
        case!(logout::our_own_logout_is_told_back_to_us, plain),
        case!(logout::a_forged_logout_token_ends_nothing, plain),
    ]
}

/// Is this person signed in, as far as a process knows?
async fn is_in(person: &Person, demo: &Demo) -> bool {
    let request = person.request(Method::GET, demo.url("/tokens"));
    let reply = person.send(request.header(ACCEPT, "application/json"));
    match reply.await.status {
        200 => true,
        401 => false,
        status => panic!("{status}"),
    }
}

async fn back_channel_ends_the_session_in_two_processes(world: Arc<World>) {
    let second = world.second_demo().await;
    let (alice, bob) = (world.person(), world.person());
    alice.log_in("op", "alice").await;
    bob.log_in("op", "bob").await;
    for demo in [&world.demo, &second] {
        assert!(is_in(&alice, demo).await && is_in(&bob, demo).await);
    }
    // At the provider itself: the demo knows of it only by the back channel.
    let mut end = world.provider.url("/session/end");
    end.query_pairs_mut()
        .append_pair("client_id", "op")
        .append_pair(
            "post_logout_redirect_uri",
            world.demo.url("/logged-out/op").as_str(),
        );
    let back = alice.at_provider(end, ALICE).await;
    assert_eq!(back.path(), "/logged-out/op");
    assert_eq!(world.provider.logouts().await, [("op".to_owned(), true)]);
    assert!(!is_in(&alice, &world.demo).await, "where the token came");
    let told = || async { (!is_in(&alice, &second).await).then_some(()) };
    eventually("the other process knows", Duration::from_secs(10), told).await;
    for demo in [&world.demo, &second] {
        assert!(is_in(&bob, demo).await, "somebody else");
    }
}

async fn our_own_logout_is_told_back_to_us(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    let away = alice.post("/logout").await.expect_redirect();
    let back = alice.at_provider(away, ALICE).await;
    let path = format!("{}?{}", back.path(), back.query().unwrap());
    assert_eq!(alice.get(&path).await.status, 303);
    // There was nothing left to end, and that is no error.
    assert_eq!(world.provider.logouts().await, [("op".to_owned(), true)]);
}

async fn a_forged_logout_token_ends_nothing(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    let id_token = world.provider.issued_of("id_token").await.remove(0);
    for token in [&*id_token, "e30.e30.", ""] {
        let request = alice.request(Method::POST, world.demo.url("/backchannel-logout/op"));
        let reply = alice.send(request.form(&[("logout_token", token)])).await;
        reply.expect_error(400, "invalid_logout_token");
    }
    assert!(is_in(&alice, &world.demo).await);
}
