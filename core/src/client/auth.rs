//! How a client proves to an endpoint who it is (RFC 6749 section 2.3, OpenID Connect Core section 9).

mod assertion;
mod negotiate;
mod secrets;
mod signing_key;

use std::fmt;

pub use assertion::AssertionAudience;
pub(crate) use assertion::{check_secret, is_own_claim, sign};
use async_trait::async_trait;
pub(crate) use negotiate::{Offer, negotiate, no_secret};
pub(crate) use secrets::Unnamed;
pub use signing_key::SigningKey;

use super::TokenRequest;
use crate::{Error, ErrorCode, Phase, Result};

macro_rules! methods {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// A method of client authentication that tokenkeep brings along.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum AuthMethod { $(#[doc = $doc] $variant,)* }

        impl AuthMethod {
            /// Every method.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The registered name (RFC 7591 section 2, RFC 8705 section 2).
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

methods! {
    ClientSecretBasic "client_secret_basic"
        "`client_secret_basic`: id and secret, form-urlencoded, as HTTP Basic credentials (RFC 6749 section 2.3.1).",
    ClientSecretPost "client_secret_post" "`client_secret_post`: id and secret in the form.",
    ClientSecretJwt "client_secret_jwt"
        "`client_secret_jwt`: an assertion under the secret, which is not sent itself (OpenID Connect Core section 9).",
    PrivateKeyJwt "private_key_jwt"
        "`private_key_jwt`: an assertion that a private key signs (RFC 7523 section 2.2), the one of [`Registration::signing_key`](crate::Registration::signing_key).",
    TlsClientAuth "tls_client_auth"
        "`tls_client_auth`: the certificate of the TLS connection, by its name (RFC 8705 section 2.1): that of the HTTP client that [`OAuthBuilder::http_client`](crate::OAuthBuilder::http_client) was given.",
    SelfSignedTlsClientAuth "self_signed_tls_client_auth"
        "`self_signed_tls_client_auth`: the same with a certificate that the provider knows itself (RFC 8705 section 2.2).",
    None "none" "`none`: a public client, with its id in the form.",
}

impl AuthMethod {
    /// Reads a registered name.
    ///
    /// # Errors
    /// `unsupported` for a method that is not there.
    pub fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.iter().copied();
        known
            .clone()
            .find(|method| method.as_str() == name)
            .ok_or_else(|| {
                let names: Vec<_> = known.map(Self::as_str).collect();
                Error::new(
                    ErrorCode::Unsupported,
                    Phase::Configure,
                    format!(
                        "the client authentication method {:?} is not there; known are {}",
                        crate::error::excerpt(name),
                        names.join(", ")
                    ),
                )
            })
    }

    /// Does it send the secret, or sign by it?
    pub(crate) fn needs_secret(self) -> bool {
        matches!(
            self,
            Self::ClientSecretBasic | Self::ClientSecretPost | Self::ClientSecretJwt
        )
    }
}

/// Does the client authenticate by the certificate of its connection (RFC 8705 section 2)? Its requests go to endpoints of
/// their own then, if the provider has such (section 5).
pub(crate) fn is_by_certificate(method: &dyn ClientAuthentication) -> bool {
    [
        AuthMethod::TlsClientAuth,
        AuthMethod::SelfSignedTlsClientAuth,
    ]
    .iter()
    .any(|known| known.as_str() == method.name())
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Proves to the token or revocation endpoint who the client is.
///
/// Implement it for a method that tokenkeep does not bring along, and give it to
/// [`Registration::client_authentication`](super::Registration::client_authentication).
///
/// # Contract
/// The request arrives complete, with `client_id` among its parameters. An implementation may add, replace and remove
/// parameters and headers. It is called anew for each request, a refresh, a revocation and an introspection included, so that
/// an assertion can have a fresh `jti`.
///
/// # Cancel safety
/// The future may be dropped: what is left of the request's deadline bounds it.
#[async_trait]
pub trait ClientAuthentication: Send + Sync + fmt::Debug + 'static {
    /// The method's name as in `token_endpoint_auth_methods_supported`.
    fn name(&self) -> &str;

    /// Adds the proof to a request.
    ///
    /// # Errors
    /// Whatever keeps it from doing so; nothing is sent then.
    async fn authenticate(&self, request: &mut TokenRequest) -> Result<()>;
}

/// Signs with a private key that may stand elsewhere, for example in a key management service.
///
/// What is signed with it: client assertions (`private_key_jwt`, RFC 7523) and the assertions of [`JwtBearer`](crate::JwtBearer).
/// A key that stands here is a [`SigningKey`].
///
/// # Contract
/// [`algorithm`](Self::algorithm), [`key_id`](Self::key_id) and the thumbprint stay the same for a signer's whole life. The signature is
/// in the form of JWS (RFC 7518 section 3): for ECDSA `R || S`, not DER.
///
/// # Cancel safety
/// The future may be dropped when a request's deadline is over.
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug + 'static {
    /// The `alg` of the JWS header: `RS256`, `PS256`, `ES256`, `EdDSA`, …
    fn algorithm(&self) -> &str;

    /// The `kid` of the JWS header, if the key has one.
    fn key_id(&self) -> Option<&str>;

    /// The `x5t#S256` of the JWS header, for providers that find a key by its certificate (RFC 7515 section 4.1.8): the
    /// SHA-256 of the certificate in DER, as base64url without padding.
    fn certificate_thumbprint(&self) -> Option<&str> {
        None
    }

    /// Signs the JWS signing input.
    ///
    /// # Errors
    /// Whatever the key's keeper answers; the message must hold no key material.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>>;
}

/// Which endpoint is asked: each may want another method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Token,
    /// It authenticates as the token endpoint does (RFC 8628 section 3.1).
    DeviceAuthorization,
    Revocation,
    Introspection,
}

#[cfg(test)]
mod tests;
