//! What becomes of refresh tokens, and what the oracle says of it.

use std::time::Duration;

use serde_json::Value;

use super::{api_status, headless, log_in, post, refresh, text};
use crate::{Provider, Rotation, TestClient};

async fn provider(rotation: Rotation) -> (Provider, Value) {
    let provider = headless().rotation(rotation).start().await.unwrap();
    let tokens = log_in(&provider, &[]).await;
    (provider, tokens)
}

#[tokio::test]
async fn never_keeps_the_token_of_the_login() {
    let (provider, tokens) = provider(Rotation::Never).await;
    let first = text(&tokens, "refresh_token");
    for _ in 0..3 {
        let (status, answer) = refresh(&provider, first).await;
        assert_eq!(status, 200);
        assert!(answer.get("refresh_token").is_none());
    }
    assert_eq!(provider.spends(first), 3);
    assert_eq!(provider.spend_counts(), [(1, 3)]);
    assert_eq!(
        provider.live_refresh_token("alice", "tokenkeep").as_deref(),
        Some(first)
    );
}

#[tokio::test]
async fn strict_refuses_the_second_use_and_harms_nothing_else() {
    let (provider, tokens) = provider(Rotation::Strict).await;
    let (_, second) = refresh(&provider, text(&tokens, "refresh_token")).await;
    let (status, refused) = refresh(&provider, text(&tokens, "refresh_token")).await;
    assert_eq!((status, text(&refused, "error")), (400, "invalid_grant"));
    assert_eq!(
        api_status(&provider, text(&second, "access_token")).await,
        200
    );
    let (status, third) = refresh(&provider, text(&second, "refresh_token")).await;
    assert_eq!(status, 200);
    assert_eq!(provider.spend_counts(), [(1, 2), (2, 1), (3, 0)]);
    assert_eq!(provider.max_spends(), 2);
    assert_eq!(provider.token_requests("refresh_token"), 3);
    assert_eq!(
        provider.live_refresh_token("alice", "tokenkeep").as_deref(),
        Some(text(&third, "refresh_token"))
    );
}

#[tokio::test]
async fn family_revoking_ends_everything_at_the_second_use() {
    let (provider, tokens) = provider(Rotation::FamilyRevoking).await;
    let other_login = log_in(&provider, &[]).await;
    let (_, second) = refresh(&provider, text(&tokens, "refresh_token")).await;
    assert_eq!(
        refresh(&provider, text(&tokens, "refresh_token")).await.0,
        400
    );
    assert_eq!(
        api_status(&provider, text(&second, "access_token")).await,
        401
    );
    let (status, refused) = refresh(&provider, text(&second, "refresh_token")).await;
    assert_eq!((status, text(&refused, "error")), (400, "invalid_grant"));
    let lineages = provider.lineages();
    assert_eq!(
        (lineages[0].revoked, &lineages[0].spends[..]),
        (true, &[2, 1][..])
    );
    assert!(!lineages[1].revoked);
    assert_eq!(
        refresh(&provider, text(&other_login, "refresh_token"))
            .await
            .0,
        200,
        "another login is another family"
    );
}

#[tokio::test]
async fn a_replay_window_repeats_its_answer_and_closes() {
    let (provider, tokens) = provider(Rotation::ReplayWindow(Duration::from_secs(30))).await;
    let first = text(&tokens, "refresh_token");
    let (_, answer) = refresh(&provider, first).await;
    provider.advance(Duration::from_secs(29));
    assert_eq!(refresh(&provider, first).await, (200, answer.clone()));
    provider.advance(Duration::from_secs(2));
    let (status, refused) = refresh(&provider, first).await;
    assert_eq!((status, text(&refused, "error")), (400, "invalid_grant"));
    assert_eq!(
        refresh(&provider, text(&answer, "refresh_token")).await.0,
        200
    );
    assert_eq!(provider.spend_counts(), [(1, 3), (2, 1), (3, 0)]);
}

