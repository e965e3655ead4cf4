//! Assertions: JSON Web Tokens that a client signs itself (RFC 7523 section 3, OpenID Connect Core section 9).

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{AuthMethod, ClientAuthentication, Signer};
use crate::{Clock, Error, ErrorCode, Phase, Result, Secret, SigningAlgorithm, TokenRequest};

/// How long a client assertion is good: for one request.
const LIFE: Duration = Duration::from_secs(60);

/// How long a signature may be, in bytes: RSA of 8192 bits has 1024.
const MAX_SIGNATURE: usize = 1024;

/// The value of `client_assertion_type` (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Whom a client assertion is for: its `aud`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The provider's issuer, which FAPI 2.0 and the revision of RFC 7523 require; the token endpoint for a provider without
    /// one issuer.
    #[default]
    Issuer,
    /// The token endpoint, also in requests to other endpoints: what OpenID Connect Core section 9 says, and older
    /// providers expect. An endpoint of another origin is shown such an assertion only if the registration names it: whoever
    /// answers there could use it at the token endpoint.
    TokenEndpoint,
    /// Exactly this.
    Exactly(String),
}

/// Is this a claim that an assertion has from us?
pub(crate) fn is_own_claim(name: &str) -> bool {
    ["iss", "sub", "aud", "exp", "iat", "nbf", "jti"].contains(&name)
}

/// Signs claims (RFC 7515 section 3.1, RFC 7519 section 7.1). Without a `kid` of the signer's the header has none.
///
/// # Errors
/// What the signer answers; `invalid_configuration` for a signature that can be none.
pub(crate) async fn sign(signer: &dyn Signer, claims: &Map<String, Value>) -> Result<Secret> {
    let mut header = json!({"alg": signer.algorithm(), "typ": "JWT"});
    if let Some(kid) = signer.key_id() {
        header["kid"] = kid.into();
    }
    if let Some(thumbprint) = signer.certificate_thumbprint() {
        header["x5t#S256"] = thumbprint.into();
    }
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(header.to_string().as_bytes());
    // A Map is always writable as JSON.
    let claims = encode(Value::Object(claims.clone()).to_string().as_bytes());
    let message = format!("{header}.{claims}");
    let signature = signer.sign(message.as_bytes()).await?;
    let expected = match SigningAlgorithm::from_name(signer.algorithm()) {
        Some(SigningAlgorithm::Es256 | SigningAlgorithm::Es256k | SigningAlgorithm::EdDsa) => {
            Some(64)
        }
        Some(SigningAlgorithm::Es384) => Some(96),
        Some(SigningAlgorithm::Es512) => Some(132),
        _ => None,
    };
    let fits = expected.map_or_else(
        || (1..=MAX_SIGNATURE).contains(&signature.len()),
        |length| signature.len() == length,
    );
    if !fits {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            Phase::Configure,
            format!(
                "the signer's answer is no {} signature in the form of JWS (RFC 7518 section 3.4: ECDSA is R || S, not DER)",
                crate::error::excerpt(signer.algorithm())
            ),
        ));
    }
    Ok(Secret::new(format!("{message}.{}", encode(&signature))))
}

/// `client_secret_jwt` and `private_key_jwt`.
pub(super) struct ClientAssertion {
    pub(super) id: String,
    pub(super) method: AuthMethod,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) audience: String,
    /// The application's own claims beside ours.
    pub(super) further: Map<String, Value>,
    pub(super) clock: Arc<dyn Clock>,
}

impl fmt::Debug for ClientAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAssertion")
            .field("method", &self.method)
            .field("algorithm", &self.signer.algorithm())
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ClientAuthentication for ClientAssertion {
    fn name(&self) -> &str {
        self.method.as_str()
    }

    async fn authenticate(&self, request: &mut TokenRequest) -> Result<()> {
        let now = self.clock.now();
        // A copy: what is particular to this request must not stay for the next.
        let mut claims = self.further.clone();
        claims.insert("iss".into(), self.id.as_str().into());
        claims.insert("sub".into(), self.id.as_str().into());
        claims.insert("aud".into(), self.audience.as_str().into());
        claims.insert("iat".into(), now.as_secs().into());
        claims.insert("exp".into(), (now + LIFE).as_secs().into());
        claims.insert("jti".into(), crate::seal::random_id().into());
        let assertion = sign(self.signer.as_ref(), &claims).await?;
        request.remove("client_secret");
        // Optional (RFC 7521 section 4.2), and what some servers find the client by.
        request.set("client_id", self.id.as_str());
        request.set("client_assertion_type", ASSERTION_TYPE);
        request.set("client_assertion", assertion.expose());
        Ok(())
    }
}

/// The client secret as a key.
pub(super) struct SecretSigner {
    algorithm: SigningAlgorithm,
    key: hmac::Key,
}

impl SecretSigner {
    /// # Errors
    /// `invalid_configuration` for a secret that is shorter than the hash (RFC 7518 section 3.2), or an algorithm that
    /// takes no secret.
    pub(super) fn new(algorithm: SigningAlgorithm, secret: &Secret) -> Result<Self> {
        let hash = match algorithm {
            SigningAlgorithm::Hs256 => hmac::HMAC_SHA256,
            SigningAlgorithm::Hs384 => hmac::HMAC_SHA384,
            SigningAlgorithm::Hs512 => hmac::HMAC_SHA512,
            _ => {
                return Err(unfit(format!(
                    "client_secret_jwt signs by HS256, HS384 or HS512, not by {algorithm}"
                )));
            }
        };
        let (least, length) = (algorithm.digest().output_len(), secret.expose().len());
        if length < least {
            return Err(unfit(format!(
                "client_secret_jwt by {algorithm} needs a client secret of at least {least} bytes"
            )));
        }
        Ok(Self {
            algorithm,
            key: hmac::Key::new(hash, secret.expose().as_bytes()),
        })
    }
}

/// Can the secret sign by this algorithm?
pub(crate) fn check_secret(algorithm: SigningAlgorithm, secret: &Secret) -> Result<()> {
    SecretSigner::new(algorithm, secret).map(drop)
}

fn unfit(message: String) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, Phase::Configure, message)
}

impl fmt::Debug for SecretSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretSigner")
            .field(&self.algorithm)
            .finish()
    }
}

#[async_trait]
impl Signer for SecretSigner {
    fn algorithm(&self) -> &str {
        self.algorithm.as_str()
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        Ok(hmac::sign(&self.key, message).as_ref().to_vec())
    }
}
