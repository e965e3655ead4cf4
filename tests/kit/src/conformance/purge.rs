//! Purging.

use std::time::Duration;

use tokenkeep_core::{
    Timestamp,
    store::{Expected, StoreError},
};

use super::trial::{Bench, Broken, Kept, Trial, conflict, ensure, now, record, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            only_due,
            "purge/only-due",
            [Purge],
            "Exactly the records whose purge_at is before the given time are removed."
        ),
        trial!(
            limit,
            "purge/limit",
            [Purge],
            "At most `limit` records are removed, and their number is answered."
        ),
        trial!(
            replaced,
            "purge/replaced",
            [Purge],
            "A record that was replaced by one without purge_at stays."
        ),
        trial!(
            races_login,
            "purge/races-login",
            [Purge],
            "A purge beside a write removes the old record before it, or spares the new one."
        ),
    ]
}

const HOUR: Duration = Duration::from_secs(3600);

/// A purge_at that lies ahead, so that a store whose records expire by themselves keeps them during a trial.
pub(super) fn due() -> Timestamp {
    now() + HOUR
}

/// Removes whatever is due two hours from now.
pub(super) async fn purge_all(bench: &Bench) -> Kept {
    while bench.store.purge_tokens(now() + 2 * HOUR, 1000).await? > 0 {}
    Ok(())
}

async fn only_due(bench: Bench) -> Kept {
    purge_all(&bench).await?;
    let before = now() + HOUR;
    let tick = Duration::from_millis(1);
    let cases = [
        ("just before", Some(before - tick), false),
        ("long before", Some(before - HOUR / 2), false),
        ("at that time", Some(before), true),
        ("just after", Some(before + tick), true),
        ("never", None, true),
    ];
    for (owner, purge_at, _) in cases {
        let mut record = record(1);
        record.index.purge_at = purge_at;
        // Neither expired tokens nor an ended grant make a record due.
        record.index.access_expires_at = Some(Timestamp::from_millis(1));
        record.index.grant_expires_at = Some(Timestamp::from_millis(1));
        record.index.changed_at = Timestamp::from_millis(1);
        bench.insert(&bench.key(owner)?, record).await?;
    }
    let purged = bench.store.purge_tokens(before, 1000).await?;
    for (owner, _, stays) in cases {
        let found = bench.fetch(&bench.key(owner)?).await?.is_some();
        ensure!(
            found == stays,
            "a record with purge_at {owner:?} is {}",
            if found { "still there" } else { "gone" }
        );
    }
    ensure!(purged == 2, "2 records were removed, and {purged} answered");
    Ok(())
}

async fn limit(bench: Bench) -> Kept {
    purge_all(&bench).await?;
    const DUE: u64 = 7;
    for n in 0..DUE {
        let mut record = record(1);
        record.index.purge_at = Some(due());
        bench
            .insert(&bench.key(&format!("due {n}"))?, record)
            .await?;
    }
    for (limit, removed) in [(0, 0), (3, 3), (3, 3), (3, 1), (3, 0)] {
        let left = count(&bench, DUE).await?;
        let answered = bench.store.purge_tokens(now() + 2 * HOUR, limit).await?;
        let gone = left - count(&bench, DUE).await?;
        ensure!(
            gone == removed,
            "with a limit of {limit} {gone} of {left} records were removed"
        );
        ensure!(
            answered == gone,
            "{gone} records were removed, and {answered} answered"
        );
    }
    Ok(())
}

async fn count(bench: &Bench, of: u64) -> Result<u64, Broken> {
    let mut there = 0;
    for n in 0..of {
        let found = bench.fetch(&bench.key(&format!("due {n}"))?).await?;
        there += u64::from(found.is_some());
    }
    Ok(there)
}

async fn replaced(bench: Bench) -> Kept {
    let key = bench.key("back")?;
    let mut dead = record(1);
    dead.index.purge_at = Some(due());
    let dead = bench.insert(&key, dead).await?;
    let live = record(2);
    let expected = Expected::Version(dead.version);
    bench.store.update_token(&key, &live, expected).await?;
    purge_all(&bench).await?;
    bench.expect(&key, &live).await
}

async fn races_login(bench: Bench) -> Kept {
    for round in 0..40 {
        let key = bench.key(&format!("race {round}"))?;
        let mut dead = record(1);
        dead.index.purge_at = Some(due());
        let dead = bench.insert(&key, dead).await?;
        let live = record(2);
        let login = {
            let (store, key, live) = (bench.second(), key.clone(), live.clone());
            tokio::spawn(async move {
                let expected = Expected::Version(dead.version);
                store.update_token(&key, &live, expected).await
            })
        };
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        purge_all(&bench).await?;
        let login = login
            .await
            .map_err(|_| Broken("the store panicked".to_owned()))?;
        match login {
            Ok(()) => bench
                .expect(&key, &live)
                .await
                .map_err(|Broken(how)| Broken(format!("after a purge beside a login: {how}")))?,
            Err(StoreError::Conflict) => {
                let found = bench.fetch(&key).await?;
                ensure!(
                    found.is_none(),
                    "a write was a conflict though nothing but a purge came between"
                );
            }
            other => conflict(other, "a write beside a purge")?,
        }
    }
    Ok(())
}
