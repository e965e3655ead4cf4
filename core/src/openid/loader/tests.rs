use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use oauth2::http;
use reqwest::{Request, Response, header::IF_NONE_MATCH};
use serde_json::json;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    IdTokenChecks, Sent, SigningAlgorithm, Transport, TransportError,
    openid::{
        fixtures::{ISSUER, ManualClock, claims, jwks, other_rsa, rsa, rules, with},
        validate_with,
    },
};

/// Answers from a list, one after the other, each only when a permit is there; the last one again and again.
#[derive(Debug)]
struct Script {
    answers: Mutex<VecDeque<Reply>>,
    requests: Mutex<Vec<(String, Option<String>)>>,
    gate: Semaphore,
    started: AtomicUsize,
}

#[derive(Clone, Debug)]
enum Reply {
    Answer(u16, Vec<(&'static str, &'static str)>, Vec<u8>),
    Broken,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let etag = request
            .headers()
            .get(IF_NONE_MATCH)
            .map(|value| value.to_str().unwrap().to_owned());
        self.requests
            .lock()
            .unwrap()
            .push((request.url().to_string(), etag));
        self.started.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        let mut answers = self.answers.lock().unwrap();
        let reply = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        match reply.unwrap() {
            Reply::Answer(status, headers, body) => {
                let mut builder = http::Response::builder().status(status);
                for (name, value) in headers {
                    builder = builder.header(name, value);
                }
                Ok(builder.body(body).unwrap().into())
            }
            Reply::Broken => Err(TransportError::new(Sent::Maybe, "broken")),
        }
    }
}

struct Bench {
    script: Arc<Script>,
    clock: Arc<ManualClock>,
    http: Http,
}

impl Bench {
    fn new(answers: impl IntoIterator<Item = Reply>) -> Self {
        let bench = Self::gated(answers);
        bench.script.gate.add_permits(10_000);
        bench
    }

    fn gated(answers: impl IntoIterator<Item = Reply>) -> Self {
        let script = Arc::new(Script {
            answers: Mutex::new(answers.into_iter().collect()),
            requests: Mutex::default(),
            gate: Semaphore::new(0),
            started: AtomicUsize::new(0),
        });
        let clock = Arc::new(ManualClock::default());
        let http = Http {
            transport: Arc::<Script>::clone(&script),
            clock: Arc::<ManualClock>::clone(&clock),
            timeout: Duration::from_secs(10),
        };
        Self {
            script,
            clock,
            http,
        }
    }

    fn keys(&self) -> Cached<KeySet> {
        Cached::keys_at(
            self.http.clone(),
            "https://login.example/keys".parse().unwrap(),
        )
    }

    fn requests(&self) -> usize {
        self.script.requests.lock().unwrap().len()
    }

