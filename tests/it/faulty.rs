//! A store with faults to turn on, method by method.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokenkeep::{Timestamp, TokenKey, store::*};
use tokenkeep_testing::Gate;
use tokio::sync::watch;

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
    /// It is done, and a conflict comes back, as from a driver that tried twice by itself.
    LoseAnswerAsConflict,
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
    capabilities: Mutex<Capabilities>,
}

/// A store that does what another one does, but for the faults that are on. A clone has the same ones.
#[derive(Clone)]
pub(crate) struct Faulty {
    inner: DynTokenStore,
    state: Arc<State>,
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
                capabilities: Mutex::new(capabilities),
            }),
        }
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
            Some(StoreFault::LoseAnswerAsConflict) => work.await.and(Err(StoreError::Conflict)),
        }
    }
}

#[async_trait]
impl FetchToken for Faulty {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        self.call(Method::Fetch, self.inner.fetch_token(key)).await
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
        let write = self.inner.update_token(key, record, expected);
        self.call(method, write).await
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
        self.call(Method::Find, self.inner.find_tokens(query, page))
            .await
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
        let changes = self
            .call(Method::Changes, self.inner.changes(since))
            .await?;
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
