//! What a token endpoint answered, read once.

use std::time::Duration;

use super::{Credential, Secret};
use crate::Error;

/// A successful answer (RFC 6749 section 5.1). Only a 2xx with a readable `access_token` becomes one.
#[derive(Clone, Debug)]
pub(crate) struct TokenAnswer {
    pub(crate) access_token: Secret,
    /// None if the answer has no `token_type`.
    pub(crate) credential: Option<Credential>,
    pub(crate) expires_in: Option<Duration>,
    /// An empty or null one is absent.
    pub(crate) refresh_token: Option<Secret>,
    /// Raw text: an unreadable one never loses the tokens beside it.
    pub(crate) id_token: Option<Secret>,
    pub(crate) scopes: Option<Vec<String>>,
    /// What kind of token a token exchange gave (RFC 8693 section 2.2.1).
    pub(crate) issued_token_type: Option<String>,
    /// What could not be read, by member name.
    pub(crate) warnings: Vec<String>,
}

/// Why there is no [`TokenAnswer`].
#[derive(Debug)]
pub(crate) struct TokenFailure {
    pub(crate) verdict: Verdict,
    pub(crate) error: Error,
}

impl TokenFailure {
    /// What the provider answered, for a record's trail: the status and the OAuth error code, and of that only what can be
    /// no token.
    pub(crate) fn in_short(&self) -> String {
        let provider = self.error.provider();
        let status = provider.and_then(|said| said.status);
        let code = provider
            .and_then(|said| said.error.as_deref())
            .filter(|code| {
                code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            });
        match (status, code) {
            (Some(status), Some(code)) => format!("HTTP {status} {code}"),
            (Some(status), None) => format!("HTTP {status}"),
            (None, _) if self.verdict == Verdict::NotSent => "the request was not sent".to_owned(),
            (None, _) => "no answer".to_owned(),
        }
    }
}

impl TokenAnswer {
    /// The same for good news.
    pub(crate) fn in_short(&self) -> String {
        let lasts = self.expires_in.map_or_else(
            || "a token".to_owned(),
            |time| format!("a token for {} s", time.as_secs()),
        );
        match self.refresh_token {
            Some(_) => format!("{lasts}, and a new refresh token"),
            None => lasts,
        }
    }
}

/// What a failed token request means for the refresh token that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No byte was sent.
    NotSent,
    /// `invalid_grant`: the provider does not accept the token that was sent.
    InvalidGrant,
    /// Another 4xx: our registration is wrong, not the grant. Not processed.
    Refused,
    /// 429: not processed, try later.
    Throttled { retry_after: Option<Duration> },
    /// 5xx other than 502 and 504: try later; whether it was processed is unknown.
    Unavailable { retry_after: Option<Duration> },
    /// No answer, or one that cannot be read: it may have been processed.
    Ambiguous,
}

impl Verdict {
    /// The stable name, in snake case.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::InvalidGrant => "invalid_grant",
            Self::Refused => "refused",
            Self::Throttled { .. } => "throttled",
            Self::Unavailable { .. } => "unavailable",
            Self::Ambiguous => "ambiguous",
        }
    }

    /// Is it certain that the refresh token was not processed (rule 12)?
    pub(crate) fn proves_unprocessed(self) -> bool {
        matches!(self, Self::NotSent | Self::Refused | Self::Throttled { .. })
    }
}
