//! What processes are told to do, and how they do it: each is told the same way, the first one too.

use std::{future::Future, time::Duration};

use serde::{Deserialize, Serialize};
use tokenkeep_core::{
    Timestamp, TokenKey,
    store::{DynTokenStore, Expected, StoreError, Version},
};
use tokio::{task::JoinSet, time::sleep};

use crate::conformance::{
    races::increment,
    trial::{Broken, key, now, record},
};

/// One line to a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// When to begin, so that processes meet.
    pub(super) begin: Timestamp,
    pub(super) work: Work,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Work {
    /// Reads and compare-and-swaps; done are the generations.
    Increment { row: Row, each: u64 },
    /// Writes that expect nothing; done are the versions.
    Insert { row: Row },
    /// Puts; done are the values.
    PutOnce { space: String, id: String },
    /// Takes; done are the values.
    Take { space: String, id: String },
    /// Reads a row that must have this version, and writes it; done is the new version.
    Follow { row: Row, version: String },
    /// Writes a row of its own up to this generation.
    Write { row: Row, last: u64 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) client: String,
    pub(super) owner: String,
}

impl Row {
    pub(super) fn key(&self) -> Result<TokenKey, Broken> {
        key(&self.client, &self.owner, "")
    }
}

/// One line from a process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The store is there.
    Ready,
    /// One text for each success.
    Done(Vec<String>),
    /// What went wrong.
    Failed(String),
}

/// How many tasks of each process race.
pub(super) const TASKS: usize = 4;

pub(super) async fn carry_out(order: Order, store: &DynTokenStore) -> Result<Vec<String>, Broken> {
    // All run on one machine, by one clock.
    sleep(order.begin.since(now()).min(Duration::from_secs(1))).await;
    match order.work {
        Work::Increment { row, each } => {
            let key = row.key()?;
            tasks(store, |store| {
                let key = key.clone();
                async move {
                    let mut reached = Vec::new();
                    for _ in 0..each {
                        reached.push(increment(&*store, &key).await?.to_string());
                    }
                    Ok(reached)
                }
            })
            .await
        }
        Work::Insert { row } => {
            let key = row.key()?;
            tasks(store, |store| {
                let (key, record) = (key.clone(), record(1));
                async move {
                    match store.update_token(&key, &record, Expected::Absent).await {
                        Ok(()) => Ok(vec![record.version.to_string()]),
                        Err(StoreError::Conflict) => Ok(Vec::new()),
                        Err(error) => Err(error),
                    }
                }
            })
            .await
        }
        Work::PutOnce { space, id } => {
            tasks(store, |store| {
                let (space, id, value) = (space.clone(), id.clone(), Version::random().to_string());
                async move {
                    let ttl = Duration::from_secs(3600);
                    let put = store.put_once(&space, &id, value.as_bytes(), ttl).await?;
                    Ok(put.then_some(value).into_iter().collect())
                }
            })
            .await
        }
        Work::Take { space, id } => {
            tasks(store, |store| {
                let (space, id) = (space.clone(), id.clone());
                async move {
                    let taken = store.take(&space, &id).await?;
                    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
                    Ok(taken.map(text).into_iter().collect())
                }
            })
            .await
        }
        Work::Follow { row, version } => follow(store, &row.key()?, &version).await,
        Work::Write { row, last } => {
            let (key, mut expected) = (row.key()?, Expected::Absent);
            for generation in 1..=last {
                let next = record(generation);
                store.update_token(&key, &next, expected).await?;
                expected = Expected::Version(next.version);
            }
            Ok(Vec::new())
        }
    }
}

async fn follow(
    store: &DynTokenStore,
    key: &TokenKey,
    version: &str,
) -> Result<Vec<String>, Broken> {
    let found = store.fetch_token(key).await?.record;
    let Some(found) = found.filter(|found| found.version.to_string() == version) else {
        return Err(Broken(
            "a read does not see a write that another process was acknowledged before".to_owned(),
        ));
    };
    let next = record(found.generation + 1);
    let expected = Expected::Version(found.version);
    store.update_token(key, &next, expected).await?;
    Ok(vec![next.version.to_string()])
}

/// What all tasks have done.
async fn tasks<F>(
    store: &DynTokenStore,
    task: impl Fn(DynTokenStore) -> F,
) -> Result<Vec<String>, Broken>
where
    F: Future<Output = Result<Vec<String>, StoreError>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for _ in 0..TASKS {
        running.spawn(task(DynTokenStore::clone(store)));
    }
    let mut done = Vec::new();
    while let Some(ended) = running.join_next().await {
        let ended = ended.map_err(|_| Broken("the store panicked".to_owned()))?;
        done.extend(ended?);
    }
    Ok(done)
}
