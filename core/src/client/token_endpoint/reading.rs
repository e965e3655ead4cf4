//! Reading a token answer (RFC 6749 section 5.1): liberal where nothing is at risk, strict otherwise.

use std::{fmt, time::Duration};

use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse, TokenType};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use url::form_urlencoded;

use super::verdict::Said;
use crate::{
    Secret,
    error::excerpt,
    token::{Credential, TokenAnswer, check_token_text},
};

/// Longer lives than 300 years are cut.
const MAX_LIFE: f64 = 1e10;
/// How long a `token_type` may be, in bytes.
const MAX_TOKEN_TYPE: usize = 255;
/// How long an `id_token` may be, in bytes: none that is longer is valid.
const MAX_ID_TOKEN: usize = crate::openid::MAX_ID_TOKEN;
/// How long a `scope` may be, in bytes of JSON.
const MAX_SCOPE: usize = 64 * 1024;
/// Warnings are names of members; more than this many help nobody.
const MAX_WARNINGS: usize = 16;

/// What stands in an answer. Every member of it is read by itself, so that one that cannot be read loses no other.
#[derive(Debug)]
pub(super) struct Reading {
    access_token: AccessToken,
    token_type: TokenTypeText,
    expires_in: Option<Duration>,
    refresh_token: Option<RefreshToken>,
    id_token: Option<Secret>,
    scopes: Option<Vec<Scope>>,
    issued_token_type: Option<String>,
    said: Said,
    /// Members that stand there twice.
    doubled: Vec<String>,
    /// Members that hold something else than they should: at login that is an error.
    broken: Vec<&'static str>,
    /// The same where nothing is at risk.
    ignored: Vec<&'static str>,
}

/// A `token_type` as it came; empty if none did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct TokenTypeText(String);

impl TokenType for TokenTypeText {}

impl Reading {
    pub(super) fn has_access_token(&self) -> bool {
        !self.access_token.secret().is_empty()
    }

    /// The error in it, if there is one.
    pub(super) fn said(&self) -> Option<Said> {
        self.said.error.is_some().then(|| self.said.clone())
    }

    /// The answer. On a refresh everything counts that has an access token.
    pub(super) fn into_answer(
        self,
        refresh: bool,
        mut warnings: Vec<String>,
    ) -> Result<TokenAnswer, &'static str> {
        if !self.has_access_token() {
            return Err("the answer has no access token");
        }
        let access_token = Secret::new(self.access_token.secret().as_str());
        if check_token_text("access token", &access_token).is_err() {
            return Err("the answer's access token has characters that no token has");
        }
        let twice = |name: &str| self.doubled.iter().any(|doubled| doubled == name);
        if twice("access_token") || (!refresh && !self.doubled.is_empty()) {
            return Err("the answer has a member twice");
        }
        let mut broken = self.broken;
        let refresh_token = self
            .refresh_token
            .map(|token| Secret::new(token.secret().as_str()))
            .filter(|token| {
                let usable = check_token_text("refresh token", token).is_ok();
                if !usable {
                    broken.push("refresh_token");
                }
                usable
            });
        if !refresh && !broken.is_empty() {
            return Err("a member of the answer cannot be read");
        }
        warnings.extend(self.doubled.iter().map(|name| format!("{name} (twice)")));
        warnings.extend(broken.into_iter().map(str::to_owned));
        warnings.extend(self.ignored.into_iter().map(str::to_owned));
        warnings.truncate(MAX_WARNINGS);
        let token_type = self.token_type.0;
        Ok(TokenAnswer {
            access_token,
            credential: (!token_type.is_empty()).then(|| Credential::of_token_type(&token_type)),
            expires_in: self.expires_in,
            refresh_token,
            id_token: self.id_token,
            scopes: self
                .scopes
                .map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect()),
            issued_token_type: self.issued_token_type,
            warnings,
        })
    }

    fn of_members(members: Vec<(String, Box<RawValue>)>) -> Self {
        let mut doubled: Vec<String> = Vec::new();
        let mut seen = [false; KNOWN.len()];
        // There may be a hundred thousand members: nothing here looks at all of them for each.
        for (name, _) in &members {
            let Some(known) = KNOWN.iter().position(|known| known == name) else {
                continue;
            };
            if std::mem::replace(&mut seen[known], true) && !doubled.contains(name) {
                doubled.push(name.clone());
            }
        }
        let mut others: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        others.sort_unstable();
        for pair in others.windows(2) {
            if pair[0] == pair[1] && !KNOWN.contains(&pair[0]) && doubled.len() < MAX_WARNINGS {
                let name = excerpt(pair[0]);
                if !doubled.contains(&name) {
                    doubled.push(name);
                }
            }
        }
        // The last one counts, as in every parser that does not look.
        let find = |name: &str| {
            let mut members = members.iter().rev();
            members
                .find(|(other, _)| other == name)
                .map(|(_, value)| value.get())
        };
        let (mut broken, mut ignored) = (Vec::new(), Vec::new());
        // What is kept has a bound: a record that is too large for any store could never be committed.
        let mut text = |name: &'static str, most: usize| match find(name).map(as_text) {
            Some(Read::Is(text)) if text.len() <= most => Some(text),
            Some(Read::Is(_) | Read::Unreadable) => {
                broken.push(name);
                None
            }
            Some(Read::Absent) | None => None,
        };
        // Both are bounded where they are checked.
        let access_token = text("access_token", usize::MAX).unwrap_or_default();
        let token_type = text("token_type", MAX_TOKEN_TYPE).unwrap_or_default();
        let refresh_token = text("refresh_token", usize::MAX);
        let id_token = text("id_token", MAX_ID_TOKEN);
        let issued_token_type = text("issued_token_type", MAX_TOKEN_TYPE);
        let mut lenient = |name: &'static str, read: bool| {
            if !read {
                ignored.push(name);
            }
        };
        // One that is over at once says nothing: whoever waits for the token would have it renewed for ever.
        let expires_in = find("expires_in")
            .and_then(as_duration)
            .filter(|life| !life.is_zero());
        lenient(
            "expires_in",
            expires_in.is_some() || find("expires_in").is_none_or(|raw| raw == "null"),
        );
        let scopes = find("scope")
            .filter(|raw| raw.len() <= MAX_SCOPE)
            .and_then(as_scopes);
        lenient(
            "scope",
            scopes.is_some() || find("scope").is_none_or(|raw| raw == "null"),
        );
        Self {
            access_token: AccessToken::new(access_token),
            token_type: TokenTypeText(token_type),
            expires_in,
            refresh_token: refresh_token.map(RefreshToken::new),
            id_token: id_token.map(Secret::from),
            scopes,
            issued_token_type,
            said: Said::read(find),
            doubled,
            broken,
            ignored,
        }
    }
}

