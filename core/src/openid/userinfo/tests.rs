use serde_json::json;

use super::*;

fn parse(body: &str, subject: Option<&str>) -> Result<Userinfo> {
    Userinfo::about(body.to_owned(), subject)
}

fn code_of(outcome: Result<Userinfo>) -> Option<ErrorCode> {
    outcome.err().map(|error| {
        assert_eq!(error.phase(), Phase::Userinfo);
        assert!(!format!("{error:?}").contains("jane"), "{error:?}");
        error.code()
    })
}

#[test]
fn standard_claims_are_typed_and_unknown_ones_kept() {
    let body = json!({
        "sub": "1", "name": "Jane", "email": "jane@mail.example", "email_verified": "true",
        "locale": {"country": "DE"}, "updated_at": 1_700_000_000.5, "phone_number": 7, "picture": null,
        "address": {"country": "DE"}, "groups": ["a"],
    });
    let info = parse(&body.to_string(), Some("1")).unwrap();
    assert_eq!(info.subject(), Some("1"));
    assert_eq!(
        (info.name(), info.email(), info.email_verified()),
        (Some("Jane"), Some("jane@mail.example"), Some(true))
    );
    assert_eq!(
        (info.locale(), info.phone_number(), info.picture()),
        (None, None, None)
    );
    assert_eq!(
        info.updated_at(),
        Some(crate::Timestamp::from_millis(1_700_000_000_500))
    );
    assert_eq!(info.get("locale"), Some(json!({"country": "DE"})));
    assert_eq!(info.get("groups"), Some(json!(["a"])));
    assert_eq!(info.to_value(), body);
    assert!(!format!("{info:?}").contains("jane"));

    let back: Userinfo = serde_json::from_str(&serde_json::to_string(&info).unwrap()).unwrap();
    assert_eq!(back, info);
    assert_eq!(back.email(), Some("jane@mail.example"));
}

#[test]
fn it_must_be_about_the_user_of_the_id_token() {
    let cases = [
        (r#"{"sub":"1"}"#, Some("1"), None),
        (
            r#"{"sub":"1invalid","email":"jane@x"}"#,
            Some("1"),
            Some(ErrorCode::SubjectMismatch),
        ),
        (
            r#"{"email":"jane@x"}"#,
            Some("1"),
            Some(ErrorCode::MissingClaim),
        ),
        (r#"{"sub":""}"#, Some(""), Some(ErrorCode::MissingClaim)),
        (r#"{"sub":null}"#, Some("1"), Some(ErrorCode::MissingClaim)),
        (r#"{"sub":1}"#, Some("1"), Some(ErrorCode::MissingClaim)),
        (r#"{"sub":["1"]}"#, Some("1"), Some(ErrorCode::MissingClaim)),
        (
            r#"{"sub":"1 "}"#,
            Some("1"),
            Some(ErrorCode::SubjectMismatch),
        ),
        (
            r#"{"sub":"1","\u0073ub":"1"}"#,
            Some("1"),
            Some(ErrorCode::ProviderError),
        ),
        (r#"{"id":1}"#, None, None),
    ];
    for (body, subject, expected) in cases {
        assert_eq!(code_of(parse(body, subject)), expected, "{body}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    for body in [
        "",
        "[]",
        "\"jane\"",
        "{\"sub\":\"jane\"",
        r#"{"sub":"1","sub":"jane"}"#,
        "<html>jane</html>",
    ] {
        assert_eq!(
            code_of(parse(body, None)),
            Some(ErrorCode::ProviderError),
            "{body}"
        );
    }
}
