//! The plain part of a record: what runs the refresh protocol, and is no secret.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Timestamp, store::Version};

/// How many transitions a record remembers.
pub(crate) const TRAIL: usize = 16;

/// One refresh-token lineage: 128 random bits, new at every login that brings its own refresh token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantId(pub(super) [u8; 16]);

impl GrantId {
    pub(crate) fn random() -> Self {
        Self(crate::seal::random())
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Version::from_bytes(self.0))
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantId({self})")
    }
}

impl Serialize for GrantId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GrantId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let id = Version::from_str(&text).map_err(serde::de::Error::custom)?;
        Ok(Self(*id.as_bytes()))
    }
}

/// Why a grant needs a new login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NeedsLoginCause {
    /// The provider does not accept the refresh token that is stored (`invalid_grant`).
    Rejected,
    /// The same, after an answer to this refresh token had been lost: it was probably rotated away.
    AmbiguousLoss,
    /// A refresh answered with another identity, or with an ID token that does not verify.
    IdentityChanged,
    /// The grant was issued to another registration (issuer or client id).
    RegistrationChanged,
    /// The access token is over, and there is no refresh token.
    NotRefreshable,
    /// A cause that a newer version wrote.
    #[serde(other)]
    Unknown,
}

impl NeedsLoginCause {
    /// The stable name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::AmbiguousLoss => "ambiguous_loss",
            Self::IdentityChanged => "identity_changed",
            Self::RegistrationChanged => "registration_changed",
            Self::NotRefreshable => "not_refreshable",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum State {
    Active,
    NeedsLogin { cause: NeedsLoginCause },
    LoggedOut,
}

/// Who may send the refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The attempt's id.
    pub(crate) attempt: String,
    /// Until when, in store time.
    pub(crate) until: Timestamp,
}

/// The journal: the refresh token of this generation may have been sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The first attempt that may have sent it.
    pub(crate) by: String,
    /// When that one began, in store time.
    pub(crate) since: Timestamp,
    /// Until when an attempt that was overtaken may still be committing (rule 13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) overtaken_until: Option<Timestamp>,
}

/// One step of a record's history, free of secrets and of whose record it is. It stands in plain in the store: whoever
/// writes the store can write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrailEntry {
    /// When, in the store's time.
    pub at: Timestamp,
    /// What was done.
    pub step: Step,
    /// The head of the id of the attempt or login that did it; empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Which process did it: its [name](crate::OAuthBuilder::process_name).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub process: String,
    /// Why, or with what result.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What the provider answered, if it was asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

/// Which transition a step was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// A login was kept.
    Login,
    /// Tokens that were issued elsewhere were kept.
    Adopt,
    /// The right to refresh was taken.
    Begin,
    /// New tokens were kept.
    Commit,
    /// A refresh failed; nobody asks for a while.
    Cool,
    /// A refresh failed for good: the user must log in.
    NeedsLogin,
    /// The right to refresh was given back.
    Release,
    /// The grant or session ended.
    Logout,
    /// The owner was [forgotten](crate::OAuth::forget).
    Forget,
    /// The access tokens were taken back, because their ID token is wrong.
    Quarantine,
    /// The record was sealed by another key.
    Reseal,
    /// The access tokens count as expired.
    Expire,
    /// A step that a newer version took.
    #[serde(other)]
    Other,
}

impl Step {
    /// The stable name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Adopt => "adopt",
            Self::Begin => "begin",
            Self::Commit => "commit",
            Self::Cool => "cool",
            Self::NeedsLogin => "needs_login",
            Self::Release => "release",
            Self::Logout => "logout",
            Self::Forget => "forget",
            Self::Quarantine => "quarantine",
            Self::Reseal => "reseal",
            Self::Expire => "expire",
            Self::Other => "other",
        }
    }
}

/// The plain part of a record: the protocol's fields, no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) grant_id: GrantId,
    pub(crate) generation: u64,
    #[serde(default)]
    pub(crate) fence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Lease>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<Attempt>,
    /// The attempt or login that produced this generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit_id: Option<String>,
    pub(crate) state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_before: Option<Timestamp>,
    #[serde(default)]
    pub(crate) failures: u32,
    /// The client id that the grant was issued to; the issuer stands in the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    /// Access tokens issued up to this generation count as expired, whatever their expiry says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expired_through: Option<u64>,
    /// Can it be renewed: is there a refresh token, or does the application itself answer for it? Known without a key.
    #[serde(default)]
    pub(crate) refreshable: bool,
    /// Renewed by the client's own credentials (RFC 6749 section 4.4).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) client_credentials: bool,
    #[serde(default)]
    pub(crate) trail: Vec<TrailEntry>,
    /// Members of a newer minor format, kept as they are.
    #[serde(flatten)]
    pub(crate) unknown: Map<String, Value>,
}

impl Header {
    pub(crate) fn new(grant_id: GrantId, generation: u64) -> Self {
        Self {
            grant_id,
            generation,
            fence: 0,
            lease: None,
            attempt: None,
            commit_id: None,
            state: State::Active,
            not_before: None,
            failures: 0,
            client_id: None,
            expired_through: None,
            refreshable: false,
            client_credentials: false,
            trail: Vec::new(),
            unknown: Map::new(),
        }
    }

    /// Remembers a step, and forgets the oldest.
    pub(crate) fn note(&mut self, at: Timestamp, step: Step, by: &str, note: impl Into<String>) {
        if self.trail.len() >= TRAIL {
            self.trail.drain(..=self.trail.len() - TRAIL);
        }
        self.trail.push(TrailEntry {
            at,
            step,
            by: by.chars().take(8).collect(),
            process: String::new(),
            note: note.into(),
            answer: String::new(),
        });
    }

    /// Remembers which process took the last step.
    pub(crate) fn sign(&mut self, process: &str) {
        if let Some(last) = self.trail.last_mut() {
            process.clone_into(&mut last.process);
        }
    }

    /// Remembers what the provider had answered when the last step was taken.
    pub(crate) fn answered(&mut self, answer: &str) {
        if let Some(last) = self.trail.last_mut() {
            answer.clone_into(&mut last.answer);
        }
    }
}
