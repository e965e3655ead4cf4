//! The demo in Chromium, as a person uses it.
//!
//! What the page must offer, by `data-test`; nothing else of it is relied on. Buttons stand in forms, so that they work
//! without JavaScript.
//!
//! | `data-test` | where | what |
//! |---|---|---|
//! | `signed-in-as` | `/`, signed in | its text contains the person's name |
//! | `signed-out` | `/`, nobody signed in | says so |
//! | `login-{client}` | `/`, nobody signed in | leads to `/login/{client}` |
//! | `token-row` | `/`, signed in, one per kept grant | `data-client`, `data-generation`, `data-state` |
//! | `refresh`, `expire`, `api-call`, `revoke` | in its `token-row` | after refresh, expire and revoke: back at `/` |
//! | `api-result` | where `api-call` leads | what the API answered, with the person's `sub` |
//! | `connect-{client}` | `/`, signed in, a client without a grant | leads to `/connect/{client}` |
//! | `live-feed` | `/`, signed in | a list; `data-live="on"` while the stream is open; each entry has `data-kind` |
//! | `logout` | `/`, signed in, and `/logout` | clicked until the provider asks |
//! | `connections` | `/`, signed in | leads to the page of connected accounts |
//! | `error` | an error's page | `data-error` is the code |

use std::sync::Arc;

use serde_json::json;

use crate::window::Window;
use crate::world::{Case, World, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(browser::log_in_refresh_log_out),
        case!(browser::two_tabs_log_in_at_once),
        case!(browser::a_tab_of_the_login_before_does_nothing_for_the_next),
        case!(browser::live_feed_tells_of_a_refresh_in_another_tab),
        case!(browser::call_the_api_and_connect_another_client),
        case!(browser::accounts_are_connected_and_disconnected_on_their_page),
        case!(browser::expire_and_revoke),
        case!(browser::refused_consent_is_explained),
        case!(browser::everything_works_without_javascript),
        case!(browser::fits_a_phone_in_light_and_dark),
    ]
}

async fn log_in_refresh_log_out(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    window.go("/").await;
    window.find("signed-out").await;
    window.log_in("op", "alice").await;
    assert_eq!(world.provider.token_requests("authorization_code").await, 1);

    let generation = window.generation("op").await;
    window.click_in_row("op", "refresh").await;
    window
        .row("op", "has grown by one generation", |row| {
            row.generation == generation + 1
        })
        .await;
    assert_eq!(world.provider.token_requests("refresh_token").await, 1);

    window.log_out().await;
}

async fn two_tabs_log_in_at_once(world: Arc<World>) {
    let op = Window::open(&world, true).await;
    let other = op.tab().await;
    for (early, late) in [(&op, &other), (&other, &op)] {
        op.devtools("Network.clearBrowserCookies", json!({})).await;
        for (tab, client) in [(&op, "op"), (&other, "other")] {
            tab.go(&format!("/login/{client}")).await;
            tab.css("input[name=login]").await;
        }
        for tab in [early, late] {
            tab.at_provider("alice").await;
            tab.text("signed-in-as", "alice").await;
        }
        for client in ["op", "other"] {
            late.row(client, "is active", |row| row.state == "active")
                .await;
        }
        early.go("/").await;
        early.text("signed-in-as", "alice").await;
    }
    assert_eq!(
        world.provider.token_requests("authorization_code").await,
        4,
        "each tab finished its own flow"
    );
}

async fn a_tab_of_the_login_before_does_nothing_for_the_next(world: Arc<World>) {
    let alice = Window::open(&world, true).await;
    let bob = alice.tab().await;
    for tab in [&alice, &bob] {
        tab.go("/login/op").await;
        tab.css("input[name=login]").await;
    }
    alice.at_provider("alice").await;
    alice.text("signed-in-as", "alice").await;
    bob.at_provider("bob").await;
    bob.text("signed-in-as", "bob").await;
    let generation = bob.generation("op").await;

    // Her page is still there, and the browser is his.
    alice.text("signed-in-as", "alice").await;
    alice.click_in_row("op", "revoke").await;
    alice
        .css("[data-test=error][data-error=csrf_mismatch]")
        .await;
    alice.go("/").await;
    alice.text("signed-in-as", "bob").await;
    alice
        .row("op", "is as it was", |row| {
            row.state == "active" && row.generation == generation
        })
        .await;
}

