//! `explain` and `find_tokens`.

use std::time::Duration;

use tokenkeep::{
    ErrorCode, GrantState, KeyRing, NeedsLoginCause, Step,
    store::{Expected, FetchToken, Page, TokenQuery, UpdateToken, Version},
};
use tokenkeep_testing::{Endpoint, Fault, Provider};

use super::{key_of, named};
use crate::world::{CLIENT, alice, key, on_every_store, refused};

#[tokio::test]
async fn a_grant_s_history_says_when_who_why_and_what_the_provider_answered() {
    on_every_store(Provider::builder, async |world| {
        let (one, two) = (named(world, "one"), named(world, "two"));
        let grant = world.alice(&one).await;
        alice(&two).refresh().await.unwrap();
        let faults = world.provider.faults();
        let rule = faults.on(Endpoint::Token, Fault::ServerError(503));
        grant.refresh().await.unwrap_err();
        rule.off();
        world.advance(Duration::from_secs(60));
        let answer = Fault::Answer {
            status: 400,
            content_type: "application/json".into(),
            body: r#"{"error":"invalid_grant","error_description":"it is over"}"#.into(),
        };
        faults.on(Endpoint::Token, answer);
        refused(grant.refresh().await, ErrorCode::LoginRequired);

        let told = one.explain(&key_of("alice")).await.unwrap();
        let steps: Vec<_> = told
            .trail
            .iter()
            .map(|entry| (entry.step, entry.process.as_str(), entry.answer.as_str()))
            .collect();
        let token = "a token for 300 s, and a new refresh token";
        assert_eq!(
            steps,
            [
                (Step::Login, "one", ""),
                (Step::Begin, "two", ""),
                (Step::Commit, "two", token),
                (Step::Begin, "one", ""),
                (Step::Cool, "one", "HTTP 503"),
                (Step::Begin, "one", ""),
                (Step::NeedsLogin, "one", "HTTP 400 invalid_grant"),
            ]
        );
        assert!(told.trail.is_sorted_by_key(|entry| entry.at));
        let info = told.info.as_ref().unwrap();
        assert!(matches!(info.state, GrantState::NeedsLogin(_)));
        assert_eq!(told.failures, 1);

        let shown = told.to_string();
        for part in [
            "op of \"alice\": a login is needed (",
            "begin",
            "in two",
            "; the provider: HTTP 503",
            "HTTP 400 invalid_grant",
            "sealed by the key a",
        ] {
            assert!(shown.contains(part), "{part:?} in\n{shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_history_is_told_without_the_key_that_seals_the_record() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        world.alice(&oauth).await;
        let ring = KeyRing::parse(&key("b", 8)).unwrap();
        let lacks = world.builder().key_ring(ring).build().unwrap();
        let told = lacks.explain(&key_of("alice")).await.unwrap();
        assert_eq!(told.trail[0].step, Step::Login);
        let info = told.info.as_ref().unwrap();
        assert_eq!(info.state, GrantState::Active);
        assert_eq!((info.sealed_by.as_deref(), info.opens), (Some("a"), false));
        assert!(told.to_string().contains("does not open"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn what_was_logged_out_and_what_never_was_are_told_apart() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        let nothing = oauth.explain(&key_of("nobody")).await.unwrap();
        assert!(nothing.info.is_none() && nothing.trail.is_empty());
        assert!(nothing.to_string().contains("nothing is kept"), "{nothing}");

        world.alice(&oauth).await.log_out().await.unwrap();
        let told = oauth.explain(&key_of("alice")).await.unwrap();
        let info = told.info.as_ref().unwrap();
        assert_eq!(info.state, GrantState::LoggedOut);
        assert_eq!(told.trail.last().unwrap().step, Step::Logout);
        assert!(told.to_string().contains("logged out"), "{told}");
        assert!(told.to_string().contains("it is purged after"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn sixteen_steps_are_remembered_and_their_text_drives_no_terminal() {
    on_every_store(Provider::builder, async |world| {
        let oauth = named(world, "\u{2028}web");
        let grant = world.alice(&oauth).await;
        for _ in 0..9 {
            grant.refresh().await.unwrap();
        }
        let told = oauth.explain(&key_of("alice")).await.unwrap();
        assert_eq!(told.trail.len(), 16);
        assert_eq!(told.trail[15].step, Step::Commit);
        assert!(told.to_string().contains("\\u{2028}web"), "{told}");
        assert_eq!(told.to_string().lines().count(), 16 + 3);
    })
    .await;
}

#[tokio::test]
async fn a_process_has_a_name_of_its_own_or_the_one_it_is_given() {
    let world = crate::world::World::new().await;
    let long = "x".repeat(41);
    for wrong in ["", "a\nb", long.as_str()] {
        let build = world.builder().process_name(wrong).build();
        refused(build, ErrorCode::InvalidConfiguration);
    }
    let oauth = world.oauth();
    world.alice(&oauth).await;
    let told = oauth.explain(&key_of("alice")).await.unwrap();
    let pid = std::process::id().to_string();
    assert!(told.trail[0].process.starts_with(&pid), "{told:?}");
}

#[tokio::test]
async fn everything_that_is_kept_is_found_page_by_page_without_its_secrets() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        for owner in ["alice", "bob", "carol"] {
            world.log_in(&oauth, owner).await;
        }
        oauth
            .client(CLIENT)
            .unwrap()
            .owner("bob")
            .log_out()
            .await
            .unwrap();
        oauth.client(CLIENT).unwrap().app().token().await.unwrap();

        let all = TokenQuery::default();
        let (mut found, mut page, mut pages) = (Vec::new(), Page::first(2), 0);
        loop {
            let part = oauth.find_tokens(&all, page).await.unwrap();
            assert!(part.items.len() <= 2);
            found.extend(part.items);
            pages += 1;
            match part.next {
                Some(next) => page = Page::after(next, 2),
                None => break,
            }
        }
        // The application's own grant, and of each user a grant and a session.
        assert_eq!((found.len(), pages), (7, 4));
        assert!(found.is_sorted_by(|a, b| a.key < b.key));
        let of = |owner: &str| {
            let key = key_of(owner);
            found.iter().find(|info| info.key == key).unwrap().clone()
        };
        let (alice, bob) = (of("alice"), of("bob"));
        assert_eq!(alice.state, GrantState::Active);
        assert!(alice.refreshable && alice.opens && alice.expires_at.is_some());
        assert_eq!(alice.subject.as_deref(), Some("alice"));
        assert_eq!(alice.issuer.as_deref(), Some(world.provider.issuer()));
        assert_eq!(alice.sealed_by.as_deref(), Some("a"));
        assert_eq!(bob.state, GrantState::LoggedOut);
        assert!(bob.sealed_by.is_none() && bob.purge_at.is_some());

        let mut query = TokenQuery::default();
        query.subject = Some("carol".into());
        let carol = oauth.find_tokens(&query, Page::first(10)).await.unwrap();
        assert_eq!(carol.items.len(), 2);
        assert_eq!(oauth.grants("carol").await.unwrap().len(), 1);
        let wrong = oauth.find_tokens(&all, Page::after("%", 10)).await;
        refused(wrong, ErrorCode::InvalidParameter);
        // The empty owner would be the application itself.
        refused(oauth.grants("").await, ErrorCode::InvalidKey);
    })
    .await;
}

#[tokio::test]
async fn a_damaged_record_is_listed_beside_the_others() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.oauth();
        for owner in ["alice", "bob"] {
            world.log_in(&oauth, owner).await;
        }
        let damage = async |owner: &str, change: fn(&mut Vec<u8>)| {
            let key = key_of(owner);
            let mut row = world.store.fetch_token(&key).await.unwrap().record.unwrap();
            let expected = Expected::Version(row.version);
            change(&mut row.body);
            row.version = Version::random();
            world
                .store
                .update_token(&key, &row, expected)
                .await
                .unwrap();
        };
        damage("alice", |body| body[2] = 9).await;
        damage("bob", |body| *body.last_mut().unwrap() ^= 1).await;
        let found = oauth.grants("alice").await.unwrap();
        let newer = GrantState::Unreadable(ErrorCode::UnsupportedFormat);
        assert_eq!(found[0].state, newer);
        assert_eq!(found[0].subject.as_deref(), Some("alice"));
        let told = oauth.explain(&key_of("alice")).await.unwrap();
        assert!(told.to_string().contains("unsupported_format"), "{told}");
        // Its seal is broken, and its header can be read.
        let bob = oauth.explain(&key_of("bob")).await.unwrap();
        let info = bob.info.unwrap();
        assert_eq!((info.state, info.opens), (GrantState::Active, false));
        assert_eq!(bob.trail[0].step, Step::Login);
    })
    .await;
}

#[test]
fn a_cause_has_the_name_that_is_stored() {
    assert_eq!(NeedsLoginCause::AmbiguousLoss.as_str(), "ambiguous_loss");
}
