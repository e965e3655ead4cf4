//! The change feed: the table of tokens itself, by the time of each row's last announced write.
//!
//! MySQL numbers a row when it is written and shows it when it is committed, so a number that is missing may never come,
//! or come late; and a sequence that all writers share until they commit would make them wait for each other's disk.
//! Times have the same trouble but need no sequence: a row that was written at a time before the last look may show
//! itself later. So each look goes back a little, for news without delay, and every now and then a look goes back
//! further than any acknowledged write can be late: a write is stamped when its statement begins, and whoever waits for
//! it gives up after [`LONGEST_TIMEOUT`]. What was seen is remembered for as long. Nothing grows, nothing is trimmed, and
//! a place in the feed never becomes too old.
//!
//! A row that is purged while some feed may not have seen its last write takes that write along. So whoever purges such
//! rows leaves a mark ([`PURGED`]) in the same table as values that are put once, and a feed that finds a new one has a
//! gap.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{MySql, Row, SqlStr, mysql::MySqlRow, query};
use tokenkeep_core::{
    TokenKey,
    store::{Change, Cursor, StoreError, Version},
};

use super::NOW;
use crate::shared::{
    BATCH, Follow, LONGEST_TIMEOUT, Link, Names, again, generation, key, safe, version,
};

/// How far each look goes back, in the server's microseconds: as long as commits take.
const RECENT: i64 = 1_000_000;

/// How far the looks go back that find what came late: a row that was written before that is no news to any feed.
pub(super) const LATE: i64 = 2 * micros(LONGEST_TIMEOUT);

/// The place of the mark; no caller of `put_once` has this space.
pub(super) const PURGED: [&str; 2] = ["tokenkeep\u{0}feed", "purged"];

/// How often those are.
const SWEEP: i64 = micros(Duration::from_secs(10));

/// More changes at once are a gap instead.
const MOST: usize = 64 * BATCH;

const fn micros(time: Duration) -> i64 {
    time.as_micros() as i64
}

pub(crate) struct Feed {
    link: Arc<Link<MySql>>,
    following: SqlStr,
    /// When the last look was.
    looked: i64,
    /// When the last look was that went back far.
    swept: i64,
    /// The writes that were seen, as far back as any look goes: when, of which key; and their generation. A write that
    /// only took a lease leaves all three as they are.
    seen: HashMap<(i64, TokenKey), u64>,
    /// The mark of the last purge that took young rows, if there is one.
    purged: Option<Vec<u8>>,
    /// Something may have been missed before the next look.
    missed: bool,
}

/// What a look finds.
struct Look {
    /// When it began.
    now: i64,
    purged: Option<Vec<u8>>,
    rows: Vec<Written>,
    /// There were more than these, or some that cannot be read.
    gap: bool,
}

/// As much of it as is read at once.
struct Part {
    now: i64,
    purged: Option<Vec<u8>>,
    rows: Vec<Written>,
    /// When the last one was written, if there may be more.
    more: Option<i64>,
    gap: bool,
}

struct Written {
    at: i64,
    key: TokenKey,
    version: Version,
    generation: u64,
}

impl Feed {
    pub(crate) async fn open(
        link: Arc<Link<MySql>>,
        names: &Names,
        since: Option<Cursor>,
    ) -> Result<Self, StoreError> {
        let [tokens, once] = ["tokens", "once"].map(|table| names.of(table));
        let mut feed = Self {
            link,
            // The time is that of the statement's begin, so that nothing is written between the two.
            following: safe(format!(
                "SELECT {NOW} AS at, NULL AS version, NULL AS generation, \
                 (SELECT value FROM {once} WHERE space = ? AND id = ?) AS owner, NULL AS client, NULL AS slot \
                 UNION ALL (SELECT written_at, version, generation, owner, client, slot FROM {tokens} \
                 WHERE written_at >= ? ORDER BY written_at LIMIT ?)"
            )),
            looked: 0,
            swept: 0,
            seen: HashMap::new(),
            purged: None,
            missed: false,
        };
        let Part { now, purged, .. } = feed.part(i64::MAX).await?;
        (feed.looked, feed.swept, feed.purged) = (now, now, purged);
        match since.map(|cursor| place(&cursor)) {
            // What is there already is no news, but what shows itself later is, however early it was written.
            None => {
                let look = feed.look(now - LATE).await?;
                feed.missed = look.gap;
                look.rows.into_iter().for_each(|row| {
                    feed.is_new(&row);
                });
            }
            Some(Some(place)) if place <= now => (feed.looked, feed.swept) = (place, place - SWEEP),
            Some(_) => feed.missed = true,
        }
        Ok(feed)
    }

