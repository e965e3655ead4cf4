//! Old tables that are asked where the store has nothing, and what is told at a logout.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokenkeep::{Error, ErrorCode, Hook, OAuth, OAuthBuilder, Phase, Result, TokenKey};
use tokenkeep_testing::{Gate, Provider};

use super::table::{Call, Table, alice_in, key_of_alice};
use crate::{
    faulty::{Method, StoreFault},
    world::{CLIENT, PATIENCE, World, alice, next, on_every_store, refused, soon, until},
};

/// An old table that is asked, and cleared at a logout.
fn asks(builder: OAuthBuilder, table: &Table) -> OAuthBuilder {
    let old = table.clone();
    builder.on_missing(move |key| old.clone().fetch(key))
}

fn moves_in(world: &World, table: &Table) -> OAuth {
    asks(world.builder(), table).build().unwrap()
}

/// Clears the old table at a logout.
struct Clears(Table);

#[async_trait]
impl Hook for Clears {
    async fn after_logout(&self, key: &TokenKey) -> Result<()> {
        let failed = |error| {
            Error::new(ErrorCode::StoreUnavailable, Phase::Store, "no answer").with_source(error)
        };
        self.0.clone().delete(key.clone()).await.map_err(failed)
    }
}

#[tokio::test]
async fn an_old_row_moves_in_once_however_many_want_it() {
    on_every_store(Provider::builder, async |world| {
        let table = Table::default();
        let oauth = moves_in(world, &table);
        let store = world.another_store().await;
        let second = world.bare(&store).register(world.registration());
        let second = asks(second, &table).build().unwrap();
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let old = alice_in(world, &table, &oauth).await;
        let gate = Gate::new();
        table.times(Call::Fetch, StoreFault::Hold(gate.clone()), 2);
        let callers: Vec<_> = (0..40)
            .map(|n| {
                let grant = alice(if n % 2 == 0 { &oauth } else { &second });
                tokio::spawn(async move { grant.token().await })
            })
            .collect();
        soon(gate.arrived(2)).await;
        gate.open();
        for caller in callers {
            let token = soon(caller).await.unwrap().unwrap();
            assert_eq!(token.access_token(), old.access_token());
        }
        assert_eq!(table.calls(Call::Fetch), 2, "once in each process");
        assert_eq!(next(&mut updates).await.kind(), "issued");
        world.advance(Duration::from_secs(301));
        for grant in [alice(&oauth), alice(&second)] {
            assert_eq!(grant.get("me").await.unwrap().status(), 200);
        }
        assert_eq!((world.refreshes(), world.provider.max_spends()), (1, 1));
        assert_eq!(table.calls(Call::Fetch), 2);
    })
    .await;
}

#[tokio::test]
async fn a_forced_refresh_moves_a_row_in_first() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = moves_in(&world, &table);
    let old = alice_in(&world, &table, &oauth).await;
    let token = alice(&oauth).refresh().await.unwrap();
    assert_ne!(token.access_token(), old.access_token());
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn that_there_is_nothing_is_remembered_for_half_a_minute() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = moves_in(&world, &table);
    for _ in 0..3 {
        refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    }
    assert_eq!(table.calls(Call::Fetch), 1);
    let old = alice_in(&world, &table, &oauth).await;
    world.clock.advance(Duration::from_secs(29));
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    world.clock.advance(Duration::from_secs(1));
    let token = alice(&oauth).token().await.unwrap();
    assert_eq!(token.access_token(), old.access_token());
    // The application's own token is got anew, and sessions are no grants.
    oauth.client(CLIENT).unwrap().app().token().await.unwrap();
    world.log_in(&oauth, "bob").await;
    assert_eq!(table.calls(Call::Fetch), 2);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_no_answer() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = moves_in(&world, &table);
    alice_in(&world, &table, &oauth).await;
    table.times(Call::Fetch, StoreFault::Fail, 1);
    let error = refused(alice(&oauth).token().await, ErrorCode::StoreUnavailable);
    assert_eq!(
        (error.client(), error.phase()),
        (Some(CLIENT), Phase::Store)
    );
    assert!(std::error::Error::source(&error).is_some());

    table.times(Call::Fetch, StoreFault::Hang, 1);
    let caller = tokio::spawn({
        let grant = alice(&oauth);
        async move { grant.token().await }
    });
    until("it is asked", async || table.calls(Call::Fetch) == 2).await;
    world.clock.advance(Duration::from_secs(5));
    refused(soon(caller).await.unwrap(), ErrorCode::StoreUnavailable);

    // Nothing is remembered of it, nor of a caller that went away.
    let gate = Gate::new();
    table.times(Call::Fetch, StoreFault::Hold(gate.clone()), 1);
    let caller = tokio::spawn({
        let grant = alice(&oauth);
        async move { grant.token().await }
    });
    soon(gate.arrived(1)).await;
    caller.abort();
    alice(&oauth).token().await.unwrap();

    let panics = world.builder().on_missing(|key: TokenKey| async move {
        assert_eq!(key.client(), "nobody's", "a closure of the test panics");
        Ok::<_, Error>(None)
    });
    let bob = panics.build().unwrap().client(CLIENT).unwrap().owner("bob");
    refused(bob.token().await, ErrorCode::StoreUnavailable);
}

