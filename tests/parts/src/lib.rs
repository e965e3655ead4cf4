//! Private instances of the real servers that tokenkeep is tested with: Redis, PostgreSQL, MariaDB, and a server of OAuth 1.0a.
//!
//! Each listens on a loopback port of its own, keeps its data in a temporary folder, runs as a user without rights, and
//! ends with the program that started it, however that ends. `tests/install redis postgres mariadb oauthlib` installs them.
//!
//! ```no_run
//! let server = tokenkeep_parts::Server::shared(tokenkeep_parts::Kind::Postgres);
//! let url = server.fresh();
//! ```
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a part that does not start fails the test that wants it"
)]

mod kinds;
mod oauth1;
mod program;

pub use oauth1::OAuth1Server;

use std::{
    process::Child,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take to be there. Far more than it needs; a busy machine is slow.
const START: Duration = Duration::from_secs(60);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Redis, or Valkey under its name.
    Redis,
    /// PostgreSQL.
    Postgres,
    /// MariaDB, with a default collation that folds case.
    MariaDb,
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    port: u16,
    folder: TempDir,
    process: Mutex<Option<Child>>,
    databases: AtomicU32,
}

impl Server {
    /// Starts a server of its own, with an empty database.
    ///
    /// # Panics
    /// If it is not installed, or does not start.
    #[must_use]
    pub fn start(kind: Kind) -> Self {
        let folder = program::folder();
        kinds::prepare(kind, folder.path());
        let server = Self {
            kind,
            port: program::free_port(),
            folder,
            process: Mutex::new(None),
            databases: AtomicU32::new(0),
        };
        server.resume();
        server
    }

    /// The server of this kind that all tests of the program share; it ends with the program. Its databases are
    /// [`fresh`](Self::fresh).
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn shared(kind: Kind) -> &'static Self {
        static SHARED: [OnceLock<Server>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];
        SHARED[kind as usize].get_or_init(|| Self::start(kind))
    }

    /// The loopback port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database that nobody has used: a database of its own, or at Redis one of 4,096 numbers.
    ///
    /// Redis knows no databases in pub/sub: there the tests' key prefixes must differ too.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn fresh(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        kinds::create_database(self.kind, self.port, number);
        self.url(number)
    }

    /// The URL of the same database at another port, where a proxy listens.
    #[must_use]
    pub fn through(&self, url: &str, port: u16) -> String {
        url.replace(
            &format!("127.0.0.1:{}", self.port),
            &format!("127.0.0.1:{port}"),
        )
    }

    /// Runs a statement or command by the server's own client, and answers what it printed.
    ///
    /// # Panics
    /// If the client fails.
    pub fn run(&self, url: &str, command: &str) -> String {
        kinds::run(self.kind, self.port, url, command)
    }

    /// Ends the server at once, as a crash does; its data stay.
    pub fn kill(&self) {
        if let Some(mut process) = self.process().take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts the server again on the same port with the data it had.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn resume(&self) {
        let mut process = self.process();
        let start = Instant::now();
        let spawn = || program::spawn(kinds::server(self.kind, self.folder.path(), self.port));
        let mut child = process.insert(spawn());
        while !kinds::answers(self.kind, self.port) {
            std::thread::sleep(Duration::from_millis(20));
            assert!(
                start.elapsed() < START,
                "{:?} does not answer after {START:?}{}",
                self.kind,
                self.log()
            );
            if let Ok(Some(_)) = child.try_wait() {
                // PostgreSQL does not start while a process of the one that was killed still ends.
                std::thread::sleep(Duration::from_millis(200));
                child = process.insert(spawn());
            }
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, number: u32) -> String {
        kinds::url(self.kind, self.port, number)
    }

    /// The end of its log, for a person.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let mut lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.reverse();
        format!("\n{}", lines.join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
