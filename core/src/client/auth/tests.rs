use std::{sync::Arc, time::Duration};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::*;
use crate::{
    Clock, Registration, Settings, SigningAlgorithm, Timestamp,
    client::{Resolved, resolve},
};

fn client(registration: Registration) -> Resolved {
    resolve(&registration, &Settings::default()).unwrap()
}

fn openid() -> Registration {
    Registration::openid("op", "https://op.example").client_id("a b:ü")
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn offer<'a>(methods: Option<&'a [String]>, algorithms: Option<&'a [String]>) -> Offer<'a> {
    Offer {
        methods,
        algorithms,
        audience: Some("https://op.example"),
        clock: Arc::new(Still),
        ..Offer::silent(Endpoint::Token)
    }
}

/// A clock that stands.
#[derive(Debug)]
struct Still;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, time: Duration) -> crate::Sleep<'_> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// The key of RFC 8037 appendix A.1.
fn key() -> SigningKey {
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    SigningKey::from_jwk(SigningAlgorithm::EdDsa, &jwk).unwrap()
}

const LONG_SECRET: &str = "a secret that is as long as any hash: 64 bytes, or a little more.";

#[test]
fn methods_are_known_by_their_registered_names() {
    for method in AuthMethod::ALL {
        assert_eq!(AuthMethod::parse(method.as_str()).unwrap(), *method);
    }
    let error = AuthMethod::parse("client_secret_magic").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unsupported);
    assert!(error.message().contains("client_secret_magic"));
    assert!(error.message().contains("private_key_jwt"));
}

#[test]
fn the_method_is_negotiated() {
    let secret = || openid().client_secret(LONG_SECRET);
    let keyed = || openid().signing_key(key());
    let all = [
        "client_secret_basic",
        "client_secret_post",
        "client_secret_jwt",
        "private_key_jwt",
    ];
    for (registration, supported, expected) in [
        (openid(), None, "none"),
        (openid(), Some(&all[..1]), "none"),
        (secret(), None, "client_secret_basic"),
        (secret(), Some(&all[..]), "client_secret_basic"),
        (secret(), Some(&all[1..]), "client_secret_post"),
        (secret(), Some(&all[2..]), "client_secret_jwt"),
        (keyed(), None, "private_key_jwt"),
        (keyed(), Some(&all[..]), "private_key_jwt"),
        (keyed().client_secret("s"), None, "client_secret_basic"),
        (
            keyed().client_secret("s"),
            Some(&all[..]),
            "private_key_jwt",
        ),
        (
            keyed().client_secret("s"),
            Some(&all[..1]),
            "client_secret_basic",
        ),
        (
            secret().token_endpoint_auth_method(AuthMethod::ClientSecretPost),
            Some(&all[..1]),
            "client_secret_post",
        ),
        (
            secret().token_endpoint_auth_method(AuthMethod::None),
            None,
            "none",
        ),
        (
            openid().token_endpoint_auth_method(AuthMethod::TlsClientAuth),
            None,
            "tls_client_auth",
        ),
    ] {
        let supported = supported.map(names);
        let chosen = negotiate(&client(registration), &offer(supported.as_deref(), None));
        assert_eq!(chosen.unwrap().name(), expected);
    }
}