    /// Lets the tasks that are ready run until none is.
    async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

fn ok(body: Vec<u8>) -> Reply {
    with_headers(vec![], body)
}

fn with_headers(headers: Vec<(&'static str, &'static str)>, body: Vec<u8>) -> Reply {
    Reply::Answer(200, headers, body)
}

fn status(status: u16) -> Reply {
    Reply::Answer(status, vec![], b"<html>".to_vec())
}

fn first_keys() -> Vec<u8> {
    jwks(&[rsa().jwk()])
}

fn second_keys() -> Vec<u8> {
    jwks(&[rsa().jwk(), other_rsa().jwk()])
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

#[tokio::test]
async fn many_callers_cost_one_request() {
    let bench = Bench::gated([ok(first_keys())]);
    let keys = bench.keys();
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let keys = keys.clone();
            tokio::spawn(async move { keys.get().await.unwrap().serial })
        })
        .collect();
    bench.settle().await;
    bench.script.gate.add_permits(1000);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 1);
    }
    assert_eq!(bench.requests(), 1);
    keys.get().await.unwrap();
    assert_eq!(bench.requests(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_nothing() {
    let bench = Bench::gated([ok(first_keys())]);
    let keys = bench.keys();
    let first = tokio::spawn({
        let keys = keys.clone();
        async move { keys.get().await.map(drop) }
    });
    bench.settle().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = tokio::spawn(async move { keys.get().await.unwrap().value.len() });
    bench.settle().await;
    bench.script.gate.add_permits(1);
    assert_eq!(second.await.unwrap(), 1);
    assert_eq!(bench.requests(), 1);
}

#[tokio::test]
async fn a_stale_document_is_served_while_it_is_fetched_anew() {
    let bench = Bench::gated([ok(first_keys()), ok(second_keys())]);
    bench.script.gate.add_permits(1);
    let keys = bench.keys();
    keys.get().await.unwrap();
    bench.clock.advance(minutes(10) - Duration::from_secs(1));
    assert_eq!(keys.get().await.unwrap().serial, 1);
    bench.settle().await;
    assert_eq!(bench.requests(), 1);

    bench.clock.advance(Duration::from_secs(1));
    for _ in 0..10 {
        assert_eq!(keys.get().await.unwrap().serial, 1);
        bench.settle().await;
    }
    assert_eq!(bench.requests(), 2);
    bench.script.gate.add_permits(1);
    bench.settle().await;
    let newer = keys.get().await.unwrap();
    assert_eq!((newer.serial, newer.value.len()), (2, 2));
    assert_eq!(bench.requests(), 2);
}

#[tokio::test]
async fn the_provider_says_how_long_a_document_is_fresh_within_bounds() {
    for (header, fresh) in [
        ("max-age=900", minutes(15)),
        ("public, MAX-AGE=\"900\", must-revalidate", minutes(15)),
        ("max-age=0", minutes(5)),
        ("no-store", minutes(5)),
        ("no-cache, max-age=900", minutes(5)),
        ("max-age=99999999999999999999999", minutes(10)),
        ("max-age=31536000", minutes(60)),
        ("public", minutes(10)),
    ] {
        let bench = Bench::new([with_headers(vec![("cache-control", header)], first_keys())]);
        let keys = bench.keys();
        keys.get().await.unwrap();
        bench.clock.advance(fresh - Duration::from_secs(1));
        keys.get().await.unwrap();
        bench.settle().await;
        assert_eq!(bench.requests(), 1, "{header}");
        bench.clock.advance(Duration::from_secs(1));
        keys.get().await.unwrap();
        bench.settle().await;
        assert_eq!(bench.requests(), 2, "{header}");
    }
}

#[tokio::test]
async fn an_unchanged_document_is_not_sent_again() {
    let bench = Bench::new([
        with_headers(vec![("etag", "\"1\"")], first_keys()),
        Reply::Answer(304, vec![("cache-control", "max-age=1200")], vec![]),
        ok(second_keys()),
    ]);
    let keys = bench.keys();
    keys.get().await.unwrap();
    bench.clock.advance(minutes(10));
    keys.get().await.unwrap();
    bench.settle().await;
    let sent = bench.script.requests.lock().unwrap().clone();
    assert_eq!(sent[0].1, None);
    assert_eq!(sent[1].1.as_deref(), Some("\"1\""));

    bench.clock.advance(minutes(19));
    assert_eq!(keys.get().await.unwrap().serial, 1);
    bench.settle().await;
    assert_eq!(bench.requests(), 2);
    bench.clock.advance(minutes(1));
    keys.get().await.unwrap();
    bench.settle().await;
    assert_eq!(keys.get().await.unwrap().serial, 2);
}

#[tokio::test]
async fn what_was_fetched_last_stays_in_use_for_a_day_if_the_provider_fails() {
    let bench = Bench::new([ok(first_keys()), status(500)]);
    let keys = bench.keys();
    keys.get().await.unwrap();
    bench.clock.advance(minutes(10));
    for _ in 0..100 {
        assert_eq!(keys.get().await.unwrap().serial, 1);
        bench.settle().await;
    }
    assert_eq!(bench.requests(), 2, "a provider that fails is not hammered");
    bench.clock.advance(Duration::from_secs(1));
    keys.get().await.unwrap();
    bench.settle().await;
    assert_eq!(bench.requests(), 3);

    bench
        .clock
        .advance(minutes(24 * 60) - Duration::from_secs(2));
    assert_eq!(keys.get().await.unwrap().serial, 1);
    bench.settle().await;
    bench.clock.advance(minutes(2));
    let error = keys.get().await.unwrap_err();
    assert_eq!(
        (error.code(), error.phase()),
        (ErrorCode::ProviderUnavailable, Phase::Keys)
    );
}

#[tokio::test]
async fn a_failure_is_shared_and_cools_down() {
    let bench = Bench::gated([Reply::Broken, Reply::Broken, ok(first_keys())]);
    let keys = bench.keys();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let keys = keys.clone();
            tokio::spawn(async move { keys.get().await.unwrap_err() })
        })
        .collect();
    bench.settle().await;
    bench.script.gate.add_permits(10_000);
    for caller in callers {
        let error = caller.await.unwrap();
        assert_eq!(
            (error.code(), error.phase()),
            (ErrorCode::ProviderUnavailable, Phase::Keys)
        );
    }
    bench.clock.advance(Duration::from_millis(999));
    let error = keys.get().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1)));
    assert_eq!(bench.requests(), 1);

    bench.clock.advance(Duration::from_millis(1));
    keys.get().await.unwrap_err();
    assert_eq!(bench.requests(), 2);
    bench.clock.advance(Duration::from_millis(1999));
    keys.get().await.unwrap_err();
    assert_eq!(bench.requests(), 2, "the second pause is longer");
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(keys.get().await.unwrap().serial, 1);
}

