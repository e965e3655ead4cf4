//! Values that are put once and taken once.

use std::time::Duration;

use super::trial::{Bench, Kept, RACERS, Trial, ensure, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            twice,
            "once/twice",
            [Once],
            "The second put of an id answers false, and the first value stays."
        ),
        trial!(
            exact,
            "once/exact",
            [Once],
            "Space and id are exact bytes, and no delimiter moves the border between them."
        ),
        trial!(
            taken,
            "take/once",
            [Once],
            "A value is taken once; what was never put is absent; a taken id can be put again."
        ),
        trial!(
            values,
            "once/values",
            [Once],
            "A value is kept byte for byte."
        ),
        trial!(
            put_race,
            "once/put-race",
            [Once],
            "Of many puts of one id at once exactly one answers true."
        ),
        trial!(
            take_race,
            "take/race",
            [Once],
            "Of many takers at once exactly one gets the value."
        ),
        trial!(long, "once/long", [Once], "A value can be kept for years."),
    ]
}

const HOUR: Duration = Duration::from_secs(3600);

async fn twice(bench: Bench) -> Kept {
    let space = bench.unique("space");
    let first = bench.store.put_once(&space, "id", b"first", HOUR).await?;
    ensure!(first, "the first put answered false");
    let second = bench
        .second()
        .put_once(&space, "id", b"second", HOUR)
        .await?;
    ensure!(!second, "the second put answered true");
    let value = bench.store.take(&space, "id").await?;
    ensure!(
        value.as_deref() == Some(b"first"),
        "another value than the first one is kept"
    );
    Ok(())
}

async fn exact(bench: Bench) -> Kept {
    let space = bench.unique("space");
    let pairs = [
        ("", "a:b"),
        (":a", "b"),
        ("", "a/b"),
        ("/a", "b"),
        ("", "id"),
        ("", "ID"),
        ("", "id "),
        ("", " id"),
        ("", "i%"),
        ("", "i_"),
        ("", "\u{e9}"),
        ("", "e\u{301}"),
        ("", "🔑"),
        ("", "'"),
        (" ", "id"),
        ("x", "id"),
        ("X", "id"),
    ];
    let long = "l".repeat(255);
    let (mut one, mut other) = (long.clone(), long);
    one.replace_range(254.., "1");
    other.replace_range(254.., "2");
    let wide = ["1", "2"].map(|last| format!("{}{last}", "-".repeat(63 - space.len())));
    let ids = pairs
        .into_iter()
        .chain([("", &*one), ("", &*other)])
        .chain(wide.iter().map(|wide| (&**wide, &*one)))
        .map(|(more, id)| (format!("{space}{more}"), id));
    for (n, (space, id)) in ids.clone().enumerate() {
        let value = n.to_string();
        let put = bench
            .store
            .put_once(&space, id, value.as_bytes(), HOUR)
            .await?;
        ensure!(put, "the id {id:?} was taken for another one");
    }
    for (n, (space, id)) in ids.enumerate() {
        let value = bench.store.take(&space, id).await?;
        ensure!(
            value.as_deref() == Some(n.to_string().as_bytes()),
            "the id {id:?} holds the value of another one"
        );
    }
    Ok(())
}

async fn values(bench: Bench) -> Kept {
    let space = bench.unique("space");
    let all: Vec<u8> = (0..=255).collect();
    // 64 KiB of a login's data, and what sealing adds.
    for value in [Vec::new(), all.clone(), all.repeat(258)] {
        bench.store.put_once(&space, "id", &value, HOUR).await?;
        let taken = bench.store.take(&space, "id").await?;
        ensure!(
            taken.as_ref() == Some(&value),
            "a value of {} bytes came back changed",
            value.len()
        );
    }
    Ok(())
}

async fn put_race(bench: Bench) -> Kept {
    let space = bench.unique("space");
    for round in 0..4 {
        let id = format!("id {round}");
        let answers = bench
            .race(|n, store| {
                let (space, id, value) = (space.clone(), id.clone(), n.to_string());
                async move { store.put_once(&space, &id, value.as_bytes(), HOUR).await }
            })
            .await?;
        let mut winners = Vec::new();
        for (n, answer) in answers {
            if answer? {
                winners.push(n);
            }
        }
        ensure!(
            winners.len() == 1,
            "{} of {RACERS} puts answered true",
            winners.len()
        );
        let value = bench.store.take(&space, &id).await?;
        ensure!(
            value == Some(winners[0].to_string().into_bytes()),
            "the value is not that of the put that answered true"
        );
    }
    Ok(())
}

async fn taken(bench: Bench) -> Kept {
    let space = bench.unique("space");
    let never = bench.store.take(&space, "id").await?;
    ensure!(never.is_none(), "a value was taken that was never put");
    for round in 0..2 {
        let put = bench.store.put_once(&space, "id", b"value", HOUR).await?;
        ensure!(put, "put {round} answered false");
        let taken = bench.second().take(&space, "id").await?;
        ensure!(taken.as_deref() == Some(b"value"), "the value is not there");
        let again = bench.store.take(&space, "id").await?;
        ensure!(again.is_none(), "a value was taken twice");
    }
    Ok(())
}

async fn take_race(bench: Bench) -> Kept {
    let space = bench.unique("space");
    for round in 0..8 {
        let id = format!("id {round}");
        bench.store.put_once(&space, &id, b"value", HOUR).await?;
        let answers = bench
            .race(|_, store| {
                let (space, id) = (space.clone(), id.clone());
                async move { store.take(&space, &id).await }
            })
            .await?;
        let mut takers = 0;
        for (_, answer) in answers {
            takers += usize::from(answer?.is_some());
        }
        ensure!(takers == 1, "{takers} of {RACERS} takers got the value");
    }
    Ok(())
}

async fn long(bench: Bench) -> Kept {
    let space = bench.unique("space");
    let years = 24 * 365 * 10 * HOUR;
    let put = bench.store.put_once(&space, "id", b"value", years).await?;
    ensure!(put, "the put answered false");
    let again = bench.store.put_once(&space, "id", b"other", years).await?;
    ensure!(!again, "the second put answered true");
    let taken = bench.store.take(&space, "id").await?;
    ensure!(taken.as_deref() == Some(b"value"), "the value is not there");
    Ok(())
}
