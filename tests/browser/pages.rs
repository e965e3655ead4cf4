//! What the application's pages let happen: nothing that they don't need.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::Value;
use url::Url;

use crate::elsewhere::Elsewhere;
use crate::window::{Request, Window};
use crate::world::{Case, World, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(pages::say_what_browsers_may_do_with_them),
        case!(pages::show_a_providers_markup_as_text),
        case!(pages::run_nothing_that_gets_into_them),
        case!(pages::going_back_after_a_logout_shows_nobody),
        case!(pages::a_callback_that_is_visited_again_changes_nothing),
        case!(pages::no_code_leaves_in_a_referrer),
        case!(pages::of_the_routes_alone_are_styled_and_ask_for_nothing),
    ]
}

async fn say_what_browsers_may_do_with_them(world: Arc<World>) {
    let alice = world.person();
    alice.log_in("op", "alice").await;
    let pages = [
        (200, "/"),
        (200, "/logout"),
        (200, "/userinfo/op"),
        (200, "/api/op/me"),
        (200, "/healthz"),
        (404, "/nowhere"),
        (404, "/login/nobody"),
        (400, "/callback/op?code=x&state=x"),
        (400, "/logged-out/op?state=x"),
    ];
    for (status, path) in pages {
        let reply = alice.page(path).await;
        assert_eq!(reply.status, status, "{path}");
        let header = |name: &str| {
            let value = reply.headers.get(name);
            value.map_or("", |value| value.to_str().unwrap())
        };
        assert!(header("content-type").starts_with("text/html"), "{path}");
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {part} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        let referrer = header("referrer-policy");
        let allowed = if status == 200 {
            "same-origin"
        } else {
            "no-referrer"
        };
        assert!(
            referrer == allowed || (path == "/nowhere" && referrer == "same-origin"),
            "{path}: {referrer}"
        );
    }
    // What an API answers is passed on to programs, and does nothing where a browser shows it.
    let request = alice.request(Method::GET, world.demo.url("/api/op/me"));
    let reply = alice.send(request.header(ACCEPT, "application/json")).await;
    let policy = reply.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("sandbox"), "{policy}");
}

/// Ends a title, an attribute and a text, and runs wherever it is markup.
const MARKUP: &str = "'\"></title></script><img src=x onerror=name=1>";

async fn show_a_providers_markup_as_text(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    window.go("/").await;
    window.click("login-op").await;
    window.at_provider(MARKUP).await;
    let is_text = async |place: &str| {
        let page = "return [window.name, document.images.length, \
                    document.documentElement.textContent]";
        let seen = window.script(page).await;
        assert_eq!(seen[0], "", "{place} ran it");
        assert_eq!(seen[1], 0, "{place} has it as markup");
        seen[2].as_str().unwrap().to_owned()
    };
    // JSON writes the quotation mark in its own way.
    let shown = &MARKUP[2..];
    window.find("signed-in-as").await;
    assert!(is_text("the start page").await.contains(shown));
    for path in ["/logout", "/userinfo/op", "/api/op/me"] {
        window.go(path).await;
        assert!(is_text(path).await.contains(shown), "{path} shows it");
    }

    // An error's name, as a hostile provider may make it.
    window.requests().await;
    window.go("/login/op").await;
    let asked = request_to(&window, &world.provider.issuer).await;
    let (_, state) = asked
        .query_pairs()
        .find(|(name, _)| name == "state")
        .expect("a login has a state");
    let mut callback = world.demo.url("/callback/op");
    callback.query_pairs_mut().extend_pairs([
        ("error", MARKUP),
        ("error_description", MARKUP),
        ("state", &state),
        ("iss", world.provider.issuer.as_str().trim_end_matches('/')),
    ]);
    window.visit(callback.as_str()).await;
    window
        .css("[data-test=error][data-error=provider_error]")
        .await;
    is_text("the error's page").await;
}

