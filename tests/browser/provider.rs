//! The demo against a certified provider, over HTTP: what a program sees, to the letter of the demo's contract.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::Value;

use crate::parts::eventually;
use crate::person::{AtProvider, assert_error_form, between};
use crate::world::{Case, Setup, World, case};

pub(crate) fn cases() -> Vec<Case> {
    let slow = Setup {
        slow_tokens: true,
        ..Setup::default()
    };
    let by = |method| Setup {
        method: Some(method),
        ..Setup::default()
    };
    vec![
        case!(provider::login_answers_as_the_contract_says),
        case!(provider::login_without_session_is_asked_for),
        case!(provider::return_to_stays_at_home),
        case!(provider::denied_consent),
        case!(provider::callback_is_good_once),
        case!(provider::callback_of_another_browser),
        case!(provider::rotation),
        case!(provider::four_refreshes_at_once_are_one, slow),
        case!(provider::two_processes_refresh_once, slow),
        case!(provider::reuse_outside_ends_the_grant),
        case!(provider::expired_token_is_renewed_by_the_next_call),
        case!(provider::revoked_token_asks_for_a_login),
        case!(provider::connect_another_client),
        case!(provider::api_calls_stay_at_the_api),
        case!(provider::posts_need_the_csrf_token),
        case!(provider::events_tell_of_a_refresh),
        case!(provider::logout_ends_both_sessions),
        case!(provider::foreign_logout_state),
        case!(
            provider::a_client_proves_itself_by_its_key,
            by("private_key_jwt")
        ),
        case!(
            provider::a_client_proves_itself_by_its_secret_that_it_keeps,
            by("client_secret_jwt")
        ),
    ]
}

const ALICE: AtProvider<'static> = AtProvider::Agree { login: "alice" };

async fn login_answers_as_the_contract_says(world: Arc<World>) {
    let alice = world.person();
    let login = alice.log_in("op", "alice").await;
    assert_members(
        &login,
        &[
            "client",
            "owner",
            "claims",
            "userinfo",
            "scopes",
            "token_type",
            "expires_at",
            "refreshable",
        ],
    );
    assert_eq!(login["client"], "op");
    assert_eq!(login["claims"]["sub"], "alice");
    assert_eq!(
        login["claims"]["iss"],
        world.provider.issuer.as_str().trim_end_matches('/')
    );
    assert_eq!(login["refreshable"], true);
    assert!(
        login["token_type"]
            .as_str()
            .unwrap()
            .eq_ignore_ascii_case("bearer")
    );
    assert_eq!(
        texts(&login["scopes"]),
        ["email", "offline_access", "openid", "profile"]
    );

    let tokens = alice.tokens().await;
    assert_members(&tokens, &["owner", "csrf", "tokens"]);
    assert_eq!(tokens["owner"], login["owner"]);
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 1);
    let row = alice.token("op").await;
    assert_row(&row);
    assert_eq!(row["slot"], "");
    assert_eq!(row["state"], "active");
    assert_eq!(row["refreshable"], true);
    assert_eq!(row["expires_at"], login["expires_at"]);

    let userinfo = alice.get("/userinfo/op").await.expect(200);
    assert_eq!(userinfo["userinfo"]["sub"], "alice");
    assert_eq!(userinfo["userinfo"]["email"], "alice@example.test");
    assert_eq!(world.provider.token_requests("authorization_code").await, 1);
    assert_eq!(world.provider.token_requests("refresh_token").await, 0);
    assert_eq!(
        world.provider.issued_of("code_verifier").await.len(),
        1,
        "PKCE was used"
    );

    let health = alice.get("/healthz").await.expect(200);
    assert_members(&health, &["status", "store"]);
}

async fn login_without_session_is_asked_for(world: Arc<World>) {
    let nobody = world.person();
    for path in ["/tokens", "/userinfo/op", "/events"] {
        nobody.get(path).await.expect_error(401, "not_signed_in");
    }
    nobody
        .get("/login/nope")
        .await
        .expect_error(404, "unknown_client");
    assert_eq!(nobody.page("/").await.status, 200);
}

