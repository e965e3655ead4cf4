//! Adoption, changed registrations, key rings, and what a registry refuses to be built with.

use std::time::Duration;

use tokenkeep::{
    ErrorCode, GrantState, KeyRing, MemoryStore, OAuth, Phase, Registration, Reseal, Token,
    TokenKey,
    store::{Capabilities, FetchToken, TokenStore},
};
use tokenkeep_testing::{Endpoint, Fault, Gate, Provider};

use crate::world::{
    CLIENT, PATIENCE, World, alice, key, next, on_every_store, refused, soon, told,
};

fn key_of_alice() -> TokenKey {
    TokenKey::new(CLIENT, "alice").unwrap()
}

#[tokio::test]
async fn tokens_of_elsewhere_are_adopted_once_however_many_try() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let (second, _store) = world.second().await;
        let elsewhere = world.login(&oauth, "alice").await.unwrap().token;
        let token = || {
            Token::builder(elsewhere.access_token().clone())
                .refresh(elsewhere.refresh_token().unwrap().clone())
                .expires_at(elsewhere.expires_at().unwrap())
                .build()
                .unwrap()
        };
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let adopters: Vec<_> = (0..20)
            .map(|n| {
                let oauth = if n % 2 == 0 { &oauth } else { &second }.clone();
                let token = token();
                tokio::spawn(async move { oauth.adopt(key_of_alice(), token).await })
            })
            .collect();
        let mut kept = 0;
        for adopter in adopters {
            kept += u32::from(soon(adopter).await.unwrap().unwrap());
        }
        assert_eq!(kept, 1);
        assert_eq!(next(&mut updates).await.kind(), "issued");
        assert!(!oauth.adopt(key_of_alice(), token()).await.unwrap());
        let grant = alice(&second);
        assert_eq!(
            grant.token().await.unwrap().access_token(),
            elsewhere.access_token()
        );
        grant.refresh().await.unwrap();
        assert_eq!(world.provider.max_spends(), 1);

        // What was logged out stays so.
        grant.log_out().await.unwrap();
        assert!(!oauth.adopt(key_of_alice(), token()).await.unwrap());
        refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    })
    .await;
}