/// The first address of a site that the browser asked for since the last look.
async fn request_to(window: &Window, site: &Url) -> Url {
    let requests = window.requests().await;
    let mut there = requests
        .into_iter()
        .filter(|request| request.url.origin() == site.origin());
    there.next().expect("the browser went there").url
}

/// Escaping is the first line. Should markup get into a page all the same, the policy is the second.
async fn run_nothing_that_gets_into_them(world: Arc<World>) {
    let elsewhere = Elsewhere::start(None).await;
    let far = elsewhere.url("localhost", "/far");
    let injected = format!(
        r#"
        const done = arguments[arguments.length - 1];
        const root = document.documentElement;
        const blocked = [];
        document.addEventListener("securitypolicyviolation", ({{ effectiveDirective }}) => blocked.push(effectiveDirective));
        const add = (name, members) => document.body.append(Object.assign(document.createElement(name), members));
        document.body.insertAdjacentHTML("beforeend", `<p onclick="document.documentElement.dataset.ran = 1" id="injected">`);
        document.getElementById("injected").click();
        add("script", {{ textContent: "document.documentElement.dataset.ran = 1" }});
        add("script", {{ src: "{far}" }});
        add("img", {{ src: "{far}" }});
        add("iframe", {{ src: "{far}" }});
        add("link", {{ rel: "stylesheet", href: "{far}" }});
        add("style", {{ textContent: "body {{ color: rgb(1, 2, 3) }}" }});
        add("base", {{ href: "{far}" }});
        add("object", {{ data: "{far}" }});
        fetch("{far}", {{ mode: "no-cors" }}).catch(() => 0);
        const end = performance.now() + 5000;
        const look = setInterval(() => {{
          if (blocked.length < 10 && performance.now() < end) return;
          clearInterval(look);
          done([
            root.dataset.ran ?? null, document.baseURI === location.href, getComputedStyle(document.body).color,
            blocked.sort(),
          ]);
        }}, 20);
        "#
    );
    let window = Window::open(&world, true).await;
    window.log_in("op", "alice").await;
    for path in [
        "/",
        "/logout",
        "/userinfo/op",
        "/callback/op?code=x&state=x",
    ] {
        window.go(path).await;
        let seen = window.client.execute_async(&injected, Vec::new()).await;
        let seen = seen.unwrap();
        assert_eq!(seen[0], Value::Null, "{path}: a script ran");
        assert_eq!(seen[1], true, "{path}: addresses stay its own");
        assert_ne!(seen[2], "rgb(1, 2, 3)", "{path}: no foreign style");
        let blocked: Vec<&str> = seen[3]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let expected = [
            "base-uri",
            "connect-src",
            "frame-src",
            "img-src",
            "object-src",
            "script-src-attr",
            "script-src-elem",
            "script-src-elem",
            "style-src-elem",
            "style-src-elem",
        ];
        assert_eq!(blocked, expected, "{path}");
    }
    assert!(elsewhere.visits("/far").is_empty(), "nothing was loaded");
    // All of them wanted.
    assert!(!window.violations().await.is_empty());
}

async fn going_back_after_a_logout_shows_nobody(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    window.log_in("op", "alice").await;
    window.click_in_row("op", "api-call").await;
    window.text("api-result", "alice").await;
    window.go("/userinfo/op").await;
    window.log_out().await;
    let mut seen = 0;
    for _ in 0..20 {
        window.client.back().await.unwrap();
        let url = window.client.current_url().await.unwrap();
        if url.scheme() != "http" {
            break;
        }
        if window.is_home(&url) {
            let text = window.script("return document.body.innerText").await;
            let text = text.as_str().unwrap();
            assert!(!text.contains("alice"), "{} shows {text}", url.path());
            assert!(
                text.contains("Nobody is signed in") || text.contains("That did not work"),
                "{} shows {text}",
                url.path()
            );
            seen += 1;
        }
    }
    assert!(seen >= 4, "pages of the time before the logout: {seen}");
}

