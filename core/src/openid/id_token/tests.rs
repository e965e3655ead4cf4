use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::openid::fixtures::{
    CLIENT_ID, ISSUER, NOW, TestKey, claims, encode, hmac_token, jwks, key_set, other_rsa, rsa,
    rules, secret_token, with,
};

/// The letters of base64url, in their order.
const URL_SAFE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
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
            Some(InvalidAudience),
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
        (r#"{"alg":"RS256","crit":"exp"}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","crit":null}"#, Some(InvalidIdToken)),
        (
            r#"{"alg":"RS256","crit":["b64"],"b64":true}"#,
            Some(InvalidIdToken),
        ),
        (r#"{"alg":"RS256","b64":false}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","b64":null}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","b64":"x"}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","b64":true}"#, None),
        (
            r#"{"alg":"dir","enc":"A128GCM","zip":"DEF"}"#,
            Some(UnsupportedAlgorithm),
        ),
        // Of encryption only: here it means nothing, and nothing is ever unpacked.
        (r#"{"alg":"RS256","zip":"DEF"}"#, None),
        (
            r#"{"alg":"RS256","typ":"secevent+jwt"}"#,
            Some(InvalidIdToken),
        ),
        (r#"{"alg":"RS256","typ":""}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","typ":7}"#, Some(InvalidIdToken)),
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
        text.replacen('{', r#"{"\u0073ub":"evil","#, 1),
        text.replacen('{', r#"{"\u0061\u0075\u0064":"evil","#, 1),
        text.replacen('{', r#"{"e\u0078p":9e9,"#, 1),
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

    rules.client_secret = Some("another secret of thirty-two bytes".into());
    let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::InvalidSignature));

    // Nobody needs to be told a secret that is short enough to be guessed, or none at all.
    for short in [
        Some("a secret of thirty-one bytes..."),
        Some("x"),
        Some(""),
        None,
    ] {
        let raw = secret_token(short.unwrap_or_default(), &claims());
        rules.client_secret = short.map(Into::into);
        let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
        assert_eq!(
            code_of(outcome),
            Some(ErrorCode::UnsupportedAlgorithm),
            "{short:?}"
        );
    }
}

/// The classic confusion: a public key as the secret of an HMAC, in every form that somebody might take for a secret.
#[test]
fn a_public_key_is_never_a_secret() {
    use SigningAlgorithm::{Hs256, Rs256};
    let jwk = rsa().jwk();
    let modulus = jwk["n"].as_str().unwrap();
    // SubjectPublicKeyInfo of an RSA key of 2,048 bits: a fixed beginning, the modulus, the exponent.
    let mut der = STANDARD
        .decode("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA")
        .unwrap();
    der.extend(URL_SAFE_NO_PAD.decode(modulus).unwrap());
    der.extend([2, 3, 1, 0, 1]);
    let base64 = STANDARD.encode(&der);
    let lines: Vec<&str> = (0..base64.len())
        .step_by(64)
        .map(|at| &base64[at..base64.len().min(at + 64)])
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
        lines.join("\n")
    );
    let forms: Vec<Vec<u8>> = vec![
        modulus.into(),
        URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        jwk.to_string().into(),
        jwks(&[jwk]),
        der[24..].to_vec(),
        der,
        base64.into(),
        format!("{pem}\n").into(),
        pem.into(),
    ];
    let mut mixed = rules();
    mixed.algorithms = [Hs256, Rs256].into_iter().collect();
    let mut with_secret = mixed.clone();
    with_secret.client_secret = Some("a secret of thirty-two bytes....".into());
    for form in forms {
        let raw = hmac_token(&form, r#"{"alg":"HS256","kid":"rsa"}"#, &claims());
        for (rules, expected) in [
            (rules(), ErrorCode::UnsupportedAlgorithm),
            (mixed.clone(), ErrorCode::UnsupportedAlgorithm),
            (with_secret.clone(), ErrorCode::InvalidSignature),
        ] {
            let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
            assert_eq!(code_of(outcome), Some(expected));
        }
    }
}

/// Without a signature nothing is an ID token, however `none` is spelled, and whatever stands in the signature's place.
#[test]
fn none_is_no_algorithm_in_any_spelling() {
    let good = rsa().token(SigningAlgorithm::Rs256, &claims());
    let signature = good.rsplit_once('.').unwrap().1;
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        " none",
        "none\t",
        "none\u{0}",
        "ｎｏｎｅ",
        "null",
        "",
        "HS0",
        "RS256 ",
        "rs256",
        "Rs256",
        "RS-256",
        "SHA256",
        "RS1",
        "RSA1_5",
        "dir",
    ] {
        let header = json!({"alg": name, "kid": "rsa"}).to_string();
        let unsigned = format!(
            "{}.{}.",
            encode(header.as_bytes()),
            encode(claims().to_string().as_bytes())
        );
        for raw in [
            unsigned.clone(),
            format!("{unsigned}{signature}"),
            rsa().token_of(SigningAlgorithm::Rs256, &header, &claims().to_string()),
        ] {
            let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
            assert_eq!(
                code_of(outcome),
                Some(ErrorCode::UnsupportedAlgorithm),
                "{name:?}"
            );
        }
    }
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let header = json!({"alg": algorithm}).to_string();
        let ed = TestKey::ed("ed");
        let ec = TestKey::ec("ec", SigningAlgorithm::Es256);
        let set = key_set(&[rsa().jwk(), ed.jwk(), ec.jwk()]);
        for signature in ["", "AA", &encode(&[0; 64]), &encode(&[0; 256]), signature] {
            let raw = format!(
                "{}.{}.{signature}",
                encode(header.as_bytes()),
                encode(claims().to_string().as_bytes())
            );
            let outcome = validate(&raw, &set, &rules(), &IdTokenChecks::new(), NOW);
            assert_eq!(
                code_of(outcome),
                Some(ErrorCode::InvalidSignature),
                "{algorithm} {signature}"
            );
        }
    }
}

/// A token that brings its key, or says where it is, is verified by the provider's all the same.
#[test]
fn keys_of_the_token_s_own_are_never_looked_at() {
    let own = other_rsa().jwk();
    for (member, value) in [
        ("jwk", own.clone()),
        ("jwk", json!({"keys": [own]})),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/chain.pem")),
        ("x5c", json!([STANDARD.encode("a certificate")])),
        ("x5t", json!("dGh1bWI")),
        ("x5t#S256", json!("dGh1bWI")),
        ("keys", json!([own])),
    ] {
        for (kid, expected) in [
            (json!("rsa"), ErrorCode::InvalidSignature),
            (json!(null), ErrorCode::InvalidSignature),
            (json!("other-rsa"), ErrorCode::MissingKey),
        ] {
            let header = with(
                json!({"alg": "RS256", member: value.clone()}),
                json!({"kid": kid}),
            );
            let (header, claims) = (header.to_string(), claims().to_string());
            let raw = other_rsa().token_of(SigningAlgorithm::Rs256, &header, &claims);
            let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
            assert_eq!(code_of(outcome), Some(expected), "{header}");
        }
        // And they do not disturb a good one.
        let header = json!({"alg": "RS256", "kid": "rsa", member: value}).to_string();
        let raw = rsa().token_of(SigningAlgorithm::Rs256, &header, &claims().to_string());
        validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW).unwrap();
    }
}

/// One token has one spelling: nothing about its text can be changed, so that no two texts are the same token.
#[test]
fn base64_is_read_in_one_spelling_only() {
    let ed = TestKey::ed("ed");
    let set = key_set(&[ed.jwk()]);
    // 64 bytes leave four bits over; a length of 3n + 1 leaves four, one of 3n + 2 two.
    let header = r#"{"alg":"EdDSA"}  "#;
    assert_eq!(header.len() % 3, 2);
    let raw = ed.token_of(SigningAlgorithm::EdDsa, header, &claims().to_string());
    validate(&raw, &set, &rules(), &IdTokenChecks::new(), NOW).unwrap();
    let parts: Vec<&str> = raw.split('.').collect();
    let loose = |part: &str| {
        let last = URL_SAFE.find(part.chars().last().unwrap()).unwrap();
        let next = URL_SAFE.as_bytes()[last + 1];
        format!("{}{}", &part[..part.len() - 1], char::from(next))
    };
    for change in 0..3 {
        for spell in [
            |part: &str| format!("{part}="),
            |part: &str| format!("{part}=="),
            |part: &str| format!("{part} "),
            |part: &str| format!(" {part}"),
            |part: &str| format!("{part}\n"),
            |part: &str| format!("{}\r\n{}", &part[..4], &part[4..]),
            |part: &str| format!("{part}A"),
            |part: &str| format!("{}+{}", &part[..4], &part[4..]),
        ] {
            let mut changed: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            changed[change] = spell(parts[change]);
            let outcome = validate(
                &changed.join("."),
                &set,
                &rules(),
                &IdTokenChecks::new(),
                NOW,
            );
            assert!(outcome.is_err(), "{changed:?}");
        }
    }
    // Bits behind the last byte.
    let changed = format!("{}.{}.{}", parts[0], parts[1], loose(parts[2]));
    let outcome = validate(&changed, &set, &rules(), &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::InvalidSignature));
    for part in [0, 1] {
        let mut changed: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        changed[part] = loose(parts[part]);
        // Signed as it is spelled: only the reader of base64 can refuse it.
        let signed = format!("{}.{}", changed[0], changed[1]);
        let signature = encode(&ed.sign(SigningAlgorithm::EdDsa, signed.as_bytes()));
        let raw = format!("{signed}.{signature}");
        let outcome = validate(&raw, &set, &rules(), &IdTokenChecks::new(), NOW);
        assert_eq!(code_of(outcome), Some(ErrorCode::InvalidIdToken), "{raw}");
    }
}

