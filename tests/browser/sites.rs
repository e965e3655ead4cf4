//! What pages of other sites can make a browser do at the application: cookies know sites by their host names, not ports.

use std::sync::Arc;

use crate::elsewhere::Elsewhere;
use crate::person::AtProvider;
use crate::window::Window;
use crate::world::{Case, Setup, World, case};

pub(crate) fn cases() -> Vec<Case> {
    let localhost = Setup {
        host: Some("localhost"),
        ..Setup::default()
    };
    vec![
        case!(sites::of_another_name_get_a_visit_and_nothing_else),
        case!(
            sites::of_another_address_get_a_visit_and_nothing_else,
            localhost
        ),
        case!(sites::of_the_same_name_lack_the_csrf_token),
        case!(sites::frame_no_page),
        case!(sites::hand_over_no_login_of_their_own),
    ]
}

/// What would change something.
const CHANGES: [&str; 4] = [
    "/logout",
    "/tokens/op/refresh",
    "/tokens/op/expire",
    "/tokens/op/revoke",
];

async fn of_another_name_get_a_visit_and_nothing_else(world: Arc<World>) {
    another_site_gets_a_visit_and_nothing_else(&world, "localhost").await;
}

async fn of_another_address_get_a_visit_and_nothing_else(world: Arc<World>) {
    another_site_gets_a_visit_and_nothing_else(&world, "127.0.0.1").await;
}

async fn another_site_gets_a_visit_and_nothing_else(world: &Arc<World>, site: &str) {
    let elsewhere = Elsewhere::start(None).await;
    let window = Window::open(world, true).await;
    window.log_in("op", "alice").await;
    let generation = window.generation("op").await;

    let session = &window.own_cookies("tokenkeep-session").await[0];
    assert_eq!(session["sameSite"], "Lax", "{}", session["name"]);
    assert_eq!(session["httpOnly"], true);
    assert_eq!(session["path"], "/");
    assert_eq!(window.script("return document.cookie").await, "");

    // A form of another site comes as somebody who is not signed in.
    for path in CHANGES {
        elsewhere.page("/form", &posting(world.demo.url(path).as_str(), ""));
        window.visit(&elsewhere.url(site, "/form")).await;
        window
            .css("[data-test=error][data-error=not_signed_in]")
            .await;
    }

    // So do the requests that its pages make; and what is answered, they don't see.
    let home = world.demo.url("/tokens");
    elsewhere.page("/requests", &requesting(home.as_str()));
    window.requests().await;
    window.visit(&elsewhere.url(site, "/requests")).await;
    window.css("body[data-image][data-read][data-sent]").await;
    assert_eq!(
        window.script("return document.body.dataset.read").await,
        "refused"
    );
    let mut requests = window.requests().await;
    requests.retain(|request| request.url == home);
    assert_eq!(requests.len(), 3, "an image and two fetches");
    for request in requests {
        assert!(request.is_known(), "{request:?}");
        assert_eq!(request.header("cookie"), None);
    }

    // A link brings the session along, and no more than a look.
    let link = |path| format!("<a id=go href=\"{}\">go</a>", world.demo.url(path));
    elsewhere.page("/link", &link("/connect/other"));
    window.visit(&elsewhere.url(site, "/link")).await;
    window.click_css("#go").await;
    window
        .css("[data-test=error][data-error=csrf_mismatch]")
        .await;
    elsewhere.page("/link", &link("/"));
    window.visit(&elsewhere.url(site, "/link")).await;
    window.click_css("#go").await;
    window.text("signed-in-as", "alice").await;
    window
        .row("op", "is as it was", |row| {
            row.state == "active" && row.generation == generation
        })
        .await;
}

/// Another port of the same host is the same site: cookies go along, and the token of the session is what protects.
async fn of_the_same_name_lack_the_csrf_token(world: Arc<World>) {
    let elsewhere = Elsewhere::start(None).await;
    let window = Window::open(&world, true).await;
    window.log_in("op", "alice").await;
    let generation = window.generation("op").await;
    let with_none = CHANGES.map(|path| (path, ""));
    let with_another = [("/tokens/op/revoke", "<input name=csrf value=x>")];
    for (path, field) in with_none.into_iter().chain(with_another) {
        elsewhere.page("/form", &posting(world.demo.url(path).as_str(), field));
        window.visit(&elsewhere.url("127.0.0.1", "/form")).await;
        window
            .css("[data-test=error][data-error=csrf_mismatch]")
            .await;
    }
    window.go("/").await;
    window
        .row("op", "is as it was", |row| {
            row.state == "active" && row.generation == generation
        })
        .await;
}

