//! What a test may ask afterwards: how often each refresh token was spent, which requests came.
//!
//! The oracle gives out live refresh tokens. It exists so that a test can compare them with what an application kept.

use std::collections::{BTreeMap, VecDeque};

use super::{Provider, grants::RefreshToken};

/// One request as it came, before any fault.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedRequest {
    /// The HTTP method.
    pub method: String,
    /// The path without query; what follows `/interaction` is left out.
    pub path: String,
}

/// The refresh tokens of one login, without their values.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lineage {
    /// Whose login it was.
    pub subject: String,
    /// The client that got the tokens.
    pub client_id: String,
    /// Whether the grant was revoked: by reuse, by revocation, by logout.
    pub revoked: bool,
    /// How often each generation was spent; the first is the refresh token of the login.
    pub spends: Vec<u64>,
}

/// Counts of requests, and the last of them.
#[derive(Default)]
pub(super) struct Traffic {
    log: VecDeque<LoggedRequest>,
    paths: BTreeMap<String, u64>,
    grant_types: BTreeMap<String, u64>,
}

impl Traffic {
    const LOG: usize = 10_000;
    const PATHS: usize = 1_000;

    pub(super) fn request(&mut self, method: &str, path: &str) {
        let path = if path.starts_with("/interaction/") {
            "/interaction"
        } else {
            path
        };
        if let Some(count) = self.paths.get_mut(path) {
            *count += 1;
        } else if self.paths.len() < Self::PATHS {
            self.paths.insert(path.to_owned(), 1);
        }
        if self.log.len() == Self::LOG {
            self.log.pop_front();
        }
        self.log.push_back(LoggedRequest {
            method: method.to_owned(),
            path: path.to_owned(),
        });
    }

    pub(super) fn token_request(&mut self, grant_type: &str) {
        if self.grant_types.len() < Self::PATHS || self.grant_types.contains_key(grant_type) {
            *self.grant_types.entry(grant_type.to_owned()).or_default() += 1;
        }
    }
}

/// # What happened
impl Provider {
    /// How many refresh requests with this token were processed, whatever they were answered. Requests of a client that
    /// could not authenticate, and those that a fault kept from being processed, spend nothing.
    #[must_use]
    pub fn spends(&self, refresh_token: &str) -> u64 {
        let state = self.shared.lock();
        state
            .grants
            .find_refresh_token(refresh_token)
            .map_or(0, |(grant, index)| {
                state.grants.grant(grant).refresh_tokens[index].spends
            })
    }

    /// `(generation, spends)` of every refresh token, login after login; the refresh token of a login is generation 1.
    #[must_use]
    pub fn spend_counts(&self) -> Vec<(u64, u64)> {
        self.lineages()
            .into_iter()
            .flat_map(|lineage| (1..).zip(lineage.spends))
            .collect()
    }

    /// The logins that got a refresh token, in their order.
    #[must_use]
    pub fn lineages(&self) -> Vec<Lineage> {
        let state = self.shared.lock();
        state
            .grants
            .iter()
            .filter(|grant| !grant.refresh_tokens.is_empty())
            .map(|grant| Lineage {
                subject: grant.subject.clone().unwrap_or_default(),
                client_id: grant.client.clone(),
                revoked: grant.revoked,
                spends: grant
                    .refresh_tokens
                    .iter()
                    .map(|token| token.spends)
                    .collect(),
            })
            .collect()
    }

    /// The largest number of times any refresh token was spent; 0 if none was.
    #[must_use]
    pub fn max_spends(&self) -> u64 {
        self.spend_counts()
            .into_iter()
            .map(|(_, spends)| spends)
            .max()
            .unwrap_or(0)
    }

    /// How many token requests of this `grant_type` came, those that a fault answered included.
    #[must_use]
    pub fn token_requests(&self, grant_type: &str) -> u64 {
        self.shared
            .traffic()
            .grant_types
            .get(grant_type)
            .copied()
            .unwrap_or(0)
    }

    /// How many requests came for exactly this path, such as `/token`. All pages of a login count as `/interaction`.
    #[must_use]
    pub fn requests(&self, path: &str) -> u64 {
        self.shared.traffic().paths.get(path).copied().unwrap_or(0)
    }

    /// The last 10,000 requests, oldest first.
    #[must_use]
    pub fn requests_log(&self) -> Vec<LoggedRequest> {
        self.shared.traffic().log.iter().cloned().collect()
    }

    /// The newest refresh token of the last login of `subject` with the client, unless that grant was revoked.
    #[must_use]
    pub fn live_refresh_token(&self, subject: &str, client_id: &str) -> Option<String> {
        let state = self.shared.lock();
        state
            .grants
            .iter()
            .filter(|grant| grant.subject.as_deref() == Some(subject) && grant.client == client_id)
            .last()
            .filter(|grant| !grant.revoked)
            .and_then(|grant| grant.refresh_tokens.last())
            .map(|RefreshToken { token, .. }| token.clone())
    }

    /// Whether the session that an ID token names by `sid` is still signed in at the provider.
    #[must_use]
    pub fn session_active(&self, sid: &str) -> bool {
        self.shared
            .lock()
            .sessions
            .values()
            .any(|session| session.sid == sid)
    }
}

/// # What a test can bring about
impl Provider {
    /// Ends all grants of a subject, as somebody does who removes an application in the settings of their account: their
    /// access tokens answer 401, their refresh tokens `invalid_grant`. Says how many there were.
    pub fn revoke_grant(&self, subject: &str) -> usize {
        self.shared
            .lock()
            .grants
            .revoke_where(|grant| grant.subject.as_deref() == Some(subject))
    }

    /// From now on the API and userinfo answer 401 to all access tokens issued so far, although `expires_in` has not
    /// passed. A refresh brings one that is good.
    pub fn expire_access_tokens(&self) {
        self.shared.lock().grants.revoke_all_access_tokens();
    }

    /// While it is on, the API and userinfo answer 401 to every access token, fresh ones as well: a refresh does not help.
    pub fn stale(&self, on: bool) {
        self.shared.lock().grants.stale = on;
    }
}
