//! The application over https, with a provider on another site, and with sibling hosts that want to meddle.

use std::sync::Arc;

use serde_json::Value;

use crate::elsewhere::Elsewhere;
use crate::parts::APPLICATION;
use crate::person::AtProvider;
use crate::sites::posting;
use crate::window::Window;
use crate::world::{Case, Setup, World, case};

pub(crate) fn cases() -> Vec<Case> {
    let https = Setup {
        https: true,
        ..Setup::default()
    };
    let form_post = Setup {
        form_post: true,
        ..Setup::default()
    };
    let both = Setup {
        form_post: true,
        ..https
    };
    vec![
        case!(siblings::a_form_of_another_site_brings_the_answer, both),
        case!(siblings::a_form_over_http_works_on_loopback, form_post),
        case!(siblings::plant_no_session_and_no_login, https),
        case!(siblings::act_no_more_than_others, https),
    ]
}

async fn a_form_of_another_site_brings_the_answer(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    let flow = login_by_form(&world, &window).await;
    assert_eq!(flow["sameSite"], "None");
    assert_eq!(flow["secure"], true);
    assert_eq!(flow["path"], "/");
    assert!(flow["name"].as_str().unwrap().starts_with("__Host-"));

    let session = &window.own_cookies("__Host-tokenkeep-session").await[0];
    assert_eq!(session["sameSite"], "Lax");
    assert_eq!(session["secure"], true);
    assert_eq!(session["httpOnly"], true);
    errors_by_form(&window).await;
    connects_by_form(&window).await;
    window.go("/").await;
    window.log_out().await;
}

/// Without `Secure` there is no `SameSite=None`; a browser that was asked for no attribute sends the cookie along for its first
/// two minutes.
async fn a_form_over_http_works_on_loopback(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    let flow = login_by_form(&world, &window).await;
    assert_eq!(flow["sameSite"], Value::Null);
    assert_eq!(flow["secure"], false);
    errors_by_form(&window).await;
    connects_by_form(&window).await;
}

/// Logs in; the cookie of the login as it was while alice was at the provider.
async fn login_by_form(world: &Arc<World>, window: &Window) -> Value {
    window.go("/").await;
    window.click("login-op").await;
    window.css("input[name=login]").await;
    let flows = flows(window).await;
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0]["httpOnly"], true);
    window.requests().await;
    window.at_provider("alice").await;
    window.text("signed-in-as", "alice").await;
    let requests = window.requests().await;
    let callback = requests
        .iter()
        .find(|request| request.url.path() == "/callback/op")
        .expect("the browser came to the callback");
    assert_eq!(callback.url.query(), None, "nothing stands in an address");
    let host = world.demo.base.host_str().unwrap();
    assert_ne!(callback.header("origin"), Some(host));
    assert!(self::flows(window).await.is_empty(), "it was used up");
    flows[0].clone()
}

/// Connecting an account asks who is signed in, and the session does not come along with a form of another site.
async fn connects_by_form(window: &Window) {
    let generation = window.generation("op").await;
    window.go("/connect/op").await;
    window.at_provider("alice").await;
    window.text("signed-in-as", "alice").await;
    window
        .row("op", "was granted anew", |row| row.generation > generation)
        .await;
}

async fn flows(window: &Window) -> Vec<Value> {
    let mut flows = window.own_cookies("").await;
    flows.retain(|cookie| cookie["name"].as_str().unwrap().contains("tokenkeep-flow"));
    flows
}

/// A refusal comes by a form too: by somebody, and by a provider that was told to ask nobody.
async fn errors_by_form(window: &Window) {
    window.go("/login/op").await;
    window.click_css(".login-help a").await;
    window
        .css("[data-test=error][data-error=access_denied]")
        .await;
    window.go("/login/other").await;
    window
        .css("[data-test=error][data-error=provider_error]")
        .await;
    let text = window.script("return document.body.innerText").await;
    let text = text.as_str().unwrap();
    assert!(text.contains("consent_required"), "{text}");
    assert!(flows(window).await.is_empty(), "both were used up");
    window.go("/").await;
    window.text("signed-in-as", "alice").await;
}

