use std::{sync::atomic::AtomicI64, sync::atomic::Ordering, time::Duration};

use tokenkeep_core::store::{Change, Index, Version};
use tokio_stream::StreamExt;

use super::*;

#[derive(Debug, Default)]
struct Held(AtomicI64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn record(generation: u64) -> StoredRecord {
    StoredRecord::new(Version::random(), generation, Index::default(), Vec::new())
}

async fn write(store: &MemoryStore, owners: std::ops::Range<u64>) {
    for owner in owners {
        let key = TokenKey::new("client", &owner.to_string()).unwrap();
        store
            .update_token(&key, &record(owner), Expected::Absent)
            .await
            .unwrap();
    }
}

fn generation_and_cursor(change: Change) -> (u64, Cursor) {
    match change {
        Change::Written {
            generation, cursor, ..
        } => (generation, cursor),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_full_once_space_fails_rather_than_forget_a_guard() {
    let clock = Arc::new(Held::default());
    let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>).with_once_limit(2);
    let ttl = Duration::from_millis(10);
    assert!(store.put_once("space", "a", b"", ttl).await.unwrap());
    assert!(store.put_once("space", "b", b"", 2 * ttl).await.unwrap());
    assert!(matches!(
        store.put_once("space", "c", b"", ttl).await,
        Err(StoreError::Unavailable { .. })
    ));
    assert!(!store.put_once("space", "a", b"", ttl).await.unwrap());

    clock.0.store(10, Ordering::SeqCst);
    assert!(store.put_once("space", "c", b"", ttl).await.unwrap());
    assert!(!store.put_once("space", "b", b"", ttl).await.unwrap());
}

#[tokio::test]
async fn a_subscriber_that_falls_behind_is_told() {
    let store = MemoryStore::new();
    let mut changes = store.changes(None).await.unwrap();
    write(&store, 0..1030).await;
    assert_eq!(changes.next().await, Some(Change::Gap));
    let (generation, _) = generation_and_cursor(changes.next().await.unwrap());
    assert_eq!(generation, 6);
}

#[tokio::test]
async fn a_cursor_resumes_or_says_that_it_cannot() {
    let store = MemoryStore::new();
    let mut changes = store.changes(None).await.unwrap();
    write(&store, 0..2).await;
    let (_, first) = generation_and_cursor(changes.next().await.unwrap());

    let mut resumed = store.changes(Some(first.clone())).await.unwrap();
    assert_eq!(generation_and_cursor(resumed.next().await.unwrap()).0, 1);
    write(&store, 2..3).await;
    assert_eq!(generation_and_cursor(resumed.next().await.unwrap()).0, 2);

    write(&store, 3..1100).await;
    let foreign = MemoryStore::new();
    for (store, cursor) in [
        (&store, first.clone()),
        (&foreign, first),
        (&store, Cursor("nonsense".into())),
    ] {
        let mut changes = store.changes(Some(cursor)).await.unwrap();
        assert_eq!(changes.next().await, Some(Change::Gap));
    }
}

#[tokio::test]
async fn debug_shows_no_record() {
    let store = MemoryStore::new();
    write(&store, 0..2).await;
    assert_eq!(format!("{store:?}"), "MemoryStore { records: 2, .. }");
}
