//! Compare-and-swap under concurrency. The racers use both handles, if there are two.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokenkeep_core::{TokenKey, store::*};
use tokio::{sync::Barrier, task::JoinSet, time::timeout};

use super::trial::{Bench, Broken, Kept, Need, RACERS, Trial, ensure, record, same, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            inserts,
            "race/insert",
            [],
            "Of many writes at once that expect nothing exactly one is accepted, and it stays."
        ),
        trial!(
            updates,
            "race/update",
            [],
            "Of many writes at once that expect the same version exactly one is accepted, and it stays."
        ),
        trial!(
            neighbours,
            "race/neighbours",
            [],
            "Writes at once under different keys are no conflict."
        ),
        trial!(
            increments,
            "race/increments",
            [],
            "Read, compare-and-swap and try again loses no update."
        ),
        trial!(
            dropped,
            "race/dropped",
            [],
            "Calls that are dropped halfway leave the record as it was or as it was to be, and the store usable."
        ),
    ]
}

const ROUNDS: usize = 4;

async fn inserts(bench: Bench) -> Kept {
    for round in 0..ROUNDS {
        let key = bench.key(&format!("insert {round}"))?;
        one_wins(&bench, &key, Expected::Absent).await?;
    }
    Ok(())
}

async fn updates(bench: Bench) -> Kept {
    let key = bench.key("update")?;
    let mut stored = bench.insert(&key, record(0)).await?;
    for _ in 0..ROUNDS {
        stored = one_wins(&bench, &key, Expected::Version(stored.version)).await?;
    }
    Ok(())
}

async fn one_wins(
    bench: &Bench,
    key: &TokenKey,
    expected: Expected,
) -> Result<StoredRecord, Broken> {
    let answers = bench
        .race(|n, store| {
            let (key, record) = (key.clone(), record(n as u64));
            async move {
                let answer = store.update_token(&key, &record, expected).await;
                (answer, record)
            }
        })
        .await?;
    let mut winners = Vec::new();
    for (_, (answer, record)) in answers {
        match answer {
            Ok(()) => winners.push(record),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(
        winners.len() == 1,
        "{} of {RACERS} writes were accepted",
        winners.len()
    );
    for handle in [bench.handle(0), bench.handle(1)] {
        let found = handle.fetch_token(key).await?.record;
        same(found.as_ref(), &winners[0])?;
    }
    Ok(winners.remove(0))
}

async fn increments(bench: Bench) -> Kept {
    const TASKS: usize = 8;
    const EACH: u64 = 25;
    let key = bench.key("counter")?;
    bench.insert(&key, record(0)).await?;
    let start = Arc::new(Barrier::new(TASKS));
    let mut tasks = JoinSet::new();
    for n in 0..TASKS {
        let (key, store, start) = (key.clone(), bench.handle(n), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            for _ in 0..EACH {
                increment(&*store, &key).await?;
            }
            Ok::<_, StoreError>(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.map_err(|_| Broken("the store panicked".to_owned()))??;
    }
    let all = TASKS as u64 * EACH;
    let counted = bench.fetch(&key).await?.map(|record| record.generation);
    ensure!(
        counted == Some(all),
        "{all} increments were acknowledged, and the record shows {counted:?}"
    );
    Ok(())
}

/// The generation that it led to.
pub(super) async fn increment(store: &dyn TokenStore, key: &TokenKey) -> Result<u64, StoreError> {
    const TRIES: usize = 1000;
    for _ in 0..TRIES {
        let found = store.fetch_token(key).await?.record;
        let (generation, expected) = found.map_or((0, Expected::Absent), |found| {
            (found.generation, Expected::Version(found.version))
        });
        let next = record(generation + 1);
        // A store that answers at once would never be interrupted here otherwise.
        tokio::task::yield_now().await;
        match store.update_token(key, &next, expected).await {
            Ok(()) => return Ok(next.generation),
            Err(StoreError::Conflict) => tokio::task::yield_now().await,
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::other(format!(
        "read and compare-and-swap was answered by Conflict {TRIES} times in a row"
    )))
}

async fn neighbours(bench: Bench) -> Kept {
    let client = bench.client();
    let answers = bench
        .race(|n, store| {
            let client = client.clone();
            async move {
                let key = super::trial::key(&client, &format!("neighbour {n}"), "")?;
                let mut stored = record(0);
                store.update_token(&key, &stored, Expected::Absent).await?;
                for generation in 1..4 {
                    let next = record(generation);
                    let expected = Expected::Version(stored.version);
                    store.update_token(&key, &next, expected).await?;
                    stored = next;
                }
                same(store.fetch_token(&key).await?.record.as_ref(), &stored)
            }
        })
        .await?;
    answers.into_iter().try_for_each(|(_, kept)| kept)
}

async fn dropped(bench: Bench) -> Kept {
    let (key, space) = (bench.key("dropped")?, bench.unique("space"));
    let store = &bench.store;
    let mut written = vec![bench.insert(&key, record(0)).await?];
    for round in 1..32 {
        // The first times at the first wait, whatever a clock does; then ever later.
        let halfway = match round {
            1..4 => Halfway::FirstWait,
            _ => Halfway::After(Duration::from_micros(round / 2 * 250)),
        };
        let Some(found) = bench.fetch(&key).await? else {
            return Err(Broken("the record is gone".to_owned()));
        };
        let next = record(round);
        written.push(next.clone());
        let expected = Expected::Version(found.version);
        halfway.drops(store.fetch_token(&key)).await;
        halfway
            .drops(store.update_token(&key, &next, expected))
            .await;
        if bench.has(Need::Once) {
            let ttl = Duration::from_secs(60);
            halfway.drops(store.put_once(&space, "id", b"", ttl)).await;
            halfway.drops(store.take(&space, "id")).await;
        }
        if bench.has(Need::Changes) {
            halfway.drops(store.changes(None)).await;
        }
        // What is still on its way may arrive later, but whole.
        let found = bench.fetch(&key).await?;
        let of = found.as_ref().and_then(|found| {
            let mut written = written.iter();
            written.find(|written| written.version == found.version)
        });
        let Some(of) = of else {
            return Err(Broken("a record stands there that nobody wrote".to_owned()));
        };
        same(found.as_ref(), of)?;
    }
    for handle in [bench.handle(0), bench.handle(1)] {
        increment(&*handle, &key).await?;
    }
    Ok(())
}

/// Where a call is dropped.
#[derive(Clone, Copy)]
enum Halfway {
    FirstWait,
    After(Duration),
}

impl Halfway {
    async fn drops<T>(self, call: impl Future<Output = T>) {
        match self {
            Self::FirstWait => {
                let mut call = std::pin::pin!(call);
                poll_fn(|context| {
                    let _ = call.as_mut().poll(context);
                    Poll::Ready(())
                })
                .await;
            }
            Self::After(time) => drop(timeout(time, call).await),
        }
    }
}