#[test]
fn claims_are_of_their_types() {
    let wrong = [
        json!(true),
        json!(7),
        json!(-1),
        json!(1.5),
        json!("text"),
        json!([]),
        json!([7]),
        json!([["client-1"]]),
        json!({}),
        json!({"client-1": "client-1"}),
    ];
    let checks = || {
        IdTokenChecks::new()
            .access_token("at")
            .code("c")
            .nonce("n-0S6_WzA2Mj")
    };
    for (claim, fits) in [
        ("iss", &[4][..]),
        ("sub", &[4]),
        ("aud", &[4, 5]),
        ("azp", &[4]),
        ("exp", &[1, 2, 3]),
        ("iat", &[1, 2, 3]),
        ("nbf", &[1, 2, 3]),
        ("nonce", &[4]),
        ("at_hash", &[4]),
        ("c_hash", &[4]),
    ] {
        for (position, value) in wrong.iter().enumerate() {
            if fits.contains(&position) {
                continue;
            }
            let outcome = validate_claims(&with(claims(), json!({claim: value})), &checks());
            assert_eq!(
                code_of(outcome),
                Some(ErrorCode::InvalidIdToken),
                "{claim}: {value}"
            );
        }
    }
    // What is asked for and cannot be read is missing.
    for value in &wrong {
        for (claim, checks) in [
            ("auth_time", IdTokenChecks::new().max_age(Duration::ZERO)),
            ("acr", IdTokenChecks::new().acr_values(["gold"])),
        ] {
            let claims = with(claims(), json!({claim: value}));
            assert!(
                validate_claims(&claims, &checks).is_err(),
                "{claim}: {value}"
            );
        }
    }
}

