//! Against a server that others wrote: oauthlib's (`tests/oauth1/server.py`).

use async_trait::async_trait;
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Request, Response};
use serde_json::{Value, json};
use tokenkeep::{
    Action, CallbackParams, Error, ErrorCode, OAuth, Phase, Registration, SignatureMethod,
    SignatureType, Signer, Transport, TransportError,
};
use tokenkeep_parts::OAuth1Server;
use url::Url;

use super::{CALLBACK, PHOTOS, come_back};
use crate::world::{World, cookies, refused};

const METHODS: [SignatureMethod; 5] = [
    SignatureMethod::HmacSha1,
    SignatureMethod::HmacSha256,
    SignatureMethod::RsaSha1,
    SignatureMethod::RsaSha256,
    SignatureMethod::Plaintext,
];

/// The server, and the key of its client.
struct Independent {
    server: OAuth1Server,
    key: RsaKeyPair,
    world: World,
}

fn armored(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

impl Independent {
    async fn start() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        let public = armored("PUBLIC KEY", public.as_ref());
        Self {
            server: OAuth1Server::start(&public),
            key,
            world: World::new().await,
        }
    }

    fn registration(&self, method: SignatureMethod) -> Registration {
        let at = |path| self.server.at(path);
        let registration =
            Registration::oauth1(PHOTOS, at("initiate"), at("authorize"), at("token"))
                .client_id(OAuth1Server::CLIENT_KEY)
                .client_secret(OAuth1Server::CLIENT_SECRET)
                .signature_method(method)
                .api_base_url(at("api/"));
        match method {
            SignatureMethod::RsaSha1 | SignatureMethod::RsaSha256 => {
                let der: Pkcs8V1Der<'_> = self.key.as_der().unwrap();
                registration.rsa_key(armored("PRIVATE KEY", der.as_ref()))
            }
            _ => registration,
        }
    }

    fn oauth(&self, registration: Registration) -> OAuth {
        let builder = self.world.bare(&self.world.store).register(registration);
        builder.build().unwrap()
    }

    /// Where the server sends the browser, or the page that it shows.
    async fn visit(&self, address: &Url) -> Result<Url, String> {
        let browser = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let page = browser.get(address.clone()).send().await.unwrap();
        match page.headers().get("location") {
            Some(location) => Ok(location.to_str().unwrap().parse().unwrap()),
            None => Err(page.text().await.unwrap()),
        }
    }

    /// A whole login, kept for alice.
    async fn log_in(&self, oauth: &OAuth) {
        let client = oauth.client(PHOTOS).unwrap();
        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        let callback = self.visit(&redirect.url).await.unwrap();
        let query = callback.query().unwrap();
        let login = come_back(&client, query, &redirect.cookies).await.unwrap();
        assert_eq!(login.member("user_id"), Some("7"));
        assert_eq!(login.member("screen_name"), Some("Jörg & Co"));
        oauth.keep_login(&login, "alice", None).await.unwrap();
    }
}

async fn json_of(answer: tokenkeep::Result<Response>) -> Value {
    answer.unwrap().json().await.unwrap()
}