const KNOWN: [&str; 10] = [
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "id_token",
    "scope",
    "issued_token_type",
    "error",
    "error_description",
    "error_uri",
];

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, Box<RawValue>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Self::of_members)
    }
}

/// oauth2 asks for it and never uses it; a token is not to be written by accident.
impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a token answer is not written"))
    }
}

impl TokenResponse for Reading {
    type TokenType = TokenTypeText;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &TokenTypeText {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        self.scopes.as_ref()
    }
}

enum Read<T> {
    Is(T),
    /// `null` or empty.
    Absent,
    Unreadable,
}

fn as_text(raw: &str) -> Read<String> {
    match serde_json::from_str(raw) {
        Ok(Value::String(text)) if text.is_empty() => Read::Absent,
        Ok(Value::String(text)) => Read::Is(text),
        Ok(Value::Null) => Read::Absent,
        _ => Read::Unreadable,
    }
}

/// Seconds as a number, a fraction, or either in quotes. Negative ones and what is no number are unknown.
fn as_duration(raw: &str) -> Option<Duration> {
    let text = raw.trim().trim_matches('"').trim();
    // `f64` would also read `inf` and `nan`.
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    Some(Duration::from_secs_f64(seconds.min(MAX_LIFE)))
}

fn as_scopes(raw: &str) -> Option<Vec<Scope>> {
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
    let scopes: Vec<String> = match serde_json::from_str(raw).ok()? {
        Value::String(text) => words(text),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(scope) => Some(scope),
                _ => None,
            })
            .collect::<Option<_>>()?,
        _ => return None,
    };
    Some(scopes.into_iter().map(Scope::new).collect())
}

/// The text if it is one JSON object and nothing else, without a byte order mark.
pub(super) fn as_json(text: &str) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let object = text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    object.then(|| text.to_owned())
}

/// Does it look like a form with a token or an error in it?
pub(super) fn is_form(text: &str) -> bool {
    !text.contains(['<', '{', '\n'])
        && form_urlencoded::parse(text.trim().as_bytes())
            .any(|(name, _)| name == "access_token" || name == "error")
}

/// A form as a JSON object; what stands twice stands twice.
pub(super) fn form_as_json(text: &str) -> String {
    let members: Vec<String> = form_urlencoded::parse(text.trim().as_bytes())
        .map(|(name, value)| {
            format!(
                "{}:{}",
                Value::String(name.into_owned()),
                Value::String(value.into_owned())
            )
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Can an access token be read from it?
pub(super) fn has_access_token(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    read(&text).is_some_and(|reading| reading.into_answer(true, Vec::new()).is_ok())
}

/// Reads JSON or a form.
pub(super) fn read(text: &str) -> Option<Reading> {
    let json = match as_json(text) {
        Some(json) => json,
        None if is_form(text) => form_as_json(text),
        None => return None,
    };
    serde_json::from_str(&json).ok()
}
