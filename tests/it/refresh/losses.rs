//! An answer that is lost after the provider processed the request, at each kind of provider: G5 to G7.

use std::time::Duration;

use tokenkeep::{
    Action, ErrorCode, NeedsLoginCause, OAuth, ProviderProfile, Reuse, Rotation as Rotates,
    TokenUpdate,
};
use tokenkeep_testing::{Endpoint, Fault, Gate, Provider, Rotation};

use crate::world::{World, next_of, on_every_store, refused, soon};

fn oauth(world: &World, profile: ProviderProfile) -> OAuth {
    let registration = world.registration().profile(profile);
    world
        .bare(&world.store)
        .register(registration)
        .build()
        .unwrap()
}

fn lose_one(world: &World) {
    let faults = world.provider.faults();
    faults
        .on(Endpoint::Token, Fault::DropAfter)
        .for_grant_type("refresh_token")
        .times(1);
}

#[tokio::test]
async fn where_a_token_may_be_sent_again_a_lost_answer_is_asked_for_again() {
    let new = ProviderProfile::new;
    let minute = Duration::from_secs(60);
    for (rotation, profile) in [
        (Rotation::Never, new().rotation(Rotates::Never)),
        (
            Rotation::ReplayWindow(minute),
            new().reuse(Reuse::Replay(minute)),
        ),
        (Rotation::BothValid, new().reuse(Reuse::BothValid)),
    ] {
        let provider = move || Provider::builder().rotation(rotation);
        on_every_store(provider, async |world| {
            let oauth = oauth(world, profile);
            let grant = world.alice(&oauth).await;
            let before = grant.token().await.unwrap();
            lose_one(world);
            let token = soon(grant.refresh()).await.unwrap();
            assert_eq!(token.generation(), before.generation() + 1);
            assert_eq!(world.refreshes(), 2);
            assert_eq!(grant.get("me").await.unwrap().status(), 200);
            let again = soon(grant.refresh()).await.unwrap();
            assert_eq!(again.generation(), before.generation() + 2);
        })
        .await;
    }
}

#[tokio::test]
async fn a_strict_provider_is_asked_once_more_near_the_end_and_only_then_is_the_grant_dead() {
    for (rotation, reuse) in [
        (Rotation::Strict, Reuse::Strict),
        (Rotation::FamilyRevoking, Reuse::RevokesFamily),
    ] {
        let provider = move || {
            Provider::builder()
                .rotation(rotation)
                .keep_replaced_access_tokens(true)
        };
        on_every_store(provider, async |world| {
            let oauth = oauth(world, ProviderProfile::new().reuse(reuse));
            let grant = world.alice(&oauth).await;
            oauth.follow_changes().await.unwrap();
            let mut updates = oauth.token_updates().unwrap();
            let before = grant.token().await.unwrap();
            lose_one(world);
            let error = refused(grant.refresh().await, ErrorCode::ProviderUnavailable);
            assert!(
                matches!(error.action(), Action::Retry { after: Some(_) }),
                "{error:?}"
            );
            next_of(&mut updates, "refresh_failed").await;
            // The valid access token is served, and nothing is sent that could cost the grant.
            assert_eq!(grant.token().await.unwrap(), before);
            refused(grant.refresh().await, ErrorCode::RefreshUnavailable);
            assert_eq!(world.refreshes(), 1);

            world.advance(Duration::from_secs(280));
            assert_eq!(grant.token().await.unwrap(), before);
            let TokenUpdate::NeedsLogin { cause, .. } = next_of(&mut updates, "needs_login").await
            else {
                unreachable!()
            };
            assert_eq!(cause, NeedsLoginCause::AmbiguousLoss);
            assert_eq!(
                grant.token().await.unwrap(),
                before,
                "still valid, still served"
            );
            assert_eq!(world.refreshes(), 2);

            world.advance(Duration::from_secs(30));
            let error = refused(grant.token().await, ErrorCode::LoginRequired);
            assert!(matches!(error.action(), Action::Login { .. }));
            refused(grant.refresh().await, ErrorCode::LoginRequired);
            assert_eq!(world.refreshes(), 2);

            let repaired = world.alice(&oauth).await.token().await.unwrap();
            assert!(repaired.generation() > before.generation());
            grant.refresh().await.unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_a_lost_one() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap();
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
        world.clock.advance(Duration::from_secs(10));
        refused(soon(caller).await.unwrap(), ErrorCode::ProviderUnavailable);
        assert_eq!(grant.token().await.unwrap(), before);
        refused(grant.refresh().await, ErrorCode::RefreshUnavailable);
        assert_eq!(world.refreshes(), 1);
        gate.open();
    })
    .await;
}

#[tokio::test]
async fn a_grant_that_the_user_ended_needs_a_login_and_nothing_more_is_sent() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, _store) = world.second().await;
        let grant = world.alice(&oauth).await;
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        assert_eq!(world.provider.revoke_grant("alice"), 1);
        let error = refused(grant.refresh().await, ErrorCode::LoginRequired);
        assert!(matches!(error.action(), Action::Login { .. }));
        let TokenUpdate::NeedsLogin { cause, .. } = next_of(&mut updates, "needs_login").await
        else {
            unreachable!()
        };
        assert_eq!(cause, NeedsLoginCause::Rejected);
        let sent = world.provider.requests("/token");
        refused(grant.refresh().await, ErrorCode::LoginRequired);
        refused(
            crate::world::alice(&second).refresh().await,
            ErrorCode::LoginRequired,
        );
        assert_eq!(world.provider.requests("/token"), sent);
        world.alice(&oauth).await;
        grant.refresh().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_request_that_was_never_sent_is_repeated_and_costs_nothing() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let before = grant.token().await.unwrap();
    world.provider.shutdown().await;
    let error = refused(grant.refresh().await, ErrorCode::ProviderUnavailable);
    assert!(error.retry_after().is_some());
    assert_eq!(grant.token().await.unwrap(), before);
    world.clock.advance(Duration::from_secs(600));
    let error = refused(grant.token().await, ErrorCode::ProviderUnavailable);
    assert!(matches!(error.action(), Action::Retry { .. }));
}