async fn return_to_stays_at_home(world: Arc<World>) {
    let alice = world.person();
    for away in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "javascript:alert(1)",
    ] {
        let mut url = world.demo.url("/login/op");
        url.query_pairs_mut().append_pair("return_to", away);
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        let start = alice.page(&path).await;
        if start.status == 400 {
            alice
                .get(&path)
                .await
                .expect_error(400, "invalid_return_to");
            continue;
        }
        let callback = alice.at_provider(start.expect_redirect(), ALICE).await;
        let end = alice
            .send(
                alice
                    .request(Method::GET, callback)
                    .header(ACCEPT, "text/html"),
            )
            .await;
        assert_eq!(end.expect_redirect(), world.demo.url("/"), "after {away}");
    }

    let start = alice
        .page("/login/op?return_to=/healthz")
        .await
        .expect_redirect();
    let callback = alice.at_provider(start, ALICE).await;
    let end = alice
        .send(
            alice
                .request(Method::GET, callback)
                .header(ACCEPT, "text/html"),
        )
        .await;
    assert_eq!(end.expect_redirect(), world.demo.url("/healthz"));
}

async fn denied_consent(world: Arc<World>) {
    let alice = world.person();
    let callback = alice
        .authorize("/login/op", AtProvider::Refuse { login: "alice" })
        .await;
    let denied = alice.callback(&callback).await;
    assert!((400..=403).contains(&denied.status), "{}", denied.status);
    let error = denied.expect_error(denied.status, "access_denied");
    assert_eq!(error["client"], "op");
    alice
        .get("/tokens")
        .await
        .expect_error(401, "not_signed_in");
    assert_eq!(world.provider.token_requests("authorization_code").await, 0);
}

async fn callback_is_good_once(world: Arc<World>) {
    let alice = world.person();
    let callback = alice.authorize("/login/op", ALICE).await;
    alice.callback(&callback).await.expect(200);
    alice
        .callback(&callback)
        .await
        .expect_error(400, "state_mismatch");
    assert_eq!(
        world.provider.token_requests("authorization_code").await,
        1,
        "the replay went nowhere"
    );
    assert_eq!(
        alice.token("op").await["state"],
        "active",
        "the replay cost nothing"
    );
}

async fn callback_of_another_browser(world: Arc<World>) {
    let (alice, mallory) = (world.person(), world.person());
    let callback = alice.authorize("/login/op", ALICE).await;
    mallory
        .callback(&callback)
        .await
        .expect_error(400, "state_mismatch");
    mallory
        .get("/tokens")
        .await
        .expect_error(401, "not_signed_in");
    assert_eq!(world.provider.token_requests("authorization_code").await, 0);
    alice.callback(&callback).await.expect(200);
}

async fn rotation(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    let mut generation = alice.token("op").await["generation"].as_u64().unwrap();
    for spent in 1..=3 {
        let row = alice.post("/tokens/op/refresh").await.expect(200);
        assert_row(&row);
        assert_eq!(row["generation"].as_u64().unwrap(), generation + 1);
        assert_eq!(row["state"], "active");
        assert_eq!(alice.token("op").await, row);
        generation += 1;
        assert_eq!(world.provider.token_requests("refresh_token").await, spent);
    }
    assert_eq!(
        distinct(world.provider.issued_of("RefreshToken").await),
        4,
        "each refresh brought a new one"
    );
    alice.get("/userinfo/op").await.expect(200);
}

async fn a_client_proves_itself_by_its_key(world: Arc<World>) {
    proves_itself_by_assertions(&world).await;
}

async fn a_client_proves_itself_by_its_secret_that_it_keeps(world: Arc<World>) {
    proves_itself_by_assertions(&world).await;
}