#[tokio::test]
async fn a_provider_says_when_to_come_back() {
    let bench = Bench::new([
        Reply::Answer(429, vec![("retry-after", "120")], vec![]),
        ok(first_keys()),
    ]);
    let keys = bench.keys();
    let error = keys.get().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
    assert_eq!(
        error.provider().and_then(|provider| provider.status),
        Some(429)
    );
    bench.clock.advance(Duration::from_secs(119));
    keys.get().await.unwrap_err();
    assert_eq!(bench.requests(), 1);
    bench.clock.advance(Duration::from_secs(1));
    keys.get().await.unwrap();
}

#[tokio::test]
async fn every_bad_answer_has_its_code_and_status() {
    for (reply, code) in [
        (status(404), ErrorCode::ProviderError),
        (status(301), ErrorCode::ProviderError),
        (status(304), ErrorCode::ProviderError),
        (status(500), ErrorCode::ProviderUnavailable),
        (status(503), ErrorCode::ProviderUnavailable),
        (ok(b"<!doctype html>".to_vec()), ErrorCode::ProviderError),
        (ok(vec![]), ErrorCode::ProviderError),
        (ok(b"[]".to_vec()), ErrorCode::ProviderError),
        (ok(b"{\"keys\":[".to_vec()), ErrorCode::InvalidMetadata),
        (ok(vec![b' '; (1 << 20) + 1]), ErrorCode::ProviderError),
        (Reply::Broken, ErrorCode::ProviderUnavailable),
    ] {
        let expected = match &reply {
            Reply::Answer(status, ..) if code != ErrorCode::InvalidMetadata => Some(*status),
            _ => None,
        };
        let error = Bench::new([reply.clone()]).keys().get().await.unwrap_err();
        assert_eq!(
            (error.code(), error.phase()),
            (code, Phase::Keys),
            "{reply:?}"
        );
        assert_eq!(
            error.provider().and_then(|provider| provider.status),
            expected,
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn plain_http_is_never_asked() {
    let bench = Bench::new([ok(first_keys())]);
    let keys = Cached::keys_at(
        bench.http.clone(),
        "http://login.example/keys".parse().unwrap(),
    );
    assert_eq!(
        keys.get().await.unwrap_err().code(),
        ErrorCode::InvalidMetadata
    );
    assert_eq!(bench.requests(), 0);
}

#[tokio::test]
async fn an_unknown_key_costs_one_fetch_and_then_a_pause() {
    let bench = Bench::new([
        ok(first_keys()),
        ok(first_keys()),
        ok(first_keys()),
        ok(second_keys()),
    ]);
    let keys = bench.keys();
    let seen = keys.get().await.unwrap().serial;
    for _ in 0..100 {
        assert_eq!(
            keys.refetch_unless_newer_than(seen, Asker::Provider)
                .await
                .unwrap()
                .serial,
            seen
        );
    }
    assert_eq!(bench.requests(), 2);
    bench.clock.advance(Duration::from_secs(29));
    keys.refetch_unless_newer_than(seen, Asker::Provider)
        .await
        .unwrap();
    assert_eq!(bench.requests(), 2);
    bench.clock.advance(Duration::from_secs(1));
    keys.refetch_unless_newer_than(seen, Asker::Provider)
        .await
        .unwrap();
    assert_eq!(bench.requests(), 3);
    bench.clock.advance(Duration::from_secs(30));
    assert_eq!(
        keys.refetch_unless_newer_than(seen, Asker::Provider)
            .await
            .unwrap()
            .serial,
        seen + 1
    );
    // Whoever saw the old ones gets the new ones at no cost, whenever.
    bench.clock.advance(minutes(5));
    assert_eq!(
        keys.refetch_unless_newer_than(seen, Asker::Provider)
            .await
            .unwrap()
            .serial,
        seen + 1
    );
    assert_eq!(bench.requests(), 4);
}

#[tokio::test]
async fn what_anybody_may_send_uses_up_no_fetch_of_the_providers_own_tokens() {
    let bench = Bench::new([ok(first_keys()), ok(first_keys()), ok(second_keys())]);
    let keys = bench.keys();
    let seen = keys.get().await.unwrap().serial;
    for _ in 0..100 {
        let known = keys.refetch_unless_newer_than(seen, Asker::Anybody).await;
        assert_eq!(known.unwrap().serial, seen);
    }
    assert_eq!(bench.requests(), 2);
    let newer = keys.refetch_unless_newer_than(seen, Asker::Provider).await;
    assert_eq!(newer.unwrap().serial, seen + 1);
    assert_eq!(bench.requests(), 3);
}

#[tokio::test]
async fn keys_that_are_no_longer_there_are_looked_for_where_the_metadata_says_now() {
    let document = |keys: &str| {
        let document =
            json!({"issuer": ISSUER, "jwks_uri": format!("https://login.example{keys}")});
        ok(document.to_string().into_bytes())
    };
    let bench = Bench::new([
        document("/keys/1"),
        ok(first_keys()),
        // They moved.
        status(404),
        document("/keys/2"),
        ok(second_keys()),
        // They are gone.
        status(404),
        document("/keys/2"),
    ]);
    let url = "https://login.example/.well-known/openid-configuration";
    let metadata = Cached::of_metadata_url(bench.http.clone(), url.parse().unwrap(), None);
    let keys = Cached::keys_of(bench.http.clone(), metadata);
    let seen = keys.get().await.unwrap().serial;
    let moved = keys.refetch_unless_newer_than(seen, Asker::Provider).await;
    assert_eq!(moved.unwrap().serial, seen + 1);
    assert_eq!(bench.requests(), 5);
    bench.clock.advance(minutes(1));
    let gone = keys
        .refetch_unless_newer_than(seen + 1, Asker::Provider)
        .await;
    assert_eq!(gone.unwrap_err().code(), ErrorCode::ProviderError);
    assert_eq!(bench.requests(), 7);
}

#[tokio::test]
async fn many_unknown_keys_at_once_cost_one_fetch() {
    let bench = Bench::gated([ok(first_keys()), ok(second_keys())]);
    bench.script.gate.add_permits(1);
    let keys = bench.keys();
    let seen = keys.get().await.unwrap().serial;
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let keys = keys.clone();
            tokio::spawn(async move {
                keys.refetch_unless_newer_than(seen, Asker::Provider)
                    .await
                    .unwrap()
                    .serial
            })
        })
        .collect();
    bench.settle().await;
    bench.script.gate.add_permits(100);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 2);
    }
    assert_eq!(bench.requests(), 2);
}

