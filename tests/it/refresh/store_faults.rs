//! A store that fails, hangs or loses its answers: G5, G7.

use std::time::Duration;

use tokenkeep::ErrorCode;
use tokenkeep_testing::Provider;

use crate::{
    faulty::{Method, StoreFault},
    world::{
        PATIENCE, World, alice, cookies, next, next_of, on_every_store, refused, soon, told, until,
    },
};

#[tokio::test]
async fn an_answer_is_served_and_kept_until_the_store_takes_it() {
    for fault in [StoreFault::Fail, StoreFault::Hang] {
        on_every_store(Provider::builder, async |world| {
            let oauth = world.oauth();
            let (second, other) = world.second().await;
            second.token_updates().unwrap();
            other.followed().await;
            let grant = world.alice(&oauth).await;
            let before = alice(&second).token().await.unwrap();
            oauth.follow_changes().await.unwrap();
            let mut updates = oauth.token_updates().unwrap();
            world.store.on(Method::Write, fault.clone());
            let written = world.store.calls(Method::Write);
            let caller = tokio::spawn({
                let grant = grant.clone();
                async move { grant.refresh().await }
            });
            until("the store is tried", async || {
                world.store.calls(Method::Write) > written
            })
            .await;
            until("the token is served", async || {
                world.clock.advance(Duration::from_secs(5));
                tokio::task::yield_now().await;
                caller.is_finished()
            })
            .await;
            let token = soon(caller).await.unwrap().unwrap();
            assert_eq!(token.generation(), before.generation() + 1);
            let pending = next(&mut updates).await;
            assert_eq!(pending.kind(), "commit_pending");
            assert_eq!(pending.changed().unwrap().generation, token.generation());
            assert_eq!(grant.token().await.unwrap(), token);
            assert_eq!(alice(&second).token().await.unwrap(), before);
            assert_eq!(oauth.drain(Duration::ZERO).await.unwrap(), 1);

            world.store.clear();
            let committed = tokio::spawn(async move { next_of(&mut updates, "refreshed").await });
            until("it is committed", async || {
                world.clock.advance(Duration::from_secs(5));
                tokio::task::yield_now().await;
                committed.is_finished()
            })
            .await;
            let committed = soon(committed).await.unwrap();
            assert_eq!(committed.changed().unwrap().generation, token.generation());
            assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
            until("the other process has it", async || {
                alice(&second).token().await.unwrap().access_token() == token.access_token()
            })
            .await;
            assert_eq!(world.refreshes(), 1);
        })
        .await;
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_recognised() {
    for fault in [StoreFault::LoseAnswer, StoreFault::LoseAnswerAsConflict] {
        on_every_store(Provider::builder, async |world| {
            let oauth = world.oauth();
            oauth.follow_changes().await.unwrap();
            let mut updates = oauth.token_updates().unwrap();
            // The login's grant and session, a lease, a commit, an invalidation, a logout.
            world.store.times(Method::Write, fault.clone(), 2);
            let kept = world.log_in(&oauth, "alice").await;
            assert_eq!(next(&mut updates).await.kind(), "issued");
            let grant = alice(&oauth);
            let first = grant.token().await.unwrap();
            let browser = cookies(&kept.cookies);
            assert!(oauth.session(&browser).await.unwrap().is_some());

            world.store.times(Method::Lease, fault.clone(), 1);
            world.store.times(Method::Write, fault.clone(), 1);
            let token = grant.refresh().await.unwrap();
            assert_eq!(token.generation(), first.generation() + 1);
            assert_eq!(next(&mut updates).await.kind(), "refreshed");

            world.store.times(Method::Write, fault.clone(), 1);
            assert!(grant.invalidate(None).await.unwrap());
            let token = grant.token().await.unwrap();
            assert_eq!(token.generation(), first.generation() + 2);
            assert_eq!(next(&mut updates).await.kind(), "refreshed");

            world.store.times(Method::Write, fault.clone(), 1);
            grant.log_out().await.unwrap();
            assert_eq!(next(&mut updates).await.kind(), "logged_out");
            refused(grant.token().await, ErrorCode::LoginRequired);
            assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
            assert!(told(&mut updates).is_empty());
            assert_eq!(world.refreshes(), 2);
            assert_eq!(world.provider.max_spends(), 1);
        })
        .await;
    }
}

/// A registry whose store has no feed, so that it is asked again after the snapshot's age.
async fn forgetful(world: &World) -> (tokenkeep::OAuth, crate::faulty::Faulty) {
    let store = world
        .another_store()
        .await
        .limited_to(|capabilities| capabilities.changes = false);
    let oauth = world.bare(&store).register(world.registration());
    (oauth.build().unwrap(), store)
}

#[tokio::test]
async fn while_the_store_is_down_an_unexpired_token_is_served_and_a_session_is_not() {
    for fault in [StoreFault::Fail, StoreFault::Hang] {
        on_every_store(Provider::builder, async |world| {
            let (oauth, store) = forgetful(world).await;
            let kept = world.log_in(&oauth, "alice").await;
            let grant = alice(&oauth);
            let token = grant.token().await.unwrap();
            let browser = cookies(&kept.cookies);
            for method in [Method::Fetch, Method::Lease, Method::Write] {
                store.on(method, fault.clone());
            }
            world.clock.advance(Duration::from_secs(2));
            let down =
                async |work: &mut (dyn Future<Output = Option<ErrorCode>> + Send + Unpin)| {
                    tokio::select! {
                        code = work => code,
                        () = async { loop {
                            tokio::task::yield_now().await;
                            if matches!(fault, StoreFault::Hang) {
                                world.clock.advance(Duration::from_secs(5));
                            }
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        } } => None,
                    }
                };
            let code = |result: Result<(), tokenkeep::Error>| result.err().map(|e| e.code());
            let served =
                Box::pin(async { code(grant.token().await.map(|t| assert_eq!(t, token))) });
            assert_eq!(down(&mut { served }).await, None);
            let session = Box::pin(async { code(oauth.session(&browser).await.map(drop)) });
            assert_eq!(
                down(&mut { session }).await,
                Some(ErrorCode::StoreUnavailable)
            );
            let forced = Box::pin(async { code(grant.refresh().await.map(drop)) });
            assert_eq!(
                down(&mut { forced }).await,
                Some(ErrorCode::StoreUnavailable)
            );
            let health = Box::pin(async { code(oauth.check_store().await) });
            assert_eq!(
                down(&mut { health }).await,
                Some(ErrorCode::StoreUnavailable)
            );
            // Expired: nothing can be served, and nothing is sent that could not be kept.
            world.advance(Duration::from_secs(600));
            let expired = Box::pin(async { code(grant.token().await.map(drop)) });
            assert_eq!(
                down(&mut { expired }).await,
                Some(ErrorCode::StoreUnavailable)
            );
            assert_eq!(world.refreshes(), 0);

            store.clear();
            oauth.check_store().await.unwrap();
            assert!(oauth.session(&browser).await.unwrap().is_some());
            assert_eq!(
                grant.token().await.unwrap().generation(),
                token.generation() + 1
            );
        })
        .await;
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_costs_no_refresh_token() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let token = grant.token().await.unwrap();
        world.store.on(Method::Lease, StoreFault::Fail);
        refused(grant.refresh().await, ErrorCode::StoreUnavailable);
        assert_eq!(grant.token().await.unwrap(), token);
        assert_eq!(world.refreshes(), 0);
        world.store.clear();
        grant.refresh().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_login_that_cannot_be_kept_is_an_error() {
    let world = World::new().await;
    let oauth = world.oauth();
    let login = world.login(&oauth, "alice").await.unwrap();
    world.store.on(Method::Write, StoreFault::Fail);
    refused(
        oauth.keep_login(&login, "alice", None).await,
        ErrorCode::StoreUnavailable,
    );
    world.store.clear();
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    oauth.keep_login(&login, "alice", None).await.unwrap();
    alice(&oauth).token().await.unwrap();
}
