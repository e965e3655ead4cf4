use std::{path::PathBuf, sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};
use tempfile::TempDir;
use tokenkeep::{Clock, SqliteStore, Timestamp, sql::SqlOptions, store::*};
use tokio_stream::StreamExt;

use super::{Ahead, all_passed, conforms, generation, insert, is_misconfigured, key, next, record};
use crate::kind::Kind;

/// A folder with a database of its own.
struct Database(TempDir);

impl Database {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("tokens.db")
    }

    async fn connect(&self) -> SqliteStore {
        SqliteStore::connect(self.path().to_str().unwrap())
            .await
            .unwrap()
    }

    /// A pool as an application may have it, with nothing set.
    async fn pool(&self) -> SqlitePool {
        self.pool_with(|options| options.create_if_missing(true))
            .await
    }

    async fn pool_with(
        &self,
        set: impl FnOnce(SqliteConnectOptions) -> SqliteConnectOptions,
    ) -> SqlitePool {
        let options = set(SqliteConnectOptions::new().filename(self.path()));
        SqlitePoolOptions::new()
            .max_connections(2)
            .connect_with(options)
            .await
            .unwrap()
    }
}

async fn run(pool: &SqlitePool, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_with_two_pools_over_one_file() {
    let (database, clock) = (Database::new(), Arc::new(Ahead::default()));
    let options = SqlOptions::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let path = database.path();
    let connect = || SqliteStore::connect_with(path.to_str().unwrap(), options.clone());
    let (store, second) = (connect().await.unwrap(), connect().await.unwrap());
    assert!(all_passed(&conforms(clock, store, second).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_with_four_processes() {
    let test = "stores::sqlite::conforms_with_four_processes";
    super::conforms_with_four_processes(Kind::Sqlite, test, async |url| {
        SqliteStore::connect(&url).await.unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_in_an_applications_own_database() {
    let (database, clock) = (Database::new(), Arc::new(Ahead::default()));
    let options = SqlOptions::new()
        .prefix("Auth2")
        .poll_every(Duration::from_millis(10))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>);
    // A rollback journal, as is SQLite's default; without syncs, to save half a minute.
    let pool = database
        .pool_with(|options| {
            options
                .create_if_missing(true)
                .synchronous(SqliteSynchronous::Off)
        })
        .await;
    run(
        &pool,
        "CREATE TABLE _sqlx_migrations (version BIGINT); INSERT INTO _sqlx_migrations VALUES (7)",
    )
    .await;
    let store = SqliteStore::with_options(pool.clone(), options).unwrap();
    store.migrate().await.unwrap();
    assert!(all_passed(&conforms(clock, store.clone(), store).await));
    let theirs: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(theirs, [7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_create_the_tables_at_once() {
    let database = Database::new();
    let path = database.path().to_str().unwrap().to_owned();
    let openers: Vec<_> = (0..20)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { SqliteStore::connect(&path).await })
        })
        .collect();
    for (n, opener) in openers.into_iter().enumerate() {
        insert(&opener.await.unwrap().unwrap(), &n.to_string()).await;
    }

    let plain = Database::new();
    plain.pool().await.close().await;
    let mut callers = Vec::new();
    for _ in 0..20 {
        let store = SqliteStore::new(plain.pool().await);
        callers.push(tokio::spawn(async move { store.migrate().await }));
    }
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    insert(&SqliteStore::new(plain.pool().await), "a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_processes_lose_no_write_and_miss_no_change() {
    const EACH: u64 = 50;
    let database = Database::new();
    let listener = database.connect().await;
    let mut changes = listener.changes(None).await.unwrap();
    let first = insert(&listener, "shared").await;
    assert_eq!(first.generation, 1);
    let mut processes = Vec::new();
    for _ in 0..4 {
        let store = database.connect().await;
        processes.push(tokio::spawn(async move {
            for _ in 0..EACH {
                loop {
                    let found = store.fetch_token(&key("shared")).await.unwrap();
                    let found = found.record.unwrap();
                    let next = record(found.generation + 1);
                    let expected = Expected::Version(found.version);
                    match store.update_token(&key("shared"), &next, expected).await {
                        Ok(()) => break,
                        Err(StoreError::Conflict) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
        }));
    }
    for process in processes {
        process.await.unwrap();
    }
    for expected in 1..=4 * EACH + 1 {
        match changes.next().await {
            Some(Change::Written { generation, .. }) => assert_eq!(generation, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_missing_table_or_column_is_named() {
    let database = Database::new();
    let pool = database.pool().await;
    let store = SqliteStore::new(pool.clone());
    is_misconfigured(store.fetch_token(&key("a")).await, "call migrate()");
    is_misconfigured(store.changes(None).await.map(drop), "call migrate()");
    let write = store
        .update_token(&key("a"), &record(1), Expected::Absent)
        .await;
    is_misconfigured(write, "call migrate()");

    run(&pool, "CREATE TABLE tokenkeep_tokens (owner TEXT, client TEXT, slot TEXT, version BLOB, body BLOB)").await;
    is_misconfigured(
        store.migrate().await,
        "tokenkeep_tokens lacks generation, issuer",
    );
    is_misconfigured(store.fetch_token(&key("a")).await, "lacks a column");
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(tables, 1, "a migration that fails leaves nothing behind");
}

#[tokio::test]
async fn tables_of_a_newer_major_version_are_refused() {
    let database = Database::new();
    let store = database.connect().await;
    run(store.pool(), "UPDATE tokenkeep_schema SET major = 2").await;
    is_misconfigured(store.migrate().await, "schema version 2");
}

#[tokio::test]
async fn own_migrations_may_create_the_tables() {
    let database = Database::new();
    let pool = database.pool().await;
    let store = SqliteStore::new(pool.clone());
    run(&pool, store.schema()).await;
    run(&pool, "PRAGMA query_only = ON").await;
    store.migrate().await.unwrap();
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_an_error_and_stays() {
    let database = Database::new();
    let store = database.connect().await;
    let key = key("broken");
    for damage in [
        "version = x'00'",
        "version = 'a text of sixteen'",
        "generation = -1",
        "generation = 'many'",
        "changed_at = 'yesterday'",
        "subject = x'ff'",
        "body = 7",
    ] {
        run(store.pool(), "DELETE FROM tokenkeep_tokens").await;
        insert(&store, "broken").await;
        run(
            store.pool(),
            format!("UPDATE tokenkeep_tokens SET {damage}"),
        )
        .await;
        let read = store.fetch_token(&key).await;
        assert!(
            matches!(read, Err(StoreError::InvalidRow { .. })),
            "{damage}: {read:?}"
        );
        let found = store
            .find_tokens(&TokenQuery::default(), Page::first(1))
            .await;
        assert!(
            matches!(found, Err(StoreError::InvalidRow { .. })),
            "{damage}: {found:?}"
        );
        let write = store.update_token(&key, &record(2), Expected::Absent).await;
        assert!(matches!(write, Err(StoreError::Conflict)), "{write:?}");
    }
}

#[tokio::test]
async fn a_read_only_database_is_read_and_refuses_writes() {
    let database = Database::new();
    let written = insert(&database.connect().await, "a").await;
    let store = SqliteStore::new(database.pool_with(|options| options.read_only(true)).await);
    store.migrate().await.unwrap();
    let found = store.fetch_token(&key("a")).await.unwrap();
    assert_eq!(found.record, Some(written));
    let write = store
        .update_token(&key("b"), &record(1), Expected::Absent)
        .await;
    is_misconfigured(write, "read-only");
    is_misconfigured(store.take("space", "id").await, "read-only");
}

#[tokio::test]
async fn what_cannot_be_opened_is_misconfigured() {
    let database = Database::new();
    is_misconfigured(SqliteStore::connect(":memory:").await, "in memory");
    is_misconfigured(SqliteStore::connect("sqlite::memory:").await, "in memory");
    let nowhere = database.0.path().join("no/such/folder.db");
    is_misconfigured(
        SqliteStore::connect(nowhere.to_str().unwrap()).await,
        "cannot be created",
    );
    std::fs::write(
        database.path(),
        "this is a letter to my aunt, and no database at all",
    )
    .unwrap();
    let path = database.path();
    is_misconfigured(
        SqliteStore::connect(path.to_str().unwrap()).await,
        "no SQLite database",
    );
    let options = SqlOptions::new().prefix("a\"; DROP TABLE users; --");
    let pool = Database::new().pool().await;
    is_misconfigured(SqliteStore::with_options(pool.clone(), options), "prefix");
    for options in [
        SqlOptions::new().schema("auth"),
        SqlOptions::new().listen_url("postgres://db"),
    ] {
        is_misconfigured(SqliteStore::with_options(pool.clone(), options), "leave");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_private() {
    use std::os::unix::fs::PermissionsExt;

    let database = Database::new();
    let store = database.connect().await;
    insert(&store, "a").await;
    let mut files = 0;
    for file in std::fs::read_dir(database.0.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
        files += 1;
    }
    assert!(files >= 2, "the database and its log");
}

#[tokio::test]
async fn connect_survives_a_power_cut() {
    let database = Database::new();
    let store = database.connect().await;
    for (pragma, expected) in [("journal_mode", "wal"), ("synchronous", "2")] {
        let sql = AssertSqlSafe(format!(
            "SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}"
        ));
        let set: String = sqlx::query_scalar(sql)
            .fetch_one(store.pool())
            .await
            .unwrap();
        assert_eq!(set, expected, "{pragma}");
    }
}

#[tokio::test]
async fn a_busy_database_is_unavailable_and_works_again() {
    let database = Database::new();
    database.connect().await;
    let pool = database
        .pool_with(|options| options.busy_timeout(Duration::from_millis(50)))
        .await;
    let store = SqliteStore::new(pool);
    let other = database.pool().await;
    let transaction = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let write = store
        .update_token(&key("a"), &record(1), Expected::Absent)
        .await;
    assert!(
        matches!(write, Err(StoreError::Unavailable { .. })),
        "{write:?}"
    );
    transaction.rollback().await.unwrap();
    insert(&store, "a").await;
}

#[tokio::test]
async fn a_generation_without_a_column_is_refused() {
    let database = Database::new();
    let store = database.connect().await;
    let record = record(1 << 63);
    let write = store
        .update_token(&key("a"), &record, Expected::Absent)
        .await;
    assert!(
        matches!(write, Err(StoreError::InvalidInput { .. })),
        "{write:?}"
    );
}

#[tokio::test]
async fn writes_of_other_programs_are_in_the_feed() {
    let database = Database::new();
    let store = database.connect().await;
    insert(&store, "a").await;
    let mut changes = store.changes(None).await.unwrap();
    run(
        store.pool(),
        "UPDATE tokenkeep_tokens SET generation = 5, version = randomblob(16)",
    )
    .await;
    assert_eq!(generation(&next(&mut changes).await), Some(5));
}

#[tokio::test]
async fn what_was_trimmed_or_put_back_is_a_gap() {
    let database = Database::new();
    let store = database.connect().await;
    let mut changes = store.changes(None).await.unwrap();
    let first = insert(&store, "a").await;
    let Change::Written { cursor, .. } = next(&mut changes).await else {
        panic!("a gap");
    };
    drop(changes);

    run(
        store.pool(),
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 17000) \
         INSERT INTO tokenkeep_changes (owner, client, slot, version, generation, written_at) \
         SELECT 'a', 'client', '', randomblob(16), n, unixepoch() FROM n",
    )
    .await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM tokenkeep_changes")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert!((16_000..16_300).contains(&kept), "{kept} changes are kept");
    let mut changes = store.changes(Some(cursor)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Gap);
    while generation(&next(&mut changes).await) != Some(17_000) {}

    // An older state of the database is put back under the feed.
    run(
        store.pool(),
        "DELETE FROM tokenkeep_changes WHERE seq > 16990",
    )
    .await;
    assert_eq!(next(&mut changes).await, Change::Gap);
    store
        .update_token(&key("a"), &record(2), Expected::Version(first.version))
        .await
        .unwrap();
    assert_eq!(generation(&next(&mut changes).await), Some(2));
}

#[tokio::test]
async fn a_feed_that_cannot_be_read_is_a_gap_and_recovers() {
    let database = Database::new();
    let options = SqlOptions::new().poll_every(Duration::from_millis(5));
    let path = database.path();
    let store = SqliteStore::connect_with(path.to_str().unwrap(), options)
        .await
        .unwrap();
    let mut changes = store.changes(None).await.unwrap();
    run(
        store.pool(),
        "ALTER TABLE tokenkeep_changes RENAME TO elsewhere",
    )
    .await;
    assert_eq!(next(&mut changes).await, Change::Gap);
    run(
        store.pool(),
        "ALTER TABLE elsewhere RENAME TO tokenkeep_changes",
    )
    .await;
    insert(&store, "a").await;
    let mut change = next(&mut changes).await;
    while change == Change::Gap {
        change = next(&mut changes).await;
    }
    assert_eq!(generation(&change), Some(1));
}

#[tokio::test]
async fn purge_also_removes_what_expired() {
    let (database, clock) = (Database::new(), Arc::new(Ahead::default()));
    let options = SqlOptions::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let path = database.path();
    let store = SqliteStore::connect_with(path.to_str().unwrap(), options)
        .await
        .unwrap();
    let ttl = Duration::from_secs(60);
    for id in ["short", "long"] {
        let ttl = if id == "long" { 3 * ttl } else { ttl };
        assert!(store.put_once("space", id, b"value", ttl).await.unwrap());
    }
    for owner in ["a", "b"] {
        insert(&store, owner).await;
    }
    run(store.pool(), "UPDATE tokenkeep_changes SET written_at = 0").await;
    clock
        .0
        .fetch_add(90_000, std::sync::atomic::Ordering::SeqCst);
    let before = Timestamp::from_millis(0);
    assert_eq!(store.purge_tokens(before, 100).await.unwrap(), 0);
    for (count, table) in [(2, "tokens"), (1, "once"), (1, "changes")] {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM tokenkeep_{table}"));
        let rows: i64 = sqlx::query_scalar(sql)
            .fetch_one(store.pool())
            .await
            .unwrap();
        assert_eq!(rows, count, "{table}");
    }
}
