use async_trait::async_trait;

use super::*;
use crate::{
    Action, ErrorCode, Settings,
    client::{Resolved, resolve},
};

/// Signs nothing: what matters here is its name.
#[derive(Debug)]
struct Elsewhere(&'static str);

#[async_trait]
impl Signer for Elsewhere {
    fn algorithm(&self) -> &str {
        self.0
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        Ok(message.to_vec())
    }
}

fn photos() -> Registration {
    Registration::oauth1(
        "photos",
        "https://photos.example/initiate",
        "https://photos.example/authorize",
        "https://photos.example/token",
    )
    .client_id("x")
    .client_secret("hunter2")
}

fn alone(registration: Registration) -> Result<Resolved> {
    resolve(&registration, &Settings::default())
}

#[track_caller]
fn refused(registration: Registration, what: &str) {
    let error = alone(registration).err().unwrap();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{error}");
    assert_eq!(error.action(), &Action::Configure);
    assert_eq!(error.client(), Some("photos"));
    assert!(error.message().contains(what), "{what}: {error}");
    assert!(!format!("{error:#?}").contains("hunter2"), "{error}");
}

#[test]
fn a_request_token_url_from_either_side_makes_a_client_one_of_oauth1() {
    let plain = Registration::oauth2(
        "photos",
        "https://photos.example/a",
        "https://photos.example/t",
    )
    .client_id("x")
    .client_secret("s");
    assert!(alone(plain.clone()).unwrap().oauth1.is_none());
    let settings = Settings::from_iter([("PHOTOS_REQUEST_TOKEN_URL", "https://photos.example/r")]);
    let oauth1 = resolve(&plain, &settings).unwrap().oauth1.unwrap();
    assert_eq!(oauth1.request_token_url.path(), "/r");
    assert_eq!(oauth1.method, SignatureMethod::HmacSha1);
    assert_eq!(oauth1.signature_type, SignatureType::Header);
    assert!(alone(photos()).unwrap().oauth1.is_some());
}

#[test]
fn everything_can_come_from_the_settings_and_code_wins_unless_told_otherwise() {
    let settings = Settings::from_iter([
        ("PHOTOS_CLIENT_ID", "x"),
        ("PHOTOS_CLIENT_SECRET", "s"),
        ("PHOTOS_REQUEST_TOKEN_URL", "https://photos.example/r"),
        ("PHOTOS_REQUEST_TOKEN_PARAMS", "a=1"),
        ("PHOTOS_AUTHORIZE_URL", "https://photos.example/a"),
        ("PHOTOS_ACCESS_TOKEN_URL", "https://photos.example/t"),
        (
            "PHOTOS_CLIENT_KWARGS",
            r#"{"signature_method": "HMAC-SHA256", "signature_type": "BODY", "realm": "a", "force_include_body": "true"}"#,
        ),
    ]);
    let oauth1 = resolve(&Registration::new("photos"), &settings)
        .unwrap()
        .oauth1
        .unwrap();
    assert_eq!(oauth1.method, SignatureMethod::HmacSha256);
    assert_eq!(oauth1.signature_type, SignatureType::Body);
    assert_eq!(oauth1.realm.as_deref(), Some("a"));
    assert!(oauth1.body_hash);
    assert_eq!(
        oauth1.request_token_params,
        [("a".to_owned(), "1".to_owned())]
    );
    let said = photos()
        .realm("b")
        .signature_method(SignatureMethod::HmacSha1);
    let wins = |registration: Registration| {
        let oauth1 = resolve(&registration, &settings).unwrap().oauth1.unwrap();
        (oauth1.realm.unwrap(), oauth1.method)
    };
    assert_eq!(wins(said.clone()), ("b".into(), SignatureMethod::HmacSha1));
    assert_eq!(
        wins(said.overwrite()),
        ("a".into(), SignatureMethod::HmacSha256)
    );
}

#[test]
fn what_is_of_oauth2_is_refused_by_name() {
    for (registration, name) in [
        (photos().issuer("https://photos.example"), "issuer"),
        (photos().scopes(["a"]), "scope"),
        (
            photos().token_endpoint_auth_method(crate::AuthMethod::None),
            "token_endpoint_auth_method",
        ),
        (
            photos().refresh_token_url("https://photos.example/r"),
            "refresh_token_url",
        ),
        (photos().dangerously_without_pkce(), "code_challenge_method"),
        (photos().prompt("login"), "prompt"),
        (
            photos().userinfo_url("https://photos.example/u"),
            "userinfo_url",
        ),
        (
            photos().revocation_url("https://photos.example/r"),
            "revocation_url",
        ),
        (
            photos().token_placement(crate::Placement::Body),
            "token_placement",
        ),
        (photos().revoke_at_logout(), "revoke_at_logout"),
    ] {
        refused(registration, name);
    }
    let settings = Settings::from_iter([("PHOTOS_CLIENT_KWARGS", r#"{"scope": "a"}"#)]);
    let error = resolve(&photos(), &settings).err().unwrap();
    assert!(
        error.message().starts_with("scope is for OAuth 2.0"),
        "{error}"
    );
}

#[test]
fn what_is_of_oauth1_is_refused_without_a_request_token_url() {
    let plain = || {
        Registration::oauth2(
            "photos",
            "https://photos.example/a",
            "https://photos.example/t",
        )
        .client_id("x")
    };
    for (registration, name) in [
        (
            plain().signature_method(SignatureMethod::Plaintext),
            "signature_method",
        ),
        (
            plain().signature_type(SignatureType::Body),
            "signature_type",
        ),
        (plain().realm("a"), "realm"),
        (plain().rsa_key("hunter2"), "rsa_key"),
        (plain().oauth1_signer(Elsewhere("RS256")), "oauth1_signer"),
        (plain().force_include_body(), "force_include_body"),
        (
            plain().request_token_params([("a", "b")]),
            "request_token_params",
        ),
    ] {
        refused(
            registration,
            &format!("{name} is for OAuth 1.0a: set PHOTOS_REQUEST_TOKEN_URL"),
        );
    }
}

#[test]
fn a_signature_method_has_what_it_signs_with_and_nothing_else() {
    let no_secret = || photos().client_secret("");
    refused(no_secret(), "HMAC-SHA1 needs a client secret");
    refused(
        no_secret().signature_method(SignatureMethod::RsaSha256),
        "RSA-SHA256 needs a private key",
    );
    refused(
        photos().rsa_key("hunter2"),
        "the signature method is HMAC-SHA1",
    );
    refused(
        photos()
            .rsa_key("hunter2")
            .signature_method(SignatureMethod::RsaSha1),
        "rsa_key is no PEM",
    );
    refused(
        photos().oauth1_signer(Elsewhere("ES256")),
        "neither RS256 nor RS1",
    );
    let signed = no_secret().oauth1_signer(Elsewhere("RS1"));
    refused(
        signed.clone().signature_method(SignatureMethod::RsaSha256),
        "another method",
    );
    refused(signed.clone().rsa_key("hunter2"), "rsa_key");
    let method = alone(signed).unwrap().oauth1.unwrap().method;
    assert_eq!(method, SignatureMethod::RsaSha1);
}

#[test]
fn plaintext_stands_in_no_address_and_beside_no_body_hash() {
    let plaintext = || photos().signature_method(SignatureMethod::Plaintext);
    refused(plaintext().force_include_body(), "PLAINTEXT signs nothing");
    let in_query = || plaintext().signature_type(SignatureType::Query);
    refused(in_query(), "dangerously_allow_plaintext_in_query()");
    alone(in_query().dangerously_allow_plaintext_in_query()).unwrap();
}

#[test]
fn addresses_parameters_and_realm_are_checked() {
    refused(
        photos().request_token_url("http://photos.example/r"),
        "request_token_url is not https",
    );
    refused(
        photos().request_token_url("photos"),
        "request_token_url is not an absolute URL",
    );
    for realm in ["a\"b", "a\\b", "a\nb", "é"] {
        refused(photos().realm(realm), "the realm");
    }
    refused(photos().realm("a".repeat(256)), "the realm");
    refused(
        photos().request_token_params([("oauth_token", "x")]),
        "oauth_token belongs to the protocol",
    );
    refused(
        photos().authorize_params([("oauth_token", "x")]),
        "oauth_token belongs to the protocol",
    );
    refused(
        photos().access_token_params([("oauth_verifier", "x")]),
        "oauth_verifier belongs to the protocol",
    );
    let half = Registration::new("photos")
        .request_token_url("https://photos.example/r")
        .client_id("x")
        .client_secret("s");
    refused(half, "ACCESS_TOKEN_URL");
    alone(photos().redirect_uri("oob")).unwrap();
    refused(photos().redirect_uri("oob2"), "redirect URI");
}
