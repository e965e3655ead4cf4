//! A request is signed: its protocol parameters are made, signed, and put in one place, each once (RFC 5849 sections 3.1 to
//! 3.5).

use std::borrow::Cow;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue},
};
use url::Url;
use zeroize::Zeroizing;

use super::{
    OAuth1, SignatureType,
    base_string::{Pair, base_string, encode, parameters},
};
use crate::{Clock, Error, ErrorCode, Phase, Result, Secret};

const FORM: &str = "application/x-www-form-urlencoded";

/// What only the protocol may set, each at most once in a request (RFC 5849 section 3.1).
const PROTOCOL: [&str; 10] = [
    "oauth_consumer_key",
    "oauth_token",
    "oauth_signature_method",
    "oauth_signature",
    "oauth_timestamp",
    "oauth_nonce",
    "oauth_version",
    "oauth_callback",
    "oauth_verifier",
    "oauth_body_hash",
];

pub(crate) fn is_protocol(name: &str) -> bool {
    PROTOCOL.contains(&name)
}

/// An address without protocol parameters, for one that came with a redirect: it may repeat those of the request before.
pub(crate) fn without_protocol(url: &Url) -> Url {
    let is_ours = |pair: &str| {
        let pairs = parameters(pair.as_bytes());
        let mut names = pairs.iter().map(|(name, _)| name);
        names.any(|name| std::str::from_utf8(name).is_ok_and(is_protocol))
    };
    let mut url = url.clone();
    if let Some(query) = url.query() {
        let kept: Vec<&str> = query.split('&').filter(|pair| !is_ours(pair)).collect();
        let kept = kept.join("&");
        url.set_query(Some(kept.as_str()).filter(|kept| !kept.is_empty()));
    }
    url
}

/// In whose name a request is signed: none of both is the client itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Credentials<'a> {
    pub(crate) token: Option<&'a Secret>,
    pub(crate) secret: Option<&'a Secret>,
}

/// What makes a request one of its kind (RFC 5849 section 3.3).
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    nonce: String,
    timestamp: i64,
}

impl Stamp {
    /// A fresh one: 120 random bits, and the time. Servers are known that take 20 to 30 letters and digits, and no others.
    pub(crate) fn fresh(clock: &dyn Clock) -> Self {
        let random = crate::seal::random::<15>();
        let nonce: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::new(nonce, clock.now().as_secs())
    }

    pub(super) fn new(nonce: impl Into<String>, timestamp: i64) -> Self {
        Self {
            nonce: nonce.into(),
            timestamp,
        }
    }
}

