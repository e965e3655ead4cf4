//! Assertions (RFC 7523 section 3): tokens that an application signs, verified as strictly as the specification allows.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use aws_lc_rs::{
    encoding::AsDer as _,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
        RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::error::OAuthError;

/// An assertion must not be good for longer than this from now on.
const LONGEST: Duration = Duration::from_secs(3600 + 60);

/// A key pair of an application: it signs with the [private](Self::pem) half, and the provider knows the public one.
#[derive(Clone)]
pub struct ClientKey(Arc<Inner>);

struct Inner {
    algorithm: String,
    kid: Option<String>,
    pkcs8: Vec<u8>,
    private: Private,
}

enum Private {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl ClientKey {
    /// Makes a key for an algorithm: RS256 to PS512, ES256 to ES512, EdDSA.
    ///
    /// # Panics
    ///
    /// For another algorithm.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::panic,
        reason = "a test without its key can do nothing"
    )]
    pub fn generate(algorithm: &str) -> Self {
        let rsa = |encoding| {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("memory and randomness");
            let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("a key");
            (der.as_ref().to_vec(), Private::Rsa(pair, encoding))
        };
        let ec = |signing: &'static EcdsaSigningAlgorithm| {
            let pair = EcdsaKeyPair::generate(signing).expect("memory and randomness");
            let der = pair.to_pkcs8v1().expect("a key");
            (der.as_ref().to_vec(), Private::Ecdsa(pair))
        };
        let (pkcs8, private) = match algorithm {
            "RS256" => rsa(&signature::RSA_PKCS1_SHA256 as &dyn RsaEncoding),
            "RS384" => rsa(&signature::RSA_PKCS1_SHA384),
            "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => rsa(&signature::RSA_PSS_SHA256),
            "PS384" => rsa(&signature::RSA_PSS_SHA384),
            "PS512" => rsa(&signature::RSA_PSS_SHA512),
            "ES256" => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            "ES512" => ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            "EdDSA" => {
                let pair = Ed25519KeyPair::generate().expect("memory and randomness");
                let der = pair.to_pkcs8v1().expect("a key");
                (der.as_ref().to_vec(), Private::Ed25519(pair))
            }
            other => panic!("no key signs by {other}"),
        };
        Self(Arc::new(Inner {
            algorithm: algorithm.to_owned(),
            kid: None,
            pkcs8,
            private,
        }))
    }

    /// The same with a name: an assertion that names another key is refused.
    #[must_use]
    pub fn named(self, kid: &str) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => Self(Arc::new(Inner {
                kid: Some(kid.to_owned()),
                ..inner
            })),
            // Somebody else has it already, under its old name.
            Err(shared) => Self(shared),
        }
    }

    /// The private key in PEM (PKCS#8), for the configuration of the application.
    #[must_use]
    pub fn pem(&self) -> String {
        let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
        for (at, digit) in STANDARD.encode(&self.0.pkcs8).chars().enumerate() {
            if at > 0 && at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(digit);
        }
        pem + "\n-----END PRIVATE KEY-----\n"
    }

    /// Signs claims, for an assertion of the test's own.
    #[must_use]
    pub fn assertion(&self, claims: &Value) -> String {
        let mut header = json!({"alg": self.0.algorithm});
        if let Some(kid) = &self.0.kid {
            header["kid"] = kid.as_str().into();
        }
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[expect(
        clippy::expect_used,
        reason = "signing fails only without memory or randomness"
    )]
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.0.private {
            Private::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature)
                    .expect("memory and randomness");
                signature
            }
            Private::Ecdsa(pair) => {
                let signature = pair.sign(&random, message).expect("memory and randomness");
                signature.as_ref().to_vec()
            }
            Private::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let public = match &self.0.private {
            Private::Rsa(pair, _) => pair.public_key().as_ref(),
            Private::Ecdsa(pair) => pair.public_key().as_ref(),
            Private::Ed25519(pair) => pair.public_key().as_ref(),
        };
        let algorithm: &'static dyn VerificationAlgorithm = match self.0.algorithm.as_str() {
            "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
            "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
            "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
            "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
            "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
            "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
            "ES256" => &signature::ECDSA_P256_SHA256_FIXED,
            "ES384" => &signature::ECDSA_P384_SHA384_FIXED,
            "ES512" => &signature::ECDSA_P521_SHA512_FIXED,
            _ => &signature::ED25519,
        };
        UnparsedPublicKey::new(algorithm, public)
            .verify(message, signature)
            .is_ok()
    }
}

impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.pkcs8 == other.0.pkcs8
    }
}

impl Eq for ClientKey {}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey")
            .field("algorithm", &self.0.algorithm)
            .field("kid", &self.0.kid)
            .finish_non_exhaustive()
    }
}

/// By what an assertion is signed.
pub(super) enum Signed<'a> {
    Key(&'a ClientKey),
    /// The client secret, by HS256, HS384 or HS512.
    Secret(&'a str),
}

/// Ids of assertions that were used, and until when they are remembered.
#[derive(Default)]
pub(super) struct Used(HashMap<String, Duration>);

/// The claims of an assertion that is signed so, is for this audience, and is new.
pub(super) fn verify(
    assertion: &str,
    by: &Signed<'_>,
    audiences: &[&str],
    now: Duration,
    used: &mut Used,
) -> Result<Value, &'static str> {
    let mut parts = assertion.rsplitn(2, '.');
    let (signature, message) = (parts.next(), parts.next());
    let (Some(signature), Some(message)) = (signature, message) else {
        return Err("the assertion is no JWS");
    };
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| "the assertion's signature is not base64url")?;
    let (header, claims) = message.split_once('.').ok_or("the assertion is no JWS")?;
    let (header, claims) = (read(header)?, read(claims)?);
    let algorithm = header["alg"].as_str().unwrap_or_default();
    let signed = match by {
        Signed::Key(key) => {
            if algorithm != key.0.algorithm {
                return Err("the assertion is signed by another algorithm");
            }
            let named = header.get("kid").and_then(Value::as_str);
            if key.0.kid.is_some() && named != key.0.kid.as_deref() {
                return Err("the assertion names no key, or another one");
            }
            key.verifies(message.as_bytes(), &signature)
        }
        Signed::Secret(secret) => {
            let hash = match algorithm {
                "HS256" => hmac::HMAC_SHA256,
                "HS384" => hmac::HMAC_SHA384,
                "HS512" => hmac::HMAC_SHA512,
                _ => return Err("the assertion is signed by another algorithm"),
            };
            let key = hmac::Key::new(hash, secret.as_bytes());
            hmac::verify(&key, message.as_bytes(), &signature).is_ok()
        }
    };
    if !signed {
        return Err("the assertion's signature is wrong");
    }
    check_claims(&claims, audiences, now, used)?;
    Ok(claims)
}

fn check_claims(
    claims: &Value,
    audiences: &[&str],
    now: Duration,
    used: &mut Used,
) -> Result<(), &'static str> {
    let audience = claims["aud"].as_str();
    if !audience.is_some_and(|audience| audiences.contains(&audience)) {
        return Err("the assertion is for somebody else");
    }
    let time = |name: &str| claims[name].as_u64().map(Duration::from_secs);
    let until = time("exp").ok_or("the assertion has no exp")?;
    if until <= now {
        return Err("the assertion is over");
    }
    if until > now + LONGEST {
        return Err("the assertion is good for too long");
    }
    if time("iat").is_none_or(|issued| issued > now + Duration::from_secs(5)) {
        return Err("the assertion has no iat, or one in the future");
    }
    let id = claims["jti"].as_str().unwrap_or_default();
    // 128 bits in base64url.
    if id.len() < 22 {
        return Err("the assertion's jti is missing or can be guessed");
    }
    used.0.retain(|_, until| *until > now);
    let name = format!("{}\0{id}", claims["iss"]);
    if used.0.insert(name, until).is_some() {
        return Err("the assertion was used before");
    }
    Ok(())
}

fn read(part: &str) -> Result<Value, &'static str> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| "the assertion is not base64url")?;
    serde_json::from_slice(&json).map_err(|_| "the assertion is not JSON")
}

/// What an assertion says of itself before anything is verified, to find its key.
pub(super) fn issuer_of(assertion: &str) -> Option<String> {
    let claims = read(assertion.split('.').nth(1)?).ok()?;
    claims["iss"].as_str().map(str::to_owned)
}

/// A wrong client assertion.
pub(super) fn refused(what: &'static str) -> OAuthError {
    OAuthError::invalid_client(what)
}