/// A fetch that is under way may have read the old keys.
#[tokio::test]
async fn a_fetch_under_way_that_brings_nothing_new_is_followed_by_one() {
    let bench = Bench::gated([ok(first_keys()), ok(first_keys()), ok(second_keys())]);
    bench.script.gate.add_permits(1);
    let keys = bench.keys();
    let seen = keys.get().await.unwrap().serial;
    bench.clock.advance(minutes(10));
    keys.get().await.unwrap();
    bench.settle().await;
    assert_eq!(bench.requests(), 2);
    let caller = tokio::spawn({
        let keys = keys.clone();
        async move {
            keys.refetch_unless_newer_than(seen, Asker::Provider)
                .await
                .unwrap()
                .serial
        }
    });
    bench.settle().await;
    bench.script.gate.add_permits(2);
    assert_eq!(caller.await.unwrap(), 2);
    assert_eq!(bench.requests(), 3);
}

#[tokio::test]
async fn a_fetch_that_dies_with_its_runtime_is_begun_anew() {
    let bench = Bench::gated([ok(first_keys())]);
    let keys = bench.keys();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (end, ends) = tokio::sync::oneshot::channel::<()>();
    let doomed = std::thread::spawn({
        let keys = keys.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async {
                let _waiting = tokio::spawn(async move { keys.get().await.map(drop) });
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                started.send(()).unwrap();
                ends.await.unwrap();
            });
        }
    });
    has_started.await.unwrap();
    assert_eq!(bench.requests(), 1);
    let waiter = tokio::spawn({
        let keys = keys.clone();
        async move { keys.get().await.unwrap().serial }
    });
    bench.settle().await;
    end.send(()).unwrap();
    doomed.join().unwrap();
    bench.settle().await;
    assert_eq!(bench.requests(), 2);
    bench.script.gate.add_permits(1);
    assert_eq!(waiter.await.unwrap(), 1);
}

