//! The server of OAuth 1.0a that is made of oauthlib.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{START, program};

/// `tests/oauth1/server.py`, running. It ends when this is dropped.
#[derive(Debug)]
pub struct OAuth1Server {
    port: u16,
    process: Child,
    folder: TempDir,
}

impl OAuth1Server {
    /// The key of its one client.
    pub const CLIENT_KEY: &str = "keyOfTheClient0123456789";
    /// That client's secret.
    pub const CLIENT_SECRET: &str = "secret-of-the-client-0123456789";

    /// Starts it. `public_key` is a PEM, for the RSA signatures of its client.
    ///
    /// # Panics
    /// If oauthlib is not installed, or it does not start.
    #[must_use]
    pub fn start(public_key: &str) -> Self {
        let folder = program::folder();
        let port = program::free_port();
        // Whoever has no rights may not read where this comes from.
        let place = |name: &str| folder.path().join(name);
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../oauth1/server.py");
        fs::copy(source, place("server.py")).expect("the server is there");
        fs::write(place("key.pem"), public_key).expect("the folder is there");
        let mut command = program::unprivileged(Path::new(&python()), folder.path());
        command
            .arg(place("server.py"))
            .args(["--port", &port.to_string()])
            .arg("--public-key")
            .arg(place("key.pem"));
        let errors = program::log(folder.path());
        command
            .stdout(errors.try_clone().expect("a file"))
            .stderr(errors);
        let mut server = Self {
            port,
            process: program::spawn(command),
            folder,
        };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
            let is_over = !matches!(server.process.try_wait(), Ok(None));
            assert!(
                !is_over && start.elapsed() < START,
                "the server of OAuth 1.0a does not answer: {}",
                fs::read_to_string(server.folder.path().join("log")).unwrap_or_default()
            );
        }
        server
    }

    /// An address of it.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

impl Drop for OAuth1Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Python that has oauthlib: the distribution's first, for there it comes from its packages.
fn python() -> String {
    let has_oauthlib = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", "import oauthlib, jwt, cryptography"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let known = ["/usr/bin/python3", "python3"];
    let found = known.iter().find(|python| has_oauthlib(python));
    (*found.expect("oauthlib is not installed: tests/install oauthlib")).to_owned()
}
