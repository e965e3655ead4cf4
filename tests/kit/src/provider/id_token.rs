//! ID tokens (OpenID Connect Core 1.0 section 2), right or wrong in one point.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{
    faults::{Endpoint, Fault, IdTokenFault, WRONG_ISSUER},
    grants::Grant,
    keys::SigningAlgorithm,
    state::{Shared, random_token},
};

const LIFETIME: Duration = Duration::from_secs(300);
const SOMEBODY_ELSE: &str = "another-client";

/// Signs an ID token about the subject of a grant; there is none if the client acts for itself.
pub(super) fn issue(
    shared: &Shared,
    grant: &Grant,
    grant_type: &str,
    nonce: Option<&str>,
    access_token: &str,
) -> Option<String> {
    let subject = grant.subject.as_deref()?;
    let keys = shared.keys();
    let key = keys.signing();
    let now = shared.clock.now();
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", shared.issuer.as_str().into());
    set("sub", subject.into());
    set("aud", grant.client.as_str().into());
    set("iat", now.as_secs().into());
    set("exp", (now + LIFETIME).as_secs().into());
    set("auth_time", grant.auth_time.as_secs().into());
    set("at_hash", left_half(key.algorithm, access_token).into());
    for (name, value) in [
        ("nonce", nonce),
        ("sid", grant.sid.as_deref()),
        ("acr", grant.acr.as_deref()),
    ] {
        if let Some(value) = value {
            set(name, value.into());
        }
    }
    let mut header = key.header();
    let fault = match shared
        .faults
        .take(Endpoint::Token, Some(grant_type), |fault| {
            matches!(fault, Fault::IdToken(_))
        }) {
        Some(Fault::IdToken(fault)) => Some(fault),
        _ => None,
    };
    if let Some(fault) = &fault {
        spoil(fault, &mut header, &mut claims, now);
    }
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string())
    );
    let mut signature = key.sign(signed.as_bytes());
    match fault {
        Some(IdTokenFault::WrongSignature) => signature[7] ^= 1,
        Some(IdTokenFault::AlgNone) => signature.clear(),
        _ => {}
    }
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn spoil(fault: &IdTokenFault, header: &mut Value, claims: &mut Map<String, Value>, now: Duration) {
    let hours_ago = |hours: u64| Value::from(now.as_secs().saturating_sub(hours * 3600));
    let mut set = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    match fault {
        IdTokenFault::WrongSignature => {}
        IdTokenFault::AlgNone => {
            header["alg"] = "none".into();
            remove(header, "kid");
        }
        IdTokenFault::UnknownKid => header["kid"] = random_token(6).into(),
        IdTokenFault::NoKid => remove(header, "kid"),
        IdTokenFault::WrongNonce => set("nonce", random_token(16).into()),
        IdTokenFault::WrongAudience => set("aud", SOMEBODY_ELSE.into()),
        IdTokenFault::WrongIssuer => set("iss", WRONG_ISSUER.into()),
        IdTokenFault::WrongAtHash => set("at_hash", random_token(16).into()),
        IdTokenFault::WrongAuthorizedParty => set("azp", SOMEBODY_ELSE.into()),
        IdTokenFault::OtherSubject(subject) => set("sub", subject.as_str().into()),
        IdTokenFault::ExtraAudience => {
            let client = claims.get("aud").cloned().unwrap_or_default();
            claims.insert("aud".to_owned(), json!([client, SOMEBODY_ELSE]));
            claims.insert("azp".to_owned(), client);
        }
        IdTokenFault::Expired => {
            set("iat", hours_ago(2));
            set("auth_time", hours_ago(2));
            set("exp", hours_ago(1));
        }
        IdTokenFault::MissingNonce => drop(claims.remove("nonce")),
        IdTokenFault::MissingAudience => drop(claims.remove("aud")),
        IdTokenFault::MissingIssuer => drop(claims.remove("iss")),
        IdTokenFault::MissingExpiry => drop(claims.remove("exp")),
        IdTokenFault::MissingSubject => drop(claims.remove("sub")),
        IdTokenFault::MissingIssuedAt => drop(claims.remove("iat")),
        IdTokenFault::Claims(Value::Object(several)) => {
            for (name, value) in several {
                let one = IdTokenFault::Claim(name.clone(), value.clone());
                spoil(&one, header, claims, now);
            }
        }
        IdTokenFault::Claims(_) => {}
        IdTokenFault::Claim(name, Value::Null) => drop(claims.remove(name)),
        IdTokenFault::Claim(name, value) => set(name, value.clone()),
    }
}

fn remove(object: &mut Value, name: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
    }
}

/// The left half of the digest that belongs to the algorithm (OpenID Connect Core 1.0 section 3.1.3.6); Ed25519 hashes
/// with SHA-512.
fn left_half(algorithm: SigningAlgorithm, access_token: &str) -> String {
    let digest_algorithm = if algorithm == SigningAlgorithm::EdDsa {
        &digest::SHA512
    } else {
        &digest::SHA256
    };
    let digest = digest::digest(digest_algorithm, access_token.as_bytes());
    let octets = digest.as_ref();
    URL_SAFE_NO_PAD.encode(&octets[..octets.len() / 2])
}
