//! All processes want the same token refreshed at the same time.

use std::sync::Arc;

use tokenkeep::{OAuth, SystemClock};
use tokenkeep_testing::Provider;

use super::process::{Order, Process, Task};
use crate::{
    dice::Dice,
    kind::Kind,
    world::{World, alice, soon, until},
};

const GENERATIONS: u64 = 200;
const PROCESSES: u64 = 8;
const CALLERS: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_spend_each_refresh_token_once_over_sqlite() {
    race(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn eight_processes_spend_each_refresh_token_once_over_postgres() {
    race(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn eight_processes_spend_each_refresh_token_once_over_mariadb() {
    race(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis; tests/run brings it"]
async fn eight_processes_spend_each_refresh_token_once_over_redis() {
    race(Kind::Redis).await;
}

async fn race(store: Kind) {
    let place = store.place(Arc::new(SystemClock));
    let world = World::over(Kind::Memory, Provider::builder()).await;
    let provider = &world.provider;
    let mut order = Order::over(&place, provider, Task::Race { last: 0 });
    let oauth = order.oauth().await;
    let grant = world.alice(&oauth).await;
    let first = grant.token().await.unwrap().generation();
    let last = first + GENERATIONS;
    let mut processes = Vec::new();
    for seed in 0..PROCESSES {
        order.seed = seed;
        order.task = Task::Race { last };
        processes.push(Process::start(&order));
    }
    for mut process in processes {
        let mut said = String::new();
        let mut lines = process.said();
        while let Some(line) = soon(lines.next_line()).await.unwrap() {
            said.push_str(&line);
            said.push('\n');
        }
        assert!(soon(process.wait()).await.success(), "{said}");
        assert!(said.contains(&format!("saw generation {last}\n")), "{said}");
    }
    let counts = provider.spend_counts().into_iter();
    let mut spends = vec![1; GENERATIONS as usize];
    spends.push(0);
    assert_eq!(counts.map(|(_, spends)| spends).collect::<Vec<_>>(), spends);
    assert_eq!(world.refreshes(), GENERATIONS);
    until("the last commit is heard of", async || {
        grant.token().await.unwrap().generation() == last
    })
    .await;
    assert_eq!(grant.info().await.unwrap().unwrap().generation, last);
    // What is kept is alive.
    grant.refresh().await.unwrap();
}

/// What each process does: many callers at once, some of whom leave.
pub(super) async fn run(oauth: &OAuth, last: u64, seed: u64) {
    let grant = alice(oauth);
    let mut dice = Dice(seed);
    loop {
        let now = soon(grant.token()).await.unwrap().generation();
        if now >= last {
            break;
        }
        grant.invalidate(Some(now)).await.unwrap();
        let mut callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let grant = grant.clone();
                tokio::spawn(async move { grant.token().await })
            })
            .collect();
        for _ in 0..dice.roll(CALLERS) {
            let caller = callers.swap_remove(dice.roll(callers.len() as u64) as usize);
            if dice.roll(4) == 0 {
                tokio::task::yield_now().await;
            }
            caller.abort();
        }
        for caller in callers {
            assert!(soon(caller).await.unwrap().unwrap().generation() > now);
        }
    }
    println!("saw generation {last}");
}
