//! A tab of Chromium, as a person and as the devtools see it.

use std::sync::Arc;
use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, Locator};
use serde_json::{Value, json};
use url::Url;

use crate::parts::eventually;
use crate::world::World;

/// Long enough for a busy machine; a test that passes waits only as long as it must.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One tab of a browser.
pub(crate) struct Window {
    world: Arc<World>,
    pub(crate) client: Client,
    handle: WindowHandle,
}

pub(crate) struct Row {
    pub(crate) generation: u64,
    pub(crate) state: String,
}

impl Window {
    pub(crate) async fn open(world: &Arc<World>, javascript: bool) -> Self {
        let client = world.browser(javascript).await;
        let handle = client.window().await.unwrap();
        Self {
            world: Arc::clone(world),
            client,
            handle,
        }
    }

    /// Another tab of the same browser: the same cookies.
    pub(crate) async fn tab(&self) -> Self {
        let handle = self.client.new_window(true).await.unwrap().handle;
        Self {
            world: Arc::clone(&self.world),
            client: self.client.clone(),
            handle,
        }
    }

    pub(crate) async fn to_front(&self) {
        self.client
            .switch_to_window(self.handle.clone())
            .await
            .unwrap();
    }

    pub(crate) async fn go(&self, path: &str) {
        self.to_front().await;
        self.client
            .goto(self.world.demo.url(path).as_str())
            .await
            .unwrap();
        self.record().await;
    }

    /// Logs in from the start page to the start page.
    pub(crate) async fn log_in(&self, client: &str, login: &str) {
        self.go("/").await;
        self.click(&format!("login-{client}")).await;
        self.at_provider(login).await;
        self.text("signed-in-as", login).await;
        self.row(client, "is active", |row| row.state == "active")
            .await;
    }