#[tokio::test]
async fn a_grant_of_another_registration_needs_a_login_and_nothing_is_sent() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap();
        oauth
            .replace(world.registration().client_id("another"))
            .unwrap();
        // Not even the token that still lasts: it would go to the new registration's addresses.
        refused(grant.token().await, ErrorCode::LoginRequired);
        let kept = grant.kept().unwrap();
        refused(kept.header().await, ErrorCode::LoginRequired);
        let error = refused(grant.refresh().await, ErrorCode::LoginRequired);
        assert!(error.message().contains("another registration"), "{error}");
        assert_eq!(world.refreshes(), 0);
        // Only the right registration can use it, and still can.
        oauth.replace(world.registration()).unwrap();
        let after = grant.refresh().await.unwrap();
        assert_eq!(after.generation(), before.generation() + 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_ring_is_rolled_without_losing_a_record() {
    on_every_store(Provider::builder, async |world| {
        let ring = |keys: &[String]| KeyRing::parse(&keys.join(",")).unwrap();
        let with = |ring: KeyRing| {
            let builder = world.bare(&world.store).register(world.registration());
            builder.key_ring(ring).build().unwrap()
        };
        let (old, new) = (key("a", 7), key("b", 8));
        let oauth = with(ring(std::slice::from_ref(&old)));
        let kept = world.log_in(&oauth, "alice").await;
        let browser = crate::world::cookies(&kept.cookies);
        let before = alice(&oauth).token().await.unwrap();

        // A process that lacks the key touches nothing.
        let lacks = with(ring(std::slice::from_ref(&new)));
        let row = world
            .store
            .fetch_token(&key_of_alice())
            .await
            .unwrap()
            .record;
        let error = refused(alice(&lacks).token().await, ErrorCode::KeyMissing);
        assert_eq!(error.code().http_status(), 503);
        refused(alice(&lacks).refresh().await, ErrorCode::KeyMissing);
        let info = alice(&lacks).info().await.unwrap().unwrap();
        assert_eq!(
            (info.state, info.generation),
            (GrantState::Active, before.generation())
        );
        assert!(info.refreshable && info.token_type.is_none());
        assert!(lacks.session(&browser).await.unwrap().is_none());
        let after = world
            .store
            .fetch_token(&key_of_alice())
            .await
            .unwrap()
            .record;
        assert_eq!(row, after);
        assert_eq!(world.refreshes(), 0);

        // New key first, old one still opens; what is written is sealed anew.
        let both = with(ring(&[new.clone(), old.clone()]));
        assert!(both.session(&browser).await.unwrap().is_some());
        assert_eq!(alice(&both).token().await.unwrap(), before);
        let renewed = alice(&both).refresh().await.unwrap();
        let new_only = with(ring(std::slice::from_ref(&new)));
        assert_eq!(alice(&new_only).token().await.unwrap(), renewed);
        // And without any key it can still be logged out.
        let old_only = with(ring(std::slice::from_ref(&old)));
        refused(alice(&old_only).refresh().await, ErrorCode::KeyMissing);
        alice(&old_only).log_out().await.unwrap();
        refused(alice(&both).refresh().await, ErrorCode::LoginRequired);
    })
    .await;
}

#[tokio::test]
async fn who_lacks_the_key_of_a_reseal_serves_what_it_read_until_that_is_over() {
    for ends_by_hand in [false, true] {
        on_every_store(Provider::builder, async |world| {
            let oauth = world.oauth();
            let grant = world.alice(&oauth).await;
            let before = grant.token().await.unwrap();
            let both = [key("b", 8), key("a", 7)].join(",");
            let second = world.builder().key_ring(KeyRing::parse(&both).unwrap());
            let second = second.build().unwrap();
            let report = second.reseal(Reseal::new()).await.unwrap().finish().await;
            assert!(!report.may_use("a"));
            // It has seen the row, and knows the tokens of this generation from before.
            assert!(grant.info().await.unwrap().unwrap().token_type.is_none());
            assert_eq!(grant.token().await.unwrap(), before);
            refused(grant.refresh().await, ErrorCode::KeyMissing);
            if ends_by_hand {
                assert!(grant.invalidate(None).await.unwrap());
            } else {
                world.advance(Duration::from_secs(290));
                assert_eq!(grant.token().await.unwrap(), before, "near its end");
                world.advance(Duration::from_secs(11));
            }
            refused(grant.token().await, ErrorCode::KeyMissing);
            assert_eq!(world.refreshes(), 0);
        })
        .await;
    }
}

#[tokio::test]
async fn what_a_registry_cannot_be_built_of_is_refused() {
    let world = World::over(crate::kind::Kind::Sqlite, Provider::builder()).await;
    let bare = || world.bare(&world.store);
    let error = refused(OAuth::builder().build(), ErrorCode::MissingStore);
    assert!(
        error.message().contains(".store("),
        "it shows the line to add"
    );
    assert_eq!(error.phase(), Phase::Configure);
    let plain = OAuth::builder().store(world.store.clone());
    let error = refused(plain.build(), ErrorCode::KeyRingRequired);
    assert!(error.message().contains("sqlite") && error.message().contains("key_ring"));
    let plain = OAuth::builder().store(world.store.clone());
    plain.dangerously_plain_text_records().build().unwrap();
    OAuth::builder().store(MemoryStore::new()).build().unwrap();

    let seconds = Duration::from_secs;
    refused(
        bare().lease(seconds(24)).build(),
        ErrorCode::InvalidConfiguration,
    );
    bare().lease(seconds(25)).build().unwrap();
    refused(
        bare().lease(seconds(3601)).build(),
        ErrorCode::InvalidConfiguration,
    );
    refused(
        bare().request_timeout(Duration::ZERO).build(),
        ErrorCode::InvalidConfiguration,
    );
    refused(
        bare().request_timeout(seconds(20)).build(),
        ErrorCode::InvalidConfiguration,
    );
    refused(
        bare().commit_budget(seconds(11)).build(),
        ErrorCode::InvalidConfiguration,
    );

    let needs = Capabilities::full();
    let memory = OAuth::builder().store(MemoryStore::new()).require(needs);
    let error = refused(memory.build(), ErrorCode::Unsupported);
    assert!(error.message().contains("shared"), "{error}");
    bare().require(needs).build().unwrap();
}

#[tokio::test]
async fn drain_waits_for_a_slow_refresh() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let gate = Gate::new();
        let faults = world.provider.faults();
        faults
            .on(Endpoint::Token, Fault::Hold(gate.clone()))
            .for_grant_type("refresh_token");
        let caller = tokio::spawn({
            let grant = grant.clone();
            async move { grant.refresh().await }
        });
        soon(gate.arrived(1)).await;
        caller.abort();
        assert_eq!(oauth.drain(Duration::ZERO).await.unwrap(), 1);
        let drain = tokio::spawn({
            let oauth = oauth.clone();
            async move { oauth.drain(PATIENCE).await }
        });
        gate.open();
        assert_eq!(soon(drain).await.unwrap().unwrap(), 0);
        let (second, _store) = world.second().await;
        let before = grant.token().await.unwrap();
        assert_eq!(
            alice(&second).token().await.unwrap().generation(),
            before.generation()
        );
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_over_can_be_purged_and_nothing_else() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        world.log_in(&oauth, "alice").await;
        world.log_in(&oauth, "bob").await;
        alice(&oauth).log_out().await.unwrap();
        assert_eq!(oauth.purge(100).await.unwrap(), 0);
        assert_eq!(
            oauth.grants("alice").await.unwrap()[0].state,
            GrantState::LoggedOut
        );
        world.clock.advance(Duration::from_secs(8 * 24 * 3600));
        assert_eq!(oauth.purge(100).await.unwrap(), 1);
        assert!(oauth.grants("alice").await.unwrap().is_empty());
        assert_eq!(oauth.grants("bob").await.unwrap().len(), 1);
        // Two sessions, two weeks and a day.
        world.clock.advance(Duration::from_secs(8 * 24 * 3600));
        assert_eq!(oauth.purge(100).await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_login_without_a_refresh_token_keeps_the_one_that_is_there() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let client = oauth.client(CLIENT).unwrap();
        let again = async || {
            let redirect = client
                .authorize_redirect(crate::world::CALLBACK)
                .scopes(["openid"])
                .await
                .unwrap();
            let callback = world.at_provider(&redirect, "alice").await;
            let login = crate::world::come_back(&client, &callback, &redirect.cookies).await;
            login.unwrap()
        };
        let login = again().await;
        assert!(login.token.refresh_token().is_none());
        oauth.keep_login(&login, "alice", None).await.unwrap();
        assert_eq!(next(&mut updates).await.kind(), "issued");
        let kept = grant.token().await.unwrap();
        assert_eq!(kept.access_token(), login.token.access_token());
        grant.refresh().await.unwrap();
        assert_eq!(world.provider.spend_counts(), [(1, 1), (2, 0)]);

        // While a refresh is under way the login waits for it, and loses none of its tokens.
        let gate = Gate::new();
        let faults = world.provider.faults();
        let rule = faults
            .on(Endpoint::Token, Fault::Hold(gate.clone()))
            .for_grant_type("refresh_token");
        let refresh = tokio::spawn({
            let grant = grant.clone();
            async move { grant.refresh().await }
        });
        soon(gate.arrived(1)).await;
        let login = again().await;
        let keep = tokio::spawn({
            let oauth = oauth.clone();
            async move { oauth.keep_login(&login, "alice", None).await }
        });
        rule.off();
        gate.open();
        soon(refresh).await.unwrap().unwrap();
        soon(keep).await.unwrap().unwrap();
        grant.refresh().await.unwrap();
        assert_eq!(world.provider.max_spends(), 1);
        told(&mut updates);
    })
    .await;
}

#[tokio::test]
async fn without_a_refresh_token_the_end_of_the_token_is_the_end() {
    let world = World::new().await;
    let registration = Registration::openid(CLIENT, world.provider.issuer())
        .client_id(world.provider.client_id())
        .client_secret(world.provider.client_secret());
    let oauth = world
        .bare(&world.store)
        .register(registration)
        .build()
        .unwrap();
    let grant = world.alice(&oauth).await;
    assert!(!grant.info().await.unwrap().unwrap().refreshable);
    grant.token().await.unwrap();
    world.advance(Duration::from_secs(301));
    let error = refused(grant.token().await, ErrorCode::LoginRequired);
    assert!(error.message().contains("no refresh token"), "{error}");
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn the_store_is_asked_by_its_name() {
    let world = World::new().await;
    assert_eq!(world.oauth().store_name().unwrap(), world.store.name());
}
