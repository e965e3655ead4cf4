//! A certificate for every host name of a test, from a root that the demo, the provider's clients and the browser are told
//! to trust, and nobody else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::parts::{APPLICATION, SITES};

/// Made by OpenSSL, in a folder that goes with the test.
pub(crate) struct Certificates {
    /// The root, PEM.
    pub(crate) root: PathBuf,
    /// What servers show, PEM.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The SHA-256 of the certificate's public key, as Chromium takes it.
    pub(crate) pin: String,
}

impl Certificates {
    pub(crate) fn make(folder: &Path) -> Self {
        let file = |name: &str| folder.join(name);
        let made = Self {
            root: file("root.pem"),
            certificate: file("certificate.pem"),
            key: file("key.pem"),
            pin: String::new(),
        };
        let new_key = |key: &Path| {
            let key = key.display();
            format!(
                "req -x509 -days 2 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout {key}"
            )
        };
        let (root, root_key, public) = (made.root.display(), file("root.key"), file("key.der"));
        openssl(&format!(
            "{} -out {root} -subj /CN=tests",
            new_key(&root_key)
        ));
        openssl(&format!(
            "{} -out {} -subj /CN={APPLICATION} -CA {root} -CAkey {} -addext basicConstraints=critical,CA:FALSE \
             -addext subjectAltName=DNS:localhost,DNS:{SITES},DNS:*.example.test",
            new_key(&made.key),
            made.certificate.display(),
            root_key.display(),
        ));
        let public = public.display();
        openssl(&format!(
            "pkey -in {} -pubout -outform der -out {public}",
            made.key.display()
        ));
        let pin = STANDARD.encode(openssl(&format!("dgst -sha256 -binary {public}")));
        Self { pin, ..made }
    }

    pub(crate) fn root(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_pem(&std::fs::read(&self.root).unwrap()).unwrap()
    }
}

/// No argument of ours has a blank.
fn openssl(arguments: &str) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("OpenSSL's program is there: tests/install browser");
    assert!(
        output.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
