//! Where a process can be stopped: at each call of its store, at each step of a token request, in a hook, in the feed.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use axum::http;
use reqwest::{Request, Response};
use tokenkeep::{Hook, RawAnswer, Sent, TokenKey, Transport, TransportError, store::*};
use tokenkeep_testing::Gate;
use tokio::sync::watch;

use super::{history::History, point::Effect};
use crate::faulty::{self, Busy, Method};

/// The places of a refresh where something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seam {
    /// Any read of the store.
    Read,
    /// A lease is about to be written.
    Begin,
    /// It is written; the store's answer is on its way.
    Begun,
    /// A token request is about to be sent.
    Send,
    /// It is under way to the provider.
    Sent,
    /// The provider has processed it.
    Processed,
    /// Its answer has begun to arrive.
    Answer,
    /// The answer has been parsed; the commit's read is next.
    Parsed,
    /// The commit is about to be written.
    Commit,
    /// It is written; the store's answer is on its way.
    Committed,
    /// A response hook looks at the answer.
    Hook,
    /// The change feed is about to be followed.
    Feed,
}

/// What becomes of the change feed's hints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Hints {
    #[default]
    Straight,
    Lost,
    Doubled,
    /// Each pair comes the other way round.
    Reordered,
}

struct Fault {
    seam: Seam,
    effect: Effect,
    left: u64,
    panics: bool,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    /// A good answer to a refresh has come since the fault was turned on.
    answered: bool,
    hints: Hints,
    /// How many hints were.
    spoilt: u64,
}

/// Stands at all seams of one process.
pub(super) struct Probe {
    name: &'static str,
    /// A killing fault ends this very process.
    dies: bool,
    history: Arc<History>,
    busy: Arc<AtomicUsize>,
    state: Arc<Mutex<State>>,
    reached: watch::Sender<u64>,
    gate: Mutex<Gate>,
    /// Holds the next lease back, fault or no fault.
    first: Mutex<Option<Gate>>,
    /// How many callers of a refresh have begun to ask.
    pub(super) asking: AtomicUsize,
    flights: AtomicU64,
    /// The largest number of refresh requests under way at once.
    pub(super) most_flights: AtomicU64,
    /// Good answers to a refresh that came in whole.
    pub(super) good: AtomicU64,
    /// Answers of `invalid_grant`.
    pub(super) refused: AtomicU64,
}

/// The place where a fault of the store or the network comes out.
struct Broken;

impl Probe {
    pub(super) fn new(
        name: &'static str,
        dies: bool,
        history: &Arc<History>,
        busy: &Arc<AtomicUsize>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            dies,
            history: Arc::clone(history),
            busy: Arc::clone(busy),
            state: Arc::default(),
            reached: watch::Sender::new(0),
            gate: Mutex::default(),
            first: Mutex::default(),
            asking: AtomicUsize::new(0),
            flights: AtomicU64::new(0),
            most_flights: AtomicU64::new(0),
            good: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// From now on the process is held at the seam; at the gate's opening the fault has its effect.
    pub(super) fn arm(&self, seam: Seam, effect: Effect, lasts: bool, panics: bool) {
        let mut state = self.state.lock().unwrap();
        state.answered = false;
        state.fault = Some(Fault {
            seam,
            effect,
            left: if lasts { u64::MAX } else { 1 },
            panics,
        });
        *self.gate.lock().unwrap() = Gate::new();
        self.reached.send_replace(0);
    }

    /// The next lease waits at this gate before it is taken.
    pub(super) fn hold_lease(&self) -> Gate {
        let gate = Gate::new();
        *self.first.lock().unwrap() = Some(gate.clone());
        gate
    }

    pub(super) fn hear(&self, hints: Hints) {
        self.state.lock().unwrap().hints = hints;
    }

    /// Has a hint been lost, doubled or held back?
    pub(super) fn has_spoilt(&self) -> bool {
        self.state.lock().unwrap().spoilt > 0
    }

    /// No fault any more.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock().unwrap();
        state.fault = None;
        state.hints = Hints::Straight;
        drop(state);
        self.open();
    }

    pub(super) fn open(&self) {
        self.gate.lock().unwrap().open();
    }

    /// Waits until the process stands at the seam.
    pub(super) async fn reached(&self) {
        let mut reached = self.reached.subscribe();
        crate::world::soon(reached.wait_for(|times| *times > 0))
            .await
            .unwrap();
    }

    pub(super) fn was_reached(&self) -> bool {
        *self.reached.borrow() > 0
    }

    async fn at(&self, seam: Seam) -> Result<(), Broken> {
        let (effect, panics) = {
            let mut state = self.state.lock().unwrap();
            let Some(fault) = state
                .fault
                .as_mut()
                .filter(|fault| fault.seam == seam && fault.left > 0)
            else {
                return Ok(());
            };
            fault.left -= 1;
            (fault.effect, fault.panics)
        };
        if self.dies && effect == Effect::Kill {
            std::process::abort();
        }
        let gate = self.gate.lock().unwrap().clone();
        self.reached.send_modify(|times| *times += 1);
        gate.pass().await;
        assert!(!panics, "a fault of the test: the task ends");
        match effect {
            Effect::Fail => Err(Broken),
            Effect::Delay => Ok(()),
            Effect::Hang | Effect::Kill => std::future::pending().await,
        }
    }

    fn answered(&self) -> bool {
        self.state.lock().unwrap().answered
    }

