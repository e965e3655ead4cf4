//! One preset, its peer, and a browser's way through a login.

use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use tokenkeep_core::{
    BrowserCookies, CallbackParams, Client, Clock, Cookie, Grant, Login, OAuth, OAuthBuilder,
    Redirect, Registration, Result, SystemClock,
};
use tokenkeep_memory::MemoryStore;
use url::{Url, form_urlencoded};

use crate::{
    fixture::{Exchange, Fixture, SECRET, preset},
    peer::{Peer, Reply, Seen},
};

pub(crate) const CLIENT_ID: &str = "the-client";
pub(crate) const CODE: &str = "the-code-of-this-login";
const KEYS: &str = "https://keys.example.com/keys";

pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) fixture: Fixture,
    pub(crate) peer: Peer,
    pub(crate) oauth: OAuth,
    key: EcdsaKeyPair,
}

impl World {
    pub(crate) async fn of(name: &str) -> Self {
        Self::with(name, preset(name)).await
    }

    pub(crate) async fn with(name: &str, registration: Registration) -> Self {
        Self::built(name, registration, |builder| builder).await
    }

    pub(crate) async fn built(
        name: &str,
        registration: Registration,
        more: impl FnOnce(OAuthBuilder) -> OAuthBuilder,
    ) -> Self {
        let fixture = Fixture::of(name);
        let peer = Peer::start().await;
        let builder = OAuth::builder()
            .store(MemoryStore::new())
            .base_url("https://app.example/")
            .transport(peer.clone())
            .register(registration);
        let oauth = more(builder).build().unwrap();
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let world = Self {
            name: name.to_owned(),
            fixture,
            peer,
            oauth,
            key,
        };
        world.play();
        world
    }

    /// The peer answers what stands still.
    pub(crate) fn play(&self) {
        if let Some(metadata) = &self.fixture.metadata {
            let mut document = metadata.document.clone();
            document["jwks_uri"] = KEYS.into();
            self.peer
                .answers("GET", &metadata.at, Reply::json(200, &document));
            let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
            let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
            let keys = json!({"keys": [{
                "kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256", "x": x, "y": y,
            }]});
            self.peer.answers("GET", KEYS, Reply::json(200, &keys));
        }
        for ask in &self.fixture.userinfo {
            self.peer
                .answers(&ask.method, &ask.at, Reply::json(200, &ask.answer));
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.oauth.client(&self.name).unwrap()
    }

    pub(crate) fn callback(&self) -> String {
        format!("https://app.example/callback/{}", self.name)
    }

    pub(crate) async fn begin(&self) -> Redirect {
        let redirect = self.client().authorize_redirect(self.callback()).await;
        redirect.unwrap_or_else(|error| panic!("{}: {error:?}", self.name))
    }

    /// What the token endpoint answers from now on, with a fresh ID token where there is one.
    pub(crate) fn answer_with(&self, method: &str, exchange: &Exchange, nonce: Option<&str>) {
        let mut answer = exchange.answer.clone();
        if answer.get("id_token").is_some() {
            answer["id_token"] = self.id_token(nonce).into();
        }
        let mut reply = Reply::json(200, &answer);
        if let Some(media) = &exchange.media {
            reply.media.clone_from(media);
        }
        self.peer.answers(method, &exchange.at, reply);
    }

    fn id_token(&self, nonce: Option<&str>) -> String {
        let now = SystemClock.now().as_secs();
        let mut claims = self.fixture.id_token.clone().unwrap();
        claims["aud"] = CLIENT_ID.into();
        claims["iat"] = now.into();
        claims["exp"] = (now + 3600).into();
        if let Some(nonce) = nonce.filter(|_| !self.fixture.authorize.without_nonce) {
            claims["nonce"] = nonce.into();
        }
        let header = json!({"alg": "ES256", "kid": "1"});
        let parts = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = parts.join(".");
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// The browser comes back with a code.
    pub(crate) async fn come_back(&self, redirect: &Redirect) -> Result<Login> {
        self.come_back_with(redirect, &[("code", CODE)]).await
    }

    pub(crate) async fn come_back_with(
        &self,
        redirect: &Redirect,
        with: &[(&str, &str)],
    ) -> Result<Login> {
        self.come_back_to(&self.client(), redirect, with).await
    }

    async fn come_back_to(
        &self,
        client: &Client,
        redirect: &Redirect,
        with: &[(&str, &str)],
    ) -> Result<Login> {
        let params = CallbackParams::parse(self.answer_to(redirect, with)).unwrap();
        let cookies = cookies(&redirect.cookies);
        let redirect_uri = self.callback();
        let returned = client.authorize_access_token(&params, &cookies, Some(&redirect_uri));
        returned.await.login
    }

    /// What the browser brings, encoded.
    pub(crate) fn answer_to(&self, redirect: &Redirect, with: &[(&str, &str)]) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let asked = query(&redirect.url);
        form.append_pair("state", &asked["state"])
            .extend_pairs(with);
        for (name, value) in &self.fixture.posted {
            form.append_pair(name, &value.to_string());
        }
        form.finish()
    }

    /// A whole login, as far as it is not kept.
    pub(crate) async fn login(&self) -> (Redirect, Result<Login>) {
        let redirect = self.begin().await;
        let asked = query(&redirect.url);
        let nonce = asked.get("nonce").map(String::as_str);
        self.answer_with("POST", &self.fixture.token, nonce);
        let login = self.come_back(&redirect).await;
        (redirect, login)
    }

    /// The grant of a login that is kept, of another client of the same provider.
    pub(crate) async fn grant_of(&self, client: &str) -> Grant {
        let client = self.oauth.client(client).unwrap();
        let redirect = client.authorize_redirect(self.callback()).await.unwrap();
        self.answer_with("POST", &self.fixture.token, None);
        let login = self
            .come_back_to(&client, &redirect, &[("code", CODE)])
            .await;
        self.oauth
            .keep_login(&login.unwrap(), "the-user", None)
            .await
            .unwrap();
        client.owner("the-user")
    }

    /// The grant of a login that is kept.
    pub(crate) async fn grant(&self) -> Grant {
        let (_, login) = self.login().await;
        let login = login.unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
        self.oauth
            .keep_login(&login, "the-user", None)
            .await
            .unwrap();
        self.client().owner("the-user")
    }
}

/// What a browser sends that was given these cookies.
pub(crate) fn cookies(set: &[Cookie]) -> BrowserCookies {
    let pair = |cookie: &Cookie| format!("{}={}", cookie.name, cookie.value.expose());
    let header: Vec<_> = set.iter().map(pair).collect();
    BrowserCookies::parse([header.join("; ").as_str()])
}

/// A query's parameters, each once.
pub(crate) fn query(url: &Url) -> HashMap<String, String> {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let found: HashMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(found.len(), pairs.len(), "a parameter stands twice: {url}");
    found
}

/// The verifier belongs to the challenge.
pub(crate) fn is_proof(verifier: &str, challenge: &str) -> bool {
    let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref()) == challenge
}

