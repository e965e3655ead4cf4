//! Many callers, one token: G1, G2, G3.

use std::time::Duration;

use tokenkeep_testing::{Endpoint, Fault, Gate, Provider, Rotation};

use crate::dice::Dice;
use crate::world::{World, alice, next_of, on_every_store, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_spend_a_refresh_token_once_whoever_leaves() {
    const GENERATIONS: u64 = 100;
    const CALLERS: usize = 1_000;
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let first = grant.token().await.unwrap().generation();
        let mut dice = Dice(1);
        let mut survivors = 0;
        for generation in 1..=GENERATIONS {
            assert!(grant.invalidate(None).await.unwrap());
            let mut callers = Vec::with_capacity(CALLERS);
            for _ in 0..CALLERS {
                let grant = grant.clone();
                callers.push(tokio::spawn(async move { grant.token().await }));
            }
            let mut aborted = Vec::new();
            for _ in 0..CALLERS / 4 {
                let caller = callers.swap_remove(dice.roll(callers.len() as u64) as usize);
                if dice.roll(8) == 0 {
                    tokio::task::yield_now().await;
                }
                caller.abort();
                aborted.push(caller);
            }
            for caller in callers {
                let token = soon(caller).await.unwrap().unwrap();
                assert_eq!(token.generation(), first + generation);
                survivors += 1;
            }
            // Some were quicker than their end; those got the same.
            for caller in aborted {
                if let Ok(token) = soon(caller).await {
                    assert_eq!(token.unwrap().generation(), first + generation);
                }
            }
        }
        assert!(survivors >= CALLERS * 3 / 4 * GENERATIONS as usize);
        assert_eq!(soon(oauth.drain(crate::world::PATIENCE)).await.unwrap(), 0);
        let mut spends = vec![1; GENERATIONS as usize];
        spends.push(0);
        let counts: Vec<u64> = world
            .provider
            .spend_counts()
            .into_iter()
            .map(|(_, spends)| spends)
            .collect();
        assert_eq!(counts, spends);
        assert_eq!(world.refreshes(), GENERATIONS);
    })
    .await;
}

#[tokio::test]
async fn a_refresh_goes_on_when_its_only_caller_leaves() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let gate = Gate::new();
        let rule = world
            .provider
            .faults()
            .on(Endpoint::Token, Fault::Hold(gate.clone()))
            .for_grant_type("refresh_token");
        let caller = tokio::spawn({
            let grant = grant.clone();
            async move { grant.refresh().await }
        });
        soon(gate.arrived(1)).await;
        caller.abort();
        assert!(soon(caller).await.unwrap_err().is_cancelled());
        gate.open();
        rule.off();
        let refreshed = next_of(&mut updates, "refreshed").await;
        let kept = grant.token().await.unwrap();
        assert_eq!(kept.generation(), refreshed.changed().unwrap().generation);
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn forced_refreshes_one_after_the_other_all_succeed() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let mut last = grant.token().await.unwrap().generation();
    for _ in 0..300 {
        let token = soon(grant.refresh()).await.unwrap();
        assert_eq!(token.generation(), last + 1);
        last = token.generation();
    }
    assert_eq!(world.refreshes(), 300);
    assert_eq!(world.provider.max_spends(), 1);
}

#[tokio::test]
async fn a_family_revoking_provider_never_sees_a_reuse() {
    let provider = || Provider::builder().rotation(Rotation::FamilyRevoking);
    on_every_store(provider, async |world| {
        let oauth = world.oauth();
        let (second, _store) = world.second().await;
        let grant = world.alice(&oauth).await;
        for _ in 0..10 {
            assert!(grant.invalidate(None).await.unwrap());
            let callers: Vec<_> = (0..40)
                .map(|n| {
                    let grant = alice(if n % 2 == 0 { &oauth } else { &second });
                    tokio::spawn(async move { grant.token().await })
                })
                .collect();
            for caller in callers {
                soon(caller).await.unwrap().unwrap();
            }
        }
        assert_eq!(world.provider.max_spends(), 1);
        assert!(!world.provider.lineages()[0].revoked);
    })
    .await;
}

#[tokio::test]
async fn whoever_waits_for_another_process_does_not_hammer_the_store() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, store) = world.second().await;
        let grant = world.alice(&oauth).await;
        let gate = Gate::new();
        let faults = world.provider.faults();
        faults
            .on(Endpoint::Token, Fault::Hold(gate.clone()))
            .for_grant_type("refresh_token");
        assert!(grant.invalidate(None).await.unwrap());
        let holder = tokio::spawn(async move { grant.token().await });
        soon(gate.arrived(1)).await;
        let waiter = alice(&second);
        let waiter = tokio::spawn(async move { waiter.token().await });
        crate::world::until("it waits", async || {
            store.calls(crate::faulty::Method::Fetch) >= 2
        })
        .await;
        let before = store.calls(crate::faulty::Method::Fetch);
        tokio::time::sleep(Duration::from_millis(500)).await;
        // A poll comes after 50 ms at the earliest, and looks twice.
        let looks = store.calls(crate::faulty::Method::Fetch) - before;
        assert!(looks <= 24, "{looks} looks at the store in half a second");
        gate.open();
        let (held, waited) = (soon(holder).await.unwrap(), soon(waiter).await.unwrap());
        assert_eq!(held.unwrap().generation(), waited.unwrap().generation());
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}