#[test]
fn a_provider_that_takes_nothing_of_the_client_s_is_a_configuration_error() {
    for (registration, takes, said) in [
        (
            openid().client_secret("s"),
            "private_key_jwt",
            "client_secret_basic",
        ),
        (
            openid().signing_key(key()),
            "client_secret_basic",
            "private_key_jwt",
        ),
    ] {
        let error =
            negotiate(&client(registration), &offer(Some(&names(&[takes])), None)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        assert_eq!(error.client(), Some("op"));
        assert!(error.message().contains(takes), "{}", error.message());
        assert!(error.message().contains(said), "{}", error.message());
    }
}

#[test]
fn the_algorithms_that_the_provider_takes_count() {
    let jwt = names(&["private_key_jwt", "client_secret_jwt"]);
    let with = |registration: Registration, algorithms: &[&str]| {
        let algorithms = names(algorithms);
        negotiate(&client(registration), &offer(Some(&jwt), Some(&algorithms)))
            .map(|method| format!("{method:?}"))
    };
    let keyed = || openid().signing_key(key());
    for fitting in [&["RS256", "EdDSA"][..], &["Ed25519"]] {
        with(keyed(), fitting).unwrap();
    }
    let error = with(keyed(), &["RS256", "PS256"]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
    assert!(error.message().contains("EdDSA") && error.message().contains("PS256"));

    let secret = || openid().client_secret(LONG_SECRET);
    assert!(
        with(secret(), &["RS256", "HS512"])
            .unwrap()
            .contains("HS512")
    );
    assert!(
        with(secret(), &["HS512", "HS256"])
            .unwrap()
            .contains("HS256")
    );
    let named = secret().token_endpoint_auth_signing_alg("HS384");
    assert!(
        with(named.clone(), &["HS256", "HS384"])
            .unwrap()
            .contains("HS384")
    );
    with(named, &["HS256"]).unwrap_err();
    with(secret(), &["RS256"]).unwrap_err();
    // RFC 7518 section 3.2.
    let error = with(openid().client_secret("short"), &["HS256"]).unwrap_err();
    assert!(error.message().contains("32 bytes"), "{}", error.message());
}

#[test]
fn each_endpoint_may_have_its_own_method() {
    let both = openid()
        .client_secret("s")
        .token_endpoint_auth_method(AuthMethod::ClientSecretPost);
    let method = |registration: &Registration, endpoint| {
        let chosen = negotiate(&client(registration.clone()), &Offer::silent(endpoint));
        chosen.unwrap().name().to_owned()
    };
    let own = both
        .clone()
        .revocation_endpoint_auth_method(AuthMethod::ClientSecretBasic)
        .introspection_endpoint_auth_method(AuthMethod::None);
    for (endpoint, expected) in [
        (Endpoint::Token, "client_secret_post"),
        (Endpoint::DeviceAuthorization, "client_secret_post"),
        (Endpoint::Revocation, "client_secret_basic"),
        (Endpoint::Introspection, "none"),
    ] {
        assert_eq!(method(&both, endpoint), "client_secret_post");
        assert_eq!(method(&own, endpoint), expected);
    }
}

#[test]
fn what_a_method_needs_is_asked_for_at_registration() {
    let jwt = AuthMethod::PrivateKeyJwt;
    let by_secret = AuthMethod::ClientSecretJwt;
    for (registration, said) in [
        (openid().token_endpoint_auth_method(jwt), "signing_key"),
        (openid().revocation_endpoint_auth_method(jwt), "signing_key"),
        (
            openid().introspection_endpoint_auth_method(jwt),
            "signing_key",
        ),
        (
            openid().token_endpoint_auth_method(by_secret),
            "client secret",
        ),
        (
            openid()
                .client_secret("short")
                .token_endpoint_auth_method(by_secret),
            "32 bytes",
        ),
        (
            openid()
                .client_secret(LONG_SECRET)
                .token_endpoint_auth_method(by_secret)
                .token_endpoint_auth_signing_alg("RS256"),
            "not by RS256",
        ),
        (
            openid().token_endpoint_auth_signing_alg("RS1"),
            "token_endpoint_auth_signing_alg",
        ),
        (
            openid()
                .signing_key(key())
                .token_endpoint_auth_signing_alg("ES256"),
            "ES256",
        ),
        (openid().signing_key(Kms("none", 64)), "none"),
        (openid().signing_key(Kms("HS256", 32)), "HS256"),
        (openid().client_assertion_claim("jti", "mine"), "jti"),
    ] {
        let error = resolve(&registration, &Settings::default()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        assert!(
            error.message().contains(said),
            "{said}: {}",
            error.message()
        );
    }
}

/// A key that stands elsewhere, and answers so many bytes.
#[derive(Debug)]
struct Kms(&'static str, usize);

#[async_trait]
impl Signer for Kms {
    fn algorithm(&self) -> &str {
        self.0
    }

    fn key_id(&self) -> Option<&str> {
        Some("in-the-kms")
    }

    async fn sign(&self, _: &[u8]) -> Result<Vec<u8>> {
        Ok(vec![1; self.1])
    }
}

/// The header and the claims of a request's assertion.
fn assertion(request: &TokenRequest) -> (Value, Value) {
    let kind = request.parameter("client_assertion_type");
    assert_eq!(
        kind,
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    let token = request.parameter("client_assertion").unwrap();
    let read = |part: &str| {
        serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let mut parts = token.split('.');
    let header = read(parts.next().unwrap());
    (header, read(parts.next().unwrap()))
}

#[tokio::test]
async fn an_assertion_says_who_asks_whom_for_one_minute() {
    for (registration, header) in [
        (
            openid().signing_key(key()),
            json!({"alg": "EdDSA", "typ": "JWT"}),
        ),
        (
            openid().signing_key(key().with_key_id("2026-11")),
            json!({"alg": "EdDSA", "typ": "JWT", "kid": "2026-11"}),
        ),
        (
            openid().signing_key(Kms("PS256", 256)),
            json!({"alg": "PS256", "typ": "JWT", "kid": "in-the-kms"}),
        ),
        (
            openid()
                .client_secret(LONG_SECRET)
                .token_endpoint_auth_method(AuthMethod::ClientSecretJwt),
            json!({"alg": "HS256", "typ": "JWT"}),
        ),
    ] {
        let request = authenticated(registration).await;
        let (found, claims) = assertion(&request);
        assert_eq!(found, header);
        assert_eq!(request.parameter("client_id"), Some("a b:ü"));
        assert_eq!(request.parameter("client_secret"), None);
        let jti = claims["jti"].as_str().unwrap();
        assert!(URL_SAFE_NO_PAD.decode(jti).unwrap().len() >= 16, "128 bits");
        let now = NOW.as_secs();
        let expected = json!({
            "iss": "a b:ü", "sub": "a b:ü", "aud": "https://op.example",
            "iat": now, "exp": now + 60, "jti": jti,
        });
        assert_eq!(claims, expected);
    }
}

#[tokio::test]
async fn each_assertion_is_new_whatever_claims_are_given() {
    let registration = openid()
        .signing_key(key())
        .client_assertion_claim("environment", "production");
    let resolved = client(registration);
    let method = negotiate(&resolved, &offer(None, None)).unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut request = request();
        method.authenticate(&mut request).await.unwrap();
        let (_, claims) = assertion(&request);
        assert_eq!(claims["environment"], "production");
        ids.push(claims["jti"].as_str().unwrap().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(
        resolved.client_assertion_claims.len(),
        1,
        "and nothing was written there"
    );
}

#[tokio::test]
async fn a_signature_that_is_none_is_not_sent() {
    // DER, as a KMS answers it.
    for signer in [Kms("ES256", 71), Kms("RS256", 0), Kms("PS256", 5000)] {
        let method = negotiate(&client(openid().signing_key(signer)), &offer(None, None)).unwrap();
        let mut request = request();
        let error = method.authenticate(&mut request).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        assert_eq!(request.parameter("client_assertion"), None);
    }
}

#[tokio::test]
async fn a_certificate_is_the_proof_and_the_form_names_the_client() {
    for method in [
        AuthMethod::TlsClientAuth,
        AuthMethod::SelfSignedTlsClientAuth,
    ] {
        let registration = openid()
            .client_secret("s")
            .token_endpoint_auth_method(method);
        let request = authenticated(registration).await;
        let names: Vec<_> = request.names().collect();
        assert_eq!(names, ["grant_type", "client_id"]);
        assert!(request.headers().get(AUTHORIZATION).is_none());
    }
}

fn request() -> TokenRequest {
    let url = "https://op.example/token".parse().unwrap();
    let mut request = TokenRequest::new(url, Phase::TokenRequest);
    request.append("grant_type", "authorization_code");
    request.append("client_id", "a b:ü");
    request
}

async fn authenticated(registration: Registration) -> TokenRequest {
    let mut request = request();
    let method = negotiate(&client(registration), &offer(None, None)).unwrap();
    method.authenticate(&mut request).await.unwrap();
    request
}

fn basic(request: &TokenRequest) -> String {
    let header = &request.headers()[AUTHORIZATION];
    assert!(header.is_sensitive());
    let text = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

#[tokio::test]
async fn basic_is_encoded_as_a_form_and_stands_alone() {
    let registration = openid().client_secret("p%w:ö/+ ");
    let request = authenticated(registration.clone()).await;
    assert_eq!(basic(&request), "a+b%3A%C3%BC:p%25w%3A%C3%B6%2F%2B+");
    assert_eq!(request.parameter("client_id"), None);
    let raw = authenticated(registration.raw_basic_credentials()).await;
    assert_eq!(basic(&raw), "a b:ü:p%w:ö/+ ");
}

#[tokio::test]
async fn post_and_none_name_the_client_in_the_form() {
    let post = openid()
        .client_secret("s")
        .token_endpoint_auth_method(AuthMethod::ClientSecretPost);
    let request = authenticated(post).await;
    assert_eq!(request.parameter("client_id"), Some("a b:ü"));
    assert_eq!(request.parameter("client_secret"), Some("s"));
    assert!(request.headers().get(AUTHORIZATION).is_none());
    let request = authenticated(openid()).await;
    assert_eq!(
        request.names().collect::<Vec<_>>(),
        ["grant_type", "client_id"]
    );
    assert!(request.headers().get(AUTHORIZATION).is_none());
}
