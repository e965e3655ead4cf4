//! The methods that send the secret itself, or none.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{AuthMethod, ClientAuthentication};
use crate::{Error, ErrorCode, Result, Secret, TokenRequest};

#[derive(Debug)]
pub(super) struct Basic {
    pub(super) id: String,
    pub(super) secret: Secret,
    /// Some providers do not decode what RFC 6749 wants encoded.
    pub(super) raw: bool,
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
pub(super) struct Post {
    pub(super) id: String,
    pub(super) secret: Secret,
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

/// Names the client and sends nothing else: a public one, or one that its connection's certificate proves (RFC 8705
/// section 2).
#[derive(Debug)]
pub(super) struct Public {
    pub(super) id: String,
    pub(super) method: AuthMethod,
}

#[async_trait]
impl ClientAuthentication for Public {
    fn name(&self) -> &str {
        self.method.as_str()
    }

    async fn authenticate(&self, request: &mut TokenRequest) -> Result<()> {
        request.remove("client_secret");
        request.set("client_id", self.id.as_str());
        Ok(())
    }
}

/// Says nothing of the client at all: what the request brings says who asks.
#[derive(Debug)]
pub(crate) struct Unnamed;

#[async_trait]
impl ClientAuthentication for Unnamed {
    fn name(&self) -> &str {
        AuthMethod::None.as_str()
    }

    async fn authenticate(&self, request: &mut TokenRequest) -> Result<()> {
        request.remove("client_id");
        Ok(())
    }
}
