//! What a failed token request means, and the error that says so without a secret in it.

use std::{cmp::Reverse, time::Duration};

use reqwest::StatusCode;
use serde_json::Value;
use url::form_urlencoded;

use super::reading;
use crate::{
    Action, Error, ErrorCode, Phase, ProviderError, Secret,
    error::excerpt,
    http::Answer,
    oauth1::encode,
    token::{TokenFailure, Verdict},
};

/// What the provider said of an error (RFC 6749 section 5.2).
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) error: Option<String>,
    description: Option<String>,
    uri: Option<String>,
}

impl Said {
    /// From the members of an answer, as raw JSON.
    pub(super) fn read<'a>(find: impl Fn(&str) -> Option<&'a str>) -> Self {
        let text = |name| match serde_json::from_str(find(name)?).ok()? {
            Value::String(text) => Some(text).filter(|text| !text.trim().is_empty()),
            _ => None,
        };
        let mut said = Self {
            error: text("error"),
            description: text("error_description"),
            uri: text("error_uri"),
        };
        // Graph-like APIs answer `{"error": {"message": …, "type": …, "code": …}}`.
        if let Some(Ok(Value::Object(inner))) = find("error").map(serde_json::from_str) {
            let member = |name| inner.get(name).and_then(Value::as_str).map(str::to_owned);
            said.error = member("type")
                .or_else(|| member("code"))
                .or_else(|| Some("unknown".to_owned()));
            said.description = said.description.or_else(|| member("message"));
        }
        said
    }
}

/// Everything an error is made of.
pub(super) struct Refusal<'a> {
    pub(super) verdict: Verdict,
    pub(super) said: Said,
    pub(super) what: &'a str,
    pub(super) status: Option<StatusCode>,
    pub(super) host: &'a str,
    pub(super) sent: &'a [Secret],
}

impl Refusal<'_> {
    pub(super) fn into_failure(self, phase: Phase, client: &str) -> TokenFailure {
        let clean = |text: Option<String>| text.map(|text| scrub(&text, self.sent));
        let provider = ProviderError {
            status: self.status.map(|status| status.as_u16()),
            error: self.said.error.map(|name| match is_known(&name) {
                true => name,
                false => scrub(&name, self.sent),
            }),
            description: clean(self.said.description),
            uri: clean(self.said.uri),
            ..ProviderError::default()
        };
        let mut message = format!("{}: {}", self.host, self.what);
        if let Some(error) = &provider.error {
            message.push_str(": ");
            message.push_str(error);
        }
        let action = match self.verdict {
            Verdict::Throttled { retry_after } | Verdict::Unavailable { retry_after } => {
                Action::Retry { after: retry_after }
            }
            Verdict::NotSent | Verdict::Ambiguous => Action::Retry { after: None },
            Verdict::InvalidGrant => Action::Login { connect_url: None },
            Verdict::Refused => Action::Configure,
        };
        TokenFailure {
            verdict: self.verdict,
            error: Error::new(ErrorCode::ProviderError, phase, message)
                .with_provider(provider)
                .with_action(action)
                .with_client(client),
        }
    }
}

/// A name that means something as it is, also where a user's password is a part of it: nobody learns that from it.
fn is_known(error: &str) -> bool {
    const KNOWN: [&str; 14] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_token_type",
        "invalid_scope",
        "invalid_target",
        "authorization_pending",
        "slow_down",
        "expired_token",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
    ];
    KNOWN.contains(&error)
}

/// What an answer means that is no token: by its `error` first, then by its status.
pub(super) fn of_error(
    status: StatusCode,
    error: Option<&str>,
    retry_after: Option<Duration>,
) -> Verdict {
    let code = status.as_u16();
    // Some providers answer errors with 200; GitHub has a name of its own for `invalid_grant`.
    if (status.is_success() || status.is_client_error())
        && matches!(error, Some("invalid_grant" | "bad_refresh_token"))
    {
        return Verdict::InvalidGrant;
    }
    let later = matches!(error, Some("temporarily_unavailable" | "slow_down"));
    match code {
        200..=299 => match error {
            Some(
                "invalid_request"
                | "invalid_client"
                | "unauthorized_client"
                | "unsupported_grant_type"
                | "invalid_scope"
                | "invalid_target",
            ) => Verdict::Refused,
            // An error by another name: certainly no token, but whether one was spent is not said.
            Some(_) => Verdict::Unavailable { retry_after },
            None => Verdict::Ambiguous,
        },
        // 408 and 425: the request was not looked at.
        408 | 425 | 429 => Verdict::Throttled { retry_after },
        400..=499 if later => Verdict::Throttled { retry_after },
        400..=499 => Verdict::Refused,
        // A gateway lost the answer of a server that may have given one.
        502 | 504 => Verdict::Ambiguous,
        500..=599 => Verdict::Unavailable { retry_after },
        // A redirect is not followed; that the request was not processed is not proven.
        _ => Verdict::Ambiguous,
    }
}

