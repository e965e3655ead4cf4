use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::openid::fixtures::{
    CLIENT_ID, ISSUER, NOW, TestKey, claims, encode, key_set, other_rsa, rsa, rules, secret_token,
    with,
};
use crate::openid::{IssuerRule, peek};

fn keys() -> KeySet {
    key_set(&[rsa().jwk()])
}

fn validate_claims(claims: &Value, checks: &IdTokenChecks<'_>) -> Result<IdTokenClaims> {
    validate(
        &rsa().token(SigningAlgorithm::Rs256, claims),
        &keys(),
        &rules(),
        checks,
        NOW,
    )
}

fn code_of(outcome: Result<IdTokenClaims>) -> Option<ErrorCode> {
    outcome.err().map(|error| {
        assert_eq!(error.phase(), Phase::IdToken, "{error}");
        error.code()
    })
}

#[test]
fn a_token_that_passes_gives_its_claims() {
    let claims = with(
        claims(),
        json!({"auth_time": NOW.as_secs() - 30, "acr": "gold", "amr": ["pwd", "otp"], "sid": "s1", "groups": ["a"]}),
    );
    let found = validate_claims(&claims, &IdTokenChecks::new().nonce("n-0S6_WzA2Mj")).unwrap();
    assert_eq!(found.issuer(), ISSUER);
    assert_eq!(found.subject(), "248289761001");
    assert_eq!(found.audience(), [CLIENT_ID]);
    assert_eq!(found.expires_at(), NOW + Duration::from_secs(3600));
    assert_eq!(found.issued_at(), NOW - Duration::from_secs(1));
    assert_eq!(found.auth_time(), Some(NOW - Duration::from_secs(30)));
    assert_eq!(found.acr(), Some("gold"));
    assert_eq!(found.amr(), ["pwd", "otp"]);
    assert_eq!(found.sid(), Some("s1"));
    assert_eq!(found.email(), Some("jane@mail.example"));
    assert_eq!(found.email_verified(), Some(true));
    assert_eq!(found.name(), Some("Jane Doe"));
    assert_eq!(found.picture(), None);
    assert_eq!(found.get("groups"), Some(json!(["a"])));
    assert_eq!(found.get("nothing"), None);
    assert_eq!(found.to_value(), claims);

    let kept = serde_json::to_string(&found).unwrap();
    let back: IdTokenClaims = serde_json::from_str(&kept).unwrap();
    assert_eq!(back, found);
    assert_eq!(back.sid(), Some("s1"));
}

#[test]
fn debug_and_errors_are_free_of_personal_data() {
    let found = validate_claims(&claims(), &IdTokenChecks::new()).unwrap();
    let shown = format!(
        "{found:?} {:?}",
        IdTokenChecks::new()
            .nonce("n-0S6_WzA2Mj")
            .access_token("at-secret")
    );
    for private in ["jane", "Jane", "n-0S6_WzA2Mj", "at-secret"] {
        assert!(!shown.contains(private), "{shown}");
    }
    let unreadable = with(claims(), json!({"exp": "Jane's secret"}));
    let error = validate_claims(&unreadable, &IdTokenChecks::new()).unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("secret"),
        "{error:?}"
    );
}

