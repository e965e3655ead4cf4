//! What presets rest on: hooks of one client, further parts of the userinfo, and where both end.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokenkeep_core::{
    Error, ErrorCode, Hook, LoginKept, OAuth, Phase, Registration, Result, TokenKey, TokenRequest,
    TokenUpdate,
};
use tokenkeep_memory::MemoryStore;

use crate::{
    fixture::{SECRET, preset},
    peer::{Peer, Reply},
    world::{CLIENT_ID, World, query},
};

/// Notes each hook point that is reached, under its own name.
#[derive(Clone)]
struct Notes(&'static str, Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, client: &str, point: &str) {
        let note = format!("{point} {client} {}", self.0);
        self.1.lock().unwrap().push(note);
    }
}

#[async_trait]
impl Hook for Notes {
    async fn access_token_request(&self, client: &str, _: &mut TokenRequest) -> Result<()> {
        self.note(client, "token");
        Ok(())
    }

    async fn refresh_token_request(&self, client: &str, _: &mut TokenRequest) -> Result<()> {
        self.note(client, "refresh");
        Ok(())
    }

    async fn protected_request(&self, client: &str, _: &mut reqwest::Request) -> Result<()> {
        self.note(client, "api");
        Ok(())
    }

    async fn revoke_token_request(&self, client: &str, _: &mut TokenRequest) -> Result<()> {
        self.note(client, "revoke");
        Ok(())
    }

    async fn userinfo_request(&self, client: &str, _: &mut reqwest::Request) -> Result<()> {
        self.note(client, "ask");
        Ok(())
    }

    async fn userinfo_response(&self, client: &str, claims: &mut Value) -> Result<()> {
        // The preset's own hook was there before.
        assert!(claims["sub"].is_string());
        self.note(client, "userinfo");
        Ok(())
    }

    async fn before_login_kept(&self, login: &LoginKept<'_>) -> Result<()> {
        self.note(&login.login.client, "keep");
        Ok(())
    }

    async fn after_update(&self, update: &TokenUpdate) -> Result<()> {
        self.note(update.key().unwrap().client(), "after");
        Ok(())
    }

    async fn after_logout(&self, key: &TokenKey) -> Result<()> {
        self.note(key.client(), "gone");
        Ok(())
    }
}

#[tokio::test]
async fn a_client_s_hooks_run_for_it_alone_and_before_those_of_the_registry() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let named = |name| Notes(name, Arc::clone(&notes));
    let with_hook = preset("discord").hook(named("own"));
    let other = preset("discord").named("other");
    let world = World::built("discord", with_hook, |builder| {
        builder.register(other).hook(named("all"))
    });
    let world = world.await;
    let revocation = "https://discord.com/api/oauth2/token/revoke";
    world
        .peer
        .answers("POST", revocation, Reply::json(200, &json!({})));
    let api = "https://discord.com/api/v10/x";
    world.peer.answers("GET", api, Reply::json(200, &json!({})));
    let points = [
        "token", "ask", "userinfo", "keep", "refresh", "api", "revoke",
    ];
    for (client, hooks) in [("discord", vec!["own", "all"]), ("other", vec!["all"])] {
        notes.lock().unwrap().clear();
        let grant = world.grant_of(client).await;
        grant.refresh().await.unwrap();
        grant.get("x").await.unwrap();
        grant.revoke().await.unwrap();
        world.oauth.drain(Duration::from_secs(10)).await.unwrap();
        let found = notes.lock().unwrap().clone();
        for point in points.into_iter().chain(["after", "gone"]) {
            let begin = format!("{point} {client} ");
            let who: Vec<_> = found
                .iter()
                .filter_map(|note| note.strip_prefix(&begin))
                .collect();
            assert!(!who.is_empty(), "{point} of {client} in {found:?}");
            for called in who.chunks(hooks.len()) {
                assert_eq!(called, hooks, "{point} of {client}");
            }
        }
        assert!(
            found
                .iter()
                .all(|note| note.contains(&format!(" {client} ")))
        );
    }
}

const EMAILS: &str = "https://api.github.com/user/emails";

/// The address of a login with this answer to `/user/emails`, and whether it is verified.
async fn email_with(answer: Option<Reply>) -> (Option<String>, Option<bool>) {
    let world = World::of("github").await;
    match answer {
        Some(answer) => world.peer.answers("GET", EMAILS, answer),
        None => world.peer.forgets("GET", EMAILS),
    }
    let login = world.login().await.1.unwrap();
    let userinfo = login.userinfo.unwrap();
    assert_eq!(userinfo.subject(), Some("583231"));
    let email = userinfo.email().map(str::to_owned);
    (email, userinfo.email_verified())
}

