//! The change feed: the sequence that the triggers write.
//!
//! SQLite has one writer, so the order of the numbers is the order of the commits, without holes: a hole is what was
//! trimmed.

use async_trait::async_trait;
use sqlx::{Row, SqlStr, SqlitePool, query, sqlite::SqliteRow};
use tokenkeep_core::store::{Change, Cursor, StoreError, Version};

use super::errors::failed;
use crate::shared::{BATCH, Follow, Names, generation, key, safe, version};

pub(crate) struct Feed {
    pool: SqlitePool,
    newest: SqlStr,
    following: SqlStr,
    /// The change that was read last, if there ever was one.
    place: Option<Place>,
    /// The cursor that was given is none of this sequence's.
    lost: bool,
}

/// The version tells whether the database was put back in time since.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    seq: i64,
    version: Version,
}

impl Feed {
    pub(crate) async fn open(
        pool: SqlitePool,
        names: &Names,
        since: Option<Cursor>,
    ) -> Result<Self, StoreError> {
        let changes = names.of("changes");
        let mut feed = Self {
            pool,
            newest: safe(format!(
                "SELECT seq, version FROM {changes} ORDER BY seq DESC LIMIT 1"
            )),
            // The row at the place itself is read again, to see that it is still the same.
            following: safe(format!(
                "SELECT seq, version, generation, owner, client, slot FROM {changes} \
                 WHERE seq >= ?1 ORDER BY seq LIMIT ?2"
            )),
            place: None,
            lost: false,
        };
        // Also with a cursor, so that a missing table is an error here.
        feed.place = feed.newest().await?;
        if let Some(cursor) = since {
            match Place::parse(&cursor) {
                Some(place) => feed.place = Some(place),
                None => feed.lost = true,
            }
        }
        Ok(feed)
    }

    async fn newest(&self) -> Result<Option<Place>, StoreError> {
        let row = query(self.newest.clone()).fetch_optional(&self.pool).await;
        row.map_err(failed)?
            .map(|row| Place::read(&row))
            .transpose()
    }
}

#[async_trait]
impl Follow for Feed {
    async fn read(&mut self) -> Result<Vec<Change>, StoreError> {
        let rows = query(self.following.clone())
            .bind(self.place.map_or(0, |place| place.seq))
            .bind(i64::try_from(BATCH + 1).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let mut news = Vec::new();
        let mut place = self.place;
        if self.lost {
            news.push(Change::Gap);
        }
        for row in &rows {
            let at = Place::read(row)?;
            if Some(at) == place {
                continue;
            }
            if at.seq != place.map_or(0, |place| place.seq) + 1 {
                news.push(Change::Gap);
            }
            news.push(change(row, at).unwrap_or(Change::Gap));
            place = Some(at);
        }
        if rows.is_empty() && place.is_some() {
            // Not even the place is there: an older state of the database.
            news.push(Change::Gap);
            place = self.newest().await?;
        }
        self.place = place;
        self.lost = false;
        Ok(news)
    }
}

impl Place {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let unreadable = |_| StoreError::invalid_row("a number or version of the change sequence");
        Ok(Self {
            seq: row.try_get(0).map_err(unreadable)?,
            version: version(row.try_get(1).map_err(unreadable)?)?,
        })
    }

    fn parse(cursor: &Cursor) -> Option<Self> {
        let (seq, version) = cursor.0.split_once('-')?;
        Some(Self {
            seq: seq.parse().ok().filter(|seq| *seq > 0)?,
            version: version.parse().ok()?,
        })
    }
}

fn change(row: &SqliteRow, at: Place) -> Result<Change, StoreError> {
    Ok(Change::Written {
        key: key::<&str, _>(row, 3)?,
        version: at.version,
        generation: generation(row.try_get(2).map_err(failed)?)?,
        cursor: Cursor(format!("{}-{}", at.seq, at.version)),
    })
}
