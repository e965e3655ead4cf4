//! What the browser brings back.

use std::time::Duration;

use tokenkeep::{Action, BrowserCookies, ErrorCode, Phase};
use tokenkeep_testing::{Endpoint, Fault, Provider};

use super::{Begun, assert_nothing_kept, come_back, onward};
use crate::world::{World, cookies, on_every_store, refused};

#[tokio::test]
async fn what_does_not_belong_to_a_login_of_this_browser_is_refused() {
    on_every_store(Provider::builder, async |world| {
        let other = tokenkeep::Registration::openid("other", world.provider.issuer())
            .client_id(world.provider.client_id())
            .client_secret(world.provider.client_secret());
        let oauth = world.builder().register(other).build().unwrap();
        let begun = Begun::new(world, &oauth).await;
        let another = Begun::new(world, &oauth).await;
        let query = begun.query();
        let state = begun.callback.parameter("state").unwrap();
        let code = begun.callback.parameter("code").unwrap();
        let without = |name: &str| {
            let pairs = begun.callback.url.query_pairs();
            let kept = pairs.filter(|(other, _)| other != name);
            url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(kept)
                .finish()
        };
        let own = begun.cookies();
        let nobody = BrowserCookies::default();
        for (query, cookies, code) in [
            (without("state"), &own, ErrorCode::MissingParameter),
            (
                format!("{}&state=", without("state")),
                &own,
                ErrorCode::MissingParameter,
            ),
            (
                query.replace(&state, "unknown-state-unknown"),
                &own,
                ErrorCode::StateMismatch,
            ),
            (query.clone(), &nobody, ErrorCode::StateMismatch),
            (query.clone(), &another.cookies(), ErrorCode::StateMismatch),
            (
                format!("{query}&state={state}"),
                &own,
                ErrorCode::InvalidParameter,
            ),
            (
                format!("{query}&code={code}"),
                &own,
                ErrorCode::InvalidParameter,
            ),
            (format!("{query}&iss=x"), &own, ErrorCode::InvalidParameter),
            (
                query.replace(&code, "%ff"),
                &own,
                ErrorCode::InvalidParameter,
            ),
            (
                format!("{query}&x={}", "y".repeat(20_000)),
                &own,
                ErrorCode::InvalidParameter,
            ),
            // Nothing of the error is believed before the state is known.
            (
                "error=access_denied&state=unknown-state-unknown".into(),
                &own,
                ErrorCode::StateMismatch,
            ),
        ] {
            let error = refused(begun.come_back_with(&query, cookies).await, code);
            assert_eq!(error.phase(), Phase::Callback);
            assert_eq!(error.provider(), None);
        }
        // A login of another client, and an answer to it, in the same browser.
        let elsewhere = oauth.client("other").unwrap();
        refused(
            come_back(&elsewhere, &query, &own).await,
            ErrorCode::StateMismatch,
        );
        // A cookie that somebody changed.
        let mut set = begun.redirect.cookies.clone();
        let sealed = set[0].value.expose();
        let last = if sealed.ends_with('A') { "B" } else { "A" };
        set[0].value = format!("{}{last}", &sealed[..sealed.len() - 1]).into();
        refused(
            begun.come_back_with(&query, &cookies(&set)).await,
            ErrorCode::StateMismatch,
        );

        assert_eq!(onward(&world.provider), [0, 0, 0]);
        // None of that used the login up.
        begun.come_back().await.unwrap();
        assert_eq!(onward(&world.provider), [1, 0, 0]);
        assert_nothing_kept(world);
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_read_once_in_the_whole_fleet() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, _store) = world.second().await;
        let begun = Begun::new(world, &oauth).await;
        // Any process can take the callback.
        let there = second.client("op").unwrap();
        come_back(&there, &begun.query(), &begun.cookies())
            .await
            .unwrap();
        refused(begun.come_back().await, ErrorCode::StateMismatch);
        let again = come_back(&there, &begun.query(), &begun.cookies()).await;
        let error = refused(again, ErrorCode::StateMismatch);
        assert!(matches!(error.action(), Action::Login { .. }));
        assert_eq!(onward(&world.provider), [1, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn a_login_that_took_too_long_is_over() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let begun = Begun::new(world, &oauth).await;
        world.clock.advance(Duration::from_secs(600));
        let error = refused(begun.come_back().await, ErrorCode::FlowExpired);
        assert!(matches!(error.action(), Action::Login { .. }));
        assert_eq!(onward(&world.provider), [0, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_after_the_state_was_checked() {
    for (said, code) in [
        ("access_denied", ErrorCode::AccessDenied),
        ("temporarily_unavailable", ErrorCode::ProviderError),
        ("invalid_scope", ErrorCode::ProviderError),
    ] {
        let world = World::new().await;
        let oauth = world.oauth();
        let fault = Fault::CallbackError(said.into());
        world.provider.faults().on(Endpoint::Authorize, fault);
        let begun = Begun::new(&world, &oauth).await;
        let error = refused(begun.come_back().await, code);
        assert_eq!(error.provider().unwrap().error.as_deref(), Some(said));
        let begun = Begun::new(&world, &oauth).await;
        let both = format!("{}&code=abc", begun.query());
        let cookies = begun.cookies();
        refused(
            begun.come_back_with(&both, &cookies).await,
            ErrorCode::InvalidParameter,
        );
        assert_eq!(onward(&world.provider), [0, 0, 0]);
    }
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_refused() {
    for fault in [Fault::WrongIssuerInCallback, Fault::MissingIssuerInCallback] {
        let world = World::new().await;
        let oauth = world.oauth();
        world.provider.faults().on(Endpoint::Authorize, fault);
        let begun = Begun::new(&world, &oauth).await;
        let error = refused(begun.come_back().await, ErrorCode::IssuerMismatch);
        assert_eq!(error.phase(), Phase::Callback);
        assert_eq!(onward(&world.provider), [0, 0, 0]);
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_or_with_an_open_endpoint_starts_no_login() {
    for (fault, code) in [
        (Fault::WrongIssuerInMetadata, ErrorCode::IssuerMismatch),
        (Fault::HttpEndpoint, ErrorCode::InvalidMetadata),
        (Fault::Html, ErrorCode::ProviderError),
        (Fault::ServerError(503), ErrorCode::ProviderUnavailable),
        (Fault::Truncated, ErrorCode::ProviderUnavailable),
    ] {
        let world = World::new().await;
        let oauth = world.oauth();
        world.provider.faults().on(Endpoint::Discovery, fault);
        let client = oauth.client("op").unwrap();
        let error = refused(
            client.authorize_redirect(crate::world::CALLBACK).await,
            code,
        );
        assert_eq!(error.phase(), Phase::Discovery);
        assert_eq!(onward(&world.provider), [0, 0, 0]);
        assert_eq!(world.provider.requests("/authorize"), 0);
    }
}

#[tokio::test]
async fn a_posted_answer_is_read_as_well() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client("op").unwrap();
    let redirect = client
        .authorize_redirect(crate::world::CALLBACK)
        .response_mode(tokenkeep::ResponseMode::FormPost)
        .await
        .unwrap();
    let callback = world.at_provider(&redirect, "alice").await;
    assert_eq!(callback.method, "POST");
    let login = crate::world::come_back(&client, &callback, &redirect.cookies).await;
    assert_eq!(login.unwrap().subject(), Some("alice"));
}

#[tokio::test]
async fn return_to_is_a_path_of_ours_and_travels_with_the_applications_data() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client("op").unwrap();
    let start = |path: &str| {
        client
            .authorize_redirect(crate::world::CALLBACK)
            .return_to(path)
    };
    for path in [
        "https://other.example/",
        "//other.example",
        "/\\other.example",
        "x",
        "/a\n",
    ] {
        refused(start(path).await, ErrorCode::InvalidReturnTo);
    }
    let data = serde_json::json!({"tenant": "a"});
    let redirect = start("/cart?x=1").flow_data(data.clone()).await.unwrap();
    let callback = world.at_provider(&redirect, "alice").await;
    let login = crate::world::come_back(&client, &callback, &redirect.cookies)
        .await
        .unwrap();
    assert_eq!(login.return_to.as_deref(), Some("/cart?x=1"));
    assert_eq!(login.flow_data, data);
}

#[tokio::test]
async fn data_too_large_for_a_cookie_travels_through_the_store() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client("op").unwrap();
    let start = |size: usize| {
        client
            .authorize_redirect(crate::world::CALLBACK)
            .flow_data("x".repeat(size).into())
    };
    let redirect = start(60_000).await.unwrap();
    let sizes = redirect
        .cookies
        .iter()
        .map(|cookie| cookie.value.expose().len());
    assert!(sizes.max() < Some(3072));
    let callback = world.at_provider(&redirect, "alice").await;
    let login = crate::world::come_back(&client, &callback, &redirect.cookies)
        .await
        .unwrap();
    assert_eq!(login.flow_data.as_str().map(str::len), Some(60_000));
    refused(start(70_000).await, ErrorCode::InvalidParameter);
}
