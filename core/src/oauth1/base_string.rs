//! The signature base string (RFC 5849 section 3.4.1), over bytes: what is not UTF-8 is signed as it is sent.

use std::borrow::Cow;

use url::Url;

/// A parameter, decoded.
pub(crate) type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Percent-encodes as RFC 5849 section 3.6 wants it: all but letters, digits, `-`, `.`, `_` and `~`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    text
}

/// The parameters of a query or of a form (RFC 5849 section 3.4.1.3.1), decoded.
pub(crate) fn parameters(encoded: &[u8]) -> Vec<Pair<'_>> {
    encoded
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = match equals {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &pair[pair.len()..]),
            };
            (decode(name), decode(value))
        })
        .collect()
}

/// `+` is a blank, `%41` an A; a `%` that begins nothing stays.
fn decode(encoded: &[u8]) -> Cow<'_, [u8]> {
    if !encoded.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(encoded);
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut plain = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while let Some(&byte) = encoded.get(at) {
        let hex = (digit(encoded.get(at + 1)), digit(encoded.get(at + 2)));
        match (byte, hex) {
            (b'%', (Some(high), Some(low))) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                plain.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    Cow::Owned(plain)
}

/// The whole base string. `pairs` are those of query, form and protocol, without `realm` and `oauth_signature`; `host` is the
/// `Host` header where a request has one of its own.
pub(crate) fn base_string(
    method: &str,
    url: &Url,
    host: Option<&str>,
    pairs: &[Pair<'_>],
) -> String {
    let method = encode(method.to_ascii_uppercase().as_bytes());
    let address = encode(address(url, host).as_bytes());
    let parameters = encode(normalized(pairs).as_bytes());
    format!("{method}&{address}&{parameters}")
}

/// The base string URI (RFC 5849 section 3.4.1.2): no query, and a port only where it is not the scheme's own.
fn address(url: &Url, host: Option<&str>) -> String {
    let scheme = url.scheme();
    let authority = match (host, url.port()) {
        (Some(host), _) => {
            let usual = if scheme == "https" { ":443" } else { ":80" };
            host.strip_suffix(usual)
                .unwrap_or(host)
                .to_ascii_lowercase()
        }
        (None, Some(port)) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        (None, None) => url.host_str().unwrap_or_default().to_owned(),
    };
    format!("{scheme}://{authority}{}", url.path())
}

/// RFC 5849 section 3.4.1.3.2: encoded first, sorted then, by name and by value.
fn normalized(pairs: &[Pair<'_>]) -> String {
    let mut encoded: Vec<(String, String)> = pairs
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    encoded.sort_unstable();
    let joined: Vec<String> = encoded
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    joined.join("&")
}

#[cfg(test)]
mod tests;