/// Where the body of a request stands, as far as a signature cares.
enum Body<'a> {
    /// A form is signed, parameter by parameter.
    Form(&'a [u8]),
    /// There is none.
    None,
    /// Anything else may be signed by its digest. A stream has no bytes yet.
    Other(Option<&'a [u8]>),
}

impl<'a> Body<'a> {
    fn of(request: &'a Request) -> Result<Self> {
        let is_form = request.headers().get(CONTENT_TYPE).is_some_and(|value| {
            let media = value.to_str().unwrap_or_default().split(';').next();
            media.is_some_and(|media| media.trim().eq_ignore_ascii_case(FORM))
        });
        match (request.body(), is_form) {
            (None, true) => Ok(Self::Form(b"")),
            (None, false) => Ok(Self::None),
            (Some(body), false) => Ok(Self::Other(body.as_bytes())),
            (Some(body), true) => body.as_bytes().map(Self::Form).ok_or_else(|| {
                streamed(
                    "a form that is streamed cannot be signed: give it as one piece, with form(…)",
                )
            }),
        }
    }
}

impl OAuth1 {
    /// Signs a request, and puts the protocol's parameters into it. `further` are those that only one step has.
    ///
    /// # Errors
    /// `invalid_parameter` if the request has protocol parameters already, `unsupported` for a stream that would have to be
    /// signed, and those of a signer.
    pub(crate) async fn sign(
        &self,
        request: &mut Request,
        credentials: Credentials<'_>,
        further: &[(&'static str, &str)],
        stamp: Stamp,
    ) -> Result<()> {
        let mut protocol = self.protocol(credentials, further, stamp);
        let body = Body::of(request)?;
        if let Some(hash) = self.body_hash_of(request.method(), &body)? {
            protocol.push(("oauth_body_hash", hash.into()));
        }
        let text = signed_text(request, &body, &protocol)?;
        let signature = self.key.sign(self.method, &text, credentials.secret);
        protocol.push(("oauth_signature", signature.await?));
        self.place(request, &protocol)
    }

    fn protocol(
        &self,
        credentials: Credentials<'_>,
        further: &[(&'static str, &str)],
        stamp: Stamp,
    ) -> Vec<(&'static str, Secret)> {
        let mut protocol = vec![
            ("oauth_consumer_key", self.consumer_key.as_str().into()),
            ("oauth_signature_method", self.method.as_str().into()),
            ("oauth_timestamp", stamp.timestamp.to_string().into()),
            ("oauth_nonce", stamp.nonce.into()),
            ("oauth_version", "1.0".into()),
        ];
        protocol.extend(
            credentials
                .token
                .map(|token| ("oauth_token", token.clone())),
        );
        protocol.extend(further.iter().map(|(name, value)| (*name, (*value).into())));
        protocol
    }

    /// The digest of a body that is no form (OAuth Request Body Hash, draft 4, section 3).
    fn body_hash_of(&self, method: &Method, body: &Body<'_>) -> Result<Option<String>> {
        let bytes = match body {
            _ if !self.body_hash => return Ok(None),
            Body::Form(_) => return Ok(None),
            Body::None if matches!(*method, Method::GET | Method::HEAD) => return Ok(None),
            Body::None => b"",
            Body::Other(bytes) => bytes.ok_or_else(|| {
                streamed("a body that is streamed has no oauth_body_hash: give it as one piece, with body(…) or json(…)")
            })?,
        };
        let digest = digest::digest(self.method.digest(), bytes);
        Ok(Some(STANDARD.encode(digest.as_ref())))
    }

    fn place(&self, request: &mut Request, protocol: &[(&'static str, Secret)]) -> Result<()> {
        match self.signature_type {
            SignatureType::Query => {
                let query = request.url().query().unwrap_or_default().as_bytes();
                let query = appended(query, protocol);
                // It was text, and what was added is ASCII.
                let query = String::from_utf8_lossy(&query);
                request.url_mut().set_query(Some(&query));
                Ok(())
            }
            SignatureType::Body if takes_form(request) => {
                let form = request.body().and_then(reqwest::Body::as_bytes);
                let form = appended(form.unwrap_or_default(), protocol);
                let headers = request.headers_mut();
                headers.remove(CONTENT_LENGTH);
                headers
                    .entry(CONTENT_TYPE)
                    .or_insert(HeaderValue::from_static(FORM));
                *request.body_mut() = Some(form.into());
                Ok(())
            }
            SignatureType::Body | SignatureType::Header => self.place_in_header(request, protocol),
        }
    }

    /// RFC 5849 section 3.5.1. The realm stands first, and is not signed.
    fn place_in_header(
        &self,
        request: &mut Request,
        protocol: &[(&'static str, Secret)],
    ) -> Result<()> {
        let realm = self.realm.iter().map(|realm| format!("realm=\"{realm}\""));
        let quoted = |(name, value): &(&'static str, Secret)| {
            format!("{name}=\"{}\"", encode(value.expose().as_bytes()))
        };
        let members: Vec<String> = realm.chain(protocol.iter().map(quoted)).collect();
        let text = Zeroizing::new(format!("OAuth {}", members.join(", ")));
        let mut header = HeaderValue::from_str(&text).map_err(|_| {
            // Only the realm is not encoded, and that was checked; this is for the compiler.
            Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Request,
                "the realm fits no header",
            )
        })?;
        header.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, header);
        Ok(())
    }
}

/// May its body hold protocol parameters (RFC 5849 section 3.5.2)? A form may, and what has no body but could have one.
fn takes_form(request: &Request) -> bool {
    let could = matches!(
        *request.method(),
        Method::POST | Method::PUT | Method::PATCH
    );
    match Body::of(request) {
        Ok(Body::Form(form)) => could || !form.is_empty(),
        Ok(Body::None) => could && !request.headers().contains_key(CONTENT_TYPE),
        _ => false,
    }
}

/// A query or form with the protocol's parameters behind it.
fn appended(encoded: &[u8], protocol: &[(&'static str, Secret)]) -> Vec<u8> {
    let mut all = encoded.to_vec();
    for (name, value) in protocol {
        if !all.is_empty() {
            all.push(b'&');
        }
        all.extend(name.bytes());
        all.push(b'=');
        all.extend(encode(value.expose().as_bytes()).bytes());
    }
    all
}

/// What is signed.
fn signed_text(
    request: &Request,
    body: &Body<'_>,
    protocol: &[(&'static str, Secret)],
) -> Result<Zeroizing<String>> {
    let url = request.url();
    let mut pairs = parameters(url.query().unwrap_or_default().as_bytes());
    if let Body::Form(form) = body {
        pairs.extend(parameters(form));
    }
    refuse_protocol(&pairs)?;
    for (name, value) in protocol {
        let value = value.expose().as_bytes();
        pairs.push((Cow::Borrowed(name.as_bytes()), Cow::Borrowed(value)));
    }
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let method = request.method().as_str();
    Ok(Zeroizing::new(base_string(method, url, host, &pairs)))
}

fn refuse_protocol(pairs: &[Pair<'_>]) -> Result<()> {
    let mut names = pairs
        .iter()
        .filter_map(|(name, _)| std::str::from_utf8(name).ok());
    match names.find(|name| is_protocol(name)) {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorCode::InvalidParameter,
            Phase::Request,
            format!(
                "the request brings its own {name}, which belongs to the protocol: leave it out, for it may stand once only"
            ),
        )),
    }
}

fn streamed(what: &str) -> Error {
    Error::new(ErrorCode::Unsupported, Phase::Request, what)
}

#[cfg(test)]
mod tests;
