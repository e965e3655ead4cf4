use serde_json::{Value, json};

use super::*;
use crate::openid::signed::MAX_LEN;
use crate::{
    SigningAlgorithm,
    openid::fixtures::{
        CLIENT_ID, ISSUER, NOW, TestKey, encode, key_set, other_rsa, rsa, rules, secret_token, with,
    },
};

fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": CLIENT_ID,
        "iat": NOW.as_secs(),
        "exp": NOW.as_secs() + 120,
        "jti": "bWJq",
        "sub": "248289761001",
        "sid": "08a5019c-17e1-4977-8f42-65a12843ea02",
        "events": { LOGOUT_EVENT: {} },
    })
}

fn token(claims: &Value) -> String {
    rsa().token(SigningAlgorithm::Rs256, claims)
}

/// What becomes of it; an error is told as it is to the application.
fn outcome(raw: &str, rules: &IdTokenRules) -> Result<LogoutToken, String> {
    let keys = key_set(&[rsa().jwk()]);
    validate(raw, &keys, rules, NOW)
        .map_err(refused)
        .map_err(|error| {
            assert_eq!(error.code(), ErrorCode::InvalidLogoutToken, "{error}");
            assert_eq!(error.phase(), Phase::Logout, "{error}");
            error.message().to_owned()
        })
}

fn changed(members: Value) -> Result<LogoutToken, String> {
    outcome(&token(&with(claims(), members)), &rules())
}

#[test]
fn a_token_that_passes_says_whose_sessions_end() {
    let passed = changed(json!({})).unwrap();
    assert_eq!(passed.issuer, ISSUER);
    assert_eq!(passed.subject.as_deref(), Some("248289761001"));
    assert_eq!(
        passed.sid.as_deref(),
        Some("08a5019c-17e1-4977-8f42-65a12843ea02")
    );
    assert_eq!(passed.id, "bWJq");
    assert_eq!(passed.over_at, NOW + Duration::from_secs(180));
    for fine in [
        json!({"sid": null}),
        json!({"sub": null}),
        json!({"unknown": {"a": [1]}}),
        json!({"aud": [CLIENT_ID]}),
        json!({"events": {LOGOUT_EVENT: {"a": 1}, "urn:another": {}}}),
        json!({"iat": NOW.as_secs() as f64 + 0.5}),
    ] {
        changed(fine.clone()).unwrap_or_else(|message| panic!("{fine}: {message}"));
    }
    let far = changed(json!({"exp": NOW.as_secs() + 1_000_000})).unwrap();
    assert_eq!(far.over_at, NOW + MAX_AGE + Duration::from_secs(60));
}

