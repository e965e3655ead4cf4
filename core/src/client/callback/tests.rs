use super::*;
use crate::{Timestamp, client::ResponseMode};

const ISSUER: &str = "https://op.example";

fn flow() -> Flow {
    Flow {
        client: "op".into(),
        state: "the-state".into(),
        nonce: None,
        verifier: Some("the-verifier-0123456789".into()),
        redirect_uri: "https://app.example/cb".into(),
        issuer: Some(ISSUER.into()),
        response_mode: ResponseMode::Query,
        return_to: None,
        connect: None,
        account: String::new(),
        flow_data: serde_json::Value::Null,
        data_in_store: false,
        max_age: None,
        token_secret: None,
        acr_values: vec![],
        scopes: vec![],
        created_at: Timestamp::default(),
        expires_at: Timestamp::default(),
    }
}

fn read(response: &str) -> Result<Code> {
    check(
        &CallbackParams::parse(response)?,
        &flow(),
        Some(ISSUER),
        false,
    )
}

#[test]
fn a_code_with_the_right_state_is_taken() {
    for response in [
        "code=c%2Bd&state=the-state",
        "state=the-state&code=c%2Bd&session_state=x&session_state=y&unknown=%00",
        "code=c%2Bd&state=the-state&error=&iss=https%3A%2F%2Fop.example",
    ] {
        assert_eq!(read(response).unwrap().secret().expose(), "c+d");
    }
}

#[test]
fn everything_else_has_its_code() {
    let long = "x".repeat(MAX_VALUE + 1);
    let total = "x".repeat(MAX_VALUE);
    let many = "a=b&".repeat(MAX_PARAMETERS);
    for (case, response, code) in [
        ("empty", String::new(), ErrorCode::MissingParameter),
        ("no state", "code=c".into(), ErrorCode::MissingParameter),
        (
            "tokens of the front channel",
            "access_token=a&id_token=b&token_type=bearer&state=the-state".into(),
            ErrorCode::MissingParameter,
        ),
        (
            "empty state",
            "code=c&state=".into(),
            ErrorCode::MissingParameter,
        ),
        (
            "error without state",
            "error=access_denied".into(),
            ErrorCode::MissingParameter,
        ),
        (
            "other state",
            "code=c&state=The-state".into(),
            ErrorCode::StateMismatch,
        ),
        (
            "error with another state",
            "error=access_denied&state=x".into(),
            ErrorCode::StateMismatch,
        ),
        (
            "no code",
            "state=the-state".into(),
            ErrorCode::MissingParameter,
        ),
        (
            "empty code",
            "state=the-state&code=".into(),
            ErrorCode::MissingParameter,
        ),
        (
            "both",
            "state=the-state&code=c&error=x".into(),
            ErrorCode::InvalidParameter,
        ),
        (
            "two states",
            "state=the-state&state=the-state&code=c".into(),
            ErrorCode::InvalidParameter,
        ),
        (
            "two codes",
            "state=the-state&code=c&code=c".into(),
            ErrorCode::InvalidParameter,
        ),
        (
            "two errors",
            "state=the-state&error=a&error=b".into(),
            ErrorCode::InvalidParameter,
        ),
        (
            "two issuers",
            format!("state=the-state&code=c&iss={ISSUER}&iss={ISSUER}"),
            ErrorCode::InvalidParameter,
        ),
        (
            "not UTF-8",
            "state=the-state&code=%ff".into(),
            ErrorCode::InvalidParameter,
        ),
        (
            "control character",
            "state=the-state&code=c%00".into(),
            ErrorCode::InvalidParameter,
        ),
        (
            "long",
            format!("state=the-state&code={long}"),
            ErrorCode::InvalidParameter,
        ),
        (
            "large",
            format!("state=the-state&code={total}&x={total}"),
            ErrorCode::InvalidParameter,
        ),
        (
            "many",
            format!("{many}state=the-state&code=c"),
            ErrorCode::InvalidParameter,
        ),
        (
            "other issuer",
            "state=the-state&code=c&iss=https://op.example/".into(),
            ErrorCode::IssuerMismatch,
        ),
        (
            "empty issuer",
            "state=the-state&code=c&iss=".into(),
            ErrorCode::IssuerMismatch,
        ),
        (
            "error of another issuer",
            "state=the-state&error=x&iss=https://evil.example".into(),
            ErrorCode::IssuerMismatch,
        ),
        (
            "denied",
            "state=the-state&error=access_denied".into(),
            ErrorCode::AccessDenied,
        ),
        (
            "refused",
            "state=the-state&error=invalid_scope".into(),
            ErrorCode::ProviderError,
        ),
    ] {
        let error = read(&response).expect_err(case);
        assert_eq!(error.code(), code, "{case}: {error}");
        assert_eq!(error.phase(), Phase::Callback, "{case}");
    }
    assert!(CallbackParams::parse(b"state=\xff").is_err());
}

