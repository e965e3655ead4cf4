//! Several processes over one database: G2, G3, G4, G8.

use std::process::Stdio;

use tokenkeep::{ErrorCode, KeyRing, OAuth, Origin, Registration, SqliteStore};
use tokenkeep_testing::Provider;
use tokio::{io::AsyncReadExt, process::Command};

use super::crowd::Dice;
use crate::world::{
    CLIENT, Kind, PATIENCE, World, alice, cookies, next_of, on_every_store, refused, soon, until,
};

const GENERATIONS: u64 = 100;
const PROCESSES: u64 = 4;

/// What turns the test `worker` into a worker, as fields separated by line breaks.
const WORKER: &str = "TOKENKEEP_IT_WORKER";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_over_one_file_spend_each_refresh_token_once() {
    let world = World::over(Kind::Sqlite, Provider::builder()).await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let first = grant.token().await.unwrap().generation();
    let last = first + GENERATIONS;
    let provider = &world.provider;
    let mut workers = Vec::new();
    for number in 0..PROCESSES {
        let what = [
            &number.to_string(),
            &world.path(),
            provider.issuer(),
            provider.client_id(),
            provider.client_secret(),
            &world.ring,
            &last.to_string(),
        ];
        let worker = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "refresh::fleet::worker", "--nocapture"])
            .env(WORKER, what.join("\n"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        workers.push(worker.unwrap());
    }
    for mut worker in workers {
        let mut said = String::new();
        let mut out = worker.stdout.take().unwrap();
        soon(out.read_to_string(&mut said)).await.unwrap();
        assert!(soon(worker.wait()).await.unwrap().success(), "{said}");
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
    let answer = grant.get("me").await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// One of the processes of the test above; without its variable it has nothing to do.
#[test]
fn worker() {
    let Ok(what) = std::env::var(WORKER) else {
        return;
    };
    let fields: Vec<&str> = what.split('\n').collect();
    let [number, path, issuer, id, secret, ring, last] = fields[..] else {
        panic!("a worker has seven fields");
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let oauth = OAuth::builder()
            .store(SqliteStore::connect(path).await.unwrap())
            .key_ring(KeyRing::parse(ring).unwrap())
            .register(
                Registration::openid(CLIENT, issuer)
                    .client_id(id)
                    .client_secret(secret)
                    .scopes(["openid", "offline_access"]),
            )
            .build()
            .unwrap();
        let grant = alice(&oauth);
        let last: u64 = last.parse().unwrap();
        let mut dice = Dice(number.parse().unwrap());
        loop {
            let now = soon(grant.token()).await.unwrap().generation();
            if now >= last {
                break;
            }
            grant.invalidate(Some(now)).await.unwrap();
            let mut callers: Vec<_> = (0..20)
                .map(|_| {
                    let grant = grant.clone();
                    tokio::spawn(async move { grant.token().await })
                })
                .collect();
            for _ in 0..dice.roll(20) {
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
        assert_eq!(oauth.drain(PATIENCE).await.unwrap(), 0);
        println!("saw generation {last}");
    });
}

#[tokio::test]
async fn the_other_process_hears_of_everything_under_the_same_ids() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, _store) = world.second().await;
        oauth.follow_changes().await.unwrap();
        second.follow_changes().await.unwrap();
        let (mut here, mut there) = (
            oauth.token_updates().unwrap(),
            second.token_updates().unwrap(),
        );
        let grant = world.alice(&oauth).await;
        for kind in ["issued", "refreshed", "logged_out"] {
            match kind {
                "refreshed" => drop(grant.refresh().await.unwrap()),
                "logged_out" => grant.log_out().await.unwrap(),
                _ => {}
            }
            let local = next_of(&mut here, kind).await;
            let remote = next_of(&mut there, kind).await;
            assert_eq!(local.id(), remote.id());
            let (local, remote) = (local.changed().unwrap(), remote.changed().unwrap());
            assert_eq!(local.origin, Origin::Local);
            assert_eq!(remote.origin, Origin::Remote);
            assert_eq!(local.generation, remote.generation);
            assert_eq!(remote.replaced, None);
            if kind != "logged_out" {
                let (ours, theirs) = (local.token().await.unwrap(), remote.token().await.unwrap());
                assert_eq!(ours.access_token(), theirs.access_token());
                let served = alice(&second).token().await.unwrap();
                assert_eq!(served.generation(), local.generation);
            }
        }
        refused(alice(&second).token().await, ErrorCode::LoginRequired);
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_logout_ends_the_session_in_the_other_process() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, store) = world.second().await;
        second.follow_changes().await.unwrap();
        let mut there = second.token_updates().unwrap();
        store.followed().await;
        let kept = world.log_in(&oauth, "alice").await;
        let browser = cookies(&kept.cookies);
        let session = second.session(&browser).await.unwrap().unwrap();
        assert_eq!(session.owner(), "alice");
        assert_eq!(session.csrf(), kept.session.as_ref().unwrap().csrf());
        let out = oauth.log_out(&session, Some("http://127.0.0.1:3000/logged-out/op"));
        let out = out.await.unwrap();
        let to = out.redirect.as_ref().unwrap();
        let (_, hint) = to
            .query_pairs()
            .find(|(name, _)| name == "id_token_hint")
            .unwrap();
        let shown = format!("{out:?}");
        assert!(
            shown.contains(to.path()) && !shown.contains(&*hint),
            "{shown}"
        );
        loop {
            let ended = next_of(&mut there, "logged_out").await;
            if ended.key() == Some(session.key()) {
                break;
            }
        }
        assert!(second.session(&browser).await.unwrap().is_none());
        assert!(oauth.session(&browser).await.unwrap().is_none());
        // The grant was issued with offline_access: it stays for the application's own work.
        alice(&second).token().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn without_a_feed_another_process_is_noticed_after_the_snapshot_age() {
    let world = World::new().await;
    let store = world
        .another_store()
        .await
        .limited_to(|capabilities| capabilities.changes = false);
    let second = world
        .bare(&store)
        .register(world.registration())
        .build()
        .unwrap();
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let before = alice(&second).token().await.unwrap();
    grant.refresh().await.unwrap();
    assert_eq!(alice(&second).token().await.unwrap(), before);
    world.clock.advance(std::time::Duration::from_secs(2));
    let after = alice(&second).token().await.unwrap();
    assert_eq!(after.generation(), before.generation() + 1);
}
