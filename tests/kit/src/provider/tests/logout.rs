//! RP-initiated logout.

use url::Url;

use super::{
    api_status, authorize_url, callback, decode, exchange, headless, log_in, refresh, text,
};
use crate::{Provider, TestClient};

const RETURN_TO: &str = "http://127.0.0.1:9/logged-out";

fn end_session_url(provider: &Provider, parameters: &[(&str, &str)]) -> String {
    Url::parse_with_params(&format!("{}/end_session", provider.issuer()), parameters)
        .unwrap()
        .into()
}

#[tokio::test]
async fn a_person_confirms_and_comes_back_with_the_state() {
    let provider = Provider::start().await.unwrap();
    let browser = provider.browser();
    let code = browser
        .callback(&authorize_url(&provider, &[]), "alice")
        .await
        .unwrap()
        .parameter("code")
        .unwrap();
    let (_, tokens) = exchange(&provider, &code).await;
    let sid = decode(&tokens["id_token"]).1["sid"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = end_session_url(
        &provider,
        &[
            ("id_token_hint", text(&tokens, "id_token")),
            ("post_logout_redirect_uri", RETURN_TO),
            ("state", "s t"),
        ],
    );
    let page = browser.get(&url).await.unwrap();
    assert!(page.body.contains("name=\"logout\"") && page.body.contains("alice"));
    assert!(
        provider.session_active(&sid),
        "nothing happens before the button"
    );

    // Somebody else's page cannot press the button: the id is unknown to it, and the cookie must come along.
    let action = page
        .body
        .split("action=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let action = format!("{}{action}", provider.issuer());
    assert_eq!(
        provider
            .browser()
            .post_form(&action, &[("logout", "yes")])
            .await
            .unwrap()
            .status,
        404
    );
    assert!(provider.session_active(&sid));

    let back = browser.callback(&url, "").await.unwrap();
    assert_eq!(
        (back.url.path(), back.parameter("state").as_deref()),
        ("/logged-out", Some("s t"))
    );
    assert!(!provider.session_active(&sid));
    let next = browser
        .follow(&authorize_url(&provider, &[]))
        .await
        .unwrap();
    assert!(
        next.last().body.contains("name=\"login\""),
        "the next login asks again"
    );
    assert_eq!(
        api_status(&provider, text(&tokens, "access_token")).await,
        200,
        "offline access outlives the session"
    );
}

#[tokio::test]
async fn a_person_may_stay() {
    let provider = Provider::start().await.unwrap();
    let browser = provider.browser();
    browser
        .callback(&authorize_url(&provider, &[]), "alice")
        .await
        .unwrap();
    let page = browser.get(&end_session_url(&provider, &[])).await.unwrap();
    let action = page
        .body
        .split("action=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let stayed = browser
        .post_form(
            &format!("{}{action}", provider.issuer()),
            &[("stay", "yes")],
        )
        .await
        .unwrap();
    assert!(stayed.body.contains("Still signed in"));
    assert_eq!(
        browser
            .callback(&authorize_url(&provider, &[]), "")
            .await
            .unwrap()
            .steps
            .len(),
        1
    );
}

#[tokio::test]
async fn headless_asks_nobody_and_ends_what_is_not_offline() {
    let provider = headless()
        .refresh_without_offline_access(true)
        .start()
        .await
        .unwrap();
    let tokens = log_in(&provider, &[("scope", "openid")]).await;
    let hint = text(&tokens, "id_token");
    // Without the browser's cookie: the hint names the session.
    let url = end_session_url(
        &provider,
        &[
            ("id_token_hint", hint),
            ("post_logout_redirect_uri", RETURN_TO),
        ],
    );
    let answer = provider.browser().get(&url).await.unwrap();
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(RETURN_TO))
    );
    assert!(!provider.session_active(decode(&tokens["id_token"]).1["sid"].as_str().unwrap()));
    assert_eq!(
        api_status(&provider, text(&tokens, "access_token")).await,
        401
    );
    assert_eq!(
        refresh(&provider, text(&tokens, "refresh_token")).await.0,
        400
    );
}

#[tokio::test]
async fn nobody_is_sent_to_a_foreign_page() {
    let provider = headless()
        .client(TestClient::confidential("tokenkeep", "s").any_loopback_redirect_uri())
        .client(
            TestClient::confidential("other", "s")
                .post_logout_redirect_uri("https://other.example/out"),
        )
        .start()
        .await
        .unwrap();
    let tokens = log_in(&provider, &[]).await;
    let hint = ("id_token_hint", text(&tokens, "id_token"));
    let tampered = format!("{}x", hint.1);
    for parameters in [
        vec![
            hint,
            ("post_logout_redirect_uri", "https://attacker.example/"),
        ],
        vec![
            hint,
            ("post_logout_redirect_uri", "https://other.example/out"),
        ],
        vec![
            hint,
            ("client_id", "other"),
            ("post_logout_redirect_uri", "https://other.example/out"),
        ],
        vec![("post_logout_redirect_uri", RETURN_TO)],
        vec![
            hint,
            ("client_id", "other"),
            ("post_logout_redirect_uri", RETURN_TO),
        ],
        vec![("client_id", "unknown")],
        vec![("id_token_hint", &tampered)],
        vec![("state", "1"), ("state", "2")],
    ] {
        let page = provider
            .browser()
            .get(&end_session_url(&provider, &parameters))
            .await
            .unwrap();
        assert_eq!(
            (page.status, page.header("location")),
            (400, None),
            "{parameters:?}"
        );
    }
    assert!(provider.session_active(decode(&tokens["id_token"]).1["sid"].as_str().unwrap()));
    let good = [
        ("client_id", "other"),
        ("post_logout_redirect_uri", "https://other.example/out"),
        ("state", "x"),
    ];
    let answer = provider
        .browser()
        .get(&end_session_url(&provider, &good))
        .await
        .unwrap();
    assert_eq!(
        answer.header("location"),
        Some("https://other.example/out?state=x")
    );
    let silent = callback(&provider, &[("prompt", "none")]).await;
    assert_eq!(silent.parameter("error").as_deref(), Some("login_required"));
}
