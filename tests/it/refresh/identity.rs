//! A refresh that answers with somebody else's ID token, or with one that does not verify.

use tokenkeep::{ErrorCode, NeedsLoginCause, TokenUpdate};
use tokenkeep_testing::{Endpoint, Fault, IdTokenFault, Provider};

use crate::world::{PATIENCE, alice, next_of, on_every_store, refused, soon, told};

fn spoil(provider: &Provider, fault: IdTokenFault) {
    provider
        .faults()
        .on(Endpoint::Token, Fault::IdToken(fault))
        .for_grant_type("refresh_token")
        .times(1);
}

#[tokio::test]
async fn another_identity_gets_no_access_token_and_its_refresh_token_is_not_lost() {
    for fault in [
        IdTokenFault::OtherSubject("mallory".into()),
        IdTokenFault::WrongIssuer,
        IdTokenFault::WrongAudience,
        IdTokenFault::WrongSignature,
        IdTokenFault::AlgNone,
        IdTokenFault::Expired,
        // Nothing is there to compare with, but the nonce of the login.
        IdTokenFault::WrongNonce,
    ] {
        on_every_store(Provider::builder, async |world| {
            let oauth = world.oauth();
            let (second, _store) = world.second().await;
            let grant = world.alice(&oauth).await;
            oauth.follow_changes().await.unwrap();
            let mut updates = oauth.token_updates().unwrap();
            spoil(&world.provider, fault.clone());
            refused(soon(grant.refresh()).await, ErrorCode::IdentityChanged);
            let TokenUpdate::NeedsLogin { cause, .. } = next_of(&mut updates, "needs_login").await
            else {
                unreachable!()
            };
            assert_eq!(cause, NeedsLoginCause::IdentityChanged, "{fault:?}");
            for oauth in [&oauth, &second] {
                refused(alice(oauth).token().await, ErrorCode::IdentityChanged);
                refused(alice(oauth).refresh().await, ErrorCode::IdentityChanged);
            }
            assert_eq!(world.refreshes(), 1);
            assert_eq!(world.provider.spend_counts(), [(1, 1), (2, 0)]);
            // The new refresh token was kept: it can be revoked, and is.
            let client_id = world.provider.client_id();
            assert!(
                world
                    .provider
                    .live_refresh_token("alice", client_id)
                    .is_some()
            );
            grant.revoke().await.unwrap();
            assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
            assert_eq!(world.provider.live_refresh_token("alice", client_id), None);

            world.alice(&oauth).await.token().await.unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn an_id_token_that_cannot_be_read_never_loses_the_tokens_beside_it() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap();
        // The provider signs by a new key, and its keys cannot be had: nothing is known against the token.
        world.provider.rotate_keys();
        let faults = world.provider.faults();
        faults.on(Endpoint::Jwks, Fault::ServerError(503));
        let token = soon(grant.refresh()).await.unwrap();
        assert_eq!(token.generation(), before.generation() + 1);
        faults.clear();
        assert_eq!(grant.get("me").await.unwrap().status(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_published_too_late_costs_no_grant() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        let unknown = Fault::IdToken(IdTokenFault::UnknownKid);
        let rule = world.provider.faults().on(Endpoint::Token, unknown);
        for _ in 0..2 {
            // The second finds that no fetch is due.
            soon(grant.refresh()).await.unwrap();
            assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
            assert_eq!(grant.get("me").await.unwrap().status(), 200);
        }
        rule.off();
        soon(grant.refresh()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_new_key_just_before_a_refresh_is_fetched_once() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let grant = world.alice(&oauth).await;
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        let fetched = world.provider.requests("/jwks");
        world.provider.rotate_keys();
        soon(grant.refresh()).await.unwrap();
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
        assert_eq!(world.provider.requests("/jwks"), fetched + 1);
        let kinds: Vec<_> = told(&mut updates)
            .iter()
            .map(|update| update.kind())
            .collect();
        assert_eq!(kinds, ["refreshed"]);
    })
    .await;
}