/// Times as text, for numbers that no JSON value of ours could hold.
#[test]
fn times_are_compared_at_their_edges() {
    use ErrorCode::InvalidIdToken as Invalid;
    let now = NOW.as_secs();
    let at = |offset: i64| (now + offset).to_string();
    let cases = [
        ("exp", at(-59), None),
        ("exp", at(-60), Some(Invalid)),
        ("exp", format!("{}.001", now - 60), None),
        ("exp", format!("{}.999", now - 61), Some(Invalid)),
        ("exp", "0".to_owned(), Some(Invalid)),
        ("exp", "-0".to_owned(), Some(Invalid)),
        ("exp", "-1".to_owned(), Some(Invalid)),
        ("exp", "1e308".to_owned(), None),
        ("exp", "-1e308".to_owned(), Some(Invalid)),
        ("exp", "1e309".to_owned(), Some(Invalid)),
        ("exp", "9223372036854775807".to_owned(), None),
        ("exp", "18446744073709551615".to_owned(), None),
        ("exp", "99999999999999999999999".to_owned(), None),
        ("exp", "-9223372036854775808".to_owned(), Some(Invalid)),
        ("exp", "NaN".to_owned(), Some(Invalid)),
        ("exp", "Infinity".to_owned(), Some(Invalid)),
        ("exp", "\"1900000000\"".to_owned(), Some(Invalid)),
        ("exp", format!("0{now}"), Some(Invalid)),
        ("exp", "0x7fffffff".to_owned(), Some(Invalid)),
        ("iat", at(60), None),
        ("iat", at(61), Some(Invalid)),
        ("iat", format!("{}.001", now + 60), Some(Invalid)),
        ("iat", "1e308".to_owned(), Some(Invalid)),
        ("iat", "9223372036854775807".to_owned(), Some(Invalid)),
        ("iat", "-1e308".to_owned(), None),
        ("iat", "0".to_owned(), None),
        ("nbf", at(60), None),
        ("nbf", at(61), Some(Invalid)),
        ("nbf", "1e308".to_owned(), Some(Invalid)),
        ("nbf", "-1".to_owned(), None),
        ("auth_time", at(-160), None),
        ("auth_time", at(-161), Some(Invalid)),
        ("auth_time", "-1e308".to_owned(), Some(Invalid)),
        // From the future: whoever says that is not to be believed about the past either.
        ("auth_time", at(60), None),
        ("auth_time", at(61), Some(Invalid)),
        ("auth_time", "1e308".to_owned(), Some(Invalid)),
    ];
    let checks = IdTokenChecks::new().max_age(Duration::from_secs(100));
    for (claim, time, expected) in cases {
        let mut others = with(claims(), json!({"auth_time": now}));
        others.as_object_mut().unwrap().remove(claim);
        let text = others
            .to_string()
            .replacen('{', &format!("{{\"{claim}\":{time},"), 1);
        let raw = rsa().token_of(SigningAlgorithm::Rs256, r#"{"alg":"RS256"}"#, &text);
        let outcome = validate(&raw, &keys(), &rules(), &checks, NOW);
        assert_eq!(code_of(outcome), expected, "{claim} {time}");
    }
}

/// OpenID Connect Core lets a client refuse old tokens (section 3.1.3.7, step 10). The nonce says that it is this login's;
/// who wants more says so.
#[test]
fn a_token_of_last_week_is_taken_while_it_lasts() {
    let old = with(claims(), json!({"iat": NOW.as_secs() - 7 * 24 * 3600}));
    validate_claims(&old, &IdTokenChecks::new()).unwrap();

    let mut rules = rules();
    rules.claim_checks.push(|claims: &IdTokenClaims| {
        if NOW.since(claims.issued_at()) > Duration::from_secs(600) {
            return Err("too old");
        }
        Ok(())
    });
    let raw = rsa().token(SigningAlgorithm::Rs256, &old);
    let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::OwnerRefused));
}