    fn received(&self, status: u16, body: &[u8]) {
        if status == 200 {
            self.good.fetch_add(1, Ordering::SeqCst);
            self.state.lock().unwrap().answered = true;
        } else if String::from_utf8_lossy(body).contains("\"invalid_grant\"") {
            self.refused.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl From<Broken> for StoreError {
    fn from(_: Broken) -> Self {
        Self::other("a fault of the test")
    }
}

#[async_trait]
impl faulty::Probe for Probe {
    async fn before(&self, method: Method) -> Result<(), StoreError> {
        match method {
            Method::Fetch if self.answered() => {
                self.at(Seam::Parsed).await?;
                self.at(Seam::Read).await?;
            }
            Method::Fetch => self.at(Seam::Read).await?,
            Method::Lease => {
                let first = self.first.lock().unwrap().take();
                if let Some(gate) = first {
                    gate.pass().await;
                }
                self.at(Seam::Begin).await?;
            }
            Method::Write if self.answered() => self.at(Seam::Commit).await?,
            Method::Changes | Method::Resume => self.at(Seam::Feed).await?,
            _ => {}
        }
        Ok(())
    }

    async fn after(&self, method: Method) -> Result<(), StoreError> {
        match method {
            Method::Lease => self.at(Seam::Begun).await?,
            Method::Write if self.answered() => self.at(Seam::Committed).await?,
            _ => {}
        }
        Ok(())
    }

    fn wrote(&self, key: &TokenKey, record: &StoredRecord, expected: Expected) {
        self.history.note(self.name, key, record, expected);
    }

    fn hears(&self, changes: Changes) -> Changes {
        Box::pin(Heard {
            changes,
            state: Arc::clone(&self.state),
            ready: VecDeque::new(),
            kept: None,
        })
    }

    fn busy(&self) -> &Arc<AtomicUsize> {
        &self.busy
    }
}

/// A change feed whose hints are spoilt.
struct Heard {
    changes: Changes,
    state: Arc<Mutex<State>>,
    ready: VecDeque<Change>,
    kept: Option<Change>,
}

impl tokio_stream::Stream for Heard {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Change>> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Poll::Ready(Some(change));
            }
            let Some(change) = ready!(self.changes.as_mut().poll_next(context)) else {
                return Poll::Ready(None);
            };
            let hints = {
                let mut state = self.state.lock().unwrap();
                state.spoilt += u64::from(state.hints != Hints::Straight);
                state.hints
            };
            match (hints, self.kept.take()) {
                (Hints::Lost, _) => {}
                (Hints::Doubled, _) => self.ready.extend([change.clone(), change]),
                (Hints::Reordered, None) => self.kept = Some(change),
                (_, kept) => self.ready.extend([change].into_iter().chain(kept)),
            }
        }
    }
}

/// The network of a process.
#[derive(Clone)]
pub(super) struct Line {
    probe: Arc<Probe>,
    network: reqwest::Client,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.probe.name)
    }
}

/// A refresh under way.
struct Flight<'a>(&'a Probe);

impl<'a> Flight<'a> {
    fn of(probe: &'a Probe) -> Self {
        let flights = probe.flights.fetch_add(1, Ordering::SeqCst) + 1;
        probe.most_flights.fetch_max(flights, Ordering::SeqCst);
        Self(probe)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.flights.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Line {
    pub(super) fn new(probe: &Arc<Probe>) -> Self {
        let network = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            probe: Arc::clone(probe),
            network: network.build().unwrap(),
        }
    }

    /// Sends a request and reads its whole answer.
    async fn whole(
        &self,
        request: Request,
    ) -> Result<(http::response::Parts, Vec<u8>), TransportError> {
        let _busy = Busy::at(&self.probe.busy);
        let lost = |error: reqwest::Error| TransportError::new(Sent::Maybe, error.without_url());
        let answer = self.network.execute(request).await.map_err(lost)?;
        let (parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        let body = Response::from(http::Response::new(body)).bytes().await;
        Ok((parts, body.map_err(lost)?.to_vec()))
    }
}

fn is_refresh(request: &Request) -> bool {
    let body = request.body().and_then(|body| body.as_bytes());
    let body = String::from_utf8_lossy(body.unwrap_or_default()).into_owned();
    body.contains("grant_type=refresh_token")
}

#[async_trait]
impl Transport for Line {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if !is_refresh(&request) {
            let (parts, body) = self.whole(request).await?;
            return Ok(http::Response::from_parts(parts, body).into());
        }
        let broken = |sent| move |_| TransportError::new(sent, "a fault of the test");
        let _flight = Flight::of(&self.probe);
        self.probe.at(Seam::Send).await.map_err(broken(Sent::No))?;
        self.probe
            .at(Seam::Sent)
            .await
            .map_err(broken(Sent::Maybe))?;
        let (parts, mut body) = self.whole(request).await?;
        self.probe
            .at(Seam::Processed)
            .await
            .map_err(broken(Sent::Maybe))?;
        if self.probe.at(Seam::Answer).await.is_err() {
            body.truncate(body.len() / 2);
        } else {
            self.probe.received(parts.status.as_u16(), &body);
        }
        Ok(http::Response::from_parts(parts, body).into())
    }
}

/// A hook that looks at the answers of refreshes, and changes nothing.
pub(super) struct Looks(pub(super) Arc<Probe>);

#[async_trait]
impl Hook for Looks {
    async fn refresh_token_response(
        &self,
        _: &str,
        _: &RawAnswer<'_>,
        _: &[u8],
    ) -> Option<Vec<u8>> {
        let done = self.0.at(Seam::Hook).await;
        assert!(done.is_ok(), "a fault of the test: the hook panics");
        None
    }
}