#[test]
fn every_fault_of_a_claim_has_its_code() {
    use ErrorCode::*;
    let now = NOW.as_secs();
    let none = IdTokenChecks::new;
    let long = "x".repeat(256);
    let longest = "x".repeat(255);
    let cases: Vec<(&str, Value, IdTokenChecks<'_>, Option<ErrorCode>)> = vec![
        ("nothing wrong", json!({}), none(), None),
        ("no iss", json!({"iss": null}), none(), Some(MissingClaim)),
        (
            "other iss",
            json!({"iss": "https://login.example1"}),
            none(),
            Some(IssuerMismatch),
        ),
        (
            "iss with a slash",
            json!({"iss": "https://login.example/"}),
            none(),
            Some(IssuerMismatch),
        ),
        (
            "iss in another case",
            json!({"iss": "https://LOGIN.example"}),
            none(),
            Some(IssuerMismatch),
        ),
        (
            "iss of another type",
            json!({"iss": [ISSUER]}),
            none(),
            Some(InvalidIdToken),
        ),
        ("no sub", json!({"sub": null}), none(), Some(MissingClaim)),
        ("empty sub", json!({"sub": ""}), none(), Some(MissingClaim)),
        ("sub of 255 bytes", json!({"sub": longest}), none(), None),
        (
            "sub of 256 bytes",
            json!({"sub": long}),
            none(),
            Some(InvalidIdToken),
        ),
        (
            "sub with a control character",
            json!({"sub": "a\u{0}b"}),
            none(),
            Some(InvalidIdToken),
        ),
        (
            "sub of another type",
            json!({"sub": 7}),
            none(),
            Some(InvalidIdToken),
        ),
        (
            "sid with a control character",
            json!({"sid": "a\nb"}),
            none(),
            Some(InvalidIdToken),
        ),
        ("no aud", json!({"aud": null}), none(), Some(MissingClaim)),
        (
            "other aud",
            json!({"aud": "client-11"}),
            none(),
            Some(InvalidAudience),
        ),
        (
            "empty aud",
            json!({"aud": []}),
            none(),
            Some(InvalidAudience),
        ),
        ("aud in a list", json!({"aud": [CLIENT_ID]}), none(), None),
        (
            "another aud beside",
            json!({"aud": [CLIENT_ID, "client-11"]}),
            none(),
            Some(InvalidAudience),
        ),
        (
            "another aud beside, with azp",
            json!({"aud": [CLIENT_ID, "client-11"], "azp": CLIENT_ID}),
            none(),
            None,
        ),
        (
            "only azp",
            json!({"aud": "other", "azp": CLIENT_ID}),
            none(),
            Some(InvalidAudience),
        ),
        (
            "azp of another",
            json!({"azp": "client-11"}),
            none(),
            Some(InvalidAudience),
        ),
        ("no exp", json!({"exp": null}), none(), Some(MissingClaim)),
        (
            "expired within the leeway",
            json!({"exp": now - 59}),
            none(),
            None,
        ),
        (
            "expired",
            json!({"exp": now - 60}),
            none(),
            Some(InvalidIdToken),
        ),
        ("exp in a far future", json!({"exp": 1e300}), none(), None),
        (
            "exp before time",
            json!({"exp": -1e300}),
            none(),
            Some(InvalidIdToken),
        ),
        (
            "exp as text",
            json!({"exp": "1900000000"}),
            none(),
            Some(InvalidIdToken),
        ),
        (
            "exp as a fraction",
            json!({"exp": now as f64 + 10.5}),
            none(),
            None,
        ),
        ("no iat", json!({"iat": null}), none(), Some(MissingClaim)),
        (
            "issued ahead within the leeway",
            json!({"iat": now + 60}),
            none(),
            None,
        ),
        (
            "issued ahead",
            json!({"iat": now + 61}),
            none(),
            Some(InvalidIdToken),
        ),
        (
            "valid later, within the leeway",
            json!({"nbf": now + 60}),
            none(),
            None,
        ),
        (
            "valid later",
            json!({"nbf": now + 61}),
            none(),
            Some(InvalidIdToken),
        ),
        (
            "no nonce",
            json!({"nonce": null}),
            none().nonce("n"),
            Some(InvalidNonce),
        ),
        (
            "other nonce",
            json!({"nonce": "n1"}),
            none().nonce("n"),
            Some(InvalidNonce),
        ),
        (
            "longer nonce expected",
            json!({"nonce": "n"}),
            none().nonce("n1"),
            Some(InvalidNonce),
        ),
        (
            "empty nonce",
            json!({"nonce": ""}),
            none().nonce("n"),
            Some(InvalidNonce),
        ),
        ("the nonce", json!({"nonce": "n"}), none().nonce("n"), None),
        (
            "another user",
            json!({}),
            none().subject("248289761002"),
            Some(SubjectMismatch),
        ),
        ("the user", json!({}), none().subject("248289761001"), None),
        (
            "no auth_time",
            json!({}),
            none().max_age(Duration::ZERO),
            Some(MissingClaim),
        ),
        (
            "auth_time of another type",
            json!({"auth_time": "now"}),
            none().max_age(Duration::ZERO),
            Some(MissingClaim),
        ),
        (
            "authenticated long ago",
            json!({"auth_time": now - 161}),
            none().max_age(Duration::from_secs(100)),
            Some(InvalidIdToken),
        ),
        (
            "authenticated in time",
            json!({"auth_time": now - 160}),
            none().max_age(Duration::from_secs(100)),
            None,
        ),
        (
            "no acr",
            json!({}),
            none().acr_values(["gold"]),
            Some(MissingClaim),
        ),
        (
            "other acr",
            json!({"acr": "brass"}),
            none().acr_values(["gold", "silver"]),
            Some(InvalidIdToken),
        ),
        (
            "one of the acr",
            json!({"acr": "silver"}),
            none().acr_values(["gold", "silver"]),
            None,
        ),
        ("no at_hash", json!({}), none().access_token("at"), None),
        (
            "no at_hash from the front channel",
            json!({}),
            none().access_token("at").from_front_channel(),
            Some(MissingClaim),
        ),
        (
            "no c_hash from the front channel",
            json!({}),
            none().code("c").from_front_channel(),
            Some(MissingClaim),
        ),
        (
            "nothing beside from the front channel",
            json!({}),
            none().from_front_channel(),
            None,
        ),
        (
            "other at_hash",
            json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}),
            none().access_token("at"),
            Some(InvalidHash),
        ),
        (
            "empty at_hash",
            json!({"at_hash": ""}),
            none().access_token("at"),
            Some(InvalidHash),
        ),
        (
            "other c_hash",
            json!({"c_hash": "77QmUPtjPfzWtF2AnpK9RQ"}),
            none().code("c"),
            Some(InvalidHash),
        ),
        (
            "at_hash and nothing to compare",
            json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}),
            none(),
            None,
        ),
        (
            "a logout token",
            json!({"events": {LOGOUT: {}}}),
            none(),
            Some(InvalidIdToken),
        ),
        ("some events", json!({"events": ["birthday"]}), none(), None),
    ];
    for (what, change, checks, expected) in cases {
        let outcome = validate_claims(&with(claims(), change), &checks);
        assert_eq!(code_of(outcome), expected, "{what}");
    }
}