    /// Logs out from the start page, agreeing to what the provider asks.
    pub(crate) async fn log_out(&self) {
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
    pub(crate) async fn at_provider(&self, login: &str) {
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

    pub(crate) fn is_home(&self, url: &Url) -> bool {
        url.origin() == self.world.demo.base.origin()
    }

    /// Waits for an element of the page.
    pub(crate) async fn find(&self, hook: &str) {
        self.css(&format!("[data-test=\"{hook}\"]")).await;
    }

    pub(crate) async fn css(&self, css: &str) {
        self.to_front().await;
        eventually(&format!("{css} on the page"), PATIENCE, async || {
            self.client.find(Locator::Css(css)).await.ok()
        })
        .await;
        self.record().await;
    }

    /// Waits until an element's text contains `part`.
    pub(crate) async fn text(&self, hook: &str, part: &str) {
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

    pub(crate) async fn click(&self, hook: &str) {
        self.click_css(&format!("[data-test=\"{hook}\"]")).await;
    }

    pub(crate) async fn click_in_row(&self, client: &str, hook: &str) {
        self.click_css(&format!(
            "[data-test=token-row][data-client=\"{client}\"] [data-test=\"{hook}\"]"
        ))
        .await;
    }

    pub(crate) async fn click_css(&self, css: &str) {
        self.to_front().await;
        eventually(&format!("{css} to click on"), PATIENCE, async || {
            self.try_click(css).await
        })
        .await;
    }

    pub(crate) async fn try_click(&self, css: &str) -> Option<()> {
        self.client
            .find(Locator::Css(css))
            .await
            .ok()?
            .click()
            .await
            .ok()
    }

    /// Waits until the row of a client is as it should be.
    pub(crate) async fn row(&self, client: &str, what: &str, is: impl Fn(&Row) -> bool) -> Row {
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

    pub(crate) async fn generation(&self, client: &str) -> u64 {
        self.row(client, "is there", |_| true).await.generation
    }

    /// Nothing stands out to the right. Keeps a picture to look at.
    pub(crate) async fn fits(&self, name: &str) {
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
    pub(crate) async fn text_brightness(&self, scheme: &str) -> f64 {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
        self.world.picture(&self.client, scheme).await;
        let script = "return getComputedStyle(document.body).color.match(/[0-9.]+/g).slice(0, 3).map(Number)";
        let parts: Vec<f64> =
            serde_json::from_value(self.client.execute(script, Vec::new()).await.unwrap()).unwrap();
        0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2]
    }

    pub(crate) async fn devtools(&self, cmd: &'static str, params: Value) -> Value {
        self.to_front().await;
        let (path, body) = ("goog/cdp/execute", json!({"cmd": cmd, "params": params}));
        self.client.issue_cmd(Driver { path, body }).await.unwrap()
    }

    /// Goes to any address.
    pub(crate) async fn visit(&self, url: &str) {
        self.to_front().await;
        self.client.goto(url).await.unwrap();
        self.record().await;
    }

    /// What a script of the page would find.
    pub(crate) async fn script(&self, script: &str) -> Value {
        self.to_front().await;
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Every cookie of the browser, of all sites, as the devtools show them.
    pub(crate) async fn cookies(&self) -> Vec<Value> {
        let answer = self.devtools("Storage.getCookies", json!({})).await;
        answer["cookies"].as_array().unwrap().clone()
    }

    /// The application's cookies whose name begins so.
    pub(crate) async fn own_cookies(&self, name: &str) -> Vec<Value> {
        let host = self.world.demo.base.host_str();
        let mut cookies = self.cookies().await;
        cookies.retain(|cookie| {
            cookie["domain"].as_str() == host && cookie["name"].as_str().unwrap().starts_with(name)
        });
        cookies
    }

    /// What went over the network since the last look.
    pub(crate) async fn requests(&self) -> Vec<Request> {
        let entries = log(&self.client, "performance").await;
        let messages = entries.iter().map(|entry| {
            serde_json::from_str::<Value>(entry["message"].as_str().unwrap()).unwrap()
        });
        let mut requests: Vec<Request> = Vec::new();
        let mut sent: Vec<(String, Value)> = Vec::new();
        for message in messages {
            let (method, params) = (&message["message"]["method"], &message["message"]["params"]);
            let id = params["requestId"].as_str().unwrap_or_default().to_owned();
            match method.as_str() {
                Some("Network.requestWillBeSent") => {
                    let url = params["request"]["url"].as_str().unwrap();
                    if let Ok(url) = url.parse() {
                        requests.push(Request {
                            id,
                            url,
                            headers: Value::Null,
                        });
                    }
                }
                // In the order of the requests, though not right behind each.
                Some("Network.requestWillBeSentExtraInfo") => {
                    sent.push((id, params["headers"].clone()))
                }
                _ => {}
            }
        }
        for (id, headers) in sent {
            let waiting = requests
                .iter_mut()
                .find(|request| request.id == id && request.headers.is_null());
            if let Some(request) = waiting {
                request.headers = headers;
            }
        }
        requests
    }

    /// What the application's pages were refused by their own policy, since the last look.
    pub(crate) async fn violations(&self) -> Vec<String> {
        violations(&self.client, &self.world.demo.base).await
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

/// A request of the browser.
#[derive(Debug)]
pub(crate) struct Request {
    id: String,
    pub(crate) url: Url,
    headers: Value,
}

impl Request {
    /// A header as it was sent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.as_object()?;
        let mut found = headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name));
        found.next()?.1.as_str()
    }

    /// Does the browser tell what it sent?
    pub(crate) fn is_known(&self) -> bool {
        !self.headers.is_null()
    }
}

/// What pages of an address were refused by their policy, since the last look. Without queries, which may hold a code.
pub(crate) async fn violations(client: &Client, base: &Url) -> Vec<String> {
    let entries = log(client, "browser").await;
    let messages = entries.iter().filter_map(|entry| entry["message"].as_str());
    messages
        .filter(|message| {
            message.starts_with(base.as_str()) && message.contains("Content Security Policy")
        })
        .map(|message| {
            message
                .split_whitespace()
                .map(|word| word.split('?').next().unwrap_or_default())
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

/// The entries of one of chromedriver's logs since the last look.
async fn log(client: &Client, kind: &str) -> Vec<Value> {
    let (path, body) = ("se/log", json!({"type": kind}));
    let entries = client.issue_cmd(Driver { path, body }).await.unwrap();
    entries.as_array().unwrap().clone()
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct Driver {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Driver {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(self.body.to_string()))
    }
}
