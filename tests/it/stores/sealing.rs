//! Which records may be in plain, and which are refused.

use std::sync::Arc;

use tokenkeep::{ErrorCode, MemoryStore, OAuth, OAuthBuilder, Timestamp, Token, TokenKey};

use crate::{
    faulty::Faulty,
    world::{CLIENT, World, refused},
};

#[tokio::test]
async fn a_store_that_others_share_is_sealed_whether_it_lasts_or_not() {
    let world = World::new().await;
    for (persistent, shared) in [(true, false), (false, true), (true, true)] {
        let store = Faulty::new(Arc::new(MemoryStore::new())).limited_to(|capabilities| {
            capabilities.persistent = persistent;
            capabilities.shared = shared;
        });
        refused(
            OAuth::builder().store(store.clone()).build(),
            ErrorCode::KeyRingRequired,
        );
        world.bare(&store).build().unwrap();
    }
    let own = MemoryStore::new();
    OAuth::builder().store(own).build().unwrap();
}

#[tokio::test]
async fn a_plain_record_is_refused_where_records_are_sealed() {
    let world = World::new().await;
    let key = TokenKey::new(CLIENT, "alice").unwrap();
    let build = |builder: OAuthBuilder| builder.register(world.registration()).build().unwrap();
    let plain = build(OAuth::builder().store(world.store.clone()));
    let token = Token::builder("planted")
        .expires_at(Timestamp::from_secs(1 << 40))
        .build()
        .unwrap();
    assert!(plain.adopt(key, token).await.unwrap());

    let grant = |oauth: OAuth| oauth.client(CLIENT).unwrap().owner("alice");
    let sealed = build(world.bare(&world.store));
    refused(grant(sealed).token().await, ErrorCode::InvalidRecord);
    let moving = build(world.bare(&world.store).dangerously_plain_text_records());
    let token = grant(moving).token().await.unwrap();
    assert_eq!(token.access_token().expose(), "planted");
}