#[tokio::test]
async fn a_part_of_the_userinfo_that_cannot_be_had_ends_no_login() {
    let public = (Some("public@example.com".to_owned()), None);
    let page = Reply {
        status: 200,
        media: "text/html".to_owned(),
        body: "<html>".to_owned(),
    };
    let endless = Reply {
        status: 200,
        media: "application/json".to_owned(),
        body: format!("[{}]", "1,".repeat(1 << 20)),
    };
    for answer in [
        None,
        Some(Reply::json(403, &json!({"message": "no scope"}))),
        Some(Reply::json(500, &json!([]))),
        Some(page),
        Some(endless),
        Some(Reply::json(
            200,
            &json!({"primary": true, "email": "mallory@example.com"}),
        )),
        Some(Reply::json(
            200,
            &json!([{"primary": "true", "email": "mallory@example.com"}]),
        )),
    ] {
        assert_eq!(email_with(answer.clone()).await, public, "{answer:?}");
    }
    let unverified = json!([{"primary": true, "verified": false, "email": "a@example.com"}]);
    let found = email_with(Some(Reply::json(200, &unverified))).await;
    assert_eq!(found, (Some("a@example.com".to_owned()), Some(false)));
}

#[tokio::test]
async fn parts_that_hang_end_no_login_and_have_the_time_of_one_request_together() {
    let more = ["a", "b", "c"].map(|part| format!("https://api.github.com/{part}"));
    let client = preset("github").timeout(Duration::from_millis(300));
    let client = more
        .iter()
        .fold(client, |client, url| client.userinfo_part("more", url));
    let world = World::with("github", client).await;
    for url in more.iter().map(String::as_str).chain([EMAILS]) {
        world.peer.hangs("GET", url);
    }
    let login = world.login().await.1.unwrap();
    assert_eq!(login.userinfo.unwrap().email(), Some("public@example.com"));
    assert_eq!(world.peer.seen(EMAILS).len(), 1);
    // When the first one's time is over, so is everybody's.
    for url in &more[1..] {
        assert!(world.peer.seen(url).is_empty(), "{url}");
    }
}

#[tokio::test]
async fn a_profile_cannot_pretend_to_be_its_own_part() {
    let world = World::of("github").await;
    world.peer.forgets("GET", EMAILS);
    let mut profile = world.fixture.userinfo[0].answer.clone();
    profile["emails"] = json!([{"primary": true, "verified": true, "email": "m@example.com"}]);
    world.peer.answers(
        "GET",
        "https://api.github.com/user",
        Reply::json(200, &profile),
    );
    let userinfo = world.login().await.1.unwrap().userinfo.unwrap();
    assert_eq!(userinfo.email_verified(), None);
    assert_eq!(userinfo.email(), Some("public@example.com"));
}

