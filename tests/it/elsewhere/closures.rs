//! Closures as the store: what they promise, with every way in which they can fail.

use std::time::Duration;

use tokenkeep::{ErrorCode, Fingerprint, GrantState, Origin, TokenKey};
use tokenkeep_testing::{Endpoint, Fault, Gate, Provider, Rotation};

use super::table::{Call, Table, alice_in, bare, key_of_alice, over};
use crate::{
    faulty::StoreFault,
    kind::Kind,
    world::{CLIENT, PATIENCE, World, alice, next, next_of, refused, soon, told, until},
};

const AGE: Duration = Duration::from_secs(3);

/// Puts time forward until something is true, so that whatever waits for a timeout wakes.
async fn as_time_goes_by(world: &World, what: &str, mut condition: impl FnMut() -> bool) {
    until(what, async || {
        world.clock.advance(Duration::from_secs(1));
        condition()
    })
    .await;
}

#[tokio::test]
async fn a_token_of_the_table_is_renewed_once_and_written_back() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    let old = alice_in(&world, &table, &oauth).await;
    let token = alice(&oauth).token().await.unwrap();
    assert_eq!(token.access_token(), old.access_token());
    assert_eq!(table.calls(Call::Update), 0, "leases never reach the table");

    world.advance(Duration::from_secs(301));
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let grant = alice(&oauth);
            tokio::spawn(async move { grant.token().await })
        })
        .collect();
    for caller in callers {
        let token = soon(caller).await.unwrap().unwrap();
        assert_ne!(token.access_token(), old.access_token());
        assert!(token.refresh_token().is_none(), "only closures get that");
    }
    assert_eq!((world.refreshes(), world.provider.max_spends()), (1, 1));
    assert_eq!(table.calls(Call::Update), 1);
    let written = table.last_written();
    let live = world
        .provider
        .live_refresh_token("alice", world.provider.client_id());
    let refresh = written.token.refresh_token().unwrap();
    assert_eq!(Some(refresh.expose()), live.as_deref());
    assert_eq!(
        written.replaced.access_token,
        Some(Fingerprint::of(old.access_token()))
    );
    let old_refresh = old.refresh_token().map(Fingerprint::of);
    assert_eq!(written.replaced.refresh_token, old_refresh);
    assert_eq!(alice(&oauth).get("me").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_write_that_fails_after_a_rotation_loses_nothing() {
    for (fault, times) in [(StoreFault::Fail, 7), (StoreFault::Hang, 4)] {
        let world = World::new().await;
        let table = Table::default();
        let oauth = over(&world, &table);
        alice_in(&world, &table, &oauth).await;
        let before = alice(&oauth).token().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        table.times(Call::Update, fault.clone(), times);
        let refresh = tokio::spawn({
            let grant = alice(&oauth);
            async move { grant.refresh().await }
        });
        // The renewed token is served before the table has it.
        as_time_goes_by(&world, "it is served", || refresh.is_finished()).await;
        let token = soon(refresh).await.unwrap().unwrap();
        assert_ne!(token.access_token(), before.access_token());
        assert_eq!(next(&mut updates).await.kind(), "commit_pending");
        let row = table.row(&key_of_alice()).unwrap();
        assert_eq!(row.access_token(), before.access_token());
        assert_eq!(alice(&oauth).get("me").await.unwrap().status(), 200);
        // Then it is written, and drain has waited for it.
        as_time_goes_by(&world, "it is written", || {
            table.calls(Call::Update) as u64 > times
        })
        .await;
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        next_of(&mut updates, "refreshed").await;
        let row = table.row(&key_of_alice()).unwrap();
        assert_eq!(row.access_token(), token.access_token());
        assert_eq!(world.provider.max_spends(), 1, "{fault:?}");
        alice(&oauth).refresh().await.unwrap();
        assert_eq!(world.provider.max_spends(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_closure_that_panics_is_one_that_fails() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    alice_in(&world, &table, &oauth).await;
    table.panics(true);
    let mut updates = oauth.token_updates().unwrap();
    let token = soon(alice(&oauth).refresh()).await.unwrap();
    assert_eq!(next(&mut updates).await.kind(), "commit_pending");
    table.panics(false);
    next_of(&mut updates, "refreshed").await;
    let row = table.row(&key_of_alice()).unwrap();
    assert_eq!(row.access_token(), token.access_token());
    assert_eq!(world.provider.max_spends(), 1);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_recognised() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    alice_in(&world, &table, &oauth).await;
    let before = alice(&oauth).token().await.unwrap();
    let mut updates = oauth.token_updates().unwrap();
    table.times(Call::Update, StoreFault::LoseAnswer, 1);
    let token = alice(&oauth).refresh().await.unwrap();
    assert_eq!(token.generation(), before.generation() + 1);
    assert_eq!(table.calls(Call::Update), 1);
    let kinds: Vec<_> = told(&mut updates).iter().map(|told| told.kind()).collect();
    assert_eq!(kinds, ["refreshed"]);

    // The same for a login: it is not taken for somebody else's, and nothing of it is revoked.
    let store = tokenkeep::MemoryStore::new();
    let beside = table.behind(bare(&world).register(world.registration()).store(store));
    let beside = beside.build().unwrap();
    table.remove(&key_of_alice());
    table.times(Call::Update, StoreFault::LoseAnswer, 1);
    world.log_in(&beside, "alice").await;
    assert_eq!(soon(beside.drain(PATIENCE)).await.unwrap(), 0);
    assert!(world.provider.lineages().iter().all(|line| !line.revoked));
    alice(&beside).refresh().await.unwrap();
    assert_eq!(world.provider.max_spends(), 1);
}

#[tokio::test]
async fn an_unexpired_token_is_served_while_the_table_is_away() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    alice_in(&world, &table, &oauth).await;
    let token = alice(&oauth).token().await.unwrap();
    world.clock.advance(AGE);
    table.on(Call::Fetch, StoreFault::Fail);
    assert_eq!(alice(&oauth).token().await.unwrap(), token);
    // Over, it is an error that says why, and never "log in".
    world.advance(Duration::from_secs(301));
    let error = refused(alice(&oauth).token().await, ErrorCode::StoreUnavailable);
    assert_eq!(error.client(), Some(CLIENT));
    assert_eq!(world.refreshes(), 0, "what cannot be written is not spent");
    let nobody = oauth.client(CLIENT).unwrap().owner("nobody");
    refused(nobody.token().await, ErrorCode::StoreUnavailable);
    table.clear_faults();
    refused(nobody.token().await, ErrorCode::LoginRequired);
    alice(&oauth).token().await.unwrap();
    refused(oauth.grants("alice").await, ErrorCode::Unsupported);
}

#[tokio::test]
async fn what_others_write_is_found_and_not_renewed_again() {
    let world = World::new().await;
    let table = Table::default();
    let (oauth, other) = (over(&world, &table), over(&world, &table));
    alice_in(&world, &table, &oauth).await;
    let first = alice(&oauth).token().await.unwrap();
    let mut updates = oauth.token_updates().unwrap();
    // Another process renews it, and this one sees that before it would.
    world.advance(Duration::from_secs(301));
    let theirs = alice(&other).token().await.unwrap();
    let ours = alice(&oauth).token().await.unwrap();
    assert_eq!(ours.access_token(), theirs.access_token());
    assert!(ours.generation() > first.generation());
    assert_eq!((world.refreshes(), world.provider.max_spends()), (1, 1));
    let update = next(&mut updates).await;
    assert_eq!(update.kind(), "refreshed");
    assert_eq!(update.changed().unwrap().origin, Origin::Remote);
    // Old code logs alice in again.
    let again = alice_in(&world, &table, &oauth).await;
    world.clock.advance(AGE);
    let token = alice(&oauth).token().await.unwrap();
    assert_eq!(token.access_token(), again.access_token());
    // And removes her.
    table.remove(&key_of_alice());
    world.clock.advance(AGE);
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    assert_eq!(
        next_of(&mut updates, "logged_out").await.key(),
        Some(&key_of_alice())
    );
}

#[tokio::test]
async fn a_row_that_is_written_back_whole_is_put_right() {
    let world = World::over(
        Kind::Memory,
        Provider::builder().rotation(Rotation::FamilyRevoking),
    )
    .await;
    let table = Table::default();
    let oauth = over(&world, &table);
    let old = alice_in(&world, &table, &oauth).await;
    let token = alice(&oauth).refresh().await.unwrap();
    // An object mapper saves the row that it read before.
    table.put(&key_of_alice(), &old);
    world.clock.advance(AGE);
    assert_eq!(alice(&oauth).token().await.unwrap(), token);
    let row = table.row(&key_of_alice()).unwrap();
    assert_eq!(row.access_token(), token.access_token());
    alice(&oauth).refresh().await.unwrap();
    assert_eq!(world.provider.max_spends(), 1);

    // If it cannot be written now, the token is served all the same, and it is tried again.
    table.put(&key_of_alice(), &old);
    table.times(Call::Update, StoreFault::Fail, 1);
    world.clock.advance(AGE);
    let kept = alice(&oauth).token().await.unwrap();
    assert_ne!(kept.access_token(), old.access_token());
    world.clock.advance(AGE);
    assert_eq!(alice(&oauth).token().await.unwrap(), kept);
    let row = table.row(&key_of_alice()).unwrap();
    assert_eq!(row.access_token(), kept.access_token());
}

#[tokio::test]
async fn a_logout_deletes_the_row_and_lasts() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    let old = alice_in(&world, &table, &oauth).await;
    let grant = alice(&oauth);
    grant.token().await.unwrap();
    table.times(Call::Delete, StoreFault::LoseAnswer, 1);
    grant.log_out().await.unwrap();
    assert_eq!(table.row(&key_of_alice()), None);
    assert_eq!(table.calls(Call::Update), 0);
    refused(grant.token().await, ErrorCode::LoginRequired);
    assert_eq!(
        grant.info().await.unwrap().unwrap().state,
        GrantState::LoggedOut
    );
    assert!(!oauth.adopt(key_of_alice(), old.clone()).await.unwrap());
    // Somebody saves the old row whole: it goes again.
    table.put(&key_of_alice(), &old);
    world.clock.advance(AGE);
    refused(grant.token().await, ErrorCode::LoginRequired);
    assert_eq!(table.row(&key_of_alice()), None);
    // A new login is one, by whomever.
    let again = alice_in(&world, &table, &oauth).await;
    world.clock.advance(AGE);
    assert_eq!(
        grant.token().await.unwrap().access_token(),
        again.access_token()
    );
}

#[tokio::test]
async fn a_logout_beats_a_refresh_under_way_and_its_late_write() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    alice_in(&world, &table, &oauth).await;
    let gate = Gate::new();
    let faults = world.provider.faults();
    faults
        .on(Endpoint::Token, Fault::Hold(gate.clone()))
        .for_grant_type("refresh_token");
    let refresh = tokio::spawn({
        let grant = alice(&oauth);
        async move { grant.refresh().await }
    });
    soon(gate.arrived(1)).await;
    alice(&oauth).log_out().await.unwrap();
    gate.open();
    refused(soon(refresh).await.unwrap(), ErrorCode::LoginRequired);
    assert_eq!(table.row(&key_of_alice()), None);
    assert_eq!(table.calls(Call::Update), 0);

    // A write whose outcome nobody knows comes through after the logout.
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    alice_in(&world, &table, &oauth).await;
    table.on(Call::Update, StoreFault::Fail);
    let mut updates = oauth.token_updates().unwrap();
    let renewed = alice(&oauth).refresh().await.unwrap();
    next_of(&mut updates, "commit_pending").await;
    alice(&oauth).log_out().await.unwrap();
    let live = world
        .provider
        .live_refresh_token("alice", world.provider.client_id());
    let late = tokenkeep::Token::builder(renewed.access_token().clone())
        .refresh(live.unwrap())
        .build()
        .unwrap();
    table.put(&key_of_alice(), &late);
    table.clear_faults();
    world.clock.advance(AGE);
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    assert_eq!(table.row(&key_of_alice()), None);
}

#[tokio::test]
async fn a_late_write_does_not_bring_back_what_others_logged_out() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    alice_in(&world, &table, &oauth).await;
    table.on(Call::Update, StoreFault::Fail);
    let mut updates = oauth.token_updates().unwrap();
    let renewed = alice(&oauth).refresh().await.unwrap();
    next_of(&mut updates, "commit_pending").await;
    let live = world
        .provider
        .live_refresh_token("alice", world.provider.client_id());
    // Another process logs out; this one finds it, and then its own write comes through.
    table.remove(&key_of_alice());
    as_time_goes_by(&world, "the commit is given up", || {
        told(&mut updates)
            .iter()
            .any(|update| update.kind() == "logged_out")
    })
    .await;
    let late = tokenkeep::Token::builder(renewed.access_token().clone())
        .refresh(live.unwrap())
        .build()
        .unwrap();
    table.put(&key_of_alice(), &late);
    table.clear_faults();
    world.clock.advance(AGE);
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    assert_eq!(table.row(&key_of_alice()), None);
    // A new login is one.
    world.login(&oauth, "alice").await.unwrap();
    let again = alice_in(&world, &table, &oauth).await;
    world.clock.advance(AGE);
    let token = alice(&oauth).token().await.unwrap();
    assert_eq!(token.access_token(), again.access_token());
}

