//! `forget`: everything of an owner ends at once, and nothing brings it back.

use std::time::Duration;

use tokenkeep::{
    AtProvider, ErrorCode, KeyRing, LogoutCause, OAuth, TokenUpdate,
    store::{Expected, FetchToken, StoredRecord, UpdateToken, Version},
};
use tokenkeep_testing::{Endpoint, Fault, Gate, Provider};

use super::key_of;
use crate::{
    faulty::{Faulty, Method, StoreFault},
    kind::Kind,
    world::{
        CLIENT, PATIENCE, World, alice, cookies, key, next, next_of, on_every_store, refused, soon,
        until,
    },
};

/// Long enough for a row to be removed at once.
const SETTLED: Duration = Duration::from_secs(121);

async fn row(store: &Faulty, owner: &str) -> Option<StoredRecord> {
    store.fetch_token(&key_of(owner)).await.unwrap().record
}

fn live(world: &World) -> Option<String> {
    let client_id = world.provider.client_id();
    world.provider.live_refresh_token("alice", client_id)
}

async fn nothing_is_kept_of_alice(world: &World, oauth: &OAuth) {
    let mut query = tokenkeep::store::TokenQuery::owner("alice");
    query.client = Some(CLIENT.into());
    let page = tokenkeep::store::Page::first(10);
    let found = oauth.find_tokens(&query, page).await.unwrap();
    assert!(found.items.is_empty(), "{:?}", found.items);
    assert!(row(&world.store, "alice").await.is_none());
    // Another process hears of it by the feed.
    until("nothing is served any more", async || {
        match alice(oauth).token().await {
            Ok(_) => false,
            refusal => {
                refused(refusal, ErrorCode::LoginRequired);
                true
            }
        }
    })
    .await;
}

