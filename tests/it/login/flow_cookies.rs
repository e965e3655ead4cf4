//! The cookie that carries a login: it is good whole, in its own browser, for its own login, once.

use std::time::Duration;

use tokenkeep::{BrowserCookies, ErrorCode, KeyRing, OAuth, Redirect, Timestamp};
use tokenkeep_testing::{Callback, Provider};

use super::{Begun, assert_nothing_kept, come_back, onward};
use crate::world::{CALLBACK, CLIENT, World, encoded, key, on_every_store, refused, soon};

fn header(pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("; ")
}

/// A browser's cookies, as far as these tests need them.
#[derive(Default)]
struct Jar(Vec<(String, String)>);

impl Jar {
    fn set(&mut self, set: &[tokenkeep::Cookie]) {
        for cookie in set {
            self.0.retain(|(name, _)| *name != cookie.name);
            if cookie.max_age != Some(Duration::ZERO) {
                let value = cookie.value.expose().to_owned();
                self.0.push((cookie.name.clone(), value));
            }
        }
    }

    fn brought(&self) -> BrowserCookies {
        BrowserCookies::parse([header(&self.0).as_str()])
    }

    async fn start(&mut self, oauth: &OAuth, client: &str) -> Redirect {
        let client = oauth.client(client).unwrap();
        let redirect = client.authorize_redirect(CALLBACK).cookies(&self.brought());
        let redirect = redirect.await.unwrap();
        self.set(&redirect.cookies);
        redirect
    }
}

#[tokio::test]
async fn a_cookie_that_is_cut_or_altered_anywhere_is_none() {
    let world = World::new().await;
    let oauth = world.oauth();
    let begun = Begun::new(&world, &oauth).await;
    let query = begun.query();
    let cookie = &begun.redirect.cookies[0];
    let (name, value) = (cookie.name.clone(), cookie.value.expose().to_owned());
    let with = async |value: &str| {
        let brought = BrowserCookies::parse([header(&[(name.clone(), value.to_owned())]).as_str()]);
        refused(
            begun.come_back_with(&query, &brought).await,
            ErrorCode::StateMismatch,
        );
    };
    for end in 0..value.len() {
        with(&value[..end]).await;
        with(&value[end + 1..]).await;
    }
    for (place, byte) in value.bytes().enumerate() {
        // The last character of base64url may have bits that count for nothing; another one never counts the same.
        for other in [byte ^ 1, byte ^ 4, b'_', b'.', b'~'] {
            if other == byte || !other.is_ascii_graphic() || b"\";,=".contains(&other) {
                continue;
            }
            let mut altered = value.clone().into_bytes();
            altered[place] = other;
            with(&String::from_utf8(altered).unwrap()).await;
        }
    }
    let long = "A".repeat(8000);
    for more in ["A", "AAAA", "=", ".", "%00", &long] {
        with(&format!("{value}{more}")).await;
        with(&format!("{more}{value}")).await;
    }
    // Nothing of that used the login up.
    assert_eq!(onward(&world.provider), [0, 0, 0]);
    begun.come_back().await.unwrap();
}

/// Each cookie is tried in the place of each other: other logins, other clients, other names.
#[tokio::test]
async fn a_cookie_is_good_for_its_own_login_client_and_name_alone() {
    let world = World::new().await;
    let oauth = world
        .builder()
        .register(world.registration_named("other"))
        .build()
        .unwrap();
    let at = async |client: &str| {
        let client = oauth.client(client).unwrap();
        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        let callback = world.at_provider(&redirect, "alice").await;
        Begun {
            client,
            redirect,
            callback,
        }
    };
    let signed_in = world.log_in(&oauth, "alice").await.cookies;
    let all = [at(CLIENT).await, at(CLIENT).await, at("other").await];
    let values = || {
        let flows = all.iter().flat_map(|begun| &begun.redirect.cookies);
        flows.chain(&signed_in).map(|cookie| cookie.value.expose())
    };
    for (number, begun) in all.iter().enumerate() {
        let name = &begun.redirect.cookies[0].name;
        for value in values().filter(|value| *value != begun.redirect.cookies[0].value.expose()) {
            let brought = BrowserCookies::parse([format!("{name}={value}").as_str()]);
            let answer = begun.come_back_with(&begun.query(), &brought).await;
            refused(answer, ErrorCode::StateMismatch);
        }
        // Whole, under the name of another: the answer to that one does not open it either.
        for other in all.iter().enumerate().filter(|(other, _)| *other != number) {
            let other = other.1;
            let answer = other.come_back_with(&other.query(), &begun.cookies()).await;
            refused(answer, ErrorCode::StateMismatch);
            if other.client.name() != begun.client.name() {
                let answer = come_back(&other.client, &begun.query(), &begun.cookies()).await;
                refused(answer, ErrorCode::StateMismatch);
            }
        }
        // A flow is no session and no logout, whatever it is called.
        let value = begun.redirect.cookies[0].value.expose();
        let renamed = format!("{}={value}; tokenkeep-logout={value}", signed_in[0].name);
        let brought = BrowserCookies::parse([renamed.as_str()]);
        assert!(oauth.session(&brought).await.unwrap().is_none());
        let params = crate::world::params(&begun.callback);
        let out = begun
            .client
            .validate_logout_response(&params, &brought, None);
        refused(out, ErrorCode::StateMismatch);
    }
    assert_eq!(onward(&world.provider)[0], 1, "the login of alice alone");
    for begun in all {
        begun.come_back().await.unwrap();
    }
}

