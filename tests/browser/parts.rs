//! The programs that take part, each a child process that can't outlive its test: it is killed when dropped, and by the
//! kernel should the test binary itself be killed.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

use crate::tls::Certificates;

/// The application's host name where it speaks https.
pub(crate) const APPLICATION: &str = "app.example.test";
/// Names that the browser finds on loopback, beside the application's siblings.
pub(crate) const SITES: &str = "*.elsewhere.test";

/// How long a program may take to be there. Far more than it needs; a busy machine is slow.
const START: Duration = Duration::from_secs(30);

/// A program that ends with its parent.
pub(crate) fn program(path: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(path.as_ref());
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A loopback port that nobody listens on, below the range that the kernel gives to outgoing connections.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT)
}

/// Asks until there is an answer, or fails after `limit` with `what`.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A client that finds the application by its name, and trusts the test's own root where there is one.
pub(crate) fn http(tls: Option<&Certificates>) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    match tls {
        Some(tls) => builder
            .tls_certs_only([tls.root()])
            .resolve(APPLICATION, ([127, 0, 0, 1], 0).into()),
        None => builder,
    }
}

/// oidc-provider, a certified OpenID Provider.
pub(crate) struct Provider {
    pub(crate) issuer: Url,
    http: reqwest::Client,
    _process: Child,
}

impl Provider {
    pub(crate) async fn start(config: &Value, http: reqwest::Client, log: File) -> Self {
        let home = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../oidc"));
        let mut process = program(node(home))
            .arg("server.mjs")
            .current_dir(home)
            .env("OIDC_CONFIG", config.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("Node.js is there");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(START, lines.next_line())
            .await
            .expect("the provider starts in time")
            .unwrap()
            .expect("the provider says where it is, see its log");
        let said: Value = serde_json::from_str(&line).unwrap();
        Self {
            issuer: said["issuer"].as_str().unwrap().parse().unwrap(),
            http,
            _process: process,
        }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        self.issuer.join(path).unwrap()
    }

    /// Every secret that went out or came in, in order, as (kind, value).
    pub(crate) async fn issued(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = self.list("/-/issued").await;
        list.iter()
            .map(|entry| (text(&entry["kind"]), text(&entry["value"])))
            .collect()
    }

    /// The values of one kind, in the order in which they were issued.
    pub(crate) async fn issued_of(&self, kind: &str) -> Vec<String> {
        self.issued()
            .await
            .into_iter()
            .filter(|(of, _)| of == kind)
            .map(|(_, value)| value)
            .collect()
    }

    /// How many requests of a grant type the token endpoint has answered.
    pub(crate) async fn token_requests(&self, grant_type: &str) -> usize {
        self.list("/-/requests")
            .await
            .iter()
            .filter(|request| request["endpoint"] == "token" && request["grantType"] == grant_type)
            .count()
    }

    /// How many requests at its token and revocation endpoints it has refused.
    pub(crate) async fn refusals(&self) -> usize {
        let requests = self.list("/-/requests").await;
        requests
            .iter()
            .filter(|request| request["status"] != 200)
            .count()
    }

    /// How many revocations it has accepted.
    pub(crate) async fn revocations(&self) -> usize {
        self.list("/-/requests")
            .await
            .iter()
            .filter(|request| request["endpoint"] == "revocation" && request["status"] == 200)
            .count()
    }

    /// What clients answered to its back-channel logouts, in order: which client, and whether it was 200.
    pub(crate) async fn logouts(&self) -> Vec<(String, bool)> {
        let list = self.list("/-/logouts").await;
        list.iter()
            .map(|entry| {
                let client = entry["clientId"].as_str().unwrap().to_owned();
                (client, entry["ok"] == true)
            })
            .collect()
    }

    /// A request of a client at an endpoint of the provider, past the demo.
    pub(crate) async fn ask(
        &self,
        path: &str,
        client: (&str, &str),
        form: &[(&str, &str)],
    ) -> (u16, Value) {
        let answer = self
            .http
            .post(self.url(path))
            .basic_auth(encoded(client.0), Some(encoded(client.1)))
            .form(form)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        answer.json::<Vec<Value>>().await.unwrap()
    }
}

/// As RFC 6749, section 2.3.1 wants it inside Basic authentication.
pub(crate) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The Node.js that came with the provider, else the one of the machine.
fn node(home: &Path) -> PathBuf {
    ["x64", "arm64"]
        .into_iter()
        .map(|machine| home.join(format!("node_modules/node-linux-{machine}/bin/node")))
        .find(|node| node.exists())
        .unwrap_or_else(|| "node".into())
}

/// The demo: the application under test.
pub(crate) struct Demo {
    pub(crate) base: Url,
    process: Child,
}

impl Demo {
    /// Starts it on loopback, at the port of `base`, with nothing in its environment but what is given here.
    pub(crate) async fn start(
        base: Url,
        tls: Option<&Certificates>,
        store: &Path,
        environment: &[(String, String)],
        log: &Path,
    ) -> Self {
        let demo =
            std::env::var_os("TOKENKEEP_DEMO").expect("TOKENKEEP_DEMO names the demo's binary");
        let out = File::options().create(true).append(true).open(log).unwrap();
        let mut process = program(demo)
            .args([
                "--listen",
                &format!("127.0.0.1:{}", base.port().unwrap()),
                "--provider",
                "none",
                "--web",
                &std::env::var("TOKENKEEP_DEMO_WEB").unwrap_or_else(|_| "axum".to_owned()),
                "--store",
            ])
            .arg(format!("sqlite:{}", store.display()))
            .args(tls.into_iter().flat_map(|tls| {
                [
                    ("--tls-cert", &tls.certificate),
                    ("--tls-key", &tls.key),
                    ("--ca", &tls.root),
                ]
                .into_iter()
                .flat_map(|(option, file)| [option.into(), file.clone().into_os_string()])
            }))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .expect("the demo's binary is there");
        let http = http(tls).build().unwrap();
        let health = base.join("/healthz").unwrap();
        let start = Instant::now();
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                panic!(
                    "the demo ended at once ({status}):\n{}",
                    last_lines(log, 30)
                );
            }
            if http
                .get(health.clone())
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {
                break;
            }
            assert!(
                start.elapsed() < START,
                "the demo is not ready after {START:?}:\n{}",
                last_lines(log, 30)
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Self { base, process }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap()
    }

