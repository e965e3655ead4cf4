//! Random processes of a fleet are killed, again and again, while users log out: no committed token is lost, and no
//! logged-out grant comes back.
//!
//! The provider answers a refresh token that it has already replaced in the same way for a while. Against a stricter one
//! a kill between its answer and the commit loses the rotation; nobody can promise otherwise.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokenkeep::{ErrorCode, OAuth, SystemClock};
use tokenkeep_testing::{Provider, Rotation};

use super::process::{Order, Process, Task};
use crate::{
    dice::Dice,
    kind::Kind,
    world::{CLIENT, World, refused, soon},
};

const PROCESSES: usize = 8;
const OWNERS: u64 = 16;
const TASKS: u64 = 64;

/// Leases of a killed process are over after three times this.
const REQUEST: Duration = Duration::from_millis(1_000);

/// How long it goes on: five minutes in the long form of the tests.
fn length() -> Duration {
    let long = std::env::var_os("TOKENKEEP_LONG").is_some();
    Duration::from_secs(if long { 300 } else { 12 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_lose_no_token_and_bring_no_grant_back_over_sqlite() {
    hammer(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; tests/run brings it"]
async fn killed_processes_lose_no_token_and_bring_no_grant_back_over_postgres() {
    hammer(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB; tests/run brings it"]
async fn killed_processes_lose_no_token_and_bring_no_grant_back_over_mariadb() {
    hammer(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis; tests/run brings it"]
async fn killed_processes_lose_no_token_and_bring_no_grant_back_over_redis() {
    hammer(Kind::Redis).await;
}

/// What the processes saw.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// The highest generation of each owner.
    kept: BTreeMap<u64, u64>,
    /// Who had to log in, as far as a process could see.
    refused: BTreeSet<u64>,
    /// How often what went wrong.
    failed: BTreeMap<String, u64>,
}

impl Seen {
    fn note(&mut self, line: &str) -> Option<()> {
        // The last line of a killed process may be cut.
        let (what, rest) = line.strip_suffix('.')?.split_once(' ')?;
        let (owner, rest) = rest.split_once(' ')?;
        let owner = owner.parse().ok()?;
        match what {
            "kept" => {
                let highest = self.kept.entry(owner).or_default();
                *highest = (*highest).max(rest.parse().ok()?);
            }
            "refused" => drop(self.refused.insert(owner)),
            "failed" => *self.failed.entry(rest.to_owned()).or_default() += 1,
            _ => {}
        }
        Some(())
    }
}

async fn hammer(store: Kind) {
    let place = store.place(Arc::new(SystemClock));
    let window = Duration::from_secs(60);
    let provider = Provider::builder().rotation(Rotation::ReplayWindow(window));
    let world = World::over(Kind::Memory, provider).await;
    let provider = &world.provider;
    let mut order = Order {
        replay: Some(u64::try_from(window.as_millis()).unwrap()),
        request_timeout: u64::try_from(REQUEST.as_millis()).unwrap(),
        ..Order::over(&place, provider, Task::Hammer { owners: OWNERS })
    };
    let oauth = order.oauth().await;
    for owner in 0..OWNERS {
        world.log_in(&oauth, &owner.to_string()).await;
    }

    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut start = || {
        order.seed += 1;
        listened(Process::start(&order), Arc::clone(&seen))
    };
    let mut fleet: Vec<_> = (0..PROCESSES).map(|_| start()).collect();
    let mut dice = Dice(std::process::id().into());
    let (started, mut kills, mut logged_out) = (Instant::now(), 0, 0);
    while started.elapsed() < length() {
        tokio::time::sleep(Duration::from_millis(100 + dice.roll(700))).await;
        let at = dice.roll(PROCESSES as u64) as usize;
        let (mut process, listener) = std::mem::replace(&mut fleet[at], start());
        process.kill().await;
        listener.await.unwrap();
        kills += 1;
        // Half of the users log out by and by.
        let due = OWNERS / 2 * started.elapsed().as_millis() as u64 / length().as_millis() as u64;
        while logged_out < due {
            grant(&oauth, logged_out).log_out().await.unwrap();
            logged_out += 1;
        }
    }
    for (mut process, listener) in fleet {
        process.ask_to_end();
        assert!(soon(process.wait()).await.success());
        soon(listener).await.unwrap();
    }

    let seen = seen.lock().unwrap().clone();
    let generations: u64 = provider
        .lineages()
        .iter()
        .map(|of| of.spends.len() as u64 - 1)
        .sum();
    println!(
        "{store:?}: {kills} kills, {generations} generations by {} requests, {logged_out} logged out, failed: {:?}",
        world.refreshes(),
        seen.failed
    );
    assert!(seen.kept.len() as u64 == OWNERS, "all took part: {seen:?}");
    let early: Vec<_> = seen
        .refused
        .iter()
        .filter(|owner| **owner >= logged_out)
        .collect();
    assert!(early.is_empty(), "refused without a logout: {early:?}");
    let after = order.oauth().await;
    for (&owner, &generation) in &seen.kept {
        let grant = grant(&after, owner);
        let info = grant.info().await.unwrap().unwrap();
        assert!(
            info.generation >= generation,
            "owner {owner}: generation {generation} was committed, and {} is kept",
            info.generation
        );
        if owner < logged_out {
            refused(grant.token().await, ErrorCode::LoginRequired);
        } else {
            soon(grant.token()).await.unwrap();
            // The refresh token that is kept is alive at the provider.
            let renewed = soon(grant.refresh()).await.unwrap();
            assert!(renewed.generation() > generation);
        }
    }
    assert!(logged_out > 0 && kills > 10);
}

/// Notes what a process says, until it ends.
fn listened(
    mut process: Process,
    seen: Arc<Mutex<Seen>>,
) -> (Process, tokio::task::JoinHandle<()>) {
    let mut said = process.said();
    let listener = tokio::spawn(async move {
        while let Ok(Some(line)) = said.next_line().await {
            seen.lock().unwrap().note(&line);
        }
    });
    (process, listener)
}

fn grant(oauth: &OAuth, owner: u64) -> tokenkeep::Grant {
    oauth.client(CLIENT).unwrap().owner(&owner.to_string())
}

/// What each process does: many tasks use anybody's token, and now and then let it be renewed, until the parent closes
/// the standard input.
pub(super) async fn run(oauth: &OAuth, owners: u64, seed: u64) {
    let (sender, ended) = tokio::sync::watch::channel(false);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = sender.send(true);
    });
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let (oauth, ended) = (oauth.clone(), ended.clone());
            tokio::spawn(use_tokens(oauth, ended, owners, Dice(seed << 8 | number)))
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
}

async fn use_tokens(
    oauth: OAuth,
    ended: tokio::sync::watch::Receiver<bool>,
    owners: u64,
    mut dice: Dice,
) {
    while !*ended.borrow() {
        let owner = dice.roll(owners);
        let grant = grant(&oauth, owner);
        match soon(grant.token()).await {
            Ok(token) => {
                println!("kept {owner} {}.", token.generation());
                if dice.roll(4) == 0 {
                    let _ = grant.invalidate(Some(token.generation())).await;
                }
            }
            Err(error) if error.code() == ErrorCode::LoginRequired => println!("refused {owner} ."),
            // A killed process holds the lease, or the store is busy: another time.
            Err(error) => println!("failed {owner} {}.", error.code()),
        }
        tokio::time::sleep(Duration::from_millis(dice.roll(40))).await;
    }
}
