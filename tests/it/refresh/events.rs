//! What subscribers hear: G8.

use tokenkeep::{Fingerprint, Secret, TokenKey, TokenUpdate};
use tokenkeep_testing::Provider;
use tokio_stream::StreamExt;

use crate::{
    faulty::{Method, StoreFault},
    world::{CLIENT, PATIENCE, World, alice, next, next_of, on_every_store, soon, told},
};

fn kinds(updates: &[TokenUpdate]) -> Vec<&'static str> {
    updates.iter().map(TokenUpdate::kind).collect()
}

#[tokio::test]
async fn events_come_in_order_each_once_with_the_marks_of_what_they_replaced() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let grant = world.alice(&oauth).await;
        let mut tokens = vec![grant.token().await.unwrap()];
        let mut refresh_tokens = vec![live(world)];
        for _ in 0..3 {
            tokens.push(grant.refresh().await.unwrap());
            refresh_tokens.push(live(world));
        }
        grant.log_out().await.unwrap();
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        let updates = told(&mut updates);
        assert_eq!(
            kinds(&updates),
            [
                "issued",
                "refreshed",
                "refreshed",
                "refreshed",
                "logged_out"
            ]
        );
        let mut ids: Vec<_> = updates.iter().map(TokenUpdate::id).collect();
        ids.dedup();
        assert_eq!(ids.len(), 5);
        for (n, update) in updates[..4].iter().enumerate() {
            let changed = update.changed().unwrap();
            assert_eq!(changed.generation, tokens[n].generation());
            let told = changed.token().await.unwrap();
            assert_eq!(told.access_token(), tokens[n].access_token());
            assert_eq!(told.refresh_token().unwrap(), &refresh_tokens[n]);
            if n > 0 {
                let replaced = changed.replaced.as_ref().unwrap();
                let access = Fingerprint::of(tokens[n - 1].access_token());
                assert_eq!(replaced.access_token, Some(access));
                let refresh = Fingerprint::of(&refresh_tokens[n - 1]);
                assert_eq!(replaced.refresh_token, Some(refresh));
            }
        }
    })
    .await;
}

fn live(world: &World) -> Secret {
    let client_id = world.provider.client_id();
    let token = world.provider.live_refresh_token("alice", client_id);
    token.unwrap().as_str().into()
}

#[tokio::test]
async fn a_slow_subscriber_hears_that_it_missed_some() {
    let world = World::new().await;
    let oauth = world.builder().event_capacity(2).build().unwrap();
    oauth.follow_changes().await.unwrap();
    let mut updates = oauth.token_updates().unwrap();
    let grant = world.alice(&oauth).await;
    for _ in 0..4 {
        grant.refresh().await.unwrap();
    }
    let TokenUpdate::Resync { missed } = next(&mut updates).await else {
        panic!("it missed three");
    };
    assert_eq!(missed, 3);
    assert_eq!(kinds(&told(&mut updates)), ["refreshed", "refreshed"]);
}

#[tokio::test]
async fn a_subscriber_may_ask_for_one_client_or_one_key() {
    let world = World::new().await;
    let other = world.provider.issuer();
    let other = tokenkeep::Registration::openid("other", other)
        .client_id(world.provider.client_id())
        .client_secret(world.provider.client_secret());
    let oauth = world.builder().register(other).build().unwrap();
    let bobs_key = TokenKey::new(CLIENT, "bob").unwrap();
    oauth.follow_changes().await.unwrap();
    let mut all = oauth.token_updates().unwrap();
    oauth.follow_changes().await.unwrap();
    let mut of_op = oauth.token_updates().unwrap().client(CLIENT);
    oauth.follow_changes().await.unwrap();
    let mut of_other = oauth.token_updates().unwrap().client("other");
    oauth.follow_changes().await.unwrap();
    let mut of_bob = oauth.token_updates().unwrap().key(bobs_key.clone());
    world.log_in(&oauth, "alice").await;
    world.log_in(&oauth, "bob").await;
    assert_eq!(told(&mut all).len(), 2);
    assert_eq!(told(&mut of_op).len(), 2);
    assert!(told(&mut of_other).is_empty());
    let bobs = told(&mut of_bob);
    assert_eq!(bobs.len(), 1);
    assert_eq!(bobs[0].key(), Some(&bobs_key));
}

#[tokio::test]
async fn a_deleted_row_is_a_logout() {
    let world = World::over(crate::kind::Kind::Sqlite, Provider::builder()).await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    grant.token().await.unwrap();
    oauth.follow_changes().await.unwrap();
    let mut updates = oauth.token_updates().unwrap();
    let pool = sqlx::SqlitePool::connect(world.url()).await.unwrap();
    sqlx::raw_sql("DELETE FROM tokenkeep_tokens")
        .execute(&pool)
        .await
        .unwrap();
    let refused = grant.refresh().await;
    crate::world::refused(refused, tokenkeep::ErrorCode::LoginRequired);
    let TokenUpdate::LoggedOut { cause, .. } = next(&mut updates).await else {
        panic!("a logout");
    };
    assert_eq!(cause, tokenkeep::LogoutCause::RowMissing);
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn the_stream_and_the_feed_end_with_the_registry() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let grant = world.alice(&oauth).await;
        world.store.followed().await;
        grant.token().await.unwrap();
        let event = next(&mut updates).await;
        drop(grant);
        drop(oauth);
        assert!(soon(updates.next()).await.is_none());
        world.store.unfollowed().await;
        // What an event carries stays; what it would have to look up is gone.
        assert!(event.changed().unwrap().token().await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn after_a_gap_of_the_feed_everything_is_looked_at_again() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, store) = world.second().await;
        second.follow_changes().await.unwrap();
        let mut updates = second.token_updates().unwrap();
        let grant = world.alice(&oauth).await;
        let seen = alice(&second).token().await.unwrap();
        store.break_feed();
        loop {
            if let TokenUpdate::Resync { missed: 0 } = next(&mut updates).await {
                break;
            }
        }
        let newer = grant.refresh().await.unwrap();
        crate::world::until("it catches up", async || {
            world.clock.advance(std::time::Duration::from_secs(5));
            alice(&second).token().await.unwrap().access_token() == newer.access_token()
        })
        .await;
        assert_eq!(newer.generation(), seen.generation() + 1);
    })
    .await;
}

#[tokio::test]
async fn a_store_that_refuses_a_cursor_is_followed_from_the_beginning() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, store) = world.second().await;
        second.follow_changes().await.unwrap();
        let mut updates = second.token_updates().unwrap();
        let grant = world.alice(&oauth).await;
        next_of(&mut updates, "issued").await;
        store.on(Method::Resume, StoreFault::Fail);
        store.break_feed();
        next_of(&mut updates, "resync").await;
        crate::world::until("it is followed again", async || {
            world.clock.advance(std::time::Duration::from_secs(5));
            let up = std::time::Duration::from_millis(100);
            tokio::time::timeout(up, second.follow_changes())
                .await
                .is_ok()
        })
        .await;
        grant.refresh().await.unwrap();
        next_of(&mut updates, "refreshed").await;
    })
    .await;
}
