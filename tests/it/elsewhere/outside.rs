//! Closures beside a store: who keeps what.

use std::time::Duration;

use tokenkeep::{ErrorCode, MemoryStore, Registration, TokenKey, store::FetchToken};

use super::table::{Call, Table, alice_in, bare, key_of_alice, over};
use crate::{
    faulty::{Method, StoreFault},
    world::{CLIENT, World, alice, cookies, refused},
};

#[tokio::test]
async fn each_client_s_tokens_are_kept_where_its_registration_says() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = world
        .bare(&world.store)
        .register(table.behind_client(world.registration()))
        .register(
            world
                .registration_named("other")
                .scopes(["openid", "offline_access"]),
        )
        .build()
        .unwrap();
    let kept = world.log_in(&oauth, "alice").await;
    let browser = cookies(&kept.cookies);
    // The grant stands in the table, the session in the store.
    assert!(table.row(&key_of_alice()).is_some());
    let stored = async |key: &TokenKey| world.store.fetch_token(key).await.unwrap().record;
    assert!(stored(&key_of_alice()).await.is_none());
    let session = oauth.session(&browser).await.unwrap().unwrap();
    assert!(stored(session.key()).await.is_some());
    assert!(table.called_for().iter().all(|(_, key)| key.is_account()));

    let other = TokenKey::new("other", "alice").unwrap();
    let token = world
        .login(&over(&world, &table), "alice")
        .await
        .unwrap()
        .token;
    assert!(oauth.adopt(other.clone(), token).await.unwrap());
    assert!(stored(&other).await.is_some());
    assert_eq!(table.row(&other), None);
    let listed = oauth.grants("alice").await.unwrap();
    assert_eq!(listed.len(), 1, "closures list nothing");

    oauth.log_out(&session, None).await.unwrap();
    assert!(oauth.session(&browser).await.unwrap().is_none());
    assert!(
        table.row(&key_of_alice()).is_some(),
        "it was issued to last"
    );
}

#[tokio::test]
async fn a_feed_of_the_store_beside_them_says_nothing_of_closures() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = world
        .bare(&world.store)
        .register(table.behind_client(world.registration()))
        .build()
        .unwrap();
    oauth.follow_changes().await.unwrap();
    alice_in(&world, &table, &oauth).await;
    alice(&oauth).token().await.unwrap();
    let again = alice_in(&world, &table, &oauth).await;
    world.clock.advance(Duration::from_secs(3));
    let token = alice(&oauth).token().await.unwrap();
    assert_eq!(token.access_token(), again.access_token());
}

#[tokio::test]
async fn a_worker_needs_no_store_and_a_browser_does() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    assert_eq!(oauth.store_name().unwrap(), "closures");
    oauth.check_store().await.unwrap();
    alice_in(&world, &table, &oauth).await;
    assert_eq!(alice(&oauth).get("me").await.unwrap().status(), 200);
    let before = table.row(&key_of_alice());

    let login = world.login(&oauth, "alice").await.unwrap();
    let kept = oauth.keep_login(&login, "alice", None).await;
    let error = refused(kept, ErrorCode::MissingStore);
    assert!(error.message().contains(".store("), "{error}");
    assert_eq!(table.row(&key_of_alice()), before, "nothing is half kept");
    refused(oauth.purge(10).await, ErrorCode::Unsupported);
}

#[tokio::test]
async fn closures_come_and_go_with_their_registration() {
    let world = World::new().await;
    let (first, second) = (Table::default(), Table::default());
    let oauth = world.oauth();
    alice_in(&world, &first, &oauth).await;
    let theirs = alice_in(&world, &second, &oauth).await;
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    oauth
        .replace(first.behind_client(world.registration()))
        .unwrap();
    let reads = world.store.calls(Method::Fetch);
    alice(&oauth).token().await.unwrap();
    assert_eq!(world.store.calls(Method::Fetch), reads);
    oauth
        .replace(second.behind_client(world.registration()))
        .unwrap();
    assert_eq!(
        alice(&oauth).token().await.unwrap().access_token(),
        theirs.access_token()
    );
    oauth.replace(world.registration()).unwrap();
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);

    // A client that is registered later needs a place too.
    let workers = bare(&world)
        .register(first.behind_client(world.registration()))
        .build()
        .unwrap();
    let late = Registration::oauth2("late", "https://op.example/a", "https://op.example/t")
        .client_id("id");
    let error = refused(workers.register(late.clone()), ErrorCode::MissingStore);
    assert_eq!(error.client(), Some("late"));
    workers.register(first.behind_client(late)).unwrap();
    assert_eq!(first.calls(Call::Delete), 0);
    let _ = (CLIENT, MemoryStore::new());
}

#[tokio::test]
async fn whoever_is_forgotten_is_forgotten_behind_closures_too() {
    let world = World::new().await;
    let table = Table::default();
    let build = |registration| {
        let builder = world.bare(&world.store).register(registration);
        builder.build().unwrap()
    };
    let oauth = build(table.behind_client(world.registration()));
    world.log_in(&oauth, "alice").await;
    let work = key_of_alice().account("work").unwrap();
    let token = world.login(&oauth, "alice").await.unwrap().token;
    assert!(oauth.adopt(work.clone(), token).await.unwrap());
    world.log_in(&oauth, "bob").await;

    table.times(Call::Delete, StoreFault::Fail, u64::MAX);
    let forgotten = oauth.forget("alice").await.unwrap();
    let failed: Vec<_> = forgotten.failed.iter().map(|(key, _)| key).collect();
    assert_eq!(failed, [&key_of_alice(), &work]);
    assert!(!forgotten.is_complete());
    table.clear_faults();
    let forgotten = oauth.forget("alice").await.unwrap();
    assert!(forgotten.is_complete(), "{forgotten:?}");
    let grants: Vec<_> = forgotten.grants.iter().map(|grant| &grant.key).collect();
    assert_eq!(grants, [&key_of_alice(), &work]);
    assert_eq!(forgotten.tombstones, 0);
    for key in [key_of_alice(), work] {
        assert_eq!(table.row(&key), None);
    }
    let client_id = world.provider.client_id();
    assert_eq!(world.provider.live_refresh_token("alice", client_id), None);
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    let bob = oauth.client(CLIENT).unwrap().owner("bob");
    bob.token().await.unwrap();
}
