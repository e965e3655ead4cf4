//! Every error code is reached: one small scene for each. A code that is new has none, and fails the test.

use std::time::Duration;

use axum::extract::FromRequestParts;
use tokenkeep::{
    BrowserCookies, CallbackParams, Error, ErrorCode, KeyRing, OAuth, Registration, Token,
    TokenKey,
    store::{Capabilities, Expected, FetchToken, StoredRecord, UpdateToken, Version},
};
use tokenkeep_testing::{Endpoint, Fault, IdTokenFault, Provider};

use crate::{
    faulty::{Method, StoreFault},
    kind::Kind,
    world::{CALLBACK, CLIENT, World, alice, come_back, encoded, key},
};

/// Codes that nothing can reach yet, and why.
const NOT_YET: [(ErrorCode, &str); 1] = [(
    ErrorCode::Internal,
    "it would be a defect of tokenkeep, which no test can bring about",
)];

#[tokio::test]
async fn every_code_is_reached_by_a_scene_of_its_own() {
    for &code in ErrorCode::ALL {
        let error = scene(code).await;
        if let Some((_, why)) = NOT_YET.iter().find(|(other, _)| *other == code) {
            assert!(error.is_none(), "{code} is reached by now, although: {why}");
            continue;
        }
        let error = error.unwrap_or_else(|| panic!("no scene reaches {code}"));
        assert_eq!(error.code(), code, "{error:?}");
        assert!(error.to_string().starts_with(code.as_str()));
        assert!(!error.message().is_empty());
    }
}

/// The error of a scene that must go wrong.
fn of<T>(result: tokenkeep::Result<T>) -> Option<Error> {
    Some(result.err().expect("the scene goes wrong"))
}

