//! What becomes of an answer on its way into the store: G3, G5, G8.

use std::time::Duration;

use async_trait::async_trait;
use tokenkeep::{Fingerprint, Hook, OAuth, Origin, RawAnswer, TokenUpdate, TokenUpdates};
use tokenkeep_testing::{Gate, Provider};

use crate::{
    faulty::{Method, StoreFault},
    world::{PATIENCE, World, alice, next_of, on_every_store, soon, told, until},
};

fn generations(updates: &[TokenUpdate]) -> Vec<u64> {
    let refreshed = updates.iter().filter(|update| update.kind() == "refreshed");
    refreshed
        .map(|update| update.changed().unwrap().generation)
        .collect()
}

async fn listening(oauth: &OAuth) -> TokenUpdates {
    oauth.follow_changes().await.unwrap();
    oauth.token_updates().unwrap()
}

#[tokio::test]
async fn a_shutdown_drains_a_pending_commit() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let mut updates = listening(&oauth).await;
        world.store.on(Method::Write, StoreFault::Fail);
        let token = grant.refresh().await.unwrap();
        next_of(&mut updates, "commit_pending").await;
        let drain = tokio::spawn({
            let oauth = oauth.clone();
            async move { oauth.drain(Duration::from_secs(3600)).await }
        });
        world.clock.advance(Duration::from_secs(5));
        tokio::task::yield_now().await;
        assert!(!drain.is_finished(), "its commit is pending");
        world.store.clear();
        until("it is drained", async || {
            world.clock.advance(Duration::from_secs(1));
            drain.is_finished()
        })
        .await;
        assert_eq!(soon(drain).await.unwrap().unwrap(), 0);
        // The process ends; the next one goes on with what was drained.
        drop((grant, oauth));
        let (second, _store) = world.second().await;
        assert_eq!(alice(&second).token().await.unwrap(), token);
        alice(&second).refresh().await.unwrap();
        assert_eq!(world.provider.max_spends(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_drain_that_runs_out_of_time_says_what_is_left() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    world.store.on(Method::Write, StoreFault::Fail);
    grant.refresh().await.unwrap();
    let drain = tokio::spawn({
        let oauth = oauth.clone();
        async move { oauth.drain(Duration::from_secs(10)).await }
    });
    tokio::task::yield_now().await;
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(soon(drain).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_recognised_under_what_others_wrote_on_top_of_it() {
    on_every_store(Provider::builder, async |world| {
        // Without a feed it hears of nothing but by its own looks.
        let store = world
            .another_store()
            .await
            .limited_to(|capabilities| capabilities.changes = false);
        let oauth = world.bare(&store).register(world.registration());
        let oauth = oauth.build().unwrap();
        let (second, _store) = world.second().await;
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap();
        let mut updates = listening(&oauth).await;
        let gate = Gate::new();
        let lost = StoreFault::LoseAnswerBehind(gate.clone());
        store.times(Method::Write, lost, 1);
        let caller = tokio::spawn({
            let grant = grant.clone();
            async move { grant.refresh().await }
        });
        soon(gate.arrived(1)).await;
        let other = alice(&second);
        assert!(
            other
                .invalidate(Some(before.generation() + 1))
                .await
                .unwrap()
        );
        gate.open();
        // What it committed was invalidated: its caller refreshes once more.
        let token = soon(caller).await.unwrap().unwrap();
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        let updates = told(&mut updates);
        let kinds: Vec<_> = updates.iter().map(TokenUpdate::kind).collect();
        assert!(!kinds.contains(&"orphaned"), "{kinds:?}");
        let heard = generations(&updates);
        assert_eq!(heard.first(), Some(&(before.generation() + 1)), "{kinds:?}");
        assert_eq!(heard.last(), Some(&token.generation()), "{kinds:?}");
        let own = updates[0].changed().unwrap();
        assert_eq!(own.origin, Origin::Local);
        let replaced = own.replaced.as_ref().unwrap();
        assert_eq!(
            replaced.access_token,
            Some(Fingerprint::of(before.access_token()))
        );
        assert_eq!(world.provider.max_spends(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_commit_whose_answer_comes_late_is_not_told_after_a_newer_one() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, _store) = world.second().await;
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap().generation();
        let mut updates = listening(&oauth).await;
        let gate = Gate::new();
        let late = StoreFault::HoldAnswer(gate.clone());
        world.store.times(Method::Write, late, 1);
        let caller = tokio::spawn({
            let grant = grant.clone();
            async move { grant.refresh().await }
        });
        soon(gate.arrived(1)).await;
        // The other process goes on from what was committed, and this one hears of that first.
        let newer = alice(&second).refresh().await.unwrap();
        assert_eq!(newer.generation(), before + 2);
        // A feed that is polled may show the lease in between, with the older generation, first.
        while next_of(&mut updates, "refreshed")
            .await
            .changed()
            .unwrap()
            .generation
            < before + 2
        {}
        gate.open();
        soon(caller).await.unwrap().unwrap();
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        assert_eq!(generations(&told(&mut updates)), [] as [u64; 0]);
        assert_eq!(grant.token().await.unwrap(), newer);
    })
    .await;
}

/// Nearly as long as an access token may be.
const LONG: usize = 65_000;

/// Makes the access tokens of refreshes as long as that.
struct Long;

#[async_trait]
impl Hook for Long {
    async fn refresh_token_response(
        &self,
        _: &str,
        _: &RawAnswer<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let mut answer: serde_json::Value = serde_json::from_slice(body).unwrap();
        let token = answer["access_token"].as_str().unwrap();
        answer["access_token"] = format!("{token:x<LONG$}").into();
        Some(answer.to_string().into_bytes())
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_beside_other_targets_takes_their_place() {
    // Every store keeps 1 MiB, and megabytes take their time in a debug build: one store will do.
    let world = World::new().await;
    let oauth = world.builder().hook(Long).build().unwrap();
    let grant = world.alice(&oauth).await;
    let login = grant.token().await.unwrap();
    let mut updates = listening(&oauth).await;
    // A record has 1 MiB: sixteen of them fit, and the next one does not.
    let targets: Vec<_> = (0..=16)
        .map(|n| grant.clone().resource(format!("https://api.example/{n}")))
        .collect();
    let mut tokens = Vec::new();
    for target in &targets[..16] {
        tokens.push(target.token().await.unwrap());
    }
    assert_eq!(targets[0].token().await.unwrap(), tokens[0], "kept");
    assert_eq!(grant.token().await.unwrap(), login, "kept");
    let last = targets[16].token().await.unwrap();
    assert_eq!(last.access_token().expose().len(), LONG);
    assert_eq!(last.generation(), login.generation() + 17);
    assert_eq!(targets[16].token().await.unwrap(), last, "kept");
    // The refresh token that was spent for it is not lost, and the others can be asked for again.
    let again = targets[0].token().await.unwrap();
    assert_eq!(again.generation(), login.generation() + 18);
    assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
    let kinds: Vec<_> = told(&mut updates).iter().map(TokenUpdate::kind).collect();
    assert_eq!(kinds, ["refreshed"; 18]);
    assert_eq!(world.provider.max_spends(), 1);
    assert_eq!(world.refreshes(), 18);
}
