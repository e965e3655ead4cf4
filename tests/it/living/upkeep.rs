//! What a registry does by itself: removing what is over, keeping alive what would die of idleness.

use std::time::Duration;

use async_trait::async_trait;
use tokenkeep::{
    ClientSource, ErrorCode, OAuth, Registration, Timestamp, Token, Upkeep, store::FetchToken,
};
use tokenkeep_testing::{Endpoint, Fault, Provider};

use super::key_of;
use crate::{
    faulty::{Faulty, Method, StoreFault},
    world::{CLIENT, World, alice, next_of, on_every_store, refused, until},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A process that looks after its store, with grants that may be idle for ten days.
fn keeper(world: &World, store: &Faulty, upkeep: Upkeep) -> OAuth {
    let registration = world.registration().keep_alive(DAY * 10);
    let builder = world.bare(store).upkeep(upkeep).register(registration);
    builder.build().unwrap()
}

async fn rows(oauth: &OAuth, owner: &str) -> usize {
    let query = tokenkeep::store::TokenQuery::owner(owner);
    let page = tokenkeep::store::Page::first(100);
    oauth.find_tokens(&query, page).await.unwrap().items.len()
}

#[tokio::test]
async fn what_is_over_goes_by_itself_in_batches() {
    on_every_store(Provider::builder, async |world| {
        let upkeep = Upkeep::new().purge_batch(1).without_keep_alive();
        let oauth = keeper(world, &world.store, upkeep);
        for _ in 0..3 {
            world.log_in(&oauth, "alice").await;
        }
        world.log_in(&oauth, "bob").await;
        alice(&oauth).log_out().await.unwrap();
        assert_eq!(rows(&oauth, "alice").await, 4);
        world.clock.advance(DAY * 8);
        until("the tombstone is gone", async || {
            rows(&oauth, "alice").await == 3
        })
        .await;
        world.clock.advance(DAY * 8);
        until("the sessions are gone", async || {
            // Between two batches it takes a breath, and between two purges an hour.
            world.clock.advance(Duration::from_secs(60));
            rows(&oauth, "alice").await == 0 && rows(&oauth, "bob").await == 1
        })
        .await;
        assert!(world.store.calls(Method::Purge) >= 5);
    })
    .await;
}

#[tokio::test]
async fn a_purge_that_fails_is_tried_again_at_its_next_time() {
    let world = World::new().await;
    let upkeep = Upkeep::new().purge_every(Duration::from_secs(600));
    let oauth = keeper(&world, &world.store, upkeep);
    world.log_in(&oauth, "alice").await;
    alice(&oauth).log_out().await.unwrap();
    world.store.times(Method::Purge, StoreFault::Fail, 2);
    world.clock.advance(DAY * 8);
    until("it was tried", async || {
        world.clock.advance(Duration::from_secs(60));
        rows(&oauth, "alice").await == 1
    })
    .await;
    assert!(world.store.calls(Method::Purge) >= 3);
}

#[tokio::test]
async fn nothing_is_done_that_is_turned_off_or_that_the_store_cannot_do() {
    let world = World::new().await;
    let deaf = world
        .another_store()
        .await
        .limited_to(|has| has.purge = false);
    let off = keeper(&world, &world.store, Upkeep::none());
    let cannot = keeper(&world, &deaf, Upkeep::new().without_keep_alive());
    let dropped_store = world.another_store().await;
    let dropped = keeper(&world, &dropped_store, Upkeep::new());
    drop(dropped);
    world.log_in(&off, "alice").await;
    alice(&cannot).log_out().await.unwrap();
    for _ in 0..10 {
        world.clock.advance(DAY * 30);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for store in [&world.store, &deaf, &dropped_store] {
        assert_eq!(store.calls(Method::Purge), 0);
        assert_eq!(store.calls(Method::Find), 0);
    }
    assert_eq!(rows(&off, "alice").await, 2);
}

#[tokio::test]
async fn idle_grants_are_refreshed_once_for_the_whole_fleet() {
    on_every_store(Provider::builder, async |world| {
        let store = world.another_store().await;
        let oauth = keeper(world, &world.store, Upkeep::none());
        let second = keeper(world, &store, Upkeep::none());
        for owner in ["alice", "bob", "carol", "dave"] {
            world.log_in(&oauth, owner).await;
        }
        let grant = |owner: &str| oauth.client(CLIENT).unwrap().owner(owner);
        grant("dave").log_out().await.unwrap();
        oauth.client(CLIENT).unwrap().app().token().await.unwrap();
        world.advance(DAY * 6);
        // Bob is at work; nobody else is idle for long enough.
        grant("bob").refresh().await.unwrap();
        let nothing = oauth.keep_alive(CLIENT).await.unwrap();
        assert_eq!((nothing.refreshed, nothing.looked_at), (0, 4));
        assert_eq!(world.refreshes(), 1);

        world.advance(DAY * 5);
        let both = async || tokio::join!(oauth.keep_alive(CLIENT), second.keep_alive(CLIENT));
        let (one, two) = both().await;
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(world.refreshes(), 1 + 2, "{one:?} {two:?}");
        assert_eq!((one.failed, two.failed), (0, 0));
        assert_eq!(world.provider.max_spends(), 1);
        // Nobody is idle any more, until bob is.
        both().await.0.unwrap();
        assert_eq!(world.refreshes(), 3);
        world.advance(DAY * 6);
        both().await.0.unwrap();
        assert_eq!(world.refreshes(), 4);
    })
    .await;
}

#[tokio::test]
async fn idle_grants_are_kept_alive_in_the_background() {
    let world = World::new().await;
    let store = world.another_store().await;
    let oauth = keeper(&world, &world.store, Upkeep::new().without_purge());
    let _second = keeper(&world, &store, Upkeep::new().without_purge());
    world.log_in(&oauth, "alice").await;
    for round in 1..=3 {
        // At one stroke, and while both have nothing to do: no lease may end while its holder asks.
        until("both rest", async || world.clock.resting() == 2).await;
        assert_eq!(world.refreshes(), round - 1);
        world.advance(DAY * 12);
        until("it is refreshed", async || world.refreshes() == round).await;
    }
    until("both rest", async || world.clock.resting() == 2).await;
    assert_eq!((world.refreshes(), world.provider.max_spends()), (3, 1));
    alice(&oauth).refresh().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_kept_alive_is_told_and_a_provider_that_is_away_is_left_alone() {
    on_every_store(Provider::builder, async |world| {
        let oauth = keeper(world, &world.store, Upkeep::none());
        for number in 0..8 {
            world.log_in(&oauth, &format!("user {number}")).await;
        }
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        world.advance(DAY * 10);
        let faults = world.provider.faults();
        let rule = faults.on(Endpoint::Token, Fault::ServerError(503));
        let pass = oauth.keep_alive(CLIENT).await.unwrap();
        assert_eq!((pass.failed, pass.postponed), (5, 3), "{pass:?}");
        next_of(&mut updates, "refresh_failed").await;
        // Those that failed have a pause, and the provider has one from all others.
        rule.off();
        let pass = oauth.keep_alive(CLIENT).await.unwrap();
        assert_eq!((pass.refreshed, pass.postponed), (0, 8), "{pass:?}");
        world.advance(Duration::from_secs(60));
        assert_eq!(oauth.keep_alive(CLIENT).await.unwrap().refreshed, 8);

        world.provider.revoke_grant("user 3");
        world.advance(DAY * 10);
        let pass = oauth.keep_alive(CLIENT).await.unwrap();
        assert_eq!((pass.refreshed, pass.failed), (7, 1));
        let update = next_of(&mut updates, "needs_login").await;
        assert_eq!(update.key(), Some(&key_of("user 3")));
    })
    .await;
}

#[tokio::test]
async fn an_adopted_grant_is_idle_since_its_adoption() {
    let world = World::new().await;
    let oauth = keeper(&world, &world.store, Upkeep::none());
    let elsewhere = world.login(&oauth, "alice").await.unwrap().token;
    let token = Token::builder("over")
        .refresh(elsewhere.refresh_token().unwrap().clone())
        .expires_at(Timestamp::from_secs(1))
        .build();
    assert!(oauth.adopt(key_of("alice"), token.unwrap()).await.unwrap());
    world.advance(DAY * 9);
    assert_eq!(oauth.keep_alive(CLIENT).await.unwrap().refreshed, 0);
    world.advance(DAY * 2);
    assert_eq!(oauth.keep_alive(CLIENT).await.unwrap().refreshed, 1);
    let row = world.store.fetch_token(&key_of("alice")).await.unwrap();
    assert!(row.record.unwrap().generation > 0);
}

/// Knows one tenant.
struct Tenant(Registration);

#[async_trait]
impl ClientSource for Tenant {
    async fn registration(&self, name: &str) -> tokenkeep::Result<Option<Registration>> {
        Ok((name == CLIENT).then(|| self.0.clone()))
    }
}

#[tokio::test]
async fn a_tenant_s_grants_are_kept_alive_by_hand() {
    let world = World::new().await;
    let tenant = Tenant(world.registration().keep_alive(DAY));
    let builder = world.bare(&world.store).client_source(tenant);
    let oauth = builder.build().unwrap();
    world.log_in(&oauth, "alice").await;
    world.advance(DAY);
    assert_eq!(oauth.keep_alive(CLIENT).await.unwrap().refreshed, 1);
    refused(oauth.keep_alive("nope").await, ErrorCode::UnknownClient);
}

#[tokio::test]
async fn what_cannot_be_kept_alive_at_all_is_refused() {
    let world = World::new().await;
    let short = world.registration().keep_alive(Duration::from_secs(59));
    let build = world.bare(&world.store).register(short).build();
    refused(build, ErrorCode::InvalidConfiguration);
    let store = world
        .another_store()
        .await
        .limited_to(|has| has.find = false);
    let asked_for = world.registration().keep_alive(DAY);
    let build = world.bare(&store).register(asked_for).build();
    let error = refused(build, ErrorCode::Unsupported);
    assert!(error.message().contains("\"find\""), "{error}");
    let without = world.oauth();
    let error = refused(
        without.keep_alive(CLIENT).await,
        ErrorCode::InvalidConfiguration,
    );
    assert!(error.message().contains("keep_alive"), "{error}");
}

#[tokio::test]
async fn an_access_token_that_lasts_leaves_no_refresh_token_idle() {
    let provider = || Provider::builder().access_token_lifetime(DAY * 100);
    on_every_store(provider, async |world| {
        let oauth = keeper(world, &world.store, Upkeep::none());
        world.log_in(&oauth, "alice").await;
        world.advance(DAY * 10);
        assert_eq!(oauth.keep_alive(CLIENT).await.unwrap().refreshed, 1);
        assert_eq!(world.refreshes(), 1);
        alice(&oauth).token().await.unwrap();
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_store_that_repeats_its_pages_keeps_nobody_for_ever() {
    let world = World::new().await;
    let oauth = keeper(&world, &world.store, Upkeep::none());
    world.log_in(&oauth, "alice").await;
    oauth.keep_alive(CLIENT).await.unwrap();
    world.store.repeat_pages();
    let passed = crate::world::soon(oauth.keep_alive(CLIENT)).await;
    refused(passed, ErrorCode::StoreUnavailable);
}
