//! A login and an API call, side by side with Authlib's client: the CPU time that each costs the application.
//!
//! Run with `cargo bench -p tokenkeep-bench --bench authlib`. It needs Python 3 with `venv`, and puts Authlib and requests
//! into `target/authlib-venv` by itself, once.
//!
//! One provider on loopback serves both. The clients are processes of their own, so that only their own time counts:
//! `/proc/PID/task/*/schedstat` before and after each batch. Batches take turns, and what counts is the ratio of the medians.
//!
//! A login is the redirect, the callback, the code exchange and the validation of the ID token, without a web framework on
//! either side; what the browser does, this program does. Ours also seals the login into its cookie, opens it and uses it
//! up; Authlib's keeps it in a dictionary. Metadata and keys are loaded before it is measured.
//!
//! Three runs on a busy machine with two cores: a login costs Authlib's client (1.7.2, on requests) 4.9 to 5.3 times as much, a
//! call 25 to 31 times. Most of a call is the connection that Authlib opens for each.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that cannot go on stops"
)]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
};

use tokenkeep_core::{BrowserCookies, CallbackParams, KeyRing, OAuth, Registration};
use tokenkeep_memory::MemoryStore;
use tokenkeep_testing::Provider;
use tokio::runtime::{Builder, Runtime};

/// How often both take their turn, and how much of each is done then.
const ROUNDS: usize = 41;
const LOGINS: usize = 5;
const CALLS: usize = 50;
const REDIRECT_URI: &str = "http://127.0.0.1:3000/callback/op";

fn main() -> ExitCode {
    if env::args().any(|argument| argument == "--client") {
        client();
        return ExitCode::SUCCESS;
    }
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let provider = Provider::builder().auto_login("alice").start();
    let provider = runtime.block_on(provider).unwrap();
    let mut sides = [
        Side::start("tokenkeep", ours(), &provider),
        Side::start("Authlib", theirs(), &provider),
    ];
    for side in &mut sides {
        // Metadata, keys, connections, code that is loaded late.
        side.log_in(&runtime, &provider);
        side.call(CALLS);
    }
    let mut times: [[Vec<f64>; 2]; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (side, times) in sides.iter_mut().zip(&mut times) {
            let before = side.cpu();
            for _ in 0..LOGINS {
                side.log_in(&runtime, &provider);
            }
            let between = side.cpu();
            side.call(CALLS);
            times[0].push((between - before) / LOGINS as f64);
            times[1].push((side.cpu() - between) / CALLS as f64);
        }
    }
    for (number, what) in ["a login", "an API call"].into_iter().enumerate() {
        let [ours, theirs] = [0, 1].map(|side: usize| median(&mut times[side][number]));
        println!("{what}, CPU time of the application");
        println!("  {:<12}{:>9.1} µs", sides[0].name, ours * 1e6);
        println!(
            "  {:<12}{:>9.1} µs  {:.1} x",
            sides[1].name,
            theirs * 1e6,
            theirs / ours
        );
    }
    ExitCode::SUCCESS
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A client in a process of its own.
struct Side {
    name: &'static str,
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Side {
    fn start(name: &'static str, mut command: Command, provider: &Provider) -> Self {
        let mut process = command
            .env("ISSUER", provider.issuer())
            .env("CLIENT_ID", provider.client_id())
            .env("CLIENT_SECRET", provider.client_secret())
            .env("API_BASE_URL", provider.api_base_url())
            .env("REDIRECT_URI", REDIRECT_URI)
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            name,
            commands: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{} has ended", self.name);
        line.trim().to_owned()
    }

    fn log_in(&mut self, runtime: &Runtime, provider: &Provider) {
        let url = self.ask("login");
        let browser = provider.browser();
        let callback = runtime.block_on(browser.callback(&url, "alice")).unwrap();
        assert_eq!(self.ask(callback.url.as_str()), "done");
    }

    fn call(&mut self, times: usize) {
        assert_eq!(self.ask(&times.to_string()), "done");
    }

    /// Seconds of CPU time that its threads have had.
    fn cpu(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let nanoseconds = tasks.filter_map(|task| {
            let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<f64>().ok()
        });
        nanoseconds.sum::<f64>() / 1e9
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ours() -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg("--client");
    command
}

/// Authlib in a virtual environment, made if it is not there.
fn theirs() -> Command {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = bench.join("../../target/authlib-venv");
    let python = venv.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    }
    let there = Command::new(&python)
        .args(["-c", "import authlib, requests"])
        .stderr(Stdio::null())
        .status();
    if !there.unwrap().success() {
        run(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "authlib==1.7.2",
            "requests",
        ]));
    }
    let program: PathBuf = bench.join("benches/authlib/client.py");
    let mut command = Command::new(python);
    command.arg(program);
    command
}

fn run(command: &mut Command) {
    let status = command.status();
    if !status.as_ref().is_ok_and(|status| status.success()) {
        panic!("{command:?}: {status:?}; it needs Python 3 with venv and pip");
    }
}

/// The other side: tokenkeep, a command a line.
fn client() {
    let of = |name: &str| env::var(name).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .key_ring(KeyRing::ephemeral())
        .base_url("http://127.0.0.1:3000/")
        .register(
            Registration::openid("op", of("ISSUER"))
                .client_id(of("CLIENT_ID"))
                .client_secret(of("CLIENT_SECRET"))
                .scopes(["openid", "offline_access"])
                .api_base_url(of("API_BASE_URL")),
        )
        .build()
        .unwrap();
    let mut lines = std::io::stdin().lines();
    while let Some(Ok(line)) = lines.next() {
        if line == "login" {
            let client = oauth.client("op").unwrap();
            let redirect = client.authorize_redirect(REDIRECT_URI);
            let redirect = runtime.block_on(async { redirect.await }).unwrap();
            println!("{}", redirect.url);
            let back: url::Url = lines.next().unwrap().unwrap().parse().unwrap();
            let cookies = redirect.cookies.iter();
            let header: Vec<_> = cookies
                .map(|cookie| format!("{}={}", cookie.name, cookie.value.expose()))
                .collect();
            let cookies = BrowserCookies::parse([header.join("; ").as_str()]);
            runtime.block_on(async {
                let params = CallbackParams::parse(back.query().unwrap()).unwrap();
                let returned = client.authorize_access_token(&params, &cookies, None).await;
                let login = returned.login.unwrap();
                assert_eq!(login.subject(), Some("alice"));
                oauth.keep_login(&login, "alice", None).await.unwrap();
            });
        } else {
            let alice = oauth.client("op").unwrap().owner("alice");
            runtime.block_on(async {
                for _ in 0..line.parse().unwrap() {
                    let me = alice.get("me").await.unwrap();
                    let me: serde_json::Value = me.json().await.unwrap();
                    assert_eq!(me["sub"], "alice");
                }
            });
        }
        println!("done");
    }
}
