//! Documents of a provider: metadata, keys, userinfo, and the reader of objects under them.

use std::collections::HashSet;

use reqwest::StatusCode;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use url::Url;

use super::{ISSUER, says_nothing_of, with_member};
use crate::{
    ErrorCode, ProviderMetadata, SigningAlgorithm, Userinfo,
    http::{Answer, is_loopback, is_secure},
    openid::{KeySet, UserinfoAnswer, find_member, has_each_member_once, urls_for},
};

/// Metadata. What is taken names an issuer and only endpoints that may be asked; read for another issuer or with a member
/// twice it is refused; and what was read is what stands there.
pub(super) fn discovery(data: &[u8]) -> bool {
    let metadata = match ProviderMetadata::parse(data, None) {
        Ok(metadata) => metadata,
        Err(error) => {
            // An issuer with a place to fill in it is nobody's.
            let is_template = error.code() == ErrorCode::IssuerMismatch;
            assert!(is_template || error.code() == ErrorCode::InvalidMetadata);
            return false;
        }
    };
    assert!(data.len() <= 256 * 1024);
    let issuer: Url = metadata.issuer.parse().unwrap();
    assert!(is_secure(&issuer) && issuer.query().is_none() && issuer.fragment().is_none());
    let m = &metadata;
    let endpoints = [
        &m.authorization_endpoint,
        &m.token_endpoint,
        &m.userinfo_endpoint,
        &m.jwks_uri,
        &m.end_session_endpoint,
        &m.check_session_iframe,
        &m.revocation_endpoint,
        &m.introspection_endpoint,
        &m.registration_endpoint,
        &m.pushed_authorization_request_endpoint,
        &m.device_authorization_endpoint,
        &m.backchannel_authentication_endpoint,
    ];
    let aliases = m.mtls_endpoint_aliases.values();
    for url in endpoints.into_iter().flatten().chain(aliases) {
        assert!(url.scheme() == "https" || (is_loopback(url) && is_loopback(&issuer)));
        assert!(url.fragment().is_none() && url.password().is_none());
    }
    let again = ProviderMetadata::parse(data, Some(&m.issuer)).unwrap();
    assert!(again == metadata);
    for other in [ISSUER, "https://other.example", &format!("{issuer}/")] {
        if other != m.issuer {
            let error = ProviderMetadata::parse(data, Some(other)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::IssuerMismatch);
        }
    }
    for url in urls_for(&m.issuer).unwrap() {
        assert_eq!(url.origin(), issuer.origin());
        if let Ok(found) = ProviderMetadata::parse_from(data, &url) {
            assert!(found == metadata);
        }
    }
    let text = std::str::from_utf8(data).unwrap();
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    for (name, value) in value.as_object().into_iter().flatten() {
        assert_eq!(m.get(name).as_ref(), Some(value));
    }
    let doubled = with_member(text, r#""issuer":"https://other.example""#).unwrap();
    assert!(ProviderMetadata::parse(doubled.as_bytes(), None).is_err());
    true
}

/// A JWK Set. No more keys than were published or than are allowed, none with a private part; a signature that nobody made
/// verifies by none of them, for any algorithm.
pub(super) fn jwks(data: &[u8]) -> bool {
    let Ok((set, warnings)) = KeySet::parse(data) else {
        return false;
    };
    assert!(set.len() <= 1000 && warnings.len() <= 1001);
    for warning in &warnings {
        assert!(warning.chars().count() < 600 && !warning.contains('\n'));
    }
    let value: Value = serde_json::from_slice(data).unwrap_or_default();
    let keys = value["keys"].as_array().map_or(&[][..], Vec::as_slice);
    assert!(keys.is_empty() || set.len() <= keys.len());
    for key in keys.iter().take(20) {
        let alone = serde_json::json!({"keys": [key]}).to_string();
        let (alone, _) = KeySet::parse(alone.as_bytes()).unwrap();
        if alone.len() > 0 {
            assert!(key["d"].is_null() && (key["use"].is_null() || key["use"] == "sig"));
            assert!(["RSA", "EC", "OKP"].iter().any(|kty| key["kty"] == *kty));
        }
    }
    let kid = value["keys"][0]["kid"].as_str();
    for name in [
        "RS256", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "HS256",
    ] {
        let algorithm = SigningAlgorithm::from_name(name).unwrap();
        // Neither an empty signature nor bytes of any length.
        for signature in [&[][..], &[0x5a; 64], &[0x5a; 256]] {
            for kid in [None, kid, Some("")] {
                assert!(
                    set.verified_by(kid, algorithm, b"message", signature)
                        .is_err()
                );
            }
        }
    }
    set.len() > 0
}

/// Userinfo. What is taken is about the right user and reads as it stands there.
pub(super) fn userinfo(data: &[u8]) -> bool {
    const SUBJECT: &str = "248289761001";
    let answer = |media: &str| {
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("content-type", media.parse().unwrap());
        Answer {
            status: StatusCode::OK,
            headers,
            body: data.to_vec(),
        }
    };
    assert!(UserinfoAnswer::read(answer("text/html"), false).is_err());
    assert!(UserinfoAnswer::read(answer("application/json"), true).is_err());
    let read = UserinfoAnswer::read(answer("application/json"), false).and_then(|read| {
        let UserinfoAnswer::Plain(claims) = read else {
            panic!("nobody signed it");
        };
        Userinfo::about(claims, Some(SUBJECT))
    });
    let info = match read {
        Ok(info) => info,
        Err(error) => {
            // Whose it is, is nobody's business who reads logs.
            says_nothing_of(&error, &[SUBJECT]);
            return false;
        }
    };
    assert_eq!(info.subject(), Some(SUBJECT));
    let Ok(value) = serde_json::from_slice::<Value>(data) else {
        return true;
    };
    assert_eq!(value["sub"], SUBJECT);
    assert_eq!(info.to_value(), value);
    let kept = serde_json::to_value(&info).unwrap();
    assert!(serde_json::from_value::<Userinfo>(kept).unwrap() == info);
    for (name, read) in [("email", info.email()), ("name", info.name())] {
        assert_eq!(value[name].as_str(), read);
    }
    true
}

/// An object. It is read if and only if it is one, with each member once; and each member is what serde_json finds.
pub(super) fn json(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let is_read = has_each_member_once(text);
    assert_eq!(is_read, is_object_with_each_member_once(text), "{text}");
    if let (true, Ok(Value::Object(members))) = (is_read, serde_json::from_str(text)) {
        for (name, value) in members.iter().take(20) {
            assert_eq!(find_member(text, name).as_ref(), Some(value));
            let member = format!("{}:1", Value::from(name.as_str()));
            assert!(!has_each_member_once(&with_member(text, &member).unwrap()));
        }
    }
    is_read
}

/// The same question, answered in the plainest way.
fn is_object_with_each_member_once(text: &str) -> bool {
    struct Names(bool);
    impl<'de> serde::Deserialize<'de> for Names {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Object;
            impl<'de> Visitor<'de> for Object {
                type Value = Names;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                    let (mut seen, mut once) = (HashSet::new(), true);
                    while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                        once &= seen.insert(name);
                    }
                    Ok(Names(once))
                }
            }
            deserializer.deserialize_map(Object)
        }
    }
    serde_json::from_str::<Names>(text).is_ok_and(|names| names.0)
}