#[test]
fn hashes_are_by_the_hash_of_the_algorithm() {
    use SigningAlgorithm::*;
    let ed = TestKey::ed("ed");
    for algorithm in SigningAlgorithm::ALL.iter().copied() {
        let (full, half) = match algorithm {
            Rs256 | Ps256 | Es256 | Es256k | Hs256 => (&digest::SHA256, 16),
            Rs384 | Ps384 | Es384 | Hs384 => (&digest::SHA384, 24),
            _ => (&digest::SHA512, 32),
        };
        let hash = digest::digest(full, b"at");
        let left = encode(&hash.as_ref()[..half]);
        let wrong = [
            encode(hash.as_ref()),
            encode(&hash.as_ref()[half..]),
            encode(&hash.as_ref()[..half - 1]),
            format!("{left}="),
            left.to_ascii_lowercase(),
        ];
        let ec;
        let key = match algorithm {
            Hs256 | Hs384 | Hs512 => continue,
            EdDsa => &ed,
            Es256 | Es384 | Es512 | Es256k => {
                ec = TestKey::ec("ec", algorithm);
                &ec
            }
            _ => rsa(),
        };
        let set = key_set(&[key.jwk()]);
        let checks = IdTokenChecks::new().access_token("at").code("at");
        for claim in ["at_hash", "c_hash"] {
            let validated = |hash: &str| {
                let raw = key.token(algorithm, &with(claims(), json!({claim: hash})));
                code_of(validate(&raw, &set, &rules(), &checks, NOW))
            };
            assert_eq!(validated(&left), None, "{algorithm} {claim}");
            for hash in &wrong {
                assert_eq!(
                    validated(hash),
                    Some(ErrorCode::InvalidHash),
                    "{algorithm} {hash}"
                );
            }
        }
    }
}

