//! The change feed.

use std::{collections::HashMap, time::Duration};

use tokenkeep_core::{
    TokenKey,
    store::{Change, Changes, Cursor, DynTokenStore, Expected, StoredRecord, Version},
};
use tokio::time::timeout;
use tokio_stream::StreamExt;

use super::trial::{Bench, Broken, Kept, Trial, conflict, ensure, key, record, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            appears,
            "changes/appears",
            [Changes],
            "A write that is acknowledged after the feed was opened is in it."
        ),
        trial!(
            other_handle,
            "changes/other-handle",
            [Changes, SecondHandle],
            "Writes of other processes are in the feed."
        ),
        trial!(
            order,
            "changes/order",
            [Changes],
            "The changes of a key come in the order of its writes, the last one for certain."
        ),
        trial!(
            unannounced,
            "changes/unannounced",
            [Changes],
            "A write that need not be announced does not hide one that must."
        ),
        trial!(
            refused,
            "changes/refused",
            [Changes],
            "A write that was refused is not in the feed."
        ),
        trial!(
            several,
            "changes/several",
            [Changes],
            "Every listener gets every change."
        ),
        trial!(
            resume,
            "changes/resume",
            [Changes],
            "A feed that is opened with a cursor gives what came after it, or a gap."
        ),
        trial!(
            foreign,
            "changes/foreign-cursor",
            [Changes],
            "A cursor that the store cannot place is an error or a gap, never silence."
        ),
        trial!(
            burst,
            "changes/burst",
            [Changes],
            "A listener that falls behind gets every key's last change, or a gap."
        ),
        trial!(
            dropped,
            "changes/dropped",
            [Changes],
            "Closing a feed disturbs neither writes nor other feeds."
        ),
    ]
}

/// A feed with a bound on how long to wait.
pub(super) struct Listener {
    feed: Changes,
    wait: Duration,
    /// What was seen of each key.
    seen: HashMap<TokenKey, Vec<Seen>>,
    gaps: usize,
}

struct Seen {
    generation: u64,
    version: Version,
    cursor: Cursor,
}

impl Listener {
    pub(super) async fn open(
        bench: &Bench,
        store: &DynTokenStore,
        since: Option<Cursor>,
    ) -> Result<Self, Broken> {
        Ok(Self {
            feed: store.changes(since).await?,
            wait: bench.options.wait,
            seen: HashMap::new(),
            gaps: 0,
        })
    }

    async fn next(&mut self, awaited: &str) -> Result<(), Broken> {
        let wait = self.wait;
        let Ok(next) = timeout(wait, self.feed.next()).await else {
            return Err(Broken(format!("{awaited} did not come within {wait:?}")));
        };
        match next {
            Some(Change::Written {
                key,
                version,
                generation,
                cursor,
            }) => self.seen.entry(key).or_default().push(Seen {
                generation,
                version,
                cursor,
            }),
            Some(_) => self.gaps += 1,
            None => return Err(Broken(format!("the feed ended before {awaited} came"))),
        }
        Ok(())
    }

    fn newest(&self, key: &TokenKey) -> Option<u64> {
        let seen = self.seen.get(key)?;
        seen.iter().map(|seen| seen.generation).max()
    }

    /// Reads until the key is seen at this generation, or there is a gap.
    async fn until(&mut self, key: &TokenKey, generation: u64) -> Result<(), Broken> {
        while self.gaps == 0 && self.newest(key) < Some(generation) {
            self.next(&format!("generation {generation} of a key"))
                .await?;
        }
        Ok(())
    }

    /// Reads until the key is seen at this generation; a gap is not enough.
    pub(super) async fn really(&mut self, key: &TokenKey, generation: u64) -> Result<(), Broken> {
        while self.newest(key) < Some(generation) {
            self.next(&format!("generation {generation} of a key"))
                .await?;
        }
        Ok(())
    }

    /// Did the changes of this key come in the order of its writes?
    pub(super) fn in_order(&self, key: &TokenKey) -> Kept {
        let seen = self.seen.get(key).into_iter().flatten();
        let generations: Vec<_> = seen.map(|seen| seen.generation).collect();
        ensure!(
            generations.is_sorted(),
            "the generations of a key came as {generations:?}"
        );
        Ok(())
    }
}

/// Writes the generations one after the other, from `first` on; answers the last record.
async fn write(
    store: &DynTokenStore,
    key: &TokenKey,
    generations: std::ops::RangeInclusive<u64>,
    before: Option<&StoredRecord>,
) -> Result<StoredRecord, Broken> {
    let mut expected = before.map_or(Expected::Absent, |before| Expected::Version(before.version));
    let mut last = None;
    for generation in generations {
        let next = record(generation);
        store.update_token(key, &next, expected).await?;
        expected = Expected::Version(next.version);
        last = Some(next);
    }
    last.ok_or_else(|| Broken("the kit wrote nothing".to_owned()))
}

async fn appears(bench: Bench) -> Kept {
    let mut listener = Listener::open(&bench, &bench.store, None).await?;
    let key = bench.key("appears")?;
    let first = write(&bench.store, &key, 1..=1, None).await?;
    listener.really(&key, 1).await?;
    let second = write(&bench.store, &key, 2..=2, Some(&first)).await?;
    listener.really(&key, 2).await?;
    let seen = listener.seen.remove(&key).unwrap_or_default();
    for seen in seen {
        let written = if seen.generation == 1 {
            &first
        } else {
            &second
        };
        ensure!(
            seen.version == written.version && seen.generation == written.generation,
            "a change comes with the version or generation of another write"
        );
    }
    Ok(())
}

