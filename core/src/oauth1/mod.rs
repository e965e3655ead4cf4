//! OAuth 1.0a (RFC 5849): how requests are signed, and how answers are read. Pure: nothing is sent here, and no clock is
//! looked at but the one that is given. The three legs of a login are in `client/oauth1.rs`.
//!
//! `base_string` is what is signed, `signing` how, `rsa` one of the ways, `request` puts it all into a request.

mod answer;
mod base_string;
mod request;
mod rsa;
mod signing;

use std::fmt;

use url::Url;

#[cfg(test)]
pub(crate) use self::rsa::tests as rsa_tests;
pub use self::signing::SignatureMethod;
pub(crate) use self::{
    answer::{FormAnswer, Kind, Problem},
    base_string::encode,
    request::{Credentials, Stamp, is_protocol, without_protocol},
    rsa::RsaKey,
    signing::Key,
};
use crate::{Error, ErrorCode, Phase, Result};

/// Where a request carries the protocol's parameters (RFC 5849 section 3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureType {
    /// `HEADER`: in the `Authorization` header.
    #[default]
    Header,
    /// `QUERY`: in the query. Whoever reads logs of addresses sees which token was used, and when; a signature fits no other
    /// request.
    Query,
    /// `BODY`: in the form. A request that can have none, such as a GET or one with JSON, has them in the header.
    Body,
}

impl SignatureType {
    /// The setting's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "HEADER",
            Self::Query => "QUERY",
            Self::Body => "BODY",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self> {
        let known = [Self::Header, Self::Query, Self::Body];
        let mut found = known.into_iter();
        found
            .find(|known| known.as_str().eq_ignore_ascii_case(name.trim()))
            .ok_or_else(|| {
                Error::new(
                    ErrorCode::Unsupported,
                    Phase::Configure,
                    format!(
                        "the signature type {:?} is not there; known are HEADER, QUERY and BODY",
                        crate::error::excerpt(name)
                    ),
                )
            })
    }
}

/// In the redirect URI's place: the provider shows the verifier, and the user types it in (RFC 5849 section 2.1).
pub(crate) const OOB: &str = "oob";

/// What makes a client one of OAuth 1.0a.
#[derive(Clone)]
pub(crate) struct OAuth1 {
    pub(crate) consumer_key: String,
    pub(crate) request_token_url: Url,
    pub(crate) request_token_params: Vec<(String, String)>,
    pub(crate) method: SignatureMethod,
    pub(crate) key: Key,
    pub(crate) signature_type: SignatureType,
    /// Fits a quoted string as it is.
    pub(crate) realm: Option<String>,
    /// Is `oauth_body_hash` sent for bodies that are no form?
    pub(crate) body_hash: bool,
}

impl fmt::Debug for OAuth1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth1")
            .field("method", &self.method)
            .field("signature_type", &self.signature_type)
            .finish_non_exhaustive()
    }
}
