//! A certificate for every host name of a test, from a root that the demo, the provider's clients and the browser are told
//! to trust, and nobody else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

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

/// A key of the client's, by which it signs: PKCS#8 in PEM, and the public one as a JWK.
pub(crate) fn signing_key(folder: &Path) -> (String, Value) {
    let key = folder.join("client.key");
    let at = key.display();
    openssl(&format!(
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {at}"
    ));
    let public = openssl(&format!("pkey -in {at} -pubout -outform der"));
    // The point stands at the end: 4, x, y (RFC 5480 section 2.2).
    let point = &public[public.len() - 64..];
    let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "client-1",
        "x": coordinate(&point[..32]), "y": coordinate(&point[32..]),
    });
    let pem = std::fs::read_to_string(&key).unwrap();
    // What is in the folder at the end is searched for it.
    std::fs::remove_file(key).unwrap();
    (pem, jwk)
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