#[tokio::test]
async fn a_logout_that_would_not_last_is_refused() {
    let world = World::new().await;
    let table = Table::default();
    let (fetch, update) = (table.clone(), table.clone());
    let oauth = bare(&world)
        .register(world.registration())
        .fetch_token(move |key| fetch.clone().fetch(key))
        .update_token(move |key, token, replaced| update.clone().update(key, token, replaced))
        .build()
        .unwrap();
    alice_in(&world, &table, &oauth).await;
    let token = alice(&oauth).token().await.unwrap();
    for refusal in [alice(&oauth).log_out().await, alice(&oauth).revoke().await] {
        let error = refused(refusal, ErrorCode::Unsupported);
        assert!(error.message().contains(".delete_token("), "{error}");
    }
    assert_eq!(alice(&oauth).token().await.unwrap(), token);
}

#[tokio::test]
async fn an_access_token_that_ends_early_shows_in_the_table() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    alice_in(&world, &table, &oauth).await;
    let token = alice(&oauth).token().await.unwrap();
    assert!(alice(&oauth).invalidate(None).await.unwrap());
    let row = table.row(&key_of_alice()).unwrap();
    assert_eq!(row.access_token(), token.access_token());
    assert!(row.expires_at().unwrap() <= oauth.now().unwrap());
    assert!(row.refresh_token().is_some());
    assert_eq!(table.calls(Call::Update), 1);
    // Its next use renews it; the bookkeeping in between writes nothing.
    alice(&oauth).token().await.unwrap();
    assert_eq!((world.refreshes(), table.calls(Call::Update)), (1, 2));
}

