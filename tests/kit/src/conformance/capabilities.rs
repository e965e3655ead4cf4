//! Is what is claimed there, and what is there claimed?

use std::time::Duration;

use tokenkeep_core::{
    Timestamp,
    store::{Page, StoreError, TokenQuery},
};
use tokio::time::timeout;

use super::trial::{Bench, Broken, Kept, Trial, ensure, record, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            clock,
            "capabilities/clock",
            proves Clock,
            "`clock` is claimed: fetch_token answers the store's time."
        ),
        trial!(
            find,
            "capabilities/find",
            proves Find,
            "`find` is claimed: find_tokens is there."
        ),
        trial!(
            purge,
            "capabilities/purge",
            proves Purge,
            "`purge` is claimed: purge_tokens is there."
        ),
        trial!(
            once,
            "capabilities/once",
            proves Once,
            "`once` is claimed: put_once and take are there."
        ),
        trial!(
            changes,
            "capabilities/changes",
            proves Changes,
            "`changes` is claimed: changes is there."
        ),
    ]
}

/// What is there though it is not claimed: nobody will use it.
pub(super) async fn notes(bench: &Bench) -> Vec<String> {
    let claims = bench.store.capabilities();
    let probes = [
        (claims.clock, "clock", Probe::Clock),
        (claims.find, "find", Probe::Find),
        (claims.purge, "purge", Probe::Purge),
        (claims.once, "once", Probe::Once),
        (claims.changes, "changes", Probe::Changes),
    ];
    let mut notes = Vec::new();
    for (claimed, name, probe) in probes {
        if !claimed && probe.answers(bench).await {
            notes.push(format!(
                "`{name}` is there and not claimed, so nobody will use it: say so in capabilities()"
            ));
        }
    }
    notes
}

#[derive(Clone, Copy)]
enum Probe {
    Clock,
    Find,
    Purge,
    Once,
    Changes,
}

impl Probe {
    /// Does the method do anything? One that fails or panics is as good as none.
    async fn answers(self, bench: &Bench) -> bool {
        let bench = bench.clone();
        let running = tokio::spawn(async move {
            match self {
                Self::Clock => clock(bench).await,
                Self::Find => find(bench).await,
                Self::Purge => purge(bench).await,
                Self::Once => once(bench).await,
                Self::Changes => changes(bench).await,
            }
        });
        let patience = Duration::from_secs(5);
        matches!(timeout(patience, running).await, Ok(Ok(Ok(()))))
    }
}

async fn clock(bench: Bench) -> Kept {
    let key = bench.key("clock")?;
    bench.insert(&key, record(1)).await?;
    let now = bench.store.fetch_token(&key).await?.now;
    ensure!(now.is_some(), "`Fetched::now` is None");
    Ok(())
}

async fn find(bench: Bench) -> Kept {
    let nobody = TokenQuery::owner(bench.unique("nobody"));
    let found = bench.store.find_tokens(&nobody, Page::first(1)).await;
    there("find_tokens", found)
}

async fn purge(bench: Bench) -> Kept {
    let long_ago = Timestamp::from_millis(0);
    there("purge_tokens", bench.store.purge_tokens(long_ago, 0).await)
}

async fn once(bench: Bench) -> Kept {
    let (space, ttl) = (bench.unique("space"), Duration::from_secs(60));
    there(
        "put_once",
        bench.store.put_once(&space, "id", b"", ttl).await,
    )?;
    there("take", bench.store.take(&space, "id").await)
}

async fn changes(bench: Bench) -> Kept {
    there("changes", bench.store.changes(None).await)
}

fn there<T>(method: &str, answer: Result<T, StoreError>) -> Kept {
    match answer {
        Ok(_) => Ok(()),
        Err(StoreError::Unsupported { .. }) => Err(Broken(format!(
            "{method} answers Unsupported: write it, or do not claim it in capabilities()"
        ))),
        Err(error) => Err(Broken(format!(
            "the simplest call of {method} fails: {}",
            Broken::from(error).0
        ))),
    }
}
