//! Tokens in SQLite.

mod connect;
mod errors;
mod feed;
mod schema;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    QueryBuilder, Row, SqlStr, Sqlite, SqlitePool, query, query::Query, sqlite::SqliteArguments,
};
use tokenkeep_core::{
    Timestamp, TokenKey,
    store::{
        Capabilities, Changes, Cursor, Expected, FetchToken, Fetched, Page, PageOf, StoreError,
        StoredRecord, TokenQuery, TokenStore, TokenSummary, UpdateToken,
    },
};
use tokio::sync::Mutex;

use self::errors::failed;
use crate::shared::{
    Form, Names, SqlOptions, Statements, bind_key, find, page_of, poll, record, safe, write,
};

const FORM: Form = Form {
    parameter: |n| format!("?{n}"),
    announced: "announce",
    announcement: |parameter, _| parameter.to_owned(),
    or_conflict: "ON CONFLICT DO NOTHING",
    now: None,
};

/// A token store in an SQLite database, for any number of processes of one machine.
///
/// A clone is another handle to the same database.
///
/// * **Pool**: your own, with WAL and a busy timeout. Use `synchronous = FULL`: in WAL mode `NORMAL` may lose the last
///   commits in a power cut, and the provider has already forgotten the refresh token that was rotated away. This is
///   what [`connect`](Self::connect) sets. SQLite must be 3.38 or later; the one that comes with `sqlx` is.
/// * **Time**: SQLite has no clock but the machine's, so `fetch_token` answers that one, taken before the row is read.
///   All processes that can share the file share it too.
/// * **Changes**: triggers write each change to a sequence in the transaction of the write, also for statements of
///   other programs on the table. The feed polls it ([`SqlOptions::poll_every`]) while somebody listens. The sequence
///   covers the last 16,000 writes; a purge cuts it to the last hour.
/// * **Errors**: a database that is busy for longer than the busy timeout is [`StoreError::Unavailable`]; a missing
///   table or column and a read-only file are [`StoreError::Misconfigured`].
/// * **Searching**: `find_tokens` has an index for owner, client, subject and sid; a query by issuer or times alone
///   reads the whole table, page by page.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    pool: SqlitePool,
    options: SqlOptions,
    names: Names,
    sql: Statements,
    put_once: SqlStr,
    take: SqlStr,
    purge: [SqlStr; 3],
    /// SQLite has one writer. Tasks of this process wait here in a fair queue; in the database they would wait by
    /// sleeping and trying again, which takes the slowest of 32 ten times as long.
    writer: Mutex<()>,
}

