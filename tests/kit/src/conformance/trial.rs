//! Trials, and what they have at hand.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokenkeep_core::{
    Clock, SystemClock, Timestamp, TokenKey,
    store::{DynTokenStore, Expected, Index, StoreError, StoredRecord, Version},
};
use tokio::{
    sync::Barrier,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{Options, Verdict, options::Passing};

/// How many tasks race in a trial of concurrency.
pub(super) const RACERS: usize = 32;

/// One promise, tried.
pub(super) struct Trial {
    pub(super) name: &'static str,
    pub(super) promise: &'static str,
    pub(super) needs: &'static [Need],
    /// What cannot be had by other trials if this one fails.
    pub(super) proves: Option<Need>,
    pub(super) body: fn(Bench) -> Pin<Box<dyn Future<Output = Kept> + Send>>,
}

/// What a trial cannot do without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Clock,
    Find,
    Purge,
    Once,
    Changes,
    Processes,
    SecondHandle,
    Time,
}

impl Need {
    /// Why a trial that needs this is not run, if it is not.
    fn lacking(self, bench: &Bench) -> Option<Verdict> {
        let claims = bench.store.capabilities();
        let (claimed, name) = match self {
            Self::Clock => (claims.clock, "clock"),
            Self::Find => (claims.find, "find"),
            Self::Purge => (claims.purge, "purge"),
            Self::Once => (claims.once, "once"),
            Self::Changes => (claims.changes, "changes"),
            Self::Processes => (claims.shared, "shared"),
            Self::SecondHandle if bench.second.is_none() => {
                return Some(Verdict::NotRun(
                    "Options::second_handle was not given".into(),
                ));
            }
            Self::Time if bench.options.time.is_none() => {
                return Some(Verdict::NotRun(
                    "neither Options::fast_forward nor Options::real_time was given".into(),
                ));
            }
            Self::SecondHandle | Self::Time => return None,
        };
        if !claimed {
            return Some(Verdict::NotClaimed(name));
        }
        if self == Self::Processes && bench.options.processes.is_none() {
            return Some(Verdict::NotRun("Options::processes was not given".into()));
        }
        let mut unmet = bench.unmet.iter();
        let (_, failed) = unmet.find(|(need, _)| *need == self)?;
        Some(Verdict::NotRun(format!("{failed} failed").into()))
    }
}

/// Whether a promise was kept.
pub(super) type Kept = Result<(), Broken>;

/// How a promise was broken.
pub(super) struct Broken(pub(super) String);

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        let source = std::error::Error::source(&error);
        Self(source.map_or_else(
            || format!("the store failed: {error}"),
            |source| format!("the store failed: {error}: {source}"),
        ))
    }
}

/// `trial!(function, "name", [Need, ...], "promise")`; with `proves Need` in the needs' place, other trials that need it
/// build on this one.
macro_rules! trial {
    ($body:path, $name:literal, proves $need:ident, $promise:literal) => {
        $crate::conformance::trial::Trial {
            proves: Some($crate::conformance::trial::Need::$need),
            ..$crate::conformance::trial::trial!($body, $name, [$need], $promise)
        }
    };
    ($body:path, $name:literal, [$($need:ident),*], $promise:literal) => {
        $crate::conformance::trial::Trial {
            name: $name,
            promise: $promise,
            needs: &[$($crate::conformance::trial::Need::$need),*],
            proves: None,
            body: |bench| Box::pin($body(bench)),
        }
    };
}
pub(super) use trial;

/// `ensure!(condition, "how the promise is broken otherwise")`
macro_rules! ensure {
    ($kept:expr, $($broken:tt)+) => {
        if !$kept {
            return Err($crate::conformance::trial::Broken(format!($($broken)+)));
        }
    };
}
pub(super) use ensure;

impl Trial {
    pub(super) async fn run(&self, bench: &Bench) -> Verdict {
        if !self.name.starts_with(&bench.options.only) {
            return Verdict::NotRun("left out by Options::only".into());
        }
        let mut needs = self.needs.iter();
        if let Some(lacking) = needs.find_map(|need| need.lacking(bench)) {
            return lacking;
        }
        // In a task of its own, so that a store that panics fails this trial and no other.
        let mut running = tokio::spawn((self.body)(bench.for_trial(self.name)));
        let patience = bench.options.patience;
        match timeout(patience, &mut running).await {
            Ok(Ok(Ok(()))) => Verdict::Passed,
            Ok(Ok(Err(Broken(how)))) => Verdict::Failed(how),
            Ok(Err(_)) => Verdict::Failed("the store panicked".to_owned()),
            Err(_) => {
                running.abort();
                Verdict::Failed(format!("it did not end within {patience:?}"))
            }
        }
    }
}

/// The store under trial, and what the trials share.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) store: DynTokenStore,
    pub(super) options: Options,
    /// The needs whose own trial has failed, and its name.
    pub(super) unmet: Vec<(Need, &'static str)>,
    second: Option<DynTokenStore>,
    run: Arc<str>,
    trial: &'static str,
}

impl Bench {
    pub(super) async fn new(store: DynTokenStore, options: Options) -> Self {
        let second = match &options.second_handle {
            Some(make) => Some(make(()).await),
            None => None,
        };
        Self {
            store,
            options,
            unmet: Vec::new(),
            second,
            run: Version::random().to_string()[..12].into(),
            trial: "",
        }
    }

