//! Removing what is due.

use redis::{Value, pipe};
use tokenkeep_core::{Timestamp, store::StoreError};

use crate::{
    errors::failed,
    find::members,
    names::{self, Shard},
    rows::unexpected,
    script::Call,
    store::Inner,
};

/// How many records one script removes; nobody else is served meanwhile.
const BATCH: u64 = 100;

impl Inner {
    pub(crate) async fn purge(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut left = u64::from(limit);
        while left > 0 {
            let due = self.due(before, left.min(BATCH)).await?;
            if due.is_empty() {
                break;
            }
            for (shard, mut keys) in due {
                keys.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                if !keys.is_empty() {
                    left = left.saturating_sub(self.remove(shard, keys, before).await?);
                }
            }
        }
        Ok(u64::from(limit) - left)
    }

    /// What seems to be due, by shard.
    async fn due(
        &self,
        before: Timestamp,
        most: u64,
    ) -> Result<Vec<(Shard, Vec<Vec<u8>>)>, StoreError> {
        let mut commands = pipe();
        for shard in Shard::all() {
            commands
                .cmd("ZRANGEBYSCORE")
                .arg(self.names.due(shard))
                .arg("-inf")
                .arg(format!("({}", before.as_millis()))
                .arg("LIMIT")
                .arg(0)
                .arg(most);
        }
        let answers = self.link.pipeline(&commands).await.map_err(failed)?;
        let mut due = Vec::new();
        for (shard, answer) in Shard::all().zip(answers) {
            let keys = members(answer)?;
            if !keys.is_empty() {
                due.push((shard, keys));
            }
        }
        Ok(due)
    }

    /// Removes those that are due; answers how many.
    async fn remove(
        &self,
        shard: Shard,
        keys: Vec<Vec<u8>>,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut call = Call::default();
        call.key(self.names.index(shard)).key(self.names.due(shard));
        call.argument(before.as_millis().to_string());
        for columns in keys {
            let key = std::str::from_utf8(&columns).ok().and_then(names::key);
            call.key(self.names.token(shard, &columns));
            call.argument(columns);
            call.argument(key.as_ref().map(names::client_first).unwrap_or_default());
        }
        let removed = self.scripts.purge.run(&self.link, &call).await;
        match removed.map_err(failed)? {
            Value::Int(removed) => u64::try_from(removed).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        }
    }
}