impl SqliteStore {
    /// A store over your own pool, with the default options. Call [`migrate`](Self::migrate) once before use.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        let options = SqlOptions::new();
        #[expect(clippy::expect_used, reason = "the default prefix is a valid one")]
        Self::with_options(pool, options).expect("default options")
    }

    /// A store over your own pool.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] if the prefix cannot be part of a table's name, or with a schema or a URL to listen at.
    pub fn with_options(pool: SqlitePool, options: SqlOptions) -> Result<Self, StoreError> {
        if options.schema.is_some() || options.listen_url.is_some() {
            return Err(StoreError::misconfigured(
                "SQLite has no schemas and nothing to listen at: leave SqlOptions::schema and listen_url out",
            ));
        }
        let names = Names::new(&options, '"')?;
        let [tokens, once, changes] = ["tokens", "once", "changes"].map(|table| names.of(table));
        Ok(Self {
            inner: Arc::new(Inner {
                sql: Statements::new(&names, &FORM),
                put_once: safe(format!(
                    "INSERT INTO {once} (space, id, value, expires_at) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (space, id) DO UPDATE SET value = excluded.value, \
                     expires_at = excluded.expires_at WHERE {once}.expires_at <= ?5"
                )),
                take: safe(format!(
                    "DELETE FROM {once} WHERE space = ?1 AND id = ?2 RETURNING value, expires_at"
                )),
                purge: [
                    safe(format!(
                        "DELETE FROM {tokens} WHERE rowid IN (SELECT rowid FROM {tokens} \
                         WHERE purge_at < ?1 ORDER BY purge_at LIMIT ?2)"
                    )),
                    safe(format!(
                        "DELETE FROM {once} WHERE (space, id) IN (SELECT space, id FROM {once} \
                         WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)"
                    )),
                    // The newest change stays: the next one is numbered after it.
                    safe(format!(
                        "DELETE FROM {changes} WHERE written_at < unixepoch() - 3600 \
                         AND seq < (SELECT max(seq) FROM {changes})"
                    )),
                ],
                names,
                options,
                pool,
                writer: Mutex::new(()),
            }),
        })
    }

    /// Creates what is missing of the tables. Many processes may call it at once; it never touches `_sqlx_migrations`.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] if a table of that name lacks a column, if the schema is of a newer major version,
    /// or if the database is read-only; [`StoreError::Unavailable`] if it does not answer.
    ///
    /// # Cancel safety
    /// The tables are there, all of them, or nothing is.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let _turn = self.inner.writer.lock().await;
        schema::migrate(&self.inner.pool, &self.inner.names).await
    }

    /// The statements that [`migrate`](Self::migrate) runs, for those who keep their own migrations.
    #[must_use]
    pub fn schema(&self) -> String {
        schema::statements(&self.inner.names).concat()
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.inner.pool
    }

    fn now(&self) -> Timestamp {
        self.inner.options.clock.now()
    }

    /// Runs one writing statement; answers how many rows it changed.
    async fn write(
        &self,
        statement: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<u64, StoreError> {
        let _turn = self.inner.writer.lock().await;
        let done = statement.execute(&self.inner.pool).await;
        Ok(done.map_err(failed)?.rows_affected())
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("tokens", &self.inner.names.bare("tokens"))
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl FetchToken for SqliteStore {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let now = self.now();
        let row = bind_key(query(self.inner.sql.fetch.clone()), key)
            .fetch_optional(&self.inner.pool)
            .await
            .map_err(failed)?;
        let found = row.map(|row| record::<&str, _>(&row, 0)).transpose()?;
        Ok(Fetched::new(found, Some(now)))
    }
}

#[async_trait]
impl UpdateToken for SqliteStore {
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let write = write(&self.inner.sql, key, record, expected)?;
        match self.write(write).await? {
            0 => Err(StoreError::Conflict),
            _ => Ok(()),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::full()
    }

    async fn find_tokens(
        &self,
        query: &TokenQuery,
        page: Page,
    ) -> Result<PageOf<TokenSummary>, StoreError> {
        let (mut sql, limit): (QueryBuilder<Sqlite>, _) = find(&self.inner.names, query, &page)?;
        let rows = sql.build().fetch_all(&self.inner.pool).await;
        page_of::<&str, _>(&rows.map_err(failed)?, limit)
    }

    /// Also removes as many expired values of `put_once`, and changes older than an hour.
    async fn purge_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let [tokens, once, changes] = self.inner.purge.clone();
        let limit = i64::from(limit);
        let purged = query(tokens).bind(before.as_millis()).bind(limit);
        let purged = self.write(purged).await?;
        let expired = query(once).bind(self.now().as_millis()).bind(limit);
        self.write(expired).await?;
        self.write(query(changes)).await?;
        Ok(purged)
    }

    async fn put_once(
        &self,
        space: &str,
        id: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let statement = query(self.inner.put_once.clone())
            .bind(space)
            .bind(id)
            .bind(value)
            .bind((now + ttl).as_millis())
            .bind(now.as_millis());
        Ok(self.write(statement).await? > 0)
    }

    async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let now = self.now().as_millis();
        let _turn = self.inner.writer.lock().await;
        // All rows are read, though there is one at most: the statement commits when it has been run to its end.
        let rows = query(self.inner.take.clone())
            .bind(space)
            .bind(id)
            .fetch_all(&self.inner.pool)
            .await
            .map_err(failed)?;
        let unreadable = |_| StoreError::invalid_row("a value that was put once cannot be read");
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let expires_at: i64 = row.try_get(1).map_err(unreadable)?;
        if expires_at <= now {
            return Ok(None);
        }
        row.try_get(0).map(Some).map_err(unreadable)
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        let inner = &self.inner;
        let feed = feed::Feed::open(inner.pool.clone(), &inner.names, since).await?;
        Ok(poll(feed, inner.options.poll_every))
    }
}
