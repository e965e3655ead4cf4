//! What the change feed of MySQL and MariaDB tells: late, early, never doubled, and a gap where it cannot know.

use super::*;

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
