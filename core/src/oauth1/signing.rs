//! The signature methods (RFC 5849 sections 3.4.2 to 3.4.4).

use std::{fmt, sync::Arc};

use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{base_string::encode, rsa::RsaKey};
use crate::{Error, ErrorCode, Phase, Result, Secret, Signer};

/// How a client of OAuth 1.0a signs its requests (RFC 5849 section 3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureMethod {
    /// `HMAC-SHA1`: with the secrets of client and token. Every provider knows it.
    #[default]
    HmacSha1,
    /// `HMAC-SHA256`: the same with SHA-256, where a provider knows it.
    HmacSha256,
    /// `RSA-SHA1`: with the client's private key.
    RsaSha1,
    /// `RSA-SHA256`: the same with SHA-256.
    RsaSha256,
    /// `PLAINTEXT`: no signature; the secrets themselves travel with each request, protected by https alone.
    Plaintext,
}

impl SignatureMethod {
    const ALL: [Self; 5] = [
        Self::HmacSha1,
        Self::HmacSha256,
        Self::RsaSha1,
        Self::RsaSha256,
        Self::Plaintext,
    ];

    /// The value of `oauth_signature_method`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::RsaSha1 => "RSA-SHA1",
            Self::RsaSha256 => "RSA-SHA256",
            Self::Plaintext => "PLAINTEXT",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == name);
        found.ok_or_else(|| {
            Error::new(
                ErrorCode::Unsupported,
                Phase::Configure,
                format!(
                    "the signature method {:?} is not there; known are {}",
                    crate::error::excerpt(name),
                    Self::ALL.map(Self::as_str).join(", ")
                ),
            )
        })
    }

    /// The one that a signer's algorithm is (RFC 7518 section 3.1; `RS1` is the registered name of the other).
    pub(crate) fn of_signer(signer: &dyn Signer) -> Result<Self> {
        match signer.algorithm() {
            "RS1" => Ok(Self::RsaSha1),
            "RS256" => Ok(Self::RsaSha256),
            _ => Err(Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                "the algorithm of oauth1_signer(…) is neither RS256 nor RS1, as which OAuth 1.0a's RSA-SHA256 and RSA-SHA1 \
                 are known",
            )),
        }
    }

    pub(crate) fn is_rsa(self) -> bool {
        matches!(self, Self::RsaSha1 | Self::RsaSha256)
    }

    /// The digest of `oauth_body_hash`: that of the signature.
    pub(super) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::HmacSha256 | Self::RsaSha256 => &digest::SHA256,
            Self::HmacSha1 | Self::RsaSha1 | Self::Plaintext => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        }
    }
}

impl fmt::Display for SignatureMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a client signs with.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    /// The client's secret; that of the token is the other half.
    Shared(Secret),
    /// The client's private key.
    Rsa(Arc<RsaKey>),
    /// A private key that stands elsewhere.
    Elsewhere(Arc<dyn Signer>),
}

/// How long a signature of RSA may be, in bytes: a key that stands elsewhere has 1,024 to 8,192 bits.
const SIGNATURE: std::ops::RangeInclusive<usize> = 128..=1024;

impl Key {
    /// The client's secret, if it signs by that.
    pub(crate) fn shared(&self) -> Option<&Secret> {
        match self {
            Self::Shared(secret) => Some(secret),
            _ => None,
        }
    }

    /// The value of `oauth_signature`.
    pub(super) async fn sign(
        &self,
        method: SignatureMethod,
        base_string: &str,
        token_secret: Option<&Secret>,
    ) -> Result<Secret> {
        let message = base_string.as_bytes();
        let signature = match (self, method) {
            (Self::Shared(client), SignatureMethod::Plaintext) => {
                return Ok(Secret::new(shared(client, token_secret).as_str()));
            }
            (Self::Shared(client), _) => {
                let algorithm = match method {
                    SignatureMethod::HmacSha256 => hmac::HMAC_SHA256,
                    _ => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                };
                let key = shared(client, token_secret);
                let key = hmac::Key::new(algorithm, key.as_bytes());
                hmac::sign(&key, message).as_ref().to_vec()
            }
            (Self::Rsa(key), SignatureMethod::RsaSha1) => key.sign_sha1(message)?,
            (Self::Rsa(key), _) => key.sign_sha256(message)?,
            (Self::Elsewhere(signer), _) => {
                let signature = signer.sign(message).await?;
                if !SIGNATURE.contains(&signature.len()) {
                    return Err(Error::new(
                        ErrorCode::InvalidConfiguration,
                        Phase::Request,
                        "what oauth1_signer(…) answers is no RSA signature: it is shorter than 128 bytes, or longer than 1,024",
                    ));
                }
                signature
            }
        };
        Ok(Secret::new(STANDARD.encode(signature)))
    }
}

/// Both secrets, as HMAC and PLAINTEXT want them (RFC 5849 section 3.4.2).
fn shared(client: &Secret, token: Option<&Secret>) -> Zeroizing<String> {
    let encoded = |secret: &Secret| Zeroizing::new(encode(secret.expose().as_bytes()));
    let token = token.map(encoded).unwrap_or_default();
    Zeroizing::new(format!("{}&{}", encoded(client).as_str(), token.as_str()))
}

#[cfg(test)]
mod tests;
