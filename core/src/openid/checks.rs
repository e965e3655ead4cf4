//! What is known of one ID token before it is read.

use std::{borrow::Cow, fmt, time::Duration};

use super::IdTokenClaims;

/// What was sent for an ID token, and what came beside it.
///
/// The checks of OpenID Connect Core section 3.1.3.7 are always made; nothing here replaces one, each adds one. How old a
/// token is (`iat`) is no reason to refuse it before it expires: the nonce says that it belongs to this login.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct IdTokenChecks<'a> {
    pub(super) nonce: NonceRule<'a>,
    pub(super) access_token: Option<&'a str>,
    pub(super) code: Option<&'a str>,
    pub(super) is_from_front_channel: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) acr_values: Vec<&'a str>,
    pub(super) subject: Option<&'a str>,
    pub(super) previous: Option<&'a IdTokenClaims>,
}

#[derive(Clone, Default)]
pub(super) enum NonceRule<'a> {
    #[default]
    Ignore,
    Equal(Cow<'a, str>),
    EqualIfPresent(Cow<'a, str>),
}

impl<'a> IdTokenChecks<'a> {
    /// Only what is always checked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This nonce was sent: the token must have it.
    #[must_use]
    pub fn nonce(mut self, nonce: &'a str) -> Self {
        self.nonce = NonceRule::Equal(Cow::Borrowed(nonce));
        self
    }

    /// This access token came with it: `at_hash`, if there is one, must fit.
    #[must_use]
    pub fn access_token(mut self, access_token: &'a str) -> Self {
        self.access_token = Some(access_token);
        self
    }

    /// This code came with it: `c_hash`, if there is one, must fit.
    #[must_use]
    pub fn code(mut self, code: &'a str) -> Self {
        self.code = Some(code);
        self
    }

    /// It came through the browser: `at_hash` and `c_hash` must be there for an access token and a code that were given
    /// (sections 3.2.2.9 and 3.3.2.10).
    #[must_use]
    pub fn from_front_channel(mut self) -> Self {
        self.is_from_front_channel = true;
        self
    }

    /// The user must have authenticated within this time (`auth_time`).
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// The user must have authenticated in one of these ways (`acr`).
    #[must_use]
    pub fn acr_values(mut self, acr_values: impl IntoIterator<Item = &'a str>) -> Self {
        self.acr_values = acr_values.into_iter().collect();
        self
    }

    /// It must be about this user (`sub`).
    #[must_use]
    pub fn subject(mut self, subject: &'a str) -> Self {
        self.subject = Some(subject);
        self
    }

    /// It came with a refresh, and these are the claims of the login (section 12.2): issuer, subject and audience must
    /// be the same, and a nonce, if there is one.
    #[must_use]
    pub fn refresh_of(mut self, previous: &'a IdTokenClaims) -> Self {
        self.previous = Some(previous);
        if let Some(serde_json::Value::String(nonce)) = previous.get("nonce") {
            self.nonce = NonceRule::EqualIfPresent(Cow::Owned(nonce));
        }
        self
    }
}

/// Shows which checks there are, not what was sent.
impl fmt::Debug for IdTokenChecks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokenChecks")
            .field("nonce", &!matches!(self.nonce, NonceRule::Ignore))
            .field("access_token", &self.access_token.is_some())
            .field("code", &self.code.is_some())
            .field("max_age", &self.max_age)
            .field("acr_values", &self.acr_values)
            .finish_non_exhaustive()
    }
}
