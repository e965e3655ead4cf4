//! Client authentication, at every endpoint where a client shows who it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokenkeep::{
    Action, AssertionAudience, AuthMethod, ClientAuthentication, Error, ErrorCode, MemoryStore,
    OAuth, Registration, Settings, Signer, SigningAlgorithm, SigningKey, Token, TokenKey,
    TokenRequest,
};
use tokenkeep_testing::{
    AuthMethod as At, ClientKey, Provider, ProviderBuilder, Replies, Reply, TestClient,
};

use crate::{
    kind::Kind,
    world::{CLIENT, World, refused},
};

/// The client of these tests, which the provider knows by its key.
const APP: &str = "app";

async fn world(client: TestClient) -> World {
    let provider: ProviderBuilder = Provider::builder().client(client.any_loopback_redirect_uri());
    World::over(Kind::Memory, provider).await
}

fn registration(world: &World) -> Registration {
    Registration::openid(CLIENT, world.provider.issuer())
        .client_id(APP)
        .scopes(["openid", "offline_access"])
        .api_base_url(world.provider.api_base_url())
}

fn signing_key(algorithm: &str, key: &ClientKey) -> SigningKey {
    let algorithm = SigningAlgorithm::from_name(algorithm).unwrap();
    SigningKey::from_pem(algorithm, key.pem()).unwrap()
}

fn oauth(world: &World, registration: Registration) -> OAuth {
    let builder = world.bare(&world.store).register(registration);
    builder.build().unwrap()
}

/// A login, a refresh, an introspection, a token of the application's own and a revocation. Each authenticates anew: the
/// provider takes no assertion twice.
async fn goes_everywhere(world: &World, oauth: &OAuth) {
    let grant = world.alice(oauth).await;
    grant.refresh().await.unwrap();
    assert!(grant.introspect().await.unwrap().is_active());
    assert!(grant.introspect().await.unwrap().is_active());
    let app = oauth.client(CLIENT).unwrap().app();
    app.token().await.unwrap();
    assert_eq!(grant.get("me").await.unwrap().status(), 200);
    grant.revoke().await.unwrap();
    assert!(oauth.drain(Duration::from_secs(30)).await.is_ok());
    let lineage = &world.provider.lineages()[0];
    assert!(lineage.revoked, "{lineage:?}");
}

#[tokio::test]
async fn a_client_with_a_key_and_no_secret_proves_itself_by_it_everywhere() {
    for algorithm in [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    ] {
        let key = ClientKey::generate(algorithm).named("2026");
        let world = world(TestClient::with_key(APP, &key)).await;
        let signer = signing_key(algorithm, &key).with_key_id("2026");
        goes_everywhere(
            &world,
            &oauth(&world, registration(&world).signing_key(signer)),
        )
        .await;
    }
}

#[tokio::test]
async fn a_client_proves_that_it_has_the_secret_without_sending_it() {
    for algorithm in ["HS256", "HS384", "HS512"] {
        let secret = "a secret that is as long as any hash: 64 bytes, or a little more.";
        let client = TestClient::confidential(APP, secret).auth_method(At::SecretJwt);
        let world = world(client).await;
        let registration = registration(&world)
            .client_secret(secret)
            .token_endpoint_auth_method(AuthMethod::ClientSecretJwt)
            .token_endpoint_auth_signing_alg(algorithm);
        goes_everywhere(&world, &oauth(&world, registration)).await;
    }
}

#[tokio::test]
async fn a_key_comes_from_the_settings_like_a_secret() {
    let key = ClientKey::generate("PS256");
    let world = world(TestClient::with_key(APP, &key)).await;
    let file = world.file("key.pem");
    std::fs::write(&file, key.pem()).unwrap();
    let kwargs = serde_json::json!({
        "scope": "openid offline_access",
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "PS256",
        "private_key_file": file,
    });
    let settings = Settings::from_iter([
        ("OP_CLIENT_ID", APP),
        ("OP_ISSUER", world.provider.issuer()),
        ("OP_API_BASE_URL", &world.provider.api_base_url()),
        ("OP_CLIENT_KWARGS", &kwargs.to_string()),
    ]);
    let builder = world.bare(&world.store).register(CLIENT).config(settings);
    goes_everywhere(&world, &builder.build().unwrap()).await;
}

/// A key that answers late, and from elsewhere.
#[derive(Debug)]
struct Kms(SigningKey, Arc<AtomicU64>);

