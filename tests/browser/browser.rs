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
//! | `error` | an error's page | `data-error` is the code |

use std::sync::Arc;
use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, Locator};
use serde_json::{Value, json};
use url::Url;

use crate::parts::eventually;
use crate::world::{Case, World, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(browser::log_in_refresh_log_out),
        case!(browser::two_tabs_log_in_at_once),
        case!(browser::live_feed_tells_of_a_refresh_in_another_tab),
        case!(browser::call_the_api_and_connect_another_client),
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
    // Going back in history shows no kept page of the time before.
    window.client.back().await.unwrap();
    window.client.refresh().await.unwrap();
    window.go("/").await;
    window.find("signed-out").await;
}

async fn two_tabs_log_in_at_once(world: Arc<World>) {
    let first = Window::open(&world, true).await;
    first.go("/login/op").await;
    first.css("input[name=login]").await;
    let second = first.tab().await;
    second.go("/login/op").await;
    second.css("input[name=login]").await;

    first.at_provider("alice").await;
    first.find("signed-in-as").await;
    second.at_provider("alice").await;
    second.find("signed-in-as").await;
    second
        .row("op", "is active", |row| row.state == "active")
        .await;
    first.go("/").await;
    first.find("signed-in-as").await;
    assert_eq!(
        world.provider.token_requests("authorization_code").await,
        2,
        "each tab finished its own flow"
    );
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

/// Long enough for a busy machine; a test that passes waits only as long as it must.
const PATIENCE: Duration = Duration::from_secs(30);

/// One tab of a browser.
struct Window {
    world: Arc<World>,
    client: Client,
    handle: WindowHandle,
}

struct Row {
    generation: u64,
    state: String,
}

impl Window {
    async fn open(world: &Arc<World>, javascript: bool) -> Self {
        let client = world.browser(javascript).await;
        let handle = client.window().await.unwrap();
        Self {
            world: Arc::clone(world),
            client,
            handle,
        }
    }

    /// Another tab of the same browser: the same cookies.
    async fn tab(&self) -> Self {
        let handle = self.client.new_window(true).await.unwrap().handle;
        Self {
            world: Arc::clone(&self.world),
            client: self.client.clone(),
            handle,
        }
    }

    async fn to_front(&self) {
        self.client
            .switch_to_window(self.handle.clone())
            .await
            .unwrap();
    }

    async fn go(&self, path: &str) {
        self.to_front().await;
        self.client
            .goto(self.world.demo.url(path).as_str())
            .await
            .unwrap();
        self.record().await;
    }

    /// Logs in from the start page to the start page.
    async fn log_in(&self, client: &str, login: &str) {
        self.go("/").await;
        self.click(&format!("login-{client}")).await;
        self.at_provider(login).await;
        self.text("signed-in-as", login).await;
        self.row(client, "is active", |row| row.state == "active")
            .await;
    }

    /// Logs out from the start page, agreeing to what the provider asks.
    async fn log_out(&self) {
        self.go("/").await;
        self.click("logout").await;
        eventually(
            "the provider asks whether to sign out",
            PATIENCE,
            async || {
                let url = self.client.current_url().await.ok()?;
                if self.is_home(&url) {
                    self.try_click("[data-test=logout]").await?;
                    return None;
                }
                self.try_click("button[name=logout][value=yes]").await
            },
        )
        .await;
        eventually("back from the provider", PATIENCE, async || {
            self.is_home(&self.client.current_url().await.ok()?)
                .then_some(())
        })
        .await;
        self.record().await;
        self.go("/").await;
        self.find("signed-out").await;
    }

    /// Does what the provider's pages ask for until they lead back to the demo. There is always one: consent.
    async fn at_provider(&self, login: &str) {
        self.to_front().await;
        let mut been_there = false;
        eventually("back at the demo from the provider", PATIENCE, async || {
            if self.is_home(&self.client.current_url().await.ok()?) {
                return been_there.then_some(());
            }
            been_there = true;
            if let Ok(field) = self.client.find(Locator::Css("input[name=login]")).await {
                let _ = field.clear().await;
                field.send_keys(login).await.ok()?;
                let password = self
                    .client
                    .find(Locator::Css("input[name=password]"))
                    .await
                    .ok()?;
                password.send_keys("any").await.ok()?;
                self.try_click("button[type=submit]").await?;
            } else if self
                .client
                .find(Locator::Css("input[name=prompt][value=consent]"))
                .await
                .is_ok()
            {
                self.try_click("button[type=submit]").await?;
            }
            None
        })
        .await;
        self.record().await;
    }

    fn is_home(&self, url: &Url) -> bool {
        url.origin() == self.world.demo.base.origin()
    }

    /// Waits for an element of the page.
    async fn find(&self, hook: &str) {
        self.css(&format!("[data-test=\"{hook}\"]")).await;
    }

    async fn css(&self, css: &str) {
        self.to_front().await;
        eventually(&format!("{css} on the page"), PATIENCE, async || {
            self.client.find(Locator::Css(css)).await.ok()
        })
        .await;
        self.record().await;
    }

    /// Waits until an element's text contains `part`.
    async fn text(&self, hook: &str, part: &str) {
        self.to_front().await;
        let css = format!("[data-test=\"{hook}\"]");
        eventually(&format!("{part} in {css}"), PATIENCE, async || {
            let text = self
                .client
                .find(Locator::Css(&css))
                .await
                .ok()?
                .text()
                .await
                .ok()?;
            text.contains(part).then_some(())
        })
        .await;
        self.record().await;
    }

    async fn click(&self, hook: &str) {
        self.click_css(&format!("[data-test=\"{hook}\"]")).await;
    }

    async fn click_in_row(&self, client: &str, hook: &str) {
        self.click_css(&format!(
            "[data-test=token-row][data-client=\"{client}\"] [data-test=\"{hook}\"]"
        ))
        .await;
    }

    async fn click_css(&self, css: &str) {
        self.to_front().await;
        eventually(&format!("{css} to click on"), PATIENCE, async || {
            self.try_click(css).await
        })
        .await;
    }

    async fn try_click(&self, css: &str) -> Option<()> {
        self.client
            .find(Locator::Css(css))
            .await
            .ok()?
            .click()
            .await
            .ok()
    }

    /// Waits until the row of a client is as it should be.
    async fn row(&self, client: &str, what: &str, is: impl Fn(&Row) -> bool) -> Row {
        self.to_front().await;
        let css = format!("[data-test=token-row][data-client=\"{client}\"]");
        let row = eventually(
            &format!("the row of {client} {what}"),
            PATIENCE,
            async || {
                let element = self.client.find(Locator::Css(&css)).await.ok()?;
                let generation = element.attr("data-generation").await.ok()??.parse().ok()?;
                let state = element.attr("data-state").await.ok()??;
                Some(Row { generation, state }).filter(&is)
            },
        )
        .await;
        self.record().await;
        row
    }

    async fn generation(&self, client: &str) -> u64 {
        self.row(client, "is there", |_| true).await.generation
    }

    /// Nothing stands out to the right. Keeps a picture to look at.
    async fn fits(&self, name: &str) {
        let width = self
            .client
            .execute("return document.documentElement.scrollWidth", Vec::new())
            .await
            .unwrap();
        self.world.picture(&self.client, name).await;
        assert!(
            width.as_u64().is_some_and(|width| width <= 360),
            "{name} is {width} wide on a phone of 360"
        );
    }

    /// How bright the text is, of 255, for people who prefer this color scheme.
    async fn text_brightness(&self, scheme: &str) -> f64 {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
        self.world.picture(&self.client, scheme).await;
        let script = "return getComputedStyle(document.body).color.match(/[0-9.]+/g).slice(0, 3).map(Number)";
        let parts: Vec<f64> =
            serde_json::from_value(self.client.execute(script, Vec::new()).await.unwrap()).unwrap();
        0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2]
    }

    async fn devtools(&self, cmd: &'static str, params: Value) {
        self.to_front().await;
        self.client
            .issue_cmd(Devtools { cmd, params })
            .await
            .unwrap();
    }

    /// Keeps the page as evidence, if it is one of ours.
    async fn record(&self) {
        let seen: Result<_, CmdError> = async {
            Ok((
                self.client.current_url().await?,
                self.client.source().await?,
            ))
        }
        .await;
        if let Ok((url, source)) = seen
            && self.is_home(&url)
        {
            self.world.evidence.page(url.path(), &source);
        }
    }
}

/// A command of the browser's own protocol, which chromedriver passes on.
#[derive(Debug)]
struct Devtools {
    cmd: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &Url) -> (reqwest::Method, Option<String>) {
        (
            reqwest::Method::POST,
            Some(json!({"cmd": self.cmd, "params": self.params}).to_string()),
        )
    }
}