/// A code, refreshes and a revocation: the provider takes each assertion once.
async fn proves_itself_by_assertions(world: &Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    for _ in 0..2 {
        alice.post("/tokens/op/refresh").await.expect(200);
    }
    alice.get("/userinfo/op").await.expect(200);
    assert_eq!(world.provider.token_requests("authorization_code").await, 1);
    assert_eq!(world.provider.token_requests("refresh_token").await, 2);
    alice.post("/tokens/op/revoke").await.expect(200);
    eventually("the revocation", Duration::from_secs(10), async || {
        (world.provider.revocations().await > 0).then_some(())
    })
    .await;
    assert_eq!(world.provider.refusals().await, 0);
}

async fn four_refreshes_at_once_are_one(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    let generation = alice.token("op").await["generation"].as_u64().unwrap();

    let refresh = || async {
        alice.post("/tokens/op/refresh").await.expect(200)["generation"]
            .as_u64()
            .unwrap()
    };
    let (a, b, c, d) = tokio::join!(refresh(), refresh(), refresh(), refresh());
    assert_eq!([a, b, c, d], [generation + 1; 4]);
    assert_eq!(world.provider.token_requests("refresh_token").await, 1);
    alice.get("/userinfo/op").await.expect(200);
    assert_eq!(
        alice.token("op").await["state"],
        "active",
        "the family lives"
    );
}

async fn two_processes_refresh_once(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    let generation = alice.token("op").await["generation"].as_u64().unwrap();
    let second = world.second_demo().await;
    let csrf = alice.tokens().await["csrf"].as_str().unwrap().to_owned();

    let there = |path: &str, method| {
        alice
            .request(method, second.url(path))
            .header(ACCEPT, "application/json")
    };
    let refresh = || async {
        let reply = alice
            .send(there("/tokens/op/refresh", Method::POST).header("x-csrf-token", &csrf))
            .await;
        reply.expect(200)["generation"].as_u64().unwrap()
    };
    let here = || async {
        alice.post("/tokens/op/refresh").await.expect(200)["generation"]
            .as_u64()
            .unwrap()
    };
    let (a, b, c, d) = tokio::join!(here(), refresh(), here(), refresh());
    assert_eq!([a, b, c, d], [generation + 1; 4]);
    assert_eq!(world.provider.token_requests("refresh_token").await, 1);
    alice.get("/userinfo/op").await.expect(200);
    alice
        .send(there("/userinfo/op", Method::GET))
        .await
        .expect(200);
}

async fn reuse_outside_ends_the_grant(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    alice.post("/tokens/op/refresh").await.expect(200);

    // Somebody spends a refresh token of the past: a certified provider ends the whole family.
    let spent = world.provider.issued_of("RefreshToken").await.remove(0);
    let op = (world.op.0.as_str(), world.op.1.as_str());
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", spent.as_str()),
    ];
    let (status, answer) = world.provider.ask("/token", op, &form).await;
    assert_eq!(
        (status, answer["error"].as_str()),
        (400, Some("invalid_grant"))
    );

    let refused = alice.post("/tokens/op/refresh").await;
    assert_eq!(refused.status, 401, "{}", refused.body);
    let error = refused.json();
    assert_error_form(&error);
    assert_eq!(error["action"], "login", "{error}");
    assert_eq!(alice.token("op").await["state"], "needs_login");

    alice.log_in("op", "alice").await;
    assert_eq!(alice.token("op").await["state"], "active");
    alice.get("/userinfo/op").await.expect(200);
}

async fn expired_token_is_renewed_by_the_next_call(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    let before = alice.token("op").await;
    let expired = alice.post("/tokens/op/expire").await.expect(200);
    assert_row(&expired);
    assert_eq!(expired["state"], "active");
    assert_eq!(
        world.provider.token_requests("refresh_token").await,
        0,
        "expire asks nobody"
    );

    let userinfo = alice.get("/userinfo/op").await.expect(200);
    assert_eq!(userinfo["userinfo"]["sub"], "alice");
    let after = alice.token("op").await;
    assert_eq!(
        after["generation"].as_u64().unwrap(),
        before["generation"].as_u64().unwrap() + 1
    );
    assert_eq!(world.provider.token_requests("refresh_token").await, 1);
}

