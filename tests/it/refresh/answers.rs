//! Answers of the token endpoint that are no token.

use std::time::Duration;

use tokenkeep::{Action, ErrorCode, Phase, TokenUpdate};
use tokenkeep_testing::{Endpoint, Fault, Provider};

use crate::world::{World, alice, next_of, on_every_store, refused, soon, told};

#[tokio::test]
async fn a_pause_that_the_provider_asks_for_is_kept_by_the_whole_fleet() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, _store) = world.second().await;
        let grant = world.alice(&oauth).await;
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let before = grant.token().await.unwrap();
        let minutes = Duration::from_secs(120);
        let fault = Fault::TooManyRequests {
            retry_after: Some(minutes),
        };
        let faults = world.provider.faults();
        faults.on(Endpoint::Token, fault).times(1);
        let error = refused(grant.refresh().await, ErrorCode::ProviderError);
        assert_eq!(error.phase(), Phase::Refresh);
        assert_eq!(error.client(), Some("op"));
        assert_eq!(error.retry_after(), Some(minutes));
        assert_eq!(error.provider().unwrap().status, Some(429));
        let TokenUpdate::RefreshFailed { retry_at, code, .. } =
            next_of(&mut updates, "refresh_failed").await
        else {
            unreachable!()
        };
        assert_eq!(code, ErrorCode::ProviderError);
        assert!(retry_at.is_some());

        for oauth in [&oauth, &second] {
            assert_eq!(alice(oauth).token().await.unwrap(), before, "G7");
            let error = refused(alice(oauth).refresh().await, ErrorCode::RefreshUnavailable);
            let wait = error.retry_after().unwrap();
            assert!(wait <= minutes && wait > minutes - Duration::from_secs(60));
        }
        assert_eq!(world.refreshes(), 1);
        world.advance(minutes);
        assert_eq!(
            alice(&second).refresh().await.unwrap().generation(),
            before.generation() + 1
        );
        assert_eq!(world.provider.max_spends(), 1);
    })
    .await;
}

#[tokio::test]
async fn failures_are_errors_with_an_action_and_cost_no_grant() {
    let json = |status, body: &str| Fault::Answer {
        status,
        content_type: "application/json".into(),
        body: body.into(),
    };
    // Fault, code, and whether it proves that the token was not spent.
    let cases = [
        (Fault::ServerError(500), ErrorCode::ProviderError, false),
        (Fault::ServerError(503), ErrorCode::ProviderError, false),
        (Fault::ServerError(502), ErrorCode::ProviderError, false),
        (Fault::Html, ErrorCode::ProviderError, false),
        (Fault::Empty, ErrorCode::ProviderError, false),
        (Fault::Oversized(2 << 20), ErrorCode::ProviderError, false),
        (Fault::DropBefore, ErrorCode::ProviderUnavailable, false),
        (
            json(200, r#"{"access_token":""}"#),
            ErrorCode::ProviderError,
            false,
        ),
        (
            json(400, r#"{"error":"invalid_request"}"#),
            ErrorCode::ProviderError,
            true,
        ),
        (
            json(401, r#"{"error":"invalid_client"}"#),
            ErrorCode::ProviderError,
            true,
        ),
        (
            Fault::TooManyRequests { retry_after: None },
            ErrorCode::ProviderError,
            true,
        ),
    ];
    for (fault, code, unprocessed) in cases {
        let world = World::new().await;
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let before = grant.token().await.unwrap();
        world.provider.faults().on(Endpoint::Token, fault.clone());
        let error = refused(soon(grant.refresh()).await, code);
        assert_eq!(error.phase(), Phase::Refresh, "{fault:?}");
        assert_eq!(grant.token().await.unwrap(), before, "{fault:?}");
        let sent = world.refreshes();
        assert_eq!(sent, 1, "{fault:?}");
        let kinds: Vec<_> = told(&mut updates)
            .iter()
            .map(|update| update.kind())
            .collect();
        if error.action() == &Action::Configure {
            assert!(unprocessed, "{fault:?}");
            assert_eq!(kinds, ["provider_degraded"], "{fault:?}");
            // A provider that refuses our registration is left alone for a while.
            refused(grant.refresh().await, code);
            assert_eq!(world.refreshes(), sent, "{fault:?}");
            world.advance(Duration::from_secs(60));
        } else {
            let Action::Retry { after: Some(wait) } = *error.action() else {
                panic!("{fault:?}: {error:?}");
            };
            assert_eq!(kinds, ["refresh_failed"], "{fault:?}");
            refused(grant.refresh().await, ErrorCode::RefreshUnavailable);
            assert_eq!(world.refreshes(), sent, "{fault:?}");
            world.advance(wait);
        }
        world.provider.faults().clear();
        let after = soon(grant.refresh()).await.unwrap();
        assert_eq!(after.generation(), before.generation() + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_may_have_spent_the_token() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap();
        let faults = world.provider.faults();
        faults.on(Endpoint::Token, Fault::Truncated).times(1);
        let error = refused(grant.refresh().await, ErrorCode::ProviderUnavailable);
        assert!(matches!(error.action(), Action::Retry { .. }));
        assert_eq!(grant.token().await.unwrap(), before);
        // Spent without an answer: it is not sent again before the access token's end is near.
        assert_eq!(world.provider.spend_counts(), [(1, 1), (2, 0)]);
        refused(grant.refresh().await, ErrorCode::RefreshUnavailable);
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}

#[tokio::test]
async fn failures_wait_longer_each_time_and_a_success_ends_that() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let rule = world
        .provider
        .faults()
        .on(Endpoint::Token, Fault::ServerError(503));
    let mut last = Duration::ZERO;
    for _ in 0..4 {
        let error = refused(grant.refresh().await, ErrorCode::ProviderError);
        let wait = error.retry_after().unwrap();
        assert!(wait > last, "{wait:?} after {last:?}");
        last = wait;
        world.advance(wait);
    }
    rule.off();
    grant.refresh().await.unwrap();
    world
        .provider
        .faults()
        .on(Endpoint::Token, Fault::ServerError(503));
    let error = refused(grant.refresh().await, ErrorCode::ProviderError);
    assert!(error.retry_after().unwrap() < Duration::from_secs(2));
}