#[tokio::test]
#[ignore = "needs oauthlib; tests/run brings it"]
async fn a_login_calls_and_a_logout_pass_with_every_method_and_placement() {
    let other = Independent::start().await;
    for method in METHODS {
        for (place, name) in [
            (SignatureType::Header, "HEADER"),
            (SignatureType::Query, "QUERY"),
            (SignatureType::Body, "BODY"),
        ] {
            let registration = other
                .registration(method)
                .signature_type(place)
                .request_token_params([("x_access", "read only & more")])
                .access_token_params([("x", "é+")])
                .dangerously_allow_plaintext_in_query();
            let oauth = other.oauth(registration);
            other.log_in(&oauth).await;
            let alice = oauth.client(PHOTOS).unwrap().owner("alice");

            let got = json_of(alice.get("me?file=vacation.jpg&a=%20%2B%25&a=&b").await).await;
            assert_eq!(got["signature_method"], method.as_str());
            // A GET has no form.
            let of_get = if name == "BODY" { "HEADER" } else { name };
            assert_eq!(got["place"], of_get, "{method} {got}");
            let form = [("status", "Hello Ladies + Gentlemen, é!"), ("empty", "")];
            let posted = json_of(alice.post("a%20b/c~d?q=1").form(form).await).await;
            assert_eq!(
                (&posted["place"], &posted["method"]),
                (&json!(name), &json!("POST"))
            );
            let put = json_of(alice.put("albums/7").json(json!({ "a": "é&b=c" })).await).await;
            assert_eq!(put["body"], "{\"a\":\"é&b=c\"}");
            let deleted = json_of(alice.delete("albums/7").await).await;
            assert_eq!(deleted["method"], "DELETE");
            let moved = json_of(alice.get("redirect").await).await;
            assert_eq!(moved["path"], "/api/me");

            alice.log_out().await.unwrap();
            refused(alice.get("me").await, ErrorCode::LoginRequired);
        }
    }
    let log: Value = reqwest::get(other.server.at("log"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(log.as_array().unwrap().len(), METHODS.len() * 3 * 5);
}

#[tokio::test]
#[ignore = "needs oauthlib; tests/run brings it"]
async fn realm_and_body_hash_are_taken_with_every_method_that_signs() {
    let other = Independent::start().await;
    for method in METHODS
        .into_iter()
        .filter(|method| *method != SignatureMethod::Plaintext)
    {
        let registration = other
            .registration(method)
            .realm("Photos")
            .force_include_body();
        let oauth = other.oauth(registration);
        other.log_in(&oauth).await;
        let alice = oauth.client(PHOTOS).unwrap().owner("alice");
        let put = json_of(alice.put("albums").json(json!({ "a": 1 })).await).await;
        assert_eq!(put["realm"], true);
        assert!(put["body_hash"].is_string(), "{put}");
        let posted = json_of(alice.post("albums").form([("a", "b")]).await).await;
        assert!(posted["body_hash"].is_null(), "{posted}");
    }
}

#[tokio::test]
#[ignore = "needs oauthlib; tests/run brings it"]
async fn a_verifier_is_typed_in_a_wrong_one_refused_and_a_denial_understood() {
    let other = Independent::start().await;
    let oauth = other.oauth(other.registration(SignatureMethod::HmacSha1));
    let client = oauth.client(PHOTOS).unwrap();

    let redirect = client.authorize_redirect("oob").await.unwrap();
    let shown = other.visit(&redirect.url).await.unwrap_err();
    let shown: Vec<_> = url::form_urlencoded::parse(shown.as_bytes()).collect();
    let part = |name: &str| {
        shown
            .iter()
            .find(|(other, _)| other == name)
            .unwrap()
            .1
            .clone()
    };
    let params = CallbackParams::typed_in(&part("oauth_token"), &part("oauth_verifier")).unwrap();
    let set = cookies(&redirect.cookies);
    let returned = client
        .authorize_access_token(&params, &set, Some("oob"))
        .await;
    assert_eq!(returned.login.unwrap().member("user_id"), Some("7"));

    let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
    let callback = other.visit(&redirect.url).await.unwrap();
    let token = callback
        .query_pairs()
        .find(|(name, _)| name == "oauth_token")
        .unwrap()
        .1;
    let wrong = format!("oauth_token={token}&oauth_verifier=wrongwrongwrongwrong0123");
    let error = come_back(&client, &wrong, &redirect.cookies).await;
    let error = refused(error, ErrorCode::ProviderError);
    assert_eq!(error.phase(), Phase::TokenRequest);
    assert_eq!(error.action(), &Action::Login { connect_url: None });
    assert!(error.message().contains("the verifier is wrong"), "{error}");

    let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
    let mut address = redirect.url.clone();
    address.query_pairs_mut().append_pair("decision", "deny");
    let denied = other.visit(&address).await.unwrap();
    let login = come_back(&client, denied.query().unwrap(), &redirect.cookies).await;
    refused(login, ErrorCode::AccessDenied);

    let unknown = other
        .registration(SignatureMethod::HmacSha1)
        .client_secret("another");
    let unknown = other.oauth(unknown);
    let login = unknown
        .client(PHOTOS)
        .unwrap()
        .authorize_redirect(CALLBACK)
        .await;
    let error = refused(login, ErrorCode::ProviderError);
    assert_eq!(
        (error.phase(), error.action()),
        (Phase::Authorize, &Action::Configure)
    );
}

/// Sends each request to the API twice, as a careless proxy does, and hands on the second answer.
#[derive(Debug)]
struct Twice(reqwest::Client);

#[async_trait]
impl Transport for Twice {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let failed = |error| TransportError::new(tokenkeep::Sent::Maybe, error);
        if request.url().path().starts_with("/api/") {
            let first = request.try_clone().expect("it has a whole body");
            self.0.execute(first).await.map_err(failed)?;
        }
        self.0.execute(request).await.map_err(failed)
    }
}

#[tokio::test]
#[ignore = "needs oauthlib; tests/run brings it"]
async fn a_replayed_nonce_is_told_as_what_it_is() {
    let other = Independent::start().await;
    let builder = other.world.bare(&other.world.store);
    let builder = builder.register(other.registration(SignatureMethod::HmacSha1));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let oauth = builder.transport(Twice(http)).build().unwrap();
    other.log_in(&oauth).await;
    let error = oauth
        .client(PHOTOS)
        .unwrap()
        .owner("alice")
        .post("albums")
        .await;
    let error = refused(error, ErrorCode::TokenRejected);
    assert_eq!(
        error.provider().unwrap().error.as_deref(),
        Some("nonce_used")
    );
    assert!(error.message().contains("sends requests twice"), "{error}");
    // The first of both was taken.
    let log: Value = reqwest::get(other.server.at("log"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(log.as_array().unwrap().len(), 1);
}

/// A key in a key management service, as far as a client can tell.
#[derive(Debug)]
struct Elsewhere(RsaKeyPair);

#[async_trait]
impl Signer for Elsewhere {
    fn algorithm(&self) -> &str {
        "RS256"
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    async fn sign(&self, message: &[u8]) -> tokenkeep::Result<Vec<u8>> {
        tokio::task::yield_now().await;
        let mut signature = vec![0; self.0.public_modulus_len()];
        let random = SystemRandom::new();
        let signed = self
            .0
            .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
        signed.map_err(|_| Error::new(ErrorCode::RequestFailed, Phase::Request, "no signature"))?;
        Ok(signature)
    }
}

#[tokio::test]
#[ignore = "needs oauthlib; tests/run brings it"]
async fn a_key_that_stands_elsewhere_signs_every_request() {
    let other = Independent::start().await;
    let der: Pkcs8V1Der<'_> = other.key.as_der().unwrap();
    let elsewhere = Elsewhere(RsaKeyPair::from_pkcs8(der.as_ref()).unwrap());
    let registration = other
        .registration(SignatureMethod::HmacSha1)
        .signature_method(SignatureMethod::RsaSha256)
        .oauth1_signer(elsewhere);
    let oauth = other.oauth(registration);
    other.log_in(&oauth).await;
    let got = json_of(oauth.client(PHOTOS).unwrap().owner("alice").get("me").await).await;
    assert_eq!(got["signature_method"], "RSA-SHA256");
}