    /// Everything that was written from this time on.
    async fn look(&self, from: i64) -> Result<Look, StoreError> {
        let mut part = self.part(from).await?;
        let mut look = Look {
            now: part.now,
            purged: part.purged,
            rows: part.rows,
            gap: part.gap,
        };
        let mut from = from;
        while let Some(last) = part.more {
            // As many writes of one microsecond as are read at once stop here.
            if last == from || look.rows.len() >= MOST {
                look.gap = true;
                break;
            }
            from = last;
            part = self.part(from).await?;
            look.rows.append(&mut part.rows);
            look.gap |= part.gap;
        }
        Ok(look)
    }

    async fn part(&self, from: i64) -> Result<Part, StoreError> {
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let [space, id] = PURGED;
        let part = || {
            let part = query(self.following.clone()).bind(space).bind(id);
            part.bind(from).bind(limit)
        };
        let rows = again(|| self.link.rows(part())).await?;
        let (mut now, mut purged, mut last, mut gap) = (None, None, None, false);
        let mut written = Vec::with_capacity(rows.len());
        for row in &rows {
            let at = row.try_get(0).map_err(unreadable)?;
            match row.try_get(1).map_err(unreadable)? {
                None => {
                    now = Some(at);
                    purged = row.try_get(3).map_err(unreadable)?;
                }
                Some(stamp) => {
                    last = Some(at);
                    match read(row, at, stamp) {
                        Ok(row) => written.push(row),
                        // It must not hide the others.
                        Err(_) => gap = true,
                    }
                }
            }
        }
        Ok(Part {
            now: now.ok_or_else(|| StoreError::other("the database gave no time"))?,
            purged,
            rows: written,
            more: last.filter(|_| rows.len() > BATCH),
            gap,
        })
    }

    /// Was this write not seen before?
    fn is_new(&mut self, row: &Written) -> bool {
        let before = self.seen.insert((row.at, row.key.clone()), row.generation);
        before != Some(row.generation)
    }
}

#[async_trait]
impl Follow for Feed {
    async fn read(&mut self) -> Result<Vec<Change>, StoreError> {
        let sweep = self.looked - self.swept >= SWEEP;
        let from = match sweep {
            true => self.swept - LATE,
            false => self.looked - RECENT,
        };
        let look = self.look(from).await?;
        let mut news = Vec::new();
        // A clock that was put back, or another server's: what was written at those times was not looked at.
        let back = look.now < self.looked;
        let taken = look.purged.is_some() && look.purged != self.purged;
        self.purged = look.purged;
        if std::mem::take(&mut self.missed) || look.gap || back || taken {
            news.push(Change::Gap);
        }
        for row in look.rows {
            if self.is_new(&row) {
                news.push(row.into());
            }
        }
        self.looked = look.now;
        if sweep || back {
            self.swept = look.now;
            let oldest = look.now.min(from) - LATE;
            self.seen.retain(|(at, _), _| *at >= oldest);
        }
        Ok(news)
    }
}

impl From<Written> for Change {
    fn from(row: Written) -> Self {
        Self::Written {
            cursor: Cursor(format!("{}-{}", row.at, row.version)),
            key: row.key,
            version: row.version,
            generation: row.generation,
        }
    }
}

fn read(row: &MySqlRow, at: i64, stamp: Vec<u8>) -> Result<Written, StoreError> {
    Ok(Written {
        at,
        key: key::<&[u8], _>(row, 3)?,
        version: version(stamp)?,
        generation: generation(row.try_get(2).map_err(unreadable)?)?,
    })
}

fn unreadable(_: sqlx::Error) -> StoreError {
    StoreError::invalid_row("a time, version or generation is null or of another type")
}

/// The time in a cursor. The version makes sure that it is one of this store's.
fn place(cursor: &Cursor) -> Option<i64> {
    let (at, stamp) = cursor.0.split_once('-')?;
    stamp.parse::<Version>().ok()?;
    at.parse().ok().filter(|at| *at > 0)
}
