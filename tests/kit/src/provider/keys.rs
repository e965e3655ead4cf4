//! The keys that sign ID tokens, and the JWKS that publishes them (RFC 7517, RFC 7518).

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{
    error::Unspecified,
    rand::SystemRandom,
    rsa::{self, KeySize},
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::state::random_token;

/// The signature algorithm of ID tokens (RFC 7518 section 3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 and a key of 2,048 bits.
    #[default]
    Rs256,
    /// RSASSA-PSS with SHA-256 and a key of 2,048 bits.
    Ps256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// Its name in the `alg` header (RFC 7518 section 3.1).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

enum Private {
    Rsa(Arc<rsa::KeyPair>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(super) struct SigningKey {
    pub(super) kid: String,
    pub(super) algorithm: SigningAlgorithm,
    private: Private,
}

impl SigningKey {
    fn generate(algorithm: SigningAlgorithm, ordinal: usize, kid: String) -> Self {
        let private = match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => Private::Rsa(rsa_key(ordinal)),
            SigningAlgorithm::Es256 => Private::Ecdsa(made(EcdsaKeyPair::generate(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
            ))),
            SigningAlgorithm::EdDsa => Private::Ed25519(made(Ed25519KeyPair::generate())),
        };
        Self {
            kid,
            algorithm,
            private,
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.private {
            Private::Rsa(key) => {
                let padding: &'static dyn signature::RsaEncoding =
                    if self.algorithm == SigningAlgorithm::Ps256 {
                        &RSA_PSS_SHA256
                    } else {
                        &RSA_PKCS1_SHA256
                    };
                let mut signed = vec![0; key.public_modulus_len()];
                made(key.sign(padding, &random, message, &mut signed));
                signed
            }
            Private::Ecdsa(key) => made(key.sign(&random, message)).as_ref().to_vec(),
            Private::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    pub(super) fn header(&self) -> Value {
        json!({"typ": "JWT", "alg": self.algorithm.name(), "kid": self.kid})
    }

    /// A token in compact form (RFC 7515 section 7.1).
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        );
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", encode(&signature))
    }

    fn jwk(&self) -> Value {
        let (kid, alg) = (&self.kid, self.algorithm.name());
        match &self.private {
            Private::Rsa(key) => {
                let (n, e) = modulus_and_exponent(key.public_key().as_ref());
                json!({"kty": "RSA", "use": "sig", "alg": alg, "kid": kid, "n": encode(n), "e": encode(e)})
            }
            Private::Ecdsa(key) => {
                // SEC 1, section 2.3.3: 0x04, then both coordinates with 32 octets each.
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": alg, "kid": kid, "x": encode(x), "y": encode(y)})
            }
            Private::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": alg, "kid": kid, "x": encode(key.public_key().as_ref())})
            }
        }
    }
}

/// The signing key, and what the JWKS holds beside it.
pub(super) struct KeySet {
    signing: SigningKey,
    old: Vec<SigningKey>,
    decoys: Vec<Value>,
    made: usize,
    /// Keys of two providers never share a `kid`, although RSA keys are shared.
    prefix: String,
}

impl KeySet {
    pub(super) fn generate(algorithm: SigningAlgorithm) -> Self {
        let prefix = random_token(6);
        let signing = SigningKey::generate(algorithm, 0, format!("{prefix}-1"));
        Self {
            signing,
            old: Vec::new(),
            decoys: Vec::new(),
            made: 1,
            prefix,
        }
    }

    pub(super) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// A published key of another algorithm than the signing one: ES256, or RS256 beside that.
    pub(super) fn other_algorithm(&mut self) -> &SigningKey {
        let algorithm = match self.signing.algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => SigningAlgorithm::Es256,
            SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa => SigningAlgorithm::Rs256,
        };
        let known = self.old.iter().position(|key| key.algorithm == algorithm);
        let at = known.unwrap_or_else(|| {
            let kid = format!("{}-{}", self.prefix, self.made + 1);
            self.old
                .push(SigningKey::generate(algorithm, self.made, kid));
            self.made += 1;
            self.old.len() - 1
        });
        &self.old[at]
    }

    pub(super) fn rotate(&mut self) {
        let next = self.next(format!("{}-{}", self.prefix, self.made + 1));
        let old = std::mem::replace(&mut self.signing, next);
        self.old.push(old);
    }

    pub(super) fn replace(&mut self) {
        self.signing = self.next(self.signing.kid.clone());
    }

    fn next(&mut self, kid: String) -> SigningKey {
        let key = SigningKey::generate(self.signing.algorithm, self.made, kid);
        self.made += 1;
        key
    }

    pub(super) fn withdraw(&mut self) {
        self.old.clear();
        self.decoys.clear();
    }

    pub(super) fn add_decoys(&mut self, count: usize) {
        for _ in 0..count {
            let number = self.decoys.len();
            let kid = format!("{}-decoy-{number}", self.prefix);
            self.decoys.push(match number % 5 {
                0 => json!({"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": kid, "n": random_token(256), "e": "AQAB"}),
                1 => json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": random_token(32), "y": random_token(32)}),
                2 => json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": kid, "pub": random_token(32)}),
                3 => json!({"kty": "RSA", "use": "sig", "kid": kid}),
                _ => json!({"kty": "RSA", "use": "sig", "alg": "RS512", "kid": kid, "n": random_token(128), "e": "AQAB"}),
            });
        }
    }

    /// Decoys come first, so that a client that takes the first key is found out.
    pub(super) fn jwks(&self) -> Value {
        let real = self
            .old
            .iter()
            .rev()
            .chain([&self.signing])
            .map(SigningKey::jwk);
        json!({"keys": self.decoys.iter().cloned().chain(real).collect::<Vec<_>>()})
    }
}

/// The RSA keys of this process, made when first needed: each takes a tenth of a second.
fn rsa_key(ordinal: usize) -> Arc<rsa::KeyPair> {
    static KEYS: Mutex<Vec<Arc<rsa::KeyPair>>> = Mutex::new(Vec::new());
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    while keys.len() <= ordinal {
        keys.push(Arc::new(made(rsa::KeyPair::generate(KeySize::Rsa2048))));
    }
    Arc::clone(&keys[ordinal])
}

#[expect(
    clippy::expect_used,
    reason = "making keys and signing with them fails only without memory or randomness"
)]
fn made<T>(result: Result<T, Unspecified>) -> T {
    result.expect("the system has memory and randomness")
}

/// Reads an RSAPublicKey (RFC 8017 appendix A.1.1): a sequence of two integers, each with its leading zero octet removed.
fn modulus_and_exponent(der: &[u8]) -> (&[u8], &[u8]) {
    let (sequence, _) = element(der);
    let (modulus, rest) = element(sequence);
    let (exponent, _) = element(rest);
    (modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent)
}

/// The contents of the first DER element, and what comes after it. Only for what aws-lc-rs encoded itself.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, header) = match der[1] {
        short @ 0..0x80 => (usize::from(short), 2),
        long => {
            let octets = usize::from(long & 0x7f);
            (
                der[2..2 + octets]
                    .iter()
                    .fold(0, |sum, &octet| sum << 8 | usize::from(octet)),
                2 + octets,
            )
        }
    };
    der[header..].split_at(length)
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
