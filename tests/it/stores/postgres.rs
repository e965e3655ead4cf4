mod feed;

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use tokenkeep::{Clock, PostgresStore, SystemClock, Timestamp, sql::SqlOptions, store::*};
use tokenkeep_parts::{Kind, Server};
use tokio_stream::StreamExt;

use super::{
    all, conforms_on_a_server, generation, insert, is_misconfigured, is_unavailable, key, next,
    record, shown, write, written,
};

fn server() -> &'static Server {
    Server::shared(Kind::Postgres)
}

async fn pool(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(8)
        .connect(url)
        .await
        .unwrap()
}

/// A store in a database of its own, with the database's URL.
async fn store() -> (PostgresStore, String) {
    let url = server().fresh();
    (PostgresStore::connect(&url).await.unwrap(), url)
}

async fn run(pool: &PgPool, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(pool)
        .await
        .unwrap();
}

/// A user who may connect, with a password, and nothing else; its URL.
async fn user(pool: &PgPool, url: &str, name: &str) -> String {
    let database = url.rsplit_once('/').unwrap().1;
    let name = format!("{name}_{database}");
    run(pool, format!("CREATE ROLE {name} LOGIN PASSWORD 'hunter2'")).await;
    url.replace("postgres@", &format!("{name}:hunter2@"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn conforms_with_two_pools() {
    let (store, url) = store().await;
    let second = PostgresStore::new(pool(&url).await);
    conforms_on_a_server(store, second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn conforms_with_four_processes() {
    let test = "stores::postgres::conforms_with_four_processes";
    super::conforms_with_four_processes(crate::kind::Kind::Postgres, test, async |url| {
        PostgresStore::connect(&url).await.unwrap()
    })
    .await;
}

/// Case-insensitive by default, every transaction serialisable, a schema and a prefix of the application's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn conforms_in_a_database_that_is_set_otherwise() {
    let url = server().fresh();
    let admin = pool(&url).await;
    run(
        &admin,
        "CREATE TABLE _sqlx_migrations (version BIGINT); INSERT INTO _sqlx_migrations VALUES (7)",
    )
    .await;
    let database = url.rsplit_once('/').unwrap().1;
    for setting in [
        "default_transaction_isolation = 'serializable'",
        "timezone = 'Pacific/Kiritimati'",
        "search_path = 'nowhere'",
        "bytea_output = 'escape'",
        // Whatever the planner thinks best: a sub-select that it runs again and again, too.
        "enable_hashagg = off",
        "enable_hashjoin = off",
        "enable_mergejoin = off",
        "enable_material = off",
        "enable_sort = off",
    ] {
        run(&admin, format!("ALTER DATABASE {database} SET {setting}")).await;
    }
    let options = SqlOptions::new().schema("my-Auth").prefix("Auth2");
    let store = PostgresStore::with_options(pool(&url).await, options.clone()).unwrap();
    store.migrate().await.unwrap();
    let second = PostgresStore::with_options(pool(&url).await, options).unwrap();
    conforms_on_a_server(store, second).await;
    let theirs: Vec<i64> = sqlx::query_scalar("SELECT version FROM public._sqlx_migrations")
        .fetch_all(&admin)
        .await
        .unwrap();
    assert_eq!(theirs, [7]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn keys_are_bytes_whatever_the_default_collation_folds() {
    let url = server().fresh();
    let admin = pool(&url).await;
    // The default collation of a database cannot fold; that of a type can, and `TEXT` here is that type.
    run(
        &admin,
        "CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
         CREATE TABLE probe (a TEXT COLLATE folding); INSERT INTO probe VALUES ('A')",
    )
    .await;
    let folded: bool = sqlx::query_scalar("SELECT 'a' = a FROM probe")
        .fetch_one(&admin)
        .await
        .unwrap();
    assert!(folded, "the server can fold");
    let collations: Vec<String> = {
        let store = PostgresStore::new(admin.clone());
        store.migrate().await.unwrap();
        sqlx::query_scalar(
            "SELECT DISTINCT collname::text FROM pg_attribute JOIN pg_collation c ON c.oid = attcollation
             WHERE attrelid IN ('tokenkeep_tokens'::regclass, 'tokenkeep_once'::regclass) AND attnum > 0",
        )
        .fetch_all(&admin)
        .await
        .unwrap()
    };
    assert_eq!(collations, ["C"], "every text column is pinned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn many_may_create_the_tables_at_once() {
    for round in 0..3 {
        let url = server().fresh();
        let options = match round {
            0 => SqlOptions::new(),
            _ => SqlOptions::new().schema("auth"),
        };
        all((0..20).map(|_| {
            let (url, options) = (url.clone(), options.clone());
            async move { PostgresStore::connect_with(&url, options).await.map(drop) }
        }))
        .await;
        let store = PostgresStore::with_options(pool(&url).await, options).unwrap();
        insert(&store, "a").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn four_processes_lose_no_write_and_miss_no_change() {
    const EACH: u64 = 50;
    let (listener, url) = store().await;
    let mut changes = listener.changes(None).await.unwrap();
    insert(&listener, "shared").await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(PostgresStore::new(pool(&url).await));
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
    for expected in 1..=4 * EACH + 1 {
        assert_eq!(generation(&next(&mut changes).await), Some(expected));
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn a_missing_table_or_column_is_named() {
    let pool = pool(&server().fresh()).await;
    let store = PostgresStore::new(pool.clone());
    is_misconfigured(store.fetch_token(&key("a")).await, "call migrate()");
    is_misconfigured(store.changes(None).await.map(drop), "call migrate()");
    is_misconfigured(store.take("space", "id").await, "call migrate()");
    let write = write(&store, "a", &record(1)).await;
    is_misconfigured(write, "call migrate()");

    run(&pool, "CREATE TABLE tokenkeep_tokens (owner TEXT, client TEXT, slot TEXT, version BYTEA, body BYTEA)").await;
    is_misconfigured(
        store.migrate().await,
        "tokenkeep_tokens lacks generation, issuer",
    );
    is_misconfigured(store.fetch_token(&key("a")).await, "lacks a column");
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(tables, 1, "a migration that fails leaves nothing behind");

    let elsewhere = SqlOptions::new().schema("nowhere");
    let store = PostgresStore::with_options(pool, elsewhere).unwrap();
    is_misconfigured(store.fetch_token(&key("a")).await, "call migrate()");
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn tables_of_a_newer_major_version_are_refused() {
    let (store, url) = store().await;
    run(store.pool(), "UPDATE tokenkeep_schema SET major = 2").await;
    is_misconfigured(store.migrate().await, "schema version 2");
    is_misconfigured(PostgresStore::connect(&url).await, "schema version 2");
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn own_migrations_may_create_the_tables() {
    let url = server().fresh();
    let options = SqlOptions::new().schema("auth");
    let store = PostgresStore::with_options(pool(&url).await, options).unwrap();
    run(store.pool(), store.schema()).await;
    run(store.pool(), store.schema()).await;
    let read_only = format!("{url}?options=-c%20default_transaction_read_only%3Don");
    let options = SqlOptions::new().schema("auth");
    PostgresStore::connect_with(&read_only, options)
        .await
        .unwrap();
    insert(&store, "a").await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn the_rights_that_are_documented_are_enough_and_others_are_named() {
    let url = server().fresh();
    let admin = pool(&url).await;
    let theirs = user(&admin, &url, "app").await;
    let role = theirs
        .split_once("://")
        .unwrap()
        .1
        .split_once(':')
        .unwrap()
        .0;
    is_misconfigured(PostgresStore::connect(&theirs).await, "needs CREATE");

    PostgresStore::connect(&url).await.unwrap();
    let store = PostgresStore::new(pool(&theirs).await);
    is_misconfigured(store.fetch_token(&key("a")).await, "GRANT");
    let write = write(&store, "a", &record(1)).await;
    is_misconfigured(write, "GRANT");

    run(
        &admin,
        format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON tokenkeep_tokens, tokenkeep_once TO {role};
             GRANT SELECT ON tokenkeep_schema TO {role}"
        ),
    )
    .await;
    let store = PostgresStore::connect(&theirs).await.unwrap();
    let mut changes = store.changes(None).await.unwrap();
    let first = insert(&store, "a").await;
    let second = record(2);
    store
        .update_token(&key("a"), &second, Expected::Version(first.version))
        .await
        .unwrap();
    assert_eq!(generation(&next(&mut changes).await), Some(1));
    assert_eq!(generation(&next(&mut changes).await), Some(2));
    let hour = Duration::from_secs(3600);
    assert!(store.put_once("s", "i", b"v", hour).await.unwrap());
    assert!(store.take("s", "i").await.unwrap().is_some());
    let all = TokenQuery::default();
    assert_eq!(
        store
            .find_tokens(&all, Page::first(9))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    store
        .purge_tokens(Timestamp::from_millis(0), 9)
        .await
        .unwrap();

    // A schema that nobody may look into is no missing one.
    run(&admin, "CREATE SCHEMA closed").await;
    let closed = SqlOptions::new().schema("closed");
    is_misconfigured(
        PostgresStore::connect_with(&theirs, closed).await,
        "permission denied for schema closed",
    );
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn a_row_that_cannot_be_read_is_an_error_and_stays() {
    let (store, _) = store().await;
    let key = key("broken");
    insert(&store, "broken").await;
    for (damage, repair) in [
        ("UPDATE tokenkeep_tokens SET version = '\\x00'", ""),
        ("UPDATE tokenkeep_tokens SET generation = -1", ""),
        (
            "ALTER TABLE tokenkeep_tokens ALTER body DROP NOT NULL; UPDATE tokenkeep_tokens SET body = NULL",
            "",
        ),
        (
            "ALTER TABLE tokenkeep_tokens ALTER changed_at TYPE TEXT",
            "ALTER TABLE tokenkeep_tokens ALTER changed_at TYPE BIGINT USING 1",
        ),
    ] {
        run(store.pool(), "DELETE FROM tokenkeep_tokens").await;
        insert(&store, "broken").await;
        run(store.pool(), damage).await;
        // Statements that were prepared for another type of column are no longer valid.
        let store = PostgresStore::new(pool_like(&store).await);
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
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM tokenkeep_tokens")
            .fetch_one(store.pool())
            .await
            .unwrap();
        assert_eq!(rows, 1, "{damage}");
        run(store.pool(), repair).await;
    }
}

async fn pool_like(store: &PostgresStore) -> PgPool {
    let options = store.pool().connect_options();
    PgPoolOptions::new()
        .connect_with((*options).clone())
        .await
        .unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn what_the_database_cannot_keep_is_refused() {
    let (store, _) = store().await;
    let mut with_nul = record(1);
    with_nul.index.subject = Some("a\0b".to_owned());
    for refused in [record(1 << 63), with_nul] {
        let write = write(&store, "a", &refused).await;
        let error = write.unwrap_err();
        shown(&error);
        assert!(
            matches!(error, StoreError::InvalidInput { .. }),
            "{error:?}"
        );
    }
    let hour = Duration::from_secs(3600);
    let long: String = (0..40_000).map(|n| format!("{n:x}")).collect();
    let put = store.put_once("space", &long, b"value", hour).await;
    assert!(
        matches!(put, Err(StoreError::InvalidInput { .. })),
        "{put:?}"
    );
    // A provider's texts may be long.
    let mut long_texts = record(1);
    long_texts.index.subject = Some(long.clone());
    long_texts.index.sid = Some(long);
    store
        .update_token(&key("a"), &long_texts, Expected::Absent)
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn a_replica_is_read_and_refuses_writes() {
    let (store, url) = store().await;
    insert(&store, "a").await;
    let store = PostgresStore::connect(&format!(
        "{url}?options=-c%20default_transaction_read_only%3Don"
    ))
    .await
    .unwrap();
    assert!(store.fetch_token(&key("a")).await.unwrap().record.is_some());
    let write = write(&store, "b", &record(1)).await;
    is_misconfigured(write, "primary");
    is_misconfigured(store.take("space", "id").await, "primary");
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn what_cannot_be_connected_to_is_named_without_the_password() {
    let url = server().fresh();
    let admin = pool(&url).await;
    let theirs = user(&admin, &url, "nobody").await;
    for wrong in [
        "",
        "postgres",
        "mysql://a:hunter2@b/c",
        "postgres://a:hunter2@127.0.0.1:hunter2/c",
    ] {
        is_misconfigured(PostgresStore::connect(wrong).await, "postgres://user");
        let options = SqlOptions::new().listen_url(wrong);
        is_misconfigured(
            PostgresStore::with_options(admin.clone(), options),
            "postgres://user",
        );
    }
    let unknown = format!("{theirs}x");
    is_misconfigured(
        PostgresStore::connect(&unknown).await,
        "create the database",
    );
    let unknown = theirs.replace("nobody", "stranger");
    is_misconfigured(PostgresStore::connect(&unknown).await, "check the user");
    let secured = format!("{theirs}?sslmode=require");
    is_misconfigured(PostgresStore::connect(&secured).await, "secured");
    let started = std::time::Instant::now();
    let closed = "postgres://a:hunter2@127.0.0.1:9/c";
    is_unavailable(PostgresStore::connect(closed).await);
    assert!(started.elapsed() < Duration::from_secs(4), "and at once");
}

#[tokio::test]
async fn a_server_that_never_answers_is_unavailable_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://a:hunter2@127.0.0.1:{port}/c");
    let options = SqlOptions::new().timeout(Duration::from_millis(200));
    let started = std::time::Instant::now();
    is_unavailable(PostgresStore::connect_with(&url, options.clone()).await);
    let lazy = PgPoolOptions::new().connect_lazy(&url).unwrap();
    let store = PostgresStore::with_options(lazy, options).unwrap();
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
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn a_statement_that_hangs_frees_its_place_in_the_pool() {
    let (owner, url) = store().await;
    let first = insert(&owner, "a").await;
    let small = PgPoolOptions::new()
        .max_connections(1)
        .connect(&url)
        .await
        .unwrap();
    let options = SqlOptions::new().timeout(Duration::from_millis(300));
    let store = PostgresStore::with_options(small, options).unwrap();
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
#[ignore = "needs PostgreSQL; tests/run brings it"]
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
    let left: Vec<String> = sqlx::query_scalar("SELECT id FROM tokenkeep_once")
        .fetch_all(store.pool())
        .await
        .unwrap();
    assert_eq!(left, ["long"]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn the_time_is_the_servers_in_milliseconds() {
    let (store, _) = store().await;
    let found = store.fetch_token(&key("nobody")).await.unwrap();
    let apart = found.now.unwrap().as_millis() - SystemClock.now().as_millis();
    assert!(apart.abs() < 5_000, "{apart} ms apart on one machine");
}
