//! What a provider of OAuth 1.0a answers: a form, whatever its content type says (RFC 5849 sections 2.1 and 2.3), or what was
//! wrong (OAuth Problem Reporting).

use url::form_urlencoded;

use crate::Secret;

const MAX_ANSWER: usize = 64 * 1024;
const MAX_MEMBERS: usize = 64;
const MAX_MEMBER: usize = 8 * 1024;

/// A form, each name once.
#[derive(Debug, Default)]
pub(crate) struct FormAnswer(Vec<(String, Secret)>);

impl FormAnswer {
    /// Reads an answer; an error is the end of a sentence that begins with "the answer".
    pub(crate) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        if body.len() > MAX_ANSWER {
            return Err("is larger than 64 KiB");
        }
        let body = body.trim_ascii();
        if body.starts_with(b"<") {
            return Err("is a page of HTML or XML and not form-encoded");
        }
        if body.starts_with(b"{") || body.starts_with(b"[") {
            return Err("is JSON and not form-encoded");
        }
        if !body.contains(&b'=') || body.iter().any(u8::is_ascii_control) {
            return Err("is not form-encoded");
        }
        let mut members: Vec<(String, Secret)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if members.len() == MAX_MEMBERS {
                return Err("has more than 64 members");
            }
            if name.len() > MAX_MEMBER || value.len() > MAX_MEMBER {
                return Err("has a member over 8 KiB");
            }
            // What was not UTF-8 was replaced by this character.
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err("is not UTF-8");
            }
            if members.iter().any(|(other, _)| *other == name) {
                return Err("has a member twice");
            }
            members.push((name.into_owned(), value.into_owned().into()));
        }
        Ok(Self(members))
    }

    /// Takes a member out, if it is there.
    pub(crate) fn take(&mut self, name: &str) -> Option<Secret> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// What was not taken out.
    pub(crate) fn into_rest(self) -> Vec<(String, Secret)> {
        self.0
    }
}

/// What a provider says is wrong, as it came: not cleaned yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    /// `oauth_problem`, or OAuth 2.0's `error`.
    pub(crate) name: Option<String>,
    /// `oauth_problem_advice`, or `error_description`.
    pub(crate) advice: Option<String>,
    /// `oauth_acceptable_timestamps`.
    pub(crate) timestamps: Option<String>,
}

impl Problem {
    /// Reads a body that may be such a form.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        let mut problem = Self::default();
        if let Ok(form) = FormAnswer::parse(body) {
            for (name, value) in form.into_rest() {
                problem.read(&name, value.expose());
            }
        }
        problem
    }

    /// Reads one parameter of a challenge or form. The first of each counts.
    pub(crate) fn read(&mut self, name: &str, value: &str) {
        let slot = match name {
            "oauth_problem" | "error" => &mut self.name,
            "oauth_problem_advice" | "error_description" => &mut self.advice,
            "oauth_acceptable_timestamps" => &mut self.timestamps,
            _ => return,
        };
        if slot.is_none() && !value.trim().is_empty() {
            *slot = Some(value.to_owned());
        }
    }

    /// What one of both does not say, the other may.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            name: self.name.or(other.name),
            advice: self.advice.or(other.advice),
            timestamps: self.timestamps.or(other.timestamps),
        }
    }

    /// Does it name what is wrong?
    pub(crate) fn says_something(&self) -> bool {
        self.name.is_some()
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::of(self.name.as_deref())
    }
}

/// What a problem means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// This machine's clock, or the provider's, is wrong.
    Clock,
    /// A request came twice: something between sent it again.
    Nonce,
    /// The registration here differs from the one there.
    Registration,
    /// The user or the provider said no.
    Denied,
    /// The token, or the verifier.
    Token,
    /// Nobody said, or by an unknown name.
    Unknown,
}

impl Kind {
    fn of(name: Option<&str>) -> Self {
        match name {
            Some("timestamp_refused") => Self::Clock,
            Some("nonce_used") => Self::Nonce,
            Some(
                "version_rejected"
                | "parameter_absent"
                | "parameter_rejected"
                | "signature_invalid"
                | "signature_method_rejected"
                | "consumer_key_unknown"
                | "consumer_key_rejected"
                | "consumer_key_refused"
                | "invalid_request"
                | "invalid_client"
                | "invalid_signature_method",
            ) => Self::Registration,
            Some("permission_denied" | "user_refused" | "access_denied") => Self::Denied,
            Some(
                "token_used" | "token_expired" | "token_revoked" | "token_rejected"
                | "verifier_invalid" | "permission_unknown",
            ) => Self::Token,
            _ => Self::Unknown,
        }
    }

    /// The end of a sentence about it; empty where nothing is known.
    pub(crate) fn explained(self) -> &'static str {
        match self {
            Self::Clock => {
                ": it does not accept the timestamp, so set this machine's clock, or have the other side set its own"
            }
            Self::Nonce => {
                ": it has seen the nonce before, so something between here and there sends requests twice"
            }
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests;
