//! What can be searched for, and how the answer comes in pages.

use super::{Index, StoredRecord};
use crate::{Timestamp, TokenKey};

/// Which records to find: all given members must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenQuery {
    /// The owner column ([`TokenKey::owner_column`]).
    pub owner: Option<String>,
    /// The client's name.
    pub client: Option<String>,
    /// The issuer.
    pub issuer: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// The provider's session id.
    pub sid: Option<String>,
    /// The login's access token expires before this time.
    pub access_expires_before: Option<Timestamp>,
    /// Written at or after this time.
    pub changed_since: Option<Timestamp>,
}

impl TokenQuery {
    /// Everything an owner has.
    #[must_use]
    pub fn owner(owner: impl Into<String>) -> Self {
        Self {
            owner: Some(owner.into()),
            ..Self::default()
        }
    }

    /// Does this record fit? For stores that filter by themselves.
    #[must_use]
    pub fn matches(&self, key: &TokenKey, index: &Index) -> bool {
        fn fits<T: PartialEq + ?Sized>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        fits(self.owner.as_deref(), Some(key.owner_column()))
            && fits(self.client.as_deref(), Some(key.client()))
            && fits(self.issuer.as_deref(), index.issuer.as_deref())
            && fits(self.subject.as_deref(), index.subject.as_deref())
            && fits(self.sid.as_deref(), index.sid.as_deref())
            && self
                .access_expires_before
                .is_none_or(|before| index.access_expires_at.is_some_and(|at| at < before))
            && self
                .changed_since
                .is_none_or(|since| index.changed_at >= since)
    }
}

/// Which page of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// `next` of the page before; none for the first page.
    pub after: Option<String>,
    /// How many rows at most, 0 counting as 1; a store may give fewer.
    pub limit: u32,
}

impl Page {
    /// The first page.
    #[must_use]
    pub fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// The page after this one.
    #[must_use]
    pub fn after(next: impl Into<String>, limit: u32) -> Self {
        Self {
            after: Some(next.into()),
            limit,
        }
    }
}

/// A page of an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PageOf<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; none if this is the last. Opaque.
    pub next: Option<String>,
}

impl<T> PageOf<T> {
    /// A page.
    #[must_use]
    pub fn new(items: Vec<T>, next: Option<String>) -> Self {
        Self { items, next }
    }
}

/// A record that a query found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenSummary {
    /// Under which key.
    pub key: TokenKey,
    /// What is kept there.
    pub record: StoredRecord,
}

impl TokenSummary {
    /// A record that a query found.
    #[must_use]
    pub fn new(key: TokenKey, record: StoredRecord) -> Self {
        Self { key, record }
    }
}