    fn for_trial(&self, name: &'static str) -> Self {
        Self {
            trial: name,
            ..self.clone()
        }
    }

    /// Is there what this trial can do with, and without?
    pub(super) fn has(&self, need: Need) -> bool {
        need.lacking(self).is_none()
    }

    /// The other handle, or the same one again.
    pub(super) fn second(&self) -> DynTokenStore {
        Arc::clone(self.second.as_ref().unwrap_or(&self.store))
    }

    /// One of the two handles, in turn.
    pub(super) fn handle(&self, n: usize) -> DynTokenStore {
        if n.is_multiple_of(2) {
            Arc::clone(&self.store)
        } else {
            self.second()
        }
    }

    /// A text that no other trial and no other run uses.
    pub(super) fn unique(&self, what: &str) -> String {
        format!("{}/{}/{what}", self.run, self.trial)
    }

    /// A client that no other trial and no other run uses.
    pub(super) fn client(&self) -> String {
        self.unique("client")
    }

    /// A key of this trial's own.
    pub(super) fn key(&self, owner: &str) -> Result<TokenKey, Broken> {
        key(&self.client(), owner, "")
    }

    /// Inserts a record under a key that is free; answers it.
    pub(super) async fn insert(
        &self,
        key: &TokenKey,
        record: StoredRecord,
    ) -> Result<StoredRecord, Broken> {
        self.store
            .update_token(key, &record, Expected::Absent)
            .await?;
        Ok(record)
    }

    /// What stands under a key.
    pub(super) async fn fetch(&self, key: &TokenKey) -> Result<Option<StoredRecord>, Broken> {
        Ok(self.store.fetch_token(key).await?.record)
    }

    /// Does exactly this record stand under the key?
    pub(super) async fn expect(&self, key: &TokenKey, record: &StoredRecord) -> Kept {
        same(self.fetch(key).await?.as_ref(), record)
    }

    /// The store's time, or this machine's if it has none.
    pub(super) async fn now(&self) -> Result<Timestamp, Broken> {
        let fetched = self.store.fetch_token(&self.key("time")?).await?;
        Ok(fetched.now.unwrap_or_else(now))
    }

    /// How long something lives whose end is awaited.
    pub(super) fn lifetime(&self) -> Duration {
        match &self.options.time {
            Some(Passing::Real) => Duration::from_millis(1900),
            _ => Duration::from_secs(3600),
        }
    }

    /// Lets time pass for the store.
    pub(super) async fn pass(&self, time: Duration) {
        match &self.options.time {
            Some(Passing::Moved(by)) => by(time).await,
            Some(Passing::Real) => sleep(time).await,
            None => {}
        }
    }

    /// Lets so much time pass that nothing lives which was to live for [`lifetime`](Self::lifetime), also where times
    /// are rounded up to whole seconds.
    pub(super) async fn outlive(&self) {
        self.pass(self.lifetime() + Duration::from_millis(1100))
            .await;
    }

    /// Runs [`RACERS`] tasks that begin together, and answers what each came to.
    pub(super) async fn race<T, F>(
        &self,
        racer: impl Fn(usize, DynTokenStore) -> F,
    ) -> Result<Vec<(usize, T)>, Broken>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let start = Arc::new(Barrier::new(RACERS));
        let mut tasks = JoinSet::new();
        for n in 0..RACERS {
            let running = racer(n, self.handle(n));
            let start = Arc::clone(&start);
            tasks.spawn(async move {
                start.wait().await;
                (n, running.await)
            });
        }
        let mut ended = Vec::new();
        while let Some(task) = tasks.join_next().await {
            ended.push(task.map_err(|_| Broken("the store panicked".to_owned()))?);
        }
        Ok(ended)
    }
}

/// A key from its three parts; the slot is written as its column.
pub(super) fn key(client: &str, owner: &str, slot: &str) -> Result<TokenKey, Broken> {
    TokenKey::from_columns(client, owner, slot)
        .map_err(|error| Broken(format!("the kit made a wrong key: {error}")))
}

/// A record that can be told from every other.
pub(super) fn record(generation: u64) -> StoredRecord {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let body = format!("body {}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut index = Index::default();
    index.changed_at = now();
    StoredRecord::new(Version::random(), generation, index, body.into_bytes())
}

pub(super) fn now() -> Timestamp {
    SystemClock.now()
}

/// Is what was read what was written? The announcement need not be kept.
pub(super) fn same(found: Option<&StoredRecord>, written: &StoredRecord) -> Kept {
    let Some(found) = found else {
        return Err(Broken("there is no record".to_owned()));
    };
    ensure!(
        found.version == written.version,
        "the record is that of another write"
    );
    ensure!(
        found.generation == written.generation,
        "generation {} became {}",
        written.generation,
        found.generation
    );
    ensure!(
        found.index == written.index,
        "the index columns became others: {:?} is now {:?}",
        written.index,
        found.index
    );
    ensure!(
        found.body == written.body,
        "a body of {} bytes came back changed, as {} bytes",
        written.body.len(),
        found.body.len()
    );
    Ok(())
}

/// Was this write refused as a conflict?
pub(super) fn conflict(answer: Result<(), StoreError>, write: &str) -> Kept {
    match answer {
        Err(StoreError::Conflict) => Ok(()),
        Ok(()) => Err(Broken(format!("{write} was accepted"))),
        Err(error) => Err(Broken(format!(
            "{write} was answered by another error than Conflict: {error}"
        ))),
    }
}
