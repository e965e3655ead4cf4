//! Rows, and the index beside them.

use tokenkeep::{Timestamp, store::*};
use tokenkeep_parts::Server;

use super::*;

const REPAIR: &str = include_str!("../../../../stores/redis/src/scripts/repair.lua");

/// A record with everything that can be searched for.
fn indexed(subject: &str, sid: &str) -> StoredRecord {
    let mut record = record(1);
    record.index.issuer = Some("https://issuer.example".to_owned());
    record.index.subject = Some(subject.to_owned());
    record.index.sid = Some(sid.to_owned());
    record
}

fn by_sid(sid: &str) -> TokenQuery {
    let mut query = TokenQuery::default();
    query.sid = Some(sid.to_owned());
    query
}

async fn owners(store: &RedisStore, query: &TokenQuery) -> Vec<String> {
    let (mut owners, mut page) = (Vec::new(), Page::first(7));
    loop {
        let answer = store.find_tokens(query, page).await.unwrap();
        let found = answer.items.iter();
        owners.extend(found.map(|found| found.key.owner_column().to_owned()));
        match answer.next {
            Some(next) => page = Page::after(next, 7),
            None => return owners,
        }
    }
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_row_that_cannot_be_read_is_an_error_and_stays() {
    let database = Database::new();
    let (store, mut raw) = (database.connect().await, database.raw().await);
    let hash = "tokenkeep:{00}:token:broken\nclient\n";
    let damages: &[(&str, &[u8])] = &[
        ("version", b"short"),
        ("version", b""),
        ("generation", b"-1"),
        ("generation", b"many"),
        ("generation", b"18446744073709551616"),
        ("issuer", b"\xff"),
        ("subject", b"\xff"),
        ("sid", b"\xff"),
        ("access_expires_at", b"soon"),
        ("grant_expires_at", b"1.5"),
        ("changed_at", b"yesterday"),
        ("purge_at", b"nan"),
        ("purge_at", b"0x10"),
        ("purge_at", b""),
    ];
    for (field, damage) in damages {
        raw.run("FLUSHDB").await;
        insert(&store, "broken").await;
        assert_eq!(raw.hashes().await, [hash]);
        raw.words(&[b"HSET", hash.as_bytes(), field.as_bytes(), damage])
            .await;
        raw.words(&["ZADD", "tokenkeep:{00}:due", "1", "broken\nclient\n"])
            .await;
        stays(&store, &mut raw, hash, field).await;
    }
    for field in ["version", "generation", "changed_at", "body"] {
        raw.run("FLUSHDB").await;
        insert(&store, "broken").await;
        raw.words(&["HDEL", hash, field]).await;
        stays(&store, &mut raw, hash, &format!("lacks the field {field}")).await;
    }
    raw.run("FLUSHDB").await;
    insert(&store, "broken").await;
    raw.words(&["DEL", hash]).await;
    raw.words(&["SET", hash, "a text"]).await;
    stays(&store, &mut raw, hash, "another type").await;
    raw.words(&["DEL", hash]).await;
    raw.words(&["HSET", hash, "something", "else"]).await;
    stays(&store, &mut raw, hash, "lacks the field").await;
}

/// Nothing reads it, writes it or removes it.
async fn stays(store: &RedisStore, raw: &mut Raw, hash: &str, reason: &str) {
    let dump = async |raw: &mut Raw| raw.words(&["DUMP", hash]).await;
    let before = dump(raw).await;
    let read = store.fetch_token(&key("broken")).await;
    let Err(StoreError::InvalidRow { reason: given }) = &read else {
        panic!("{reason}: {read:?}");
    };
    assert!(given.contains(reason), "{reason}: {given}");
    let found = store
        .find_tokens(&TokenQuery::default(), Page::first(1))
        .await;
    assert!(
        matches!(found, Err(StoreError::InvalidRow { .. })),
        "{reason}: {found:?}"
    );
    let write = store
        .update_token(&key("broken"), &record(2), Expected::Absent)
        .await;
    assert!(
        matches!(
            write,
            Err(StoreError::Conflict | StoreError::InvalidRow { .. })
        ),
        "{reason}: {write:?}"
    );
    let purged = store
        .purge_tokens(Timestamp::from_millis(i64::MAX), 10)
        .await;
    assert_eq!(purged.unwrap(), 0, "{reason}");
    assert_eq!(dump(raw).await, before, "{reason}");
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn fields_of_later_versions_are_passed_over() {
    let database = Database::new();
    let (store, mut raw) = (database.connect().await, database.raw().await);
    let written = insert(&store, "a").await;
    let hash = raw.hashes().await.remove(0);
    raw.words(&["HSET", &*hash, "later", "known"]).await;
    let found = store.fetch_token(&key("a")).await.unwrap();
    assert_eq!(found.record, Some(written));
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn the_longest_keys_are_kept_found_and_purged() {
    let database = Database::new();
    let (store, mut raw) = (database.connect().await, database.raw().await);
    // 255 bytes in 85 characters of three.
    let long = "鍵".repeat(85);
    let longest = TokenKey::new(&long, &long).unwrap().session(&long).unwrap();
    let mut wanted = indexed(&"件".repeat(3000), "a\nb\\n\\\n");
    wanted.index.purge_at = Some(Timestamp::from_millis(5));
    store
        .update_token(&longest, &wanted, Expected::Absent)
        .await
        .unwrap();
    let mut queries = vec![
        TokenQuery::default(),
        TokenQuery::owner(&*long),
        by_sid("a\nb\\n\\\n"),
    ];
    queries.push(TokenQuery::default());
    queries[3].client = Some(long.clone());
    queries.push(TokenQuery::default());
    queries[4].subject = wanted.index.subject.clone();
    for query in &queries {
        let found = store.find_tokens(query, Page::first(1)).await.unwrap();
        assert_eq!(found.items.len(), 1, "{query:?}");
        assert_eq!(found.items[0].key, longest);
        assert_eq!(found.items[0].record, wanted);
    }
    for sid in ["a", "a\nb", "a\\nb\\\\n\\\\\\n", "b\\n\\\n"] {
        assert_eq!(owners(&store, &by_sid(sid)).await, [""; 0], "{sid:?}");
    }
    let purged = store.purge_tokens(Timestamp::from_millis(6), 10).await;
    assert_eq!(purged.unwrap(), 1);
    assert_eq!(
        raw.keys().await,
        ["tokenkeep:layout"],
        "nothing is left behind"
    );
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_write_takes_its_old_entries_back() {
    let database = Database::new();
    let (store, mut raw) = (database.connect().await, database.raw().await);
    let mut last = indexed("subject", "sid 0");
    store
        .update_token(&key("a"), &last, Expected::Absent)
        .await
        .unwrap();
    for n in 1..20 {
        let next = indexed("subject", &format!("sid {n}"));
        let expected = Expected::Version(last.version);
        store
            .update_token(&key("a"), &next, expected)
            .await
            .unwrap();
        last = next;
    }
    assert_eq!(raw.entries().await, 4);
    assert_eq!(owners(&store, &by_sid("sid 0")).await, [""; 0]);
    assert_eq!(owners(&store, &by_sid("sid 19")).await, ["a"]);
    // A write that is refused leaves no entry either.
    let refused = indexed("other", "other");
    let write = store
        .update_token(&key("a"), &refused, Expected::Absent)
        .await;
    assert!(matches!(write, Err(StoreError::Conflict)), "{write:?}");
    assert_eq!(raw.entries().await, 4);
    let bare = record(9);
    store
        .update_token(&key("a"), &bare, Expected::Version(last.version))
        .await
        .unwrap();
    assert_eq!(raw.entries().await, 2);
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn entries_of_records_that_others_deleted_go_when_they_are_come_across() {
    let database = Database::new();
    let (store, mut raw) = (database.connect().await, database.raw().await);
    for n in 0..300 {
        let mut record = indexed("subject", "sid");
        record.index.purge_at = Some(Timestamp::from_millis(5));
        store
            .update_token(&key(&format!("{n:03}")), &record, Expected::Absent)
            .await
            .unwrap();
    }
    let hashes = raw.hashes().await;
    assert_eq!((hashes.len(), raw.entries().await), (300, 1200));
    for hash in &hashes[..298] {
        raw.words(&["DEL", hash]).await;
    }
    let left = owners(&store, &TokenQuery::default()).await;
    assert_eq!(left.len(), 2);
    assert_eq!(raw.entries().await, 902);
    let mut by_client = TokenQuery::default();
    by_client.client = Some("client".to_owned());
    let mut by_subject = TokenQuery::default();
    by_subject.subject = Some("subject".to_owned());
    for query in [by_client, by_subject, by_sid("sid")] {
        assert_eq!(owners(&store, &query).await, left);
    }
    assert_eq!(raw.entries().await, 8);
    let purged = store.purge_tokens(Timestamp::from_millis(6), 1000).await;
    assert_eq!(purged.unwrap(), 2);
    assert_eq!(raw.keys().await, ["tokenkeep:layout"]);
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn what_is_no_entry_is_removed_and_hides_nothing() {
    let database = Database::new();
    let (store, mut raw) = (database.connect().await, database.raw().await);
    insert(&store, "z").await;
    let mut client = TokenQuery::default();
    client.client = Some("client".to_owned());
    for shard in 0..16 {
        let index = format!("tokenkeep:{{{shard:02}}}:index");
        let due = format!("tokenkeep:{{{shard:02}}}:due");
        for n in 0..250 {
            let strange: [&[u8]; 4] = [b"k", b"k\xff", b"cclient\n", b"cclient\na\nno slot"];
            let mut entry = strange[n % 4].to_vec();
            entry.extend_from_slice(n.to_string().as_bytes());
            raw.words(&[b"ZADD", index.as_bytes(), b"0", &entry]).await;
            raw.words(&[b"ZADD", due.as_bytes(), b"1", &entry]).await;
        }
    }
    for query in [TokenQuery::default(), TokenQuery::owner("z"), client] {
        assert_eq!(owners(&store, &query).await, ["z"], "{query:?}");
    }
    assert_eq!(raw.entries().await, 2);
    let purged = store.purge_tokens(Timestamp::from_millis(2), 1000).await;
    assert_eq!(purged.unwrap(), 0);
    assert_eq!(raw.keys().await.len(), 3, "record, index, layout");
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn an_entry_is_not_removed_if_its_record_came_back_in_the_meantime() {
    let database = Database::new();
    let (store, mut raw) = (database.connect().await, database.raw().await);
    let record = indexed("subject", "sid");
    store
        .update_token(&key("a"), &record, Expected::Absent)
        .await
        .unwrap();
    let hash = raw.hashes().await.remove(0);
    let index = hash.replace("token:a\nclient\n", "index");
    // A reader saw no such record, went to sleep, and calls for the repair only now.
    let repair = [
        ["EVAL", REPAIR, "2", &*index, &*hash, "ka\nclient\n", "", ""],
        [
            "EVAL",
            REPAIR,
            "2",
            &*index,
            &*hash,
            "isid\na\nclient\n",
            "sid",
            "sid",
        ],
    ];
    for call in &repair {
        raw.words(call).await;
    }
    assert_eq!(raw.entries().await, 4);
    raw.words(&["DEL", &*hash]).await;
    for call in &repair {
        raw.words(call).await;
    }
    assert_eq!(raw.entries().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Redis; tests/run brings it"]
async fn no_record_is_lost_from_the_index_while_records_come_and_go() {
    const ROUNDS: u64 = 200;
    let database = Database::new();
    let store = database.connect().await;
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut readers = Vec::new();
    for query in [
        TokenQuery::owner("a"),
        by_sid("sid 1"),
        by_sid("sid 2"),
        TokenQuery::default(),
    ] {
        let (store, done) = (database.connect().await, std::sync::Arc::clone(&done));
        readers.push(tokio::spawn(async move {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                store.find_tokens(&query, Page::first(10)).await.unwrap();
                store
                    .purge_tokens(Timestamp::from_millis(1), 10)
                    .await
                    .unwrap();
            }
        }));
    }
    let mut raw = database.raw().await;
    for round in 0..ROUNDS {
        let sid = format!("sid {}", round % 2 + 1);
        let mut dead = indexed("subject", &sid);
        dead.index.purge_at = Some(Timestamp::from_millis(i64::try_from(round % 3).unwrap()));
        match store.update_token(&key("a"), &dead, Expected::Absent).await {
            Ok(()) => {}
            other => panic!("{other:?}"),
        }
        let expected = Expected::Version(dead.version);
        let live = indexed("subject", &format!("sid {}", round % 2 + 1));
        match store.update_token(&key("a"), &live, expected).await {
            // Purged in between.
            Err(StoreError::Conflict) => {
                store
                    .update_token(&key("a"), &live, Expected::Absent)
                    .await
                    .unwrap();
            }
            written => written.unwrap(),
        }
        for query in [TokenQuery::owner("a"), by_sid(&sid)] {
            assert_eq!(
                owners(&store, &query).await,
                ["a"],
                "round {round}: {query:?}"
            );
        }
        let hash = raw.hashes().await.remove(0);
        raw.words(&["DEL", &*hash]).await;
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_long_search_without_success_ends_in_pages() {
    let store = Database::new().connect().await;
    let mut writing = Vec::new();
    for n in 0..40 {
        let store = store.clone();
        writing.push(tokio::spawn(async move {
            for m in 0..300 {
                insert(&store, &format!("{n:02} {m:03}")).await;
            }
        }));
    }
    for writing in writing {
        writing.await.unwrap();
    }
    let mut query = TokenQuery::default();
    query.issuer = Some("nobody".to_owned());
    let first = store.find_tokens(&query, Page::first(5)).await.unwrap();
    assert!(first.items.is_empty());
    let page = Page::after(first.next.expect("more to look at"), 5);
    let last = store.find_tokens(&query, page).await.unwrap();
    assert!(last.items.is_empty() && last.next.is_none());
    let one = key("39 299");
    let found = store.fetch_token(&one).await.unwrap().record.unwrap();
    let mut issued = record(2);
    issued.index.issuer = query.issuer.clone();
    store
        .update_token(&one, &issued, Expected::Version(found.version))
        .await
        .unwrap();
    assert_eq!(owners(&store, &query).await, ["39 299"]);
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_login_over_a_tombstone_is_never_purged() {
    let database = Database::new();
    let store = database.connect().await;
    let mut dead = record(1);
    dead.index.purge_at = Some(Timestamp::from_millis(5));
    store
        .update_token(&key("a"), &dead, Expected::Absent)
        .await
        .unwrap();
    let live = record(2);
    store
        .update_token(&key("a"), &live, Expected::Version(dead.version))
        .await
        .unwrap();
    // As if its entry had been left over.
    let mut raw = database.raw().await;
    let due = raw.hashes().await[0].replace("token:a\nclient\n", "due");
    raw.words(&["ZADD", &*due, "5", "a\nclient\n"]).await;
    let purged = store
        .purge_tokens(Timestamp::from_millis(i64::MAX), 10)
        .await;
    assert_eq!(purged.unwrap(), 0);
    assert_eq!(
        store.fetch_token(&key("a")).await.unwrap().record,
        Some(live)
    );
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_body_of_a_higher_major_format_is_refused_and_stays() {
    use crate::world::{CLIENT, World, refused};

    let world = World::new().await;
    let database = Database::new();
    let store = database.connect().await;
    let oauth = tokenkeep::OAuth::builder()
        .store(store.clone())
        .key_ring(tokenkeep::KeyRing::parse(&world.ring).unwrap())
        .register(world.registration())
        .build()
        .unwrap();
    let key = TokenKey::new(CLIENT, "alice").unwrap();
    let mut later = record(1);
    later.body = b"tk\x63\x00\0\0\0\x02{}".to_vec();
    store
        .update_token(&key, &later, Expected::Absent)
        .await
        .unwrap();
    let token = oauth.client(CLIENT).unwrap().owner("alice").token().await;
    refused(token, tokenkeep::ErrorCode::UnsupportedFormat);
    assert_eq!(store.fetch_token(&key).await.unwrap().record, Some(later));
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_record_takes_the_memory_that_the_documentation_says() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let (store, mut raw) = (
        RedisStore::connect(&url).await.unwrap(),
        Raw::connect(&url).await,
    );
    let used = async |raw: &mut Raw| {
        let info: String = redis::from_redis_value(raw.run("INFO memory").await).unwrap();
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = used(&mut raw).await;
    for n in 0..2000 {
        let mut record = indexed(&format!("subject {n}"), &format!("{n:032x}"));
        record.body = vec![7; 2048];
        let key = key(&format!("user {n}"));
        store
            .update_token(&key, &record, Expected::Absent)
            .await
            .unwrap();
    }
    let each = (used(&mut raw).await - before) / 2000;
    println!("{each} bytes for a body of 2,048");
    assert!(each < 2048 + 2300, "{each}");
}