async fn a_callback_that_is_visited_again_changes_nothing(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    window.requests().await;
    window.log_in("op", "alice").await;
    let callback = callback_of(window.requests().await);
    remember_code(&world, &callback);
    let sessions = window.own_cookies("tokenkeep-session").await;
    window.visit(callback.as_str()).await;
    window
        .css("[data-test=error][data-error=state_mismatch]")
        .await;
    window.go("/").await;
    window.client.back().await.unwrap();
    window
        .css("[data-test=error][data-error=state_mismatch]")
        .await;
    assert_eq!(
        window.own_cookies("tokenkeep-session").await,
        sessions,
        "the session is what it was"
    );
    window.go("/").await;
    window.text("signed-in-as", "alice").await;
    window
        .row("op", "is active", |row| row.state == "active")
        .await;
    assert_eq!(world.provider.token_requests("authorization_code").await, 1);
}

/// The callback among the browser's requests.
fn callback_of(requests: Vec<Request>) -> Url {
    let mut urls = requests.into_iter().map(|request| request.url);
    urls.find(|url| url.path().starts_with("/callback/"))
        .expect("the browser came to the callback")
}

fn remember_code(world: &World, callback: &Url) {
    for (name, value) in callback.query_pairs() {
        if name == "code" {
            world.evidence.secret("an authorization code", &value);
        }
    }
}

async fn no_code_leaves_in_a_referrer(world: Arc<World>) {
    let elsewhere = Elsewhere::start(None).await;
    let window = Window::open(&world, true).await;
    window.requests().await;
    window.log_in("op", "alice").await;
    let referrer = window.script("return document.referrer").await;
    let referrer = referrer.as_str().unwrap().to_owned();
    let mut requests = window.requests().await;
    let callback = requests.iter().map(|request| &request.url);
    let callback = callback
        .clone()
        .find(|url| url.path().starts_with("/callback/"))
        .expect("the browser came to the callback")
        .clone();
    remember_code(&world, &callback);
    assert!(!referrer.contains("code="), "{referrer}");

    // Used once, it shows an error's page, which stays on the screen.
    window.visit(callback.as_str()).await;
    window.find("error").await;
    requests.extend(window.requests().await);
    assert!(
        requests
            .iter()
            .any(|request| request.url.path() == "/demo.css")
    );
    for request in &requests {
        let referrer = request.header("referer").unwrap_or_default();
        assert!(
            !referrer.contains("code=") && !referrer.contains("state="),
            "{} heard of it",
            request.url.path()
        );
    }
    // A link out, which that page does not have.
    let link = format!(
        "document.body.insertAdjacentHTML('beforeend', '<a id=out href=\"{}\">out</a>')",
        elsewhere.url("localhost", "/out")
    );
    elsewhere.page("/out", "<p id=there>there");
    window.script(&link).await;
    window.click_css("#out").await;
    window.css("#there").await;
    let visits = elsewhere.visits("/out");
    assert_eq!(visits.len(), 1);
    assert_eq!(visits[0].headers.get("referer"), None);
}

/// The application's own pages replace those of the routes in the demo; here is an application that has none.
async fn of_the_routes_alone_are_styled_and_ask_for_nothing(world: Arc<World>) {
    let oauth = tokenkeep::OAuth::builder()
        .store(tokenkeep::MemoryStore::new())
        .key_ring(tokenkeep::KeyRing::ephemeral())
        .register(
            tokenkeep::Registration::openid("op", world.provider.issuer.as_str()).client_id("x"),
        )
        .base_url("http://127.0.0.1")
        .build()
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let routes = axum::Router::from(tokenkeep::axum::routes(&oauth));
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let window = Window::open(&world, true).await;
    for path in ["/logout", "/callback/op?code=x&state=x", "/login/nobody"] {
        window.visit(&format!("{base}{path}")).await;
        let width = window
            .script("return getComputedStyle(document.body).maxWidth")
            .await;
        assert_eq!(width, "512px", "{path} has its style");
    }
    let violations = crate::window::violations(&window.client, &base.parse().unwrap()).await;
    assert_eq!(violations, Vec::<String>::new());
}
