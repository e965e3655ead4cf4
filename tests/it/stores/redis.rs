//! The Redis store against real servers, which `tests/run` installs.

mod faults;
mod feed;
mod rows;
mod setup;

use std::time::Duration;

use redis::{Client, Value, aio::MultiplexedConnection};
use tokenkeep::{RedisStore, TokenKey, redis::RedisOptions, store::*};
use tokenkeep_parts::{Kind, Server};

use super::{conforms_on_a_server, insert, is_misconfigured, key, next, record};

/// A database of its own on the server that all tests share.
struct Database {
    url: String,
}

impl Database {
    fn new() -> Self {
        Self {
            url: Server::shared(Kind::Redis).fresh(),
        }
    }

    async fn connect(&self) -> RedisStore {
        self.connect_with(RedisOptions::new()).await
    }

    async fn connect_with(&self, options: RedisOptions) -> RedisStore {
        RedisStore::connect_with(&self.url, options).await.unwrap()
    }

    async fn raw(&self) -> Raw {
        Raw::connect(&self.url).await
    }
}

/// A connection beside the store's.
struct Raw(MultiplexedConnection);

impl Raw {
    async fn connect(url: &str) -> Self {
        let client = Client::open(url).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }

    /// A command; its words are separated by blanks.
    async fn run(&mut self, command: &str) -> Value {
        let words: Vec<_> = command.split_whitespace().collect();
        self.words(&words).await
    }

    async fn words(&mut self, words: &[impl AsRef<[u8]>]) -> Value {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word.as_ref());
        }
        command.query_async(&mut self.0).await.unwrap()
    }

    /// All keys of the database.
    async fn keys(&mut self) -> Vec<String> {
        redis::from_redis_value(self.run("KEYS *").await).unwrap()
    }

    /// The names of the hashes that hold records.
    async fn hashes(&mut self) -> Vec<String> {
        let mut keys = self.keys().await;
        keys.retain(|key| key.contains("}:token:"));
        keys
    }

    /// How many entries the index has in all.
    async fn entries(&mut self) -> i64 {
        let mut entries = 0;
        for key in self.keys().await {
            if key.ends_with("}:index") {
                let count: i64 =
                    redis::from_redis_value(self.words(&["ZCARD", &*key]).await).unwrap();
                entries += count;
            }
        }
        entries
    }
}

#[track_caller]
fn is_unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>, source: &str) {
    match answer {
        Err(StoreError::Unavailable { source: found }) => {
            assert!(found.to_string().contains(source), "{found}");
            assert!(!format!("{found:?}").contains("nobody may see"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Redis; tests/run brings it"]
async fn conforms_with_two_connections() {
    let database = Database::new();
    conforms_on_a_server(database.connect().await, database.connect().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Redis; tests/run brings it"]
async fn conforms_with_four_processes() {
    let test = "stores::redis::conforms_with_four_processes";
    super::conforms_with_four_processes(crate::kind::Kind::Redis, test, async |url| {
        RedisStore::connect(&url).await.unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Redis; tests/run brings it"]
async fn conforms_over_an_applications_own_connection_in_resp3() {
    let database = Database::new();
    let client = Client::open(format!("{}?protocol=resp3", database.url)).unwrap();
    let connection = client.get_connection_manager().await.unwrap();
    let options = RedisOptions::new().prefix("Auth-2.x:y/z_");
    let store = RedisStore::with_options(client, connection, options.clone()).unwrap();
    store.check().await.unwrap();
    conforms_on_a_server(store, database.connect_with(options).await).await;
    let keys = database.raw().await.keys().await;
    assert!(
        keys.iter().all(|key| key.starts_with("Auth-2.x:y/z_:")),
        "{keys:?}"
    );
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn an_expired_value_is_gone_and_its_id_is_free() {
    let store = Database::new().connect().await;
    let short = Duration::from_micros(1500);
    assert!(
        store
            .put_once("space", "id", b"first", short)
            .await
            .unwrap()
    );
    let put = async || {
        store
            .put_once("space", "id", b"second", Duration::MAX)
            .await
    };
    while !put().await.unwrap() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let value = store.take("space", "id").await.unwrap();
    assert_eq!(value.as_deref(), Some(&b"second"[..]));
    let zero = store.put_once("space", "id", b"third", Duration::ZERO);
    assert!(zero.await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn fetch_answers_the_servers_time() {
    let database = Database::new();
    let (store, mut raw) = (database.connect().await, database.raw().await);
    let time = async |raw: &mut Raw| {
        let (seconds, micros): (i64, i64) = redis::from_redis_value(raw.run("TIME").await).unwrap();
        seconds * 1000 + micros / 1000
    };
    let before = time(&mut raw).await;
    let now = store.fetch_token(&key("a")).await.unwrap().now.unwrap();
    let after = time(&mut raw).await;
    assert!(
        (before..=after).contains(&now.as_millis()),
        "{before} {now:?} {after}"
    );
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn two_prefixes_and_two_databases_do_not_see_each_other() {
    let database = Database::new();
    let one = database.connect().await;
    let mut others = vec![Database::new().connect().await];
    for prefix in ["tokenkeep:once", "tokenkeep2", "t"] {
        others.push(
            database
                .connect_with(RedisOptions::new().prefix(prefix))
                .await,
        );
    }
    let mut feeds = Vec::new();
    for other in &others {
        feeds.push(other.changes(None).await.unwrap());
    }
    let record = insert(&one, "a").await;
    one.put_once("space", "id", b"value", Duration::from_secs(60))
        .await
        .unwrap();
    for (other, feed) in others.iter().zip(&mut feeds) {
        assert_eq!(other.fetch_token(&key("a")).await.unwrap().record, None);
        let found = other
            .find_tokens(&TokenQuery::owner("a"), Page::first(9))
            .await;
        assert!(found.unwrap().items.is_empty());
        assert_eq!(other.take("space", "id").await.unwrap(), None);
        insert(other, "b").await;
        match next(feed).await {
            Change::Written { key: changed, .. } => assert_eq!(changed, key("b")),
            Change::Gap => panic!("a gap"),
            _ => unreachable!(),
        }
    }
    assert_eq!(
        one.fetch_token(&key("a")).await.unwrap().record,
        Some(record)
    );
}
