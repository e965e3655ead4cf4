mod feed;

use std::time::Duration;

use sqlx::{AssertSqlSafe, MySqlPool, mysql::MySqlPoolOptions};
use tokenkeep::{Clock, MysqlStore, SystemClock, Timestamp, sql::SqlOptions, store::*};
use tokenkeep_parts::{Kind, Server};
use tokio_stream::StreamExt;

use super::{
    all, conforms_on_a_server, generation, insert, is_misconfigured, is_unavailable, key, next,
    record, write, written,
};

fn server() -> &'static Server {
    Server::shared(Kind::MariaDb)
}

async fn pool(url: &str) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(8)
        .connect(url)
        .await
        .unwrap()
}

/// A store in a database of its own, with the database's URL.
async fn store() -> (MysqlStore, String) {
    let url = server().fresh();
    (MysqlStore::connect(&url).await.unwrap(), url)
}

async fn run(pool: &MySqlPool, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(pool)
        .await
        .unwrap();
}

/// A user who may connect, with a password, and nothing else; its name and URL.
async fn user(pool: &MySqlPool, url: &str, name: &str) -> (String, String) {
    let database = url.rsplit_once('/').unwrap().1;
    let name = format!("{name}_{database}");
    let create = format!("CREATE USER {name}@'%' IDENTIFIED BY 'hunter2'");
    run(pool, create).await;
    let url = url.replace("root@", &format!("{name}:hunter2@"));
    (name, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn conforms_with_two_pools() {
    let (store, url) = store().await;
    let second = MysqlStore::new(pool(&url).await);
    conforms_on_a_server(store, second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn conforms_with_four_processes() {
    let test = "stores::mysql::conforms_with_four_processes";
    super::conforms_with_four_processes(crate::kind::Kind::MariaDb, test, async |url| {
        MysqlStore::connect(&url).await.unwrap()
    })
    .await;
}

/// Serialisable and not strict, in a time zone of its own, with a database and a prefix of the store's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn conforms_in_a_session_that_is_set_otherwise() {
    let (url, own) = (server().fresh(), server().fresh());
    let admin = pool(&url).await;
    run(
        &admin,
        "CREATE TABLE _sqlx_migrations (version BIGINT); INSERT INTO _sqlx_migrations VALUES (7)",
    )
    .await;
    let options = SqlOptions::new()
        .schema(own.rsplit_once('/').unwrap().1)
        .prefix("Auth2")
        .poll_every(Duration::from_millis(10));
    let pool = || {
        let pool = MySqlPoolOptions::new().max_connections(8);
        let pool = pool.after_connect(|connection, _| {
            Box::pin(async move {
                let set = "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET sql_mode = '', time_zone = '+09:30'";
                sqlx::raw_sql(set).execute(connection).await.map(drop)
            })
        });
        pool.connect_lazy(&url).unwrap()
    };
    let store = MysqlStore::with_options(pool(), options.clone()).unwrap();
    store.migrate().await.unwrap();
    let second = MysqlStore::with_options(pool(), options).unwrap();
    conforms_on_a_server(store, second).await;
    let theirs: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations")
        .fetch_all(&admin)
        .await
        .unwrap();
    assert_eq!(theirs, [7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn many_may_create_the_tables_at_once() {
    for round in 0..3 {
        let url = server().fresh();
        let options = SqlOptions::new().prefix(format!("round{round}"));
        all((0..20).map(|_| {
            let (url, options) = (url.clone(), options.clone());
            async move { MysqlStore::connect_with(&url, options).await.map(drop) }
        }))
        .await;
        let store = MysqlStore::with_options(pool(&url).await, options).unwrap();
        insert(&store, "a").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn four_processes_lose_no_write_and_miss_no_last_change() {
    const EACH: u64 = 50;
    let (listener, url) = store().await;
    let mut changes = listener.changes(None).await.unwrap();
    insert(&listener, "shared").await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(MysqlStore::new(pool(&url).await));
    }
    all(stores.into_iter().map(|store| async move {
        for _ in 0..EACH {
            loop {
                let found = store.fetch_token(&key("shared")).await?.record.unwrap();
                let next = record(found.generation + 1);
                let expected = Expected::Version(found.version);
                match store.update_token(&key("shared"), &next, expected).await {
                    Err(StoreError::Conflict) => {}
                    done => break done?,
                }
            }
        }
        Ok(())
    }))
    .await;
    // Writes between two looks are one change.
    let mut last = 0;
    while last < 4 * EACH + 1 {
        let (generation, gap) = written(&mut changes).await;
        assert!(generation > last && !gap, "{generation} after {last}");
        last = generation;
    }
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_missing_table_or_column_is_named() {
    let url = server().fresh();
    let pool = pool(&url).await;
    let store = MysqlStore::new(pool.clone());
    is_misconfigured(store.fetch_token(&key("a")).await, "call migrate()");
    is_misconfigured(store.changes(None).await.map(drop), "call migrate()");
    is_misconfigured(store.take("space", "id").await, "call migrate()");
    let write = write(&store, "a", &record(1)).await;
    is_misconfigured(write, "call migrate()");

    run(&pool, "CREATE TABLE tokenkeep_tokens (owner VARBINARY(9), client VARBINARY(9), slot VARBINARY(9), version BLOB, body BLOB)").await;
    is_misconfigured(
        store.migrate().await,
        "tokenkeep_tokens lacks generation, issuer",
    );
    is_misconfigured(store.fetch_token(&key("a")).await, "lacks a column");
    let elsewhere = SqlOptions::new().schema("nowhere");
    let store = MysqlStore::with_options(pool, elsewhere).unwrap();
    is_misconfigured(store.migrate().await, "create the database");
    let (base, _) = url.rsplit_once('/').unwrap();
    is_misconfigured(MysqlStore::connect(base).await, "SqlOptions::schema");
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn tables_of_a_newer_major_version_are_refused() {
    let (store, url) = store().await;
    run(store.pool(), "UPDATE tokenkeep_schema SET major = 2").await;
    is_misconfigured(store.migrate().await, "schema version 2");
    is_misconfigured(MysqlStore::connect(&url).await, "schema version 2");
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn own_migrations_may_create_the_tables() {
    let url = server().fresh();
    let store = MysqlStore::new(pool(&url).await);
    run(store.pool(), store.schema()).await;
    run(store.pool(), store.schema()).await;
    MysqlStore::new(read_only(&url)).migrate().await.unwrap();
    insert(&store, "a").await;
}

/// Sessions that may not write, as on a replica.
fn read_only(url: &str) -> MySqlPool {
    let pool = MySqlPoolOptions::new().after_connect(|connection, _| {
        Box::pin(async move {
            let set = "SET SESSION TRANSACTION READ ONLY";
            sqlx::raw_sql(set).execute(connection).await.map(drop)
        })
    });
    pool.connect_lazy(url).unwrap()
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_pool_that_never_commits_is_refused() {
    let pool = MySqlPoolOptions::new().after_connect(|connection, _| {
        Box::pin(async move {
            let set = sqlx::raw_sql("SET autocommit = 0").execute(connection);
            set.await.map(drop)
        })
    });
    let store = MysqlStore::new(pool.connect_lazy(&server().fresh()).unwrap());
    is_misconfigured(store.migrate().await, "autocommit");
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn the_rights_that_are_documented_are_enough_and_others_are_named() {
    let url = server().fresh();
    let admin = pool(&url).await;
    let (user, theirs) = user(&admin, &url, "app").await;
    is_misconfigured(MysqlStore::connect(&theirs).await, "GRANT");
    run(
        &admin,
        format!(
            "GRANT SELECT ON {}.* TO {user}",
            url.rsplit_once('/').unwrap().1
        ),
    )
    .await;
    is_misconfigured(MysqlStore::connect(&theirs).await, "CREATE");

    MysqlStore::connect(&url).await.unwrap();
    let store = MysqlStore::new(pool(&theirs).await);
    is_misconfigured(write(&store, "a", &record(1)).await, "GRANT");
    run(
        &admin,
        format!(
            "REVOKE SELECT ON {}.* FROM {user};
             GRANT SELECT, INSERT, UPDATE, DELETE ON tokenkeep_tokens TO {user};
             GRANT SELECT, INSERT, UPDATE, DELETE ON tokenkeep_once TO {user};
             GRANT SELECT ON tokenkeep_schema TO {user}",
            url.rsplit_once('/').unwrap().1
        ),
    )
    .await;
    let store = MysqlStore::connect(&theirs).await.unwrap();
    let mut changes = store.changes(None).await.unwrap();
    let first = insert(&store, "a").await;
    let (key, second) = (key("a"), record(2));
    let expected = Expected::Version(first.version);
    store.update_token(&key, &second, expected).await.unwrap();
    while written(&mut changes).await.0 < 2 {}
    let hour = Duration::from_secs(3600);
    for _ in 0..2 {
        assert!(store.put_once("s", "i", b"v", hour).await.unwrap());
        assert!(!store.put_once("s", "i", b"w", hour).await.unwrap());
        assert!(store.take("s", "i").await.unwrap().is_some());
    }
    let all = TokenQuery::default();
    let found = store.find_tokens(&all, Page::first(9)).await.unwrap();
    assert_eq!(found.items.len(), 1);
    let before = Timestamp::from_millis(0);
    store.purge_tokens(before, 9).await.unwrap();
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_row_that_cannot_be_read_is_an_error_and_stays() {
    let (store, _) = store().await;
    let key = key("broken");
    for (damage, repair) in [
        ("UPDATE tokenkeep_tokens SET version = x'00'", "DO 0"),
        ("UPDATE tokenkeep_tokens SET generation = -1", "DO 0"),
        ("UPDATE tokenkeep_tokens SET subject = x'ff'", "DO 0"),
        (
            "ALTER TABLE tokenkeep_tokens MODIFY body BLOB; UPDATE tokenkeep_tokens SET body = NULL",
            "DO 0",
        ),
        (
            "ALTER TABLE tokenkeep_tokens MODIFY changed_at VARCHAR(20)",
            "ALTER TABLE tokenkeep_tokens MODIFY changed_at BIGINT",
        ),
    ] {
        run(store.pool(), "DELETE FROM tokenkeep_tokens").await;
        insert(&store, "broken").await;
        run(store.pool(), damage).await;
        let read = store.fetch_token(&key).await;
        assert!(
            matches!(read, Err(StoreError::InvalidRow { .. })),
            "{damage}: {read:?}"
        );
        let all = TokenQuery::default();
        let found = store.find_tokens(&all, Page::first(1)).await;
        assert!(
            matches!(found, Err(StoreError::InvalidRow { .. })),
            "{damage}: {found:?}"
        );
        let write = write(&store, "broken", &record(2)).await;
        assert!(matches!(write, Err(StoreError::Conflict)), "{write:?}");
        run(store.pool(), repair).await;
    }
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn what_the_database_cannot_keep_is_refused() {
    let (store, _) = store().await;
    let write_of = write(&store, "a", &record(1 << 63)).await;
    assert!(
        matches!(write_of, Err(StoreError::InvalidInput { .. })),
        "{write_of:?}"
    );
    let hour = Duration::from_secs(3600);
    let long = "x".repeat(40_000);
    let put = store.put_once("space", &long, b"value", hour).await;
    assert!(
        matches!(put, Err(StoreError::InvalidInput { .. })),
        "{put:?}"
    );
    // A provider's texts may be long.
    let mut long_texts = record(1);
    long_texts.index.subject = Some(long.clone());
    long_texts.index.sid = Some(long.repeat(3));
    write(&store, "a", &long_texts).await.unwrap();
    let found = store.fetch_token(&key("a")).await.unwrap().record.unwrap();
    assert_eq!(found.index, long_texts.index);
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_replica_is_read_and_refuses_writes() {
    let (store, url) = store().await;
    insert(&store, "a").await;
    let store = MysqlStore::new(read_only(&url));
    assert!(store.fetch_token(&key("a")).await.unwrap().record.is_some());
    let write = write(&store, "b", &record(1)).await;
    is_misconfigured(write, "primary");
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn what_cannot_be_connected_to_is_named_without_the_password() {
    let url = server().fresh();
    let admin = pool(&url).await;
    let (_, theirs) = user(&admin, &url, "nobody").await;
    for wrong in [
        "",
        "mysql",
        "postgres://a:hunter2@b/c",
        "mysql://a:hunter2@127.0.0.1:hunter2/c",
    ] {
        is_misconfigured(MysqlStore::connect(wrong).await, "mysql://user");
    }
    let options = SqlOptions::new().listen_url("mysql://a:hunter2@b/c");
    let pool = MySqlPoolOptions::new().connect_lazy(&url).unwrap();
    is_misconfigured(MysqlStore::with_options(pool, options), "listen_url");
    let unknown = format!("{url}x");
    let unknown = MysqlStore::connect(&unknown).await;
    is_misconfigured(unknown, "create the database");
    let unknown = theirs.replace("nobody", "stranger");
    is_misconfigured(MysqlStore::connect(&unknown).await, "check the user");
    let secured = format!("{theirs}?ssl-mode=REQUIRED");
    is_misconfigured(MysqlStore::connect(&secured).await, "secured");
    let started = std::time::Instant::now();
    let closed = "mysql://a:hunter2@127.0.0.1:9/c";
    is_unavailable(MysqlStore::connect(closed).await);
    assert!(started.elapsed() < Duration::from_secs(4), "and at once");
}

#[tokio::test]
async fn a_server_that_never_answers_is_unavailable_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("mysql://a:hunter2@127.0.0.1:{port}/c");
    let options = SqlOptions::new().timeout(Duration::from_millis(200));
    let started = std::time::Instant::now();
    is_unavailable(MysqlStore::connect_with(&url, options.clone()).await);
    let lazy = MySqlPoolOptions::new().connect_lazy(&url).unwrap();
    let store = MysqlStore::with_options(lazy, options).unwrap();
    is_unavailable(store.migrate().await);
    is_unavailable(store.fetch_token(&key("a")).await);
    let write = write(&store, "a", &record(1)).await;
    is_unavailable(write);
    is_unavailable(store.changes(None).await.map(drop));
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_statement_that_hangs_frees_its_place_in_the_pool() {
    let (owner, url) = store().await;
    let first = insert(&owner, "a").await;
    let small = MySqlPoolOptions::new()
        .max_connections(1)
        .connect(&url)
        .await
        .unwrap();
    let options = SqlOptions::new().timeout(Duration::from_millis(300));
    let store = MysqlStore::with_options(small, options).unwrap();
    let mut blocker = owner.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM tokenkeep_tokens FOR UPDATE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    let (key, next) = (key("a"), record(2));
    let write = store.update_token(&key, &next, Expected::Version(first.version));
    is_unavailable(write.await);
    // The server still waits for the lock, on a connection that nobody waits for.
    tokio::time::timeout(Duration::from_secs(20), async {
        while store.fetch_token(&key).await.is_err() {}
    })
    .await
    .expect("the pool works again while the lock is held");
    blocker.rollback().await.unwrap();
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn purge_also_removes_what_expired() {
    let (store, _) = store().await;
    for (id, ttl) in [("short", 1), ("long", 3_600_000)] {
        let ttl = Duration::from_millis(ttl);
        assert!(store.put_once("space", id, b"value", ttl).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(store.take("space", "none").await.unwrap(), None);
    let before = Timestamp::from_millis(0);
    assert_eq!(store.purge_tokens(before, 100).await.unwrap(), 0);
    let left: Vec<Vec<u8>> = sqlx::query_scalar("SELECT id FROM tokenkeep_once")
        .fetch_all(store.pool())
        .await
        .unwrap();
    assert_eq!(left, [b"long"]);
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn the_time_is_the_servers_in_milliseconds() {
    let (store, _) = store().await;
    let found = store.fetch_token(&key("nobody")).await.unwrap();
    let apart = found.now.unwrap().as_millis() - SystemClock.now().as_millis();
    assert!(apart.abs() < 5_000, "{apart} ms apart on one machine");
}