    /// Asks it to end, and waits until it has written everything.
    pub(crate) async fn stop(&mut self) {
        if let Some(id) = self.process.id() {
            let _ = Command::new("kill").arg(id.to_string()).status().await;
        }
        if tokio::time::timeout(Duration::from_secs(10), self.process.wait())
            .await
            .is_err()
        {
            let _ = self.process.kill().await;
            panic!("the demo did not end within 10 s after SIGTERM");
        }
    }
}

fn last_lines(log: &Path, count: usize) -> String {
    let text = std::fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Chromium with a profile of its own, and the driver that steers it.
///
/// The driver is attached to a browser that we started, so that both are our children.
pub(crate) struct Chromium {
    pub(crate) client: fantoccini::Client,
    _browser: Child,
    _driver: Child,
    _profile: tempfile::TempDir,
}

impl Chromium {
    pub(crate) async fn start(javascript: bool, tls: Option<&Certificates>, log: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        if !javascript {
            let preferences =
                json!({"profile": {"managed_default_content_settings": {"javascript": 2}}});
            std::fs::create_dir(profile.path().join("Default")).unwrap();
            std::fs::write(
                profile.path().join("Default/Preferences"),
                preferences.to_string(),
            )
            .unwrap();
        }
        let out = File::options().create(true).append(true).open(log).unwrap();
        let browser = program(variable("CHROMIUM", "chromium"))
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-breakpad",
                "--window-size=1000,900",
                "--remote-debugging-port=0",
                // Nothing leaves loopback, whatever a page asks for.
                "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            ])
            // The one key that is trusted beside the usual roots.
            .args(tls.map(|tls| format!("--ignore-certificate-errors-spki-list={}", tls.pin)))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .stdout(out.try_clone().unwrap())
            .stderr(out.try_clone().unwrap())
            .spawn()
            .expect("Chromium is there");
        let file = profile.path().join("DevToolsActivePort");
        let debugger = eventually("Chromium opens its debugging port", START, async || {
            let text = std::fs::read_to_string(&file).ok()?;
            let (port, _) = text.split_once('\n')?;
            Some(format!("127.0.0.1:{port}"))
        })
        .await;

        let mut driver = program(variable("CHROMEDRIVER", "chromedriver"))
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(out)
            .spawn()
            .expect("chromedriver is there");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let address = tokio::time::timeout(START, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, port)) = line
                    .trim_end_matches('.')
                    .split_once("successfully on port ")
                {
                    return format!("http://127.0.0.1:{port}");
                }
            }
            panic!("chromedriver ended without a word");
        })
        .await
        .expect("chromedriver starts in time");

        let options = json!({"debuggerAddress": debugger});
        // What pages complain of, and what goes over the network.
        let logs = json!({"browser": "ALL", "performance": "ALL"});
        let client = fantoccini::ClientBuilder::new(
            hyper_util::client::legacy::connect::HttpConnector::new(),
        )
        .capabilities(
            [
                ("goog:chromeOptions".to_owned(), options),
                ("goog:loggingPrefs".to_owned(), logs),
            ]
            .into_iter()
            .collect(),
        )
        .connect(&address)
        .await
        .expect("chromedriver opens a session");
        Self {
            client,
            _browser: browser,
            _driver: driver,
            _profile: profile,
        }
    }
}

fn variable(name: &str, default: &str) -> std::ffi::OsString {
    std::env::var_os(name).unwrap_or_else(|| default.into())
}
