//! Kept tokens in the requests of a reqwest-middleware client: the same rules, with somebody else's client below.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use axum::http::Extensions;
use reqwest::{Request, Response, redirect::Policy};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use serde_json::{Value, json};
use tokenkeep::{
    Client, Credential, Error, ErrorCode, Grant, Hook, MemoryStore, OAuth, Placement, Registration,
    SignatureMethod, SignatureType, Token, TokenKey, Transport, as_owner,
    middleware::{KeptToken, Whose, error_of},
};
use tokenkeep_testing::{OAuth1Provider, Provider, Replies, Reply};

use crate::{
    login::origins::{FOREIGN, OWN, UNREADABLE},
    oauth1::Photos,
    world::{CLIENT, World, alice},
};

type Answer = reqwest_middleware::Result<Response>;

/// A client that follows redirects by itself, as reqwest does if nobody says otherwise.
fn following(token: KeptToken) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(token)
        .build()
}

/// One that does not, with redirects followed by the middleware.
fn followed_here(token: KeptToken) -> ClientWithMiddleware {
    let plain = reqwest::Client::builder().redirect(Policy::none());
    ClientBuilder::new(plain.build().unwrap())
        .with(token.follow_redirects())
        .build()
}

/// Canned answers at the end of the chain.
struct Canned(Replies);

#[async_trait]
impl Middleware for Canned {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Answer {
        self.0
            .send(request)
            .await
            .map_err(reqwest_middleware::Error::middleware)
    }
}

fn canned(token: KeptToken, replies: &Replies) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(token)
        .with(Canned(replies.clone()))
        .build()
}

fn registration() -> Registration {
    Registration::oauth2(
        CLIENT,
        "https://op.example/authorize",
        "https://op.example/token",
    )
    .client_id("id")
    .api_base_url("https://api.example/v1/")
}

/// Nothing of the registry's own leaves: what is sent is sent below the middleware.
async fn adopted(registration: Registration) -> (OAuth, Grant) {
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .register(registration)
        .transport(Replies::new())
        .build()
        .unwrap();
    let token = Token::builder("the-token").build().unwrap();
    let key = TokenKey::new(CLIENT, "alice").unwrap();
    oauth.adopt(key, token).await.unwrap();
    let grant = alice(&oauth);
    (oauth, grant)
}

#[track_caller]
fn refused(answer: Answer, code: ErrorCode) -> (ErrorCode, String) {
    let error = answer.expect_err("it is refused");
    let ours: &Error = error_of(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(ours.code(), code, "{ours:?}");
    assert_eq!(ours.client(), Some(CLIENT));
    (ours.code(), ours.message().to_owned())
}

async fn subject(answer: Answer) -> Value {
    let me: Value = answer.unwrap().json().await.unwrap();
    me["sub"].clone()
}

#[tokio::test]
async fn any_client_sends_a_kept_token_and_has_it_renewed_once() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let me = world.provider.api_base_url() + "me";
    for http in [
        following(KeptToken::of(grant.clone())),
        followed_here(KeptToken::of(grant.clone())),
    ] {
        assert_eq!(subject(http.get(&me).send().await).await, "alice");
        let before = world.refreshes();
        world.provider.expire_access_tokens();
        let echo = world.provider.api_base_url() + "echo";
        let answer = http.post(&echo).body("the body").send().await.unwrap();
        let echo: Value = answer.json().await.unwrap();
        assert_eq!(echo["body"], "the body");
        assert_eq!(world.refreshes(), before + 1);
        // A body that cannot be sent again is not.
        world.provider.expire_access_tokens();
        let pieces = tokio_stream::iter(["a"].map(Ok::<_, std::io::Error>));
        let body = reqwest::Body::wrap_stream(pieces);
        let post = http.post(world.provider.api_base_url() + "echo").body(body);
        refused(post.send().await, ErrorCode::TokenRejected);
        // Renewing by force pauses after that.
        world.advance(std::time::Duration::from_secs(31));
        assert_eq!(subject(http.get(&me).send().await).await, "alice");
    }
}

