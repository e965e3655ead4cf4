//! Whether a request is signed as it should be. Written from the specification, apart from the client that it is to judge.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, StatusCode, request::Parts};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{KEY, Refused, SECRET, Shared};

/// What a request says, once it is known to be signed.
pub(super) struct Checked {
    /// The protocol's parameters.
    pub(super) protocol: BTreeMap<String, String>,
    pub(super) token: Option<String>,
}

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

impl Shared {
    /// Checks a request that has a token of `secrets`, or none.
    pub(super) fn check(
        &self,
        parts: &Parts,
        body: &str,
        secret_of: impl Fn(&str) -> Option<String>,
    ) -> Result<Checked, Refused> {
        let protocol = protocol(parts, body)?;
        let get = |name: &str| {
            let value = protocol.get(name).cloned();
            value.ok_or(Refused(StatusCode::BAD_REQUEST, "parameter_absent"))
        };
        if get("oauth_consumer_key")? != KEY {
            return Err(Refused(UNAUTHORIZED, "consumer_key_unknown"));
        }
        let token = protocol.get("oauth_token").cloned();
        let secret = match &token {
            Some(token) => secret_of(token).ok_or(Refused(UNAUTHORIZED, "token_rejected"))?,
            None => String::new(),
        };
        let key = format!("{}&{}", encoded(SECRET), encoded(&secret));
        let text = base_string(&self.base, parts, body, &protocol);
        let tag = |algorithm| {
            let key = hmac::Key::new(algorithm, key.as_bytes());
            STANDARD.encode(hmac::sign(&key, text.as_bytes()))
        };
        let expected = match get("oauth_signature_method")?.as_str() {
            "HMAC-SHA1" => tag(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            "HMAC-SHA256" => tag(hmac::HMAC_SHA256),
            "PLAINTEXT" => key.clone(),
            _ => return Err(Refused(UNAUTHORIZED, "signature_method_rejected")),
        };
        if get("oauth_signature")? != expected {
            return Err(Refused(UNAUTHORIZED, "signature_invalid"));
        }
        self.check_time(&get("oauth_timestamp")?, &get("oauth_nonce")?)?;
        Ok(Checked { protocol, token })
    }

    fn check_time(&self, timestamp: &str, nonce: &str) -> Result<(), Refused> {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
        let now = now.map_or(0, |now| now.as_secs().cast_signed());
        let mut state = self.state();
        let is_near = timestamp
            .parse::<i64>()
            .is_ok_and(|at| (now + state.seconds_ahead).abs_diff(at) <= 300);
        if !is_near {
            return Err(Refused(UNAUTHORIZED, "timestamp_refused"));
        }
        if !state.nonces.insert(format!("{timestamp} {nonce}")) {
            return Err(Refused(UNAUTHORIZED, "nonce_used"));
        }
        Ok(())
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers.get("content-type").is_some_and(|value| {
        let value = value.as_bytes();
        value.starts_with(b"application/x-www-form-urlencoded")
    })
}

fn pairs(encoded: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = url::form_urlencoded::parse(encoded.as_bytes());
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned()))
}

/// The `Authorization` header's, the query's and the form's, each at most once.
fn protocol(parts: &Parts, body: &str) -> Result<BTreeMap<String, String>, Refused> {
    let header = parts.headers.get("authorization");
    let header = header.and_then(|value| value.to_str().ok()?.strip_prefix("OAuth "));
    let decoded = |text: &str| {
        // A plus is no blank here.
        let text = text.replace('+', "%2B");
        let text = format!("a={text}");
        pairs(&text)
            .next()
            .map(|(_, value)| value)
            .unwrap_or_default()
    };
    let in_header = header.into_iter().flat_map(|header| header.split(','));
    let in_header = in_header.filter_map(|member| {
        let (name, value) = member.trim().split_once('=')?;
        Some((name.to_owned(), decoded(value.trim_matches('"'))))
    });
    let query = pairs(parts.uri.query().unwrap_or_default());
    let form = pairs(body).filter(|_| is_form(&parts.headers));
    let mut all = BTreeMap::new();
    for (name, value) in in_header.chain(query).chain(form) {
        if name.starts_with("oauth_") && all.insert(name, value).is_some() {
            return Err(Refused(StatusCode::BAD_REQUEST, "parameter_rejected"));
        }
    }
    Ok(all)
}

fn base_string(
    base: &url::Url,
    parts: &Parts,
    body: &str,
    protocol: &BTreeMap<String, String>,
) -> String {
    let others = pairs(parts.uri.query().unwrap_or_default())
        .chain(pairs(body).filter(|_| is_form(&parts.headers)))
        .filter(|(name, _)| !name.starts_with("oauth_"));
    let signed = protocol
        .iter()
        .filter(|(name, _)| *name != "oauth_signature")
        .map(|(name, value)| (name.clone(), value.clone()));
    let mut all: Vec<(String, String)> = others
        .chain(signed)
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    all.sort();
    let all: Vec<String> = all
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let address = format!(
        "{}{}",
        base.origin().ascii_serialization(),
        parts.uri.path()
    );
    format!(
        "{}&{}&{}",
        parts.method,
        encoded(&address),
        encoded(&all.join("&"))
    )
}

/// RFC 3986's encoding, out of that of forms.
fn encoded(text: &str) -> String {
    let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    form.replace('+', "%20")
        .replace('*', "%2A")
        .replace("%7E", "~")
}
