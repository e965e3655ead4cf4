//! A store with faults to turn on, method by method.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokenkeep::{Timestamp, TokenKey, store::*};
use tokenkeep_testing::Gate;
use tokio::sync::watch;

use crate::world::HandClock;

/// The methods of a store that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Method {
    Fetch,
    /// A write that only takes or gives back a lease.
    Lease,
    /// Any other write.
    Write,
    Find,
    Purge,
    Once,
    Changes,
    /// A feed from a cursor on.
    Resume,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum StoreFault {
    /// It waits at the gate before it is done.
    Hold(Gate),
    /// Nothing is done, and an error comes back.
    Fail,
    /// Nothing is done, and nothing comes back.
    Hang,
    /// It is done, and an error comes back.
    LoseAnswer,
    /// It is done, and its answer takes a while.
    LateAnswer(Duration),
    /// It is done, and its answer waits at the gate.
    HoldAnswer(Gate),
    /// It is done, waits at the gate, and an error comes back.
    LoseAnswerBehind(Gate),
    /// It is done, and a conflict comes back, as from a driver that tried twice by itself.
    LoseAnswerAsConflict,
}

/// The store's time beside the clock that it was given: for stores that only have their own, and for a clock that was
/// set while leases ran.
#[derive(Debug, Default)]
pub(crate) struct StoreTime {
    /// The clock of the test, where the store has its own.
    hand: Option<Arc<HandClock>>,
    jumped: AtomicU64,
}

impl StoreTime {
    /// Puts a store's own clock forward as the test's.
    pub(crate) fn following(hand: Option<Arc<HandClock>>) -> Self {
        Self {
            hand,
            ..Self::default()
        }
    }

    /// Puts the store's clock forward, and no other: every lease is shorter by as much.
    pub(crate) fn jump(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap();
        self.jumped.fetch_add(millis, Ordering::SeqCst);
    }

    fn ahead(&self) -> Duration {
        let hand = self.hand.as_ref().map(|hand| hand.ahead());
        hand.unwrap_or_default() + Duration::from_millis(self.jumped.load(Ordering::SeqCst))
    }
}

/// Stands at the calls of a store, for a test that knows where in the protocol they are.
#[async_trait]
pub(crate) trait Probe: Send + Sync {
    /// An error keeps the call from being made.
    async fn before(&self, method: Method) -> Result<(), StoreError>;

    /// An error takes the place of the call's good answer.
    async fn after(&self, method: Method) -> Result<(), StoreError>;

    /// A write was applied, whether its answer arrives or not.
    fn wrote(&self, key: &TokenKey, record: &StoredRecord, expected: Expected);

    /// What becomes of the change feed.
    fn hears(&self, changes: Changes) -> Changes;

    /// How many calls are being worked on.
    fn busy(&self) -> &Arc<AtomicUsize>;
}

/// One call that is being worked on.
pub(crate) struct Busy(Arc<AtomicUsize>);

impl Busy {
    pub(crate) fn at(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(counter))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Rule {
    method: Method,
    fault: StoreFault,
    left: u64,
}

struct State {
    rules: Mutex<Vec<Rule>>,
    calls: Mutex<HashMap<Method, u64>>,
    feeds: watch::Sender<u64>,
    broken: watch::Sender<u64>,
    repeats_pages: AtomicBool,
    capabilities: Mutex<Capabilities>,
}

/// A store that does what another one does, but for the faults that are on. A clone has the same ones.
#[derive(Clone)]
pub(crate) struct Faulty {
    inner: DynTokenStore,
    state: Arc<State>,
    time: Arc<StoreTime>,
    probe: Option<Arc<dyn Probe>>,
}

impl Faulty {
    pub(crate) fn new(inner: DynTokenStore) -> Self {
        let capabilities = inner.capabilities();
        Self {
            inner,
            state: Arc::new(State {
                rules: Mutex::default(),
                calls: Mutex::default(),
                feeds: watch::Sender::new(0),
                broken: watch::Sender::new(0),
                repeats_pages: AtomicBool::new(false),
                capabilities: Mutex::new(capabilities),
            }),
            time: Arc::default(),
            probe: None,
        }
    }

    pub(crate) fn in_time(self, time: Arc<StoreTime>) -> Self {
        Self { time, ..self }
    }

    /// The same with a probe at each call.
    pub(crate) fn probed(self, probe: Arc<dyn Probe>) -> Self {
        let probe = Some(probe);
        Self { probe, ..self }
    }

    pub(crate) fn on(&self, method: Method, fault: StoreFault) {
        self.times(method, fault, u64::MAX);
    }

    /// The next call of a method waits at the gate.
    pub(crate) fn hold(&self, method: Method, gate: Gate) {
        self.times(method, StoreFault::Hold(gate), 1);
    }

    pub(crate) fn times(&self, method: Method, fault: StoreFault, left: u64) {
        let rule = Rule {
            method,
            fault,
            left,
        };
        self.state.rules.lock().unwrap().push(rule);
    }

    pub(crate) fn clear(&self) {
        self.state.rules.lock().unwrap().clear();
    }

    /// How often a method was called.
    pub(crate) fn calls(&self, method: Method) -> u64 {
        let calls = self.state.calls.lock().unwrap();
        calls.get(&method).copied().unwrap_or(0)
    }

    /// Waits until somebody follows the change feed.
    pub(crate) async fn followed(&self) {
        let mut feeds = self.state.feeds.subscribe();
        crate::world::soon(feeds.wait_for(|feeds| *feeds > 0))
            .await
            .unwrap();
    }

    /// Waits until nobody follows it any more.
    pub(crate) async fn unfollowed(&self) {
        let mut feeds = self.state.feeds.subscribe();
        crate::world::soon(feeds.wait_for(|feeds| *feeds == 0))
            .await
            .unwrap();
    }

