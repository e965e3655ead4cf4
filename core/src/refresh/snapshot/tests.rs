use super::{map::SHARDS, *};
use crate::{store::Index, token::Header};

const POINT: RefreshPoint = RefreshPoint {
    spread: 0.0,
    leeway: None,
};

fn key() -> TokenKey {
    TokenKey::new("op", "alice").unwrap()
}

fn record(generation: u64, expires: i64) -> Record {
    let mut header = Header::new(GrantId::random(), generation);
    header.refreshable = true;
    let payload = Payload {
        refresh_token: Some("r".into()),
        access_tokens: vec![AccessToken {
            target: Target::login(),
            token: format!("a{generation}").into(),
            credential: Credential::Bearer,
            expires_at: Some(Timestamp::from_secs(expires)),
            issued_at: Some(Timestamp::from_secs(0)),
            scopes: None,
            issued_generation: generation,
            unknown: serde_json::Map::new(),
        }],
        ..Payload::default()
    };
    Record::new(header, Index::default(), payload)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A snapshot taken at monotonic time 0, when the store's time is 0.
fn snapshot(snapshots: &Snapshots, entry: &Entry, record: &Record, at: Duration) -> Snapshot {
    Snapshot::of(
        &key(),
        record,
        Timestamp::from_secs(0),
        snapshots.look(entry, at),
        POINT,
    )
}

#[test]
fn the_refresh_point_is_a_fifth_before_the_end_within_bounds() {
    for (lifetime, before) in [(3600, 300), (300, 60), (100, 30), (40, 20), (36_000, 300)] {
        assert_eq!(
            POINT.before_expiry(seconds(lifetime)),
            seconds(before),
            "lifetime {lifetime}"
        );
    }
    let spread = RefreshPoint {
        spread: 0.1,
        leeway: None,
    };
    assert_eq!(spread.before_expiry(seconds(3600)), seconds(660));
    let leeway = RefreshPoint {
        spread: 0.0,
        leeway: Some(seconds(600)),
    };
    assert_eq!(leeway.before_expiry(seconds(3600)), seconds(600));
}

/// By the handle and by the key, which must never differ.
fn ready(snapshots: &Snapshots, entry: &Entry, at: u64) -> Option<HeaderValue> {
    let by_handle = snapshots.ready(entry, &Target::login(), seconds(at));
    assert_eq!(snapshots.ready_login(&key(), seconds(at)), by_handle);
    by_handle
}

#[test]
fn a_hint_and_a_row_that_is_gone_end_what_was_ready() {
    let snapshots = Snapshots::new(seconds(3600), 1000);
    snapshots.set_feed(true);
    let entry = snapshots.entry(&key());
    let install = || entry.install(snapshot(&snapshots, &entry, &record(1, 300), seconds(0)));
    install();
    assert!(ready(&snapshots, &entry, 1).is_some());
    entry.hint();
    assert_eq!(ready(&snapshots, &entry, 1), None);
    install();
    assert!(ready(&snapshots, &entry, 1).is_some());
    entry.clear();
    assert_eq!(ready(&snapshots, &entry, 1), None);
    let look = snapshots.look(&entry, seconds(0));
    install();
    entry.written(look);
    entry.install(snapshot(&snapshots, &entry, &record(2, 300), seconds(0)));
    assert_eq!(ready(&snapshots, &entry, 1).unwrap(), "Bearer a2");
}

#[test]
fn a_ready_header_is_served_until_its_refresh_point() {
    let snapshots = Snapshots::new(seconds(3600), 1000);
    let entry = snapshots.entry(&key());
    entry.install(snapshot(&snapshots, &entry, &record(1, 300), seconds(0)));
    let ready = |at| ready(&snapshots, &entry, at);
    assert_eq!(ready(239).unwrap(), "Bearer a1");
    assert!(ready(239).unwrap().is_sensitive());
    assert_eq!(ready(240), None);
    assert!(
        entry
            .latest()
            .unwrap()
            .usable(&Target::login(), Need::default(), seconds(299))
            .is_some()
    );
    assert!(
        entry
            .latest()
            .unwrap()
            .usable(&Target::login(), Need::default(), seconds(300))
            .is_none()
    );
}

#[test]
fn an_older_generation_is_never_installed() {
    let snapshots = Snapshots::new(seconds(3600), 1000);
    let entry = snapshots.entry(&key());
    entry.install(snapshot(&snapshots, &entry, &record(2, 300), seconds(0)));
    assert_eq!(
        entry
            .install(snapshot(&snapshots, &entry, &record(1, 300), seconds(1)))
            .generation,
        2
    );
}

#[test]
fn a_look_that_began_before_a_hint_does_not_clear_it() {
    let snapshots = Snapshots::new(seconds(3600), 1000);
    snapshots.set_feed(true);
    let entry = snapshots.entry(&key());
    let early = snapshot(&snapshots, &entry, &record(1, 300), seconds(0));
    entry.hint();
    entry.install(early);
    assert_eq!(ready(&snapshots, &entry, 1), None);
    entry.install(snapshot(&snapshots, &entry, &record(1, 300), seconds(1)));
    assert!(ready(&snapshots, &entry, 1).is_some());
}

#[test]
fn without_a_feed_age_bounds_trust_and_a_gap_ends_it_for_all() {
    let snapshots = Snapshots::new(seconds(2), 1000);
    let entry = snapshots.entry(&key());
    entry.install(snapshot(&snapshots, &entry, &record(1, 300), seconds(0)));
    assert!(ready(&snapshots, &entry, 1).is_some());
    assert_eq!(ready(&snapshots, &entry, 2), None);
    snapshots.set_feed(true);
    entry.install(snapshot(&snapshots, &entry, &record(1, 300), seconds(2)));
    assert!(ready(&snapshots, &entry, 100).is_some());
    snapshots.distrust_all();
    assert_eq!(ready(&snapshots, &entry, 100), None);
}

#[test]
fn expired_for_the_fleet_is_expired_whatever_the_expiry_says() {
    let snapshots = Snapshots::new(seconds(3600), 1000);
    let entry = snapshots.entry(&key());
    let mut record = record(5, 300);
    record.header.expired_through = Some(5);
    let held = entry.install(snapshot(&snapshots, &entry, &record, seconds(0)));
    assert!(
        held.usable(&Target::login(), Need::default(), seconds(0))
            .is_none()
    );
}

#[test]
fn a_full_map_forgets_what_nobody_holds() {
    let snapshots = Snapshots::new(seconds(2), SHARDS * 4);
    let held = snapshots.entry(&key());
    for number in 0..10_000 {
        snapshots.entry(&TokenKey::new("op", &format!("user{number}")).unwrap());
    }
    let kept: usize = snapshots
        .shards
        .0
        .iter()
        .map(|shard| shard.read().unwrap().len())
        .sum();
    assert!(kept <= SHARDS * 5, "{kept} entries");
    assert!(Arc::ptr_eq(&held, &snapshots.entry(&key())));
}

#[test]
fn a_generation_is_announced_once_and_never_backwards() {
    let entry = Entry::default();
    let told = std::cell::RefCell::new(Vec::new());
    for generation in [5, 5, 4, 6] {
        entry.announce(generation, || told.borrow_mut().push(generation));
    }
    assert_eq!(*told.borrow(), [5, 6]);
}

#[test]
fn a_first_look_is_no_news_and_takes_none_from_the_feed() {
    let entry = Entry::default();
    let told = std::cell::RefCell::new(Vec::new());
    let tell = |generation| {
        let told = &told;
        move || told.borrow_mut().push(generation)
    };
    assert!(!entry.looked_at(5, tell(5)));
    assert!(entry.looked_at(5, tell(5)));
    assert!(told.borrow().is_empty());
    // The look was quicker than the feed.
    entry.announce(5, tell(5));
    // And here the feed comes behind.
    entry.looked_at(6, tell(6));
    entry.announce(6, tell(6));
    assert_eq!(*told.borrow(), [5, 6]);
}
