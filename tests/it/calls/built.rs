//! Requests that were built elsewhere, and how long and how far any request goes.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, http, routing::get};
use reqwest::{Request, Response};
use serde_json::json;
use tokenkeep::{
    Clock, ErrorCode, MemoryStore, OAuth, Sleep, SystemClock, Timestamp, Transport, TransportError,
    as_owner,
};
use tokenkeep_testing::{Replies, Reply};
use tokio::net::TcpListener;

use super::{adopted, builder, registration};
use crate::{
    login::origins::{FOREIGN, OWN},
    world::{CLIENT, refused},
};

fn built(url: &str) -> Option<Request> {
    reqwest::Client::new().get(url).build().ok()
}

#[tokio::test]
async fn a_request_that_was_built_elsewhere_goes_where_any_other_may() {
    let replies = Replies::new().on("GET", "/v1/me", Reply::json(json!({})));
    let oauth = builder(&replies, |op| op).build().unwrap();
    let grant = adopted(&oauth).await;
    let client = oauth.client(CLIENT).unwrap();
    let mut tried = 0;
    for url in FOREIGN {
        let (Some(request), Some(again)) = (built(url), built(url)) else {
            continue;
        };
        // reqwest makes a header of a user in an address, and a request brings no header of its own.
        let own = request.headers().contains_key("authorization")
            && request.url().host_str() == Some("api.example");
        let error = grant.execute(request).await.unwrap_err();
        let code = match own {
            true => ErrorCode::InvalidParameter,
            false => ErrorCode::ForeignOrigin,
        };
        assert_eq!(error.code(), code, "{url}");
        if !own {
            let withheld = client.execute(again).withhold_token();
            refused(withheld.await, ErrorCode::ForeignOrigin);
        }
        tried += 1;
    }
    assert!(tried >= 30, "{tried}");
    assert!(replies.requests().is_empty());
    for url in OWN {
        let request = built(url).unwrap();
        assert_eq!(grant.execute(request).await.unwrap().status(), 200);
    }
    let nobodys = client.execute(built("https://api.example/v1/me").unwrap());
    refused(nobodys.await, ErrorCode::OwnerMissing);
    let own = as_owner("alice", async {
        client.execute(built("https://api.example/v1/me").unwrap())
    });
    assert_eq!(own.await.await.unwrap().status(), 200);
    for sent in replies.requests() {
        assert_eq!(sent.headers["authorization"], "Bearer the-token");
    }
    let mut twice = built("https://api.example/v1/me").unwrap();
    let value = http::HeaderValue::from_static("Bearer mine");
    twice.headers_mut().insert("authorization", value);
    refused(grant.execute(twice).await, ErrorCode::InvalidParameter);
}

#[tokio::test]
async fn a_redirect_is_the_answer_for_whoever_wants_to_see_it() {
    let away = Reply::status(302).header("location", "https://evil.example/");
    let replies = Replies::new().on("GET", "/v1/away", away);
    let oauth = builder(&replies, |op| op).build().unwrap();
    let grant = adopted(&oauth).await;
    let answer = grant.get("away").without_redirects().await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], "https://evil.example/");
    assert_eq!(replies.requests().len(), 1);
}

/// A client below that follows redirects by itself, and comes to `end`.
#[derive(Debug)]
struct Follows(&'static str, AtomicUsize);

#[async_trait]
impl Transport for Follows {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        use reqwest::ResponseBuilderExt;
        self.1.fetch_add(1, Ordering::SeqCst);
        let answer = http::Response::builder().url(self.0.parse().unwrap());
        Ok(answer.body("what is there").unwrap().into())
    }

    fn follows_redirects(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn what_a_client_below_was_redirected_to_is_not_handed_on() {
    let oauth = builder(&Replies::new(), |op| op).build().unwrap();
    let grant = adopted(&oauth).await;
    let within = Follows("https://api.example/v1/there", AtomicUsize::new(0));
    let answer = grant.get("me").send_through(&within).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "what is there");
    for end in [
        "https://evil.example/",
        "http://api.example/v1/me",
        "https://api.example:444/",
    ] {
        let away = Follows(end, AtomicUsize::new(0));
        let answer = grant.get("me").send_through(&away).await;
        let error = refused(answer, ErrorCode::ForeignOrigin);
        assert!(error.message().contains("redirected"), "{error}");
        let withheld = grant.get("me").withhold_token();
        refused(withheld.send_through(&away).await, ErrorCode::ForeignOrigin);
    }
}

/// It would take codes, secrets and refresh tokens along.
#[test]
fn no_registry_sends_by_a_transport_that_follows_redirects() {
    let follows = Follows("https://api.example/v1/there", AtomicUsize::new(0));
    let refused_build = builder(&Replies::new(), |op| op).transport(follows).build();
    let error = refused(refused_build, ErrorCode::InvalidConfiguration);
    assert!(error.message().contains("send_through"), "{error}");
}

/// Whoever follows below has rules of its own: where it stops, nobody goes on.
#[tokio::test]
async fn a_redirect_at_which_a_client_below_stops_is_the_answer() {
    #[derive(Debug)]
    struct Stops(Replies);

    #[async_trait]
    impl Transport for Stops {
        async fn send(&self, request: Request) -> Result<Response, TransportError> {
            self.0.send(request).await
        }

        fn follows_redirects(&self) -> bool {
            true
        }
    }

    let reply = Reply::status(302).header("location", "/v1/there");
    let replies = Replies::new().on("GET", "/v1/me", reply);
    let oauth = builder(&replies, |op| op).build().unwrap();
    let grant = adopted(&oauth).await;
    let below = Stops(replies.clone());
    let answer = grant.get("me").send_through(&below).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(replies.requests().len(), 1);
}

/// What such a client takes along: a body, and an address in a `Referer`.
#[tokio::test]
async fn a_client_below_that_follows_redirects_gets_a_token_in_the_header_only() {
    use tokenkeep::Placement;
    for placement in [Placement::Body, Placement::DangerouslyInQuery] {
        let oauth = builder(&Replies::new(), |op| op.token_placement(placement));
        let grant = adopted(&oauth.build().unwrap()).await;
        let below = Follows("https://api.example/v1/me", AtomicUsize::new(0));
        let post = grant.post("me").form([("a", "1")]);
        let error = refused(post.send_through(&below).await, ErrorCode::Unsupported);
        assert!(error.message().contains("Policy::none()"), "{error}");
        assert_eq!(below.1.load(Ordering::SeqCst), 0);
    }
}

/// Remembers what was put beside each request.
#[derive(Clone, Debug, Default)]
struct Beside(Arc<Mutex<Vec<Option<Mark>>>>, Replies);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark(u8);

#[async_trait]
impl Transport for Beside {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let copy = http::Request::try_from(request.try_clone().unwrap()).unwrap();
        let mark = copy.extensions().get().cloned();
        self.0.lock().unwrap().push(mark);
        self.1.send(request).await
    }
}

