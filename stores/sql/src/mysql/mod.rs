//! Tokens in MySQL and MariaDB.

mod connect;
mod errors;
mod feed;
mod schema;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    MySql, MySqlPool, QueryBuilder, Row, SqlStr, error::DatabaseError, mysql::MySqlQueryResult,
    query,
};
use tokenkeep_core::{
    Timestamp, TokenKey,
    store::{
        Capabilities, Changes, Cursor, Expected, FetchToken, Fetched, Page, PageOf, StoreError,
        StoredRecord, TokenQuery, TokenStore, TokenSummary, UpdateToken, Version,
    },
};

use crate::shared::{
    Dialect, Failure, Form, Link, Meaning, Names, SqlOptions, Statements, again, bind_key, fetched,
    find, page_of, poll, safe, write,
};

/// The server's clock in microseconds, whatever the session's time zone, when the statement began: a lease that is
/// measured by it is never thought to be over too early. `SYSDATE` knows no UTC, and is another one on each replica.
macro_rules! now {
    () => {
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"
    };
}
const NOW: &str = now!();
const NOW_IN_MILLIS: &str = concat!(now!(), " DIV 1000");

/// In milliseconds.
const YEAR: i64 = 365 * 24 * 3600 * 1000;

const FORM: Form = Form {
    parameter: |_| "?".to_owned(),
    announced: "written_at",
    announcement: |parameter, otherwise| format!("IF({parameter}, {NOW}, {otherwise})"),
    // A taken key is an error of its own.
    or_conflict: "",
    now: Some(NOW_IN_MILLIS),
};

impl Dialect for MySql {
    /// For an update `sqlx` asks for the rows found, and other clients for those changed; ours always change.
    fn affected(done: &MySqlQueryResult) -> u64 {
        done.rows_affected()
    }

    fn meaning(error: &dyn DatabaseError) -> Meaning {
        errors::meaning(error)
    }
}

/// A token store in a MySQL (8.0 or later) or MariaDB (10.6 or later) database, for any number of processes.
///
/// A clone is another handle to the same database.
///
/// * **Pool**: your own, to the primary; a replica lags behind. Any isolation level will do, but `autocommit` must be
///   on: each write is one statement. `innodb_flush_log_at_trx_commit` other than 1 may lose the last commits in a
///   crash, and with them refresh tokens that the provider has already rotated away. `max_allowed_packet` must be 4M or
///   more.
/// * **Rights**: `migrate()` needs `CREATE` on the database, and only while something is missing. At run time
///   `SELECT, INSERT, UPDATE, DELETE` on `tokenkeep_tokens` and `tokenkeep_once` and `SELECT` on `tokenkeep_schema` are
///   enough. Nothing needs triggers.
/// * **Keys** are compared byte for byte, whatever the database's collation is: they stand in `VARBINARY` columns, as
///   UTF-8. To join on `owner`, write `CONVERT(owner USING utf8mb4) = users.id`, or compare with a binary column.
/// * **Time** is the server's, read in the same statement as the record.
/// * **Changes** are polled ([`SqlOptions::poll_every`]) while somebody listens: each write that is to be announced
///   stamps its row with the server's time, and the feed reads the rows that were stamped since it looked last. Several
///   writes of one key between two looks are one change. A cursor never becomes too old. Other programs that write the
///   table announce it by `written_at`, which is `UTC_TIMESTAMP(6)` in microseconds since 1970. Commits that take longer
///   than a second are heard of up to ten seconds late.
/// * **TLS**: with the feature `rustls` or `native-tls`; the passwords of MySQL 8 need it.
///   `ssl-mode=VERIFY_IDENTITY` in the URL is the one that proves whom the connection leads to.
/// * **Errors**: what does not answer within [`SqlOptions::timeout`] is [`StoreError::Unavailable`]; a missing table,
///   column or right, a replica and a wrong password are [`StoreError::Misconfigured`] and say what to do.
/// * **Searching**: `find_tokens` has an index for owner, client, subject and sid; a query by issuer or times alone
///   reads the whole table, page by page.
#[derive(Clone)]
pub struct MysqlStore {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link<MySql>>,
    names: Names,
    poll_every: Duration,
    sql: Statements,
    /// Into a free place, or into that of an expired value.
    put_once: [SqlStr; 2],
    /// Read, and remove what was read.
    take: [SqlStr; 2],
    purge: [SqlStr; 2],
    /// Are rows due that some feed may not have seen? And the mark for the feeds.
    purge_young: [SqlStr; 2],
}