async fn other_handle(bench: Bench) -> Kept {
    let mut listener = Listener::open(&bench, &bench.store, None).await?;
    let key = bench.key("other")?;
    let first = write(&bench.second(), &key, 1..=1, None).await?;
    listener.really(&key, 1).await?;
    write(&bench.second(), &key, 2..=2, Some(&first)).await?;
    listener.really(&key, 2).await
}

async fn order(bench: Bench) -> Kept {
    const LAST: u64 = 25;
    let mut listener = Listener::open(&bench, &bench.store, None).await?;
    let mut writers = tokio::task::JoinSet::new();
    let mut keys = Vec::new();
    for n in 0..8_usize {
        let key = bench.key(&format!("order {n}"))?;
        keys.push(key.clone());
        let handles = [bench.handle(n), bench.handle(n + 1)];
        writers.spawn(async move {
            let mut stored = write(&handles[0], &key, 1..=1, None).await?;
            for generation in 2..=LAST {
                let handle = &handles[generation as usize % 2];
                stored = write(handle, &key, generation..=generation, Some(&stored)).await?;
            }
            Ok::<_, Broken>(())
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.map_err(|_| Broken("the store panicked".to_owned()))??;
    }
    for key in &keys {
        listener.until(key, LAST).await?;
    }
    keys.iter().try_for_each(|key| listener.in_order(key))
}

async fn unannounced(bench: Bench) -> Kept {
    let mut listener = Listener::open(&bench, &bench.store, None).await?;
    let key = bench.key("lease")?;
    let mut stored = write(&bench.store, &key, 1..=1, None).await?;
    for generation in 2..6 {
        let mut lease = record(generation - 1);
        lease.announce = false;
        let expected = Expected::Version(stored.version);
        bench.store.update_token(&key, &lease, expected).await?;
        stored = write(&bench.store, &key, generation..=generation, Some(&lease)).await?;
        listener.until(&key, generation).await?;
    }
    Ok(())
}

async fn refused(bench: Bench) -> Kept {
    let mut listener = Listener::open(&bench, &bench.store, None).await?;
    let key = bench.key("refused")?;
    let first = write(&bench.store, &key, 1..=1, None).await?;
    for expected in [Expected::Absent, Expected::Version(Version::random())] {
        let refused = bench.store.update_token(&key, &record(2), expected).await;
        conflict(refused, "a write that expected something else")?;
    }
    let third = write(&bench.store, &key, 3..=3, Some(&first)).await?;
    listener.really(&key, 3).await?;
    let seen = listener.seen.get(&key).into_iter().flatten();
    for seen in seen {
        ensure!(
            seen.version == first.version || seen.version == third.version,
            "generation {} is in the feed, and its write was refused",
            seen.generation
        );
    }
    Ok(())
}

async fn several(bench: Bench) -> Kept {
    let mut listeners = Vec::new();
    for n in 0..5 {
        listeners.push(Listener::open(&bench, &bench.handle(n), None).await?);
    }
    let key = bench.key("several")?;
    write(&bench.store, &key, 1..=3, None).await?;
    for listener in &mut listeners {
        listener.really(&key, 3).await?;
    }
    Ok(())
}

async fn resume(bench: Bench) -> Kept {
    let mut listener = Listener::open(&bench, &bench.store, None).await?;
    let key = bench.key("resume")?;
    let first = write(&bench.store, &key, 1..=1, None).await?;
    listener.really(&key, 1).await?;
    let cursor = listener
        .seen
        .get(&key)
        .and_then(|seen| seen.last())
        .map(|seen| seen.cursor.clone());
    drop(listener);

    let second = write(&bench.store, &key, 2..=3, Some(&first)).await?;
    let mut resumed = Listener::open(&bench, &bench.second(), cursor).await?;
    resumed.until(&key, 3).await?;
    write(&bench.store, &key, 4..=4, Some(&second)).await?;
    resumed.really(&key, 4).await
}

async fn foreign(bench: Bench) -> Kept {
    for cursor in ["no cursor of yours", "", "999999999999", "-1"] {
        let since = Some(Cursor(cursor.to_owned()));
        // An error is as good as a gap.
        if let Ok(mut listener) = Listener::open(&bench, &bench.store, since).await {
            while listener.gaps == 0 {
                listener
                    .next(&format!("a gap for the cursor {cursor:?}"))
                    .await?;
            }
        }
    }
    Ok(())
}

async fn burst(bench: Bench) -> Kept {
    const KEYS: usize = 8;
    const EACH: u64 = 200;
    let mut listener = Listener::open(&bench, &bench.store, None).await?;
    let mut writers = tokio::task::JoinSet::new();
    let mut keys = Vec::new();
    for n in 0..KEYS {
        let key = key(&bench.client(), &format!("burst {n}"), "")?;
        keys.push(key.clone());
        let store = bench.handle(n);
        writers.spawn(async move { write(&store, &key, 1..=EACH, None).await.map(drop) });
    }
    while let Some(writer) = writers.join_next().await {
        writer.map_err(|_| Broken("the store panicked".to_owned()))??;
    }
    for key in &keys {
        listener.until(key, EACH).await?;
    }
    Ok(())
}

async fn dropped(bench: Bench) -> Kept {
    let mut stays = Listener::open(&bench, &bench.store, None).await?;
    let key = bench.key("dropped")?;
    let mut stored = write(&bench.store, &key, 1..=1, None).await?;
    for generation in 2..10 {
        let listener = Listener::open(&bench, &bench.store, None).await?;
        let dropping = tokio::spawn(async move { drop(listener) });
        stored = write(&bench.store, &key, generation..=generation, Some(&stored)).await?;
        dropping
            .await
            .map_err(|_| Broken("closing a feed panicked".to_owned()))?;
    }
    stays.really(&key, 9).await
}
