//! Answers that an attacker makes, or has somebody else's provider make.

use tokenkeep::{ErrorCode, OAuth, Phase, Registration};
use tokenkeep_testing::{Callback, Endpoint, Fault, Provider, TestClient};

use super::{Begun, assert_nothing_kept, come_back, onward};
use crate::world::{CALLBACK, CLIENT, World, cookies, encoded, refused};

/// One query with a parameter in place of another.
fn with(query: &str, name: &str, values: &[&str]) -> String {
    let mut changed = url::form_urlencoded::Serializer::new(String::new());
    let kept = url::form_urlencoded::parse(query.as_bytes()).filter(|(other, _)| other != name);
    changed.extend_pairs(kept);
    changed.extend_pairs(values.iter().map(|value| (name, *value)));
    changed.finish()
}

fn parameter(query: &str, name: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(other, _)| other == name);
    found.unwrap().1.into_owned()
}

/// Login CSRF (RFC 6749 section 10.12): the victim's browser is sent to the callback of the attacker's own login, and would
/// work in the attacker's account.
#[tokio::test]
async fn an_attackers_login_does_not_end_in_another_browser() {
    let world = World::new().await;
    let oauth = world.oauth();
    let attackers = Begun::new(&world, &oauth).await;
    let victims = Begun::new(&world, &oauth).await;
    let query = attackers.query();
    let session = world.log_in(&oauth, "victim").await;
    let mut jar = victims.redirect.cookies.clone();
    jar.extend(session.cookies);
    for brought in [cookies(&[]), victims.cookies(), cookies(&jar)] {
        let error = refused(
            attackers.come_back_with(&query, &brought).await,
            ErrorCode::StateMismatch,
        );
        for hint in ["cookies", "base_url"] {
            assert!(error.message().contains(hint), "{error}");
        }
    }
    // The attacker's code with the victim's own state.
    let mixed = with(&query, "state", &[&parameter(&victims.query(), "state")]);
    let injected = victims.come_back_with(&mixed, &victims.cookies()).await;
    let error = refused(injected, ErrorCode::ProviderError);
    assert_eq!(error.phase(), Phase::TokenRequest);
    let session = oauth.session(&cookies(&jar)).await.unwrap().unwrap();
    assert_eq!(session.owner(), "victim", "it is left alone");
}

/// Code injection (RFC 9700 section 4.5): a stolen code is brought into a login of the attacker's own. PKCE ties a code to
/// the login that began; without it the nonce ties the ID token.
#[tokio::test]
async fn a_stolen_code_is_worth_nothing_in_another_login() {
    for (registration, code, phase) in [
        (
            (|r| r) as fn(Registration) -> Registration,
            ErrorCode::ProviderError,
            Phase::TokenRequest,
        ),
        (
            |r| r.dangerously_without_pkce(),
            ErrorCode::InvalidNonce,
            Phase::IdToken,
        ),
        (
            |r| r.dangerously_skip_nonce(),
            ErrorCode::ProviderError,
            Phase::TokenRequest,
        ),
    ] {
        let world = World::new().await;
        let builder = world.bare(&world.store);
        let oauth = builder.register(registration(world.registration())).build();
        let oauth = oauth.unwrap();
        let victims = Begun::new(&world, &oauth).await;
        let attackers = Begun::new(&world, &oauth).await;
        let stolen = parameter(&victims.query(), "code");
        let injected = with(&attackers.query(), "code", &[&stolen]);
        let error = refused(
            attackers
                .come_back_with(&injected, &attackers.cookies())
                .await,
            code,
        );
        assert_eq!(error.phase(), phase);
        assert_nothing_kept(&world);
    }
}

/// Issuer identification (RFC 9207 section 2.4).
#[tokio::test]
async fn the_issuer_of_an_answer_is_compared_to_the_letter() {
    let world = World::new().await;
    let oauth = world.oauth();
    let issuer = world.provider.issuer().to_owned();
    let slash = format!("{issuer}/");
    let upper = issuer.to_uppercase();
    let port = issuer.replace("127.0.0.1", "localhost");
    let blank = format!("{issuer} ");
    let mismatch = ErrorCode::IssuerMismatch;
    for (iss, code) in [
        (vec![], mismatch),
        (vec![""], mismatch),
        (vec!["https://evil.example"], mismatch),
        (vec![&*slash], mismatch),
        (vec![&*upper], mismatch),
        (vec![&*port], mismatch),
        (vec![&*blank], mismatch),
        (vec!["null"], mismatch),
        (vec![&*issuer, &*issuer], ErrorCode::InvalidParameter),
        (
            vec![&*issuer, "https://evil.example"],
            ErrorCode::InvalidParameter,
        ),
    ] {
        let begun = Begun::new(&world, &oauth).await;
        let query = with(&begun.query(), "iss", &iss);
        let error = refused(begun.come_back_with(&query, &begun.cookies()).await, code);
        assert_eq!(error.phase(), Phase::Callback, "{iss:?}");
        // An error is no more to be believed than a code.
        let begun = Begun::new(&world, &oauth).await;
        let query = with(&begun.query(), "iss", &iss);
        let query = with(&with(&query, "code", &[]), "error", &["access_denied"]);
        refused(begun.come_back_with(&query, &begun.cookies()).await, code);
    }
    assert_eq!(onward(&world.provider), [0, 0, 0]);
    assert_nothing_kept(&world);
}