#[test]
fn an_advertised_issuer_is_required() {
    let params = CallbackParams::parse("code=c&state=the-state").unwrap();
    let error = check(&params, &flow(), Some(ISSUER), true).unwrap_err();
    assert_eq!(error.code(), ErrorCode::IssuerMismatch);
    assert_eq!(error.client(), Some("op"));
    let with = CallbackParams::parse(format!("code=c&state=the-state&iss={ISSUER}")).unwrap();
    check(&with, &flow(), Some(ISSUER), true).unwrap();
}

#[test]
fn the_providers_error_says_what_to_do_and_no_secret() {
    for (error, action) in [
        ("access_denied", "none"),
        ("login_required", "login"),
        ("interaction_required", "login"),
        ("consent_required", "login"),
        ("temporarily_unavailable", "retry"),
        ("server_error", "retry"),
        ("unauthorized_client", "configure"),
        ("something_else", "none"),
    ] {
        let refused = read(&format!("error={error}&state=the-state")).unwrap_err();
        assert_eq!(refused.action().as_str(), action, "{error}");
        assert_eq!(refused.client(), Some("op"));
        assert_eq!(refused.provider().unwrap().error.as_deref(), Some(error));
    }
    let long = "word ".repeat(100);
    let refused = read(&format!(
        "state=the-state&error=x&error_uri=https://op.example/help&error_description=\
         the-verifier-0123456789 and the-state and eyJhbGciOiJSUzI1NiJ9.e30 %0a {long}"
    ))
    .unwrap_err();
    let said = refused.provider().unwrap();
    assert_eq!(said.uri.as_deref(), Some("https://op.example/help"));
    let description = said.description.as_deref().unwrap();
    assert!(
        description.starts_with("[secret] and [secret] and […]   word"),
        "{description}"
    );
    assert!(description.chars().count() <= 201);
}

#[test]
fn params_show_no_secret() {
    let params = CallbackParams::parse("code=hunter2&state=hunter2&error_description=hunter2");
    assert!(!format!("{:?}", params.unwrap()).contains("hunter2"));
}