#[tokio::test]
async fn what_stands_beside_a_request_stays_through_refresh_and_redirect() {
    let answer = json!({"access_token": "new", "token_type": "bearer"});
    let replies = Replies::new()
        .on("GET", "/v1/me", Reply::status(401))
        .on(
            "GET",
            "/v1/me",
            Reply::status(302).header("location", "/v1/there"),
        )
        .on("GET", "/v1/there", Reply::json(json!({})))
        .on("POST", "/token", Reply::json(answer));
    let below = Beside(Arc::default(), replies.clone());
    let oauth = builder(&replies, |op| op)
        .transport(below.clone())
        .build()
        .unwrap();
    let grant = adopted(&oauth).await;
    let request = http::Request::get("https://api.example/v1/me")
        .extension(Mark(7))
        .body(Vec::new())
        .unwrap();
    let answer = grant.execute(request.try_into().unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let marks = below.0.lock().unwrap().clone();
    let ours = Some(Mark(7));
    assert_eq!(
        marks,
        [ours.clone(), None, ours.clone(), ours],
        "with the token request between"
    );
}

/// A clock at which only some waits end, at once.
#[derive(Debug)]
struct Ends(Duration);

impl Clock for Ends {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    fn sleep(&self, time: Duration) -> Sleep<'_> {
        match time == self.0 {
            true => Box::pin(std::future::ready(())),
            false => Box::pin(std::future::pending()),
        }
    }
}

/// Nobody ever answers.
#[derive(Debug)]
struct Hangs;

#[async_trait]
impl Transport for Hangs {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn no_api_is_waited_for_without_an_end() {
    let seconds = Duration::from_secs;
    for (own, request, call, expected) in [
        (None, None, None, seconds(30)),
        (Some(seconds(41)), None, None, seconds(41)),
        (Some(seconds(41)), Some(seconds(43)), None, seconds(43)),
        (
            Some(seconds(41)),
            Some(seconds(43)),
            Some(seconds(47)),
            seconds(47),
        ),
    ] {
        let oauth = builder(&Replies::new(), |op| match own {
            Some(own) => op.timeout(own),
            None => op,
        });
        let oauth = oauth.transport(Hangs).clock(Ends(expected));
        let grant = adopted(&oauth.build().unwrap()).await;
        let mut get = grant.get("me");
        if let Some(time) = request {
            get = get.with(move |request| request.timeout(time));
        }
        if let Some(time) = call {
            get = get.timeout(time);
        }
        let error = refused(
            crate::world::soon(get.send()).await,
            ErrorCode::RequestFailed,
        );
        assert!(error.message().contains("in time"), "{error}");
    }
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let peers = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
    let seen = Arc::clone(&peers);
    let handler = async move |axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<
        std::net::SocketAddr,
    >| {
        seen.lock().unwrap().insert(peer);
    };
    let router = Router::new().route("/me", get(handler));
    let service = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .register(registration().api_base_url(origin));
    let oauth = oauth.build().unwrap();
    adopted(&oauth).await;
    for owner in ["alice", "alice", "bob"] {
        let grant = oauth.client(CLIENT).unwrap().owner(owner);
        let get = grant.get("me");
        let get = if owner == "bob" {
            get.withhold_token()
        } else {
            get
        };
        get.await.unwrap().bytes().await.unwrap();
    }
    assert_eq!(
        peers.lock().unwrap().len(),
        1,
        "a client of its own for each call"
    );
}
