//! Finding records: along an index, and each entry is believed only as far as its record says the same.
//!
//! The index of a shard is one sorted set without scores, so that it is in the order of bytes. Its entries are a letter,
//! what is looked for by, and the rest of the key, so that those of one value stand together in the order of keys:
//!
//! ```text
//! k<owner>\n<client>\n<slot>            every record
//! c<client>\n<owner>\n<slot>            every record, by client
//! s<subject>\n<owner>\n<client>\n<slot> those with a subject
//! i<sid>\n<owner>\n<client>\n<slot>     those with a provider's session id
//! ```
//!
//! The script that writes a record writes its entries too, so a record that is there is in the index. The other way
//! round an entry may be left over, when a record was deleted by somebody else. Whoever comes across one has the server
//! look again and remove it, in one step.

use std::collections::BTreeMap;

use redis::{Value, cmd, pipe};
use tokenkeep_core::{
    TokenKey,
    store::{Index, Page, PageOf, StoreError, StoredRecord, TokenQuery, TokenSummary},
};

use crate::{
    errors::failed,
    names::{self, Shard},
    rows::{record, unexpected},
    script::Call,
    store::Inner,
};

/// More rows than this are never read at once; a page may always be shorter than asked for.
const MOST: u32 = 1000;

/// How many records are read together.
const BATCH: usize = 100;

/// After as many entries that do not fit the query a page ends, so that no call takes for ever.
const PATIENCE: usize = 10_000;

/// Which entries to walk along.
struct Walk {
    by: By,
    /// What they begin with, up to a line feed; empty for all of that letter.
    prefix: String,
    /// What they say of the record: subject or session id.
    value: String,
    shards: Vec<Shard>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Key,
    Client,
    Subject,
    Sid,
}

/// An entry of the index that names a key.
struct Entry {
    member: Vec<u8>,
    shard: Shard,
    key: TokenKey,
}

impl Inner {
    pub(crate) async fn find(
        &self,
        query: &TokenQuery,
        page: &Page,
    ) -> Result<PageOf<TokenSummary>, StoreError> {
        let limit = page.limit.clamp(1, MOST);
        let most = limit as usize;
        let walk = Walk::new(query);
        let (mut found, mut looked_at) = (Vec::new(), 0);
        let mut after = page.after_key()?;
        loop {
            let (entries, more) = self
                .entries(&walk, after.as_ref(), (most + 1).min(BATCH))
                .await?;
            let last = entries.last().map(|entry| entry.key.clone()).or(after);
            looked_at += entries.len();
            let records = self.records(&entries).await?;
            let mut left_over = BTreeMap::new();
            for (entry, record) in entries.into_iter().zip(records) {
                match record {
                    Some(record) if walk.fits(&record.index) => {
                        if query.matches(&entry.key, &record.index) {
                            found.push(TokenSummary::new(entry.key, record));
                        }
                    }
                    _ => left_over
                        .entry(entry.shard)
                        .or_insert_with(Vec::new)
                        .push(entry),
                }
            }
            self.repair(&walk, left_over).await?;
            if found.len() > most || !more {
                return Ok(PageOf::in_key_order(found, limit, |summary| &summary.key));
            }
            if let Some(last) = last.as_ref().filter(|_| looked_at >= PATIENCE) {
                return Ok(PageOf::in_key_order_up_to(found, last));
            }
            after = last;
        }
    }

    /// The next entries in the order of keys, and whether there are more. What is no entry is removed.
    async fn entries(
        &self,
        walk: &Walk,
        after: Option<&TokenKey>,
        most: usize,
    ) -> Result<(Vec<Entry>, bool), StoreError> {
        let mut commands = pipe();
        for shard in &walk.shards {
            let [from, to] = walk.range(after);
            commands
                .cmd("ZRANGEBYLEX")
                .arg(self.names.index(*shard))
                .arg(from)
                .arg(to)
                .arg("LIMIT")
                .arg(0)
                .arg(most);
        }
        let answers = self.link.pipeline(&commands).await.map_err(failed)?;
        let (mut entries, mut more) = (Vec::new(), false);
        for (shard, answer) in walk.shards.iter().zip(answers) {
            let members = members(answer)?;
            more |= members.len() >= most;
            for member in members {
                match walk.read(*shard, &member) {
                    Some(entry) => entries.push(entry),
                    None => {
                        let mut remove = cmd("ZREM");
                        remove.arg(self.names.index(*shard)).arg(member);
                        self.link.command(&remove).await.map_err(failed)?;
                    }
                }
            }
        }
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        more |= entries.len() > most;
        entries.truncate(most);
        Ok((entries, more))
    }