#[async_trait::async_trait]
impl Signer for Kms {
    fn algorithm(&self) -> &str {
        self.0.algorithm()
    }

    fn key_id(&self) -> Option<&str> {
        self.0.key_id()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        tokio::task::yield_now().await;
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.sign(message).await
    }
}

#[tokio::test]
async fn a_key_may_stand_in_another_service() {
    let key = ClientKey::generate("ES256");
    let world = world(TestClient::with_key(APP, &key)).await;
    let signed = Arc::new(AtomicU64::new(0));
    let kms = Kms(signing_key("ES256", &key), Arc::clone(&signed));
    goes_everywhere(
        &world,
        &oauth(&world, registration(&world).signing_key(kms)),
    )
    .await;
    let authenticated = ["/token", "/introspect", "/revoke"];
    let requests: u64 = authenticated
        .map(|path| world.provider.requests(path))
        .iter()
        .sum();
    assert_eq!(
        signed.load(Ordering::SeqCst),
        requests,
        "each request its own"
    );
}

#[tokio::test]
async fn a_wrong_proof_is_refused_and_the_registration_is_to_be_corrected() {
    let key = ClientKey::generate("ES256").named("right");
    let world = world(TestClient::with_key(APP, &key)).await;
    let elsewhere = AssertionAudience::Exactly("https://elsewhere.example".into());
    let right = || signing_key("ES256", &key).with_key_id("right");
    for wrong in [
        registration(&world)
            .signing_key(signing_key("ES256", &ClientKey::generate("ES256")).with_key_id("right")),
        registration(&world).signing_key(right().with_key_id("wrong")),
        registration(&world).signing_key(signing_key("ES256", &key)),
        registration(&world)
            .signing_key(right())
            .client_assertion_audience(elsewhere),
        registration(&world)
            .signing_key(right())
            .client_assertion_audience(AssertionAudience::TokenEndpoint),
        registration(&world)
            .signing_key(right())
            .token_endpoint_auth_method(AuthMethod::None),
        registration(&world),
    ] {
        let oauth = oauth(&world, wrong);
        let error = refused(world.login(&oauth, "alice").await, ErrorCode::ProviderError);
        let said = error.provider().unwrap();
        assert_eq!(said.error.as_deref(), Some("invalid_client"));
        let app = oauth.client(CLIENT).unwrap().app();
        let error = refused(app.token().await, ErrorCode::ProviderError);
        assert_eq!(error.action(), &Action::Configure);
    }
    let right = registration(&world).signing_key(right());
    world.login(&oauth(&world, right), "alice").await.unwrap();
}

#[tokio::test]
async fn the_audience_can_be_the_token_endpoint() {
    let key = ClientKey::generate("EdDSA");
    let world = world(TestClient::with_key(APP, &key).token_endpoint_audience()).await;
    let registration = registration(&world)
        .signing_key(signing_key("EdDSA", &key))
        .client_assertion_audience(AssertionAudience::TokenEndpoint);
    goes_everywhere(&world, &oauth(&world, registration)).await;
}

/// Metadata names two servers: the one whom the assertion is for, and one that would use it there.
#[tokio::test]
async fn no_assertion_for_the_token_endpoint_goes_to_another_server_that_metadata_names() {
    const ELSEWHERE: &str = "https://evil.example/endpoint";
    let metadata = serde_json::json!({
        "issuer": "https://op.example",
        "authorization_endpoint": "https://op.example/authorize",
        "token_endpoint": "https://honest.example/token",
        "revocation_endpoint": ELSEWHERE,
        "introspection_endpoint": ELSEWHERE,
        "device_authorization_endpoint": ELSEWHERE,
        "jwks_uri": "https://op.example/keys",
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    });
    let key = ClientKey::generate("EdDSA");
    let run = async |change: fn(Registration) -> Registration| {
        let replies = Replies::new()
            .on(
                "GET",
                "/.well-known/openid-configuration",
                Reply::json(metadata.clone()),
            )
            .on(
                "POST",
                "/endpoint",
                Reply::json(serde_json::json!({"active": true})),
            );
        let registration = Registration::openid(CLIENT, "https://op.example")
            .client_id(APP)
            .signing_key(signing_key("EdDSA", &key));
        let oauth = OAuth::builder()
            .store(MemoryStore::new())
            .register(change(registration))
            .transport(replies.clone())
            .build()
            .unwrap();
        let token = Token::builder("the-token").build().unwrap();
        let owner = TokenKey::new(CLIENT, "alice").unwrap();
        oauth.adopt(owner, token).await.unwrap();
        let asked = crate::world::alice(&oauth).introspect().await.map(drop);
        let device = oauth.client(CLIENT).unwrap().device_login().await.map(drop);
        let shown = replies.requests().into_iter();
        let shown = shown.filter(|sent| sent.url.as_str() == ELSEWHERE).count();
        (asked, device, shown)
    };
    let at_token = |registration: Registration| {
        registration.client_assertion_audience(AssertionAudience::TokenEndpoint)
    };
    let (asked, device, shown) = run(at_token).await;
    for refusal in [
        refused(asked, ErrorCode::InvalidMetadata),
        refused(device, ErrorCode::InvalidMetadata),
    ] {
        assert!(
            refusal.message().contains("https://evil.example"),
            "{refusal}"
        );
        assert_eq!(refusal.client(), Some(CLIENT));
    }
    assert_eq!(shown, 0);
    // For the issuer it is good nowhere else; and who names an endpoint means it.
    let (asked, _, shown) = run(|registration| registration).await;
    asked.unwrap();
    assert_eq!(shown, 2);
    let (asked, _, shown) = run(|registration| {
        let at_token = AssertionAudience::TokenEndpoint;
        registration
            .client_assertion_audience(at_token)
            .introspection_url(ELSEWHERE)
    })
    .await;
    asked.unwrap();
    assert_eq!(shown, 1);
}

