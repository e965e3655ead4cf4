//! How keys are named.
//!
//! A record lives in one of 16 shards, chosen by its owner. What belongs together carries the shard as its hash tag, so
//! that it is in one slot of a cluster, and one script may change all of it:
//!
//! ```text
//! tokenkeep:{07}:token:<owner>\n<client>\n<slot>   hash    a record
//! tokenkeep:{07}:index                             zset    what find_tokens walks along, see find.rs
//! tokenkeep:{07}:due                               zset    records with purge_at, which is the score
//! tokenkeep:once:<length of space>:<space>:<id>    string  a value of put_once, which expires by itself
//! tokenkeep:layout                                 string  the number of this layout
//! tokenkeep:changes:<database>                     channel the change feed
//! ```
//!
//! No part of a key has control characters, so a line feed cannot be mistaken.

use tokenkeep_core::{TokenKey, store::StoreError};

/// How many shards. Never changes: it is part of where a record lies.
pub(crate) const SHARDS: u8 = 16;

const LONGEST: usize = 64;

/// The names of one store.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: String,
    channel: String,
}

impl Names {
    pub(crate) fn new(prefix: &str, database: i64) -> Result<Self, StoreError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
        if prefix.is_empty() || prefix.len() > LONGEST || !prefix.bytes().all(fits) {
            return Err(StoreError::misconfigured(format!(
                "a prefix of Redis keys is 1 to {LONGEST} letters, digits and _-.:/"
            )));
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            // Pub/sub knows no databases.
            channel: format!("{prefix}:changes:{database}"),
        })
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    pub(crate) fn layout(&self) -> String {
        format!("{}:layout", self.prefix)
    }

    pub(crate) fn once(&self, space: &str, id: &str) -> String {
        format!("{}:once:{}:{space}:{id}", self.prefix, space.len())
    }

    pub(crate) fn index(&self, shard: Shard) -> String {
        self.of(shard, "index")
    }

    pub(crate) fn due(&self, shard: Shard) -> String {
        self.of(shard, "due")
    }

    pub(crate) fn token(&self, shard: Shard, columns: &[u8]) -> Vec<u8> {
        let mut name = self.of(shard, "token:").into_bytes();
        name.extend_from_slice(columns);
        name
    }

    fn of(&self, Shard(shard): Shard, what: &str) -> String {
        format!("{}:{{{shard:02}}}:{what}", self.prefix)
    }
}

/// Where the records of an owner lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shard(u8);

impl Shard {
    /// By FNV-1a, which is the same everywhere and for all time.
    pub(crate) fn of(owner: &str) -> Self {
        let hash = owner.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self((hash % u64::from(SHARDS)) as u8)
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }
}

/// The columns of a key as one text, which sorts as the columns do.
pub(crate) fn columns(key: &TokenKey) -> String {
    let (owner, client, slot) = (key.owner_column(), key.client(), key.slot_column());
    format!("{owner}\n{client}\n{slot}")
}

/// The same with the client first, for the entry by client.
pub(crate) fn client_first(key: &TokenKey) -> String {
    let (owner, client, slot) = (key.owner_column(), key.client(), key.slot_column());
    format!("{client}\n{owner}\n{slot}")
}

/// The key of these [`columns`].
pub(crate) fn key(columns: &str) -> Option<TokenKey> {
    let [owner, client, slot] = parts(columns)?;
    TokenKey::from_columns(client, owner, slot).ok()
}

/// The key of what [`client_first`] made.
pub(crate) fn key_client_first(columns: &str) -> Option<TokenKey> {
    let [client, owner, slot] = parts(columns)?;
    TokenKey::from_columns(client, owner, slot).ok()
}

/// A value as it stands before a line feed: without one itself.
pub(crate) fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n")
}

fn parts(columns: &str) -> Option<[&str; 3]> {
    let parts: Vec<_> = columns.splitn(4, '\n').collect();
    parts.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_cannot_leave_its_place() {
        for prefix in [
            "", "a b", "a*", "a?", "a[b]", "a{b}", "ä", "a\n", "a\0", "\\",
        ] {
            let refused = Names::new(prefix, 0);
            assert!(
                matches!(refused, Err(StoreError::Misconfigured { .. })),
                "{prefix:?}"
            );
        }
        assert!(Names::new(&"a".repeat(65), 0).is_err());
        let names = Names::new("app-1.auth:v2/x_", 3).unwrap();
        assert_eq!(names.channel(), "app-1.auth:v2/x_:changes:3");
    }

    #[test]
    fn the_layout_is_what_it_always_was() {
        let names = Names::new("tokenkeep", 0).unwrap();
        let key = TokenKey::new("github", "alice").unwrap();
        let shard = Shard::of(key.owner_column());
        let name = names.token(shard, columns(&key).as_bytes());
        assert_eq!(name, b"tokenkeep:{07}:token:alice\ngithub\n");
        assert_eq!(names.index(shard), "tokenkeep:{07}:index");
        assert_eq!(names.due(Shard::of("")), "tokenkeep:{05}:due");
        assert_eq!(names.once("a:b", "c"), "tokenkeep:once:3:a:b:c");
    }

    #[test]
    fn owners_spread_over_all_shards() {
        let mut counts = [0_u32; SHARDS as usize];
        for owner in 0..16_000 {
            counts[usize::from(Shard::of(&owner.to_string()).0)] += 1;
        }
        assert!(
            counts.iter().all(|count| (700..1300).contains(count)),
            "{counts:?}"
        );
    }
}
