//! What counts as a token, at login and on a refresh.

use super::*;

#[tokio::test]
async fn what_is_no_risk_is_read_liberally() {
    let life = |text: &str| {
        format!(r#"{{"access_token": "a", "token_type": "bearer", "expires_in": {text}}}"#)
    };
    for (text, seconds) in [
        ("3600", Some(3600.0)),
        (r#""3600""#, Some(3600.0)),
        (r#"" 3600 ""#, Some(3600.0)),
        ("3599.5", Some(3599.5)),
        (r#""3599.5""#, Some(3599.5)),
        ("1", Some(1.0)),
        // Taken as it is said, it would be renewed for ever.
        ("0", None),
        ("0.0", None),
        ("99999999999999999999999", Some(1e10)),
        ("1e400", Some(1e10)),
        (r#""1e400""#, Some(1e10)),
        ("-1", None),
        (r#""-1""#, None),
        (r#""NaN""#, None),
        (r#""inf""#, None),
        (r#""soon""#, None),
        (r#""""#, None),
        ("null", None),
        ("{}", None),
        ("true", None),
    ] {
        let answer = Fixture::new([json(&life(text))]).login().await.unwrap();
        assert_eq!(
            answer.expires_in.map(|life| life.as_secs_f64()),
            seconds,
            "{text}"
        );
    }
    for (text, scopes) in [
        (r#""a  b""#, Some(vec!["a", "b"])),
        (r#"["a", "b"]"#, Some(vec!["a", "b"])),
        (r#""""#, Some(vec![])),
        ("null", None),
        ("1", None),
        (r#"["a", 1]"#, None),
    ] {
        let body = format!(r#"{{"access_token": "a", "token_type": "bearer", "scope": {text}}}"#);
        let answer = Fixture::new([json(&body)]).login().await.unwrap();
        let expected = scopes.map(|s| s.into_iter().map(str::to_owned).collect());
        assert_eq!(answer.scopes, expected, "{text}");
    }
    for text in ["null", r#""""#] {
        let body =
            format!(r#"{{"access_token": "a", "token_type": "bearer", "refresh_token": {text}}}"#);
        let answer = Fixture::new([json(&body)]).login().await.unwrap();
        assert_eq!(answer.refresh_token, None);
    }
    // An `error` that says nothing is none.
    let body =
        r#"{"access_token": "a", "token_type": "bearer", "error": null, "error_description": "x"}"#;
    Fixture::new([json(body)]).login().await.unwrap();
    // `expires_in` counts, whatever a clock of the provider's says.
    let body = r#"{"access_token": "a", "token_type": "bearer", "expires_in": 5, "expires_at": 1}"#;
    let answer = Fixture::new([json(body)]).login().await.unwrap();
    assert_eq!(answer.expires_in, Some(Duration::from_secs(5)));
}

#[tokio::test]
async fn media_types_and_statuses_of_real_providers_are_taken() {
    let token = r#"{"access_token": "a", "token_type": "bearer"}"#;
    let form = "access_token=a&token_type=bearer&scope=user%3Aemail";
    for reply in [
        answer(200, "Application/JSON; charset=utf-8", token),
        answer(201, "application/vnd.op+json", token),
        answer(200, "text/plain", token),
        answer(200, "application/json", format!("\u{feff} {token}\n")),
        Reply::Is(200, vec![], token.into()),
        answer(
            200,
            "application/x-www-form-urlencoded; charset=utf-8",
            form,
        ),
        answer(200, "text/plain", form),
    ] {
        let answer = Fixture::new([reply]).login().await.unwrap();
        assert_eq!(answer.access_token.expose(), "a");
        assert!(answer.warnings.is_empty());
    }
}

#[tokio::test]
async fn everything_else_is_refused_at_login() {
    let page = "<html><h1>Bad gateway</h1></html>";
    for (case, reply) in [
        ("html", answer(200, "text/html", page)),
        ("empty", json("")),
        ("no content", Reply::Is(204, vec![], vec![])),
        (
            "truncated",
            json(r#"{"access_token": "a", "token_type": "be"#),
        ),
        (
            "two documents",
            json(r#"{"access_token": "a", "token_type": "bearer"} {}"#),
        ),
        ("array", json(r#"["access_token"]"#)),
        ("string", json(r#""access_token""#)),
        ("no token", json(r#"{"message": "hello"}"#)),
        (
            "empty token",
            json(r#"{"access_token": "", "token_type": "bearer"}"#),
        ),
        (
            "null token",
            json(r#"{"access_token": null, "token_type": "bearer"}"#),
        ),
        (
            "number",
            json(r#"{"access_token": 1, "token_type": "bearer"}"#),
        ),
        (
            "control characters",
            json(r#"{"access_token": "a\nb", "token_type": "bearer"}"#),
        ),
        (
            "not ASCII",
            json(r#"{"access_token": "ä", "token_type": "bearer"}"#),
        ),
        (
            "not UTF-8",
            answer(
                200,
                "application/json",
                b"{\"access_token\": \"a\xff\", \"token_type\": \"bearer\"}",
            ),
        ),
        ("type missing", json(r#"{"access_token": "a"}"#)),
        (
            "type unknown",
            json(r#"{"access_token": "a", "token_type": "mac"}"#),
        ),
        (
            "type unreadable",
            json(r#"{"access_token": "a", "token_type": 1}"#),
        ),
        (
            "refresh token unreadable",
            json(r#"{"access_token": "a", "token_type": "bearer", "refresh_token": 1}"#),
        ),
        (
            "id_token unreadable",
            json(r#"{"access_token": "a", "token_type": "bearer", "id_token": {}}"#),
        ),
        (
            "token twice",
            json(r#"{"access_token": "a", "access_token": "b", "token_type": "bearer"}"#),
        ),
        (
            "another member twice",
            json(r#"{"access_token": "a", "token_type": "bearer", "x": 1, "x": 2}"#),
        ),
        (
            "twice in a form",
            answer(
                200,
                "text/plain",
                "access_token=a&access_token=b&token_type=bearer",
            ),
        ),
        (
            "content type",
            answer(
                200,
                "text/html",
                r#"{"access_token": "a", "token_type": "bearer"}"#,
            ),
        ),
        (
            "error beside",
            json(r#"{"access_token": "a", "token_type": "bearer", "error": "x"}"#),
        ),
        (
            "huge",
            json(&format!(
                r#"{{"access_token": "{}", "token_type": "bearer"}}"#,
                "a".repeat(1 << 20)
            )),
        ),
        (
            "redirect",
            Reply::Is(
                302,
                vec![("location", "https://evil.example/".into())],
                vec![],
            ),
        ),
        (
            "not found",
            answer(
                404,
                "application/json",
                r#"{"access_token": "a", "token_type": "bearer"}"#,
            ),
        ),
    ] {
        let fixture = Fixture::new([reply]);
        let Err(failure) = fixture.login().await else {
            panic!("{case} is no token");
        };
        assert_eq!(failure.error.code(), ErrorCode::ProviderError, "{case}");
        assert_eq!(failure.error.phase(), Phase::TokenRequest, "{case}");
        assert_eq!(failure.error.client(), Some("op"), "{case}");
        assert!(failure.error.provider().unwrap().status.is_some(), "{case}");
        assert_eq!(fixture.script.sent.lock().unwrap().len(), 1, "{case}");
    }
}

#[tokio::test]
async fn a_bearer_token_is_assumed_where_the_registration_says_so() {
    let fixture = Fixture::of(
        registration().assume_bearer(),
        [json(r#"{"access_token": "a"}"#)],
    );
    let answer = fixture.login().await.unwrap();
    assert_eq!(answer.credential, Some(Credential::Bearer));
}

#[tokio::test]
async fn a_refresh_never_drops_a_readable_access_token() {
    for (case, reply, warning) in [
        ("no type", json(r#"{"access_token": "a"}"#), None),
        (
            "type",
            json(r#"{"access_token": "a", "token_type": 1}"#),
            Some("token_type"),
        ),
        (
            "refresh token",
            json(r#"{"access_token": "a", "refresh_token": 1}"#),
            Some("refresh_token"),
        ),
        (
            "refresh token's characters",
            json(r#"{"access_token": "a", "refresh_token": "\n"}"#),
            Some("refresh_token"),
        ),
        (
            "id_token",
            json(r#"{"access_token": "a", "id_token": [1]}"#),
            Some("id_token"),
        ),
        (
            "scope",
            json(r#"{"access_token": "a", "scope": 1}"#),
            Some("scope"),
        ),
        (
            "life",
            json(r#"{"access_token": "a", "expires_in": "soon"}"#),
            Some("expires_in"),
        ),
        (
            "twice",
            json(r#"{"access_token": "a", "scope": "x", "scope": "y"}"#),
            Some("scope (twice)"),
        ),
        (
            "unknown twice",
            json(r#"{"access_token": "a", "x": 1, "x": 2}"#),
            Some("x (twice)"),
        ),
        ("number", json(r#"{"access_token": "a", "x": 1e999}"#), None),
        (
            "depth",
            json(&format!(
                r#"{{"access_token": "a", "x": {}{}}}"#,
                "[".repeat(500),
                "]".repeat(500)
            )),
            None,
        ),
        (
            "content type",
            answer(200, "text/html", r#"{"access_token": "a"}"#),
            Some("content-type"),
        ),
        (
            "encoding",
            answer(
                200,
                "application/json",
                b"{\"access_token\": \"a\", \"x\": \"\xff\"}",
            ),
            Some("encoding"),
        ),
    ] {
        let answer = Fixture::new([reply]).refresh().await;
        let answer = answer.unwrap_or_else(|failure| panic!("{case}: {failure:?}"));
        assert_eq!(answer.access_token.expose(), "a", "{case}");
        let warnings: Vec<_> = answer.warnings.iter().map(String::as_str).collect();
        assert_eq!(warnings, Vec::from_iter(warning), "{case}");
    }
    let rotated =
        json(r#"{"access_token": "a", "refresh_token": "new", "id_token": {}, "scope": {}}"#);
    let answer = Fixture::new([rotated]).refresh().await.unwrap();
    assert_eq!(answer.refresh_token.unwrap().expose(), "new");
    assert_eq!(answer.warnings, ["id_token", "scope"]);
}

#[test]
fn an_answer_of_very_many_members_is_read_in_time() {
    let begun = std::time::Instant::now();
    let text = format!(
        "{{{}{}\"access_token\":\"a\"}}",
        "\"\":0,".repeat(100_000),
        "\"scope\":0,".repeat(50_000)
    );
    assert!(text.len() < crate::http::MAX_ANSWER);
    let reading = reading::read(&text).unwrap();
    let answer = reading.into_answer(true, Vec::new()).unwrap();
    assert!(answer.warnings.contains(&"scope (twice)".to_owned()));
    // Comparing each with all before it takes minutes.
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_is_kept_of_an_answer_has_a_bound() {
    let long = "x".repeat(300_000);
    let text = format!(
        r#"{{"access_token":"a","token_type":"{long}","id_token":"{long}","scope":"{long}"}}"#
    );
    let answer = |refresh| {
        let reading = reading::read(&text).unwrap();
        reading.into_answer(refresh, Vec::new())
    };
    assert!(answer(false).is_err());
    let answer = answer(true).unwrap();
    assert_eq!(answer.access_token.expose(), "a");
    assert!(answer.credential.is_none() && answer.id_token.is_none() && answer.scopes.is_none());
    assert_eq!(answer.warnings, ["token_type", "id_token", "scope"]);
}