/// A method that tokenkeep does not bring along.
#[derive(Debug)]
struct House(String, Arc<AtomicU64>);

#[async_trait::async_trait]
impl ClientAuthentication for House {
    fn name(&self) -> &str {
        "house_rules"
    }

    async fn authenticate(&self, request: &mut TokenRequest) -> Result<(), Error> {
        self.1.fetch_add(1, Ordering::SeqCst);
        assert_eq!(request.parameter("client_id"), Some(APP));
        request.set("client_secret", self.0.as_str());
        Ok(())
    }
}

#[tokio::test]
async fn an_application_may_bring_its_own_method() {
    let client = TestClient::confidential(APP, "the secret").auth_method(At::Post);
    let world = world(client).await;
    let asked = Arc::new(AtomicU64::new(0));
    let house = House("the secret".into(), Arc::clone(&asked));
    let registration = registration(&world).client_authentication(house);
    goes_everywhere(&world, &oauth(&world, registration)).await;
    assert!(asked.load(Ordering::SeqCst) >= 5);
}

#[tokio::test]
async fn a_client_with_a_certificate_asks_at_the_endpoints_for_certificates() {
    let metadata = serde_json::json!({
        "issuer": "https://op.example",
        "authorization_endpoint": "https://op.example/authorize",
        "token_endpoint": "https://op.example/token",
        "introspection_endpoint": "https://op.example/introspect",
        "jwks_uri": "https://op.example/jwks",
        "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.op.example/token"},
    });
    let token = serde_json::json!({"access_token": "a", "token_type": "Bearer", "expires_in": 300});
    let replies = Replies::new()
        .on(
            "GET",
            "/.well-known/openid-configuration",
            Reply::json(metadata),
        )
        .on("POST", "https://mtls.op.example/token", Reply::json(token))
        .on(
            "POST",
            "https://op.example/introspect",
            Reply::json(serde_json::json!({"active": true})),
        );
    for method in [
        AuthMethod::TlsClientAuth,
        AuthMethod::SelfSignedTlsClientAuth,
    ] {
        let oauth = OAuth::builder()
            .store(MemoryStore::new())
            .register(
                Registration::openid(CLIENT, "https://op.example")
                    .client_id(APP)
                    .token_endpoint_auth_method(method),
            )
            .transport(replies.clone())
            .build()
            .unwrap();
        let app = oauth.client(CLIENT).unwrap().app();
        let before = replies.requests().len();
        app.token().await.unwrap();
        // It has no alias: the usual one is asked.
        assert!(app.introspect().await.unwrap().is_active());
        let requests = replies.requests();
        let asked: Vec<_> = requests[before..]
            .iter()
            .filter(|request| request.method == "POST")
            .collect();
        assert_eq!(asked.len(), 2);
        for request in asked {
            assert_eq!(request.form("client_id").as_deref(), Some(APP));
            for proof in ["client_secret", "client_assertion"] {
                assert_eq!(request.form(proof), None);
            }
            assert!(!request.headers.contains_key("authorization"));
        }
    }
}
