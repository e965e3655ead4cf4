//! Logout and login while something else is under way: G4, and rule 11.

use std::time::Duration;

use tokenkeep::{ErrorCode, GrantState};
use tokenkeep_testing::{Endpoint, Fault, Gate, Provider};

use crate::{
    faulty::{Method, StoreFault},
    world::{alice, next_of, on_every_store, refused, soon, told, until},
};

#[tokio::test]
async fn logout_wins_over_a_refresh_under_way_and_its_token_is_revoked() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let gate = Gate::new();
        let faults = world.provider.faults();
        faults
            .on(Endpoint::Token, Fault::Hold(gate.clone()))
            .for_grant_type("refresh_token");
        let caller = tokio::spawn({
            let grant = grant.clone();
            async move { grant.refresh().await }
        });
        soon(gate.arrived(1)).await;
        grant.log_out().await.unwrap();
        assert_eq!(
            next_of(&mut updates, "logged_out").await.kind(),
            "logged_out"
        );
        gate.open();
        refused(soon(caller).await.unwrap(), ErrorCode::LoginRequired);
        refused(grant.token().await, ErrorCode::LoginRequired);
        assert_eq!(soon(oauth.drain(crate::world::PATIENCE)).await.unwrap(), 0);
        assert_eq!(world.provider.requests("/revoke"), 1);
        assert_eq!(
            world
                .provider
                .live_refresh_token("alice", world.provider.client_id()),
            None
        );
        assert!(
            told(&mut updates)
                .iter()
                .all(|update| update.kind() != "refreshed")
        );
        assert_eq!(
            grant.info().await.unwrap().unwrap().state,
            GrantState::LoggedOut
        );
        // Only a new login brings it back.
        world.alice(&oauth).await;
        grant.token().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_login_during_a_refresh_is_not_revoked_with_what_it_replaced() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let gate = Gate::new();
        let faults = world.provider.faults();
        let rule = faults
            .on(Endpoint::Token, Fault::Hold(gate.clone()))
            .for_grant_type("refresh_token");
        let caller = tokio::spawn({
            let grant = grant.clone();
            async move { grant.refresh().await }
        });
        soon(gate.arrived(1)).await;
        world.alice(&oauth).await;
        let login = grant.token().await.unwrap();
        gate.open();
        rule.off();
        // The caller gets the login's token: it is newer than what it had.
        let token = soon(caller).await.unwrap().unwrap();
        assert_eq!(token.access_token(), login.access_token());
        assert_eq!(soon(oauth.drain(crate::world::PATIENCE)).await.unwrap(), 0);
        // A revocation may end the user's whole grant, the new login with it: it is left to the application.
        assert_eq!(world.provider.requests("/revoke"), 0);
        let kinds: Vec<_> = told(&mut updates)
            .iter()
            .map(|update| update.kind())
            .collect();
        assert!(kinds.contains(&"orphaned"), "{kinds:?}");
        grant.refresh().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_look_that_began_before_a_logout_ended_brings_nothing_back() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        grant.token().await.unwrap();
        // The logout has looked and is about to write; meanwhile somebody else looks and sees the grant alive.
        let write = Gate::new();
        world.store.hold(Method::Write, write.clone());
        let logout = tokio::spawn({
            let grant = grant.clone();
            async move { grant.log_out().await }
        });
        soon(write.arrived(1)).await;
        assert!(grant.info().await.unwrap().is_some());
        write.open();
        soon(logout).await.unwrap().unwrap();
        refused(grant.token().await, ErrorCode::LoginRequired);
    })
    .await;
}

#[tokio::test]
async fn a_look_that_began_before_an_invalidation_ended_brings_nothing_back() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap().generation();
        let write = Gate::new();
        world.store.hold(Method::Write, write.clone());
        let invalidation = tokio::spawn({
            let grant = grant.clone();
            async move { grant.invalidate(None).await }
        });
        soon(write.arrived(1)).await;
        assert!(grant.info().await.unwrap().is_some());
        write.open();
        assert!(soon(invalidation).await.unwrap().unwrap());
        assert_eq!(grant.token().await.unwrap().generation(), before + 1);
    })
    .await;
}

#[tokio::test]
async fn logout_elsewhere_wins_over_a_commit_that_is_pending() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, _store) = world.second().await;
        let grant = world.alice(&oauth).await;
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        world.store.followed().await;
        world.store.on(Method::Write, StoreFault::Fail);
        let served = grant.refresh().await.unwrap();
        next_of(&mut updates, "commit_pending").await;
        assert_eq!(grant.token().await.unwrap(), served);
        alice(&second).log_out().await.unwrap();
        until("the logout is heard of", async || {
            grant.token().await.is_err()
        })
        .await;
        refused(grant.token().await, ErrorCode::LoginRequired);
        world.store.clear();
        world.clock.advance(Duration::from_secs(5));
        assert_eq!(soon(oauth.drain(crate::world::PATIENCE)).await.unwrap(), 0);
        refused(grant.token().await, ErrorCode::LoginRequired);
        assert_eq!(
            world
                .provider
                .live_refresh_token("alice", world.provider.client_id()),
            None
        );
    })
    .await;
}

#[tokio::test]
async fn a_logout_ends_what_it_saw_and_no_later_login() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let write = Gate::new();
        world.store.hold(Method::Write, write.clone());
        let logout = tokio::spawn({
            let grant = grant.clone();
            async move { grant.log_out().await }
        });
        soon(write.arrived(1)).await;
        world.alice(&oauth).await;
        let login = grant.token().await.unwrap();
        write.open();
        soon(logout).await.unwrap().unwrap();
        assert_eq!(grant.token().await.unwrap(), login);
        assert_eq!(
            grant.info().await.unwrap().unwrap().state,
            GrantState::Active
        );
        grant.refresh().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_two_logins_at_once_one_is_kept_and_the_other_is_told_to_be_orphaned() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let slow = world.login(&oauth, "alice").await.unwrap();
        let write = Gate::new();
        world.store.hold(Method::Write, write.clone());
        let keep = tokio::spawn({
            let oauth = oauth.clone();
            async move { oauth.keep_login(&slow, "alice", None).await }
        });
        soon(write.arrived(1)).await;
        let grant = world.alice(&oauth).await;
        let login = grant.token().await.unwrap();
        write.open();
        // Both browsers are signed in; there is one grant.
        assert!(soon(keep).await.unwrap().unwrap().session.is_some());
        assert_eq!(grant.token().await.unwrap(), login);
        let kinds: Vec<_> = told(&mut updates)
            .iter()
            .map(|update| update.kind())
            .collect();
        assert_eq!(kinds, ["issued", "orphaned"]);
        assert_eq!(world.provider.requests("/revoke"), 0);
    })
    .await;
}
