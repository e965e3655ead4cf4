//! Key rotation while running, with processes that have different rings over one store.

use std::time::Duration;

use tokenkeep::{
    Clock, ErrorCode, GrantState, KeyRing, MemoryStore, OAuth, Reseal, ResealReport,
    store::{Expected, FetchToken, Page, TokenQuery, UpdateToken, Version},
};
use tokenkeep_testing::{Endpoint, Fault, Gate, Provider};
use tokio_stream::StreamExt;

use super::key_of;
use crate::{
    faulty::{Faulty, Method},
    kind::Kind,
    world::{
        CALLBACK, CLIENT, World, alice, come_back, cookies, key, next_of, on_every_store, refused,
        soon, until,
    },
};

/// The ring of the keys of these names, the first one sealing.
fn ring(ids: &[&str]) -> KeyRing {
    let keys: Vec<_> = ids.iter().map(|id| key(id, id.as_bytes()[0])).collect();
    KeyRing::parse(&keys.join(",")).unwrap()
}

/// Another process with a ring of its own.
async fn process(world: &World, ids: &[&str]) -> OAuth {
    let store = world.another_store().await;
    process_over(world, ids, &store)
}

fn process_over(world: &World, ids: &[&str], store: &Faulty) -> OAuth {
    let builder = world.bare(store).register(world.registration());
    builder.key_ring(ring(ids)).build().unwrap()
}

async fn reseal(oauth: &OAuth) -> ResealReport {
    let options = Reseal::new().records_per_second(10_000);
    soon(oauth.reseal(options).await.unwrap().finish()).await
}

/// By which key each record is sealed.
async fn sealed_by(oauth: &OAuth) -> Vec<Option<String>> {
    let page = Page::first(100);
    let found = oauth.find_tokens(&TokenQuery::default(), page).await;
    let items = found.unwrap().items.into_iter();
    items.map(|info| info.sealed_by).collect()
}

#[tokio::test]
async fn readers_see_a_new_ring_at_once() {
    on_every_store(Provider::builder, async |world| {
        let first = process(world, &["a"]).await;
        world.log_in(&first, "alice").await;
        let oauth = process(world, &["b"]).await;
        oauth.follow_changes().await.unwrap();
        refused(alice(&oauth).token().await, ErrorCode::KeyMissing);
        oauth.set_key_ring(ring(&["b", "a"])).unwrap();
        let token = alice(&oauth).token().await.unwrap();
        assert_eq!(token, alice(&first).token().await.unwrap());
        // And whoever writes seals by the new key.
        alice(&oauth).refresh().await.unwrap();
        let info = alice(&oauth).info().await.unwrap().unwrap();
        assert_eq!(info.sealed_by.as_deref(), Some("b"));
    })
    .await;
}