#[tokio::test]
async fn a_retired_key_opens_flows_until_it_leaves_the_ring() {
    let world = World::new().await;
    let ring = |keys: &[(&str, u8)]| {
        let keys: Vec<_> = keys.iter().map(|(id, number)| key(id, *number)).collect();
        KeyRing::parse(&keys.join(",")).unwrap()
    };
    let oauth = world.oauth();
    let early = Begun::new(&world, &oauth).await;
    let late = Begun::new(&world, &oauth).await;
    oauth.set_key_ring(ring(&[("b", 8), ("a", 7)])).unwrap();
    early.come_back().await.unwrap();
    let new = Begun::new(&world, &oauth).await;
    oauth.set_key_ring(ring(&[("b", 8)])).unwrap();
    refused(late.come_back().await, ErrorCode::StateMismatch);
    new.come_back().await.unwrap();
    // A key of the same name that is another one.
    let foreign = world.builder().key_ring(ring(&[("b", 9)])).build().unwrap();
    let last = Begun::new(&world, &oauth).await;
    let there = foreign.client(CLIENT).unwrap();
    let answer = come_back(&there, &last.query(), &last.cookies()).await;
    refused(answer, ErrorCode::StateMismatch);
}

#[tokio::test]
async fn two_hundred_abandoned_logins_leave_room_for_one_that_works() {
    let world = World::new().await;
    let oauth = world.oauth();
    let mut jar = Jar::default();
    for number in 0..200 {
        let before = header(&jar.0).len();
        let redirect = jar.start(&oauth, CLIENT).await;
        // What is taken back with one answer is bounded as well.
        assert!(redirect.cookies.len() <= 9, "{number}");
        let flows = jar.0.iter().filter(|(name, _)| name.contains("-flow"));
        assert!(flows.count() <= 8, "{number}");
        assert!(header(&jar.0).len() <= 4096, "{number}: {before}");
        if number % 50 == 0 {
            world.advance(Duration::from_secs(300));
        }
    }
    let redirect = jar.start(&oauth, CLIENT).await;
    let callback = world.at_provider(&redirect, "alice").await;
    let client = oauth.client(CLIENT).unwrap();
    let login = come_back(&client, &encoded(&callback), &jar.brought()).await;
    assert_eq!(login.unwrap().subject(), Some("alice"));
}

/// Eight tabs begin a login each, and finish in another order; each ends where it began.
#[tokio::test]
async fn tabs_do_not_disturb_each_other() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let mut jar = Jar::default();
    let mut tabs: Vec<(usize, Callback)> = Vec::new();
    for tab in 0..8 {
        let start = client.authorize_redirect(CALLBACK).cookies(&jar.brought());
        let redirect = start.return_to(format!("/tab/{tab}")).await.unwrap();
        jar.set(&redirect.cookies);
        tabs.push((tab, world.at_provider(&redirect, "alice").await));
    }
    for place in [3, 0, 5, 1, 0, 1, 1, 0] {
        let (tab, callback) = tabs.remove(place);
        let params = crate::world::params(&callback);
        let brought = jar.brought();
        let returned = client.authorize_access_token(&params, &brought, None).await;
        jar.set(returned.removal.as_slice());
        let login = returned.login.unwrap();
        assert_eq!(login.return_to, Some(format!("/tab/{tab}")));
        assert_eq!(jar.0.len(), tabs.len(), "the login's own cookie is gone");
    }
}

#[tokio::test]
async fn of_callbacks_that_race_exactly_one_wins_in_the_whole_fleet() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, _store) = world.second().await;
        let begun = Begun::new(world, &oauth).await;
        let racers = [&oauth, &second, &oauth, &second, &oauth, &second].map(|oauth| {
            let client = oauth.client(CLIENT).unwrap();
            let (query, brought) = (begun.query(), begun.cookies());
            tokio::spawn(async move { come_back(&client, &query, &brought).await })
        });
        let mut won = 0;
        for racer in racers {
            match soon(racer).await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::StateMismatch, "{error:?}");
                    assert!(error.message().contains("read before"), "{error}");
                }
            }
        }
        assert_eq!(won, 1);
        assert_eq!(onward(&world.provider), [1, 0, 0], "one code, spent once");
    })
    .await;
}

/// However long ago it began, and whatever its browser says of that.
#[tokio::test]
async fn an_expired_login_cannot_be_made_younger() {
    let world = World::new().await;
    let oauth = world.oauth();
    let begun = Begun::new(&world, &oauth).await;
    let cookie = &begun.redirect.cookies[0];
    let (until, sealed) = cookie.value.expose().split_once('.').unwrap();
    let until: i64 = until.parse().unwrap();
    world.clock.advance(Duration::from_secs(601));
    refused(begun.come_back().await, ErrorCode::FlowExpired);
    assert!(Timestamp::from_secs(until) < world.now());
    for later in [until + 600, i64::MAX, -1, 0] {
        let value = format!("{}={later}.{sealed}", cookie.name);
        let brought = BrowserCookies::parse([value.as_str()]);
        let answer = begun.come_back_with(&begun.query(), &brought).await;
        refused(answer, ErrorCode::StateMismatch);
    }
    assert_eq!(onward(&world.provider), [0, 0, 0]);
    assert_nothing_kept(&world);
}
