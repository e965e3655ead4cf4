//! Bodies that are streamed: nothing is held but a piece, and nothing is sent twice.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    routing::{get, post},
};
use tokenkeep::{Action, ErrorCode, Grant, MemoryStore, OAuth};
use tokenkeep_testing::{Replies, Reply};
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt};

use super::{adopted, builder, registration};
use crate::world::{World, refused, soon};

const PIECE: usize = 64 * 1024;
/// What the sockets and HTTP's own windows may hold between the two sides.
const UNDER_WAY: usize = 24 << 20;

/// Pieces as they are asked for, and how many octets that were.
fn pieces(
    count: usize,
    produced: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let piece = Bytes::from(vec![7; PIECE]);
    tokio_stream::iter(0..count).map(move |_| {
        produced.fetch_add(PIECE, Ordering::SeqCst);
        Ok(piece.clone())
    })
}

/// The API of a router, called for alice.
async fn api(router: Router) -> (OAuth, Grant) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .register(registration().api_base_url(origin))
        .build()
        .unwrap();
    let grant = adopted(&oauth).await;
    (oauth, grant)
}

/// A gigabyte, of which never more is made than what was read and what is under way.
#[tokio::test]
async fn an_answer_is_streamed_as_it_is_read() {
    const COUNT: usize = 16 * 1024;
    let produced = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&produced);
    let handler = async move || Body::from_stream(pieces(COUNT, count));
    let (_oauth, grant) = api(Router::new().route("/large", get(handler))).await;
    let answer = soon(grant.get("large").send()).await.unwrap();
    let mut body = answer.bytes_stream();
    let mut read = 0;
    while let Some(piece) = soon(body.next()).await {
        let ahead = produced.load(Ordering::SeqCst) - read;
        assert!(ahead <= UNDER_WAY, "{ahead} octets wait after {read}");
        read += piece.unwrap().len();
    }
    assert_eq!(read, COUNT * PIECE);
}

#[tokio::test]
async fn a_body_is_streamed_as_the_api_reads_it() {
    const COUNT: usize = 4 * 1024;
    let produced = Arc::new(AtomicUsize::new(0));
    let handler = async |State(produced): State<Arc<AtomicUsize>>, body: Body| {
        let mut body = body.into_data_stream();
        let mut read = 0;
        let mut most = 0;
        while let Some(piece) = body.next().await {
            most = most.max(produced.load(Ordering::SeqCst) - read);
            read += piece.unwrap().len();
        }
        format!("{read} {most}")
    };
    let router = Router::new()
        .route("/upload", post(handler))
        .with_state(Arc::clone(&produced));
    let (_oauth, grant) = api(router).await;
    let body = reqwest::Body::wrap_stream(pieces(COUNT, Arc::clone(&produced)));
    let answer = soon(grant.post("upload").body(body).send()).await.unwrap();
    let told = answer.text().await.unwrap();
    let (read, most) = told.split_once(' ').unwrap();
    assert_eq!(read, (COUNT * PIECE).to_string());
    let most: usize = most.parse().unwrap();
    assert!(most <= UNDER_WAY, "{most} octets waited");
}

/// Whoever streams cannot have it sent again by us; the next attempt must not find the same dead token.
#[tokio::test]
async fn a_refused_stream_is_renewed_for_and_sent_anew_by_whoever_has_it() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    world.provider.expire_access_tokens();
    let produced = Arc::new(AtomicUsize::new(0));
    let upload = || {
        let body = reqwest::Body::wrap_stream(pieces(2, Arc::clone(&produced)));
        grant.post("echo").body(body).send()
    };
    let error = refused(upload().await, ErrorCode::TokenRejected);
    assert!(matches!(error.action(), Action::Retry { .. }), "{error}");
    assert_eq!(world.provider.requests("/api/echo"), 1);
    assert_eq!(world.refreshes(), 1);
    assert_eq!(upload().await.unwrap().status(), 200);
    // An API that refuses each token costs no refresh each time.
    world.provider.stale(true);
    for _ in 0..3 {
        let error = refused(upload().await, ErrorCode::TokenRejected);
        assert!(matches!(error.action(), Action::Login { .. }), "{error}");
    }
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn a_stream_is_not_sent_on_but_its_headers_are_where_a_get_follows() {
    let away = |status| Reply::status(status).header("location", "/v1/done");
    let replies = Replies::new()
        .on("POST", "/v1/303", away(303))
        .on("POST", "/v1/307", away(307))
        .on("GET", "/v1/done", Reply::body("text/plain", "done"));
    let oauth = builder(&replies, |op| op).build().unwrap();
    let grant = adopted(&oauth).await;
    let upload = |path: &str| {
        let body = reqwest::Body::wrap_stream(pieces(1, Arc::default()));
        let post = grant.post(path).header("x-mine", "1").body(body);
        post.header("content-type", "application/octet-stream")
    };
    assert_eq!(upload("303").await.unwrap().text().await.unwrap(), "done");
    let sent = replies.requests();
    assert_eq!(sent[1].method, "GET");
    assert_eq!(sent[1].headers["x-mine"], "1");
    assert_eq!(sent[1].headers["authorization"], "Bearer the-token");
    assert!(!sent[1].headers.contains_key("content-type"));
    // The same method with the same body: whoever has it decides.
    assert_eq!(upload("307").await.unwrap().status(), 307);
    assert_eq!(replies.requests().len(), 3);
}
