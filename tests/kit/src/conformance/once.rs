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
            taken,
            "take/once",
            [Once],
            "A value is taken once; what was never put is absent; a taken id can be put again."
        ),
        trial!(
            take_race,
            "take/race",
            [Once],
            "Of many takers at once exactly one gets the value."
        ),
        trial!(
            lives,
            "once/lives",
            [Once, FastForward],
            "A value is kept for all of its time."
        ),
        trial!(
            expires,
            "once/expires",
            [Once, FastForward],
            "An expired value cannot be taken, and its id can be put again."
        ),
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
    one.push('1');
    other.push('2');
    let ids = pairs
        .into_iter()
        .chain([("", &*one), ("", &*other)])
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
    for value in [Vec::new(), all.clone(), all.repeat(64)] {
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

async fn lives(bench: Bench) -> Kept {
    let space = bench.unique("space");
    bench.store.put_once(&space, "id", b"value", HOUR).await?;
    bench.fast_forward(HOUR / 2).await;
    let put = bench.store.put_once(&space, "id", b"other", HOUR).await?;
    ensure!(!put, "the id was free after half of its time");
    let taken = bench.store.take(&space, "id").await?;
    ensure!(
        taken.as_deref() == Some(b"value"),
        "the value was gone after half of its time"
    );
    Ok(())
}

async fn expires(bench: Bench) -> Kept {
    let space = bench.unique("space");
    for id in ["put again", "taken"] {
        bench.store.put_once(&space, id, b"value", HOUR).await?;
    }
    bench.fast_forward(HOUR + Duration::from_secs(60)).await;
    let taken = bench.store.take(&space, "taken").await?;
    ensure!(taken.is_none(), "an expired value was taken");
    let put = bench
        .store
        .put_once(&space, "put again", b"new", HOUR)
        .await?;
    ensure!(put, "an expired id could not be put again");
    let taken = bench.store.take(&space, "put again").await?;
    ensure!(
        taken.as_deref() == Some(b"new"),
        "the old value is still there"
    );
    Ok(())
}