#[test]
fn claims_are_bounded_in_depth_and_length() {
    let nested = |open: &str, close: &str, depth: usize| {
        let value = format!("{}{}", open.repeat(depth), close.repeat(depth));
        claims()
            .to_string()
            .replacen('{', &format!("{{\"x\":{value},"), 1)
    };
    for (text, expected) in [
        (nested("[", "]", 99), None),
        (nested("[", "]", 100), Some(ErrorCode::InvalidIdToken)),
        (nested("[", "]", 20_000), Some(ErrorCode::InvalidIdToken)),
        (
            nested("{\"a\":", "}", 5_000).replace(":}", ":1}"),
            Some(ErrorCode::InvalidIdToken),
        ),
        // Many, and none deep; and brackets that are text.
        (
            with(claims(), json!({"groups": vec![json!([]); 5_000]})).to_string(),
            None,
        ),
        (
            with(claims(), json!({"groups": "[\\\"{".repeat(1_000)})).to_string(),
            None,
        ),
        (
            with(claims(), json!({"x": "y".repeat(47_000)})).to_string(),
            None,
        ),
        (
            with(claims(), json!({"x": "y".repeat(49_200)})).to_string(),
            Some(ErrorCode::InvalidIdToken),
        ),
    ] {
        let raw = rsa().token_of(SigningAlgorithm::Rs256, r#"{"alg":"RS256"}"#, &text);
        let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
        if let Ok(claims) = &outcome {
            // Whatever is taken can be read.
            assert!(claims.to_value().is_object());
        }
        assert_eq!(code_of(outcome), expected, "{}", excerpt(&text));
    }
    let header = format!(
        r#"{{"alg":"RS256","x":{}{}}}"#,
        "[".repeat(9_000),
        "]".repeat(9_000)
    );
    let raw = rsa().token_of(SigningAlgorithm::Rs256, &header, &claims().to_string());
    let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::InvalidIdToken));
}

/// A check of the application's own adds to the others and takes the place of none (W4 to W6 of Authlib's faults).
#[test]
fn own_checks_come_after_all_others_and_replace_none() {
    let seen = Arc::new(AtomicUsize::new(0));
    let mut rules = rules();
    for _ in 0..2 {
        let seen = Arc::clone(&seen);
        rules.claim_checks.push(move |_: &IdTokenClaims| {
            seen.fetch_add(1, Ordering::Relaxed);
            Ok::<_, &str>(())
        });
    }
    let outcome = |rules: &IdTokenRules, change: Value| {
        let raw = rsa().token(SigningAlgorithm::Rs256, &with(claims(), change));
        let checks = IdTokenChecks::new()
            .access_token("at")
            .nonce("n-0S6_WzA2Mj");
        validate(&raw, &keys(), rules, &checks, NOW)
    };
    for (change, code) in [
        (
            json!({"iss": "https://evil.example"}),
            ErrorCode::IssuerMismatch,
        ),
        (json!({"aud": "another"}), ErrorCode::InvalidAudience),
        (json!({"exp": 1}), ErrorCode::InvalidIdToken),
        (
            json!({"nonce": "x", "nonce_supported": false}),
            ErrorCode::InvalidNonce,
        ),
        (
            json!({"nonce": null, "nonce_supported": false}),
            ErrorCode::InvalidNonce,
        ),
        (json!({"at_hash": "x"}), ErrorCode::InvalidHash),
        (json!({"sub": null}), ErrorCode::MissingClaim),
    ] {
        assert_eq!(code_of(outcome(&rules, change)), Some(code));
    }
    assert_eq!(seen.load(Ordering::Relaxed), 0);
    // The same rules check every token, not only the first.
    outcome(&rules, json!({})).unwrap();
    outcome(&rules, json!({})).unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 4);

    rules
        .claim_checks
        .push(|_: &IdTokenClaims| Err("the closure's own words"));
    let error = outcome(&rules, json!({})).unwrap_err();
    assert_eq!(error.code(), ErrorCode::OwnerRefused);
    assert!(!error.to_string().contains("own words"), "{error}");
    assert!(format!("{error:?}").contains("own words"), "{error:?}");

    let mut rules = IdTokenRules::new(rules.issuer.clone(), CLIENT_ID);
    rules.claim_checks.push(|claims: &IdTokenClaims| {
        assert!(claims.get("hd").is_some(), "a panic of the closure");
        Ok::<_, &str>(())
    });
    assert_eq!(
        code_of(outcome(&rules, json!({}))),
        Some(ErrorCode::OwnerRefused)
    );
    assert_eq!(code_of(outcome(&rules, json!({"hd": "x"}))), None);
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
    let mut rules = rules();
    rules.trusted_audiences = vec!["api".to_owned()];
    let validate_claims = |claims: &Value, checks: &IdTokenChecks<'_>| {
        let raw = rsa().token(SigningAlgorithm::Rs256, claims);
        validate(&raw, &keys(), &rules, checks, NOW)
    };
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
    let mut rules = rules.clone();
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
