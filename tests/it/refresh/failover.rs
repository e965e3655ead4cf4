//! A store that lost an acknowledged write, as after a fail-over (rule 14), and a feed that comes up late (G8).

use tokenkeep::{
    ErrorCode, TokenKey, TokenUpdate,
    store::{Expected, FetchToken, StoredRecord, UpdateToken},
};
use tokenkeep_testing::{Gate, Provider};

use crate::{
    faulty::{Method, StoreFault},
    kind::Kind,
    world::{CLIENT, World, alice, next, on_every_store, refused, soon, until},
};

fn key_of_alice() -> TokenKey {
    TokenKey::new(CLIENT, "alice").unwrap()
}

async fn stored(world: &World) -> StoredRecord {
    let fetched = world.store.fetch_token(&key_of_alice()).await.unwrap();
    fetched.record.unwrap()
}

/// Puts a record in the place of the one that is there, behind everybody's back.
async fn put_back(world: &World, record: &StoredRecord) {
    let now = Expected::Version(stored(world).await.version);
    let done = world.store.update_token(&key_of_alice(), record, now).await;
    done.unwrap();
}

#[tokio::test]
async fn a_commit_that_the_store_lost_is_written_again() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = stored(world).await;
        let token = grant.refresh().await.unwrap();
        put_back(world, &before).await;
        let info = grant.info().await.unwrap().unwrap();
        assert_eq!(info.generation, token.generation());
        assert_eq!(stored(world).await.generation, token.generation());
        // The refresh token of the older state was spent: only the newer one can be refreshed.
        grant.refresh().await.unwrap();
        assert_eq!(world.provider.max_spends(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_logout_that_the_store_lost_is_written_again() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = stored(world).await;
        grant.log_out().await.unwrap();
        put_back(world, &before).await;
        assert_eq!(
            grant.info().await.unwrap().unwrap().state.as_str(),
            "logged_out"
        );
        let (second, _store) = world.second().await;
        refused(alice(&second).token().await, ErrorCode::LoginRequired);
    })
    .await;
}

#[tokio::test]
async fn a_logout_beats_a_refresh_that_came_after_the_fail_over() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = stored(world).await;
        grant.log_out().await.unwrap();
        put_back(world, &before).await;
        let (second, _store) = world.second().await;
        let token = alice(&second).refresh().await.unwrap();
        let state = grant.info().await.unwrap().unwrap().state;
        assert_eq!(state.as_str(), "logged_out");
        assert_eq!(
            stored(world).await.generation,
            token.generation(),
            "the tombstone is as new as what it ends"
        );
        refused(grant.token().await, ErrorCode::LoginRequired);
        let seen = alice(&second).info().await.unwrap().unwrap().state;
        assert_eq!(seen.as_str(), "logged_out");
    })
    .await;
}

#[tokio::test]
async fn a_logout_that_came_after_the_fail_over_stays() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = stored(world).await;
        grant.refresh().await.unwrap();
        put_back(world, &before).await;
        let (second, _store) = world.second().await;
        alice(&second).log_out().await.unwrap();
        let state = grant.info().await.unwrap().unwrap().state;
        assert_eq!(state.as_str(), "logged_out");
    })
    .await;
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_written_again_too() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = stored(world).await;
        world.store.times(Method::Write, StoreFault::LoseAnswer, 1);
        let token = grant.refresh().await.unwrap();
        put_back(world, &before).await;
        let info = grant.info().await.unwrap().unwrap();
        assert_eq!(info.generation, token.generation());
        grant.refresh().await.unwrap();
        assert_eq!(world.provider.max_spends(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_older_but_of_another_login_is_left_alone() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let other_login = stored(world).await;
        // A logout and two logins later that first grant is neither the last one nor the one that it replaced.
        world.alice(&oauth).await;
        world.alice(&oauth).await;
        assert!(stored(world).await.generation > other_login.generation);
        put_back(world, &other_login).await;
        let info = grant.info().await.unwrap().unwrap();
        assert_eq!(info.generation, other_login.generation);
        assert_eq!(stored(world).await.version, other_login.version);
    })
    .await;
}

#[tokio::test]
async fn whoever_subscribes_before_the_feed_is_up_hears_that_something_may_be_missed() {
    // Of one process alone nobody else writes.
    let world = World::over(Kind::Sqlite, Provider::builder()).await;
    let oauth = world.oauth();
    let late = world.another_store().await;
    let gate = Gate::new();
    late.hold(Method::Changes, gate.clone());
    let second = world
        .bare(&late)
        .register(world.registration())
        .build()
        .unwrap();
    let mut updates = second.token_updates().unwrap();
    soon(gate.arrived(1)).await;
    world.alice(&oauth).await;
    gate.open();
    let first = next(&mut updates).await;
    assert!(
        matches!(first, TokenUpdate::Resync { missed: 0 }),
        "{first:?}"
    );
    until("what was missed can be found", async || {
        second.grants("alice").await.unwrap().len() == 1
    })
    .await;
}
