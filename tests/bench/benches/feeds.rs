//! From a commit in one process to the event in another, beside the bare `PUBLISH` and `NOTIFY`.
//!
//! Run with `cargo bench -p tokenkeep-bench --bench feeds`; it starts Redis, PostgreSQL and MariaDB by itself.
//!
//! * *bare*: from the call that publishes to the subscriber who has it.
//! * *feed*: from the call of `update_token` to the change in another handle's feed: the write is in it.
//! * *event*: from the writer's own event, after its commit, to the event of another registry, which has read the record.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::postgres::PgListener;
use tokenkeep_core::{
    KeyRing, OAuth, Registration, Token, TokenKey, TokenUpdate,
    store::{Change, DynTokenStore, Expected, Index, StoredRecord, Version},
};
use tokenkeep_parts::{Kind, Server};
use tokenkeep_redis::RedisStore;
use tokenkeep_sql::{MysqlStore, PostgresStore, SqliteStore};
use tokio_stream::StreamExt;

const SAMPLES: usize = 500;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    println!(
        "{:<12} {:<7} {:>10} {:>10}",
        "store", "way", "median", "99 %"
    );
    let url = Server::shared(Kind::Redis).fresh();
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut publisher = client.get_connection_manager().await.unwrap();
    let (mut sink, mut heard) = client.get_async_pubsub().await.unwrap().split();
    sink.subscribe("bare").await.unwrap();
    let mut bare = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let publish: redis::RedisResult<i64> = redis::cmd("PUBLISH")
            .arg("bare")
            .arg("x")
            .query_async(&mut publisher)
            .await;
        publish.unwrap();
        heard.next().await.unwrap();
        bare.push(start.elapsed());
    }
    report("Redis", "bare", bare);
    let open = || async { Arc::new(RedisStore::connect(&url).await.unwrap()) as DynTokenStore };
    both("Redis", open().await, open().await).await;

    let url = Server::shared(Kind::Postgres).fresh();
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut listener = PgListener::connect(&url).await.unwrap();
    listener.listen("bare").await.unwrap();
    let mut bare = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        sqlx::query("SELECT pg_notify('bare', 'x')")
            .execute(store.pool())
            .await
            .unwrap();
        listener.recv().await.unwrap();
        bare.push(start.elapsed());
    }
    report("PostgreSQL", "bare", bare);
    let second = PostgresStore::connect(&url).await.unwrap();
    both("PostgreSQL", Arc::new(store), Arc::new(second)).await;

    let url = Server::shared(Kind::MariaDb).fresh();
    let open = || async { Arc::new(MysqlStore::connect(&url).await.unwrap()) as DynTokenStore };
    both("MariaDB", open().await, open().await).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.db");
    let file = file.to_str().unwrap();
    let open = || async { Arc::new(SqliteStore::connect(file).await.unwrap()) as DynTokenStore };
    both("SQLite", open().await, open().await).await;
}

fn report(store: &str, way: &str, mut times: Vec<Duration>) {
    times.sort();
    let micros = |at: usize| format!("{} µs", times[at].as_micros());
    println!(
        "{store:<12} {way:<7} {:>10} {:>10}",
        micros(times.len() / 2),
        micros(times.len() * 99 / 100)
    );
}

async fn both(name: &str, first: DynTokenStore, second: DynTokenStore) {
    // Polled feeds take a pause between two looks; there fewer samples tell as much.
    let samples = if ["MariaDB", "SQLite"].contains(&name) {
        SAMPLES / 10
    } else {
        SAMPLES
    };
    report(name, "feed", feed(samples, &first, &second).await);
    report(name, "event", events(samples, first, second).await);
}

async fn feed(samples: usize, first: &DynTokenStore, second: &DynTokenStore) -> Vec<Duration> {
    let mut changes = second.changes(None).await.unwrap();
    let mut times = Vec::new();
    for number in 0..samples {
        let key = TokenKey::new("feed", &format!("user-{number}")).unwrap();
        let record = StoredRecord::new(Version::random(), 1, Index::default(), vec![0; 2048]);
        let start = Instant::now();
        let written = first.update_token(&key, &record, Expected::Absent);
        written.await.unwrap();
        loop {
            match changes.next().await.unwrap() {
                Change::Written { key: heard, .. } if heard == key => break,
                _ => {}
            }
        }
        times.push(start.elapsed());
    }
    times
}

async fn events(samples: usize, first: DynTokenStore, second: DynTokenStore) -> Vec<Duration> {
    let ring = KeyRing::ephemeral();
    let registry = |store| {
        OAuth::builder()
            .shared_store(store)
            .key_ring(ring.clone())
            .register(
                Registration::oauth2("api", "https://op.example/a", "https://op.example/t")
                    .client_id("id"),
            )
            .build()
            .unwrap()
    };
    let (here, there) = (registry(first), registry(second));
    here.follow_changes().await.unwrap();
    there.follow_changes().await.unwrap();
    let mut local = here.token_updates().unwrap();
    let mut remote = there.token_updates().unwrap();
    let mut times = Vec::new();
    for number in 0..samples {
        let key = TokenKey::new("api", &format!("user-{number}")).unwrap();
        let told = |update: &TokenUpdate, key: &TokenKey| update.key() == Some(key);
        let adopt = here.adopt(key.clone(), Token::builder("a").build().unwrap());
        let local = async {
            while !told(&local.next().await.unwrap(), &key) {}
            Instant::now()
        };
        let remote = async {
            while !told(&remote.next().await.unwrap(), &key) {}
            Instant::now()
        };
        let (adopted, committed, heard) = tokio::join!(adopt, local, remote);
        assert!(adopted.unwrap());
        times.push(heard.saturating_duration_since(committed));
    }
    times
}