#[tokio::test]
async fn what_an_api_misses_and_a_grant_that_ended_are_typed_errors() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let http = following(KeptToken::of(grant.clone()));
    let url = |path: &str| world.provider.api_base_url() + path;
    let answer = http.get(url("scope/invoices")).send().await;
    let error = answer.unwrap_err();
    let ours = error_of(&error).unwrap();
    assert_eq!(ours.code(), ErrorCode::InsufficientScope);
    assert_eq!(
        ours.provider().unwrap().required,
        [("scope".to_owned(), "invoices".to_owned())]
    );
    assert!(matches!(ours.action(), tokenkeep::Action::Login { .. }));
    refused(
        http.get(url("step-up")).send().await,
        ErrorCode::StepUpRequired,
    );
    grant.log_out().await.unwrap();
    refused(http.get(url("me")).send().await, ErrorCode::LoginRequired);
}

#[tokio::test]
async fn no_address_leads_a_token_elsewhere() {
    let (_oauth, grant) = adopted(registration()).await;
    let replies = Replies::new().on("GET", "/v1/me", Reply::json(json!({})));
    let mut tried = 0;
    for mode in [
        KeptToken::of(grant.clone()),
        KeptToken::of(grant).follow_redirects(),
    ] {
        let http = canned(mode, &replies);
        for url in FOREIGN.iter().chain(UNREADABLE) {
            let Ok(request) = http.get(*url).build() else {
                continue;
            };
            // reqwest makes a header of a user in an address, and a request brings no header of its own.
            let code = match request.headers().contains_key("authorization") {
                true if request.url().host_str() == Some("api.example") => {
                    ErrorCode::InvalidParameter
                }
                _ => ErrorCode::ForeignOrigin,
            };
            refused(http.execute(request).await, code);
            tried += 1;
        }
        assert!(replies.requests().is_empty(), "{replies:?}");
    }
    assert!(tried >= 60, "{tried}");
    let (_oauth, grant) = adopted(registration()).await;
    let http = canned(KeptToken::of(grant), &replies);
    for url in OWN {
        assert_eq!(http.get(*url).send().await.unwrap().status(), 200);
    }
    for sent in replies.requests() {
        let origin = sent.url.origin().ascii_serialization();
        assert_eq!(origin, "https://api.example");
        assert_eq!(sent.headers["authorization"], "Bearer the-token");
    }
}

#[tokio::test]
async fn no_redirect_that_is_followed_here_leads_a_token_elsewhere() {
    let relative = ["/v1/me", "me", "?me", "../v1/me"];
    let own: Vec<_> = OWN.iter().copied().chain(relative).collect();
    for to in FOREIGN
        .iter()
        .chain(UNREADABLE)
        .copied()
        .chain(own.iter().copied())
    {
        let away = |status| Reply::status(status).header("location", to);
        let done = || Reply::json(json!({}));
        let replies = Replies::new()
            .on("GET", "/v1/away", away(302))
            .on("GET", "/v1/away", done())
            .on("POST", "/v1/away", away(307))
            .on("POST", "/v1/away", done());
        let (_oauth, grant) = adopted(registration()).await;
        let http = canned(KeptToken::of(grant).follow_redirects(), &replies);
        for method in ["GET", "POST"] {
            let request = http.request(method.parse().unwrap(), "https://api.example/v1/away");
            let answer = request.body("the body").send().await;
            if own.contains(&to) {
                assert!(answer.is_ok() == to.is_ascii(), "{to:?}: {answer:?}");
            } else if let Err(error) = answer {
                let code = error_of(&error).unwrap().code();
                let known = [ErrorCode::ForeignOrigin, ErrorCode::RequestFailed];
                assert!(known.contains(&code), "{to:?}: {error}");
            }
        }
        for sent in replies.requests() {
            let origin = sent.url.origin().ascii_serialization();
            assert_eq!(origin, "https://api.example", "{to:?}");
        }
    }
}

/// reqwest follows by itself: within the origin with the token, elsewhere without; and what is there is not handed on.
#[tokio::test]
async fn a_redirect_that_is_followed_below_takes_no_token_elsewhere() {
    let world = World::new().await;
    let elsewhere = Provider::start().await.unwrap();
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let http = following(KeptToken::of(grant.clone()));
    let url = |path: &str| world.provider.api_base_url() + path;
    assert_eq!(
        subject(http.get(url("redirect")).send().await).await,
        "alice"
    );
    for status in [302, 307] {
        let echo = elsewhere.api_base_url() + "echo";
        let away = url(&format!("redirect-away?status={status}&to={echo}"));
        let (_, message) = refused(
            http.post(&away).body("the body").send().await,
            ErrorCode::ForeignOrigin,
        );
        assert!(message.contains("redirected"), "{message}");
    }
    // It was asked, for nobody hindered it, and saw no token.
    assert_eq!(elsewhere.requests("/api/echo"), 2);
    let log = elsewhere.requests_log();
    assert!(
        log.iter()
            .all(|entry| !format!("{entry:?}").contains("Bearer")),
        "{log:?}"
    );
    // Followed here, it is not even asked.
    let http = followed_here(KeptToken::of(grant));
    assert_eq!(
        subject(http.get(url("redirect")).send().await).await,
        "alice"
    );
    let away = url(&format!("redirect-away?to={}me", elsewhere.api_base_url()));
    refused(http.get(&away).send().await, ErrorCode::ForeignOrigin);
    assert_eq!(elsewhere.requests_log().len(), 2);
}

