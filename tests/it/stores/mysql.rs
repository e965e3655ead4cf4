use std::{future::Future, time::Duration};

use sqlx::{AssertSqlSafe, MySqlPool, mysql::MySqlPoolOptions};
use tokenkeep::{Clock, MysqlStore, SystemClock, Timestamp, TokenKey, sql::SqlOptions, store::*};
use tokenkeep_parts::{Kind, Server};
use tokio_stream::StreamExt;

use super::conforms_on_a_server;

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

fn key(owner: &str) -> TokenKey {
    TokenKey::new("client", owner).unwrap()
}

fn record(generation: u64) -> StoredRecord {
    let body = b"a body that nobody may see".to_vec();
    StoredRecord::new(Version::random(), generation, Index::default(), body)
}

async fn insert(store: &MysqlStore, owner: &str) -> StoredRecord {
    let record = record(1);
    write(store, owner, &record).await.unwrap();
    record
}

async fn write(store: &MysqlStore, owner: &str, record: &StoredRecord) -> Result<(), StoreError> {
    let key = key(owner);
    store.update_token(&key, record, Expected::Absent).await
}

fn shown(error: &StoreError) -> String {
    let shown = format!("{error:?} {error}");
    assert!(!shown.contains("nobody may see"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    shown
}

fn is_misconfigured<T: std::fmt::Debug>(answer: Result<T, StoreError>, reason: &str) {
    let error = answer.unwrap_err();
    shown(&error);
    assert!(
        matches!(error, StoreError::Misconfigured { .. }) && error.to_string().contains(reason),
        "{error:?}"
    );
}

fn is_unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    let error = answer.unwrap_err();
    shown(&error);
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

async fn next(changes: &mut Changes) -> Change {
    let next = tokio::time::timeout(Duration::from_secs(20), changes.next()).await;
    next.expect("a change in time").expect("an open feed")
}

fn generation(change: &Change) -> Option<u64> {
    match change {
        Change::Written { generation, .. } => Some(*generation),
        _ => None,
    }
}

/// The next change that is no gap, and whether there were gaps before it.
async fn written(changes: &mut Changes) -> (u64, bool) {
    let mut gap = false;
    loop {
        match generation(&next(changes).await) {
            Some(generation) => return (generation, gap),
            None => gap = true,
        }
    }
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

async fn all<F>(callers: impl Iterator<Item = F>)
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    let callers: Vec<_> = callers.map(tokio::spawn).collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
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
async fn a_cursor_gives_what_came_after_it_however_long_ago() {
    let (store, _) = store().await;
    let mut changes = store.changes(None).await.unwrap();
    let first = insert(&store, "a").await;
    let Change::Written { cursor, .. } = next(&mut changes).await else {
        panic!("a gap");
    };
    drop(changes);
    let (key, second) = (key("a"), record(2));
    let expected = Expected::Version(first.version);
    store.update_token(&key, &second, expected).await.unwrap();
    // As if an hour had passed.
    run(
        store.pool(),
        "UPDATE tokenkeep_tokens SET written_at = written_at - 3600000000",
    )
    .await;
    let (at, version) = cursor.0.split_once('-').unwrap();
    let at: i64 = at.parse().unwrap();
    let cursor = Cursor(format!("{}-{version}", at - 3_600_000_000));
    let mut changes = store.changes(Some(cursor)).await.unwrap();
    assert_eq!(written(&mut changes).await, (2, false));
    for foreign in ["", "7", "-7", "x-y"] {
        let since = Some(Cursor(foreign.to_owned()));
        let mut changes = store.changes(since).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Gap, "{foreign}");
    }
}

/// A feed over one connection, whose clock the test sets, and a writer with a clock of its own.
struct Clocks {
    feed: MysqlStore,
    writer: MySqlPool,
    /// In seconds.
    began: i64,
}

impl Clocks {
    async fn new() -> Self {
        let (_, url) = store().await;
        let single = || MySqlPoolOptions::new().max_connections(1);
        let pool = single().connect(&url).await.unwrap();
        let options = SqlOptions::new().poll_every(Duration::from_millis(5));
        let clocks = Self {
            feed: MysqlStore::with_options(pool, options).unwrap(),
            writer: single().connect(&url).await.unwrap(),
            began: SystemClock.now().as_millis() / 1000,
        };
        set(clocks.feed.pool(), clocks.began).await;
        set(&clocks.writer, clocks.began).await;
        clocks
    }

    /// Moves the feed's clock, and waits until it looked.
    async fn look_at(&self, seconds: i64) {
        set(self.feed.pool(), self.began + seconds).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn set(pool: &MySqlPool, seconds: i64) {
    run(pool, format!("SET timestamp = {seconds}")).await;
}

async fn silent(changes: &mut Changes) {
    let heard = tokio::time::timeout(Duration::from_millis(100), changes.next()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_write_that_commits_late_is_in_the_feed_and_one_that_is_rolled_back_holds_nothing_up() {
    let clocks = Clocks::new().await;
    insert(&clocks.feed, "late").await;
    insert(&clocks.feed, "in time").await;
    let mut changes = clocks.feed.changes(None).await.unwrap();
    silent(&mut changes).await;
    let stamp = "written_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";
    let mut late = clocks.writer.begin().await.unwrap();
    let update =
        format!("UPDATE tokenkeep_tokens SET generation = 2, {stamp} WHERE owner = 'late'");
    sqlx::raw_sql(AssertSqlSafe(update))
        .execute(&mut *late)
        .await
        .unwrap();

    // Others write, and one of them gives up, while the feed moves on for as long as a write may take.
    for second in [1, 8, 15, 22, 29] {
        clocks.look_at(second).await;
        let key = key("in time");
        let found = clocks.feed.fetch_token(&key).await.unwrap().record.unwrap();
        let next = record(u64::try_from(second).unwrap() + 1);
        let expected = Expected::Version(found.version);
        clocks
            .feed
            .update_token(&key, &next, expected)
            .await
            .unwrap();
        assert_eq!(written(&mut changes).await, (next.generation, false));
    }
    late.commit().await.unwrap();
    clocks.look_at(32).await;
    clocks.look_at(43).await;
    assert_eq!(written(&mut changes).await, (2, false));
    for second in [50, 65, 80, 200] {
        clocks.look_at(second).await;
    }
    silent(&mut changes).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_write_that_was_under_way_when_the_feed_was_opened_is_in_it() {
    let clocks = Clocks::new().await;
    insert(&clocks.feed, "a").await;
    let mut late = clocks.writer.begin().await.unwrap();
    let update = "UPDATE tokenkeep_tokens SET generation = 2, written_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";
    sqlx::raw_sql(update).execute(&mut *late).await.unwrap();
    set(clocks.feed.pool(), clocks.began + 20).await;
    let mut changes = clocks.feed.changes(None).await.unwrap();
    late.commit().await.unwrap();
    clocks.look_at(31).await;
    assert_eq!(written(&mut changes).await, (2, false));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_clock_that_is_put_back_is_a_gap_and_hides_nothing() {
    let clocks = Clocks::new().await;
    let mut changes = clocks.feed.changes(None).await.unwrap();
    insert(&clocks.feed, "a").await;
    assert_eq!(written(&mut changes).await, (1, false));
    clocks.look_at(-3600).await;
    assert_eq!(next(&mut changes).await, Change::Gap);
    let second = record(2);
    write(&clocks.feed, "b", &second).await.unwrap();
    assert_eq!(written(&mut changes).await, (2, false));
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_lease_is_no_news() {
    let (store, _) = store().await;
    let first = insert(&store, "a").await;
    let mut changes = store.changes(None).await.unwrap();
    let (key, mut lease) = (key("a"), record(1));
    lease.announce = false;
    let expected = Expected::Version(first.version);
    store.update_token(&key, &lease, expected).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_millis(500), changes.next()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_row_that_cannot_be_read_is_a_gap_and_hides_no_other() {
    let (store, _) = store().await;
    let mut changes = store.changes(None).await.unwrap();
    run(
        store.pool(),
        "INSERT INTO tokenkeep_tokens (owner, client, slot, version, generation, changed_at, body, written_at)
         VALUES ('b', 'client', '', 'short', 1, 0, '', TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)))",
    )
    .await;
    assert_eq!(next(&mut changes).await, Change::Gap);
    insert(&store, "a").await;
    written(&mut changes).await;
    drop(changes);
    // Also where the feed begins.
    let mut changes = store.changes(None).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Gap);
}

#[tokio::test]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_crowd_of_changes_comes_whole_or_as_a_gap() {
    let (store, _) = store().await;
    let mut changes = store.changes(None).await.unwrap();
    // More than a page, at one and the same time, and then more than a look may hold.
    for (last, at) in [(400, "7"), (1200, "seq"), (2500, "7"), (40_000, "seq")] {
        run(
            store.pool(),
            format!(
                "INSERT INTO tokenkeep_tokens (owner, client, slot, version, generation, changed_at, body, written_at)
                 SELECT seq, 'client {last}', '', UNHEX(MD5(seq)), seq, 0, '',
                 TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + {at} FROM seq_1_to_{last}"
            ),
        )
        .await;
        let mut seen = std::collections::HashSet::new();
        while seen.len() < last {
            match next(&mut changes).await {
                Change::Written { generation, .. } => {
                    seen.insert(generation);
                }
                _ => break,
            }
        }
        let whole = seen.len() == last;
        assert_eq!(whole, last < 2500, "{last}: {}", seen.len());
        run(store.pool(), "DELETE FROM tokenkeep_tokens").await;
        while tokio::time::timeout(Duration::from_millis(300), changes.next())
            .await
            .is_ok()
        {}
    }
    insert(&store, "a").await;
    assert_eq!(written(&mut changes).await, (1, false));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_server_that_crashes_and_comes_back_is_a_gap() {
    let server = Server::start(Kind::MariaDb);
    let url = server.fresh();
    let store = MysqlStore::connect(&url).await.unwrap();
    let mut changes = store.changes(None).await.unwrap();
    insert(&store, "a").await;
    assert_eq!(written(&mut changes).await, (1, false));
    server.kill();
    assert_eq!(next(&mut changes).await, Change::Gap);
    is_unavailable(store.fetch_token(&key("a")).await);
    server.resume();
    while let Err(error) = store.fetch_token(&key("a")).await {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    // What was committed is not lost on the feed, and needs no other gap.
    insert(&store, "b").await;
    written(&mut changes).await;
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn a_feed_that_looks_too_late_for_a_row_that_was_purged_has_a_gap() {
    let (store, url) = store().await;
    let slow = SqlOptions::new().poll_every(Duration::from_millis(500));
    let slow = MysqlStore::with_options(pool(&url).await, slow).unwrap();
    let mut changes = slow.changes(None).await.unwrap();
    for owner in ["a", "b"] {
        let first = insert(&store, owner).await;
        assert_eq!(generation(&next(&mut changes).await), Some(1));
        // Between two looks it ends and is gone.
        let mut last = record(2);
        last.index.purge_at = Some(Timestamp::from_millis(0));
        let expected = Expected::Version(first.version);
        let key = key(owner);
        store.update_token(&key, &last, expected).await.unwrap();
        let due = Timestamp::from_millis(1);
        assert_eq!(store.purge_tokens(due, 10).await.unwrap(), 1);
        // The mark can be seen before the row is gone: then it is both.
        let mut heard = next(&mut changes).await;
        if generation(&heard) == Some(2) {
            heard = next(&mut changes).await;
        }
        assert!(matches!(heard, Change::Gap), "{heard:?}");
    }
}
