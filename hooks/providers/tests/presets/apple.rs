//! Apple's client secret, and the name that comes once.

use async_trait::async_trait;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        UnparsedPublicKey,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokenkeep_core::{CallbackParams, Clock, ErrorCode, Registration, Result, Signer, SystemClock};
use tokenkeep_providers::apple_signed_by;

use crate::fixture::SECRET;
use crate::world::{CLIENT_ID, CODE, World, cookies, query};

#[derive(Debug)]
struct Key {
    key: EcdsaKeyPair,
    algorithm: &'static str,
    id: Option<&'static str>,
}

impl Key {
    fn new(algorithm: &'static str, id: Option<&'static str>) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { key, algorithm, id }
    }
}

#[async_trait]
impl Signer for Key {
    fn algorithm(&self) -> &str {
        self.algorithm
    }

    fn key_id(&self) -> Option<&str> {
        self.id
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self.key.sign(&SystemRandom::new(), message).unwrap();
        Ok(signature.as_ref().to_vec())
    }
}

#[tokio::test]
async fn apple_s_client_secret_is_signed_for_each_request() {
    let key = Key::new("ES256", Some("ABC123DEFG"));
    let public = key.key.public_key().as_ref().to_vec();
    let client = apple_signed_by("DEF123GHIJ", key).client_id(CLIENT_ID);
    let world = World::with("apple", client).await;
    let now = SystemClock.now().as_secs();
    world.login().await.1.unwrap();
    let seen = world.peer.seen(&world.fixture.token.at).pop().unwrap();
    let (parameters, _) = seen.parameters();
    assert_eq!(parameters["client_id"], CLIENT_ID);
    assert_eq!(seen.header("authorization"), None);
    let (signed, signature) = parameters["client_secret"].rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
        .verify(signed.as_bytes(), &signature)
        .unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let [header, claims] = [header, claims].map(|part| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    });
    assert_eq!(header, json!({"alg": "ES256", "kid": "ABC123DEFG"}));
    assert_eq!(claims["iss"], "DEF123GHIJ");
    assert_eq!(claims["sub"], CLIENT_ID);
    assert_eq!(claims["aud"], "https://appleid.apple.com");
    let at = |claim: &str| claims[claim].as_i64().unwrap();
    assert!((now..=now + 60).contains(&at("iat")));
    assert_eq!(at("exp") - at("iat"), 300);
}

#[tokio::test]
async fn a_key_that_apple_would_refuse_sends_nothing() {
    for key in [
        Key::new("RS256", Some("ABC123DEFG")),
        Key::new("ES256", None),
    ] {
        let client = apple_signed_by("DEF123GHIJ", key).client_id(CLIENT_ID);
        let world = World::with("apple", client).await;
        let error = world.login().await.1.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{error:?}");
        assert!(error.message().contains("ES256"), "{error}");
        assert!(world.peer.seen(&world.fixture.token.at).is_empty());
    }
}

#[tokio::test]
async fn what_the_browser_says_of_the_user_is_a_name_and_nothing_more() {
    let mut world = World::of("apple").await;
    let brought = json!({
        "name": {"firstName": "Ada", "lastName": "Example", "nickname": "x"},
        "email": "else@example.com", "email_verified": true, "sub": "somebody else",
        "roles": ["admin"], "groups": ["staff"], "hd": "corp.example", "tid": "t", "is_private_email": false,
    });
    world.fixture.posted.insert("user".to_owned(), brought);
    let login = world.login().await.1.unwrap();
    let userinfo = login.userinfo.unwrap();
    let only = json!({
        "sub": world.fixture.claims["sub"],
        "name": "Ada Example", "given_name": "Ada", "family_name": "Example",
    });
    assert_eq!(userinfo.to_value(), only);
    // The browser says that somebody else's address is verified.
    assert_eq!(userinfo.email(), None);
    assert_eq!(userinfo.email_verified(), None);
    assert_eq!(userinfo.subject(), Some(login.claims.unwrap().subject()));
}

#[tokio::test]
async fn a_user_parameter_that_cannot_be_read_ends_no_login() {
    let name = json!({"firstName": "A", "lastName": "B"});
    for brought in [
        json!("text"),
        json!([]),
        json!({"name": null}),
        json!({"name": name, "sub": "somebody else"}),
    ] {
        let mut world = World::of("apple").await;
        world.fixture.posted.insert("user".to_owned(), brought);
        let login = world.login().await.1.unwrap();
        let subject = world.fixture.claims["sub"].as_str();
        assert_eq!(login.subject(), subject);
        assert!(login.userinfo.is_none_or(|info| info.subject() == subject));
    }
    let mut world = World::of("apple").await;
    world.fixture.posted.clear();
    assert!(world.login().await.1.unwrap().userinfo.is_none());
}

#[tokio::test]
async fn the_name_waits_with_the_answer_where_an_account_is_connected() {
    let world = World::of("apple").await;
    let client = world.client();
    let redirect = client
        .authorize_redirect(world.callback())
        .connect("the-user");
    let redirect = redirect.await.unwrap();
    let nonce = query(&redirect.url).remove("nonce");
    world.answer_with("POST", &world.fixture.token, nonce.as_deref());
    let posted = world.answer_to(&redirect, &[("code", CODE)]);
    let set = cookies(&redirect.cookies);
    let redirect_uri = world.callback();
    let held = client.hold_answer(&posted, &set, Some(&redirect_uri)).await;
    let held = held.unwrap().unwrap();
    let both: Vec<_> = [redirect.cookies, held.cookies]
        .into_iter()
        .flatten()
        .collect();
    let params = CallbackParams::parse(held.url.query().unwrap()).unwrap();
    let both = cookies(&both);
    let returned = client.authorize_access_token(&params, &both, Some(&redirect_uri));
    let login = returned.await.login.unwrap();
    assert_eq!(login.userinfo.unwrap().name(), Some("Ada Example"));
}

#[tokio::test]
async fn a_browser_vouches_for_nothing_where_no_hook_looks_at_it() {
    let client = Registration::openid("apple", "https://appleid.apple.com")
        .client_id(CLIENT_ID)
        .client_secret(SECRET)
        .profile_parameter("user");
    let mut world = World::with("apple", client).await;
    let brought = json!({
        "sub": "somebody else", "email": "else@example.com", "email_verified": true,
        "phone_number_verified": true,
    });
    world.fixture.posted.insert("user".to_owned(), brought);
    let login = world.login().await.1.unwrap();
    let userinfo = login.userinfo.unwrap();
    assert_eq!(userinfo.subject(), world.fixture.claims["sub"].as_str());
    assert_eq!(userinfo.email(), Some("else@example.com"));
    assert_eq!(userinfo.email_verified(), None);
    assert_eq!(userinfo.phone_number_verified(), None);
}