#[tokio::test]
async fn a_store_that_is_away_is_no_reason_to_ask() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = moves_in(&world, &table);
    alice_in(&world, &table, &oauth).await;
    world.store.on(Method::Fetch, StoreFault::Fail);
    refused(alice(&oauth).token().await, ErrorCode::StoreUnavailable);
    assert_eq!(table.calls(Call::Fetch), 0);
}

#[tokio::test]
async fn what_was_logged_out_stays_so() {
    on_every_store(Provider::builder, async |world| {
        let table = Table::default();
        let clears = || asks(world.builder(), &table).hook(Clears(table.clone()));
        let oauth = clears().build().unwrap();
        alice_in(world, &table, &oauth).await;
        alice(&oauth).token().await.unwrap();
        // The hook fails: the tombstone stands in the way, and the hook is called again.
        table.times(Call::Delete, StoreFault::Fail, 2);
        alice(&oauth).log_out().await.unwrap();
        assert!(table.row(&key_of_alice()).is_some());
        refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
        assert_eq!(table.calls(Call::Fetch), 1, "a tombstone is not missing");
        until("the old row is gone", async || {
            world.advance(Duration::from_secs(1));
            table.row(&key_of_alice()).is_none()
        })
        .await;
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        // So nothing comes back when the tombstone goes.
        world.advance(Duration::from_secs(8 * 24 * 3600));
        assert_eq!(oauth.purge(10).await.unwrap(), 1);
        let restarted = clears().build().unwrap();
        refused(alice(&restarted).token().await, ErrorCode::LoginRequired);

        // A row that never moved in is cleared too, or the logout fails.
        alice_in(world, &table, &oauth).await;
        table.times(Call::Delete, StoreFault::Fail, 1);
        let logout = alice(&restarted).log_out().await;
        refused(logout, ErrorCode::StoreUnavailable);
        alice(&restarted).log_out().await.unwrap();
        assert!(table.row(&key_of_alice()).is_none());
        let again = clears().build().unwrap();
        refused(alice(&again).token().await, ErrorCode::LoginRequired);
    })
    .await;
}

#[tokio::test]
async fn a_logout_beats_an_old_row_that_is_moving_in() {
    // Where the row stands when the logout comes: read and not answered, on its way into the store, or kept since the
    // logout looked.
    for place in 0..3 {
        let world = World::new().await;
        let table = Table::default();
        let clears = || asks(world.builder(), &table).hook(Clears(table.clone()));
        let oauth = clears().build().unwrap();
        alice_in(&world, &table, &oauth).await;
        let gate = Gate::new();
        let hold = StoreFault::HoldAnswer(gate.clone());
        let (caller, logout) = (alice(&oauth), alice(&oauth));
        let caller = async move { caller.token().await.map(drop) };
        let logout = async move { logout.log_out().await };
        match place {
            0 | 1 => {
                if place == 0 {
                    table.times(Call::Fetch, hold, 1);
                } else {
                    let hold = StoreFault::Hold(gate.clone());
                    world.store.times(Method::Write, hold, 1);
                }
                let caller = tokio::spawn(caller);
                soon(gate.arrived(1)).await;
                soon(logout).await.unwrap();
                gate.open();
                refused(soon(caller).await.unwrap(), ErrorCode::LoginRequired);
            }
            _ => {
                world.store.times(Method::Fetch, hold, 1);
                let logout = tokio::spawn(logout);
                soon(gate.arrived(1)).await;
                soon(caller).await.unwrap();
                gate.open();
                soon(logout).await.unwrap().unwrap();
            }
        }
        assert!(table.row(&key_of_alice()).is_none(), "{place}");
        refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
        let restarted = clears().build().unwrap();
        refused(alice(&restarted).token().await, ErrorCode::LoginRequired);
    }
}