#[test]
fn only_paths_of_the_own_origin_are_returned_to() {
    let base: Url = "https://app.example:8443/sub/".parse().unwrap();
    for path in [
        "/",
        "/x",
        "/x?next=https://evil.example",
        "/x#y",
        "/a//b",
        "/%2f%2fevil.example",
        "/@evil",
        "/:80",
    ] {
        let url = base
            .join(ReturnTo::parse(path, &base).unwrap().as_str())
            .unwrap();
        assert_eq!(url.origin(), base.origin(), "{path}");
    }
    let long = format!("/{}", "x".repeat(MAX_RETURN_TO));
    for path in [
        "",
        "x",
        "?x",
        "#x",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/x\r\nSet-Cookie: a=b",
        " //evil.example",
        "/.//evil.example",
        "/x/..//evil.example",
        "/%2e//evil.example",
        "https://app.example:8443/x",
        "https://evil.example",
        "javascript:alert(1)",
        &long,
    ] {
        let error = ReturnTo::parse(path, &base).expect_err(path);
        assert_eq!(error.code(), ErrorCode::InvalidReturnTo, "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn no_response_breaks_the_reader(response: Vec<u8>) {
        if let Ok(params) = CallbackParams::parse(&response) {
            let _ = check(&params, &flow(), Some(ISSUER), true);
        }
    }

    #[test]
    fn what_a_form_says_is_read(code in "[!-~]{1,50}", noise in ".{0,50}") {
        let response = form_urlencoded::Serializer::new(String::new())
            .append_pair("noise", &noise.replace('\u{fffd}', ""))
            .append_pair("code", &code)
            .append_pair("state", "the-state")
            .finish();
        let read = read(&response).unwrap();
        proptest::prop_assert_eq!(read.secret().expose(), code);
    }

    #[test]
    fn a_browser_stays_at_home(path in "[/\\\\.@:?#%a-z0-9\t\n ]{0,30}") {
        let base: Url = "https://app.example/".parse().unwrap();
        if ReturnTo::parse(&path, &base).is_ok() {
            let url = base.join(&path).unwrap();
            proptest::prop_assert_eq!(url.origin(), base.origin());
            // And once more, as the browser reads what it was sent.
            let again = base.join(&url[url::Position::BeforePath..]).unwrap();
            proptest::prop_assert_eq!(again.origin(), base.origin());
        }
    }
}

/// OAuth 1.0a: the request token is the state.
mod of_oauth1 {
    use super::*;

    fn oauth1() -> Flow {
        Flow {
            state: "request-token-0123".into(),
            token_secret: Some("request-secret-0123".into()),
            verifier: None,
            ..flow()
        }
    }

    fn checked(encoded: &str) -> Result<Secret> {
        check_verifier(&CallbackParams::parse(encoded)?, &oauth1())
    }

    #[test]
    fn a_verifier_with_the_right_request_token_is_taken() {
        let verifier = checked("oauth_token=request-token-0123&oauth_verifier=v&x=y").unwrap();
        assert_eq!(verifier.expose(), "v");
        let typed = CallbackParams::typed_in("request-token-0123", " 123 456\n").unwrap();
        assert_eq!(
            check_verifier(&typed, &oauth1()).unwrap().expose(),
            "123 456"
        );
    }

    #[test]
    fn a_no_is_understood_in_each_vocabulary() {
        for (encoded, code) in [
            ("denied=request-token-0123", ErrorCode::AccessDenied),
            (
                "oauth_token=request-token-0123&denied=request-token-0123",
                ErrorCode::AccessDenied,
            ),
            (
                "oauth_token=request-token-0123&oauth_problem=permission_denied",
                ErrorCode::AccessDenied,
            ),
            (
                "oauth_token=request-token-0123&oauth_problem=user_refused",
                ErrorCode::AccessDenied,
            ),
            (
                "oauth_token=request-token-0123&error=access_denied",
                ErrorCode::AccessDenied,
            ),
            (
                "oauth_token=request-token-0123&error=server_error",
                ErrorCode::ProviderError,
            ),
        ] {
            let error = checked(encoded).unwrap_err();
            assert_eq!(error.code(), code, "{encoded}");
            assert_eq!(error.client(), Some("op"));
        }
    }

    #[test]
    fn anything_else_is_bad_input() {
        for (encoded, code) in [
            ("", ErrorCode::MissingParameter),
            ("oauth_token=&oauth_verifier=v", ErrorCode::MissingParameter),
            (
                "oauth_token=request-token-0123",
                ErrorCode::MissingParameter,
            ),
            (
                "oauth_token=request-token-0123&oauth_verifier=",
                ErrorCode::MissingParameter,
            ),
            ("error=access_denied", ErrorCode::MissingParameter),
            (
                "oauth_token=another-token-0123&oauth_verifier=v",
                ErrorCode::StateMismatch,
            ),
            (
                "oauth_token=request-token-0123&denied=another",
                ErrorCode::InvalidParameter,
            ),
            (
                "oauth_token=request-token-0123&denied=request-token-0123&oauth_verifier=v",
                ErrorCode::InvalidParameter,
            ),
            (
                "oauth_token=request-token-0123&oauth_token=b",
                ErrorCode::InvalidParameter,
            ),
            (
                "oauth_token=request-token-0123&oauth_verifier=v&oauth_verifier=w",
                ErrorCode::InvalidParameter,
            ),
            (
                "oauth_token=a%00&oauth_verifier=v",
                ErrorCode::InvalidParameter,
            ),
        ] {
            let error = checked(encoded).unwrap_err();
            assert_eq!(error.code(), code, "{encoded}");
        }
        let empty = CallbackParams::typed_in("a", " ").unwrap_err();
        assert_eq!(empty.code(), ErrorCode::MissingParameter);
        let long = CallbackParams::typed_in("a", &"1".repeat(9000)).unwrap_err();
        assert_eq!(long.code(), ErrorCode::InvalidParameter);
    }

    #[test]
    fn what_the_provider_says_comes_back_without_secrets() {
        let encoded = "oauth_token=request-token-0123&error=server_error&error_description=request-secret-0123+is+wrong";
        let error = checked(encoded).unwrap_err();
        let shown = format!("{error:#?}");
        assert!(
            !shown.contains("request-secret-0123") && shown.contains("is wrong"),
            "{shown}"
        );
    }
}