#[tokio::test]
async fn tokens_for_further_scopes_stay_in_memory_and_lose_no_refresh_token() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    alice_in(&world, &table, &oauth).await;
    let login = alice(&oauth).token().await.unwrap();
    let email = alice(&oauth).scopes(["email"]).token().await.unwrap();
    assert_ne!(email.access_token(), login.access_token());
    let row = table.row(&key_of_alice()).unwrap();
    assert_eq!(row.access_token(), login.access_token());
    let live = world
        .provider
        .live_refresh_token("alice", world.provider.client_id());
    assert_eq!(
        row.refresh_token().map(|token| token.expose().to_owned()),
        live
    );
    let again = alice(&oauth).scopes(["email"]).token().await.unwrap();
    assert_eq!((again, world.refreshes()), (email, 1));
}

#[tokio::test]
async fn the_application_s_own_token_goes_to_the_closures_too() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    let app = oauth.client(CLIENT).unwrap().app();
    let token = app.token().await.unwrap();
    let key = TokenKey::app(CLIENT).unwrap();
    let row = table.row(&key).unwrap();
    assert_eq!(row.access_token(), token.access_token());
    // Another process finds it, and renews it when it is over.
    let other = over(&world, &table);
    let app = other.client(CLIENT).unwrap().app();
    assert_eq!(
        app.token().await.unwrap().access_token(),
        token.access_token()
    );
    assert_eq!(world.provider.token_requests("client_credentials"), 1);
    world.advance(Duration::from_secs(301));
    let renewed = app.token().await.unwrap();
    assert_ne!(renewed.access_token(), token.access_token());
    assert_eq!(
        table.row(&key).unwrap().access_token(),
        renewed.access_token()
    );
}

