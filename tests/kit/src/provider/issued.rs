//! Tokens of a login that happened before the test: what stands in the table of an application that moves in.

use std::{collections::BTreeSet, fmt};

use super::{Provider, grants::Grant};

/// What a login gave that nobody saw.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuedTokens {
    /// The access token.
    pub access_token: String,
    /// The refresh token, not spent yet.
    pub refresh_token: String,
    /// When the access token expires, in seconds since the Unix epoch.
    pub expires_at: i64,
    /// The granted scopes, separated by blanks.
    pub scope: String,
}

impl fmt::Debug for IssuedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedTokens")
            .field("expires_at", &self.expires_at)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// The tokens of a login of `subject` at the first client with the scopes `openid offline_access`, as if it had
    /// happened before: no browser, no request. They are spent and counted like any others.
    #[must_use]
    pub fn issue(&self, subject: &str) -> IssuedTokens {
        let now = self.shared.clock.now();
        let lifetime = self.shared.settings.access_token_lifetime;
        let scopes = BTreeSet::from(["offline_access".to_owned(), "openid".to_owned()]);
        let mut grant = Grant::new(self.client_id(), scopes.clone(), Vec::new(), now);
        grant.subject = Some(subject.to_owned());
        let mut memory = self.shared.lock();
        let id = memory.grants.add(grant);
        let refresh_token = memory.grants.add_refresh_token(id);
        let access_token =
            memory
                .grants
                .add_access_token(id, scopes, Vec::new(), now, lifetime, false);
        IssuedTokens {
            access_token,
            refresh_token,
            expires_at: i64::try_from((now + lifetime).as_secs()).unwrap_or(i64::MAX),
            scope: "offline_access openid".to_owned(),
        }
    }
}
