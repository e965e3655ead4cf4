//! Logging in: with pages, without, and what the tokens say.

use serde_json::json;

use super::{
    api, authorize_url, callback, decode, exchange, get_json, headless, log_in, post, refresh, text,
};
use crate::Provider;

#[tokio::test]
async fn metadata_names_every_endpoint() {
    let provider = Provider::start().await.unwrap();
    let metadata = get_json(provider.metadata_url()).await;
    assert_eq!(metadata["issuer"], provider.issuer());
    for (name, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("userinfo_endpoint", "/userinfo"),
        ("jwks_uri", "/jwks"),
        ("introspection_endpoint", "/introspect"),
        ("revocation_endpoint", "/revoke"),
        ("end_session_endpoint", "/end_session"),
    ] {
        assert_eq!(metadata[name], format!("{}{path}", provider.issuer()));
    }
    assert_eq!(
        metadata["response_modes_supported"],
        json!(["query", "form_post"])
    );
    assert_eq!(
        metadata["token_endpoint_auth_methods_supported"],
        json!([
            "client_secret_basic",
            "client_secret_post",
            "client_secret_jwt",
            "private_key_jwt",
            "none"
        ])
    );
    assert_eq!(
        metadata["code_challenge_methods_supported"],
        json!(["S256"])
    );
    assert_eq!(
        metadata["authorization_response_iss_parameter_supported"],
        true
    );
    assert_eq!(
        metadata["id_token_signing_alg_values_supported"],
        json!(["RS256"])
    );
}