#[tokio::test]
async fn however_many_rows_there_are_none_is_forgotten_over_a_refresh() {
    let world = World::new().await;
    let table = Table::default();
    let small = bare(&world)
        .register(world.registration())
        .snapshot_capacity(1);
    let oauth = table.behind(small).build().unwrap();
    let old = alice_in(&world, &table, &oauth).await;
    let gate = Gate::new();
    let faults = world.provider.faults();
    let rule = faults
        .on(Endpoint::Token, Fault::Hold(gate.clone()))
        .for_grant_type("refresh_token");
    let refresh = tokio::spawn({
        let grant = alice(&oauth);
        async move { grant.refresh().await }
    });
    soon(gate.arrived(1)).await;
    rule.off();
    for user in ["bob", "carol", "dave"] {
        let token = world.login(&oauth, user).await.unwrap().token;
        table.put(&TokenKey::new(CLIENT, user).unwrap(), &token);
        let grant = oauth.client(CLIENT).unwrap().owner(user);
        grant.refresh().await.unwrap();
    }
    gate.open();
    let token = soon(refresh).await.unwrap().unwrap();
    assert_ne!(token.access_token(), old.access_token());
    let row = table.row(&key_of_alice()).unwrap();
    assert_eq!(row.access_token(), token.access_token());
    assert_eq!(world.provider.max_spends(), 1);
}