/// The error in an answer that is no success, from JSON or a form.
pub(super) fn said(answer: &Answer) -> Said {
    reading::read(&String::from_utf8_lossy(&answer.body))
        .and_then(|reading| reading.said())
        .unwrap_or_default()
}

pub(super) fn media_type(answer: &Answer) -> Option<String> {
    let value = answer.header("content-type")?;
    let media = value.split(';').next().unwrap_or_default().trim();
    Some(media.to_ascii_lowercase())
}

/// JSON, a form, or what providers are known to call either.
pub(super) fn is_token_media_type(answer: &Answer) -> bool {
    answer.is_json()
        || media_type(answer).is_none_or(|media| {
            matches!(
                media.as_str(),
                "text/json"
                    | "text/javascript"
                    | "text/plain"
                    | "application/x-www-form-urlencoded"
            )
        })
}

/// ` (text/html, 512 bytes: "Bad gateway")`: the beginning of a page, and only if nothing in it can be a token.
pub(in crate::client) fn describe(answer: &Answer, sent: &[Secret]) -> String {
    let media = media_type(answer).map_or_else(
        || "no content type".to_owned(),
        |media| excerpt(&scrub(&media, sent)),
    );
    let size = answer.body.len();
    // What calls itself a success and is no page may be the token itself.
    let is_page = answer.body.trim_ascii_start().starts_with(b"<");
    let may_be_token = answer.status.is_success() && !is_page;
    let page = (!may_be_token && (media == "text/html" || media == "text/plain"))
        .then(|| std::str::from_utf8(&answer.body).ok())
        .flatten()
        .map(|text| scrub(&without_tags(text), sent))
        .filter(|text| !text.contains("token") && !text.contains(['{', '=']))
        .filter(|text| !text.trim().is_empty());
    match page {
        Some(page) => format!(" ({media}, {size} bytes: {page:?})"),
        None => format!(" ({media}, {size} bytes)"),
    }
}

fn without_tags(page: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in page.chars().take(4096) {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A bounded excerpt of a foreign text: what was sent is cut out, and every word that could be a token.
pub(crate) fn scrub(text: &str, sent: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in written(sent) {
        text = text.replace(secret.expose(), "[secret]");
    }
    let is_token_char = |c: char| c.is_ascii_alphanumeric() || "-._~+/=%".contains(c);
    let mut clean = String::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_token_char(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        if word.starts_with("//") && clean.ends_with(':') {
            // An address is judged part by part.
            let parts: Vec<_> = word.split('/').map(without_token).collect();
            clean.push_str(&parts.join("/"));
        } else {
            clean.push_str(without_token(word));
        }
        let separator = tail.chars().next().map_or(0, char::len_utf8);
        clean.push_str(&tail[..separator]);
        rest = &tail[separator..];
    }
    excerpt(&clean)
}

/// Secrets as a request holds them: as they are, in a form, in a header of OAuth 1.0a; PLAINTEXT encodes them twice. The
/// longest first, for one may be the beginning of another.
fn written(sent: &[Secret]) -> Vec<Secret> {
    let mut forms: Vec<Secret> = Vec::new();
    for secret in sent {
        let plain = secret.expose().as_bytes();
        let once = encode(plain);
        forms.push(encode(once.as_bytes()).into());
        forms.push(once.into());
        let form: String = form_urlencoded::byte_serialize(plain).collect();
        forms.push(form.into());
        forms.push(secret.clone());
    }
    forms.retain(|form| !form.expose().is_empty());
    forms.sort_by_key(|form| Reverse(form.expose().len()));
    forms
}

fn without_token(word: &str) -> &str {
    let mixed = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase();
    if word.len() >= 20 && word.bytes().any(mixed) {
        "[…]"
    } else {
        word
    }
}