/// The attacker holds a sibling of the application's host, and a session and a login of their own.
async fn plant_no_session_and_no_login(world: Arc<World>) {
    let elsewhere = Elsewhere::start(world.tls.as_ref()).await;
    let mallory = world.person();
    mallory.log_in("op", "mallory").await;
    let agree = AtProvider::Agree { login: "mallory" };
    let callback = mallory.authorize("/login/op", agree).await;
    let own = mallory.cookies();
    assert!(own.iter().any(|(name, _)| name.contains("session")));
    assert!(own.iter().any(|(name, _)| name.contains("flow")));

    let mut cookies = vec!["friendly=\u{e9}\u{2003}; Domain=example.test; Path=/".to_owned()];
    for (name, value) in &own {
        let bare = name.trim_start_matches("__Host-");
        for name in [
            name.clone(),
            bare.to_owned(),
            format!("__Secure-{bare}"),
            format!("__HOST-{bare}"),
            format!("__host-{bare}"),
            // Blanks that a careless server takes off again.
            format!("\u{2003}__Host-{bare}"),
            format!("\u{a0}__Host-{bare}"),
            // No name, and a value that looks like one.
            format!("=__Host-{bare}"),
        ] {
            for path in ["/", "/tokens", "/callback"] {
                cookies.push(format!(
                    "{name}={value}; Domain=example.test; Path={path}; Secure"
                ));
            }
        }
    }
    elsewhere.page_with_cookies("/plant", "<p id=planted>", &cookies);
    let window = Window::open(&world, true).await;
    let plant = async || {
        window
            .visit(&elsewhere.url("evil.example.test", "/plant"))
            .await;
        window.css("#planted").await;
    };
    let answer_of_mallory = async || {
        window.visit(callback.as_str()).await;
        window
            .css("[data-test=error][data-error=state_mismatch]")
            .await;
    };

    plant().await;
    let planted = window.cookies().await;
    let planted = planted
        .iter()
        .filter(|cookie| cookie["domain"] == ".example.test");
    assert!(planted.count() >= 10, "some could be set for all siblings");
    for path in ["/", "/logout"] {
        window.go(path).await;
        let text = window.script("return document.body.innerText").await;
        assert!(text.as_str().unwrap().contains("Nobody is signed in"));
    }
    answer_of_mallory().await;

    // Whoever signs in with those cookies around is who they are, and stays it.
    window.log_in("op", "alice").await;
    plant().await;
    answer_of_mallory().await;
    for path in ["/", "/userinfo/op", "/logout"] {
        window.go(path).await;
        let text = window.script("return document.body.innerText").await;
        let text = text.as_str().unwrap();
        assert!(
            text.contains("alice") && !text.contains("mallory"),
            "{text}"
        );
    }
    window.log_out().await;
}

/// Siblings are one site: their requests bring cookies along, and nothing comes of it.
async fn act_no_more_than_others(world: Arc<World>) {
    let elsewhere = Elsewhere::start(world.tls.as_ref()).await;
    let window = Window::open(&world, true).await;
    window.log_in("op", "alice").await;
    let generation = window.generation("op").await;
    let hosts = [
        ("evil.example.test", "csrf_mismatch"),
        ("www.elsewhere.test", "not_signed_in"),
    ];
    for (host, refusal) in hosts {
        for path in ["/logout", "/tokens/op/revoke"] {
            elsewhere.page("/form", &posting(world.demo.url(path).as_str(), ""));
            window.visit(&elsewhere.url(host, "/form")).await;
            let error = format!("[data-test=error][data-error={refusal}]");
            window.css(&error).await;
        }
        let link = format!(
            "<a id=go href=\"{}\">go</a>",
            world.demo.url("/connect/other")
        );
        elsewhere.page("/link", &link);
        window.visit(&elsewhere.url(host, "/link")).await;
        window.click_css("#go").await;
        window
            .css("[data-test=error][data-error=csrf_mismatch]")
            .await;
    }
    assert_eq!(world.demo.base.host_str(), Some(APPLICATION));
    window.go("/").await;
    window
        .row("op", "is as it was", |row| {
            row.state == "active" && row.generation == generation
        })
        .await;
}
