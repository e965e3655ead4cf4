//! What time does to values and records, and what it does not.

use std::time::{Duration, Instant};

use tokenkeep_core::store::Expected;

use super::trial::{Bench, Broken, Kept, Trial, conflict, ensure, record, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            lives,
            "once/lives",
            [Once, Time],
            "A value is kept for all of its time."
        ),
        trial!(
            expires,
            "once/expires",
            [Once, Time],
            "An expired value cannot be taken, and its id can be put again."
        ),
        trial!(
            stays,
            "write/stays",
            [Time],
            "A record stays when its tokens and its grant have expired: nothing but purge_at ends it."
        ),
    ]
}

async fn lives(bench: Bench) -> Kept {
    // In real time a slow machine may come too late to tell.
    for attempt in 0..5 {
        let (space, life) = (bench.unique(&format!("space {attempt}")), bench.lifetime());
        let begun = Instant::now();
        bench.store.put_once(&space, "id", b"value", life).await?;
        bench.pass(life / 5 * 4).await;
        let put = bench.store.put_once(&space, "id", b"other", life).await?;
        let taken = bench.store.take(&space, "id").await?;
        if begun.elapsed() < life {
            ensure!(!put, "the id was free after four fifths of {life:?}");
            ensure!(
                taken.as_deref() == Some(b"value"),
                "the value was gone after four fifths of {life:?}"
            );
            return Ok(());
        }
    }
    Err(Broken(
        "every try took longer than the value's time".to_owned(),
    ))
}

async fn expires(bench: Bench) -> Kept {
    let (space, life) = (bench.unique("space"), bench.lifetime());
    for id in ["put again", "taken"] {
        bench.store.put_once(&space, id, b"value", life).await?;
    }
    bench.outlive().await;
    let taken = bench.store.take(&space, "taken").await?;
    ensure!(taken.is_none(), "an expired value was taken");
    let long = Duration::from_secs(3600);
    let put = bench.store.put_once(&space, "put again", b"new", long);
    ensure!(put.await?, "an expired id could not be put again");
    let taken = bench.store.take(&space, "put again").await?;
    ensure!(
        taken.as_deref() == Some(b"new"),
        "the old value is still there"
    );
    Ok(())
}

async fn stays(bench: Bench) -> Kept {
    let now = bench.now().await?;
    let (active, dead) = (bench.key("active")?, bench.key("dead")?);
    let mut expiring = record(1);
    expiring.index.access_expires_at = Some(now + bench.lifetime());
    expiring.index.grant_expires_at = Some(now + bench.lifetime());
    let active_record = bench.insert(&active, expiring.clone()).await?;
    let mut tombstone = record(1);
    tombstone.index = expiring.index;
    tombstone.index.purge_at = Some(now + Duration::from_secs(7 * 86_400));
    let tombstone = bench.insert(&dead, tombstone).await?;
    bench.outlive().await;
    for (key, record) in [(&active, &active_record), (&dead, &tombstone)] {
        bench.expect(key, record).await?;
    }
    let login = record(2);
    let insert = bench.store.update_token(&dead, &login, Expected::Absent);
    conflict(insert.await, "an insert where a tombstone stands")
}
