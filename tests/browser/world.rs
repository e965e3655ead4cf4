//! What one test has to itself: a provider, the demo in front of it, people and browsers; and what must hold of all of it
//! when the test is over.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::evidence::Evidence;
use crate::parts::{APPLICATION, Chromium, Demo, Provider, encoded, free_port, http};
use crate::person::Person;
use crate::tls::{Certificates, signing_key};
use crate::window;

/// How long a test may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// A test under way. It stays on its thread.
type Run = Pin<Box<dyn Future<Output = ()>>>;

/// A test, by name.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) setup: Setup,
    pub(crate) test: fn(Arc<World>) -> Run,
}

/// `case!(module::function)` or `case!(module::function, setup)`: a test that is an async function of the world.
macro_rules! case {
    ($module:ident :: $test:ident) => {
        case!($module::$test, $crate::world::Setup::default())
    };
    ($module:ident :: $test:ident, $setup:expr) => {
        $crate::world::Case {
            name: concat!(stringify!($module), "::", stringify!($test)),
            setup: $setup,
            test: |world| Box::pin($test(world)),
        }
    };
}
pub(crate) use case;

/// What a test may ask for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    /// The provider takes its time at the token endpoint, so that what happens at once overlaps.
    pub(crate) slow_tokens: bool,
    /// The provider's answer is a form that the browser posts; it answers the client `other` without asking anybody.
    pub(crate) form_post: bool,
    /// All speak https, and the application is `app.example.test`.
    pub(crate) https: bool,
    /// The application's host name over http; `127.0.0.1` if not said.
    pub(crate) host: Option<&'static str>,
    /// How the client `op` proves itself: `client_secret_basic` if not said.
    pub(crate) method: Option<&'static str>,
}

pub(crate) struct World {
    pub(crate) provider: Provider,
    pub(crate) demo: Demo,
    pub(crate) evidence: Evidence,
    /// The client `op` as the provider knows it: id and secret.
    pub(crate) op: (String, String),
    pub(crate) tls: Option<Certificates>,
    environment: Vec<(String, String)>,
    browsers: Mutex<Vec<Chromium>>,
    logs: PathBuf,
    folder: TempDir,
}