impl MysqlStore {
    /// A store over your own pool, with the default options. Call [`migrate`](Self::migrate) once before use.
    #[must_use]
    pub fn new(pool: MySqlPool) -> Self {
        let options = SqlOptions::new();
        #[expect(clippy::expect_used, reason = "the default options are valid ones")]
        Self::with_options(pool, options).expect("default options")
    }

    /// A store over your own pool.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] if prefix or schema cannot be part of a table's name, or with a URL to listen at.
    pub fn with_options(pool: MySqlPool, options: SqlOptions) -> Result<Self, StoreError> {
        if options.listen_url.is_some() {
            return Err(StoreError::misconfigured(
                "MySQL's change feed is polled: leave SqlOptions::listen_url out",
            ));
        }
        let names = Names::new(&options, '`')?;
        let [tokens, once] = ["tokens", "once"].map(|table| names.of(table));
        let now = NOW_IN_MILLIS;
        Ok(Self {
            inner: Arc::new(Inner {
                link: Arc::new(Link {
                    pool,
                    patience: options.timeout,
                }),
                sql: Statements::new(&names, &FORM),
                put_once: [
                    safe(format!(
                        "INSERT INTO {once} (value, expires_at, space, id) VALUES (?, {now} + ?, ?, ?)"
                    )),
                    safe(format!(
                        "UPDATE {once} SET value = ?, expires_at = {now} + ? \
                         WHERE space = ? AND id = ? AND expires_at <= {now}"
                    )),
                ],
                take: [
                    safe(format!(
                        "SELECT value, expires_at, expires_at > {now} FROM {once} WHERE space = ? AND id = ?"
                    )),
                    // What was put again since was not read.
                    safe(format!(
                        "DELETE FROM {once} WHERE space = ? AND id = ? AND expires_at = ? AND value = ?"
                    )),
                ],
                purge: [
                    safe(format!(
                        "DELETE FROM {tokens} WHERE purge_at < ? ORDER BY purge_at LIMIT ?"
                    )),
                    safe(format!(
                        "DELETE FROM {once} WHERE expires_at <= {now} ORDER BY expires_at LIMIT ?"
                    )),
                ],
                purge_young: [
                    safe(format!(
                        "SELECT 1 FROM {tokens} WHERE purge_at < ? AND written_at >= {NOW} - {} LIMIT 1",
                        feed::LATE
                    )),
                    safe(format!(
                        "REPLACE INTO {once} (value, expires_at, space, id) VALUES (?, {now} + {YEAR}, ?, ?)"
                    )),
                ],
                poll_every: options.poll_every,
                names,
            }),
        })
    }

    /// Tells the feeds that a purge takes rows which they may not have seen.
    async fn mark_purge(&self) -> Result<(), StoreError> {
        let [_, mark] = &self.inner.purge_young;
        let ([space, id], stamp) = (feed::PURGED, Version::random().to_string());
        let mark = || {
            let mark = query(mark.clone()).bind(stamp.as_bytes());
            mark.bind(space).bind(id)
        };
        again(|| self.inner.link.execute(mark())).await?;
        Ok(())
    }

    /// Creates what is missing of the tables. Many processes may call it at once; it never touches `_sqlx_migrations`.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] if a table of that name lacks a column, if the tables are of a newer major version,
    /// if there is no such database, if the user may not create tables, or if `autocommit` is off;
    /// [`StoreError::Unavailable`] if the server does not answer.
    ///
    /// # Cancel safety
    /// Some of the tables may be there; another call creates the rest.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrate(&self.inner.link, &self.inner.names).await
    }

    /// The statements that [`migrate`](Self::migrate) runs, for those who keep their own migrations.
    #[must_use]
    pub fn schema(&self) -> String {
        schema::statements(&self.inner.names).concat()
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &MySqlPool {
        &self.inner.link.pool
    }
}

