use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::openid::fixtures::{
    CLIENT_ID, ISSUER, NOW, TestKey, claims, encode, key_set, other_rsa, rsa, rules, secret_token,
    with,
};
use crate::openid::{IssuerRule, peek};

mod shape;
mod signature;

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
