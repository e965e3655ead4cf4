//! What an API's 401 or 403 asks for: `WWW-Authenticate` (RFC 9110 section 11.6.1, RFC 6750 section 3, RFC 9470).

use reqwest::{Response, StatusCode, header::WWW_AUTHENTICATE};

use crate::{Secret, client::token_endpoint::scrub};

/// How long a value may be that names what is missing; Google's scopes are addresses.
const MAX_REQUIRED: usize = 2048;

/// A refusal that has to do with the token.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    unauthorized: bool,
    pub(super) error: Option<String>,
    pub(super) description: Option<String>,
    /// `scope`, `acr_values`, `max_age`.
    pub(super) required: Vec<(String, String)>,
}

impl Challenge {
    /// The challenge of a 401, or of a 403 that names an error. APIs are known to repeat the token that was `sent`.
    pub(crate) fn of(response: &Response, sent: &[Secret]) -> Option<Self> {
        let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
        if !unauthorized && response.status() != StatusCode::FORBIDDEN {
            return None;
        }
        let headers = response.headers().get_all(WWW_AUTHENTICATE);
        let mut challenge = Self {
            unauthorized,
            ..Self::default()
        };
        for value in headers
            .iter()
            .filter_map(|value| value.to_str().ok())
            .take(8)
        {
            challenge.read(value, sent);
        }
        (unauthorized || challenge.error.is_some()).then_some(challenge)
    }

    /// May a renewed token help? Not where the API asks for another scope or another authentication.
    pub(crate) fn asks_for_a_fresh_token(&self) -> bool {
        self.unauthorized && matches!(self.error.as_deref(), None | Some("invalid_token"))
    }

    /// Is it said already? What comes first counts, so that there is an end to it.
    fn requires(&self, name: &str) -> bool {
        self.required.iter().any(|(known, _)| known == name)
    }

    fn read(&mut self, header: &str, sent: &[Secret]) {
        // At most 8 KiB: nobody needs more to say what is missing.
        let header: String = header.chars().take(8192).collect();
        for (name, value) in parameters(&header) {
            match name.to_ascii_lowercase().as_str() {
                "error" => self.error = self.error.take().or_else(|| Some(error(value, sent))),
                "error_description" => {
                    self.description = self
                        .description
                        .take()
                        .or_else(|| Some(scrub(&value, sent)));
                }
                // A scope may look like a token: only what was sent is cut out.
                name @ ("scope" | "acr_values" | "max_age") if !self.requires(name) => {
                    let value = sent.iter().fold(value, |value, secret| {
                        value.replace(secret.expose(), "[secret]")
                    });
                    // Cut it would ask for something else.
                    if value.len() <= MAX_REQUIRED && !value.chars().any(char::is_control) {
                        self.required.push((name.to_owned(), value));
                    }
                }
                _ => {}
            }
        }
    }
}

/// The error's name: one that means something as it is, whatever the token looks like.
fn error(name: String, sent: &[Secret]) -> String {
    const KNOWN: [&str; 4] = [
        "invalid_request",
        "invalid_token",
        "insufficient_scope",
        "insufficient_user_authentication",
    ];
    if KNOWN.contains(&name.as_str()) {
        name
    } else {
        scrub(&name, sent)
    }
}

/// The parameters of all challenges of one header value, whatever their schemes.
pub(super) fn parameters(header: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = header;
    while let Some(equals) = rest.find('=') {
        let name = rest[..equals].trim_end();
        // A scheme may stand before the name: `Bearer error=…`.
        let name = name.rsplit([' ', ',', '\t']).next().unwrap_or_default();
        let after = rest[equals + 1..].trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted_string(quoted),
            None => {
                let end = after.find([',', ' ', '\t']).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        if !name.is_empty() {
            found.push((name.to_owned(), value));
        }
        rest = next;
    }
    found
}

/// A quoted string without its first quote: what it says, and what follows.
fn quoted_string(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests;
