//! What a provider may answer to the two requests of a login, and what an application is told then.

use std::time::Duration;

use tokenkeep::{Action, Error, ErrorCode, Phase};

use super::{CALLBACK, PHOTOS, Photos};
use crate::world::refused;

const GOOD: &str = "oauth_token=request-token-0123&oauth_token_secret=request-secret-0123";

/// The error of a login whose first answer is this.
async fn first(status: u16, headers: &[(&str, &str)], body: &str) -> Error {
    let photos = Photos::new().await;
    photos.provider.answer("/initiate", status, headers, body);
    let login = photos.client().authorize_redirect(CALLBACK).await;
    let error = login.expect_err("it cannot be used");
    assert_eq!(
        (error.phase(), error.client()),
        (Phase::Authorize, Some(PHOTOS))
    );
    says_no_secret(&photos, &error);
    error
}

/// The same of its last.
async fn last(status: u16, headers: &[(&str, &str)], body: &str) -> Error {
    let photos = Photos::new().await;
    photos.provider.answer("/token", status, headers, body);
    let error = photos.login().await.expect_err("it cannot be used");
    assert_eq!(
        (error.phase(), error.client()),
        (Phase::TokenRequest, Some(PHOTOS))
    );
    says_no_secret(&photos, &error);
    error
}

fn says_no_secret(photos: &Photos, error: &Error) {
    let shown = format!("{error} {error:?} {error:#?}");
    let mut secrets = photos.provider.secrets();
    secrets.push(photos.provider.client_secret().to_owned());
    secrets.extend(["request-token-0123", "request-secret-0123"].map(str::to_owned));
    for secret in secrets {
        assert!(!shown.contains(&secret), "{shown}");
    }
}

const LOGIN: Action = Action::Login { connect_url: None };
const RETRY: Action = Action::Retry { after: None };