#[tokio::test]
async fn everything_of_an_owner_ends_in_the_whole_fleet_and_is_removed_at_once() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        oauth.register(world.registration_named("other")).unwrap();
        let (second, _store) = world.second().await;
        let browser = cookies(&world.log_in(&oauth, "alice").await.cookies);
        let login = world.login(&oauth, "alice").await.unwrap();
        oauth.keep_login(&login, "alice", None).await.unwrap();
        let elsewhere = tokenkeep::TokenKey::new("other", "alice").unwrap();
        let token = tokenkeep::Token::builder("an access token")
            .build()
            .unwrap();
        assert!(oauth.adopt(elsewhere, token).await.unwrap());
        world.log_in(&oauth, "bob").await;
        let app = oauth.client(CLIENT).unwrap().app();
        app.token().await.unwrap();
        alice(&second).token().await.unwrap();
        world.advance(SETTLED);
        second.follow_changes().await.unwrap();
        let mut updates = second.token_updates().unwrap().key(key_of("alice"));

        let forgotten = oauth.forget("alice").await.unwrap();
        assert!(forgotten.is_complete(), "{forgotten:?}");
        assert_eq!((forgotten.sessions, forgotten.tombstones), (2, 0));
        let clients: Vec<_> = forgotten
            .grants
            .iter()
            .map(|grant| (grant.key.client(), &grant.at_provider))
            .collect();
        assert!(
            matches!(
                clients[..],
                [
                    (CLIENT, AtProvider::Revoked),
                    ("other", AtProvider::Revoked)
                ]
            ),
            "{clients:?}"
        );
        assert!(live(world).is_none());
        nothing_is_kept_of_alice(world, &oauth).await;
        assert!(oauth.grants("alice").await.unwrap().is_empty());
        assert!(oauth.session(&browser).await.unwrap().is_none());
        // MariaDB's feed reads the rows themselves: it may come too late for them, and then it says so.
        let may_miss = world.kind == Kind::MariaDb;
        loop {
            let update = next(&mut updates).await;
            if update.kind() == "logged_out" || (may_miss && update.kind() == "resync") {
                break;
            }
        }
        refused(alice(&second).token().await, ErrorCode::LoginRequired);
        assert!(second.session(&browser).await.unwrap().is_none());

        // Nobody else lost anything.
        assert_eq!(oauth.grants("bob").await.unwrap().len(), 1);
        app.token().await.unwrap();

        // Again: there is nothing left to do.
        let again = second.forget("alice").await.unwrap();
        assert!(again.grants.is_empty() && again.failed.is_empty() && again.sessions == 0);
        // And whoever comes back begins anew.
        world.log_in(&oauth, "alice").await;
        alice(&second).refresh().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_young_row_stays_as_a_tombstone_that_says_nothing_of_anybody() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        world.log_in(&oauth, "alice").await;
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let forgotten = oauth.forget("alice").await.unwrap();
        assert_eq!(forgotten.tombstones, 2);
        let update = next_of(&mut updates, "logged_out").await;
        let cause = LogoutCause::Forgotten;
        assert!(
            matches!(update, TokenUpdate::LoggedOut { cause: told, .. } if told == cause),
            "{update:?}"
        );
        let left = row(&world.store, "alice").await.unwrap();
        let index = &left.index;
        assert!(index.issuer.is_none() && index.subject.is_none() && index.sid.is_none());
        let body = String::from_utf8_lossy(&left.body);
        assert!(!body.contains(world.provider.client_id()), "{body}");
        assert!(left.body.ends_with(b"}"), "nothing is sealed in it");

        assert!(oauth.forget("alice").await.unwrap().grants.is_empty());
        world.advance(Duration::from_secs(130));
        until("its time is over", async || {
            row(&world.store, "alice").await.is_none()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_store_that_cannot_list_is_named_with_what_it_lacks() {
    let world = World::new().await;
    let store = world
        .another_store()
        .await
        .limited_to(|has| has.find = false);
    let oauth = world.bare(&store).build().unwrap();
    let error = refused(oauth.forget("alice").await, ErrorCode::Unsupported);
    assert!(error.message().contains("\"find\""), "{error}");
    refused(world.oauth().forget("").await, ErrorCode::InvalidKey);

    // One that cannot purge forgets all the same, and says what is left.
    let store = world
        .another_store()
        .await
        .limited_to(|has| has.purge = false);
    let oauth = world.bare(&store).register(world.registration());
    let oauth = oauth.build().unwrap();
    world.log_in(&oauth, "alice").await;
    world.advance(SETTLED);
    assert_eq!(oauth.forget("alice").await.unwrap().tombstones, 2);
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
}

#[tokio::test]
async fn the_answer_to_a_refresh_that_was_sent_before_brings_nothing_back() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, _store) = world.second().await;
        let grant = world.alice(&oauth).await;
        world.advance(SETTLED);
        let gate = Gate::new();
        let faults = world.provider.faults();
        faults
            .on(Endpoint::Token, Fault::Hold(gate.clone()))
            .for_grant_type("refresh_token");
        let refresh = tokio::spawn({
            let grant = grant.clone();
            async move { grant.refresh().await }
        });
        soon(gate.arrived(1)).await;
        // The revocation of what is stored must not end the one that is under way: that one's answer is the point.
        let revoke = faults.on(Endpoint::Revoke, Fault::ServerError(503));
        let _ = second.forget("alice").await.unwrap();
        revoke.off();
        gate.open();
        refused(soon(refresh).await.unwrap(), ErrorCode::LoginRequired);
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        nothing_is_kept_of_alice(world, &oauth).await;
        nothing_is_kept_of_alice(world, &second).await;
        // The refresh token that came too late was revoked.
        assert!(live(world).is_none());
    })
    .await;
}

#[tokio::test]
async fn what_waits_for_its_commit_is_not_served_any_more() {
    on_every_store(Provider::builder, async |world| {
        // Nobody tells this process: it has only what it finds when it commits.
        let store = world
            .another_store()
            .await
            .limited_to(|has| has.changes = false);
        let builder = world.bare(&store).register(world.registration());
        let oauth = builder.snapshot_age(PATIENCE * 60).build().unwrap();
        let second = world.oauth();
        let grant = world.alice(&oauth).await;
        world.advance(SETTLED);
        let mut updates = oauth.token_updates().unwrap();
        store.on(Method::Write, StoreFault::Fail);
        grant.refresh().await.unwrap();
        next_of(&mut updates, "commit_pending").await;
        let _ = second.forget("alice").await.unwrap();
        store.clear();
        world.clock.advance(Duration::from_secs(5));
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        refused(grant.token().await, ErrorCode::LoginRequired);
        assert!(grant.kept().unwrap().ready().is_none());
    })
    .await;
}