async fn scene(code: ErrorCode) -> Option<Error> {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    match code {
        ErrorCode::InvalidConfiguration => {
            of(world.bare(&world.store).lease(Duration::ZERO).build())
        }
        ErrorCode::MissingStore => of(OAuth::builder().build()),
        ErrorCode::KeyRingRequired => {
            let world = World::over(Kind::Sqlite, Provider::builder()).await;
            of(OAuth::builder().store(world.store).build())
        }
        ErrorCode::NotInitialized => of(OAuth::new().token_updates()),
        ErrorCode::Unsupported => of(world.builder().require(Capabilities::full()).build()),
        ErrorCode::UnknownClient => of(oauth.client("nope")),
        ErrorCode::InvalidKey => of(TokenKey::new(CLIENT, "")),
        ErrorCode::InvalidToken => of(Token::builder("").build()),
        ErrorCode::InvalidReturnTo => of(client
            .authorize_redirect(CALLBACK)
            .return_to("//x.example")
            .await),
        ErrorCode::MissingParameter => of(answered(&world, &oauth, |_| String::new()).await),
        ErrorCode::InvalidParameter => of(CallbackParams::parse("state=a&state=b")),
        ErrorCode::StateMismatch => of(answered(&world, &oauth, |_| {
            "state=unknown-state-unknown&code=a".into()
        })
        .await),
        ErrorCode::FlowExpired => {
            let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
            let callback = world.at_provider(&redirect, "alice").await;
            world.clock.advance(Duration::from_secs(600));
            of(come_back(&client, &callback, &redirect.cookies).await)
        }
        ErrorCode::IssuerMismatch => {
            fault(&world, Endpoint::Discovery, Fault::WrongIssuerInMetadata);
            of(client.authorize_redirect(CALLBACK).await)
        }
        ErrorCode::AccessDenied => {
            let denied = Fault::CallbackError("access_denied".into());
            fault(&world, Endpoint::Authorize, denied);
            of(world.login(&oauth, "alice").await)
        }
        ErrorCode::ProviderError => {
            fault(&world, Endpoint::Token, Fault::Html);
            of(world.login(&oauth, "alice").await)
        }
        ErrorCode::ProviderUnavailable => {
            fault(&world, Endpoint::Token, Fault::DropBefore);
            of(world.login(&oauth, "alice").await)
        }
        ErrorCode::InvalidMetadata => {
            fault(&world, Endpoint::Discovery, Fault::HttpEndpoint);
            of(client.authorize_redirect(CALLBACK).await)
        }
        ErrorCode::MissingIdToken => {
            let answer = Fault::Answer {
                status: 200,
                content_type: "application/json".into(),
                body: r#"{"access_token":"a","token_type":"bearer"}"#.into(),
            };
            fault(&world, Endpoint::Token, answer);
            of(world.login(&oauth, "alice").await)
        }
        ErrorCode::InvalidIdToken => with_id_token(&world, &oauth, IdTokenFault::Expired).await,
        ErrorCode::InvalidSignature => {
            with_id_token(&world, &oauth, IdTokenFault::WrongSignature).await
        }
        ErrorCode::InvalidAudience => {
            with_id_token(&world, &oauth, IdTokenFault::WrongAudience).await
        }
        ErrorCode::InvalidNonce => with_id_token(&world, &oauth, IdTokenFault::WrongNonce).await,
        ErrorCode::InvalidHash => with_id_token(&world, &oauth, IdTokenFault::WrongAtHash).await,
        ErrorCode::MissingClaim => {
            with_id_token(&world, &oauth, IdTokenFault::MissingSubject).await
        }
        ErrorCode::UnsupportedAlgorithm => {
            with_id_token(&world, &oauth, IdTokenFault::AlgNone).await
        }
        ErrorCode::MissingKey => with_id_token(&world, &oauth, IdTokenFault::UnknownKid).await,
        ErrorCode::SubjectMismatch => {
            let grant = world.alice(&oauth).await;
            let other = Fault::OtherSubjectInUserinfo("mallory".into());
            fault(&world, Endpoint::Userinfo, other);
            of(grant.userinfo().await)
        }
        ErrorCode::IdentityChanged => {
            let grant = world.alice(&oauth).await;
            let other = Fault::IdToken(IdTokenFault::OtherSubject("mallory".into()));
            fault(&world, Endpoint::Token, other);
            of(grant.refresh().await)
        }
        ErrorCode::OwnerUnknown => {
            let issuer = world.provider.issuer();
            let (authorize, token) = (format!("{issuer}/authorize"), format!("{issuer}/token"));
            let plain = Registration::oauth2("plain", authorize, token)
                .client_id(world.provider.client_id())
                .client_secret(world.provider.client_secret());
            oauth.register(plain).unwrap();
            let client = oauth.client("plain").unwrap();
            let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
            let callback = world.at_provider(&redirect, "alice").await;
            let login = come_back(&client, &callback, &redirect.cookies)
                .await
                .unwrap();
            of(login.default_owner())
        }
        ErrorCode::OwnerRefused => {
            let refuses = crate::refresh::Refuses;
            let oauth = world.builder().hook(refuses).build().unwrap();
            let login = world.login(&oauth, "alice").await.unwrap();
            of(oauth.keep_login(&login, "alice", None).await)
        }
        ErrorCode::OwnerMissing => of(client.get("me").await),
        ErrorCode::UserChanged => {
            let redirect = client
                .authorize_redirect(CALLBACK)
                .connect("bob")
                .await
                .unwrap();
            let callback = world.at_provider(&redirect, "alice").await;
            let login = come_back(&client, &callback, &redirect.cookies)
                .await
                .unwrap();
            of(oauth.keep_login(&login, "alice", None).await)
        }
        ErrorCode::NotSignedIn => {
            let (mut parts, ()) = axum::http::Request::new(()).into_parts();
            let user = tokenkeep::axum::SignedIn::from_request_parts(&mut parts, &oauth).await;
            let error = user.err().unwrap();
            Some(clone_of(error.error()))
        }
        ErrorCode::CsrfMismatch => {
            let session = world.log_in(&oauth, "alice").await.session.unwrap();
            of(session.check_csrf(Some("another")))
        }
        ErrorCode::LoginRequired => of(alice(&oauth).token().await),
        ErrorCode::TokenRejected => {
            let grant = world.alice(&oauth).await;
            world.provider.stale(true);
            of(grant.get("me").await)
        }
        ErrorCode::InsufficientScope => of(world.alice(&oauth).await.get("scope/x").await),
        ErrorCode::StepUpRequired => of(world.alice(&oauth).await.get("step-up").await),
        ErrorCode::ForeignOrigin => of(world.alice(&oauth).await.get("//x.example/").await),
        ErrorCode::RequestFailed => {
            let grant = world.alice(&oauth).await;
            fault(&world, Endpoint::Api, Fault::DropBefore);
            of(grant.get("me").await)
        }
        ErrorCode::RefreshUnavailable => {
            let grant = world.alice(&oauth).await;
            fault(&world, Endpoint::Token, Fault::ServerError(503));
            grant.refresh().await.unwrap_err();
            of(grant.refresh().await)
        }
        ErrorCode::KeyMissing => {
            world.alice(&oauth).await;
            let ring = KeyRing::parse(&key("b", 9)).unwrap();
            of(alice(&world.builder().key_ring(ring).build().unwrap())
                .token()
                .await)
        }
        ErrorCode::InvalidRecord => {
            rewrite(&world, &oauth, |body| body.truncate(5)).await;
            of(alice(&world.oauth()).token().await)
        }
        ErrorCode::UnsupportedFormat => {
            rewrite(&world, &oauth, |body| body[2] = 2).await;
            of(alice(&world.oauth()).token().await)
        }
        ErrorCode::StoreUnavailable => {
            world.store.on(Method::Fetch, StoreFault::Fail);
            of(oauth.check_store().await)
        }
        ErrorCode::InvalidLogoutToken => of(client.backchannel_logout(b"logout_token=a.b.c").await),
        _ => None,
    }
}

