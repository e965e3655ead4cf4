//! A whole record as one value, for stores that search nothing.

use serde::{Deserialize, Serialize};

use super::{Index, StoreError, StoredRecord, Version};
use crate::Timestamp;

/// What stands before the body, as JSON.
#[derive(Serialize, Deserialize)]
struct Columns {
    version: String,
    generation: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant_expires_at: Option<Timestamp>,
    changed_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purge_at: Option<Timestamp>,
}

impl StoredRecord {
    /// The whole record as one value, for a store that keeps no columns but the key and the version: the version is in it
    /// too, and stands in a column of its own so that a write can compare it. The body in it stays sealed; the index is
    /// plain. Later versions read what earlier ones wrote.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let index = &self.index;
        let columns = Columns {
            version: self.version.to_string(),
            generation: self.generation,
            issuer: index.issuer.clone(),
            subject: index.subject.clone(),
            sid: index.sid.clone(),
            access_expires_at: index.access_expires_at,
            grant_expires_at: index.grant_expires_at,
            changed_at: index.changed_at,
            purge_at: index.purge_at,
        };
        // Strings and numbers always make JSON.
        let columns = serde_json::to_vec(&columns).unwrap_or_default();
        let mut bytes = Vec::with_capacity(4 + columns.len() + self.body.len());
        bytes.extend_from_slice(&(columns.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&columns);
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`StoreError::InvalidRow`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let unreadable = || StoreError::invalid_row("a record as bytes cannot be read");
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(unreadable)?;
        let (columns, body) = rest
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or_else(unreadable)?;
        let columns: Columns = serde_json::from_slice(columns).map_err(|_| unreadable())?;
        let index = Index {
            issuer: columns.issuer,
            subject: columns.subject,
            sid: columns.sid,
            access_expires_at: columns.access_expires_at,
            grant_expires_at: columns.grant_expires_at,
            changed_at: columns.changed_at,
            purge_at: columns.purge_at,
        };
        let version: Version = columns.version.parse()?;
        Ok(Self::new(version, columns.generation, index, body.to_vec()))
    }
}

#[cfg(test)]
mod tests;