impl World {
    async fn start(name: &str, setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // `tests/run` keeps all logs together and searches them once more; otherwise they go with the test.
        let logs = match std::env::var_os("TOKENKEEP_LOGS") {
            Some(logs) => Path::new(&logs).join(name.replace("::", "-")),
            None => folder.path().join("logs"),
        };
        std::fs::create_dir_all(&logs).unwrap();

        let evidence = Evidence::default();
        let secret = |kind: &str, text: String| {
            evidence.secret(kind, &text);
            text
        };
        // Characters that have to be escaped, once for the form encoding and again for the URL.
        let op_core = secret("the client secret of op", random_text());
        let op = ("op".to_owned(), format!("{op_core}+/%&=~:"));
        evidence.secret("op's Basic authentication", &basic(&op));
        let other_secret = secret("the client secret of other", random_text());
        let key = secret("the sealing key", random_text());

        let tls = setup.https.then(|| Certificates::make(folder.path()));
        let (scheme, host) = match &tls {
            Some(_) => ("https", APPLICATION),
            None => ("http", setup.host.unwrap_or("127.0.0.1")),
        };
        let base = format!("{scheme}://{host}:{}", free_port());
        let method = setup.method.unwrap_or("client_secret_basic");
        let mut op_client = client(&op.0, &op.1, method, &base);
        let key_of_op = (method == "private_key_jwt").then(|| {
            let (pem, jwk) = signing_key(folder.path());
            evidence.secret("the private key of op", pem.lines().nth(1).unwrap());
            op_client["jwks"] = json!({ "keys": [jwk] });
            op_client.as_object_mut().unwrap().remove("client_secret");
            pem
        });
        if method.ends_with("_jwt") {
            let algorithm = key_of_op.as_ref().map_or("HS256", |_| "ES256");
            op_client["token_endpoint_auth_signing_alg"] = algorithm.into();
        }
        let config = json!({
            "tokenDelay": if setup.slow_tokens { 1000 } else { 0 },
            "tls": tls.as_ref().map(|tls| json!({
                "cert": std::fs::read_to_string(&tls.certificate).unwrap(),
                "key": std::fs::read_to_string(&tls.key).unwrap(),
            })),
            "clients": [
                op_client,
                client("other", &other_secret, "client_secret_post", &base),
            ],
        });
        let provider = Provider::start(
            &config,
            http(tls.as_ref()).build().unwrap(),
            File::create(logs.join("provider.log")).unwrap(),
        )
        .await;
        let issuer = provider.issuer.as_str().trim_end_matches('/').to_owned();
        let mut kwargs = json!({
            "scope": "openid profile email offline_access",
            // Without it this provider drops offline_access without a word.
            "prompt": "consent",
            "refresh_reuse": "revokes_family",
        });
        if setup.form_post {
            kwargs["response_mode"] = "form_post".into();
        }
        let mut environment = vec![
            ("RUST_LOG".to_owned(), "trace".to_owned()),
            ("TOKENKEEP_BASE_URL".to_owned(), base.clone()),
            ("TOKENKEEP_KEYS".to_owned(), format!("run:{key}")),
            ("TOKENKEEP_CLIENTS".to_owned(), "op,other".to_owned()),
        ];
        for (name, id, client_secret) in [
            ("OP", &op.0, &op.1),
            ("OTHER", &"other".to_owned(), &other_secret),
        ] {
            if setup.form_post && id == "other" {
                kwargs["prompt"] = "none".into();
            }
            let mut own = kwargs.clone();
            match &key_of_op {
                Some(pem) if id == "op" => {
                    own["private_key"] = pem.as_str().into();
                    own["private_key_id"] = "client-1".into();
                }
                _ => environment.push((format!("{name}_CLIENT_SECRET"), client_secret.clone())),
            }
            if id == "op" && setup.method.is_some() {
                own["token_endpoint_auth_method"] = method.into();
            }
            environment.extend([
                (format!("{name}_CLIENT_ID"), id.clone()),
                (format!("{name}_ISSUER"), issuer.clone()),
                (format!("{name}_API_BASE_URL"), format!("{issuer}/")),
                (format!("{name}_CLIENT_KWARGS"), own.to_string()),
            ]);
        }
        let store = folder.path().join("tokens.sqlite");
        let demo = Demo::start(
            base.parse().unwrap(),
            tls.as_ref(),
            &store,
            &environment,
            &logs.join("demo.log"),
        )
        .await;
        Self {
            provider,
            demo,
            evidence,
            op,
            tls,
            environment,
            browsers: Mutex::default(),
            logs,
            folder,
        }
    }

    /// A client that follows no redirect and finds the application.
    pub(crate) fn http(&self) -> reqwest::Client {
        http(self.tls.as_ref()).build().unwrap()
    }

    pub(crate) fn person(self: &Arc<Self>) -> Person {
        Person::new(Arc::clone(self))
    }

    /// A second process of the application: the same store, base URL and keys.
    pub(crate) async fn second_demo(&self) -> Demo {
        let store = self.folder.path().join("tokens.sqlite");
        Demo::start(
            format!("http://127.0.0.1:{}", free_port()).parse().unwrap(),
            None,
            &store,
            &self.environment,
            &self.logs.join("demo.log"),
        )
        .await
    }

    /// A browser, kept until the test is over so that a failure can be looked at.
    pub(crate) async fn browser(&self, javascript: bool) -> fantoccini::Client {
        let log = self.logs.join("chromium.log");
        let chromium = Chromium::start(javascript, self.tls.as_ref(), &log).await;
        let client = chromium.client.clone();
        self.browsers.lock().unwrap().push(chromium);
        client
    }

    /// Keeps a picture of the page beside the logs.
    pub(crate) async fn picture(&self, client: &fantoccini::Client, name: &str) {
        let picture = client.screenshot().await.unwrap();
        std::fs::write(self.logs.join(format!("{name}.png")), picture).unwrap();
    }

    /// What the pages of the application were refused by their own policy.
    async fn violations(&self) -> Vec<String> {
        let mut violations = Vec::new();
        for client in self.clients() {
            violations.extend(window::violations(&client, &self.demo.base).await);
        }
        violations
    }