#[tokio::test]
async fn whoever_is_forgotten_is_forgotten_in_the_old_table_too() {
    on_every_store(Provider::builder, async |world| {
        let table = Table::default();
        let clears = || asks(world.builder(), &table).hook(Clears(table.clone()));
        // It moved in long ago, or lately, or it never did.
        for moved_in in [Some(121), Some(0), None] {
            let oauth = clears().build().unwrap();
            alice_in(world, &table, &oauth).await;
            if let Some(secs) = moved_in {
                alice(&oauth).token().await.unwrap();
                world.advance(Duration::from_secs(secs));
            }
            table.times(Call::Delete, StoreFault::Fail, 1);
            let forgotten = oauth.forget("alice").await.unwrap();
            assert_eq!(forgotten.failed.len(), 1, "{moved_in:?}: {forgotten:?}");
            assert_eq!(forgotten.grants.len(), usize::from(moved_in.is_some()));
            let forgotten = oauth.forget("alice").await.unwrap();
            assert!(forgotten.is_complete(), "{moved_in:?}: {forgotten:?}");
            assert!(table.row(&key_of_alice()).is_none());
            let restarted = clears().build().unwrap();
            refused(alice(&restarted).token().await, ErrorCode::LoginRequired);
            // The row that is younger goes later.
            world.advance(Duration::from_secs(130));
            oauth.purge(10).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn forgetting_again_clears_what_could_not_be_cleared() {
    let world = World::new().await;
    let mirror = Table::default();
    let oauth = world
        .builder()
        .hook(Clears(mirror.clone()))
        .build()
        .unwrap();
    world.log_in(&oauth, "alice").await;
    mirror.put(&key_of_alice(), &super::table::any_token());
    mirror.times(Call::Delete, StoreFault::Fail, 1);
    assert!(!oauth.forget("alice").await.unwrap().is_complete());
    assert!(oauth.forget("alice").await.unwrap().is_complete());
    assert!(mirror.row(&key_of_alice()).is_none());
}

#[tokio::test]
async fn forgetting_beats_an_old_row_that_is_moving_in() {
    let world = World::new().await;
    let table = Table::default();
    let hooked = asks(world.builder(), &table).hook(Clears(table.clone()));
    let oauth = hooked.build().unwrap();
    alice_in(&world, &table, &oauth).await;
    let gate = Gate::new();
    let hold = StoreFault::HoldAnswer(gate.clone());
    table.times(Call::Fetch, hold, 1);
    let caller = alice(&oauth);
    let caller = tokio::spawn(async move { caller.token().await });
    soon(gate.arrived(1)).await;
    let forgotten = soon(oauth.forget("alice")).await.unwrap();
    assert!(forgotten.is_complete(), "{forgotten:?}");
    gate.open();
    refused(soon(caller).await.unwrap(), ErrorCode::LoginRequired);
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
}

#[tokio::test]
async fn a_login_beats_a_logout_that_saw_no_row() {
    let world = World::new().await;
    let table = Table::default();
    let hooked = asks(world.builder(), &table).hook(Clears(table.clone()));
    let oauth = hooked.build().unwrap();
    let gate = Gate::new();
    let hold = StoreFault::HoldAnswer(gate.clone());
    world.store.times(Method::Fetch, hold, 1);
    let logout = alice(&oauth);
    let logout = tokio::spawn(async move { logout.log_out().await });
    soon(gate.arrived(1)).await;
    let grant = world.alice(&oauth).await;
    gate.open();
    soon(logout).await.unwrap().unwrap();
    grant.token().await.unwrap();
}

#[tokio::test]
async fn clearing_again_leaves_a_new_login_alone() {
    let world = World::new().await;
    let table = Table::default();
    let hooked = asks(world.builder(), &table).hook(Clears(table.clone()));
    let oauth = hooked.build().unwrap();
    let old = alice_in(&world, &table, &oauth).await;
    alice(&oauth).token().await.unwrap();
    table.times(Call::Delete, StoreFault::Fail, 1);
    alice(&oauth).revoke().await.unwrap();
    world.log_in(&oauth, "alice").await;
    table.put(&key_of_alice(), &old);
    until("nothing is under way", async || {
        world.clock.advance(Duration::from_secs(1));
        oauth.drain(Duration::ZERO).await.unwrap() == 0
    })
    .await;
    assert!(table.row(&key_of_alice()).is_some());
    assert_eq!(table.calls(Call::Delete), 1);
}

#[tokio::test]
async fn a_client_s_own_answer_takes_the_place_of_the_builder_s() {
    let world = World::new().await;
    let (for_all, own) = (Table::default(), Table::default());
    let ask = own.clone();
    let oauth = asks(world.bare(&world.store), &for_all)
        .register(
            world
                .registration()
                .on_missing(move |key| ask.clone().fetch(key)),
        )
        .register(world.registration_named("other"))
        .build()
        .unwrap();
    let old = alice_in(&world, &own, &oauth).await;
    let token = alice(&oauth).token().await.unwrap();
    assert_eq!(token.access_token(), old.access_token());
    let other = oauth.client("other").unwrap().owner("alice");
    refused(other.token().await, ErrorCode::LoginRequired);
    let asked = for_all.called_for();
    assert_eq!(
        asked,
        [(Call::Fetch, TokenKey::new("other", "alice").unwrap())]
    );
    assert_eq!(own.calls(Call::Fetch), 1);
}

/// What hooks were told, in order.
#[derive(Clone, Default)]
pub(super) struct Told(pub(super) Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Hook for Told {
    async fn after_logout(&self, key: &TokenKey) -> Result<()> {
        self.0.lock().unwrap().push(key.to_string());
        Ok(())
    }
}

#[tokio::test]
async fn hooks_are_told_of_grants_that_end_here_and_of_no_sessions() {
    let world = World::new().await;
    let told = Told::default();
    let oauth = world.builder().hook(told.clone()).build().unwrap();
    let kept = world.log_in(&oauth, "alice").await;
    oauth.log_out(&kept.session.unwrap(), None).await.unwrap();
    assert!(told.0.lock().unwrap().is_empty());
    alice(&oauth).revoke().await.unwrap();
    assert_eq!(*told.0.lock().unwrap(), [key_of_alice().to_string()]);
}
