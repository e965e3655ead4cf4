//! Values that are put once and taken once: replay guards and flows.

use std::collections::{BTreeSet, HashMap};

use tokenkeep_core::{Timestamp, store::StoreError};

type Id = (Box<str>, Box<str>);

pub(crate) struct Once {
    limit: usize,
    values: HashMap<Id, (Timestamp, Vec<u8>)>,
    by_expiry: BTreeSet<(Timestamp, Id)>,
}

impl Default for Once {
    fn default() -> Self {
        Self {
            limit: 100_000,
            values: HashMap::new(),
            by_expiry: BTreeSet::new(),
        }
    }
}

impl Once {
    pub(crate) fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(crate) fn put(
        &mut self,
        space: &str,
        id: &str,
        value: &[u8],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.drop_expired(now);
        let id: Id = (space.into(), id.into());
        if self.values.contains_key(&id) {
            return Ok(false);
        }
        if self.values.len() >= self.limit {
            return Err(StoreError::other(format!(
                "{} values are kept once and none has expired; see with_once_limit",
                self.limit
            )));
        }
        self.by_expiry.insert((expires_at, id.clone()));
        self.values.insert(id, (expires_at, value.to_vec()));
        Ok(true)
    }

    pub(crate) fn take(&mut self, space: &str, id: &str, now: Timestamp) -> Option<Vec<u8>> {
        self.drop_expired(now);
        let id: Id = (space.into(), id.into());
        let (expires_at, value) = self.values.remove(&id)?;
        self.by_expiry.remove(&(expires_at, id));
        Some(value)
    }

    fn drop_expired(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.by_expiry.first()
            && *at <= now
        {
            if let Some((_, id)) = self.by_expiry.pop_first() {
                self.values.remove(&id);
            }
        }
    }
}