async fn live_feed_tells_of_a_refresh_in_another_tab(world: Arc<World>) {
    let watching = Window::open(&world, true).await;
    watching.log_in("op", "alice").await;
    watching.css("[data-test=live-feed][data-live=on]").await;
    let acting = watching.tab().await;
    acting.go("/").await;
    acting.click_in_row("op", "refresh").await;
    watching
        .css("[data-test=live-feed] [data-kind=refreshed]")
        .await;
}

async fn call_the_api_and_connect_another_client(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    window.log_in("op", "alice").await;
    window.click_in_row("op", "api-call").await;
    window.text("api-result", "alice").await;

    window.go("/").await;
    window.click("connect-other").await;
    window.at_provider("alice").await;
    window
        .row("other", "is there", |row| row.state == "active")
        .await;
    window
        .row("op", "is still there", |row| row.state == "active")
        .await;
}

async fn accounts_are_connected_and_disconnected_on_their_page(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    window.log_in("op", "alice").await;
    window.click("connections").await;
    let row = |client: &str, state: &str| {
        format!("[data-test=connection][data-client={client}][data-state={state}]")
    };
    window.css(&row("op", "connected")).await;
    let other = row("other", "not_connected");
    window
        .click_css(&format!("{other} [data-test=connect]"))
        .await;
    window.at_provider("alice").await;
    let other = row("other", "connected");
    window
        .click_css(&format!("{other} [data-test=disconnect]"))
        .await;
    window.css(&row("other", "not_connected")).await;
    window.css(&row("op", "connected")).await;
    assert_eq!(window.violations().await, Vec::<String>::new());
}

async fn expire_and_revoke(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    window.log_in("op", "alice").await;
    let generation = window.generation("op").await;
    window.click_in_row("op", "expire").await;
    window
        .row("op", "is active after expire", |row| row.state == "active")
        .await;
    window.click_in_row("op", "api-call").await;
    window.text("api-result", "alice").await;
    window.go("/").await;
    window
        .row("op", "was renewed by the call", |row| {
            row.generation == generation + 1
        })
        .await;

    window.click_in_row("op", "revoke").await;
    window
        .row("op", "is not active after revoke", |row| {
            row.state != "active"
        })
        .await;
}

async fn refused_consent_is_explained(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    window.go("/login/op").await;
    window.css("input[name=login]").await;
    window.click_css(".login-help a").await;
    window
        .css("[data-test=error][data-error=access_denied]")
        .await;
    window.go("/").await;
    window.find("signed-out").await;
}

async fn everything_works_without_javascript(world: Arc<World>) {
    let window = Window::open(&world, false).await;
    window.log_in("op", "alice").await;
    let generation = window.generation("op").await;
    window.click_in_row("op", "refresh").await;
    window
        .row("op", "has grown by one generation", |row| {
            row.generation == generation + 1
        })
        .await;
    window.click_in_row("op", "api-call").await;
    window.text("api-result", "alice").await;
    window.go("/").await;
    window.click("connect-other").await;
    window.at_provider("alice").await;
    window
        .row("other", "is there", |row| row.state == "active")
        .await;
    window.log_out().await;
}

async fn fits_a_phone_in_light_and_dark(world: Arc<World>) {
    let window = Window::open(&world, true).await;
    window
        .devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": 360, "height": 780, "deviceScaleFactor": 2, "mobile": true}),
        )
        .await;
    window.go("/").await;
    window.find("signed-out").await;
    window.fits("signed-out").await;
    window.log_in("op", "alice").await;
    window.fits("signed-in").await;
    window.go("/logout").await;
    window.find("logout").await;
    window.fits("logout").await;
    window.go("/").await;

    let light = window.text_brightness("light").await;
    let dark = window.text_brightness("dark").await;
    assert!(light < 128.0, "dark text on light, not {light}");
    assert!(dark > 128.0, "light text on dark, not {dark}");
}
