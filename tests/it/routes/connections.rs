//! The page of connected accounts.

use serde_json::{Value, json};
use tokenkeep::{
    ClientSource, ErrorCode, Grant, OAuthBuilder, Registration, Token, TokenKey, store::async_trait,
};
use tokenkeep_testing::{Browser, Page};

use super::{assert_private, assert_sealed};
use crate::{
    faulty::Method,
    web::{App, Framework, on_each_framework},
    world::{World, refused, until},
};

/// Alice, as the application calls her, in a browser and in a program of hers.
async fn alice(app: &App) -> (Browser, Browser, String) {
    let programs = app.browser().accepting_json();
    let visit = programs
        .log_in(&app.at("/login/op"), "alice")
        .await
        .unwrap();
    let owner = visit.last().json()["owner"].as_str().unwrap().to_owned();
    // The same browser, asked by a person.
    let browser = programs.clone().with_header("accept", "text/html");
    (browser, programs, owner)
}

async fn with(framework: Framework) -> App {
    App::with(framework, |routes| {
        routes.connections(|_, client| client != "internal")
    })
    .await
}

fn register(app: &App, names: &[&str]) {
    for name in names {
        app.oauth
            .register(app.world.registration_named(name))
            .unwrap();
    }
}

/// Client, account and state of each row that a program sees.
async fn rows(programs: &Browser, app: &App) -> Vec<(String, String, String)> {
    let page = programs.get(&app.at("/connections")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    let rows = page.json()["connections"].as_array().unwrap().clone();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter()
        .map(|row| {
            (
                text(row, "client"),
                text(row, "account"),
                text(row, "state"),
            )
        })
        .collect()
}

/// The same, of which the page for people shows as much.
async fn assert_shown(programs: &Browser, app: &App, expected: &[(&str, &str, &str)]) -> Page {
    let found = rows(programs, app).await;
    let found: Vec<_> = found.iter().map(|(c, a, s)| (&**c, &**a, &**s)).collect();
    assert_eq!(found, expected);
    let browser = programs.clone().with_header("accept", "text/html");
    let page = browser.get(&app.at("/connections")).await.unwrap();
    assert_eq!(page.body.matches("<li ").count(), expected.len());
    for (client, account, state) in expected {
        let row =
            format!("data-client=\"{client}\" data-account=\"{account}\" data-state=\"{state}\"");
        assert!(page.body.contains(&row), "{row}: {}", page.body);
    }
    page
}

fn button<'a>(page: &'a Page, label: &str) -> Option<&'a str> {
    let (before, _) = page.body.split_once(&format!("aria-label=\"{label}\""))?;
    let (_, path) = before.rsplit_once(['<'])?;
    Some(path)
}

/// The address behind a link.
fn link(app: &App, page: &Page, label: &str) -> String {
    let (_, after) = page
        .body
        .split_once(&format!("aria-label=\"{label}\" href=\""))
        .unwrap();
    app.at(&after.split('"').next().unwrap().replace("&amp;", "&"))
}

async fn csrf(programs: &Browser, app: &App) -> String {
    let page = programs.get(&app.at("/connections")).await.unwrap();
    page.json()["csrf"].as_str().unwrap().to_owned()
}