/// How a request proves who sends it: `basic`, `post`, `none`, or `bearer` with its token.
pub(crate) fn proof(seen: &Seen, parameters: &HashMap<String, String>) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    match (
        seen.header("authorization"),
        parameters.get("client_secret"),
    ) {
        (Some(header), None) => match header.split_once(' ').unwrap() {
            ("Basic", pair) => {
                let pair = String::from_utf8(STANDARD.decode(pair).unwrap()).unwrap();
                let encoded = format!("{CLIENT_ID}:{}", encode(SECRET));
                let raw = format!("{CLIENT_ID}:{SECRET}");
                assert!(!parameters.contains_key("client_id"));
                if pair == encoded {
                    "basic".to_owned()
                } else if pair == raw {
                    "raw basic".to_owned()
                } else {
                    panic!("other credentials: {pair}")
                }
            }
            ("Bearer", token) => format!("bearer {token}"),
            other => panic!("{other:?}"),
        },
        (None, Some(secret)) => {
            assert_eq!(parameters["client_id"], CLIENT_ID);
            assert_eq!(secret, SECRET);
            "post".to_owned()
        }
        (None, None) => "none".to_owned(),
        (Some(_), Some(_)) => panic!("two proofs at once"),
    }
}

pub(crate) fn has_headers(seen: &Seen, headers: &BTreeMap<String, String>, name: &str) {
    for (header, value) in headers {
        assert_eq!(
            seen.header(header),
            Some(value.as_str()),
            "{name}: {header}"
        );
    }
}

pub(crate) fn has_members(found: &Value, expected: &Value, name: &str) {
    for (member, value) in expected.as_object().unwrap() {
        let found = found.get(member).unwrap_or(&Value::Null);
        assert_eq!(found, value, "{name}: {member}");
    }
}