async fn revoked_token_asks_for_a_login(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    let row = alice.post("/tokens/op/revoke").await.expect(200);
    assert_row(&row);
    assert_ne!(row["state"], "active");

    let refused = alice.get("/userinfo/op").await;
    assert_eq!(refused.status, 401, "{}", refused.body);
    let error = refused.json();
    assert_error_form(&error);
    assert_eq!(error["action"], "login", "{error}");
    assert_eq!(error["client"], "op", "{error}");

    let op = (world.op.0.as_str(), world.op.1.as_str());
    eventually(
        "the provider has revoked the refresh token",
        Duration::from_secs(10),
        async || {
            let token = world.provider.issued_of("RefreshToken").await.remove(0);
            let (status, answer) = world
                .provider
                .ask("/token/introspection", op, &[("token", &token)])
                .await;
            assert_eq!(status, 200);
            (answer["active"] == false).then_some(())
        },
    )
    .await;
    assert!(world.provider.revocations().await >= 1);
    assert_eq!(world.provider.token_requests("refresh_token").await, 0);
}

async fn connect_another_client(world: Arc<World>) {
    let alice = world.person();
    let owner = alice.log_in("op", "alice").await["owner"].clone();
    let callback = alice.authorize("/connect/other", ALICE).await;
    let connected = alice.callback(&callback).await.expect(200);
    assert_eq!(connected["client"], "other");
    assert_eq!(
        connected["owner"], owner,
        "the grant is the signed-in owner's"
    );
    assert_eq!(alice.tokens().await["tokens"].as_array().unwrap().len(), 2);
    assert_eq!(
        alice.get("/userinfo/other").await.expect(200)["userinfo"]["sub"],
        "alice"
    );
    assert_eq!(
        alice.post("/tokens/other/refresh").await.expect(200)["client"],
        "other"
    );
}

async fn api_calls_stay_at_the_api(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    // The provider's userinfo endpoint is the API here: it takes the access token.
    assert_eq!(alice.get("/api/op/me").await.expect(200)["sub"], "alice");
    let missing = alice.get("/api/op/no-such-thing").await;
    assert_eq!(missing.status, 404, "the API's own answer is passed on");

    for path in [
        "/api/op//evil.example/me",
        "/api/op/https://evil.example/me",
        "/api/op//127.0.0.1:9/me",
    ] {
        let refused = alice.get(path).await;
        assert!(
            (400..500).contains(&refused.status),
            "{path} answered {}",
            refused.status
        );
        assert_error_form(&refused.json());
    }
}

async fn posts_need_the_csrf_token(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    for path in [
        "/tokens/op/refresh",
        "/tokens/op/expire",
        "/tokens/op/revoke",
        "/logout",
    ] {
        for token in [None, Some("wrong")] {
            let mut request = alice
                .request(Method::POST, world.demo.url(path))
                .header(ACCEPT, "application/json");
            if let Some(token) = token {
                request = request.header("x-csrf-token", token);
            }
            alice.send(request).await.expect_error(403, "csrf_mismatch");
        }
    }
    assert_eq!(world.provider.token_requests("refresh_token").await, 0);
    assert_eq!(alice.token("op").await["state"], "active");
}