/// Neither on another site nor where cookies go along.
async fn frame_no_page(world: Arc<World>) {
    let elsewhere = Elsewhere::start(None).await;
    let window = Window::open(&world, true).await;
    window.log_in("op", "alice").await;
    // What such a page shows where it may.
    elsewhere.page("/harmless", "<p>tokenkeep");
    for site in ["127.0.0.1", "localhost"] {
        let harmless = framed(&window, &elsewhere, site, &elsewhere.url(site, "/harmless")).await;
        assert!(harmless.contains("tokenkeep"), "a frame can be looked into");
        for path in ["/", "/logout", "/callback/op"] {
            let url = world.demo.url(path);
            let shown = framed(&window, &elsewhere, site, url.as_str()).await;
            assert!(!shown.contains("tokenkeep"), "{site} frames {path}");
        }
    }
    // Refusals to be framed are the framing page's.
    assert_eq!(window.violations().await, Vec::<String>::new());
}

/// What a frame with this address shows in a page of `site`.
async fn framed(window: &Window, elsewhere: &Elsewhere, site: &str, url: &str) -> String {
    let frame =
        format!("<iframe src=\"{url}\" onload=\"document.body.dataset.loaded=1\"></iframe>");
    elsewhere.page("/frame", &frame);
    window.visit(&elsewhere.url(site, "/frame")).await;
    window.css("body[data-loaded]").await;
    window.client.enter_frame(0).await.unwrap();
    let shown = window.client.source().await.unwrap();
    window.client.enter_parent_frame().await.unwrap();
    shown
}

/// Login CSRF: the attacker's answer of the provider, in somebody else's browser.
async fn hand_over_no_login_of_their_own(world: Arc<World>) {
    let elsewhere = Elsewhere::start(None).await;
    let window = Window::open(&world, true).await;
    let mallory = world.person();
    let answer = async || {
        let agree = AtProvider::Agree { login: "mallory" };
        let callback = mallory.authorize("/login/op", agree).await;
        let code = callback.query_pairs().find(|(name, _)| name == "code");
        let code = code.expect("the provider answers with a code").1;
        world.evidence.secret("an authorization code", &code);
        callback
    };
    let refused = async |page: &str| {
        elsewhere.page("/answer", page);
        window.visit(&elsewhere.url("localhost", "/answer")).await;
        window
            .css("[data-test=error][data-error=state_mismatch]")
            .await;
    };

    // Nobody is signed in, then somebody who has a login of their own under way.
    for has_login in [false, true] {
        if has_login {
            window.go("/login/op").await;
            window.css("input[name=login]").await;
        }
        let callback = answer().await;
        let link = format!("<script>location = \"{callback}\"</script>");
        refused(&link).await;
        // By a form as well: the callback takes both.
        let callback = answer().await;
        let fields: String = callback
            .query_pairs()
            .map(|(name, value)| format!("<input name=\"{name}\" value=\"{value}\">"))
            .collect();
        let (action, _) = callback.as_str().split_once('?').unwrap();
        refused(&posting(action, &fields)).await;
        assert!(window.own_cookies("tokenkeep-session").await.is_empty());
        window.go("/").await;
        window.find("signed-out").await;
    }

    // Somebody is signed in, and stays who they are.
    window.log_in("op", "alice").await;
    let callback = answer().await;
    refused(&format!("<script>location = \"{callback}\"</script>")).await;
    window.go("/").await;
    window.text("signed-in-as", "alice").await;
    assert_eq!(
        world.provider.token_requests("authorization_code").await,
        1,
        "alice's alone"
    );
}

/// A form that sends itself.
pub(crate) fn posting(action: &str, fields: &str) -> String {
    format!(
        "<form method=post action=\"{action}\">{fields}</form><script>document.forms[0].submit()</script>"
    )
}

/// A page that asks for `url` in every way that sends a browser's cookies, and notes how each ended.
fn requesting(url: &str) -> String {
    format!(
        r#"<script>
        const note = (what, how) => {{ document.body.dataset[what] = how; }};
        const image = new Image();
        image.onload = image.onerror = () => note("image", "done");
        image.src = "{url}";
        fetch("{url}", {{ credentials: "include" }}).then(() => note("read", "shown"), () => note("read", "refused"));
        fetch("{url}", {{ credentials: "include", mode: "no-cors" }}).then(({{ type }}) => note("sent", type), () => note("sent", "refused"));
        </script><body>"#
    )
}
