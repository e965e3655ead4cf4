//! How a client proves to an endpoint who it is (RFC 6749 section 2.3, OpenID Connect Core section 9).

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{Resolved, TokenRequest};
use crate::{Error, ErrorCode, Phase, Result, Secret};

/// A method of client authentication that tokenkeep brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `client_secret_basic`: id and secret, form-urlencoded, as HTTP Basic credentials (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// `client_secret_post`: id and secret in the form.
    ClientSecretPost,
    /// `none`: a public client, with its id in the form.
    None,
}

impl AuthMethod {
    /// The registered name (RFC 7591 section 2).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::None => "none",
        }
    }

    /// Reads a registered name.
    ///
    /// # Errors
    /// `unsupported` for a method that is not there.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "client_secret_basic" => Ok(Self::ClientSecretBasic),
            "client_secret_post" => Ok(Self::ClientSecretPost),
            "none" => Ok(Self::None),
            _ => Err(Error::new(
                ErrorCode::Unsupported,
                Phase::Configure,
                format!(
                    "the client authentication method {:?} is not there; known are client_secret_basic, \
                     client_secret_post and none",
                    crate::error::excerpt(name)
                ),
            )),
        }
    }
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
/// parameters and headers. It is called anew for each request, so that an assertion can have a fresh `jti`.
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
/// What is signed with it: client assertions (`private_key_jwt`, RFC 7523), DPoP proofs (RFC 9449) and request objects
/// (RFC 9101).
///
/// # Contract
/// [`algorithm`](Self::algorithm) and [`key_id`](Self::key_id) stay the same for a signer's whole life. The signature is
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
    Revocation,
}

/// Chooses the method: what the registration says; else `none` without a secret; else the first of basic and post that
/// `supported` names, the metadata's `{endpoint}_auth_methods_supported`. Absent means basic (RFC 8414 section 2); for the
/// revocation endpoint, pass the token endpoint's if it has none of its own.
///
/// # Errors
/// `invalid_configuration` if the provider names none that can be used.
pub(crate) fn negotiate(
    client: &Resolved,
    endpoint: Endpoint,
    supported: Option<&[String]>,
) -> Result<Arc<dyn ClientAuthentication>> {
    if let Some(custom) = &client.client_authentication {
        return Ok(Arc::clone(custom));
    }
    let explicit = match endpoint {
        Endpoint::Token => client.token_endpoint_auth_method,
        Endpoint::Revocation => client
            .revocation_endpoint_auth_method
            .or(client.token_endpoint_auth_method),
    };
    let missing_secret = || {
        Error::new(
            ErrorCode::InvalidConfiguration,
            Phase::Configure,
            "the client authentication method needs a client secret",
        )
        .with_client(&client.name)
    };
    let method = match (explicit, &client.client_secret, supported) {
        (Some(method), _, _) => method,
        (None, None, _) => AuthMethod::None,
        (None, Some(_), None) => AuthMethod::ClientSecretBasic,
        (None, Some(_), Some(supported)) => {
            [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost]
                .into_iter()
                .find(|method| supported.iter().any(|name| name == method.as_str()))
                .ok_or_else(|| {
                    let names: Vec<_> = supported
                        .iter()
                        .take(10)
                        .map(|name| crate::error::excerpt(name))
                        .collect();
                    Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                format!(
                    "the provider takes a client secret neither by client_secret_basic nor by \
                             client_secret_post, but: {}",
                    names.join(", ")
                ),
            )
            .with_client(&client.name)
                })?
        }
    };
    let id = client.client_id.clone();
    let secret = || client.client_secret.clone().ok_or_else(missing_secret);
    Ok(match method {
        AuthMethod::ClientSecretBasic => Arc::new(Basic {
            id,
            secret: secret()?,
            raw: client.raw_basic,
        }),
        AuthMethod::ClientSecretPost => Arc::new(Post {
            id,
            secret: secret()?,
        }),
        AuthMethod::None => Arc::new(Public { id }),
    })
}

#[derive(Debug)]
struct Basic {
    id: String,
    secret: Secret,
    /// Some providers do not decode what RFC 6749 wants encoded.
    raw: bool,
}

#[async_trait]
impl ClientAuthentication for Basic {
    fn name(&self) -> &str {
        AuthMethod::ClientSecretBasic.as_str()
    }

    async fn authenticate(&self, request: &mut TokenRequest) -> Result<()> {
        let encode = |text: &str| -> String {
            if self.raw {
                text.to_owned()
            } else {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            }
        };
        let secret = Zeroizing::new(encode(self.secret.expose()));
        let pair = Zeroizing::new(format!("{}:{}", encode(&self.id), secret.as_str()));
        let header = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        let mut value = HeaderValue::from_str(&header).map_err(|_| {
            // Base64 fits any header; this is for the compiler.
            Error::new(
                ErrorCode::Internal,
                request.phase(),
                "the Basic credentials fit no header",
            )
        })?;
        value.set_sensitive(true);
        // A server may refuse a client that names itself in two ways (RFC 6749 section 2.3).
        request.remove("client_id");
        request.remove("client_secret");
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(())
    }
}

#[derive(Debug)]
struct Post {
    id: String,
    secret: Secret,
}

#[async_trait]
impl ClientAuthentication for Post {
    fn name(&self) -> &str {
        AuthMethod::ClientSecretPost.as_str()
    }

    async fn authenticate(&self, request: &mut TokenRequest) -> Result<()> {
        request.set("client_id", self.id.as_str());
        request.set("client_secret", self.secret.expose());
        Ok(())
    }
}

#[derive(Debug)]
struct Public {
    id: String,
}

#[async_trait]
impl ClientAuthentication for Public {
    fn name(&self) -> &str {
        AuthMethod::None.as_str()
    }

    async fn authenticate(&self, request: &mut TokenRequest) -> Result<()> {
        request.set("client_id", self.id.as_str());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