    async fn records(&self, entries: &[Entry]) -> Result<Vec<Option<StoredRecord>>, StoreError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = pipe();
        for entry in entries {
            let columns = names::columns(&entry.key);
            let name = self.names.token(entry.shard, columns.as_bytes());
            commands.cmd("HGETALL").arg(name);
        }
        let answers = self.link.pipeline(&commands).await.map_err(failed)?;
        answers.into_iter().map(record).collect()
    }

    async fn repair(
        &self,
        walk: &Walk,
        left_over: BTreeMap<Shard, Vec<Entry>>,
    ) -> Result<(), StoreError> {
        for (shard, entries) in left_over {
            let mut call = Call::default();
            call.key(self.names.index(shard));
            for entry in entries {
                let columns = names::columns(&entry.key);
                call.key(self.names.token(shard, columns.as_bytes()))
                    .argument(entry.member)
                    .argument(walk.by.column())
                    .argument(&*walk.value);
            }
            let repaired = self.scripts.repair.run(&self.link, &call).await;
            repaired.map_err(failed)?;
        }
        Ok(())
    }
}

impl Walk {
    /// The fewest entries that hold all that fit.
    fn new(query: &TokenQuery) -> Self {
        let everywhere = |by, value: Option<&str>| Self {
            by,
            prefix: value.map_or_else(String::new, |value| format!("{}\n", names::escaped(value))),
            value: value.unwrap_or_default().to_owned(),
            shards: Shard::all().collect(),
        };
        match (&query.owner, &query.sid, &query.subject, &query.client) {
            (Some(owner), _, _, client) => Self {
                by: By::Key,
                prefix: client.as_ref().map_or_else(
                    || format!("{owner}\n"),
                    |client| format!("{owner}\n{client}\n"),
                ),
                value: String::new(),
                shards: vec![Shard::of(owner)],
            },
            (None, Some(sid), _, _) => everywhere(By::Sid, Some(sid)),
            (None, None, Some(subject), _) => everywhere(By::Subject, Some(subject)),
            (None, None, None, Some(client)) => everywhere(By::Client, Some(client)),
            (None, None, None, None) => everywhere(By::Key, None),
        }
    }

    /// From where to where to read, as `ZRANGEBYLEX` wants it.
    fn range(&self, after: Option<&TokenKey>) -> [String; 2] {
        let (letter, prefix) = (self.by.letter(), &self.prefix);
        let from = after
            .map(|key| match self.by {
                By::Key => names::columns(key),
                By::Client => names::client_first(key),
                By::Subject | By::Sid => format!("{prefix}{}", names::columns(key)),
            })
            .filter(|after| after >= prefix)
            .map_or_else(
                || format!("[{letter}{prefix}"),
                |after| format!("({letter}{after}"),
            );
        // What follows a line feed, or the letter.
        let to = match prefix.strip_suffix('\n') {
            Some(value) => format!("({letter}{value}\u{b}"),
            None => format!("({}", char::from(letter as u8 + 1)),
        };
        [from, to]
    }

    fn read(&self, shard: Shard, member: &[u8]) -> Option<Entry> {
        let text = std::str::from_utf8(member).ok()?;
        let text = text.strip_prefix(self.by.letter())?;
        let key = match self.by {
            By::Key => names::key(text),
            By::Client => names::key_client_first(text),
            By::Subject | By::Sid => names::key(text.strip_prefix(&*self.prefix)?),
        };
        Some(Entry {
            shard,
            key: key?,
            member: member.to_owned(),
        })
    }

    /// Does the record say what its entry says?
    fn fits(&self, index: &Index) -> bool {
        let says = |column: &Option<String>| column.as_deref() == Some(&*self.value);
        match self.by {
            By::Key | By::Client => true,
            By::Subject => says(&index.subject),
            By::Sid => says(&index.sid),
        }
    }
}

impl By {
    fn letter(self) -> char {
        match self {
            Self::Key => 'k',
            Self::Client => 'c',
            Self::Subject => 's',
            Self::Sid => 'i',
        }
    }

    /// The column that an entry is about, beside the key.
    fn column(self) -> &'static str {
        match self {
            Self::Key | Self::Client => "",
            Self::Subject => "subject",
            Self::Sid => "sid",
        }
    }
}

/// The members of a sorted set.
pub(crate) fn members(answer: Value) -> Result<Vec<Vec<u8>>, StoreError> {
    let Value::Array(members) = answer else {
        return Err(unexpected());
    };
    members
        .into_iter()
        .map(|member| match member {
            Value::BulkString(member) => Ok(member),
            _ => Err(unexpected()),
        })
        .collect()
}