#[tokio::test]
async fn a_person_logs_in_and_allows() {
    let provider = Provider::start().await.unwrap();
    let scope = ("scope", "openid profile email offline_access");
    let came_back = callback(&provider, &[scope]).await;
    assert_eq!(came_back.method, "GET");
    assert_eq!(came_back.url.path(), "/callback");
    assert_eq!(came_back.parameter("state").as_deref(), Some("a state"));
    assert_eq!(
        came_back.parameter("iss").as_deref(),
        Some(provider.issuer())
    );
    let shown: Vec<_> = came_back
        .steps
        .iter()
        .filter(|page| page.status == 200)
        .map(|page| page.body.as_str())
        .collect();
    assert_eq!(shown.len(), 2, "{:?}", came_back.steps);
    assert!(
        shown[0].contains("name=\"login\"")
            && shown[1].contains("name=\"prompt\" value=\"consent\"")
    );
    assert!(shown[1].contains("offline_access") && shown[1].contains("alice"));

    let (status, tokens) = exchange(&provider, &came_back.parameter("code").unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"]),
        (&json!("Bearer"), &json!(300))
    );
    assert_eq!(tokens["scope"], "email offline_access openid profile");
    let (header, claims) = decode(&tokens["id_token"]);
    assert_eq!(header["alg"], "RS256");
    assert_eq!(claims["iss"], provider.issuer());
    assert_eq!(
        (&claims["sub"], &claims["aud"], &claims["nonce"]),
        (
            &json!("alice"),
            &json!(provider.client_id()),
            &json!("a-nonce")
        )
    );
    assert!(provider.session_active(text(&claims, "sid")));

    let about: serde_json::Value = api(&provider, "/userinfo", text(&tokens, "access_token"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        about,
        json!({
            "sub": "alice", "name": "Alice", "preferred_username": "alice", "email": "alice@example.com", "email_verified": true,
        })
    );
    assert_eq!(
        provider
            .live_refresh_token("alice", provider.client_id())
            .as_deref(),
        tokens["refresh_token"].as_str()
    );
    assert_eq!(
        (
            provider.requests("/token"),
            provider.token_requests("authorization_code")
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn the_second_login_of_a_browser_asks_nothing() {
    let provider = Provider::start().await.unwrap();
    let browser = provider.browser();
    let url = authorize_url(&provider, &[]);
    browser.callback(&url, "alice").await.unwrap();
    assert_eq!(
        browser
            .callback(&url, "nobody asks")
            .await
            .unwrap()
            .steps
            .len(),
        1
    );
    let silent = browser
        .callback(&authorize_url(&provider, &[("prompt", "none")]), "")
        .await
        .unwrap();
    assert!(silent.parameter("code").is_some());

    // More than was allowed, and what the request insists on, is asked again.
    let pages = async |parameter| {
        let visit = browser
            .callback(&authorize_url(&provider, &[parameter]), "alice")
            .await
            .unwrap();
        visit.steps.iter().filter(|page| page.status == 200).count()
    };
    assert_eq!(pages(("scope", "openid more")).await, 1);
    assert_eq!(pages(("prompt", "consent")).await, 1);
    // Logging in anew begins a session that has allowed nothing yet.
    assert_eq!(pages(("prompt", "login")).await, 2);
    provider.advance(std::time::Duration::from_secs(60));
    assert_eq!(pages(("max_age", "61")).await, 0);
    assert_eq!(pages(("max_age", "59")).await, 2);
    assert_eq!(pages(("acr_values", "urn:example:mfa")).await, 2);
}

#[tokio::test]
async fn prompt_none_shows_no_page() {
    let provider = Provider::start().await.unwrap();
    let browser = provider.browser();
    let silent = authorize_url(&provider, &[("prompt", "none")]);
    let refused = browser.callback(&silent, "alice").await.unwrap();
    assert_eq!(
        refused.parameter("error").as_deref(),
        Some("login_required")
    );
    assert_eq!(refused.parameter("state").as_deref(), Some("a state"));
    assert_eq!(refused.parameter("iss").as_deref(), Some(provider.issuer()));
    browser
        .callback(&authorize_url(&provider, &[]), "alice")
        .await
        .unwrap();
    let more = authorize_url(&provider, &[("prompt", "none"), ("scope", "openid more")]);
    assert_eq!(
        browser
            .callback(&more, "")
            .await
            .unwrap()
            .parameter("error")
            .as_deref(),
        Some("consent_required")
    );
}

#[tokio::test]
async fn form_post_brings_the_code_in_a_form() {
    let provider = headless().start().await.unwrap();
    let came_back = callback(&provider, &[("response_mode", "form_post")]).await;
    assert_eq!(came_back.method, "POST");
    assert_eq!(came_back.url.query(), None);
    assert_eq!(came_back.parameter("state").as_deref(), Some("a state"));
    let page = &came_back.steps.last().unwrap().body;
    assert!(page.contains("<button type=\"submit\"") && page.contains(".submit()"));
    assert_eq!(
        exchange(&provider, &came_back.parameter("code").unwrap())
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_person_may_refuse() {
    let provider = Provider::start().await.unwrap();
    let browser = provider.browser();
    let page = browser
        .follow(&authorize_url(&provider, &[]))
        .await
        .unwrap()
        .last()
        .clone();
    let answer = browser
        .post_form(page.url.as_str(), &[("prompt", "deny")])
        .await
        .unwrap();
    assert!(
        answer
            .header("location")
            .unwrap()
            .contains("error=access_denied")
    );
    assert_eq!(
        browser.get(page.url.as_str()).await.unwrap().status,
        404,
        "an answered page is over"
    );
}

#[tokio::test]
async fn a_page_belongs_to_the_browser_that_asked_for_it() {
    let provider = Provider::start().await.unwrap();
    let browser = provider.browser();
    let page = browser
        .follow(&authorize_url(&provider, &[]))
        .await
        .unwrap()
        .last()
        .clone();
    let stranger = provider.browser();
    stranger
        .follow(&authorize_url(&provider, &[]))
        .await
        .unwrap();
    assert_eq!(stranger.get(page.url.as_str()).await.unwrap().status, 404);
    let answer = stranger
        .post_form(
            page.url.as_str(),
            &[("prompt", "login"), ("login", "mallory")],
        )
        .await
        .unwrap();
    assert_eq!(answer.status, 404);
    assert!(answer.header("set-cookie").is_none());
    // Allowing without having logged in leads back to the login page.
    let early = browser
        .post_form(page.url.as_str(), &[("prompt", "consent")])
        .await
        .unwrap();
    assert_eq!(early.header("location"), Some(page.url.path()));
}

#[tokio::test]
async fn a_login_name_is_checked_and_shown_as_text() {
    let provider = Provider::start().await.unwrap();
    let browser = provider.browser();
    let hinted = authorize_url(&provider, &[("login_hint", "\"><script>")]);
    let page = browser.follow(&hinted).await.unwrap().last().clone();
    assert!(page.body.contains("value=\"&quot;&gt;&lt;script&gt;\""));
    for login in ["", "  ", "a\u{0}b", "ö", &"x".repeat(256)] {
        let answer = browser
            .post_form(page.url.as_str(), &[("prompt", "login"), ("login", login)])
            .await
            .unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("role=\"alert\""), "{login:?}");
    }
}

#[tokio::test]
async fn without_offline_access_there_is_no_refresh_token() {
    let provider = headless().start().await.unwrap();
    assert!(
        log_in(&provider, &[("scope", "openid")])
            .await
            .get("refresh_token")
            .is_none()
    );
    let generous = headless()
        .refresh_without_offline_access(true)
        .start()
        .await
        .unwrap();
    assert!(
        log_in(&generous, &[("scope", "openid")])
            .await
            .get("refresh_token")
            .is_some()
    );
}

#[tokio::test]
async fn without_openid_there_is_no_id_token() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[("scope", "api offline_access"), ("nonce", "")]).await;
    assert!(tokens.get("id_token").is_none());
    assert_eq!(
        api(&provider, "/userinfo", text(&tokens, "access_token"))
            .await
            .status(),
        403
    );
}

#[tokio::test]
async fn a_refresh_answers_with_an_id_token_of_the_same_login() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[]).await;
    provider.advance(std::time::Duration::from_secs(100));
    let (_, refreshed) = refresh(&provider, text(&tokens, "refresh_token")).await;
    let ((_, before), (_, after)) = (decode(&tokens["id_token"]), decode(&refreshed["id_token"]));
    for same in ["iss", "sub", "aud", "auth_time", "sid"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert!(after.get("nonce").is_none());
    assert!(after["iat"].as_u64().unwrap() >= before["iat"].as_u64().unwrap() + 100);
}

#[tokio::test]
async fn a_code_is_good_once_and_for_a_minute() {
    let provider = headless().start().await.unwrap();
    let code = callback(&provider, &[]).await.parameter("code").unwrap();
    let (_, tokens) = exchange(&provider, &code).await;
    assert_eq!(
        super::api_status(&provider, text(&tokens, "access_token")).await,
        200
    );
    let (status, again) = exchange(&provider, &code).await;
    assert_eq!((status, text(&again, "error")), (400, "invalid_grant"));
    assert_eq!(
        super::api_status(&provider, text(&tokens, "access_token")).await,
        401,
        "what it gave is revoked"
    );
    assert_eq!(
        refresh(&provider, text(&tokens, "refresh_token")).await.0,
        400
    );

    let late = callback(&provider, &[]).await.parameter("code").unwrap();
    provider.advance(std::time::Duration::from_secs(61));
    assert_eq!(exchange(&provider, &late).await.0, 400);
}

#[tokio::test]
async fn client_credentials_are_of_nobody() {
    let provider = Provider::start().await.unwrap();
    let (status, tokens) = post(
        &provider,
        "/token",
        &[("grant_type", "client_credentials"), ("scope", "invoices")],
    )
    .await;
    assert_eq!(status, 200);
    assert!(tokens.get("refresh_token").is_none() && tokens.get("id_token").is_none());
    let me: serde_json::Value = api(&provider, "/api/me", text(&tokens, "access_token"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&me["sub"], &me["client_id"], &me["scopes"]),
        (&json!(null), &json!("tokenkeep"), &json!(["invoices"]))
    );
    assert_eq!(provider.token_requests("client_credentials"), 1);
}

#[tokio::test]
async fn it_ends_with_its_last_handle() {
    let provider = Provider::start().await.unwrap();
    let url = provider.metadata_url();
    let copy = provider.clone();
    drop(provider);
    assert!(reqwest::get(&url).await.is_ok());
    copy.shutdown().await;
    copy.shutdown().await;
    assert!(reqwest::get(&url).await.is_err());
    assert_eq!(
        copy.requests("/.well-known/openid-configuration"),
        1,
        "the oracle can still be asked"
    );
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_port() {
    let provider = Provider::start().await.unwrap();
    let address = provider.address();
    drop(provider);
    let refused = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), refused)
        .await
        .unwrap();
}

#[tokio::test]
async fn headless_logins_can_be_silent_once_there_is_a_session() {
    let provider = headless().start().await.unwrap();
    let browser = provider.browser();
    let silent = authorize_url(&provider, &[("prompt", "none")]);
    let refused = browser.callback(&silent, "").await.unwrap();
    assert_eq!(
        refused.parameter("error").as_deref(),
        Some("login_required")
    );
    browser
        .callback(&authorize_url(&provider, &[]), "")
        .await
        .unwrap();
    assert!(
        browser
            .callback(&silent, "")
            .await
            .unwrap()
            .parameter("code")
            .is_some()
    );
    provider.auto_login(None);
    let page = provider
        .browser()
        .follow(&authorize_url(&provider, &[]))
        .await
        .unwrap();
    assert!(
        page.last().body.contains("name=\"login\""),
        "pages are shown again"
    );
}

#[test]
fn what_browsers_leave_behind_is_bounded() {
    let mut kept = crate::provider::state::Bounded::default();
    for number in 0..10_001 {
        kept.insert(number.to_string(), number);
    }
    assert_eq!(
        (kept.values().count(), kept.get("0"), kept.get("10000")),
        (10_000, None, Some(&10_000))
    );
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let provider = headless().start().await.unwrap();
    let browser = provider.browser();
    let came_back = browser
        .callback(&authorize_url(&provider, &[]), "alice")
        .await
        .unwrap();
    let code = came_back.parameter("code").unwrap();
    let printed = format!(
        "{provider:?} {browser:?} {came_back:?} {:?} {:?}",
        came_back.steps,
        headless().client(crate::TestClient::confidential("a", "the-secret-of-a"),)
    );
    for secret in [provider.client_secret(), &code, "the-secret-of-a"] {
        assert!(!printed.contains(secret));
    }
}