#[tokio::test]
async fn a_token_in_body_or_query_is_sent_only_where_redirects_are_followed_here() {
    for placement in [Placement::Body, Placement::DangerouslyInQuery] {
        let world = World::new().await;
        let oauth = OAuth::builder()
            .store(MemoryStore::new())
            .base_url(crate::world::BASE)
            .register(world.registration().token_placement(placement));
        let oauth = oauth.build().unwrap();
        let grant = world.alice(&oauth).await;
        let echo = world.provider.api_base_url() + "echo";
        let post = |http: &ClientWithMiddleware| {
            let form = "application/x-www-form-urlencoded";
            http.post(&echo).header("content-type", form).body("a=1")
        };
        let http = following(KeptToken::of(grant.clone()));
        refused(post(&http).send().await, ErrorCode::Unsupported);
        assert_eq!(world.provider.requests("/api/echo"), 0);
        let http = followed_here(KeptToken::of(grant.clone()));
        let echo: Value = post(&http).send().await.unwrap().json().await.unwrap();
        assert_eq!(echo["body"], "a=1");
        let place = if placement == Placement::Body {
            "body"
        } else {
            "query"
        };
        assert_eq!(echo["token_placement"], place);
        // What goes wrong below names no address with a token in it.
        world.provider.shutdown().await;
        let error = post(&http).send().await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        assert!(
            !format!("{error:?} {error}").contains("access_token"),
            "{error:?}"
        );
    }
}

/// A body goes along where reqwest follows a redirect, and with PLAINTEXT it holds the secrets of client and token.
#[tokio::test]
async fn a_signature_in_body_or_query_is_sent_only_where_redirects_are_followed_here() {
    for place in [SignatureType::Body, SignatureType::Query] {
        let api = OAuth1Provider::start().await.unwrap();
        let elsewhere = OAuth1Provider::start().await.unwrap();
        let registration = api
            .registration(CLIENT)
            .signature_method(SignatureMethod::Plaintext)
            .signature_type(place)
            .dangerously_allow_plaintext_in_query();
        let registry = OAuth::builder()
            .store(MemoryStore::new())
            .register(registration);
        let oauth = registry.build().unwrap();
        let secret = Credential::OAuth1 {
            secret: "secret-of-the-token".into(),
        };
        let token = Token::builder("the-token").credential(secret);
        let key = TokenKey::new(CLIENT, "alice").unwrap();
        oauth.adopt(key, token.build().unwrap()).await.unwrap();
        let grant = alice(&oauth);
        let to = elsewhere.url().to_string();
        let album = format!("{}api/albums", api.url());
        let post = |http: &ClientWithMiddleware| {
            api.answer("/api/albums", 307, &[("location", &to)], "");
            let form = "application/x-www-form-urlencoded";
            http.post(&album).header("content-type", form).body("a=1")
        };
        let answer = post(&following(KeptToken::of(grant.clone()))).send().await;
        refused(answer, ErrorCode::Unsupported);
        assert!(api.requests().is_empty(), "{place:?}");
        let answer = post(&followed_here(KeptToken::of(grant))).send().await;
        refused(answer, ErrorCode::ForeignOrigin);
        assert_eq!(api.requests().len(), 1);
        assert!(elsewhere.requests().is_empty(), "{place:?}");
    }
}