    /// Ends all feeds that are followed now.
    pub(crate) fn break_feed(&self) {
        self.state.broken.send_modify(|broken| *broken += 1);
    }

    /// From now on there is always a next page, and it is the same one.
    pub(crate) fn repeat_pages(&self) {
        self.state.repeats_pages.store(true, Ordering::SeqCst);
    }

    /// Hides what the store can do.
    pub(crate) fn limited_to(self, change: impl FnOnce(&mut Capabilities)) -> Self {
        change(&mut self.state.capabilities.lock().unwrap());
        self
    }

    async fn call<T>(
        &self,
        method: Method,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let Some(probe) = &self.probe else {
            return self.faulty(method, work).await;
        };
        probe.before(method).await?;
        let done = {
            let _busy = Busy::at(probe.busy());
            self.faulty(method, work).await?
        };
        probe.after(method).await?;
        Ok(done)
    }

    /// The write itself. Under a probe it is done to its end, as a database does it, and noted, whoever waits for it.
    async fn write(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let Some(probe) = self.probe.clone() else {
            return self.inner.update_token(key, record, expected).await;
        };
        let (inner, key, record) = (Arc::clone(&self.inner), key.clone(), record.clone());
        let write = async move {
            let _busy = Busy::at(probe.busy());
            inner.update_token(&key, &record, expected).await?;
            probe.wrote(&key, &record, expected);
            Ok(())
        };
        let lost = |_| Err(StoreError::other("the runtime ended"));
        tokio::spawn(write).await.unwrap_or_else(lost)
    }

    async fn faulty<T>(
        &self,
        method: Method,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        *self.state.calls.lock().unwrap().entry(method).or_default() += 1;
        let fault = {
            let mut rules = self.state.rules.lock().unwrap();
            let rule = rules
                .iter_mut()
                .find(|rule| rule.method == method && rule.left > 0);
            rule.map(|rule| {
                rule.left -= 1;
                rule.fault.clone()
            })
        };
        let failed = || StoreError::other("a fault of the test");
        match fault {
            None => work.await,
            Some(StoreFault::Hold(gate)) => {
                gate.pass().await;
                work.await
            }
            Some(StoreFault::Fail) => Err(failed()),
            Some(StoreFault::Hang) => std::future::pending().await,
            Some(StoreFault::LoseAnswer) => work.await.and(Err(failed())),
            Some(StoreFault::LateAnswer(by)) => {
                let done = work.await;
                tokio::time::sleep(by).await;
                done
            }
            Some(StoreFault::HoldAnswer(gate)) => {
                let done = work.await;
                gate.pass().await;
                done
            }
            Some(StoreFault::LoseAnswerBehind(gate)) => {
                work.await?;
                gate.pass().await;
                Err(failed())
            }
            Some(StoreFault::LoseAnswerAsConflict) => work.await.and(Err(StoreError::Conflict)),
        }
    }
}

#[async_trait]
impl FetchToken for Faulty {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let fetched = self
            .call(Method::Fetch, self.inner.fetch_token(key))
            .await?;
        let now = fetched.now.map(|now| now + self.time.ahead());
        Ok(Fetched::new(fetched.record, now))
    }
}

#[async_trait]
impl UpdateToken for Faulty {
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let method = if record.announce {
            Method::Write
        } else {
            Method::Lease
        };
        self.call(method, self.write(key, record, expected)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for Faulty {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        *self.state.capabilities.lock().unwrap()
    }

    async fn find_tokens(
        &self,
        query: &TokenQuery,
        page: Page,
    ) -> Result<PageOf<TokenSummary>, StoreError> {
        let repeats = self.state.repeats_pages.load(Ordering::SeqCst);
        let page = if repeats {
            Page::first(page.limit)
        } else {
            page
        };
        let found = self.inner.find_tokens(query, page);
        let mut found = self.call(Method::Find, found).await?;
        if repeats {
            found.next = Some("the same".to_owned());
        }
        Ok(found)
    }

    async fn purge_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.call(Method::Purge, self.inner.purge_tokens(before, limit))
            .await
    }

    async fn put_once(
        &self,
        space: &str,
        id: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        self.call(Method::Once, self.inner.put_once(space, id, value, ttl))
            .await
    }

    async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(Method::Once, self.inner.take(space, id)).await
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        let method = match since {
            Some(_) => Method::Resume,
            None => Method::Changes,
        };
        let changes = self.call(method, self.inner.changes(since)).await?;
        let changes = match &self.probe {
            Some(probe) => probe.hears(changes),
            None => changes,
        };
        Ok(Box::pin(Followed::new(Arc::clone(&self.state), changes)))
    }
}

/// A change feed that is counted as long as somebody holds it.
struct Followed {
    state: Arc<State>,
    changes: Changes,
}

/// A feed that ends when the test says so.
fn breakable(state: &State, changes: Changes) -> Changes {
    use tokio_stream::{StreamExt, wrappers::WatchStream};
    let broken = WatchStream::from_changes(state.broken.subscribe());
    let changes = changes.map(Some).merge(broken.map(|_| None));
    Box::pin(
        changes
            .take_while(Option::is_some)
            .filter_map(|change| change),
    )
}

impl Followed {
    fn new(state: Arc<State>, changes: Changes) -> Self {
        let changes = breakable(&state, changes);
        state.feeds.send_modify(|feeds| *feeds += 1);
        Self { state, changes }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.state.feeds.send_modify(|feeds| *feeds -= 1);
    }
}

impl tokio_stream::Stream for Followed {
    type Item = Change;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Change>> {
        self.changes.as_mut().poll_next(context)
    }
}