#[tokio::test]
async fn a_fixed_document_is_never_fetched() {
    let keys = Cached::fixed(KeySet::parse(&first_keys()).unwrap().0);
    let loaded = keys.get().await.unwrap();
    assert_eq!(
        keys.refetch_unless_newer_than(loaded.serial, Asker::Provider)
            .await
            .unwrap()
            .serial,
        loaded.serial
    );
}

#[tokio::test]
async fn metadata_is_looked_for_at_both_addresses() {
    let document = json!({"issuer": ISSUER, "jwks_uri": "https://login.example/keys"})
        .to_string()
        .into_bytes();
    for nothing in [status(404), ok(b"<html>an application</html>".to_vec())] {
        let bench = Bench::new([nothing, ok(document.clone())]);
        let metadata = Cached::of_issuer(bench.http.clone(), ISSUER, ISSUER).unwrap();
        assert_eq!(metadata.get().await.unwrap().value.issuer, ISSUER);
        let urls: Vec<String> = bench
            .script
            .requests
            .lock()
            .unwrap()
            .iter()
            .map(|(url, _)| url.clone())
            .collect();
        assert_eq!(urls, urls_for(ISSUER).unwrap().map(String::from));
    }
    for (reply, code, requests) in [
        (status(404), ErrorCode::ProviderError, 2),
        (status(500), ErrorCode::ProviderUnavailable, 1),
        (ok(b"{}".to_vec()), ErrorCode::InvalidMetadata, 1),
        (
            ok(br#"{"issuer":"https://evil.example"}"#.to_vec()),
            ErrorCode::IssuerMismatch,
            1,
        ),
    ] {
        let bench = Bench::new([reply]);
        let error = Cached::of_issuer(bench.http.clone(), ISSUER, ISSUER)
            .unwrap()
            .get()
            .await
            .unwrap_err();
        assert_eq!((error.code(), error.phase()), (code, Phase::Discovery));
        assert_eq!(bench.requests(), requests, "{code}");
    }
}

#[tokio::test]
async fn keys_are_where_the_metadata_says() {
    let document = |keys: &str| {
        json!({"issuer": ISSUER, "jwks_uri": keys})
            .to_string()
            .into_bytes()
    };
    let bench = Bench::new([
        ok(document("https://login.example/keys/1")),
        ok(first_keys()),
    ]);
    let metadata = Cached::of_metadata_url(
        bench.http.clone(),
        "https://login.example/.well-known/openid-configuration"
            .parse()
            .unwrap(),
        None,
    );
    let keys = Cached::keys_of(bench.http.clone(), metadata);
    assert_eq!(keys.get().await.unwrap().value.len(), 1);
    assert_eq!(
        bench.script.requests.lock().unwrap()[1].0,
        "https://login.example/keys/1"
    );

    let bench = Bench::new([ok(json!({"issuer": ISSUER}).to_string().into_bytes())]);
    let metadata = Cached::of_issuer(bench.http.clone(), ISSUER, ISSUER).unwrap();
    let error = Cached::keys_of(bench.http.clone(), metadata)
        .get()
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.phase()),
        (ErrorCode::InvalidMetadata, Phase::Keys)
    );
}