    fn clients(&self) -> Vec<fantoccini::Client> {
        let browsers = self.browsers.lock().unwrap();
        browsers
            .iter()
            .map(|browser| browser.client.clone())
            .collect()
    }

    /// Ends everything; the places where a secret stands.
    async fn finish(&self) -> Vec<String> {
        for (kind, value) in self.provider.issued().await {
            self.evidence.secret(kind, &value);
        }
        let mut files = files_in(&self.logs);
        files.retain(|file| file.ends_with("demo.log"));
        files.extend(files_in(self.folder.path()));
        self.evidence
            .leaks(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>())
    }

    /// Keeps what helps to understand a failure; where it is.
    async fn keep_failure(&self, name: &str) -> String {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("../browser-failures")
            .join(name.replace("::", "-"));
        let _ = std::fs::remove_dir_all(&kept);
        std::fs::create_dir_all(&kept).unwrap();
        for (number, client) in self.clients().into_iter().enumerate() {
            if let Ok(picture) = client.screenshot().await {
                std::fs::write(kept.join(format!("{number}.png")), picture).unwrap();
            }
            if let Ok(source) = client.source().await {
                std::fs::write(kept.join(format!("{number}.html")), source).unwrap();
            }
        }
        for file in files_in(&self.logs) {
            let _ = std::fs::copy(&file, kept.join(file.file_name().unwrap()));
        }
        kept.canonicalize().unwrap_or(kept).display().to_string()
    }
}

impl Case {
    /// Runs the test in a world of its own. An error says what failed and where to look.
    pub(crate) fn run(self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let mut world = Arc::new(World::start(self.name, self.setup).await);
            let mut test = tokio::task::spawn_local((self.test)(Arc::clone(&world)));
            let mut failure = match tokio::time::timeout(LIMIT, &mut test).await {
                Ok(Ok(())) => None,
                Ok(Err(panicked)) => Some(message(panicked)),
                Err(_) => {
                    test.abort();
                    let _ = test.await;
                    Some(format!("not done after {LIMIT:?}"))
                }
            };
            if failure.is_none() {
                let violations = world.violations().await;
                failure = (!violations.is_empty()).then(|| {
                    format!(
                        "pages that need what their policy forbids:\n{}",
                        violations.join("\n")
                    )
                });
            }
            if let Some(failure) = &mut failure {
                let kept = world.keep_failure(self.name).await;
                failure.push_str(&format!("\nscreenshots, pages and logs: {kept}"));
            }
            Arc::get_mut(&mut world)
                .expect("the test has let go of its world")
                .demo
                .stop()
                .await;
            let leaks = world.finish().await;
            hand_over(&world.evidence.secrets());
            match (failure, leaks.is_empty()) {
                (None, true) => Ok(()),
                (failure, true) => Err(failure.unwrap_or_default()),
                (failure, false) => Err(format!(
                    "{}\nsecrets where none may be:\n{}",
                    failure.unwrap_or_default(),
                    leaks.join("\n")
                )),
            }
        })
    }
}

/// What a panic said.
fn message(panicked: tokio::task::JoinError) -> String {
    let payload = panicked.into_panic();
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        })
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// Tells `tests/run` what to look for in the logs of the whole run, in a file that it deletes afterwards.
fn hand_over(secrets: &[String]) {
    use std::io::Write;
    if let Some(file) = std::env::var_os("TOKENKEEP_SECRETS") {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(file)
            .unwrap();
        file.write_all((secrets.join("\n") + "\n").as_bytes())
            .unwrap();
    }
}

fn client(id: &str, secret: &str, method: &str, base: &str) -> Value {
    json!({
        "client_id": id,
        "client_secret": secret,
        "token_endpoint_auth_method": method,
        "redirect_uris": [format!("{base}/callback/{id}")],
        "post_logout_redirect_uris": [format!("{base}/logged-out/{id}")],
        "backchannel_logout_uri": format!("{base}/backchannel-logout/{id}"),
        "backchannel_logout_session_required": true,
    })
}

fn basic((id, secret): &(String, String)) -> String {
    STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)))
}

/// 32 random bytes as text.
fn random_text() -> String {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut bytes)
        .unwrap();
    URL_SAFE_NO_PAD.encode(bytes)
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    entries.filter(|path| path.is_file()).collect()
}