/// Sends userinfo requests somewhere else.
struct Elsewhere(&'static str);

#[async_trait]
impl Hook for Elsewhere {
    async fn userinfo_request(&self, _: &str, request: &mut reqwest::Request) -> Result<()> {
        *request.url_mut() = self.0.parse().unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn a_hook_sends_no_token_to_a_place_that_the_client_does_not_allow() {
    let client = || preset("discord").allow_origin("https://cdn.discordapp.com");
    let world = World::with("discord", client().hook(Elsewhere("https://evil.example/"))).await;
    let error = world.login().await.1.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ForeignOrigin);
    assert!(world.peer.seen("https://evil.example/").is_empty());
    let other = "https://cdn.discordapp.com/me";
    let world = World::with("discord", client().hook(Elsewhere(other))).await;
    let profile = Reply::json(200, &json!({"id": "7", "username": "ada"}));
    world.peer.answers("GET", other, profile);
    assert_eq!(world.login().await.1.unwrap().subject(), Some("7"));
}

fn refused(registration: Registration, part_of_message: &str) {
    let error = OAuth::builder()
        .store(MemoryStore::new())
        .register(registration.client_id("id"))
        .build()
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{error:?}");
    assert!(error.message().contains(part_of_message), "{error}");
}

#[test]
fn what_a_registration_may_not_say_of_a_provider_is_refused_by_name() {
    let client = || {
        Registration::oauth2(
            "a",
            "https://a.example/authorize",
            "https://a.example/token",
        )
        .userinfo_url("https://a.example/me")
    };
    let part = |client: Registration, url: &str| client.userinfo_part("part", url);
    refused(part(client(), "https://b.example/me"), "allow_origin");
    refused(part(client(), "http://a.example/more"), "https");
    refused(part(client(), "more"), "userinfo_part");
    let five = (0..5).fold(client(), |client, _| part(client, "https://a.example/more"));
    refused(five, "four");
    refused(client().profile_parameter("user"), "openid");
    refused(client().client_id_header("a header"), "client_id_header");
    let signed = Registration::openid("a", "https://a.example")
        .userinfo_url("https://a.example/me")
        .userinfo_signed_response_alg("RS256");
    refused(part(signed, "https://a.example/more"), "signed");
    OAuth::builder()
        .store(MemoryStore::new())
        .register(part(client(), "https://a.example/more").client_id("id"))
        .build()
        .unwrap();
}

#[tokio::test]
async fn commas_between_scopes_are_written_and_read() {
    let scopes = ["read", "activity:read_all"];
    let mut world = World::with("strava", preset("strava").scopes(scopes)).await;
    let granted = json!("read,activity:read_all");
    world.fixture.token.answer["scope"] = granted;
    let (redirect, login) = world.login().await;
    assert_eq!(query(&redirect.url)["scope"], "read,activity:read_all");
    assert_eq!(login.unwrap().scopes, scopes);
}

#[tokio::test]
async fn a_header_of_the_application_s_own_is_left_alone() {
    let world = World::of("notion").await;
    let grant = world.grant().await;
    let at = "https://api.notion.com/v1/search";
    world.peer.answers("GET", at, Reply::json(200, &json!({})));
    grant
        .get("search")
        .header("notion-version", "2025-09-03")
        .await
        .unwrap();
    let seen = world.peer.seen(at).pop().unwrap();
    assert_eq!(seen.header("notion-version"), Some("2025-09-03"));
}

#[tokio::test]
async fn a_refused_revocation_shows_no_token() {
    for (name, method, at) in [
        (
            "github",
            "DELETE",
            "https://api.github.com/applications/the-client/token",
        ),
        (
            "dropbox",
            "POST",
            "https://api.dropboxapi.com/2/auth/token/revoke",
        ),
        ("strava", "POST", "https://www.strava.com/oauth/deauthorize"),
    ] {
        let mut world = World::of(name).await;
        let token = "short-token";
        world.fixture.token.answer["access_token"] = token.into();
        world.grant().await;
        let said = Reply {
            status: 401,
            media: "text/plain".to_owned(),
            body: format!("nobody knows {token} here"),
        };
        world.peer.answers(method, at, said);
        let forgotten = format!("{:?}", world.oauth.forget("the-user").await.unwrap());
        assert!(forgotten.contains("nobody knows"), "{name}: {forgotten}");
        assert!(!forgotten.contains(token), "{name}: {forgotten}");
    }
}

#[tokio::test]
async fn an_answer_with_a_member_twice_is_not_mended() {
    let world = World::of("slack").await;
    let redirect = world.begin().await;
    let twice = Reply {
        status: 200,
        media: "application/json".to_owned(),
        body: r#"{"ok":false,"error":"invalid_code","error":"invalid_code"}"#.to_owned(),
    };
    world.peer.answers("POST", &world.fixture.token.at, twice);
    let error = world.come_back(&redirect).await.unwrap_err();
    let said = error.provider().unwrap();
    assert_eq!(said.error.as_deref(), Some("invalid_code"));
}

/// Refuses every login.
struct Closed;

#[async_trait]
impl Hook for Closed {
    async fn before_login_kept(&self, _: &LoginKept<'_>) -> Result<()> {
        let (code, phase) = (ErrorCode::OwnerRefused, Phase::Owner);
        Err(Error::new(code, phase, "a test says no"))
    }
}

#[tokio::test]
async fn a_client_s_hook_may_refuse_a_login() {
    let world = World::with("discord", preset("discord").hook(Closed)).await;
    let login = world.login().await.1.unwrap();
    let error = world.oauth.keep_login(&login, "the-user", None).await;
    assert_eq!(error.unwrap_err().code(), ErrorCode::OwnerRefused);
}

#[tokio::test]
async fn whoever_brings_no_http_client_has_a_user_agent() {
    let (address, agents) = Peer::agents().await;
    let base = format!("http://{address}/");
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .register(
            Registration::oauth2("a", format!("{base}authorize"), format!("{base}token"))
                .client_id("id")
                .api_base_url(&base),
        )
        .build()
        .unwrap();
    let client = oauth.client("a").unwrap();
    client.get("x").withhold_token().await.unwrap();
    let agents = agents.lock().unwrap().clone();
    assert_eq!(agents, [concat!("tokenkeep/", env!("CARGO_PKG_VERSION"))]);
}

#[tokio::test]
async fn an_enterprise_server_of_github_is_asked_and_nobody_else() {
    let base = "https://git.example.com";
    let client = tokenkeep_providers::github_at(base).client_id(CLIENT_ID);
    let mut world = World::with("github", client.client_secret(SECRET)).await;
    let moved = |url: &str| {
        let url = url.replace("https://api.github.com", "https://git.example.com/api/v3");
        url.replace("https://github.com", base)
    };
    world.fixture.token.at = moved(&world.fixture.token.at);
    for ask in &mut world.fixture.userinfo {
        ask.at = moved(&ask.at);
    }
    world.play();
    let revocation = "https://git.example.com/api/v3/applications/the-client/token";
    world
        .peer
        .answers("DELETE", revocation, Reply::json(200, &json!({})));
    let grant = world.grant().await;
    assert_eq!(
        grant.userinfo().await.unwrap().email(),
        Some("ada@example.com")
    );
    assert!(world.oauth.forget("the-user").await.unwrap().is_complete());
    assert_eq!(world.peer.seen(revocation).len(), 1);
    assert!(
        world
            .peer
            .hosts()
            .iter()
            .all(|host| host == "git.example.com")
    );
}