async fn an_account_is_connected_reconnected_and_disconnected_on_the_page(framework: Framework) {
    let app = with(framework).await;
    register(&app, &["mail", "internal"]);
    let (browser, programs, owner) = alice(&app).await;
    let page = assert_shown(
        &programs,
        &app,
        &[("mail", "", "not_connected"), ("op", "", "connected")],
    )
    .await;
    assert!(!page.body.contains("internal"), "{}", page.body);
    assert!(
        page.body.contains("offline_access"),
        "its scopes: {}",
        page.body
    );
    let day = app.oauth.now().unwrap().to_string();
    assert!(
        page.body
            .contains(&format!("<time datetime=\"{}", &day[..10]))
    );
    assert!(button(&page, "Connect op").is_none() && button(&page, "Disconnect mail").is_none());

    let visit = browser
        .follow(&link(&app, &page, "Connect mail"))
        .await
        .unwrap();
    assert_eq!(visit.last().url.as_str(), app.at("/connections"));
    let both = [("mail", "", "connected"), ("op", "", "connected")];
    assert_shown(&programs, &app, &both).await;

    // The provider ends the grant.
    app.world.provider.revoke_grant("alice");
    let mail = app.oauth.client("mail").unwrap().owner(&owner);
    let op = app.oauth.client("op").unwrap().owner(&owner);
    assert!(op.refresh().await.is_err());
    let page = assert_shown(
        &programs,
        &app,
        &[("mail", "", "connected"), ("op", "", "login_needed")],
    )
    .await;
    let visit = browser
        .follow(&link(&app, &page, "Reconnect op"))
        .await
        .unwrap();
    assert_eq!(visit.last().url.as_str(), app.at("/connections"));
    assert_shown(&programs, &app, &both).await;

    let revoked = app.world.provider.requests("/revoke");
    let token = csrf(&programs, &app).await;
    let fields = [("csrf", &*token), ("account", "")];
    let left = browser
        .post_form(&app.at("/disconnect/op"), &fields)
        .await
        .unwrap();
    assert_eq!(
        (left.status, left.header("location")),
        (303, Some("/connections"))
    );
    assert_shown(
        &programs,
        &app,
        &[("mail", "", "connected"), ("op", "", "not_connected")],
    )
    .await;
    assert!(op.token().await.is_err());
    until("the provider is told", async || {
        app.world.provider.requests("/revoke") > revoked
    })
    .await;
    // Without a field `account` it is the default one; a second time changes nothing.
    for _ in 0..2 {
        let fields = [("csrf", &*token)];
        let left = programs
            .post_form(&app.at("/disconnect/mail"), &fields)
            .await
            .unwrap();
        let said = json!({"client": "mail", "account": "", "state": "not_connected"});
        assert_eq!((left.status, left.json()), (200, said));
    }
    assert!(mail.token().await.is_err());
}

async fn only_the_users_own_page_disconnects_and_only_what_is_shown(framework: Framework) {
    let app = with(framework).await;
    register(&app, &["internal"]);
    let (_, programs, owner) = alice(&app).await;
    app.world.provider.auto_login(Some("bob"));
    let bob = app.browser().accepting_json();
    bob.log_in(&app.at("/login/op"), "bob").await.unwrap();
    let bobs = csrf(&bob, &app).await;
    let own = csrf(&programs, &app).await;
    let key = TokenKey::new("internal", &owner).unwrap();
    app.oauth
        .adopt(key, Token::builder("kept").build().unwrap())
        .await
        .unwrap();
    for (path, token, status, code) in [
        ("/disconnect/op", None, 403, "csrf_mismatch"),
        ("/disconnect/op", Some("x"), 403, "csrf_mismatch"),
        ("/disconnect/op", Some(&*bobs), 403, "csrf_mismatch"),
        ("/disconnect/internal", Some(&*own), 404, "unknown_client"),
        ("/disconnect/nobody", Some(&*own), 404, "unknown_client"),
        ("/disconnect/%ff", Some(&*own), 404, "unknown_client"),
    ] {
        let fields: Vec<_> = token.map(|token| ("csrf", token)).into_iter().collect();
        let refused = programs.post_form(&app.at(path), &fields).await.unwrap();
        let (found, found_code, _) = super::error(&refused);
        assert_eq!((found, found_code.as_str()), (status, code), "{path}");
    }
    assert_eq!(
        programs
            .get(&app.at("/disconnect/op"))
            .await
            .unwrap()
            .status,
        405
    );
    let link = app.browser().accepting_json();
    for page in [
        link.get(&app.at("/connections")).await.unwrap(),
        link.post_form(&app.at("/disconnect/op"), &[("csrf", &own)])
            .await
            .unwrap(),
    ] {
        let (status, code, _) = super::error(&page);
        assert_eq!((status, code.as_str()), (401, "not_signed_in"));
    }
    // Nothing ended, and bob's is bob's alone.
    let fields = [("csrf", &*bobs)];
    let left = bob
        .post_form(&app.at("/disconnect/op"), &fields)
        .await
        .unwrap();
    assert_eq!(left.status, 200);
    assert_eq!(rows(&bob, &app).await[0].2, "not_connected");
    assert_eq!(rows(&programs, &app).await[0].2, "connected");
    for client in ["op", "internal"] {
        let grant = app.oauth.client(client).unwrap().owner(&owner);
        grant.token().await.unwrap();
    }
}

