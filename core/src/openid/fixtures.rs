//! Keys that sign, and tokens made of them, for the tests of this room.

use std::{sync::OnceLock, time::Duration};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, RsaSignatureEncoding},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{IdTokenRules, IssuerRule, KeySet, SigningAlgorithm};
use crate::{Clock, Timestamp};

pub(super) const ISSUER: &str = "https://login.example";
pub(super) const CLIENT_ID: &str = "client-1";
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A private key with a name.
pub(super) struct TestKey {
    pub(super) kid: &'static str,
    material: Material,
}

enum Material {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl TestKey {
    pub(super) fn rsa(kid: &'static str) -> Self {
        let material = Material::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        Self { kid, material }
    }

    pub(super) fn ec(kid: &'static str, algorithm: SigningAlgorithm) -> Self {
        let algorithm = match algorithm {
            SigningAlgorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            SigningAlgorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            SigningAlgorithm::Es512 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            SigningAlgorithm::Es256k => &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING,
            other => panic!("{other} is not of a curve"),
        };
        let material = Material::Ec(EcdsaKeyPair::generate(algorithm).unwrap());
        Self { kid, material }
    }

    pub(super) fn ed(kid: &'static str) -> Self {
        let material = Material::Ed(Ed25519KeyPair::generate().unwrap());
        Self { kid, material }
    }

    pub(super) fn sign(&self, algorithm: SigningAlgorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.material {
            Material::Rsa(pair) => {
                let encoding: &'static RsaSignatureEncoding = match algorithm {
                    SigningAlgorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
                    SigningAlgorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
                    SigningAlgorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
                    SigningAlgorithm::Ps256 => &signature::RSA_PSS_SHA256,
                    SigningAlgorithm::Ps384 => &signature::RSA_PSS_SHA384,
                    SigningAlgorithm::Ps512 => &signature::RSA_PSS_SHA512,
                    other => panic!("{other} is not of RSA"),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Material::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Material::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key, without `kid`, `use` and `alg`.
    pub(super) fn bare_jwk(&self) -> Value {
        match &self.material {
            Material::Rsa(pair) => {
                // RSAPublicKey: two integers after a header of four bytes each.
                let der = pair.public_key().as_ref();
                let n = &der[9..9 + pair.public_modulus_len()];
                json!({"kty": "RSA", "n": encode(n), "e": "AQAB"})
            }
            Material::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at((point.len() - 1) / 2);
                let crv = match x.len() {
                    48 => "P-384",
                    66 => "P-521",
                    _ if pair.algorithm() == &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING => {
                        "secp256k1"
                    }
                    _ => "P-256",
                };
                json!({"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y)})
            }
            Material::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
        }
    }

    /// The public key with its `kid`.
    pub(super) fn jwk(&self) -> Value {
        with(self.bare_jwk(), json!({"kid": self.kid}))
    }

    /// A token by this key, with its `kid`.
    pub(super) fn token(&self, algorithm: SigningAlgorithm, claims: &Value) -> String {
        let header = json!({"alg": algorithm.as_str(), "kid": self.kid, "typ": "JWT"});
        self.token_of(algorithm, &header.to_string(), &claims.to_string())
    }

    /// A token by this key, of any text.
    pub(super) fn token_of(
        &self,
        algorithm: SigningAlgorithm,
        header: &str,
        claims: &str,
    ) -> String {
        let signed = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", encode(&signature))
    }
}

/// One RSA key for all tests; generating one takes long.
pub(super) fn rsa() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| TestKey::rsa("rsa"))
}

/// Another one.
pub(super) fn other_rsa() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| TestKey::rsa("other-rsa"))
}

/// A token under the client secret.
pub(super) fn secret_token(secret: &str, claims: &Value) -> String {
    hmac_token(secret.as_bytes(), r#"{"alg":"HS256","typ":"JWT"}"#, claims)
}

/// A token under any bytes by HMAC with SHA-256.
pub(super) fn hmac_token(secret: &[u8], header: &str, claims: &Value) -> String {
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret),
        signed.as_bytes(),
    );
    format!("{signed}.{}", encode(tag.as_ref()))
}

pub(super) fn key_set(keys: &[Value]) -> KeySet {
    let (set, warnings) = KeySet::parse(&jwks(keys)).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    set
}

pub(super) fn jwks(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

pub(super) fn rules() -> IdTokenRules {
    IdTokenRules::new(IssuerRule::Exact(ISSUER.to_owned()), CLIENT_ID)
}

/// Claims that pass every check.
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": "248289761001",
        "aud": CLIENT_ID,
        "exp": NOW.as_secs() + 3600,
        "iat": NOW.as_secs() - 1,
        "nonce": "n-0S6_WzA2Mj",
        "email": "jane@mail.example",
        "email_verified": true,
        "name": "Jane Doe",
    })
}

/// One object with the members of another, null removing a member.
pub(super) fn with(mut object: Value, members: Value) -> Value {
    let map = object.as_object_mut().unwrap();
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            map.remove(name);
        } else {
            map.insert(name.clone(), value.clone());
        }
    }
    object
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A clock that goes when it is told to.
#[derive(Debug, Default)]
pub(super) struct ManualClock(std::sync::Mutex<Duration>);

impl ManualClock {
    pub(super) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        NOW + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, _: Duration) -> crate::Sleep<'_> {
        Box::pin(std::future::pending())
    }
}
