//! Signed tokens: as they come, and their claims behind the signature.

use std::sync::OnceLock;

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{CLIENT_ID, ISSUER, NOW, says_nothing_of, with_member};
use crate::{
    ErrorCode, IdTokenChecks, IdTokenClaims, Result, Secret, SigningAlgorithm,
    openid::{IdTokenRules, IssuerRule, KeySet, peek, validate, validate_logout},
};

const NONCE: &str = "nonce-of-this-login-0123456789";
const SECRET: &str = "secret-of-this-client-0123456789-0123456789";
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What the provider of these targets has: a key that signs, and others that are published.
struct Provider {
    pair: Ed25519KeyPair,
    keys: KeySet,
    rules: IdTokenRules,
}

fn provider() -> &'static Provider {
    static PROVIDER: OnceLock<Provider> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let x = encode(pair.public_key().as_ref());
        let keys = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": x},
            // Of RFC 7515 appendix A.3.
            {"kty": "EC", "crv": "P-256", "kid": "ec", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
             "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        ]});
        let (keys, warnings) = KeySet::parse(keys.to_string().as_bytes()).unwrap();
        assert!(warnings.is_empty() && keys.len() == 2);
        let mut rules = IdTokenRules::new(IssuerRule::Exact(ISSUER.to_owned()), CLIENT_ID);
        rules.algorithms = ["EdDSA", "ES256", "HS256"]
            .into_iter()
            .filter_map(SigningAlgorithm::from_name)
            .collect();
        rules.client_secret = Some(Secret::new(SECRET));
        Provider { pair, keys, rules }
    })
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Claims that pass every check.
fn good_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "248289761001", "aud": CLIENT_ID, "nonce": NONCE,
        "exp": NOW.as_secs() + 3600, "iat": NOW.as_secs() - 1,
    })
}

/// The one token that this provider ever signed.
pub(super) fn signed() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| {
        let header = json!({"alg": "EdDSA", "kid": "ed", "typ": "JWT"}).to_string();
        let signed = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(good_claims().to_string().as_bytes())
        );
        let signature = provider().pair.sign(signed.as_bytes());
        format!("{signed}.{}", encode(signature.as_ref()))
    })
}

fn validated(raw: &str) -> Result<IdTokenClaims> {
    let Provider { keys, rules, .. } = provider();
    validate(raw, keys, rules, &IdTokenChecks::new().nonce(NONCE), NOW)
}

/// An ID token as it comes. None is taken but the one that was signed.
pub(super) fn id_token(data: &[u8]) -> bool {
    let Ok(raw) = std::str::from_utf8(data) else {
        return false;
    };
    let peeked = peek(raw);
    match validated(raw) {
        Ok(claims) => {
            assert_eq!(raw, signed());
            assert_eq!(peeked.unwrap().subject.as_deref(), Some(claims.subject()));
            true
        }
        Err(error) => {
            says_nothing_of(&error, &[NONCE, SECRET]);
            false
        }
    }
}

/// These claims, under the client secret.
fn under_the_secret(typ: &str, claims: &str) -> String {
    static KEY: OnceLock<hmac::Key> = OnceLock::new();
    let key = KEY.get_or_init(|| hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()));
    let header = json!({"alg": "HS256", "typ": typ}).to_string();
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    );
    let tag = hmac::sign(key, signed.as_bytes());
    format!("{signed}.{}", encode(tag.as_ref()))
}

/// The claims of an ID token whose signature verifies. Taken are only those of this issuer for this client and login, of
/// now, with a subject; and they read as they stand there.
pub(super) fn claims(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let taken = match validated(&under_the_secret("JWT", text)) {
        Ok(taken) => taken,
        Err(error) => {
            // The issuer is shown as it came: by it a developer sees which tenant was the wrong one.
            if error.code() != ErrorCode::IssuerMismatch {
                says_nothing_of(&error, &[NONCE, SECRET]);
            }
            return false;
        }
    };
    let doubled = with_member(text, r#""sub":"mallory""#).unwrap();
    assert!(validated(&under_the_secret("JWT", &doubled)).is_err());
    assert!(validated(&under_the_secret("at+jwt", text)).is_err());
    assert!(validated(&under_the_secret("logout+jwt", text)).is_err());
    let kept = serde_json::to_value(&taken).unwrap();
    assert!(serde_json::from_value::<IdTokenClaims>(kept).unwrap() == taken);

    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return true;
    };
    assert_eq!(taken.to_value(), value);
    assert_eq!(
        (&value["iss"], &value["nonce"]),
        (&json!(ISSUER), &json!(NONCE))
    );
    assert_eq!(value["sub"], taken.subject());
    assert!((1..=255).contains(&taken.subject().len()));
    let audience = match &value["aud"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    assert!(audience.contains(&json!(CLIENT_ID)));
    assert!(value["azp"].is_null() || value["azp"] == CLIENT_ID);
    assert!(audience.iter().all(|other| other == CLIENT_ID));
    let seconds = |name: &str| value[name].as_f64();
    let (now, leeway) = (NOW.as_secs() as f64, 60.0);
    assert!(seconds("exp").is_some_and(|exp| exp + leeway > now));
    assert!(seconds("iat").is_some_and(|iat| iat - leeway <= now));
    assert!(seconds("nbf").is_none_or(|nbf| nbf - leeway <= now));
    assert!(value["events"].get(LOGOUT_EVENT).is_none());
    true
}

/// The claims of a logout token whose signature verifies. Taken are only those of this issuer for this client, of now, that
/// say whose sessions end, once; and as an ID token none is, whatever it says besides.
pub(super) fn logout_token(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let event = json!({LOGOUT_EVENT: {}});
    let Some(logout) = with_member(text, &format!(r#""events":{event}"#)) else {
        return false;
    };
    for typ in ["JWT", "logout+jwt"] {
        assert!(validated(&under_the_secret(typ, &logout)).is_err());
    }
    let Provider { keys, rules, .. } = provider();
    let read =
        |typ, claims: &str| validate_logout(&under_the_secret(typ, claims), keys, rules, NOW);
    let taken = match read("logout+jwt", &logout) {
        Ok(taken) => taken,
        Err(error) => {
            if !error.message().contains("was issued by") {
                says_nothing_of(&error, &[NONCE, SECRET]);
            }
            return false;
        }
    };
    assert!(read("JWT", &logout).is_ok());
    assert!(read("at+jwt", &logout).is_err());
    for more in [r#""nonce":1"#, r#""jti":"again""#] {
        assert!(read("JWT", &with_member(&logout, more).unwrap()).is_err());
    }
    assert!(read("JWT", text).is_err() || text.contains("events"));
    let Ok(value) = serde_json::from_str::<Value>(&logout) else {
        return true;
    };
    let said = |name: &str| value[name].as_str().map(str::to_owned);
    assert_eq!(said("iss").as_deref(), Some(ISSUER));
    assert_eq!(
        (said("sub"), said("sid")),
        (taken.subject.clone(), taken.sid.clone())
    );
    assert!(taken.subject.is_some() || taken.sid.is_some());
    assert!(said("jti").is_some_and(|id| !id.is_empty() && id == taken.id));
    assert!(value["exp"].is_number() && value["iat"].is_number());
    assert!(taken.over_at > NOW);
    true
}
