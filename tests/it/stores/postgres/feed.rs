//! The change feed.

use super::*;

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn writes_of_other_programs_are_in_the_feed() {
    let (store, _) = store().await;
    insert(&store, "a").await;
    let mut changes = store.changes(None).await.unwrap();
    run(
        store.pool(),
        "UPDATE tokenkeep_tokens SET generation = 5, version = '\\x000102030405060708090a0b0c0d0e0f'",
    )
    .await;
    let Change::Written {
        key: of,
        generation,
        version,
        ..
    } = next(&mut changes).await
    else {
        panic!("a gap");
    };
    assert_eq!((of, generation), (key("a"), 5));
    assert_eq!(version.as_bytes()[15], 15);
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn a_write_that_is_rolled_back_is_not_in_the_feed_and_another_table_is_neither() {
    let (store, _) = store().await;
    let other = SqlOptions::new().schema("other");
    let other = PostgresStore::with_options(store.pool().clone(), other).unwrap();
    other.migrate().await.unwrap();
    insert(&store, "a").await;
    let mut changes = store.changes(None).await.unwrap();
    insert(&other, "b").await;
    let mut transaction = store.pool().begin().await.unwrap();
    sqlx::query("UPDATE tokenkeep_tokens SET generation = 9")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    insert(&store, "c").await;
    match next(&mut changes).await {
        Change::Written { key: of, .. } => assert_eq!(of, key("c")),
        gap => panic!("{gap:?}"),
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
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
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn a_cursor_begins_with_a_gap() {
    let (store, _) = store().await;
    let since = Some(Cursor("anything".to_owned()));
    let mut changes = store.changes(since).await.unwrap();
    insert(&store, "a").await;
    assert_eq!(next(&mut changes).await, Change::Gap);
    assert_eq!(generation(&next(&mut changes).await), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn a_listener_that_is_cut_off_yields_a_gap_and_goes_on() {
    let (store, _) = store().await;
    let mut changes = store.changes(None).await.unwrap();
    insert(&store, "a").await;
    assert_eq!(written(&mut changes).await, (1, false));
    for n in 0..3 {
        run(
            store.pool(),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')",
        )
        .await;
        assert_eq!(next(&mut changes).await, Change::Gap);
        let mut last = false;
        for attempt in 0.. {
            insert(&store, &format!("{n}/{attempt}")).await;
            let heard = tokio::time::timeout(Duration::from_millis(500), changes.next());
            if let Ok(Some(Change::Written { .. })) = heard.await {
                last = true;
                break;
            }
        }
        assert!(last);
        while tokio::time::timeout(Duration::from_millis(50), changes.next())
            .await
            .is_ok()
        {}
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn a_server_that_crashes_and_comes_back_is_a_gap() {
    let server = Server::start(Kind::Postgres);
    let url = server.fresh();
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut changes = store.changes(None).await.unwrap();
    let first = insert(&store, "a").await;
    assert_eq!(written(&mut changes).await, (1, false));
    server.kill();
    assert_eq!(next(&mut changes).await, Change::Gap);
    is_unavailable(store.fetch_token(&key("a")).await);
    server.resume();
    let found = loop {
        match store.fetch_token(&key("a")).await {
            Ok(found) => break found.record,
            Err(error) => assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}"),
        }
    };
    assert_eq!(found, Some(first));
    // From the last gap on the feed hears again.
    let heard = tokio::spawn(async move { written(&mut changes).await });
    while !heard.is_finished() {
        insert(&store, &Version::random().to_string()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(heard.await.unwrap().1, "the time without a server is a gap");
}

/// Passes bytes on until it is told to keep silent, as a network does that drops packets.
async fn proxy(port: u16) -> (u16, tokio::sync::watch::Sender<bool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().port();
    let (silence, silent) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            let mut silent = silent.clone();
            // Whoever connects in the silence is heard by nobody, and whoever was cut off stays it.
            tokio::spawn(async move {
                drop(silent.wait_for(|silent| !silent).await.ok()?);
                let mut there = tokio::net::TcpStream::connect(("127.0.0.1", port))
                    .await
                    .ok()?;
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
                    () = async { drop(silent.wait_for(|silent| *silent).await) } => std::future::pending().await,
                }
                Some(())
            });
        }
    });
    (at, silence)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn a_listener_whose_network_falls_silent_yields_a_gap_and_goes_on() {
    let (_, url) = store().await;
    let (port, silence) = proxy(server().port()).await;
    let options = SqlOptions::new().listen_url(server().through(&url, port));
    let store = PostgresStore::with_options(pool(&url).await, options).unwrap();
    let mut changes = store.changes(None).await.unwrap();
    insert(&store, "a").await;
    assert_eq!(written(&mut changes).await, (1, false));
    silence.send(true).unwrap();
    assert_eq!(next(&mut changes).await, Change::Gap);
    silence.send(false).unwrap();
    let heard = tokio::spawn(async move { written(&mut changes).await });
    while !heard.is_finished() {
        insert(&store, &Version::random().to_string()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(heard.await.unwrap().1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn a_feed_that_would_hear_nothing_is_refused() {
    let ((_, url), (_, elsewhere)) = (store().await, store().await);
    let options = SqlOptions::new()
        .timeout(Duration::from_secs(1))
        .listen_url(elsewhere);
    let store = PostgresStore::with_options(pool(&url).await, options).unwrap();
    is_misconfigured(store.changes(None).await.map(drop), "listen_url");
}

#[tokio::test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn the_feed_takes_no_connection_of_the_pool() {
    let (_, url) = store().await;
    let small = PgPoolOptions::new()
        .max_connections(1)
        .connect(&url)
        .await
        .unwrap();
    let store = PostgresStore::new(small);
    let mut changes = store.changes(None).await.unwrap();
    insert(&store, "a").await;
    assert_eq!(written(&mut changes).await, (1, false));
}
