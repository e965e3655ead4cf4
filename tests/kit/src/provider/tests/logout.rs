//! RP-initiated logout.

use std::sync::{Arc, Mutex};

use axum::{Router, http::StatusCode, routing::post};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use url::Url;

use super::{
    api_status, authorize_url, callback, decode, exchange, headless, log_in, refresh, text,
};
use crate::{Endpoint, Fault, LogoutToken, LogoutTokenFault, Provider, TestClient};

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

/// A client that keeps what it is told, and answers with a status.
async fn client_that_answers(status: StatusCode) -> (String, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let handler = move |body: String| async move {
        heard.lock().unwrap().push(body);
        (status, [("cache-control", "no-store")], "so it is")
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/told", listener.local_addr().unwrap());
    let app = Router::new().route("/told", post(handler));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (uri, told)
}

#[tokio::test]
async fn clients_of_a_session_are_told_before_its_logout_is_answered() {
    let (uri, told) = client_that_answers(StatusCode::OK).await;
    let provider = headless().start().await.unwrap();
    provider.set_backchannel_logout_uri(provider.client_id(), &uri);
    let tokens = log_in(&provider, &[]).await;
    let sid = decode(&tokens["id_token"]).1["sid"].clone();
    let hint = ("id_token_hint", text(&tokens, "id_token"));
    provider
        .browser()
        .get(&end_session_url(&provider, &[hint]))
        .await
        .unwrap();
    let bodies = told.lock().unwrap().clone();
    assert_eq!(bodies.len(), 1);
    let fields: Vec<_> = url::form_urlencoded::parse(bodies[0].as_bytes()).collect();
    assert_eq!(fields[0].0, "unknown_parameter");
    assert_eq!(fields[1].0, "logout_token");
    let (header, claims) = decode(&json!(fields[1].1));
    assert_eq!(header["typ"], "logout+jwt");
    let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    assert_eq!((&claims["events"], &claims["sid"]), (&event, &sid));
    assert!(claims["unknown_claim"].is_object() && claims.get("nonce").is_none());
    let answers = provider.logout_answers();
    assert_eq!((answers.len(), answers[0].status), (1, 200));
    assert_eq!(answers[0].cache_control.as_deref(), Some("no-store"));
    assert_eq!(answers[0].body, "so it is");

    // Nobody has part in a session that is over; one that is not there answers nothing.
    assert!(
        provider
            .end_session(sid.as_str().unwrap())
            .await
            .iter()
            .all(|a| a.status == 200)
    );
    provider.set_backchannel_logout_uri(provider.client_id(), "http://127.0.0.1:9/");
    let tokens = log_in(&provider, &[]).await;
    let sid = decode(&tokens["id_token"]).1["sid"].clone();
    assert_eq!(
        provider.end_session(sid.as_str().unwrap()).await[0].status,
        0
    );
    assert!(!provider.session_active(sid.as_str().unwrap()));
}

#[tokio::test]
async fn a_logout_token_is_wrong_in_the_point_that_was_asked_for() {
    let (uri, told) = client_that_answers(StatusCode::BAD_REQUEST).await;
    let client = TestClient::with_random_secret("tokenkeep")
        .any_loopback_redirect_uri()
        .backchannel_logout_uri(&uri)
        .logout_without_session();
    let provider = headless().client(client).start().await.unwrap();
    let of = |fault| {
        let token = LogoutToken::of_session("s").subject("alice").fault(fault);
        provider.logout_token("tokenkeep", &token)
    };
    let claims = |fault| decode(&json!(of(fault))).1;
    let header = |fault| decode(&json!(of(fault))).0;
    assert_eq!(header(LogoutTokenFault::AlgNone)["alg"], "none");
    assert_eq!(header(LogoutTokenFault::OtherAlgorithm)["alg"], "ES256");
    assert_eq!(header(LogoutTokenFault::WrongType)["typ"], "at+jwt");
    assert!(header(LogoutTokenFault::Critical)["crit"].is_array());
    assert!(claims(LogoutTokenFault::WithNonce)["nonce"].is_string());
    assert_eq!(claims(LogoutTokenFault::NoEvent)["events"], Value::Null);
    let nobody = claims(LogoutTokenFault::Nobody);
    assert!(nobody.get("sub").is_none() && nobody.get("sid").is_none());
    assert_eq!(of(LogoutTokenFault::Encrypted).split('.').count(), 5);
    let doubled = of(LogoutTokenFault::DoubledMember);
    let doubled = URL_SAFE_NO_PAD
        .decode(doubled.split('.').nth(1).unwrap())
        .unwrap();
    assert_eq!(
        String::from_utf8(doubled)
            .unwrap()
            .matches("\"sub\"")
            .count(),
        2
    );
    // The other algorithm's key is published.
    let kid = header(LogoutTokenFault::OtherAlgorithm)["kid"].clone();
    let jwks = super::get_json(format!("{}/jwks", provider.issuer())).await;
    assert!(
        jwks["keys"]
            .as_array()
            .unwrap()
            .iter()
            .any(|key| key["kid"] == kid)
    );

    let tokens = log_in(&provider, &[]).await;
    let sid = decode(&tokens["id_token"]).1["sid"].clone();
    let fault = Fault::LogoutToken(LogoutTokenFault::WrongEvent);
    let rule = provider.faults().on(Endpoint::EndSession, fault);
    assert_eq!(
        provider.end_session(sid.as_str().unwrap()).await[0].status,
        400
    );
    assert_eq!(rule.fired(), 1);
    let body = told.lock().unwrap().remove(0);
    let (_, token) = body.rsplit_once('=').unwrap();
    let (_, claims) = decode(&json!(token));
    assert!(claims.get("sid").is_none() && claims["sub"].is_string());
    assert!(claims["events"]["http://schemas.openid.net/event/another"].is_object());
}

#[tokio::test]
async fn a_page_tells_clients_in_frames_and_goes_on() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[]).await;
    let framed = "http://127.0.0.1:9/frontchannel-logout/op";
    provider.set_frontchannel_logout_uri(provider.client_id(), framed);
    let sid = decode(&tokens["id_token"]).1["sid"].clone();
    let parameters = [
        ("id_token_hint", text(&tokens, "id_token")),
        ("post_logout_redirect_uri", RETURN_TO),
        ("state", "s"),
    ];
    let url = end_session_url(&provider, &parameters);
    let page = provider.browser().get(&url).await.unwrap();
    assert_eq!(page.status, 200);
    let frame = page.body.split("<iframe hidden src=\"").nth(1).unwrap();
    let frame = frame.split('"').next().unwrap().replace("&amp;", "&");
    let frame = Url::parse(&frame).unwrap();
    assert!(frame.as_str().starts_with(framed));
    let told: Vec<_> = frame.query_pairs().into_owned().collect();
    let expected = [("iss", provider.issuer()), ("sid", sid.as_str().unwrap())];
    assert_eq!(
        told,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert!(page.body.contains(&format!("href=\"{RETURN_TO}?state=s\"")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-src http: https:;"), "{policy}");
}