#[tokio::test]
async fn a_callback_that_is_not_confirmed_is_refused() {
    for confirmed in [
        "",
        "&oauth_callback_confirmed=false",
        "&oauth_callback_confirmed=",
    ] {
        let error = first(200, &[], &format!("{GOOD}{confirmed}")).await;
        assert_eq!(error.code(), ErrorCode::ProviderError);
        assert_eq!(error.action(), &Action::Configure);
        assert!(
            error.message().contains("oauth_callback_confirmed"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_form_counts_whatever_it_is_called() {
    let photos = Photos::new().await;
    for media in ["application/json", "text/html; charset=utf-8", "image/png"] {
        let body = format!("{GOOD}&oauth_callback_confirmed=TRUE\n");
        photos
            .provider
            .answer("/initiate", 200, &[("content-type", media)], &body);
        let redirect = photos.start().await;
        assert!(
            redirect
                .url
                .as_str()
                .contains("oauth_token=request-token-0123")
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_no_form_or_no_token_is_named_and_not_shown() {
    let json = r#"{"oauth_token":"request-token-0123","oauth_token_secret":"request-secret-0123"}"#;
    let doubled = format!("{GOOD}&oauth_token=request-token-0123");
    let doubled_extra = format!("{GOOD}&oauth_callback_confirmed=true&user_id=7&user_id=8");
    let large = format!("{GOOD}&a={}", "x".repeat(70_000));
    for (body, what) in [
        (
            "<!doctype html><title>Maintenance</title>",
            "is a page of HTML",
        ),
        (json, "is JSON and not form-encoded"),
        ("request-token-0123", "is not form-encoded"),
        ("", "is not form-encoded"),
        // Nobody knows that it is one, and it looks like none.
        ("request-secret-0123", "is not form-encoded"),
        (&doubled, "has a member twice"),
        (&doubled_extra, "has a member twice"),
        (&large, "is larger than 64 KiB"),
        (
            "oauth_token=request-token-0123",
            "has no oauth_token_secret",
        ),
        (
            "oauth_token_secret=request-secret-0123",
            "has no oauth_token",
        ),
        (
            "oauth_token=&oauth_token_secret=request-secret-0123",
            "has an empty oauth_token",
        ),
        (
            "oauth_token=a%0Ab&oauth_token_secret=request-secret-0123",
            "characters that none has",
        ),
    ] {
        for error in [first(200, &[], body).await, last(200, &[], body).await] {
            assert_eq!(error.code(), ErrorCode::ProviderError, "{body}");
            assert!(error.message().contains(what), "{what}: {error}");
            assert_eq!(error.provider().unwrap().status, Some(200));
        }
    }
}

#[tokio::test]
async fn a_request_token_that_no_cookie_can_hold_is_refused() {
    let long = "x".repeat(1025);
    let body = format!("oauth_token={long}&oauth_token_secret=s&oauth_callback_confirmed=true");
    let error = first(200, &[], &body).await;
    assert_eq!(error.code(), ErrorCode::ProviderError);
    assert!(error.message().contains("1 KiB"), "{error}");
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let problem = |name: &str| format!("oauth_problem={name}&oauth_problem_advice=see+the+console");
    for (status, body, action, what) in [
        (
            401,
            String::new(),
            Action::Configure,
            "compare client id, secret",
        ),
        (
            401,
            problem("signature_invalid"),
            Action::Configure,
            "signature_invalid",
        ),
        (
            400,
            problem("consumer_key_unknown"),
            Action::Configure,
            "consumer_key_unknown",
        ),
        (
            401,
            problem("timestamp_refused"),
            Action::Configure,
            "this machine's clock",
        ),
        (
            400,
            "error=invalid_client".to_owned(),
            Action::Configure,
            "invalid_client",
        ),
        (503, String::new(), RETRY, "status 503"),
        (302, String::new(), Action::Configure, "redirect"),
        (
            200,
            problem("signature_invalid"),
            Action::Configure,
            "signature_invalid",
        ),
    ] {
        let error = first(status, &[], &body).await;
        assert_eq!(error.code(), ErrorCode::ProviderError, "{error}");
        assert_eq!(error.action(), &action, "{error}");
        assert!(error.message().contains(what), "{what}: {error}");
        assert_eq!(error.provider().unwrap().status, Some(status));
    }
    for (status, body, code, action, what) in [
        (
            401,
            String::new(),
            ErrorCode::ProviderError,
            LOGIN,
            "the verifier is wrong",
        ),
        (
            401,
            problem("token_expired"),
            ErrorCode::ProviderError,
            LOGIN,
            "token_expired",
        ),
        (
            401,
            problem("permission_denied"),
            ErrorCode::AccessDenied,
            LOGIN,
            "permission_denied",
        ),
        (
            401,
            problem("nonce_used"),
            ErrorCode::ProviderError,
            RETRY,
            "sends requests twice",
        ),
        (
            401,
            problem("timestamp_refused"),
            ErrorCode::ProviderError,
            Action::Configure,
            "clock",
        ),
    ] {
        let error = last(status, &[], &body).await;
        assert_eq!((error.code(), error.action()), (code, &action), "{error}");
        assert!(error.message().contains(what), "{what}: {error}");
        let said = error.provider().unwrap();
        let advice = said.description.as_deref();
        assert!(
            body.is_empty() || advice == Some("see the console"),
            "{said:?}"
        );
    }
    let error = last(429, &[("retry-after", "7")], "").await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn what_a_refusal_repeats_of_a_request_is_cut_out() {
    let photos = Photos::new().await;
    let redirect = photos.start().await;
    let (token, _) = photos.provider.verifier(&redirect.url).unwrap();
    // Short ones are typed in, and look like no token.
    let query = format!("oauth_token={token}&oauth_verifier=4711-0815");
    let body = "oauth_problem=verifier_invalid&oauth_problem_advice=4711-0815+is+wrong";
    photos.provider.answer("/token", 401, &[], body);
    let login = super::come_back(&photos.client(), &query, &redirect.cookies).await;
    let shown = format!("{:#?}", refused(login, ErrorCode::ProviderError));
    assert!(
        !shown.contains("4711") && shown.contains("is wrong"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_challenge_names_a_problem_and_the_times_that_are_taken() {
    let challenge = "OAuth realm=\"x\", oauth_problem=\"timestamp_refused\", oauth_acceptable_timestamps=\"1-9<b>\"";
    let error = first(401, &[("www-authenticate", challenge)], "").await;
    let said = error.provider().unwrap();
    assert_eq!(said.error.as_deref(), Some("timestamp_refused"));
    let times = [("oauth_acceptable_timestamps".to_owned(), "1-9".to_owned())];
    assert_eq!(said.required, times);
}

#[tokio::test]
async fn a_used_nonce_is_replaced_once_where_that_harms_nobody() {
    let photos = Photos::new().await;
    let used = [("www-authenticate", "OAuth oauth_problem=\"nonce_used\"")];
    photos.provider.answer("/initiate", 401, &used, "");
    photos.start().await;
    assert_eq!(photos.provider.requests().len(), 2);
    for _ in 0..2 {
        photos.provider.answer("/initiate", 401, &used, "");
    }
    let login = photos.client().authorize_redirect(CALLBACK).await;
    let error = refused(login, ErrorCode::ProviderError);
    assert_eq!(error.action(), &RETRY);
    assert_eq!(photos.provider.requests().len(), 4);
    // The verifier may be spent: its request is never sent again.
    let redirect = photos.start().await;
    let callback = photos.provider.allow(&redirect.url).unwrap();
    photos.provider.answer("/token", 401, &used, "");
    let before = photos.provider.requests().len();
    let login = photos.come_back(&callback, &redirect.cookies).await;
    refused(login, ErrorCode::ProviderError);
    assert_eq!(photos.provider.requests().len(), before + 1);
}

#[tokio::test]
async fn a_provider_that_is_away_is_unavailable() {
    let photos = Photos::new().await;
    let redirect = photos.start().await;
    let callback = photos.provider.allow(&redirect.url).unwrap();
    let Photos {
        provider,
        oauth,
        world: _world,
    } = photos;
    drop(provider);
    tokio::task::yield_now().await;
    let client = oauth.client(PHOTOS).unwrap();
    let error = refused(
        client.authorize_redirect(CALLBACK).await,
        ErrorCode::ProviderUnavailable,
    );
    assert_eq!(error.phase(), Phase::Authorize);
    let login = super::come_back(&client, callback.query().unwrap(), &redirect.cookies).await;
    refused(login, ErrorCode::ProviderUnavailable);
}
