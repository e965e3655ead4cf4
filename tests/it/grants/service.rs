//! Service accounts: the application's own tokens by assertions (RFC 7523), one request for the fleet.

use std::time::Duration;

use tokenkeep::{
    Action, Error, ErrorCode, JwtBearer, OAuth, Registration, Signer, SigningAlgorithm, SigningKey,
};
use tokenkeep_testing::{ClientKey, Endpoint, Fault, Provider};

use crate::{
    kind::Kind,
    world::{CLIENT, World, on_every_store, refused, soon},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ROBOT: &str = "robot@project.example";

fn key() -> ClientKey {
    ClientKey::generate("RS256").named("key-1")
}

fn assertion(key: &ClientKey) -> JwtBearer {
    let key = SigningKey::from_pem(SigningAlgorithm::Rs256, key.pem()).unwrap();
    JwtBearer::new(key.with_key_id("key-1"))
}

/// As for Google: a token endpoint, and the account's name as the client's id.
fn registration(provider: &Provider, assertion: JwtBearer) -> Registration {
    Registration::new(CLIENT)
        .access_token_url(format!("{}/token", provider.issuer()))
        .client_id(ROBOT)
        .api_base_url(provider.api_base_url())
        .jwt_bearer(assertion)
}

async fn world(key: &ClientKey) -> World {
    World::over(
        Kind::Memory,
        Provider::builder().assertion_issuer(ROBOT, key),
    )
    .await
}

fn oauth(world: &World, registration: Registration) -> OAuth {
    let builder = world.bare(&world.store).register(registration);
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_asks_once_for_the_whole_fleet_and_again_when_the_token_is_over() {
    let key = key();
    on_every_store(
        || Provider::builder().assertion_issuer(ROBOT, &key),
        async |world| {
            let assertion = || assertion(&key).scopes(["calendar"]).scopes_as_claim();
            let one = oauth(world, registration(&world.provider, assertion()));
            let store = world.another_store().await;
            let two = registration(&world.provider, assertion());
            let two = world.bare(&store).register(two).build().unwrap();
            let asked = || world.provider.token_requests(GRANT);
            let crowd = async || {
                let callers: Vec<_> = (0..20)
                    .map(|n| {
                        let oauth = if n % 2 == 0 { &one } else { &two };
                        let app = oauth.client(CLIENT).unwrap().app();
                        tokio::spawn(async move { app.token().await })
                    })
                    .collect();
                let mut generations = Vec::new();
                for caller in callers {
                    generations.push(soon(caller).await.unwrap().unwrap().generation());
                }
                generations.dedup();
                assert_eq!(generations.len(), 1);
                generations[0]
            };
            let first = crowd().await;
            assert_eq!(asked(), 1);
            world.advance(Duration::from_secs(301));
            assert_eq!(crowd().await, first + 1);
            assert_eq!(
                asked(),
                2,
                "with an assertion of its own: none is taken twice"
            );
            let app = one.client(CLIENT).unwrap().app();
            assert_eq!(app.get("scope/calendar").await.unwrap().status(), 200);
            assert_eq!(world.provider.token_requests("client_credentials"), 0);
        },
    )
    .await;
}

#[tokio::test]
async fn an_account_acts_for_a_user_of_its_domain() {
    let key = key();
    let world = world(&key).await;
    let assertion = assertion(&key)
        .subject("alice@example.com")
        .claim("tenant", "t1");
    let oauth = oauth(&world, registration(&world.provider, assertion));
    let me = oauth.client(CLIENT).unwrap().app().get("me").await.unwrap();
    let me: serde_json::Value = me.json().await.unwrap();
    assert_eq!(me["sub"], "alice@example.com");
}

#[tokio::test]
async fn scopes_stand_in_the_request_or_in_the_assertion_and_those_of_the_call_win() {
    let key = key();
    let world = world(&key).await;
    for by_claim in [false, true] {
        let assertion = assertion(&key).scopes(["calendar"]);
        let assertion = if by_claim {
            assertion.scopes_as_claim()
        } else {
            assertion
        };
        let oauth = OAuth::builder()
            .store(tokenkeep::MemoryStore::new())
            .register(registration(&world.provider, assertion))
            .build()
            .unwrap();
        let app = oauth.client(CLIENT).unwrap().app();
        assert_eq!(app.get("scope/calendar").await.unwrap().status(), 200);
        let mail = app.clone().scopes(["mail"]);
        assert_eq!(mail.get("scope/mail").await.unwrap().status(), 200);
        refused(
            mail.get("scope/calendar").await,
            ErrorCode::InsufficientScope,
        );
        refused(app.get("scope/mail").await, ErrorCode::InsufficientScope);
    }
}

#[tokio::test]
async fn an_assertion_that_is_refused_is_the_registration_s_fault() {
    let key = key();
    let world = world(&key).await;
    let other = ClientKey::generate("RS256").named("key-1");
    for wrong in [
        assertion(&other),
        assertion(&key).issuer("somebody@else.example"),
        assertion(&key).audience("https://elsewhere.example"),
    ] {
        let wrong = registration(&world.provider, wrong);
        let oauth = OAuth::builder()
            .store(tokenkeep::MemoryStore::new())
            .register(wrong)
            .build()
            .unwrap();
        let app = oauth.client(CLIENT).unwrap().app();
        let error = refused(app.token().await, ErrorCode::ProviderError);
        assert_eq!(
            error.provider().unwrap().error.as_deref(),
            Some("invalid_grant")
        );
        assert_eq!(error.action(), &Action::Configure);
    }
    // A provider that is away is no such thing.
    let oauth = oauth(&world, registration(&world.provider, assertion(&key)));
    world
        .provider
        .faults()
        .on(Endpoint::Token, Fault::ServerError(503))
        .times(1);
    let app = oauth.client(CLIENT).unwrap().app();
    let error = refused(app.token().await, ErrorCode::ProviderError);
    assert!(matches!(error.action(), Action::Retry { .. }));
    world.advance(Duration::from_secs(30));
    app.token().await.unwrap();
}

#[tokio::test]
async fn a_client_that_can_prove_itself_does_so_beside_the_assertion() {
    let key = key();
    let world = world(&key).await;
    let id = world.provider.client_id().to_owned();
    let with = |secret: &str| {
        let proved = registration(&world.provider, assertion(&key).issuer(ROBOT));
        let oauth = OAuth::builder().store(tokenkeep::MemoryStore::new());
        oauth
            .register(proved.client_id(&id).client_secret(secret))
            .build()
            .unwrap()
            .client(CLIENT)
            .unwrap()
            .app()
    };
    with(world.provider.client_secret()).token().await.unwrap();
    let error = refused(with("wrong").token().await, ErrorCode::ProviderError);
    assert_eq!(
        error.provider().unwrap().error.as_deref(),
        Some("invalid_client")
    );
}

#[tokio::test]
async fn an_assertion_that_cannot_be_is_refused_at_registration() {
    let key = key();
    let world = world(&key).await;
    for (wrong, said) in [
        (
            assertion(&key).lifetime(Duration::from_secs(3601)),
            "lifetime",
        ),
        (assertion(&key).lifetime(Duration::ZERO), "lifetime"),
        (assertion(&key).claim("jti", "1"), "jti"),
        (
            assertion(&key).scopes_as_claim().claim("scope", "x"),
            "scope",
        ),
        (assertion(&key).scopes(["a b"]), "scope"),
    ] {
        let registered = world
            .bare(&world.store)
            .register(registration(&world.provider, wrong))
            .build();
        let error = refused(registered, ErrorCode::InvalidConfiguration);
        assert!(error.message().contains(said), "{}", error.message());
    }
}

#[tokio::test]
async fn a_single_assertion_is_exchanged_and_what_comes_is_kept_when_the_application_says_so() {
    let key = key();
    let world = world(&key).await;
    let oauth = oauth(&world, registration(&world.provider, assertion(&key)));
    let client = oauth.client(CLIENT).unwrap();
    let signed_here = assertion(&key)
        .subject("alice")
        .lifetime(Duration::from_secs(3600));
    let signed_there = key.assertion(&serde_json::json!({
        "iss": ROBOT, "sub": "alice", "aud": world.provider.issuer(),
        "iat": world.now().as_secs(), "exp": world.now().as_secs() + 60,
        "jti": "a number that nobody can guess",
    }));
    for request in [
        client.jwt_bearer(signed_here),
        client.assertion_grant(signed_there.as_str()),
    ] {
        let shown = format!("{request:?}");
        assert!(!shown.contains(&signed_there), "{shown}");
        let login = request.scopes(["calendar"]).await.unwrap();
        assert_eq!(login.scopes, ["calendar"]);
        refused(
            client.owner("alice").token().await,
            ErrorCode::LoginRequired,
        );
        let grant = oauth.keep_grant(&login, "alice").await.unwrap();
        assert_eq!(grant.get("scope/calendar").await.unwrap().status(), 200);
        grant.log_out().await.unwrap();
    }
    // An assertion is good once; and no error quotes it.
    let again = client.assertion_grant(signed_there.as_str()).await;
    let error = refused(again, ErrorCode::ProviderError);
    assert!(!format!("{error:?} {error}").contains(&signed_there));
    let echo = Fault::Answer {
        status: 500,
        content_type: "text/plain".into(),
        body: format!("no such {signed_there}"),
    };
    world.provider.faults().on(Endpoint::Token, echo).times(1);
    let echoed = client.assertion_grant(signed_there.as_str()).await;
    let error = refused(echoed, ErrorCode::ProviderError);
    assert!(!format!("{error:?} {error}").contains(&signed_there));
}

/// A key management service that does not answer.
#[derive(Debug)]
struct Hangs;

#[async_trait::async_trait]
impl Signer for Hangs {
    fn algorithm(&self) -> &str {
        "RS256"
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    async fn sign(&self, _: &[u8]) -> tokenkeep::Result<Vec<u8>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_signer_that_never_answers_is_given_up() {
    let world = world(&key()).await;
    let oauth = oauth(&world, registration(&world.provider, JwtBearer::new(Hangs)));
    let client = oauth.client(CLIENT).unwrap();
    let given_up = async |asked: std::pin::Pin<Box<dyn Future<Output = Error> + Send>>| {
        let asked = tokio::spawn(asked);
        soon(async {
            while !asked.is_finished() {
                world.advance(Duration::from_secs(11));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        asked.await.unwrap()
    };
    let request = client.jwt_bearer(JwtBearer::new(Hangs));
    let error = given_up(Box::pin(async { request.await.unwrap_err() })).await;
    assert_eq!(
        (error.code(), error.client()),
        (ErrorCode::RequestFailed, Some(CLIENT))
    );
    assert!(error.message().contains("signer"), "{error}");
    // The application's own token as well: whoever asks later would wait for ever behind it.
    let app = client.app();
    let error = given_up(Box::pin(async move { app.token().await.unwrap_err() })).await;
    assert!(matches!(error.action(), Action::Retry { .. }), "{error:?}");
    assert_eq!(world.provider.token_requests(GRANT), 0);
}