const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The examples of OpenID Connect Core, appendices A.4 and A.6.
#[test]
fn hashes_are_those_of_the_specification() {
    let access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    let code = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk";
    let claims = with(
        claims(),
        json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "c_hash": "LDktKdoQak3Pk0cnXxCltA"}),
    );
    let checks = IdTokenChecks::new()
        .access_token(access_token)
        .code(code)
        .from_front_channel();
    validate_claims(&claims, &checks).unwrap();
}

#[test]
fn every_fault_of_a_header_has_its_code() {
    use ErrorCode::*;
    let cases = [
        (r#"{"alg":"RS256","kid":"rsa"}"#, None),
        (r#"{"alg":"RS256"}"#, None),
        (r#"{"alg":"RS256","typ":"jwt"}"#, None),
        (r#"{"alg":"RS256","typ":"application/jwt"}"#, None),
        (
            r#"{"alg":"RS256","kid":"rsa","jku":"https://evil.example","jwk":{"kty":"oct"}}"#,
            None,
        ),
        (r#"{"alg":"none","kid":"rsa"}"#, Some(UnsupportedAlgorithm)),
        (r#"{"alg":"None","kid":"rsa"}"#, Some(UnsupportedAlgorithm)),
        (r#"{"alg":"rs256","kid":"rsa"}"#, Some(UnsupportedAlgorithm)),
        (
            r#"{"alg":"RSA-OAEP","kid":"rsa"}"#,
            Some(UnsupportedAlgorithm),
        ),
        (r#"{"alg":"HS256","kid":"rsa"}"#, Some(UnsupportedAlgorithm)),
        (
            r#"{"alg":"RS256","enc":"A128GCM"}"#,
            Some(UnsupportedAlgorithm),
        ),
        (r#"{"alg":"","kid":"rsa"}"#, Some(UnsupportedAlgorithm)),
        (r#"{"kid":"rsa"}"#, Some(InvalidIdToken)),
        (r#"{"alg":null}"#, Some(InvalidIdToken)),
        (r#"{"alg":["RS256"]}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","alg":"RS256"}"#, Some(InvalidIdToken)),
        (r#"{"alg":"none","\u0061lg":"RS256"}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","x":1,"x":1}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","kid":7}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","crit":["exp"]}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","crit":[]}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","typ":"at+jwt"}"#, Some(InvalidIdToken)),
        (
            r#"{"alg":"RS256","typ":"logout+jwt"}"#,
            Some(InvalidIdToken),
        ),
        (
            r#"{"alg":"RS256","typ":"application/at+jwt"}"#,
            Some(InvalidIdToken),
        ),
        (r#"{"alg":"RS256","cty":"JWT"}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","kid":"unknown"}"#, Some(MissingKey)),
        (r#"{"alg":"ES256","kid":"rsa"}"#, Some(MissingKey)),
        (r#"{"alg":"PS256","kid":"rsa"}"#, Some(InvalidSignature)),
        (r#"["alg","RS256"]"#, Some(InvalidIdToken)),
        (r#""#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256"} {}"#, Some(InvalidIdToken)),
    ];
    for (header, expected) in cases {
        let raw = rsa().token_of(SigningAlgorithm::Rs256, header, &claims().to_string());
        let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
        assert_eq!(code_of(outcome), expected, "{header}");
    }
}

#[test]
fn claims_that_are_no_object_or_doubled_are_refused() {
    let text = claims().to_string();
    let doubled = [
        text.replacen('{', r#"{"sub":"248289761001","#, 1),
        text.replacen('{', r#"{"s\u0075b":"evil","#, 1),
        text.replacen('{', r#"{"unknown":1,"unknown":1,"#, 1),
        format!("[{text}]"),
        format!("{text},"),
        String::new(),
    ];
    for text in doubled {
        let raw = rsa().token_of(SigningAlgorithm::Rs256, r#"{"alg":"RS256"}"#, &text);
        let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
        assert_eq!(code_of(outcome), Some(ErrorCode::InvalidIdToken), "{text}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let token = rsa().token(SigningAlgorithm::Rs256, &claims());
    let unsigned = token.rsplit_once('.').unwrap().0.to_owned();
    let too_long = rsa().token(
        SigningAlgorithm::Rs256,
        &with(claims(), json!({"x": "y".repeat(65_536)})),
    );
    let cases = [
        (String::new(), ErrorCode::InvalidIdToken),
        ("..".to_owned(), ErrorCode::InvalidIdToken),
        (unsigned.clone(), ErrorCode::InvalidIdToken),
        (format!("{unsigned}."), ErrorCode::InvalidSignature),
        (format!("{token}="), ErrorCode::InvalidSignature),
        (format!("{token}\n"), ErrorCode::InvalidSignature),
        (format!(" {token}"), ErrorCode::InvalidIdToken),
        (format!("{token}.x"), ErrorCode::InvalidIdToken),
        (format!("{token}.x.y"), ErrorCode::UnsupportedAlgorithm),
        (format!("{token}.x.y.z"), ErrorCode::InvalidIdToken),
        (too_long, ErrorCode::InvalidIdToken),
    ];
    for (raw, expected) in cases {
        let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
        assert_eq!(code_of(outcome), Some(expected), "{}", excerpt(&raw));
    }
}

#[test]
fn each_algorithm_verifies_and_only_if_it_is_allowed() {
    use SigningAlgorithm::*;
    let curves: Vec<(SigningAlgorithm, TestKey)> = [Es256, Es384, Es512, Es256k]
        .into_iter()
        .map(|a| (a, TestKey::ec("ec", a)))
        .collect();
    let ed = TestKey::ed("ed");
    let mut signers: Vec<(SigningAlgorithm, &TestKey)> = [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512]
        .into_iter()
        .map(|a| (a, rsa()))
        .collect();
    signers.extend(curves.iter().map(|(algorithm, key)| (*algorithm, key)));
    signers.push((EdDsa, &ed));
    for (algorithm, key) in signers {
        let raw = key.token(algorithm, &claims());
        let set = key_set(&[key.jwk()]);
        validate(&raw, &set, &rules(), &IdTokenChecks::new(), NOW).unwrap();

        let mut others = rules();
        others.algorithms = SigningAlgorithm::ALL
            .iter()
            .copied()
            .filter(|a| *a != algorithm)
            .collect();
        let outcome = validate(&raw, &set, &others, &IdTokenChecks::new(), NOW);
        assert_eq!(
            code_of(outcome),
            Some(ErrorCode::UnsupportedAlgorithm),
            "{algorithm}"
        );

        let broken = format!("{}.{}", raw.rsplit_once('.').unwrap().0, encode(&[7; 64]));
        let outcome = validate(&broken, &set, &rules(), &IdTokenChecks::new(), NOW);
        assert_eq!(
            code_of(outcome),
            Some(ErrorCode::InvalidSignature),
            "{algorithm}"
        );
    }
}

#[test]
fn the_client_secret_verifies_only_if_the_registration_says_so() {
    let raw = secret_token("a secret of thirty-two bytes....", &claims());
    let mut rules = rules();
    rules.client_secret = Some("a secret of thirty-two bytes....".into());
    let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::UnsupportedAlgorithm));

    rules.algorithms = [SigningAlgorithm::Hs256].into_iter().collect();
    validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW).unwrap();

    rules.client_secret = Some("another secret".into());
    let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::InvalidSignature));

    rules.client_secret = None;
    let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::UnsupportedAlgorithm));
}

/// The classic confusion: a public key as the secret of an HMAC.
#[test]
fn a_public_key_is_never_a_secret() {
    let mut rules = rules();
    rules.algorithms = [SigningAlgorithm::Hs256, SigningAlgorithm::Rs256]
        .into_iter()
        .collect();
    let jwk = rsa().jwk();
    let raw = secret_token(jwk["n"].as_str().unwrap(), &claims());
    let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::UnsupportedAlgorithm));
}

#[test]
fn trusted_audiences_may_stand_beside_the_client() {
    let raw = rsa().token(
        SigningAlgorithm::Rs256,
        &with(claims(), json!({"aud": ["api", CLIENT_ID]})),
    );
    let mut rules = rules();
    rules.trusted_audiences = vec!["api".to_owned()];
    validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW).unwrap();
}

#[test]
fn a_refreshed_token_is_about_the_same_login() {
    let before = validate_claims(
        &with(
            claims(),
            json!({"aud": [CLIENT_ID, "api"], "azp": CLIENT_ID}),
        ),
        &IdTokenChecks::new(),
    )
    .unwrap();
    let same = json!({"aud": ["api", CLIENT_ID], "azp": CLIENT_ID});
    let cases = [
        ("the same", json!({}), None),
        ("without nonce", json!({"nonce": null}), None),
        (
            "another nonce",
            json!({"nonce": "other"}),
            Some(ErrorCode::InvalidNonce),
        ),
        (
            "another user",
            json!({"sub": "2"}),
            Some(ErrorCode::SubjectMismatch),
        ),
        (
            "fewer audiences",
            json!({"aud": [CLIENT_ID]}),
            Some(ErrorCode::InvalidAudience),
        ),
        (
            "another issuer",
            json!({"iss": "https://evil.example"}),
            Some(ErrorCode::IssuerMismatch),
        ),
    ];
    for (what, change, expected) in cases {
        let claims = with(with(claims(), same.clone()), change);
        let outcome = validate_claims(&claims, &IdTokenChecks::new().refresh_of(&before));
        assert_eq!(code_of(outcome), expected, "{what}");
    }
    // The rules may have been changed since the login.
    let mut rules = rules();
    rules.issuer = IssuerRule::Exact("https://new.example".to_owned());
    let raw = rsa().token(
        SigningAlgorithm::Rs256,
        &with(with(claims(), same), json!({"iss": "https://new.example"})),
    );
    let outcome = validate(
        &raw,
        &keys(),
        &rules,
        &IdTokenChecks::new().refresh_of(&before),
        NOW,
    );
    assert_eq!(code_of(outcome), Some(ErrorCode::IssuerMismatch));
}

#[test]
fn peeking_compares_without_keys() {
    let raw = other_rsa().token(SigningAlgorithm::Rs256, &claims());
    let peeked = peek(&raw).unwrap();
    assert_eq!(peeked.subject.as_deref(), Some("248289761001"));
    assert!(!peeked.differs_from(Some(ISSUER), Some("248289761001"), CLIENT_ID));
    assert!(!peeked.differs_from(None, None, CLIENT_ID));
    assert!(peeked.differs_from(Some("https://evil.example"), None, CLIENT_ID));
    assert!(peeked.differs_from(None, Some("2"), CLIENT_ID));
    assert!(peeked.differs_from(None, None, "client-2"));
    assert_eq!(peek("a.b.c"), None);
    assert_eq!(peek(""), None);
}

#[test]
fn no_single_change_of_a_byte_passes() {
    for key in [
        TestKey::ed("ed"),
        TestKey::ec("ec", SigningAlgorithm::Es256),
    ] {
        let algorithm = if key.kid == "ed" {
            SigningAlgorithm::EdDsa
        } else {
            SigningAlgorithm::Es256
        };
        let raw = key.token(algorithm, &claims());
        let set = key_set(&[key.jwk()]);
        validate(&raw, &set, &rules(), &IdTokenChecks::new(), NOW).unwrap();
        for position in 0..raw.len() {
            for other in [
                b'A',
                b'B',
                b'_',
                b'.',
                b'=',
                b' ',
                raw.as_bytes()[position] ^ 1,
            ] {
                let mut bytes = raw.clone().into_bytes();
                if bytes[position] == other {
                    continue;
                }
                bytes[position] = other;
                let Ok(changed) = String::from_utf8(bytes) else {
                    continue;
                };
                let outcome = validate(&changed, &set, &rules(), &IdTokenChecks::new(), NOW);
                assert!(outcome.is_err(), "byte {position} of {raw}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_validation_panic(raw in "(?s).{0,200}") {
        prop_assert!(validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW).is_err());
        let _ = peek(&raw);
    }

    #[test]
    fn no_parts_make_validation_panic(header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let raw = format!("{}.{}.{}", encode(&header), encode(&payload), encode(&signature));
        prop_assert!(validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW).is_err());
        let _ = peek(&raw);
    }

    #[test]
    fn no_json_makes_the_claims_panic(
        name in prop::sample::select(vec!["iss", "sub", "aud", "azp", "exp", "iat", "nbf", "auth_time", "acr", "amr", "sid", "nonce", "at_hash", "events", "email", "email_verified", "updated_at"]),
        value in arbitrary_json(),
    ) {
        let mut claims = claims();
        claims[name] = value;
        let checks = IdTokenChecks::new().nonce("n").access_token("at");
        let _ = validate_claims(&claims, &checks);
    }
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,5}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}
