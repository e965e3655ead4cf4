//! The change feed: what was missed is a gap.

use std::time::Duration;

use tokenkeep::store::*;
use tokenkeep_parts::{Kind, Server};

use super::*;

/// The next change that is no gap; how many gaps came before.
async fn written(changes: &mut Changes) -> (u64, usize) {
    let mut gaps = 0;
    loop {
        match next(changes).await {
            Change::Written { generation, .. } => return (generation, gaps),
            _ => gaps += 1,
        }
    }
}

async fn update(store: &RedisStore, old: &StoredRecord) -> StoredRecord {
    let new = record(old.generation + 1);
    store
        .update_token(&key("a"), &new, Expected::Version(old.version))
        .await
        .unwrap();
    new
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_subscription_that_is_killed_is_a_gap_and_goes_on() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let store = RedisStore::connect(&url).await.unwrap();
    let mut changes = store.changes(None).await.unwrap();
    let first = insert(&store, "a").await;
    assert_eq!(written(&mut changes).await, (1, 0));
    assert_eq!(server.run(&url, "CLIENT KILL TYPE pubsub"), "1\n");
    assert_eq!(next(&mut changes).await, Change::Gap);
    update(&store, &first).await;
    assert_eq!(written(&mut changes).await.0, 2);
}

// With threads, so that attempts to connect go on while the server starts.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_server_that_crashed_is_a_gap_and_the_store_works_again() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let store = RedisStore::connect(&url).await.unwrap();
    let mut changes = store.changes(None).await.unwrap();
    insert(&store, "a").await;
    assert_eq!(written(&mut changes).await, (1, 0));

    server.kill();
    assert_eq!(next(&mut changes).await, Change::Gap);
    // The first call may find the broken connection, the second one none at all.
    let _ = store.fetch_token(&key("a")).await;
    is_unavailable(store.fetch_token(&key("a")).await, "refuses connections");
    let write = store
        .update_token(&key("a"), &record(1), Expected::Absent)
        .await;
    is_unavailable(write, "refuses connections");

    server.resume();
    // Nothing was saved; a cold server knows no script.
    insert(&store, "a").await;
    // What is written before the feed is back is not in it.
    crate::world::until("the feed is back", async || {
        let found = store.fetch_token(&key("a")).await.unwrap().record.unwrap();
        update(&store, &found).await;
        let heard = tokio::time::timeout(Duration::from_millis(50), written(&mut changes));
        heard.await.is_ok()
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_connection_that_has_gone_silent_is_a_gap() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let options = RedisOptions::new().timeout(Duration::from_millis(300));
    let store = RedisStore::connect_with(&url, options).await.unwrap();
    let mut changes = store.changes(None).await.unwrap();
    assert_eq!(server.run(&url, "CLIENT PAUSE 4000 ALL"), "OK\n");
    assert_eq!(next(&mut changes).await, Change::Gap);
    server.run(&url, "PING");
    let patient = RedisStore::connect(&url).await.unwrap();
    insert(&patient, "a").await;
    let (generation, gaps) = written(&mut changes).await;
    assert_eq!(generation, 1);
    assert!(gaps > 0, "what was missed until it was subscribed again");
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_listener_that_is_too_slow_gets_a_gap_and_then_what_is_new() {
    let database = Database::new();
    let store = database.connect().await;
    let mut changes = store.changes(None).await.unwrap();
    let mut last = insert(&store, "a").await;
    for _ in 0..1500 {
        last = update(&store, &last).await;
    }
    let mut expected = 1;
    loop {
        match next(&mut changes).await {
            Change::Written { generation, .. } => assert_eq!(generation, expected),
            _ => break,
        }
        expected += 1;
    }
    assert!(expected <= 1101, "{expected} changes were kept for it");
    let last = update(&store, &last).await;
    while written(&mut changes).await.0 != last.generation {}
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_listener_that_overflows_the_servers_buffer_gets_a_gap() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let store = RedisStore::connect(&url).await.unwrap();
    let mut changes = store.changes(None).await.unwrap();
    let clients = || server.run(&url, "CLIENT LIST TYPE pubsub");
    let before = clients();
    let mut raw = Raw::connect(&url).await;
    raw.words(&[
        "CONFIG",
        "SET",
        "client-output-buffer-limit",
        "pubsub 1 0 0",
    ])
    .await;
    // Small messages never leave the connection's own buffer, which does not count.
    let large = "x".repeat(100_000);
    raw.words(&["PUBLISH", "tokenkeep:changes:0", &*large])
        .await;
    assert_eq!(next(&mut changes).await, Change::Gap);
    insert(&store, "a").await;
    let id = |list: &str| list.split(' ').next().map(str::to_owned);
    assert_ne!(id(&before), id(&clients()), "it was another connection");
    let last = store.fetch_token(&key("a")).await.unwrap().record.unwrap();
    update(&store, &last).await;
    while written(&mut changes).await.0 != 2 {}
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_cursor_begins_with_a_gap() {
    let database = Database::new();
    let store = database.connect().await;
    let mut changes = store.changes(None).await.unwrap();
    insert(&store, "a").await;
    let Change::Written { cursor, .. } = next(&mut changes).await else {
        panic!("a gap");
    };
    let mut resumed = store.changes(Some(cursor)).await.unwrap();
    assert_eq!(next(&mut resumed).await, Change::Gap);
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn what_strangers_publish_is_a_gap() {
    let database = Database::new();
    let (store, mut raw) = (database.connect().await, database.raw().await);
    let mut changes = store.changes(None).await.unwrap();
    let number = database.url.rsplit_once('/').unwrap().1;
    let channel = format!("tokenkeep:changes:{number}");
    assert_eq!(
        raw.words(&["PUBLISH", &*channel, "hello"]).await,
        Value::Int(1)
    );
    assert_eq!(next(&mut changes).await, Change::Gap);
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_feed_that_is_dropped_ends_its_connection() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let store = RedisStore::connect(&url).await.unwrap();
    let changes = store.changes(None).await.unwrap();
    let subscribed = || {
        server
            .run(&url, "CLIENT LIST TYPE pubsub")
            .trim()
            .lines()
            .count()
    };
    assert_eq!(subscribed(), 1);
    drop(changes);
    crate::world::until("the subscription is gone", async || subscribed() == 0).await;
}
