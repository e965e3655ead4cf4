//! Two registries over one store, as two processes have them: G4, G8. Real processes are in `fleet`.

use tokenkeep::{ErrorCode, Origin};
use tokenkeep_testing::Provider;

use crate::world::{World, alice, cookies, next_of, on_every_store, refused};

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