#[tokio::test]
async fn a_request_may_say_whose_token_it_carries() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    world.log_in(&oauth, "bob").await;
    let client = oauth.client(CLIENT).unwrap();
    let bob = client.owner("bob");
    let me = world.provider.api_base_url() + "me";
    let of_whom = async |http: &ClientWithMiddleware, whose: Option<Whose>| {
        let request = http.get(&me);
        match whose {
            Some(whose) => request.with_extension(whose).send().await,
            None => request.send().await,
        }
    };
    let always = following(KeptToken::of(grant));
    let current = following(KeptToken::at(client));
    for http in [&always, &current] {
        let kept = of_whom(http, Some(Whose::Kept(bob.clone()))).await;
        assert_eq!(subject(kept).await, "bob");
        let token = bob.token().await.unwrap();
        let given = of_whom(http, Some(Whose::Given(token))).await;
        assert_eq!(subject(given).await, "bob");
        // Nobody's goes as it is, wherever it leads.
        let nobodys = of_whom(http, Some(Whose::Nobodys)).await.unwrap();
        assert_eq!(nobodys.status(), 401);
        let elsewhere = Provider::start().await.unwrap();
        let metadata = http.get(elsewhere.metadata_url());
        let metadata = metadata.with_extension(Whose::Nobodys).send().await;
        assert_eq!(metadata.unwrap().status(), 200);
    }
    assert_eq!(subject(of_whom(&always, None).await).await, "alice");
    refused(of_whom(&current, None).await, ErrorCode::OwnerMissing);
    let bobs = as_owner("bob", of_whom(&current, None)).await;
    assert_eq!(subject(bobs).await, "bob");
    let still_alice = as_owner("bob", of_whom(&always, None)).await;
    assert_eq!(subject(still_alice).await, "alice");
    let own = always.get(&me).header("authorization", "Bearer mine");
    refused(own.send().await, ErrorCode::InvalidParameter);
}

/// Stands above, and looks at what comes up.
#[derive(Clone, Default)]
struct Above(Arc<AtomicUsize>);

#[async_trait]
impl Middleware for Above {
    async fn handle(&self, request: Request, all: &mut Extensions, next: Next<'_>) -> Answer {
        assert!(!request.headers().contains_key("authorization"));
        let answer = next.run(request, all).await;
        if let Err(reqwest_middleware::Error::Reqwest(error)) = &answer
            && error.is_connect()
        {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        answer
    }
}

#[tokio::test]
async fn a_failure_below_comes_up_as_it_is() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let above = Above::default();
    let http = ClientBuilder::new(reqwest::Client::new())
        .with(above.clone())
        .with(KeptToken::of(grant))
        .build();
    let me = world.provider.api_base_url() + "me";
    world.provider.shutdown().await;
    let error = http.get(&me).send().await.unwrap_err();
    assert!(error_of(&error).is_none(), "{error:?}");
    assert_eq!(above.0.load(Ordering::SeqCst), 1);
}

/// Refuses whatever has no reason beside it.
struct WithReason;

#[async_trait]
impl Hook for WithReason {
    async fn protected_request(&self, _: &str, request: &mut Request) -> tokenkeep::Result<()> {
        if request.headers().contains_key("x-reason") {
            return Ok(());
        }
        let phase = tokenkeep::Phase::Request;
        Err(Error::new(ErrorCode::OwnerRefused, phase, "a test says no"))
    }
}

#[tokio::test]
async fn hooks_take_part() {
    let world = World::new().await;
    let oauth = world.builder().hook(WithReason).build().unwrap();
    let grant = world.alice(&oauth).await;
    let http = following(KeptToken::of(grant));
    let me = world.provider.api_base_url() + "me";
    refused(http.get(&me).send().await, ErrorCode::OwnerRefused);
    let with = http.get(&me).header("x-reason", "1").send().await;
    assert_eq!(subject(with).await, "alice");
}

#[tokio::test]
async fn a_client_that_hangs_is_given_up() {
    struct Hangs;
    #[async_trait]
    impl Middleware for Hangs {
        async fn handle(&self, _: Request, _: &mut Extensions, _: Next<'_>) -> Answer {
            std::future::pending().await
        }
    }
    let (_oauth, grant) = adopted(registration()).await;
    let token = KeptToken::of(grant).timeout(std::time::Duration::from_millis(1));
    let http = ClientBuilder::new(reqwest::Client::new())
        .with(token)
        .with(Hangs)
        .build();
    let get = http.get("https://api.example/v1/me").send();
    refused(crate::world::soon(get).await, ErrorCode::RequestFailed);
}

/// Nothing of it stands in what is printed.
#[tokio::test]
async fn no_secret_is_printed() {
    let (oauth, grant) = adopted(registration()).await;
    let client: Client = oauth.client(CLIENT).unwrap();
    let token = grant.token().await.unwrap();
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        KeptToken::of(grant.clone()),
        KeptToken::at(client),
        Whose::Given(token),
        Whose::Kept(grant)
    );
    assert!(!shown.contains("the-token"), "{shown}");
}