/// Two providers, one of them hostile, each a client of the same application.
struct TwoProviders {
    world: World,
    hostile: Provider,
    oauth: OAuth,
}

const HOSTILE: &str = "hostile";
const HOSTILE_CALLBACK: &str = "http://127.0.0.1:3000/callback/hostile";

impl TwoProviders {
    async fn new(of_hostile: fn(Registration) -> Registration) -> Self {
        let honest = TestClient::confidential("app", "the-secret").redirect_uri(CALLBACK);
        let builder = Provider::builder().client(honest);
        let world = World::over(crate::kind::Kind::Memory, builder).await;
        let hostile = Provider::builder().auto_login("mallory").start();
        let hostile = hostile.await.unwrap();
        let registration = Registration::openid(HOSTILE, hostile.issuer())
            .client_id(hostile.client_id())
            .client_secret(hostile.client_secret());
        let builder = world.builder().register(of_hostile(registration));
        let oauth = builder.build().unwrap();
        Self {
            world,
            hostile,
            oauth,
        }
    }

    /// The user begins at the hostile provider, which sends the browser on to the honest one: with its client id, with the
    /// same state, and a redirect URI that is registered there. What comes back has a code of the honest provider.
    async fn sent_on(&self) -> (tokenkeep::Redirect, Callback) {
        let client = self.oauth.client(HOSTILE).unwrap();
        let redirect = client.authorize_redirect(HOSTILE_CALLBACK).await.unwrap();
        let mut there = url::Url::parse(self.world.provider.issuer()).unwrap();
        there.set_path("/authorize");
        let mut query = redirect.url.query().unwrap().to_owned();
        for (name, value) in [("client_id", "app"), ("redirect_uri", CALLBACK)] {
            query = with(&query, name, &[value]);
        }
        there.set_query(Some(&query));
        let browser = self.world.provider.browser();
        let callback = browser.callback(there.as_str(), "alice").await.unwrap();
        (redirect, callback)
    }
}

/// Mix-up (RFC 9700 section 4.4): the honest provider's code must not reach the hostile one's token endpoint.
#[tokio::test]
async fn a_code_of_one_provider_does_not_reach_the_other() {
    for of_hostile in [
        (|r| r) as fn(Registration) -> Registration,
        // None of it rests on PKCE.
        |r| r.dangerously_without_pkce(),
    ] {
        let both = TwoProviders::new(of_hostile).await;
        let (redirect, callback) = both.sent_on().await;
        let query = encoded(&callback);
        let brought = cookies(&redirect.cookies);
        // Where the honest provider sends it: the route of the client that is registered there.
        let honest = both.oauth.client(CLIENT).unwrap();
        let error = refused(
            come_back(&honest, &query, &brought).await,
            ErrorCode::StateMismatch,
        );
        assert_eq!(error.client(), Some(CLIENT));
        // Carried by hand to the route of the hostile client, whose login it is: the issuer says whose code it is.
        let hostile = both.oauth.client(HOSTILE).unwrap();
        let error = refused(
            come_back(&hostile, &query, &brought).await,
            ErrorCode::IssuerMismatch,
        );
        assert_eq!(error.client(), Some(HOSTILE));
        for provider in [&both.hostile, &both.world.provider] {
            assert_eq!(onward(provider), [0, 0, 0]);
        }
    }
}

/// The issuer of the answer forged away, as a hostile provider that advertises none would have it: the code goes to who was
/// asked, and nothing that comes from there is taken for the honest provider's.
#[tokio::test]
async fn the_hostile_providers_tokens_are_its_own_alone() {
    let both = TwoProviders::new(|r| r).await;
    let hostile = both.oauth.client(HOSTILE).unwrap();
    // It claims to be the honest one in its ID token.
    let fault = tokenkeep_testing::IdTokenFault::Claim(
        "iss".into(),
        both.world.provider.issuer().to_owned().into(),
    );
    let faults = both.hostile.faults();
    faults.on(Endpoint::Token, Fault::IdToken(fault));
    let redirect = hostile.authorize_redirect(HOSTILE_CALLBACK).await.unwrap();
    let browser = both.hostile.browser();
    let callback = browser.callback(redirect.url.as_str(), "mallory").await;
    let query = encoded(&callback.unwrap());
    let brought = cookies(&redirect.cookies);
    refused(
        come_back(&hostile, &query, &brought).await,
        ErrorCode::IssuerMismatch,
    );
    assert_eq!(onward(&both.world.provider), [0, 0, 0]);
}

/// A client that was registered anew while a login was under way: the code of the one provider is not the other's, whatever
/// the answer says.
#[tokio::test]
async fn a_code_does_not_move_with_a_client_that_moves_to_another_provider() {
    let world = World::new().await;
    let other = Provider::builder().auto_login("mallory").start().await;
    let other = other.unwrap();
    let oauth = world.oauth();
    let begun = Begun::new(&world, &oauth).await;
    let moved = Registration::openid(CLIENT, other.issuer())
        .client_id(other.client_id())
        .client_secret(other.client_secret());
    oauth.replace(moved).unwrap();
    let query = with(&begun.query(), "iss", &[other.issuer()]);
    let answer = begun.come_back_with(&query, &begun.cookies()).await;
    let error = refused(answer, ErrorCode::IssuerMismatch);
    assert!(error.message().contains("registered anew"), "{error}");
    for provider in [&other, &world.provider] {
        assert_eq!(onward(provider), [0, 0, 0]);
    }
}