async fn a_further_account_is_shown_beside_the_first_and_disconnected_alone(framework: Framework) {
    let app = with(framework).await;
    let (_, programs, owner) = alice(&app).await;
    let kept = || Token::builder("kept").build().unwrap();
    let label = "a<b>\"&";
    let key = TokenKey::new("op", &owner).unwrap().account(label).unwrap();
    app.oauth.adopt(key, kept()).await.unwrap();
    let escaped = "a&lt;b&gt;&quot;&amp;";
    let browser = programs.clone().with_header("accept", "text/html");
    let page = browser.get(&app.at("/connections")).await.unwrap();
    assert_eq!(page.body.matches("<li ").count(), 2);
    assert!(
        page.body.contains(&format!("value=\"{escaped}\"")),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<b>"), "{}", page.body);
    let token = csrf(&programs, &app).await;
    let fields = [("csrf", &*token), ("account", label)];
    let left = programs
        .post_form(&app.at("/disconnect/op"), &fields)
        .await
        .unwrap();
    assert_eq!(left.json()["account"], label);
    // Logged out, it is no account that could be connected from here.
    assert_shown(&programs, &app, &[("op", "", "connected")]).await;
}

/// Two accounts of one user at one provider: each has its own state, and each button is about one of them.
async fn each_of_two_accounts_is_reconnected_and_disconnected_for_itself(framework: Framework) {
    let app = with(framework).await;
    let (browser, programs, owner) = alice(&app).await;
    let client = app.oauth.client("op").unwrap();
    let (first, work) = (client.owner(&owner), client.owner(&owner).account("w&rk"));
    // The second is another account of the provider's.
    app.world.provider.auto_login(Some("bob"));
    let there = app.at("/connect/op?account=w%26rk&return_to=/connections");
    let visit = browser.follow(&there).await.unwrap();
    assert_eq!(visit.last().url.as_str(), app.at("/connections"));
    let subject = async |grant: &Grant| grant.info().await.unwrap().unwrap().subject;
    assert_eq!(subject(&work).await.as_deref(), Some("bob"));
    assert_eq!(subject(&first).await.as_deref(), Some("alice"));
    let states = async |first: &str, second: &str| {
        let found = rows(&programs, &app).await;
        let found: Vec<_> = found.iter().map(|(c, a, s)| (&**c, &**a, &**s)).collect();
        assert_eq!(found, [("op", "", first), ("op", "w&rk", second)]);
    };
    states("connected", "connected").await;

    // The provider ends one grant, and an API call says where that one is connected again.
    app.world.provider.revoke_grant("bob");
    let error = work.refresh().await.unwrap_err();
    assert_eq!(
        error.connect_url(),
        Some(app.at("/connect/op?account=w%26rk").as_str())
    );
    let error = work.get("me").await.unwrap_err();
    assert!(error.connect_url().unwrap().ends_with("?account=w%26rk"));
    states("connected", "login_needed").await;
    let page = browser.get(&app.at("/connections")).await.unwrap();
    assert!(button(&page, "Reconnect op").is_none(), "{}", page.body);
    let again = link(&app, &page, "Reconnect op \u{b7} w&amp;rk");
    browser.follow(&again).await.unwrap();
    states("connected", "connected").await;
    assert_eq!(subject(&first).await.as_deref(), Some("alice"));
    assert_eq!(subject(&work).await.as_deref(), Some("bob"));

    // The other way round: the first alone.
    app.world.provider.revoke_grant("alice");
    assert!(first.refresh().await.is_err());
    states("login_needed", "connected").await;
    app.world.provider.auto_login(Some("alice"));
    let page = browser.get(&app.at("/connections")).await.unwrap();
    browser
        .follow(&link(&app, &page, "Reconnect op"))
        .await
        .unwrap();
    states("connected", "connected").await;

    let token = csrf(&programs, &app).await;
    let disconnect = async |account: &str| {
        let fields = [("csrf", &*token), ("account", account)];
        let there = app.at("/disconnect/op");
        let left = programs.post_form(&there, &fields).await.unwrap();
        assert_eq!(left.status, 200);
    };
    disconnect("").await;
    states("not_connected", "connected").await;
    work.token().await.unwrap();
    disconnect("w&rk").await;
    assert_shown(&programs, &app, &[("op", "", "not_connected")]).await;
    assert!(work.token().await.is_err());
}

/// A label is bounded before anybody is sent away, and it logs nobody in.
async fn a_label_that_is_none_connects_nothing(framework: Framework) {
    let app = with(framework).await;
    let (_, programs, _) = alice(&app).await;
    let long = "a".repeat(256);
    for (label, code) in [
        (long.as_str(), "invalid_key"),
        ("a%0Ab", "invalid_key"),
        ("a&account=b", "invalid_parameter"),
    ] {
        let there = app.at(&format!("/connect/op?account={label}"));
        let (_, found, _) = super::error(&programs.get(&there).await.unwrap());
        assert_eq!(found, code, "{label}");
    }
    // By /login it says nothing: who logs in has the one account.
    let fresh = app.browser().accepting_json();
    let visit = fresh
        .log_in(&app.at("/login/op?account=work"), "alice")
        .await
        .unwrap();
    assert_eq!(visit.last().status, 200);
    assert_shown(&fresh, &app, &[("op", "", "connected")]).await;
    let client = app.oauth.client("op").unwrap();
    let alone = client
        .authorize_redirect(app.at("/callback/op"))
        .account("work");
    refused(alone.await, ErrorCode::InvalidParameter);
}

/// Every tenant there could be.
struct Tenants(Registration, Registration);

#[async_trait]
impl ClientSource for Tenants {
    async fn registration(&self, name: &str) -> tokenkeep::Result<Option<Registration>> {
        let mut all = [&self.0, &self.1].into_iter();
        Ok(all.find(|tenant| tenant.name() == name).cloned())
    }
}

async fn a_tenant_of_a_source_is_shown_where_there_is_a_grant(framework: Framework) {
    let world = World::new().await;
    let named = |name: &str| world.registration_named(name);
    let tenants = Tenants(named("tenant-1"), named("tenant-2"));
    let app = App::built(
        framework,
        world,
        |builder: OAuthBuilder| builder.client_source(tenants),
        |routes| routes.connections(|_, _| true),
    );
    let (browser, programs, _) = alice(&app).await;
    assert_shown(&programs, &app, &[("op", "", "connected")]).await;
    browser.follow(&app.at("/connect/tenant-2")).await.unwrap();
    let both = [("op", "", "connected"), ("tenant-2", "", "connected")];
    assert_shown(&programs, &app, &both).await;
    let token = csrf(&programs, &app).await;
    let fields = [("csrf", &*token)];
    let left = programs
        .post_form(&app.at("/disconnect/tenant-2"), &fields)
        .await
        .unwrap();
    assert_eq!(left.status, 200);
    assert_shown(&programs, &app, &[("op", "", "connected")]).await;
}

/// No list reaches them.
async fn what_closures_keep_is_shown_too(framework: Framework) {
    let world = World::new().await;
    let kept = world
        .registration_named("kept")
        .fetch_token(async |_: TokenKey| {
            Ok::<_, tokenkeep::Error>(Some(Token::builder("kept").build()?))
        })
        .update_token(async |_, _, _| Ok::<_, tokenkeep::Error>(()));
    let app = App::built(
        framework,
        world,
        |builder: OAuthBuilder| builder.register(kept),
        |routes| routes.connections(|_, _| true),
    );
    let (_, programs, _) = alice(&app).await;
    let both = [("kept", "", "connected"), ("op", "", "connected")];
    assert_shown(&programs, &app, &both).await;
}

async fn hundreds_of_clients_are_one_look_into_the_store(framework: Framework) {
    let app = with(framework).await;
    let names: Vec<_> = (0..400)
        .map(|number| format!("client-{number:03}"))
        .collect();
    register(&app, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let (browser, programs, _) = alice(&app).await;
    let calls = || app.world.store.calls(Method::Fetch) + app.world.store.calls(Method::Find);
    let before = calls();
    let page = browser.get(&app.at("/connections")).await.unwrap();
    assert_eq!(page.body.matches("<li ").count(), 401);
    let looks = calls() - before;
    assert!(looks <= 4, "{looks} calls of the store");
    assert_eq!(rows(&programs, &app).await.len(), 401);
}

async fn the_page_is_sealed_and_there_only_if_it_is_asked_for(framework: Framework) {
    let app = App::with(framework, |routes| {
        routes.prefix("/auth").connections(|session, client| {
            assert!(!session.owner().is_empty());
            client.len() < 20
        })
    })
    .await;
    let odd = "a b/<i>\u{fc}";
    register(&app, &[odd, "a-client-that-is-not-shown"]);
    let browser = app.browser().with_header("accept", "text/html");
    browser
        .log_in(&app.at("/auth/login/op"), "alice")
        .await
        .unwrap();
    let page = browser.get(&app.at("/auth/connections")).await.unwrap();
    assert_eq!(page.status, 200);
    assert_private(&page, "same-origin");
    assert_sealed(&page, "; form-action 'self'");
    assert!(!page.body.contains("<i>"), "{}", page.body);
    assert!(!page.body.contains("not-shown"), "{}", page.body);
    let there = link(&app, &page, "Connect a b/&lt;i&gt;\u{fc}");
    let expected = "/auth/connect/a%20b%2F%3Ci%3E%C3%BC?return_to=%2Fauth%2Fconnections";
    assert_eq!(there, app.at(expected));
    let visit = browser.follow(&there).await.unwrap();
    assert_eq!(visit.last().url.as_str(), app.at("/auth/connections"));
    assert!(visit.last().body.contains("Disconnect a b/&lt;i&gt;\u{fc}"));

    let without = App::with(framework, |routes| routes).await;
    let (browser, ..) = alice(&without).await;
    for path in ["/connections", "/disconnect/op"] {
        assert_eq!(browser.get(&without.at(path)).await.unwrap().status, 404);
        assert_eq!(
            browser
                .post_form(&without.at(path), &[])
                .await
                .unwrap()
                .status,
            404
        );
    }
}

on_each_framework!(
    an_account_is_connected_reconnected_and_disconnected_on_the_page,
    only_the_users_own_page_disconnects_and_only_what_is_shown,
    a_further_account_is_shown_beside_the_first_and_disconnected_alone,
    each_of_two_accounts_is_reconnected_and_disconnected_for_itself,
    a_label_that_is_none_connects_nothing,
    a_tenant_of_a_source_is_shown_where_there_is_a_grant,
    what_closures_keep_is_shown_too,
    hundreds_of_clients_are_one_look_into_the_store,
    the_page_is_sealed_and_there_only_if_it_is_asked_for,
);
