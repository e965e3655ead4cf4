//! Answers of the token endpoint at login.

use tokenkeep::{Action, ErrorCode, Phase};
use tokenkeep_testing::{Endpoint, Fault, Gate};

use super::{Begun, assert_nothing_kept, onward};
use crate::world::{World, refused, soon};

#[tokio::test]
async fn what_is_no_token_is_an_error_of_its_phase() {
    let json = |status, body: &str| Fault::Answer {
        status,
        content_type: "application/json".into(),
        body: body.into(),
    };
    for (fault, code, status) in [
        (Fault::Html, ErrorCode::ProviderError, Some(200)),
        (Fault::Empty, ErrorCode::ProviderError, Some(200)),
        (Fault::ServerError(500), ErrorCode::ProviderError, Some(500)),
        (Fault::ServerError(503), ErrorCode::ProviderError, Some(503)),
        (
            Fault::Oversized(2 << 20),
            ErrorCode::ProviderError,
            Some(200),
        ),
        (
            Fault::TooManyRequests { retry_after: None },
            ErrorCode::ProviderError,
            Some(429),
        ),
        (Fault::Truncated, ErrorCode::ProviderUnavailable, None),
        (Fault::DropBefore, ErrorCode::ProviderUnavailable, None),
        (Fault::DropAfter, ErrorCode::ProviderUnavailable, None),
        (
            json(200, r#"{"access_token":"a","token_type":"bearer"}"#),
            ErrorCode::MissingIdToken,
            None,
        ),
        (
            json(200, r#"{"access_token":"","token_type":"bearer"}"#),
            ErrorCode::ProviderError,
            Some(200),
        ),
        (
            json(200, r#"{"error":"invalid_grant"}"#),
            ErrorCode::ProviderError,
            Some(200),
        ),
        (
            json(400, r#"{"error":"invalid_grant"}"#),
            ErrorCode::ProviderError,
            Some(400),
        ),
        (json(302, "{}"), ErrorCode::ProviderError, Some(302)),
    ] {
        let world = World::new().await;
        let registration = world.registration().userinfo_at_login();
        let oauth = world
            .bare(&world.store)
            .register(registration)
            .build()
            .unwrap();
        let begun = Begun::new(&world, &oauth).await;
        world.provider.faults().on(Endpoint::Token, fault.clone());
        let result = begun.come_back().await;
        assert_eq!(
            result.as_ref().err().map(tokenkeep::Error::code),
            Some(code),
            "{fault:?}"
        );
        let error = refused(result, code);
        if code != ErrorCode::MissingIdToken {
            assert_eq!(error.phase(), Phase::TokenRequest, "{fault:?}");
        }
        assert_eq!(
            error.provider().and_then(|said| said.status),
            status,
            "{fault:?}"
        );
        assert_eq!(error.client(), Some("op"));
        assert_eq!(onward(&world.provider), [1, 0, 0], "{fault:?}");
        assert_nothing_kept(&world);
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_in_time_is_unavailable() {
    let world = World::new().await;
    let oauth = world.oauth();
    let begun = Begun::new(&world, &oauth).await;
    let gate = Gate::new();
    world
        .provider
        .faults()
        .on(Endpoint::Token, Fault::Hold(gate.clone()));
    let login = tokio::spawn(async move { begun.come_back().await });
    soon(gate.arrived(1)).await;
    world.clock.advance(std::time::Duration::from_secs(10));
    let error = refused(soon(login).await.unwrap(), ErrorCode::ProviderUnavailable);
    assert!(matches!(error.action(), Action::Retry { .. }));
    gate.open();
}
