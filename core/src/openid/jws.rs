//! The compact form of a signed JSON Web Token (RFC 7515 section 7.1), up to the bytes that were signed.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::{IgnoredAny, MapAccess};

use super::json::{Lenient, ObjectReader, Text, read_object};

/// Why something is not a signed token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is encrypted (RFC 7516).
    Encrypted,
    /// It is anything else.
    Malformed(&'static str),
}

/// A token, cut at its dots.
pub(super) struct Compact<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What the signature is over.
    pub(super) signed: &'a [u8],
}

impl<'a> Compact<'a> {
    pub(super) fn split(raw: &'a str) -> Result<Self, Unreadable> {
        let mut parts = raw.split('.');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(header), Some(payload), Some(signature), None) => Ok(Self {
                header,
                payload,
                signature,
                signed: &raw.as_bytes()[..header.len() + 1 + payload.len()],
            }),
            (.., Some(_)) if parts.count() == 1 => Err(Unreadable::Encrypted),
            _ => Err(Unreadable::Malformed("it does not have three parts")),
        }
    }

    /// The text of the header.
    pub(super) fn header(&self) -> Result<String, Unreadable> {
        decode(self.header).ok_or(Unreadable::Malformed(
            "its header is not base64url of UTF-8",
        ))
    }

    /// The text of the payload. Nothing of it is to be believed before the signature is verified.
    pub(super) fn payload(&self) -> Result<String, Unreadable> {
        decode(self.payload).ok_or(Unreadable::Malformed(
            "its payload is not base64url of UTF-8",
        ))
    }

    /// The bytes of the signature.
    pub(super) fn signature(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.signature).ok()
    }
}

fn decode(part: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// What a header says (RFC 7515 section 4.1). Keys that a header brings or points to (`jwk`, `jku`, `x5c`, `x5u`) are
/// never looked at.
#[derive(Default)]
pub(super) struct Header<'a> {
    pub(super) algorithm: Option<Cow<'a, str>>,
    pub(super) kid: Option<Cow<'a, str>>,
    pub(super) typ: Option<Cow<'a, str>>,
    pub(super) cty: Option<Cow<'a, str>>,
    pub(super) has_critical: bool,
    pub(super) is_encrypted: bool,
    /// `b64` (RFC 7797), which must not be false in a JWT (section 7).
    pub(super) is_unencoded: bool,
}

impl<'a> Header<'a> {
    /// Reads a header, every member of it once.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        read_object(text, Self::default()).ok()
    }

    /// Is its `typ` absent, or that of a plain token? Other kinds of tokens name themselves (RFC 8725 section 3.11).
    pub(super) fn is_plain_token(&self) -> bool {
        self.typ.as_deref().is_none_or(|typ| {
            ["JWT", "application/jwt", "JOSE", "application/jose"]
                .iter()
                .any(|plain| plain.eq_ignore_ascii_case(typ))
        })
    }

    /// May it be a logout token's (OpenID Connect Back-Channel Logout section 2.4)? The `typ` of its own is only recommended.
    pub(super) fn is_logout_token(&self) -> bool {
        self.is_plain_token()
            || self.typ.as_deref().is_some_and(|typ| {
                ["logout+jwt", "application/logout+jwt"]
                    .iter()
                    .any(|logout| logout.eq_ignore_ascii_case(typ))
            })
    }
}

impl<'de> ObjectReader<'de> for Header<'de> {
    type Output = Self;

    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let mut text = || Ok(Some(map.next_value::<Text<'de>>()?.0));
        match name {
            "alg" => self.algorithm = text()?,
            "kid" => self.kid = text()?,
            "typ" => self.typ = text()?,
            "cty" => self.cty = text()?,
            "crit" => {
                map.next_value::<IgnoredAny>()?;
                self.has_critical = true;
            }
            "b64" => self.is_unencoded = map.next_value::<Lenient<bool>>()?.0 != Some(true),
            "enc" => {
                map.next_value::<IgnoredAny>()?;
                self.is_encrypted = true;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self) -> Self {
        self
    }
}
