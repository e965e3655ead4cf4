//! Several processes at one store: this program, started again.

mod fleet;
mod orders;
mod worker;

use std::collections::HashSet;

use tokenkeep_core::store::Expected;

pub use self::worker::location;
pub(super) use self::worker::{Part, serve};
use self::{
    fleet::Fleet,
    orders::{Row, TASKS, Work},
};
use super::{
    changes::Listener,
    trial::{Bench, Broken, Kept, Trial, ensure, record, trial},
};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            begin,
            "processes/begin",
            proves Processes,
            "`shared` is claimed: other processes can open the store."
        ),
        trial!(
            insert,
            "processes/insert",
            [Processes],
            "Of the writes of many processes that expect nothing exactly one is accepted, and it stays."
        ),
        trial!(
            increments,
            "processes/increments",
            [Processes],
            "Read, compare-and-swap and try again in many processes loses no update."
        ),
        trial!(
            put_once,
            "processes/put-once",
            [Processes, Once],
            "Of the puts of many processes exactly one answers true, and its value is kept."
        ),
        trial!(
            take,
            "processes/take",
            [Processes, Once],
            "Of the takers in many processes exactly one gets the value."
        ),
        trial!(
            read_your_writes,
            "processes/read-your-writes",
            [Processes],
            "A read sees every write that any process was acknowledged before it."
        ),
        trial!(
            changes,
            "processes/changes",
            [Processes, Changes],
            "The writes of other processes are in the feed, in the order of each key."
        ),
    ]
}

const ROUNDS: usize = 8;

async fn begin(bench: Bench) -> Kept {
    Fleet::start(&bench).await.map(drop)
}

fn row(bench: &Bench, owner: &str) -> Row {
    Row {
        client: bench.client(),
        owner: owner.to_owned(),
    }
}

async fn insert(bench: Bench) -> Kept {
    let mut fleet = Fleet::start(&bench).await?;
    for round in 0..ROUNDS {
        let row = row(&bench, &format!("insert {round}"));
        let won = fleet.all(Work::Insert { row: row.clone() }).await?;
        one(&won, "writes that expect nothing were accepted")?;
        let found = bench.fetch(&row.key()?).await?;
        ensure!(
            found.is_some_and(|found| found.version.to_string() == won[0]),
            "the write that was accepted is not what is there"
        );
    }
    Ok(())
}

fn one(won: &[String], what: &str) -> Kept {
    ensure!(won.len() == 1, "{} {what}, by several processes", won.len());
    Ok(())
}

async fn increments(bench: Bench) -> Kept {
    const EACH: u64 = 8;
    let mut fleet = Fleet::start(&bench).await?;
    let row = row(&bench, "counter");
    bench.insert(&row.key()?, record(0)).await?;
    let counter = Work::Increment {
        row: row.clone(),
        each: EACH,
    };
    let reached = fleet.all(counter).await?;
    let counted = bench
        .fetch(&row.key()?)
        .await?
        .map(|found| found.generation);
    let all = (fleet.further() + 1) * TASKS * EACH as usize;
    ensure!(
        reached.len() == all && counted == Some(all as u64),
        "{} of {all} increments were acknowledged, and the record shows {counted:?}",
        reached.len()
    );
    let different: HashSet<_> = reached.into_iter().collect();
    ensure!(
        different.len() == all,
        "{} increments led to a generation that another one had led to",
        all - different.len()
    );
    Ok(())
}

async fn put_once(bench: Bench) -> Kept {
    let mut fleet = Fleet::start(&bench).await?;
    for round in 0..ROUNDS {
        let (space, id) = (bench.unique("space"), format!("id {round}"));
        let work = Work::PutOnce {
            space: space.clone(),
            id: id.clone(),
        };
        let won = fleet.all(work).await?;
        one(&won, "puts answered true")?;
        let value = bench.store.take(&space, &id).await?;
        ensure!(
            value.is_some_and(|value| value == won[0].as_bytes()),
            "the value is not that of the put that answered true"
        );
    }
    Ok(())
}

async fn take(bench: Bench) -> Kept {
    let mut fleet = Fleet::start(&bench).await?;
    let ttl = std::time::Duration::from_secs(3600);
    for round in 0..ROUNDS {
        let (space, id) = (bench.unique("space"), format!("id {round}"));
        bench.store.put_once(&space, &id, b"value", ttl).await?;
        let won = fleet.all(Work::Take { space, id }).await?;
        one(&won, "takers got the value")?;
        ensure!(won[0] == "value", "the taken value is another one");
    }
    Ok(())
}

async fn read_your_writes(bench: Bench) -> Kept {
    const TURNS: usize = 40;
    let mut fleet = Fleet::start(&bench).await?;
    let row = row(&bench, "ball");
    let key = row.key()?;
    let mut last = bench.insert(&key, record(0)).await?;
    for turn in 0..TURNS {
        let follow = Work::Follow {
            row: row.clone(),
            version: last.version.to_string(),
        };
        let wrote = fleet.one(turn % fleet.further(), follow).await?;
        // Every other turn goes from one further process to the next one.
        let found = bench.fetch(&key).await?;
        let Some(found) = found.filter(|found| wrote == [found.version.to_string()]) else {
            return Err(Broken(
                "a read does not see a write that another process was acknowledged before"
                    .to_owned(),
            ));
        };
        last = found;
        if turn % 2 == 0 {
            let next = record(last.generation + 1);
            let expected = Expected::Version(last.version);
            bench.store.update_token(&key, &next, expected).await?;
            last = next;
        }
    }
    Ok(())
}

async fn changes(bench: Bench) -> Kept {
    const LAST: u64 = 10;
    let mut fleet = Fleet::start(&bench).await?;
    let mut listener = Listener::open(&bench, &bench.store, None).await?;
    let rows: Vec<_> = (0..=fleet.further())
        .map(|n| row(&bench, &format!("process {n}")))
        .collect();
    fleet
        .each(|n| Work::Write {
            row: rows[n].clone(),
            last: LAST,
        })
        .await?;
    for row in &rows {
        let key = row.key()?;
        listener.really(&key, LAST).await?;
        listener.in_order(&key)?;
    }
    Ok(())
}