#[test]
fn the_smallest_wrong_claim_is_refused_and_named() {
    let now = NOW.as_secs();
    let long = "x".repeat(256);
    for (members, said) in [
        (json!({"iss": null}), "no iss"),
        (json!({"iss": "https://login.example/"}), "issued by"),
        (json!({"aud": null}), "no aud"),
        (json!({"aud": "client-2"}), "(aud)"),
        (json!({"aud": []}), "(aud)"),
        (json!({"aud": [CLIENT_ID, "client-2"]}), "not trusted"),
        (json!({"azp": "client-2"}), "(azp)"),
        (
            json!({"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}),
            "trust_audience",
        ),
        (json!({"iat": null}), "no iat"),
        (json!({"iat": now + 61}), "in the future"),
        (json!({"iat": now - 660}), "ten minutes ago"),
        (json!({"exp": null}), "no exp"),
        (json!({"exp": now - 60}), "expired"),
        (json!({"nbf": now + 61}), "(nbf)"),
        (json!({"jti": null}), "no jti"),
        (json!({"jti": ""}), "no jti"),
        (json!({"jti": 7}), "wrong type"),
        (json!({"events": null}), "another kind"),
        (json!({"events": {}}), "another kind"),
        (json!({"events": {"urn:another": {}}}), "another kind"),
        (
            json!({"events": {format!("{LOGOUT_EVENT}/"): {}}}),
            "another kind",
        ),
        (json!({"events": {LOGOUT_EVENT: null}}), "wrong type"),
        (json!({"events": {LOGOUT_EVENT: []}}), "wrong type"),
        (json!({"events": {LOGOUT_EVENT: "{}"}}), "wrong type"),
        (json!({"events": [LOGOUT_EVENT]}), "wrong type"),
        (json!({"events": LOGOUT_EVENT}), "wrong type"),
        (json!({"sub": null, "sid": null}), "neither sub nor sid"),
        (json!({"sub": ""}), "sub or sid"),
        (json!({"sid": ""}), "sub or sid"),
        (json!({"sub": long}), "sub or sid"),
        (json!({"sid": "a\nb"}), "sub or sid"),
        (json!({"sid": 7}), "wrong type"),
        (json!({"nonce": "n-0S6_WzA2Mj"}), "nonce"),
        (json!({"nonce": ""}), "nonce"),
    ] {
        let message = changed(members.clone()).expect_err(&members.to_string());
        assert!(message.contains(said), "{members}: {message}");
    }
}

#[test]
fn the_clock_decides_to_the_second() {
    let now = NOW.as_secs();
    for fine in [
        json!({"iat": now + 60}),
        json!({"iat": now - 659}),
        json!({"exp": now - 59}),
        json!({"nbf": now + 60}),
    ] {
        changed(fine.clone()).unwrap_or_else(|message| panic!("{fine}: {message}"));
    }
}

#[test]
fn a_nonce_that_is_null_is_there() {
    let text = claims().to_string().replacen('{', r#"{"nonce":null,"#, 1);
    let raw = rsa().token_of(
        SigningAlgorithm::Rs256,
        r#"{"alg":"RS256","kid":"rsa"}"#,
        &text,
    );
    assert!(outcome(&raw, &rules()).unwrap_err().contains("nonce"));
}

#[test]
fn a_member_that_occurs_twice_is_refused_wherever_it_stands() {
    let claims = claims().to_string();
    let header = r#"{"alg":"RS256","kid":"rsa"}"#;
    let event = format!(r#""{LOGOUT_EVENT}":{{}}"#);
    for (header, claims) in [
        (header, claims.replacen('{', r#"{"sub":"a","#, 1)),
        (header, claims.replacen('{', r#"{"\u0073id":"a","#, 1)),
        (header, claims.replace(&event, &format!("{event},{event}"))),
        (r#"{"alg":"RS256","kid":"rsa","kid":"rsa"}"#, claims.clone()),
    ] {
        let raw = rsa().token_of(SigningAlgorithm::Rs256, header, &claims);
        let message = outcome(&raw, &rules()).expect_err(&claims);
        assert!(message.contains("twice"), "{message}");
    }
}

#[test]
fn the_header_says_what_kind_of_token_it_is() {
    let text = claims().to_string();
    for (members, refused) in [
        (r#""typ":"logout+jwt""#, None),
        (r#""typ":"application/Logout+JWT""#, None),
        (r#""typ":"JWT""#, None),
        (r#""x":"unknown""#, None),
        (
            r#""jwk":{},"jku":"https://x.example","x5u":"https://x.example""#,
            None,
        ),
        (r#""typ":"at+jwt""#, Some("another kind")),
        (r#""typ":"secevent+jwt""#, Some("another kind")),
        (r#""typ":7"#, Some("header")),
        (r#""cty":"JWT""#, Some("another kind")),
        (r#""crit":["x"],"x":1"#, Some("critical")),
        (r#""crit":[]"#, Some("critical")),
        (r#""enc":"A128GCM""#, Some("encrypted")),
    ] {
        let header = format!(r#"{{"alg":"RS256","kid":"rsa",{members}}}"#);
        let raw = rsa().token_of(SigningAlgorithm::Rs256, &header, &text);
        match (outcome(&raw, &rules()), refused) {
            (Ok(_), None) => {}
            (Err(message), Some(said)) => assert!(message.contains(said), "{members}: {message}"),
            (outcome, _) => panic!("{members}: {outcome:?}"),
        }
    }
}

#[test]
fn only_a_signature_by_an_allowed_algorithm_counts() {
    let good = token(&claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let payload = good.split('.').nth(1).unwrap();
    let none = |alg: &str| {
        let header = encode(format!(r#"{{"alg":"{alg}"}}"#).as_bytes());
        format!("{header}.{payload}.")
    };
    let by_another = other_rsa().token_of(
        SigningAlgorithm::Rs256,
        r#"{"alg":"RS256","kid":"rsa"}"#,
        &claims().to_string(),
    );
    let by_secret = secret_token("a secret that is long enough!!!!", &claims());
    let flipped = {
        let first = if signature.starts_with('A') { "B" } else { "A" };
        format!("{signed}.{first}{}", &signature[1..])
    };
    for (raw, said) in [
        (none("none"), "not allowed"),
        (none("None"), "not allowed"),
        (none("nOnE"), "not allowed"),
        (by_secret, "not allowed"),
        (by_another, "does not verify"),
        (flipped, "does not verify"),
        (format!("{signed}."), "does not verify"),
        (format!("{signed}.!"), "does not verify"),
        (signed.to_owned(), "three parts"),
        (format!("{good}.x.y"), "encrypted"),
        (format!("{good}.x"), "three parts"),
        (String::new(), "three parts"),
        (format!("!.{payload}.{signature}"), "base64url"),
        ("x".repeat(MAX_LEN + 1), "64 KiB"),
    ] {
        let start: String = raw.chars().take(40).collect();
        let message = outcome(&raw, &rules()).expect_err(&start);
        assert!(message.contains(said), "{start}: {message}");
    }
}

#[test]
fn the_algorithms_are_those_of_the_clients_id_tokens() {
    let ec = TestKey::ec("ec", SigningAlgorithm::Es256);
    let keys = key_set(&[rsa().jwk(), ec.jwk()]);
    let mut only_es = rules();
    only_es.algorithms = [SigningAlgorithm::Es256].into_iter().collect();
    let by_ec = ec.token(SigningAlgorithm::Es256, &claims());
    assert!(validate(&by_ec, &keys, &only_es, NOW).is_ok());
    // Its key is in the set, and the signature is good.
    let error = validate(&token(&claims()), &keys, &only_es, NOW).map_err(refused);
    assert!(error.unwrap_err().message().contains("not allowed"));

    let secret = "a secret that is long enough!!!!";
    let mut by_secret = rules();
    by_secret.algorithms = [SigningAlgorithm::Hs256].into_iter().collect();
    by_secret.client_secret = Some(secret.into());
    assert!(outcome(&secret_token(secret, &claims()), &by_secret).is_ok());
    assert!(outcome(&secret_token("another", &claims()), &by_secret).is_err());
}

#[test]
fn no_error_says_anything_of_whom_it_is_about() {
    let message = changed(json!({"sub": "jane\u{7}"})).unwrap_err();
    assert!(!message.contains("jane"), "{message}");
    let message = changed(json!({"jti": ["jane"]})).unwrap_err();
    assert!(!message.contains("jane"), "{message}");
}
