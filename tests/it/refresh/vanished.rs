//! Tasks that vanish, by a panic or with their runtime, are replaced: G1, G8.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{Request, Response};
use tokenkeep::{Sent, Transport, TransportError};
use tokenkeep_testing::{Gate, Provider};
use tokio::runtime::Runtime;

use crate::{
    faulty::Method,
    world::{alice, next_of, on_every_store, soon, until},
};

/// A network whose first refreshes panic before they are sent.
#[derive(Clone, Debug)]
struct Panics {
    left: Arc<AtomicU64>,
    network: reqwest::Client,
}

impl Panics {
    fn times(left: u64) -> Self {
        Self {
            left: Arc::new(left.into()),
            network: reqwest::Client::new(),
        }
    }
}

#[async_trait]
impl Transport for Panics {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let body = request.body().and_then(|body| body.as_bytes());
        let refresh = String::from_utf8_lossy(body.unwrap_or_default()).contains("=refresh_token");
        let less = |left: u64| left.checked_sub(1);
        if refresh
            && self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
        {
            panic!("a transport of the test");
        }
        let answer = self.network.execute(request).await;
        answer.map_err(|error| TransportError::new(Sent::Maybe, error.without_url()))
    }
}

#[tokio::test]
async fn a_refresh_that_panics_is_replaced_and_its_callers_get_their_token() {
    on_every_store(Provider::builder, async |world| {
        let transport = Panics::times(1);
        // The clock is put forward by a lease while callers look at the store: that is no failure of the store.
        let patient = world.builder().store_timeout(Duration::from_secs(60));
        let oauth = patient.transport(transport.clone()).build().unwrap();
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap().generation();
        let callers: Vec<_> = (0..5)
            .map(|_| {
                let grant = grant.clone();
                tokio::spawn(async move { grant.refresh().await })
            })
            .collect();
        until("it panics", async || {
            transport.left.load(Ordering::SeqCst) == 0
        })
        .await;
        // It left its lease behind: the next one waits for the end of that. Second by second, with a look at the store
        // each time: a look that took half a minute would have no time left for a request.
        while !callers.iter().all(tokio::task::JoinHandle::is_finished) {
            let looks = world.store.calls(Method::Fetch);
            world.clock.advance(Duration::from_secs(1));
            until("it looks again", async || {
                let all = callers.iter().all(tokio::task::JoinHandle::is_finished);
                all || world.store.calls(Method::Fetch) > looks
            })
            .await;
        }
        for caller in callers {
            let token = soon(caller).await.unwrap().unwrap();
            assert_eq!(token.generation(), before + 1);
        }
        assert_eq!(world.refreshes(), 1);
        assert_eq!(oauth.drain(Duration::ZERO).await.unwrap(), 0);
    })
    .await;
}

/// Drops a runtime with all its tasks.
async fn end(runtime: Runtime) {
    tokio::task::spawn_blocking(move || drop(runtime))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refresh_whose_runtime_ends_is_replaced_in_another_one() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap().generation();
        let gate = Gate::new();
        world.store.hold(Method::Lease, gate.clone());
        let runtime = Runtime::new().unwrap();
        let first = grant.clone();
        let first = runtime.spawn(async move { first.refresh().await });
        soon(gate.arrived(1)).await;
        let second = grant.clone();
        let second = tokio::spawn(async move { second.refresh().await });
        tokio::task::yield_now().await;
        end(runtime).await;
        assert!(soon(first).await.unwrap_err().is_cancelled());
        let token = soon(second).await.unwrap().unwrap();
        assert_eq!(token.generation(), before + 1);
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_feed_whose_runtime_ended_is_followed_again_in_another_one() {
    on_every_store(Provider::builder, async |world| {
        let (second, _store) = world.second().await;
        let grant = world.alice(&second).await;
        let runtime = Runtime::new().unwrap();
        let builder = world.builder();
        let built = runtime.spawn(async move {
            let oauth = builder.build().unwrap();
            oauth.follow_changes().await.unwrap();
            oauth
        });
        let oauth = soon(built).await.unwrap();
        let before = alice(&oauth).token().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        end(runtime).await;
        world.store.unfollowed().await;
        // Whoever listens is told that something may be missed, and what is held is no longer trusted for long.
        next_of(&mut updates, "resync").await;
        let newer = grant.refresh().await.unwrap();
        world.clock.advance(Duration::from_secs(2));
        // If it is followed again already, a polled feed takes its pause.
        until("the newer one is noticed", async || {
            alice(&oauth).token().await.unwrap() == newer
        })
        .await;
        world.store.followed().await;
        oauth.follow_changes().await.unwrap();
        let newest = grant.refresh().await.unwrap();
        loop {
            let heard = next_of(&mut updates, "refreshed").await;
            if heard.changed().unwrap().generation == newest.generation() {
                break;
            }
        }
        assert_eq!(newest.generation(), before.generation() + 2);
    })
    .await;
}