#[tokio::test]
async fn a_logout_ends_what_others_renewed_meanwhile() {
    let world = World::new().await;
    let table = Table::default();
    let oauth = over(&world, &table);
    alice_in(&world, &table, &oauth).await;
    alice(&oauth).token().await.unwrap();
    // Between the logout's first look and its second, another process writes.
    let (open, gate) = (Gate::new(), Gate::new());
    open.open();
    table.times(Call::Fetch, StoreFault::Hold(open), 1);
    table.times(Call::Fetch, StoreFault::Hold(gate.clone()), 1);
    let logout = tokio::spawn({
        let grant = alice(&oauth);
        async move { grant.log_out().await }
    });
    soon(gate.arrived(1)).await;
    alice_in(&world, &table, &oauth).await;
    gate.open();
    soon(logout).await.unwrap().unwrap();
    assert_eq!(table.row(&key_of_alice()), None);
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
}

#[tokio::test]
async fn a_refresh_token_is_written_though_the_login_s_access_token_is_gone() {
    let world = World::new().await;
    let table = Table::default();
    let mut profile = tokenkeep::ProviderProfile::default();
    profile.refresh_revokes_access = true;
    let builder = bare(&world).register(world.registration().profile(profile));
    let oauth = table.behind(builder).build().unwrap();
    let old = alice_in(&world, &table, &oauth).await;
    // A token for other scopes ends the login's own, and rotates.
    alice(&oauth).scopes(["email"]).token().await.unwrap();
    let live = world
        .provider
        .live_refresh_token("alice", world.provider.client_id());
    let row = table.row(&key_of_alice()).unwrap();
    assert_eq!(row.access_token(), old.access_token());
    assert!(row.expires_at().unwrap() <= oauth.now().unwrap());
    let refresh = row.refresh_token().map(|token| token.expose().to_owned());
    assert_eq!(refresh, live);
    alice(&oauth).token().await.unwrap();
    assert_eq!((world.refreshes(), world.provider.max_spends()), (2, 1));
}
