use reqwest::{StatusCode, header::HeaderMap};
use serde_json::json;

use super::*;

fn answer(body: &str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    Answer {
        status: StatusCode::OK,
        headers,
        body: body.into(),
    }
}

fn endpoint() -> Url {
    "https://op.example/device".parse().unwrap()
}

/// A good answer, with one member changed.
fn with(name: &str, value: Value) -> Result<Codes> {
    let mut body = json!({
        "device_code": "the device's code", "user_code": "WDJB-MJHT", "expires_in": 1800, "interval": 7,
        "verification_uri": "https://op.example/activate",
        "verification_uri_complete": "https://op.example/activate?user_code=WDJB-MJHT",
    });
    body[name] = value;
    Codes::read(&answer(&body.to_string()), &endpoint())
}

#[track_caller]
fn refused(codes: Result<Codes>) -> String {
    let Err(error) = codes else {
        panic!("it was taken");
    };
    assert_eq!(error.code(), ErrorCode::ProviderError);
    assert_eq!(error.phase(), Phase::Authorize);
    assert!(!error.message().contains("the device's code"));
    error.message().to_owned()
}

#[test]
fn times_are_bounded_whatever_the_provider_says() {
    let seconds = Duration::from_secs;
    for (said, taken) in [
        (json!(1800), seconds(1800)),
        (json!("1800"), seconds(1800)),
        (json!(1.5), Duration::from_millis(1500)),
        (json!(3601), seconds(3600)),
        (json!(1e300), seconds(3600)),
        (json!(u64::MAX), seconds(3600)),
    ] {
        assert_eq!(with("expires_in", said).unwrap().life, taken);
    }
    for nothing in [
        json!(0),
        json!(-5),
        json!("soon"),
        json!("NaN"),
        Value::Null,
        json!([]),
    ] {
        assert!(refused(with("expires_in", nothing)).contains("expires_in"));
    }
    for (said, taken) in [
        (json!(7), 7),
        (json!("7"), 7),
        (json!(1), 1),
        (json!(61), 60),
        (json!(1e300), 60),
        // The specification's, where nothing usable is said: nobody is asked without a pause.
        (json!(0), 5),
        (json!(-1), 5),
        (json!(0.001), 5),
        (json!("often"), 5),
        (Value::Null, 5),
    ] {
        assert_eq!(with("interval", said).unwrap().interval, seconds(taken));
    }
}

#[test]
fn nobody_is_sent_to_what_is_no_https_address() {
    for uri in [
        "http://op.example/activate",
        "http://127.0.0.1/activate",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//op.example/activate",
        "https://op.example@evil.example/",
        "https://:x@evil.example/",
        "",
        &format!("https://op.example/{}", "x".repeat(2048)),
    ] {
        refused(with("verification_uri", json!(uri)));
        if !uri.is_empty() {
            refused(with("verification_uri_complete", json!(uri)));
        }
    }
    refused(with("verification_uri", json!(7)));
    let codes = with("verification_uri_complete", Value::Null).unwrap();
    assert_eq!(codes.verification_uri_complete, None);
    // A provider on this machine has its pages on it.
    let body = json!({
        "device_code": "d", "user_code": "u", "expires_in": 60,
        "verification_uri": "http://127.0.0.1:8080/activate",
    });
    let here = "http://127.0.0.1:8080/device".parse().unwrap();
    assert!(Codes::read(&answer(&body.to_string()), &here).is_ok());
    for elsewhere in ["javascript:alert(1)", "http://op.example/activate"] {
        let body = body.to_string();
        let body = body.replace("http://127.0.0.1:8080/activate", elsewhere);
        refused(Codes::read(&answer(&body), &here));
    }
}

#[test]
fn a_code_is_what_can_be_typed_and_shown() {
    for code in [
        "",
        " ",
        "A\u{1b}[2J",
        "A\r\nB",
        "A\u{0}",
        "A\u{202e}B",
        "\u{7f}",
        "WDJB\u{a0}MJHT",
        &"A".repeat(65),
    ] {
        refused(with("user_code", json!(code)));
    }
    assert_eq!(
        with("user_code", json!("WDJB MJHT")).unwrap().user_code,
        "WDJB MJHT"
    );
    for code in [json!(""), json!("a\nb"), json!(7), Value::Null] {
        refused(with("device_code", code));
    }
}

#[test]
fn an_answer_is_one_json_object() {
    for body in [
        "",
        "[]",
        "<html>",
        "device_code=a&user_code=b",
        r#"{"device_code": "a", "device_code": "b"}"#,
    ] {
        refused(Codes::read(&answer(body), &endpoint()));
    }
    let body = json!({
        "device_code": "d", "user_code": "u", "expires_in": 60, "verification_url": "https://www.google.com/device",
    });
    let mut page = answer(&body.to_string());
    // Google's name for the address.
    let codes = Codes::read(&page, &endpoint()).unwrap();
    assert_eq!(
        codes.verification_uri.as_str(),
        "https://www.google.com/device"
    );
    page.headers
        .insert("content-type", "text/html".parse().unwrap());
    refused(Codes::read(&page, &endpoint()));
}