/// Keeps a login in another process that stops at a step of it, while the owner is forgotten here.
async fn a_late_login(world: &World, oauth: &OAuth, stop: impl FnOnce(&Faulty, Gate)) {
    let (second, store) = world.second().await;
    let login = world.login(&second, "alice").await.unwrap();
    let gate = Gate::new();
    stop(&store, gate.clone());
    let keep = tokio::spawn(async move { second.keep_login(&login, "alice", None).await });
    soon(gate.arrived(1)).await;
    let _ = oauth.forget("alice").await.unwrap();
    gate.open();
    let error = refused(soon(keep).await.unwrap(), ErrorCode::LoginRequired);
    assert!(error.message().contains("forgotten"), "{error}");
    let page = tokenkeep::store::Page::first(10);
    let query = tokenkeep::store::TokenQuery::owner("alice");
    for info in oauth.find_tokens(&query, page).await.unwrap().items {
        assert!(!info.opens && info.subject.is_none(), "{info:?}");
    }
    refused(alice(oauth).token().await, ErrorCode::LoginRequired);
}

#[tokio::test]
async fn a_login_that_looked_before_is_refused() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        world.log_in(&oauth, "alice").await;
        world.advance(SETTLED);
        let before_its_write = |store: &Faulty, gate| store.hold(Method::Write, gate);
        a_late_login(world, &oauth, before_its_write).await;
        assert!(row(&world.store, "alice").await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_first_login_whose_answer_was_lost_does_not_insert_twice() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        a_late_login(world, &oauth, |store, gate| {
            // The two looks before the write, then the one that would recognise it.
            let open = Gate::new();
            open.open();
            store.times(Method::Fetch, StoreFault::Hold(open), 2);
            store.hold(Method::Fetch, gate);
            store.times(Method::Write, StoreFault::LoseAnswer, 1);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_is_about_to_begin_does_not() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        a_late_login(world, &oauth, |store, gate| {
            let open = Gate::new();
            open.open();
            store.hold(Method::Write, open);
            store.hold(Method::Write, gate);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn it_ends_here_while_the_provider_is_away() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        world.log_in(&oauth, "alice").await;
        world.advance(SETTLED);
        let faults = world.provider.faults();
        let rule = faults.on(Endpoint::Revoke, Fault::ServerError(503));
        let forgotten = oauth.forget("alice").await.unwrap();
        assert!(
            matches!(forgotten.grants[0].at_provider, AtProvider::Failed(_)),
            "{forgotten:?}"
        );
        assert!(forgotten.is_complete());
        nothing_is_kept_of_alice(world, &oauth).await;
        rule.off();
        until("it is revoked in the background", async || {
            world.clock.advance(Duration::from_secs(1));
            live(world).is_none()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_forgotten_and_what_cannot_be_read_is_named() {
    let world = World::over(Kind::Sqlite, Provider::builder()).await;
    let oauth = world.oauth();
    world.log_in(&oauth, "alice").await;
    world.log_in(&oauth, "bob").await;
    world.advance(SETTLED);
    let ring = KeyRing::parse(&key("b", 8)).unwrap();
    let lacks = world.builder().key_ring(ring).build().unwrap();
    let forgotten = lacks.forget("alice").await.unwrap();
    assert!(matches!(
        forgotten.grants[0].at_provider,
        AtProvider::KeyMissing
    ));
    nothing_is_kept_of_alice(&world, &oauth).await;

    let mut newer = row(&world.store, "bob").await.unwrap();
    let expected = Expected::Version(newer.version);
    newer.body[2] = 9;
    newer.version = Version::random();
    let key = key_of("bob");
    let written = world.store.update_token(&key, &newer, expected).await;
    written.unwrap();
    let forgotten = oauth.forget("bob").await.unwrap();
    assert!(!forgotten.is_complete());
    assert_eq!(forgotten.failed[0].0, key);
    assert_eq!(forgotten.failed[0].1.code(), ErrorCode::UnsupportedFormat);
    assert_eq!(row(&world.store, "bob").await.unwrap(), newer);
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_nothing() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        world.log_in(&oauth, "alice").await;
        world.advance(SETTLED);
        let gate = Gate::new();
        world.store.hold(Method::Write, gate.clone());
        let forget = tokio::spawn({
            let oauth = oauth.clone();
            async move { oauth.forget("alice").await.map(drop) }
        });
        soon(gate.arrived(1)).await;
        forget.abort();
        gate.open();
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        nothing_is_kept_of_alice(world, &oauth).await;
    })
    .await;
}