/// The provider changes its keys between two logins; the second one has the same `kid`, or another one.
#[tokio::test]
async fn rotated_keys_are_found() {
    for kid in ["rsa", "new"] {
        let rotated = jwks(&[with(other_rsa().jwk(), json!({ "kid": kid }))]);
        let bench = Bench::new([ok(first_keys()), ok(rotated)]);
        let keys = bench.keys();
        let clock = &*bench.clock;
        let checks = IdTokenChecks::new();
        let raw = rsa().token(SigningAlgorithm::Rs256, &claims());
        validate_with(&raw, &keys, &rules(), &checks, clock)
            .await
            .unwrap();

        let header = json!({"alg": "RS256", "kid": kid}).to_string();
        let raw = other_rsa().token_of(SigningAlgorithm::Rs256, &header, &claims().to_string());
        validate_with(&raw, &keys, &rules(), &checks, clock)
            .await
            .unwrap();
        assert_eq!(bench.requests(), 2);
    }
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_not_the_token_s_fault() {
    let unknown = other_rsa().token(SigningAlgorithm::Rs256, &claims());
    let forged = other_rsa().token_of(
        SigningAlgorithm::Rs256,
        r#"{"alg":"RS256","kid":"rsa"}"#,
        &claims().to_string(),
    );
    for (raw, second, expected) in [
        (&unknown, status(503), ErrorCode::ProviderUnavailable),
        (&unknown, ok(first_keys()), ErrorCode::MissingKey),
        (&forged, status(503), ErrorCode::InvalidSignature),
        (&forged, ok(first_keys()), ErrorCode::InvalidSignature),
    ] {
        let bench = Bench::new([ok(first_keys()), second]);
        let outcome = validate_with(
            raw,
            &bench.keys(),
            &rules(),
            &IdTokenChecks::new(),
            &*bench.clock,
        )
        .await;
        assert_eq!(outcome.unwrap_err().code(), expected);
        assert_eq!(bench.requests(), 2);
    }
    // Nothing is fetched anew for a token that is good but for its claims.
    let bench = Bench::new([ok(first_keys())]);
    let raw = rsa().token(SigningAlgorithm::Rs256, &with(claims(), json!({"exp": 1})));
    validate_with(
        &raw,
        &bench.keys(),
        &rules(),
        &IdTokenChecks::new(),
        &*bench.clock,
    )
    .await
    .unwrap_err();
    assert_eq!(bench.requests(), 1);
}
