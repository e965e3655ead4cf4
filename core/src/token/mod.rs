//! A token and its secrets, the key it is kept under, and the record with its formats.

mod answer;
mod header;
mod key;
mod record;
mod secret;
mod target;

use std::fmt;

pub(crate) use answer::{TokenAnswer, TokenFailure, Verdict};
pub(crate) use header::{Attempt, Header, Lease, State};
pub use header::{GrantId, NeedsLoginCause, Step, TrailEntry};
pub use key::{Owner, Slot, TokenKey};
pub(crate) use record::{AccessToken, Body, Payload, Record, Sealing};
pub use secret::Secret;
use serde::{Deserialize, Serialize};
pub use target::Target;

use crate::{Error, ErrorCode, Phase, Result, Timestamp};

/// How an access token proves that it may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Credential {
    /// Whoever bears the token may use it (RFC 6750).
    Bearer,
    /// Bound to a key that signs each request (RFC 9449).
    Dpop {
        /// The private key, as a JWK.
        key: Secret,
    },
    /// Signed requests of OAuth 1.0a (RFC 5849).
    #[serde(rename = "oauth1")]
    OAuth1 {
        /// The token secret.
        secret: Secret,
    },
    /// A type that this version does not know; kept as it is, and never sent.
    Other {
        /// The `token_type` of the answer.
        token_type: String,
    },
}

impl Credential {
    /// The kind that a `token_type` names (RFC 6749 section 7.1, compared without case).
    pub(crate) fn of_token_type(token_type: &str) -> Self {
        if token_type.eq_ignore_ascii_case("bearer") {
            Self::Bearer
        } else {
            Self::Other {
                token_type: token_type.to_owned(),
            }
        }
    }

    /// The `token_type` to show.
    #[must_use]
    pub fn token_type(&self) -> &str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop { .. } => "DPoP",
            Self::OAuth1 { .. } => "OAuth1",
            Self::Other { token_type } => token_type,
        }
    }
}

/// An access token with what belongs to it. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub(crate) access_token: Secret,
    pub(crate) credential: Credential,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) id_token: Option<Secret>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) generation: u64,
}

impl Token {
    /// Builds a token that was issued elsewhere, to adopt it or to call an API with it.
    #[must_use]
    pub fn builder(access_token: impl Into<Secret>) -> TokenBuilder {
        TokenBuilder(Self {
            access_token: access_token.into(),
            credential: Credential::Bearer,
            refresh_token: None,
            id_token: None,
            expires_at: None,
            scopes: None,
            generation: 0,
        })
    }

    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// How it proves that it may be used.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The refresh token, if there is one. A token that is handed out to call an API carries none, nor an ID token: whether
    /// it can be renewed says [`GrantInfo`](crate::GrantInfo). A login's, an event's and an
    /// [`update_token`](crate::OAuthBuilder::update_token) closure's do.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// The ID token as it came, if one did.
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref()
    }

    /// When the access token expires, if that is known.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The granted scopes, if they are known.
    #[must_use]
    pub fn scopes(&self) -> Option<&[String]> {
        self.scopes.as_deref()
    }

    /// Which generation of its grant it belongs to; 0 if it is not kept.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("token_type", &self.credential.token_type())
            .field("expires_at", &self.expires_at)
            .field("scopes", &self.scopes)
            .field("holds_refresh_token", &self.refresh_token.is_some())
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Token`] that was issued elsewhere.
#[derive(Clone, Debug)]
pub struct TokenBuilder(Token);

impl TokenBuilder {
    /// The refresh token.
    #[must_use]
    pub fn refresh(mut self, refresh_token: impl Into<Secret>) -> Self {
        self.0.refresh_token = Some(refresh_token.into());
        self
    }

    /// The refresh token of a column that may be null; an empty one counts as none.
    #[must_use]
    pub fn maybe_refresh(mut self, refresh_token: Option<impl Into<Secret>>) -> Self {
        self.0.refresh_token = refresh_token
            .map(Into::into)
            .filter(|token| !token.expose().is_empty());
        self
    }

    /// The ID token, as it came. It is kept as a hint for logging out, and not validated.
    #[must_use]
    pub fn id_token(mut self, id_token: impl Into<Secret>) -> Self {
        self.0.id_token = Some(id_token.into());
        self
    }

    /// When the access token expires. Unknown (`None`) means: until an API refuses it.
    #[must_use]
    pub fn expires_at(mut self, at: impl Into<Option<Timestamp>>) -> Self {
        self.0.expires_at = at.into();
        self
    }

    /// The granted scopes.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.0.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// The granted scopes as a provider writes them: separated by blanks (RFC 6749 section 3.3). Without any they are
    /// unknown.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        let scopes: Vec<_> = scope.split_whitespace().map(str::to_owned).collect();
        self.0.scopes = (!scopes.is_empty()).then_some(scopes);
        self
    }

    /// The `token_type` as a provider writes it (RFC 6749 section 7.1): `bearer` in any case is a bearer token, and so
    /// is an empty column. A type that is unknown, or that needs a key beside it, is kept and never sent: give such a token its
    /// [`credential`](Self::credential).
    #[must_use]
    pub fn token_type(mut self, token_type: &str) -> Self {
        self.0.credential = match token_type.trim() {
            "" => Credential::Bearer,
            token_type => Credential::of_token_type(token_type),
        };
        self
    }

    /// Another credential than a bearer token.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.0.credential = credential;
        self
    }

    /// The token.
    ///
    /// # Errors
    /// `invalid_token` if a part is empty or has characters that cannot stand in a header.
    pub fn build(self) -> Result<Token> {
        check_token_text("access token", &self.0.access_token)?;
        for (name, part) in [
            ("refresh token", &self.0.refresh_token),
            ("ID token", &self.0.id_token),
        ] {
            if let Some(part) = part {
                check_token_text(name, part)?;
            }
        }
        Ok(self.0)
    }
}

/// A token is not empty, of visible ASCII characters and spaces (RFC 6749 appendix A.12, A.17), at most 64 KiB.
pub(crate) fn check_token_text(name: &str, token: &Secret) -> Result<()> {
    let text = token.expose();
    if text.is_empty() || text.len() > 65_536 || !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        let message =
            format!("the {name} is empty, over 64 KiB, or has characters that no token has");
        return Err(Error::new(ErrorCode::InvalidToken, Phase::Store, message));
    }
    Ok(())
}