async fn events_tell_of_a_refresh(world: Arc<World>) {
    let alice = world.person();
    let owner = alice.log_in("op", "alice").await["owner"].clone();
    let events = alice
        .request(Method::GET, world.demo.url("/events"))
        .header(ACCEPT, "text/event-stream");
    let mut events = events.send().await.unwrap();
    assert_eq!(events.status(), 200);
    let row = alice.post("/tokens/op/refresh").await.expect(200);

    let mut text = String::new();
    let event = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let chunk = events.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(&String::from_utf8_lossy(&chunk));
            let seen = text
                .split("\n\n")
                .filter(|block| block.contains("event: token_update"));
            let mut data =
                seen.filter_map(|block| block.lines().find_map(|line| line.strip_prefix("data:")));
            if let Some(event) = data.find_map(|data| {
                serde_json::from_str::<Value>(data)
                    .ok()
                    .filter(|event| is_kind(event, "refreshed"))
            }) {
                return event;
            }
        }
    })
    .await
    .expect("the refresh is told");
    world.evidence.page("/events", &text);
    assert_members(
        &event,
        &[
            "id",
            "kind",
            "client",
            "owner",
            "slot",
            "generation",
            "origin",
            "at",
        ],
    );
    assert_eq!(event["client"], "op");
    assert_eq!(event["owner"], owner);
    assert_eq!(event["generation"], row["generation"]);
}

async fn logout_ends_both_sessions(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    let page = alice.page("/logout").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<button"), "GET only shows a button");
    let before = alice.copy();

    let away = alice.post("/logout").await.expect_redirect();
    assert_eq!(away.origin(), world.provider.issuer.origin());
    let told = |name: &str| {
        away.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    assert!(told("id_token_hint").is_some());
    assert_eq!(
        told("post_logout_redirect_uri").as_deref(),
        Some(world.demo.url("/logged-out/op").as_str())
    );
    // Over here it is over at once, for this cookie and for every copy of it.
    alice
        .get("/tokens")
        .await
        .expect_error(401, "not_signed_in");
    before
        .get("/tokens")
        .await
        .expect_error(401, "not_signed_in");

    let back = alice.at_provider(away.clone(), ALICE).await;
    assert_eq!(back.path(), "/logged-out/op");
    let state = back
        .query_pairs()
        .find(|(key, _)| key == "state")
        .map(|(_, value)| value.into_owned());
    assert_eq!(state, told("state"));
    let path = format!("{}?{}", back.path(), back.query().unwrap());
    let end = alice.get(&path).await;
    assert!([200, 303].contains(&end.status), "{}", end.status);
    alice
        .get("/tokens")
        .await
        .expect_error(401, "not_signed_in");

    // The provider asks for the login again.
    let start = alice.get("/login/op").await.expect_redirect();
    let mut reply = alice.send(alice.request(Method::GET, start)).await;
    while let Some(location) = reply.location {
        reply = alice.send(alice.request(Method::GET, location)).await;
    }
    assert_eq!(
        between(&reply.body, "name=\"prompt\" value=\"", "\""),
        "login"
    );
}

async fn foreign_logout_state(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    for path in ["/logged-out/op?state=foreign", "/logged-out/op"] {
        let refused = alice.get(path).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.body);
        assert_error_form(&refused.json());
    }
    assert_eq!(alice.token("op").await["state"], "active");
}

fn assert_row(row: &Value) {
    assert_members(
        row,
        &[
            "client",
            "slot",
            "scopes",
            "token_type",
            "expires_at",
            "refreshable",
            "state",
            "generation",
        ],
    );
    // What ended has no token that could expire.
    let is_over = row["state"] == "logged_out" && row["expires_at"].is_null();
    assert!(
        row["expires_at"].is_u64() || is_over,
        "epoch seconds: {row}"
    );
    assert!(row["generation"].is_u64(), "{row}");
}

/// Exactly these members, no more and no fewer.
#[track_caller]
fn assert_members(value: &Value, names: &[&str]) {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("not an object: {value}"));
    let there: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    assert_eq!(
        there,
        names.iter().copied().collect::<BTreeSet<_>>(),
        "{value}"
    );
}

fn is_kind(event: &Value, kind: &str) -> bool {
    event["kind"]
        .as_str()
        .is_some_and(|is| is.eq_ignore_ascii_case(kind))
}

fn texts(list: &Value) -> Vec<&str> {
    let mut texts: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    texts.sort_unstable();
    texts
}

fn distinct(list: Vec<String>) -> usize {
    list.into_iter().collect::<BTreeSet<_>>().len()
}