impl fmt::Debug for MysqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlStore")
            .field("tokens", &self.inner.names.of("tokens"))
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl FetchToken for MysqlStore {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let inner = &*self.inner;
        let rows = again(|| {
            inner
                .link
                .rows(bind_key(query(inner.sql.fetch.clone()), key))
        })
        .await?;
        fetched::<&[u8], _>(rows.first())
    }
}

#[async_trait]
impl UpdateToken for MysqlStore {
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let write = write(&self.inner.sql, key, record, expected)?;
        match self.inner.link.execute(write).await? {
            0 => Err(StoreError::Conflict),
            _ => Ok(()),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for MysqlStore {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::full()
    }

    async fn find_tokens(
        &self,
        query: &TokenQuery,
        page: Page,
    ) -> Result<PageOf<TokenSummary>, StoreError> {
        let inner = &*self.inner;
        let run = || async {
            let (mut sql, limit): (QueryBuilder<MySql>, _) = find(&inner.names, query, &page)?;
            Ok((inner.link.rows(sql.build()).await?, limit))
        };
        let (rows, limit) = again(run).await?;
        page_of::<&[u8], _>(&rows, limit)
    }

    /// Also removes as many expired values of `put_once`.
    async fn purge_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let inner = &*self.inner;
        let [tokens, once] = &inner.purge;
        let limit = i64::from(limit);
        let due = || query(tokens.clone()).bind(before.as_millis()).bind(limit);
        let [young, _] = &inner.purge_young;
        let young = || query(young.clone()).bind(before.as_millis());
        let young = !again(|| inner.link.rows(young())).await?.is_empty();
        // Before, lest nobody does it after; and after, for what others made due meanwhile.
        if young {
            self.mark_purge().await?;
        }
        let purged = again(|| inner.link.execute(due())).await?;
        if young {
            self.mark_purge().await?;
        }
        again(|| inner.link.execute(query(once.clone()).bind(limit))).await?;
        Ok(purged)
    }

    async fn put_once(
        &self,
        space: &str,
        id: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        // A server that is not strict would cut it off.
        if space.len().max(id.len()) > schema::LONGEST_ID {
            return Err(StoreError::invalid_input(
                "a space or id is longer than 767 bytes",
            ));
        }
        let inner = &*self.inner;
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 2);
        let put = |into: &SqlStr| {
            let put = query(into.clone()).bind(value).bind(ttl);
            put.bind(space).bind(id)
        };
        let [free, expired] = &inner.put_once;
        match again(|| inner.link.execute(put(free))).await {
            Err(Failure::Taken) => Ok(again(|| inner.link.execute(put(expired))).await? > 0),
            done => Ok(done? > 0),
        }
    }

    async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let inner = &*self.inner;
        let [read, remove] = &inner.take;
        let rows = again(|| inner.link.rows(query(read.clone()).bind(space).bind(id))).await?;
        let unreadable = |_| StoreError::invalid_row("a value that was put once cannot be read");
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let value: Vec<u8> = row.try_get(0).map_err(unreadable)?;
        let expires_at: i64 = row.try_get(1).map_err(unreadable)?;
        let lives: bool = row.try_get(2).map_err(unreadable)?;
        let remove = || {
            let remove = query(remove.clone()).bind(space).bind(id);
            remove.bind(expires_at).bind(&value)
        };
        let removed = again(|| inner.link.execute(remove())).await?;
        Ok((removed > 0 && lives).then_some(value))
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        let inner = &*self.inner;
        let feed = feed::Feed::open(Arc::clone(&inner.link), &inner.names, since).await?;
        Ok(poll(feed, inner.poll_every))
    }
}