#[tokio::test]
async fn both_valid_keeps_old_and_new() {
    let (provider, tokens) = provider(Rotation::BothValid).await;
    let (_, second) = refresh(&provider, text(&tokens, "refresh_token")).await;
    let (status, third) = refresh(&provider, text(&tokens, "refresh_token")).await;
    assert_eq!(status, 200);
    for answer in [&second, &third] {
        assert_eq!(
            refresh(&provider, text(answer, "refresh_token")).await.0,
            200
        );
    }
    for answer in [&tokens, &second, &third] {
        assert_eq!(
            api_status(&provider, text(answer, "access_token")).await,
            200
        );
    }
}

#[tokio::test]
async fn a_client_may_have_its_own_profile() {
    let client = TestClient::confidential("c", "s")
        .any_loopback_redirect_uri()
        .rotation(Rotation::Never);
    let provider = headless()
        .client(client)
        .rotation(Rotation::FamilyRevoking)
        .start()
        .await
        .unwrap();
    let tokens = log_in(&provider, &[]).await;
    for _ in 0..2 {
        assert_eq!(
            refresh(&provider, text(&tokens, "refresh_token")).await.0,
            200
        );
    }
}

#[tokio::test]
async fn of_many_at_once_a_strict_provider_serves_one() {
    let (provider, tokens) = provider(Rotation::Strict).await;
    let first = text(&tokens, "refresh_token").to_owned();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (provider, first) = (provider.clone(), first.clone());
        requests.spawn(async move { refresh(&provider, &first).await.0 });
    }
    let statuses = requests.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(provider.spends(&first), 20);
}

#[tokio::test]
async fn only_its_client_can_spend_a_token() {
    let provider = headless()
        .client(TestClient::confidential("one", "s").any_loopback_redirect_uri())
        .client(TestClient::confidential("two", "s"))
        .start()
        .await
        .unwrap();
    let tokens = log_in(&provider, &[]).await;
    let first = text(&tokens, "refresh_token");
    let request = reqwest::Client::new()
        .post(format!("{}/token", provider.issuer()))
        .basic_auth("two", Some("s"));
    let answer = request
        .form(&[("grant_type", "refresh_token"), ("refresh_token", first)])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(provider.spends(first), 0);
    assert_eq!(refresh(&provider, first).await.0, 200);
}

#[tokio::test]
async fn fewer_scopes_may_be_asked_for_but_not_more() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[("scope", "openid read write offline_access")]).await;
    let ask = async |token: &str, scope| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("scope", scope),
        ];
        post(&provider, "/token", &fields).await
    };
    let (status, refused) = ask(text(&tokens, "refresh_token"), "read admin").await;
    assert_eq!((status, text(&refused, "error")), (400, "invalid_scope"));
    let (status, narrow) = ask(text(&tokens, "refresh_token"), "read").await;
    assert_eq!(
        (status, text(&narrow, "scope")),
        (200, "read"),
        "a refused request has not spent the token"
    );
    assert_eq!(
        api_status(&provider, text(&tokens, "access_token")).await,
        200,
        "a token for other scopes replaces nothing"
    );
    let (_, whole) = refresh(&provider, text(&narrow, "refresh_token")).await;
    assert_eq!(text(&whole, "scope"), "offline_access openid read write");
}

#[tokio::test]
async fn a_grant_can_be_revoked_from_outside() {
    let (provider, tokens) = provider(Rotation::Never).await;
    assert_eq!(
        (provider.revoke_grant("bob"), provider.revoke_grant("alice")),
        (0, 1)
    );
    assert_eq!(
        api_status(&provider, text(&tokens, "access_token")).await,
        401
    );
    assert_eq!(
        refresh(&provider, text(&tokens, "refresh_token")).await.0,
        400
    );
    assert_eq!(provider.live_refresh_token("alice", "tokenkeep"), None);
}
