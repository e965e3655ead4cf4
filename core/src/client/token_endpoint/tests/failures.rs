//! What a failure means, and what it shows.

use super::*;

#[tokio::test]
async fn a_failed_refresh_says_what_it_means_for_the_refresh_token() {
    let error = |status, name: &str| {
        answer(
            status,
            "application/json",
            format!(r#"{{"error": "{name}"}}"#),
        )
    };
    let later =
        |status: u16| Reply::Is(status, vec![("retry-after", "7".into())], b"busy".to_vec());
    let seven = Some(Duration::from_secs(7));
    let none = None;
    for (case, reply, verdict, action) in [
        (
            "400 invalid_grant",
            error(400, "invalid_grant"),
            Verdict::InvalidGrant,
            "login",
        ),
        (
            "401 invalid_grant",
            error(401, "invalid_grant"),
            Verdict::InvalidGrant,
            "login",
        ),
        (
            "403 invalid_grant",
            error(403, "invalid_grant"),
            Verdict::InvalidGrant,
            "login",
        ),
        (
            "200 invalid_grant",
            error(200, "invalid_grant"),
            Verdict::InvalidGrant,
            "login",
        ),
        (
            "GitHub",
            answer(
                200,
                "application/x-www-form-urlencoded",
                "error=bad_refresh_token&error_description=no",
            ),
            Verdict::InvalidGrant,
            "login",
        ),
        (
            "500 invalid_grant",
            error(500, "invalid_grant"),
            Verdict::Unavailable { retry_after: none },
            "retry",
        ),
        (
            "401 invalid_client",
            error(401, "invalid_client"),
            Verdict::Refused,
            "configure",
        ),
        (
            "200 invalid_client",
            error(200, "invalid_client"),
            Verdict::Refused,
            "configure",
        ),
        (
            "400 unknown",
            error(400, "whatever"),
            Verdict::Refused,
            "configure",
        ),
        (
            "404 page",
            answer(404, "text/html", "<h1>Not found</h1>"),
            Verdict::Refused,
            "configure",
        ),
        (
            "200 unknown",
            error(200, "whatever"),
            Verdict::Unavailable { retry_after: none },
            "retry",
        ),
        (
            "400 temporarily",
            error(400, "temporarily_unavailable"),
            Verdict::Throttled { retry_after: none },
            "retry",
        ),
        (
            "429",
            later(429),
            Verdict::Throttled { retry_after: seven },
            "retry",
        ),
        (
            "408",
            later(408),
            Verdict::Throttled { retry_after: seven },
            "retry",
        ),
        (
            "503",
            later(503),
            Verdict::Unavailable { retry_after: seven },
            "retry",
        ),
        (
            "500",
            later(500),
            Verdict::Unavailable { retry_after: seven },
            "retry",
        ),
        ("502", later(502), Verdict::Ambiguous, "retry"),
        ("504", later(504), Verdict::Ambiguous, "retry"),
        ("302", later(302), Verdict::Ambiguous, "retry"),
        ("307", later(307), Verdict::Ambiguous, "retry"),
        ("unreadable", json("{"), Verdict::Ambiguous, "retry"),
        ("empty", json(""), Verdict::Ambiguous, "retry"),
        (
            "html",
            answer(200, "text/html", "<p>hi</p>"),
            Verdict::Ambiguous,
            "retry",
        ),
        ("no token", json("{}"), Verdict::Ambiguous, "retry"),
        (
            "token twice",
            json(r#"{"access_token": "a", "access_token": "b"}"#),
            Verdict::Ambiguous,
            "retry",
        ),
        (
            "token and error",
            json(r#"{"access_token": "a", "error": "invalid_client"}"#),
            Verdict::Ambiguous,
            "retry",
        ),
        (
            "not connected",
            Reply::Fails(Sent::No),
            Verdict::NotSent,
            "retry",
        ),
        (
            "reset",
            Reply::Fails(Sent::Maybe),
            Verdict::Ambiguous,
            "retry",
        ),
    ] {
        let failure = Fixture::new([reply]).refresh().await.expect_err(case);
        assert_eq!(failure.verdict, verdict, "{case}: {}", failure.error);
        assert_eq!(failure.error.action().as_str(), action, "{case}");
        assert_eq!(failure.error.client(), Some("op"), "{case}");
        assert_eq!(failure.error.phase(), Phase::Refresh, "{case}");
        let retry_after = match verdict {
            Verdict::Throttled { retry_after } | Verdict::Unavailable { retry_after } => {
                retry_after
            }
            _ => None,
        };
        assert_eq!(failure.error.retry_after(), retry_after, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_the_answer_and_what_comes_before_it() {
    let bounds = bounds(Phase::Refresh);
    let target = Target::login();
    let fixture = Fixture::new([Reply::Hangs]);
    let failure = fixture
        .refresh_with(&NoHooks, &target, bounds)
        .await
        .unwrap_err();
    assert_eq!(failure.verdict, Verdict::Ambiguous);
    assert_eq!(failure.error.code(), ErrorCode::ProviderUnavailable);

    struct Slow;
    #[async_trait]
    impl TokenHooks for Slow {
        async fn request(&self, _: RequestKind, _: &mut TokenRequest) -> Result<()> {
            std::future::pending().await
        }
    }
    let fixture = Fixture::new([]);
    let failure = fixture
        .refresh_with(&Slow, &target, bounds)
        .await
        .unwrap_err();
    assert_eq!(failure.verdict, Verdict::NotSent);
    assert!(fixture.script.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_provider_says_is_handed_on_without_secrets() {
    let body = format!(
        r#"{{"error": "invalid_grant", "error_uri": "https://op.example/errors/70008",
            "error_description": "AADSTS70008: {REFRESH_TOKEN} has expired, see hunter2 or eyJhbGciOiJSUzI1NiJ9.e30.c2ln\u0000"}}"#
    );
    let fixture = Fixture::new([answer(400, "application/json", body)]);
    let failure = fixture.refresh().await.unwrap_err();
    let said = failure.error.provider().unwrap().clone();
    assert_eq!(said.status, Some(400));
    assert_eq!(said.error.as_deref(), Some("invalid_grant"));
    let description = said.description.as_deref().unwrap();
    assert!(
        description.starts_with("AADSTS70008: [secret] has expired"),
        "{description}"
    );
    shows_no_secret(&failure, &[REFRESH_TOKEN, "hunter2", "eyJ", "\0"]);
    assert_eq!(said.uri.as_deref(), Some("https://op.example/errors/70008"));
}

#[tokio::test]
async fn a_page_is_quoted_only_if_it_cannot_hold_a_token() {
    let shown = async |content_type: &str, body: &str| {
        let fixture = Fixture::new([answer(500, content_type, body)]);
        let failure = fixture.refresh().await.unwrap_err();
        shows_no_secret(
            &failure,
            &[REFRESH_TOKEN, "hunter2", "abcdefghijklmnopqrstuvwxyz1"],
        );
        assert!(failure.error.message().len() < 400);
        failure.error.message().to_owned()
    };
    let page = shown(
        "text/html",
        "<html><body><h1>Down for\nmaintenance</h1></body>",
    )
    .await;
    assert!(page.contains("Down for maintenance"), "{page}");
    let echo = shown("text/plain", &format!("cannot use {REFRESH_TOKEN} here")).await;
    assert!(echo.contains("cannot use"), "{echo}");
    let long = shown("text/plain", "id abcdefghijklmnopqrstuvwxyz1").await;
    assert!(long.contains("id […]"), "{long}");
    for body in ["your token is hunter2", "a=hunter2", "{hunter2", "\u{1}"] {
        shown("text/plain", body).await;
    }
    shown("application/octet-stream", "hunter2").await;
    for content_type in ["text/plain", "text/html"] {
        let fixture = Fixture::new([answer(200, content_type, "hunter2")]);
        shows_no_secret(&fixture.refresh().await.unwrap_err(), &["hunter2"]);
    }
    shown("application/json", r#"{"access_token": "hunter2"}"#).await;
    shown("text/html", &"long page ".repeat(10_000)).await;
}