#[tokio::test]
async fn cookies_of_a_retired_key_open_as_long_as_the_ring_has_it() {
    on_every_store(Provider::builder, async |world| {
        let oauth = process(world, &["a"]).await;
        let signed_in = cookies(&world.log_in(&oauth, "alice").await.cookies);
        let client = oauth.client(CLIENT).unwrap();
        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        let callback = world.at_provider(&redirect, "alice").await;

        oauth.set_key_ring(ring(&["b", "a"])).unwrap();
        assert!(oauth.session(&signed_in).await.unwrap().is_some());
        let login = come_back(&client, &callback, &redirect.cookies).await;
        let kept = oauth.keep_login(&login.unwrap(), "alice", None).await;
        let later = cookies(&kept.unwrap().cookies);

        assert!(!reseal(&oauth).await.may_use("a"));
        oauth.set_key_ring(ring(&["b"])).unwrap();
        assert!(oauth.session(&signed_in).await.unwrap().is_none());
        assert!(oauth.session(&later).await.unwrap().is_some());
        alice(&oauth).refresh().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_ring_that_cannot_be_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let oauth = process(&world, &["a"]).await;
    world.log_in(&oauth, "alice").await;
    let another = KeyRing::parse(&[key("b", 1), key("a", 1)].join(",")).unwrap();
    let error = refused(oauth.set_key_ring(another), ErrorCode::InvalidConfiguration);
    assert!(error.message().contains("\"a\""), "{error}");
    alice(&oauth).refresh().await.unwrap();
    assert!(sealed_by(&oauth).await.contains(&Some("a".to_owned())));

    let without = OAuth::builder().store(MemoryStore::new()).build().unwrap();
    refused(
        without.set_key_ring(ring(&["a"])),
        ErrorCode::InvalidConfiguration,
    );
    refused(
        without.reseal(Reseal::new()).await,
        ErrorCode::KeyRingRequired,
    );
    let store = world
        .another_store()
        .await
        .limited_to(|has| has.find = false);
    let lists_nothing = world.bare(&store).build().unwrap();
    let error = refused(
        lists_nothing.reseal(Reseal::new()).await,
        ErrorCode::Unsupported,
    );
    assert!(error.message().contains("\"find\""), "{error}");
    refused(
        OAuth::new().set_key_ring(ring(&["a"])),
        ErrorCode::NotInitialized,
    );
}

#[tokio::test]
async fn everything_is_sealed_anew_and_nothing_else_changes() {
    on_every_store(Provider::builder, async |world| {
        let oauth = process(world, &["a"]).await;
        let mut browsers = Vec::new();
        for owner in ["alice", "bob", "carol"] {
            browsers.push(cookies(&world.log_in(&oauth, owner).await.cookies));
        }
        let bob = oauth.client(CLIENT).unwrap().owner("bob");
        bob.log_out().await.unwrap();
        let before = alice(&oauth).token().await.unwrap();
        let generation = alice(&oauth).info().await.unwrap().unwrap().generation;
        assert!(reseal(&oauth).await.resealed == 0);

        oauth.set_key_ring(ring(&["b", "a"])).unwrap();
        let options = Reseal::new().records_per_second(10_000);
        let progress = oauth.reseal(options).await.unwrap();
        let reports: Vec<_> = soon(progress.collect::<Vec<_>>()).await;
        let report = reports.last().unwrap();
        assert!(report.finished && !report.may_use("a"), "{report:?}");
        // Bob's grant is a tombstone.
        let counts = (report.looked_at, report.resealed, report.skipped);
        assert_eq!((counts, report.failed), ((6, 5, 1), 0));
        assert!(reports.is_sorted_by_key(|report| report.looked_at));
        let sealed = sealed_by(&oauth).await;
        assert_eq!(
            sealed
                .iter()
                .filter(|by| by.as_deref() == Some("b"))
                .count(),
            5
        );

        // It is the same in every other respect, also for who has the new key only.
        let new = process(world, &["b"]).await;
        assert_eq!(alice(&new).token().await.unwrap(), before);
        let info = alice(&new).info().await.unwrap().unwrap();
        assert_eq!(info.generation, generation);
        assert_eq!(world.refreshes(), 0);
        for browser in &browsers {
            assert!(oauth.session(browser).await.unwrap().is_some());
        }
        // Again: everything is only looked at.
        let again = reseal(&oauth).await;
        assert_eq!((again.resealed, again.skipped), (0, 6));
    })
    .await;
}

#[tokio::test]
async fn a_process_with_the_old_ring_serves_what_it_has_and_touches_nothing() {
    on_every_store(Provider::builder, async |world| {
        let new = process(world, &["a"]).await;
        let browser = cookies(&world.log_in(&new, "alice").await.cookies);
        let old = process(world, &["a"]).await;
        old.follow_changes().await.unwrap();
        let mut updates = old.token_updates().unwrap().key(key_of("alice"));
        let before = alice(&old).token().await.unwrap();
        let kept = alice(&old).kept().unwrap();
        assert!(old.session(&browser).await.unwrap().is_some());

        new.set_key_ring(ring(&["b", "a"])).unwrap();
        assert_eq!(reseal(&new).await.resealed, 2);
        // It hears of a later generation, which it cannot open.
        let renewed = alice(&new).refresh().await.unwrap();
        let update = next_of(&mut updates, "refreshed").await;
        assert_eq!(update.changed().unwrap().generation, renewed.generation());
        assert_eq!(alice(&old).token().await.unwrap(), before);
        kept.header().await.unwrap();
        let session = old.session(&browser).await.unwrap();
        assert!(old.is_signed_in(&session.unwrap()).await.unwrap());
        // Neither a forced refresh nor a time to refresh takes a lease.
        let row = world.store.fetch_token(&key_of("alice")).await.unwrap();
        refused(alice(&old).refresh().await, ErrorCode::KeyMissing);
        world.advance(Duration::from_secs(280));
        assert_eq!(alice(&old).token().await.unwrap(), before);
        assert_eq!(soon(old.drain(Duration::from_secs(60))).await.unwrap(), 0);

        world.advance(Duration::from_secs(30));
        refused(alice(&old).token().await, ErrorCode::KeyMissing);
        refused(kept.header().await, ErrorCode::KeyMissing);
        let info = alice(&old).info().await.unwrap().unwrap();
        assert_eq!(info.state, GrantState::Active);
        let same = world.store.fetch_token(&key_of("alice")).await.unwrap();
        assert_eq!(row.record, same.record);

        // One that never saw the session does not take it for absent.
        let fresh = process(world, &["a"]).await;
        refused(fresh.session(&browser).await, ErrorCode::KeyMissing);

        // It still logs out, and with the ring it has everything again.
        alice(&new).token().await.unwrap();
        old.set_key_ring(ring(&["a", "b"])).unwrap();
        alice(&old).token().await.unwrap();
        old.set_key_ring(ring(&["a"])).unwrap();
        alice(&old).log_out().await.unwrap();
        until("the logout is heard of", async || {
            alice(&new).token().await.is_err()
        })
        .await;
        refused(alice(&new).refresh().await, ErrorCode::LoginRequired);
    })
    .await;
}

#[tokio::test]
async fn what_was_taken_back_is_not_served_because_it_cannot_be_opened() {
    on_every_store(Provider::builder, async |world| {
        let new = process(world, &["a"]).await;
        world.log_in(&new, "alice").await;
        let old = process(world, &["a"]).await;
        old.follow_changes().await.unwrap();
        alice(&old).token().await.unwrap();
        new.set_key_ring(ring(&["b", "a"])).unwrap();
        assert_eq!(reseal(&new).await.resealed, 2);
        assert!(alice(&new).invalidate(None).await.unwrap());
        until("it is heard of", async || {
            let answer = alice(&old).token().await;
            answer.is_err_and(|error| error.code() == ErrorCode::KeyMissing)
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_refresh_between_look_and_seal_is_neither_lost_nor_left_out() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.builder().key_ring(ring(&["b", "a"])).build().unwrap();
        let other = process(world, &["a", "b"]).await;
        let grant = world.alice(&other).await;
        let gate = Gate::new();
        world.store.hold(Method::Lease, gate.clone());
        let options = Reseal::new().records_per_second(10_000);
        let resealing = oauth.reseal(options).await.unwrap();
        soon(gate.arrived(1)).await;
        // The other one still seals by the old key.
        let renewed = grant.refresh().await.unwrap();
        gate.open();
        let report = soon(resealing.finish()).await;
        assert_eq!((report.resealed, report.failed), (2, 0), "{report:?}");
        assert!(!report.may_use("a"));
        let new = process(world, &["b"]).await;
        assert_eq!(alice(&new).token().await.unwrap(), renewed);

        // And the other way round: sealed anew while the provider is being asked.
        let gate = Gate::new();
        let faults = world.provider.faults();
        let rule = faults
            .on(Endpoint::Token, Fault::Hold(gate.clone()))
            .for_grant_type("refresh_token");
        let refresh = tokio::spawn({
            let grant = grant.clone();
            async move { grant.refresh().await }
        });
        soon(gate.arrived(1)).await;
        rule.off();
        reseal(&oauth).await;
        gate.open();
        let generation = soon(refresh).await.unwrap().unwrap().generation();
        assert_eq!(generation, renewed.generation() + 1);
        assert_eq!(world.provider.max_spends(), 1);
        grant.refresh().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_pass_that_was_stopped_goes_on_where_it_stood() {
    on_every_store(Provider::builder, async |world| {
        let oauth = process_over(world, &["a"], &world.store);
        for owner in ["alice", "bob", "carol", "dave"] {
            world.log_in(&oauth, owner).await;
        }
        oauth.set_key_ring(ring(&["b", "a"])).unwrap();
        // The first page, and then the second, which is held.
        let (open, gate) = (Gate::new(), Gate::new());
        open.open();
        world.store.hold(Method::Find, open);
        world.store.hold(Method::Find, gate.clone());
        let slow = Reseal::new().records_per_second(2);
        let slow = oauth.reseal(slow).await.unwrap();
        until("the second page is asked for", async || {
            world.clock.advance(Duration::from_millis(100));
            slow.report().cursor.is_some()
        })
        .await;
        world.clock.advance(Duration::from_secs(2));
        soon(gate.arrived(1)).await;
        slow.stop();
        gate.open();
        let stopped = soon(slow.finish()).await;
        assert!(!stopped.finished && stopped.may_use("a"), "{stopped:?}");
        assert_eq!((stopped.looked_at, stopped.resealed), (2, 2));

        let rest = Reseal::new().records_per_second(10_000);
        let rest = rest.resume(stopped.cursor.unwrap());
        let rest = soon(oauth.reseal(rest).await.unwrap().finish()).await;
        assert!(rest.finished);
        assert_eq!((rest.looked_at, rest.resealed), (6, 6));
        // Half a pass does not know.
        assert!(rest.may_use("a"));
        let whole = reseal(&oauth).await;
        assert_eq!((whole.looked_at, whole.skipped), (8, 8));
        assert!(!whole.may_use("a"));
    })
    .await;
}

#[tokio::test]
async fn the_rate_is_kept() {
    let world = World::new().await;
    let oauth = process(&world, &["a"]).await;
    for owner in ["alice", "bob", "carol"] {
        world.log_in(&oauth, owner).await;
    }
    oauth.set_key_ring(ring(&["b", "a"])).unwrap();
    let began = world.clock.monotonic();
    let slow = Reseal::new().records_per_second(2);
    let slow = oauth.reseal(slow).await.unwrap();
    until("it is over", async || {
        world.clock.advance(Duration::from_millis(50));
        slow.report().finished
    })
    .await;
    // Six records: three pages, and two times a second's rest.
    assert!(world.clock.monotonic() - began >= Duration::from_secs(2));
    assert_eq!(soon(slow.finish()).await.looked_at, 6);
}

#[tokio::test]
async fn what_cannot_be_sealed_anew_is_counted_and_keeps_its_key_in_use() {
    on_every_store(Provider::builder, async |world| {
        let oauth = process(world, &["a"]).await;
        for owner in ["alice", "bob"] {
            world.log_in(&oauth, owner).await;
        }
        let damage = async |owner: &str, change: fn(&mut Vec<u8>)| {
            let key = key_of(owner);
            let mut row = world.store.fetch_token(&key).await.unwrap().record.unwrap();
            let expected = Expected::Version(row.version);
            change(&mut row.body);
            row.version = Version::random();
            let written = world.store.update_token(&key, &row, expected).await;
            written.unwrap();
            row
        };
        let row = damage("alice", |body| *body.last_mut().unwrap() ^= 1).await;
        oauth.set_key_ring(ring(&["b", "a"])).unwrap();
        let report = reseal(&oauth).await;
        assert_eq!((report.resealed, report.failed), (3, 1), "{report:?}");
        assert!(report.may_use("a") && !report.may_use("c"));
        assert_eq!(report.left["a"], 1);
        let same = world.store.fetch_token(&key_of("alice")).await.unwrap();
        assert_eq!(same.record.unwrap(), row);

        // By a key that the ring lacks.
        let lacks = process(world, &["c"]).await;
        let report = reseal(&lacks).await;
        assert_eq!((report.key_missing, report.failed), (4, 0));
        assert_eq!((report.left["a"], report.left["b"]), (1, 3));

        // By whatever a newer version does.
        damage("bob", |body| body[2] = 9).await;
        let report = reseal(&oauth).await;
        assert!(report.may_use("c"), "nobody knows");
    })
    .await;
}

#[tokio::test]
async fn what_is_in_plain_is_sealed_too() {
    let world = World::over(Kind::Sqlite, Provider::builder()).await;
    let plain = OAuth::builder()
        .store(world.another_store().await)
        .dangerously_plain_text_records()
        .clock(crate::world::Handle(std::sync::Arc::clone(&world.clock)))
        .base_url(crate::world::BASE)
        .register(world.registration())
        .build()
        .unwrap();
    world.log_in(&plain, "alice").await;
    assert_eq!(sealed_by(&plain).await, [None, None]);
    let moving = world.builder().key_ring(ring(&["a"]));
    let moving = moving.dangerously_plain_text_records().build().unwrap();
    let report = reseal(&moving).await;
    assert_eq!(report.resealed, 2);
    assert!(!report.may_use(""));
    let strict = process(&world, &["a"]).await;
    alice(&strict).refresh().await.unwrap();
}
