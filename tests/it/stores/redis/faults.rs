//! Servers that forget, crash, stall, are full, or change their role.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use redis::Client;
use tokenkeep::{Timestamp, store::*};
use tokenkeep_parts::{Kind, Server};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::*;

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_server_that_forgot_its_scripts_is_told_again() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let store = RedisStore::connect(&url).await.unwrap();
    let mut raw = Raw::connect(&url).await;
    let mut last = insert(&store, "a").await;
    for generation in 2..5 {
        raw.run("SCRIPT FLUSH").await;
        let mut next = record(generation);
        next.index.purge_at = Some(Timestamp::from_millis(1));
        let expected = Expected::Version(last.version);
        store
            .update_token(&key("a"), &next, expected)
            .await
            .unwrap();
        last = next;
    }
    raw.run("SCRIPT FLUSH").await;
    let before = Timestamp::from_millis(2);
    assert_eq!(store.purge_tokens(before, 9).await.unwrap(), 1);
    insert(&store, "b").await;
    for hash in raw.hashes().await {
        raw.words(&["DEL", &*hash]).await;
    }
    raw.run("SCRIPT FLUSH").await;
    let found = store
        .find_tokens(&TokenQuery::owner("b"), Page::first(1))
        .await;
    assert!(found.unwrap().items.is_empty());
    assert_eq!(
        raw.entries().await,
        1,
        "the one by client was not come across"
    );
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_server_that_stalls_is_unavailable_in_time_and_works_again() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let options = RedisOptions::new().timeout(Duration::from_millis(200));
    let store = RedisStore::connect_with(&url, options).await.unwrap();
    let record = insert(&store, "a").await;
    server.run(&url, "CLIENT PAUSE 3000 ALL");
    let started = Instant::now();
    is_unavailable(store.fetch_token(&key("a")).await, "did not answer in time");
    let next = super::record(2);
    let write = store
        .update_token(&key("a"), &next, Expected::Version(record.version))
        .await;
    is_unavailable(write, "did not answer in time");
    is_unavailable(store.take("space", "id").await, "did not answer in time");
    is_unavailable(
        store.changes(None).await.map(drop),
        "did not answer in time",
    );
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    server.run(&url, "PING");
    let patient = RedisStore::connect(&url).await.unwrap();
    // The write that nobody waited for may have been applied, whole, or not at all.
    let found = patient.fetch_token(&key("a")).await.unwrap().record;
    assert!(found == Some(record) || found == Some(next), "{found:?}");
    crate::world::until("it works again", async || {
        store.fetch_token(&key("a")).await.is_ok()
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_server_that_never_answers_is_unavailable_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://:hunter2@{}", silent.local_addr().unwrap());
    let options = RedisOptions::new().timeout(Duration::from_millis(100));
    let started = Instant::now();
    let connected = RedisStore::connect_with(&url, options).await;
    assert!(!format!("{connected:?}").contains("hunter2"));
    is_unavailable(connected, "did not answer in time");
    assert!(started.elapsed() < Duration::from_secs(10));
    drop(silent);
    is_unavailable(RedisStore::connect(&url).await, "refuses connections");
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_full_server_takes_no_write_and_throws_nothing_away() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let store = RedisStore::connect(&url).await.unwrap();
    let mut raw = Raw::connect(&url).await;
    let kept = insert(&store, "a").await;
    raw.run("CONFIG SET maxmemory 1").await;
    let write = store
        .update_token(&key("b"), &record(1), Expected::Absent)
        .await;
    is_unavailable(write, "maxmemory");
    let next = record(2);
    let write = store
        .update_token(&key("a"), &next, Expected::Version(kept.version))
        .await;
    is_unavailable(write, "maxmemory");
    let put = store
        .put_once("space", "id", b"value", Duration::from_secs(9))
        .await;
    is_unavailable(put, "maxmemory");
    assert_eq!(
        store.fetch_token(&key("a")).await.unwrap().record,
        Some(kept.clone())
    );
    raw.run("CONFIG SET maxmemory 0").await;
    store
        .update_token(&key("a"), &next, Expected::Version(kept.version))
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_server_that_cannot_save_takes_no_write() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let store = RedisStore::connect(&url).await.unwrap();
    let mut raw = Raw::connect(&url).await;
    insert(&store, "a").await;
    // Snapshots are on, and none can be put in place.
    raw.words(&["CONFIG", "SET", "save", "3600 1"]).await;
    let folder: Vec<String> = redis::from_redis_value(raw.run("CONFIG GET dir").await).unwrap();
    std::fs::create_dir_all(format!("{}/dump.rdb/in the way", folder[1])).unwrap();
    raw.run("BGSAVE").await;
    crate::world::until("the snapshot fails", async || {
        let info: String = redis::from_redis_value(raw.run("INFO persistence").await).unwrap();
        info.contains("rdb_last_bgsave_status:err")
    })
    .await;
    let write = store
        .update_token(&key("b"), &record(1), Expected::Absent)
        .await;
    is_unavailable(write, "cannot save to its disk");
    assert!(store.fetch_token(&key("a")).await.unwrap().record.is_some());
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_primary_that_became_a_replica_takes_no_write_until_it_is_one_again() {
    let (server, other) = (Server::start(Kind::Redis), Server::start(Kind::Redis));
    let url = server.fresh();
    let store = RedisStore::connect(&url).await.unwrap();
    let client = Client::open(&*url).unwrap();
    let connection = client.get_connection_manager().await.unwrap();
    let over_own = RedisStore::new(client, connection).unwrap();
    insert(&store, "a").await;
    server.run(&url, &format!("REPLICAOF 127.0.0.1 {}", other.port()));
    for store in [&store, &over_own] {
        let write = store
            .update_token(&key("b"), &record(1), Expected::Absent)
            .await;
        is_misconfigured(write, "connect to its primary");
        is_misconfigured(store.check().await, "connect to its primary");
        let put = store
            .put_once("space", "id", b"value", Duration::from_secs(9))
            .await;
        is_misconfigured(put, "connect to its primary");
    }
    is_misconfigured(RedisStore::connect(&url).await, "connect to its primary");
    server.run(&url, "REPLICAOF NO ONE");
    crate::world::until("it writes again", async || {
        let written = store
            .update_token(&key("c"), &record(1), Expected::Absent)
            .await;
        matches!(written, Ok(()) | Err(StoreError::Conflict))
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn an_own_connection_survives_a_restart() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let client = Client::open(&*url).unwrap();
    let connection = client.get_connection_manager().await.unwrap();
    let store = RedisStore::new(client, connection).unwrap();
    store.check().await.unwrap();
    insert(&store, "a").await;
    server.kill();
    let _ = store.fetch_token(&key("a")).await;
    server.resume();
    crate::world::until("it works again", async || {
        store.fetch_token(&key("a")).await.is_ok()
    })
    .await;
    insert(&store, "a").await;
}

/// A way to the server on which connections can go silent, as when a machine or a firewall between vanishes.
struct Way {
    port: u16,
    /// One for each connection; it goes silent when this is dropped.
    connections: Arc<Mutex<Vec<oneshot::Sender<()>>>>,
    /// The ends of connections that have gone silent: they stay open.
    silent: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            silent: Arc::default(),
        };
        let (connections, silent) = (Arc::clone(&way.connections), Arc::clone(&way.silent));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let silent = Arc::clone(&silent);
                let (connection, going) = oneshot::channel();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = going => silent.lock().unwrap().extend([near, far]),
                    }
                });
                connections.lock().unwrap().push(connection);
            }
        });
        way
    }

    /// Nothing goes through the present connections any more, and nobody is told.
    fn silence(&self) {
        self.connections.lock().unwrap().clear();
    }
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn connections_that_go_nowhere_are_replaced() {
    let server = Server::shared(Kind::Redis);
    let url = server.fresh();
    let way = Way::to(server.port()).await;
    let options = RedisOptions::new().timeout(Duration::from_millis(500));
    let store = RedisStore::connect_with(&server.through(&url, way.port), options)
        .await
        .unwrap();
    let mut changes = store.changes(None).await.unwrap();
    let record = insert(&store, "a").await;
    assert!(matches!(next(&mut changes).await, Change::Written { .. }));
    way.silence();
    is_unavailable(store.fetch_token(&key("a")).await, "did not answer in time");
    assert_eq!(
        store.fetch_token(&key("a")).await.unwrap().record,
        Some(record)
    );
    assert_eq!(next(&mut changes).await, Change::Gap);
    insert(&store, "b").await;
    while next(&mut changes).await == Change::Gap {}
}
