use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    SigningAlgorithm,
    openid::fixtures::{
        CLIENT_ID, ISSUER, NOW, key_set, other_rsa, rsa, rules, secret_token, with,
    },
};

fn answer(media: &'static str, body: &[u8]) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    Answer {
        status: StatusCode::OK,
        headers,
        body: body.to_vec(),
    }
}

fn code_of<T>(outcome: Result<T>) -> Option<ErrorCode> {
    outcome.err().map(|error| {
        assert_eq!(error.phase(), Phase::Userinfo);
        assert!(!format!("{error:?}").contains("jane"), "{error:?}");
        error.code()
    })
}

#[test]
fn an_answer_is_what_its_content_type_says() {
    let plain = |text: &str| Ok(UserinfoAnswer::Plain(text.to_owned()));
    let signed = |text: &str| Ok(UserinfoAnswer::Signed(text.to_owned()));
    let bad = || Err(Some(ErrorCode::ProviderError));
    let claims = r#"{"sub":"1"}"#;
    let cases: [(&str, &[u8], Result<UserinfoAnswer, _>); 12] = [
        ("application/json", claims.as_bytes(), plain(claims)),
        (
            "Application/JSON; charset=utf-8",
            claims.as_bytes(),
            plain(claims),
        ),
        ("application/problem+json", claims.as_bytes(), plain(claims)),
        ("application/jwt", b"a.b.c", signed("a.b.c")),
        ("Application/JWT; x=y", b"a.b.c\n", signed("a.b.c")),
        ("application/jwtx", b"a.b.c", bad()),
        ("text/html", claims.as_bytes(), bad()),
        ("text/plain", claims.as_bytes(), bad()),
        ("application/json", b"a.b.c", bad()),
        ("application/json", br#"{"sub":"1","sub":"jane"}"#, bad()),
        ("application/json", b"{\"sub\":\"\xff\"}", bad()),
        ("application/jwt", b"\xff", bad()),
    ];
    for (media, body, expected) in cases {
        let found = UserinfoAnswer::read(answer(media, body), false);
        let found = found.map_err(|error| code_of(Err::<(), _>(error)));
        assert_eq!(found, expected, "{media} {body:?}");
    }
    // Where it must be signed, nothing else is read.
    for media in ["application/json", "text/html"] {
        let found = UserinfoAnswer::read(answer(media, claims.as_bytes()), true);
        assert_eq!(code_of(found), Some(ErrorCode::InvalidSignature), "{media}");
    }
    let found = UserinfoAnswer::read(answer("application/jwt", b"a.b.c"), true);
    assert_eq!(code_of(found), None);
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": CLIENT_ID, "sub": "1", "email": "jane@mail.example"})
}

fn verified(raw: &str, is_compared: bool) -> Result<String> {
    verify(raw, &key_set(&[rsa().jwk()]), &rules(), is_compared, NOW)
}

#[test]
fn every_fault_of_signed_claims_has_its_code() {
    use ErrorCode::*;
    let now = NOW.as_secs();
    // With an ID token to compare with, and without.
    let cases: Vec<(Value, Option<ErrorCode>, Option<ErrorCode>)> = vec![
        (json!({}), None, None),
        (json!({"iss": null}), None, Some(MissingClaim)),
        (json!({"aud": null}), None, Some(MissingClaim)),
        (
            json!({"iss": "https://evil.example"}),
            Some(IssuerMismatch),
            Some(IssuerMismatch),
        ),
        (
            json!({"iss": format!("{ISSUER}/")}),
            Some(IssuerMismatch),
            Some(IssuerMismatch),
        ),
        (json!({"iss": 7}), Some(ProviderError), Some(ProviderError)),
        (
            json!({"aud": "another"}),
            Some(InvalidAudience),
            Some(InvalidAudience),
        ),
        (
            json!({"aud": []}),
            Some(InvalidAudience),
            Some(InvalidAudience),
        ),
        (json!({"aud": ["another", CLIENT_ID]}), None, None),
        (json!({"exp": now - 59}), None, None),
        (
            json!({"exp": now - 60}),
            Some(ProviderError),
            Some(ProviderError),
        ),
        (
            json!({"exp": "later"}),
            Some(ProviderError),
            Some(ProviderError),
        ),
        (json!({"nbf": now + 60}), None, None),
        (
            json!({"nbf": now + 61}),
            Some(ProviderError),
            Some(ProviderError),
        ),
        (json!({"iat": now + 60}), None, None),
        (
            json!({"iat": now + 61}),
            Some(ProviderError),
            Some(ProviderError),
        ),
        (
            json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
            Some(ProviderError),
            Some(ProviderError),
        ),
    ];
    for (change, compared, alone) in cases {
        let claims = with(claims(), change.clone());
        let raw = rsa().token(SigningAlgorithm::Rs256, &claims);
        assert_eq!(code_of(verified(&raw, true)), compared, "{change}");
        assert_eq!(code_of(verified(&raw, false)), alone, "{change}");
    }
    let raw = rsa().token(SigningAlgorithm::Rs256, &claims());
    let read: Value = serde_json::from_str(&verified(&raw, true).unwrap()).unwrap();
    assert_eq!(read, claims());
}

#[test]
fn every_fault_of_a_signature_has_its_code() {
    use ErrorCode::*;
    let text = claims().to_string();
    let of = |header: &str| rsa().token_of(SigningAlgorithm::Rs256, header, &text);
    let good = of(r#"{"alg":"RS256"}"#);
    let doubled = text.replacen('{', r#"{"sub":"2","#, 1);
    let cases = [
        (good.clone(), None),
        (of(r#"{"alg":"RS256","typ":"JWT"}"#), None),
        (of(r#"{"alg":"none"}"#), Some(UnsupportedAlgorithm)),
        (of(r#"{"alg":"RS256","typ":"at+jwt"}"#), Some(ProviderError)),
        (
            of(r#"{"alg":"RS256","typ":"logout+jwt"}"#),
            Some(ProviderError),
        ),
        (
            of(r#"{"alg":"RS256","typ":"token-introspection+jwt"}"#),
            Some(ProviderError),
        ),
        (of(r#"{"alg":"RS256","cty":"JWT"}"#), Some(ProviderError)),
        (
            of(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#),
            Some(ProviderError),
        ),
        (of(r#"{"alg":"RS256","kid":"unknown"}"#), Some(MissingKey)),
        (
            other_rsa().token_of(SigningAlgorithm::Rs256, r#"{"alg":"RS256"}"#, &text),
            Some(InvalidSignature),
        ),
        (
            secret_token("a secret of thirty-two bytes....", &claims()),
            Some(UnsupportedAlgorithm),
        ),
        (
            rsa().token_of(SigningAlgorithm::Rs256, r#"{"alg":"RS256"}"#, &doubled),
            Some(ProviderError),
        ),
        (format!("{good}.x.y"), Some(UnsupportedAlgorithm)),
        (
            good.rsplit_once('.').unwrap().0.to_owned(),
            Some(ProviderError),
        ),
        (String::new(), Some(ProviderError)),
    ];
    for (raw, expected) in cases {
        assert_eq!(code_of(verified(&raw, true)), expected, "{raw}");
    }
    let encrypted = verified(&format!("{good}.x.y"), true).unwrap_err();
    assert!(
        encrypted.message().contains("without encryption"),
        "{encrypted}"
    );
}

#[test]
fn only_the_algorithm_that_is_registered_counts() {
    let raw = rsa().token(SigningAlgorithm::Ps256, &claims());
    let mut rules = rules();
    rules.algorithms = [SigningAlgorithm::Rs256].into_iter().collect();
    let outcome = verify(&raw, &key_set(&[rsa().jwk()]), &rules, true, NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::UnsupportedAlgorithm));

    let secret = "a secret of thirty-two bytes....";
    rules.algorithms = [SigningAlgorithm::Hs256].into_iter().collect();
    rules.client_secret = Some(secret.into());
    let raw = secret_token(secret, &claims());
    verify(&raw, &key_set(&[]), &rules, true, NOW).unwrap();
}