fn fault(world: &World, endpoint: Endpoint, fault: Fault) {
    world.provider.faults().on(endpoint, fault);
}

async fn with_id_token(world: &World, oauth: &OAuth, spoilt: IdTokenFault) -> Option<Error> {
    fault(world, Endpoint::Token, Fault::IdToken(spoilt));
    of(world.login(oauth, "alice").await)
}

async fn answered(
    world: &World,
    oauth: &OAuth,
    change: impl Fn(String) -> String,
) -> tokenkeep::Result<tokenkeep::Login> {
    let client = oauth.client(CLIENT)?;
    let redirect = client.authorize_redirect(CALLBACK).await?;
    let callback = world.at_provider(&redirect, "alice").await;
    let params = CallbackParams::parse(change(encoded(&callback)))?;
    let cookies: BrowserCookies = crate::world::cookies(&redirect.cookies);
    client
        .authorize_access_token(&params, &cookies, None)
        .await
        .login
}

/// Damages the stored record of alice.
async fn rewrite(world: &World, oauth: &OAuth, change: impl Fn(&mut Vec<u8>)) {
    world.alice(oauth).await;
    let key = TokenKey::new(CLIENT, "alice").unwrap();
    let found = world.store.fetch_token(&key).await.unwrap().record.unwrap();
    let mut body = found.body.clone();
    change(&mut body);
    let next = StoredRecord::new(Version::random(), found.generation, found.index, body);
    let expected = Expected::Version(found.version);
    world
        .store
        .update_token(&key, &next, expected)
        .await
        .unwrap();
}

/// The web hook shares its error; the scene wants one of its own.
fn clone_of(error: &Error) -> Error {
    Error::new(error.code(), error.phase(), error.message())
}

#[tokio::test]
async fn codes_have_names_of_their_own_and_a_status() {
    let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ErrorCode::ALL.len());
    for code in ErrorCode::ALL {
        let snake = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(code.as_str().chars().all(snake), "{code}");
        assert!([400, 401, 403, 404, 409, 500, 501, 502, 503].contains(&code.http_status()));
    }
}
