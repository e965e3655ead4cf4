//! Tokens in PostgreSQL.

mod connect;
mod errors;
mod feed;
mod schema;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    PgPool, Postgres, QueryBuilder, Row, SqlStr,
    error::DatabaseError,
    postgres::{PgConnectOptions, PgQueryResult},
    query,
};
use tokenkeep_core::{
    Timestamp, TokenKey,
    store::{
        Capabilities, Changes, Cursor, Expected, FetchToken, Fetched, Page, PageOf, StoreError,
        StoredRecord, TokenQuery, TokenStore, TokenSummary, UpdateToken,
    },
};

use crate::shared::{
    Dialect, Form, Link, Meaning, Names, SqlOptions, Statements, again, bind_key, fetched, find,
    page_of, safe, write,
};

/// The server's clock in milliseconds, as it is now and not as it was when a transaction began.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT";

const FORM: Form = Form {
    parameter: |n| format!("${n}"),
    announced: "announce",
    announcement: |parameter, _| parameter.to_owned(),
    or_conflict: "ON CONFLICT DO NOTHING",
    now: Some(NOW),
};

impl Dialect for Postgres {
    fn affected(done: &PgQueryResult) -> u64 {
        done.rows_affected()
    }

    fn meaning(error: &dyn DatabaseError) -> Meaning {
        errors::meaning(error)
    }
}

/// A token store in a PostgreSQL database (12 or later), for any number of processes.
///
/// A clone is another handle to the same database.
///
/// * **Pool**: your own, to the primary; a replica lags behind. Any isolation level will do: each operation is one
///   statement. Switching off `synchronous_commit` may lose the last commits in a crash, and with them refresh tokens
///   that the provider has already rotated away.
/// * **Rights**: `migrate()` needs `CREATE` and `USAGE` on the schema, and only while something is missing. At run time
///   `SELECT, INSERT, UPDATE, DELETE` on `tokenkeep_tokens` and `tokenkeep_once`, `SELECT` on `tokenkeep_schema`, and
///   `USAGE` on the schema are enough.
/// * **Keys** are compared byte for byte, whatever the database's collation is: the text columns are `COLLATE "C"`. The
///   encoding must be UTF8. To join on `owner`, write `users.id::text = owner`.
/// * **Time** is the server's (`clock_timestamp()`), read in the same statement as the record.
/// * **Changes**: a trigger sends a `NOTIFY` in the transaction of the write, also for statements of other programs on
///   the table. [`changes`](TokenStore::changes) listens on a connection of its own beside the pool, looks every 2 s
///   whether it still lives, and connects again when it does not; whatever may have been missed is a gap. `NOTIFY` has
///   no history, so a feed that is opened with a cursor begins with a gap. PostgreSQL serialises the commits that notify
///   somebody, within all of the server, so that there are as many a second as the disk syncs, one after the other: 300
///   to 700 where 16 writers without a feed did 6,000. Writes that only take a lease notify nobody.
/// * **PgBouncer** in transaction mode must carry prepared statements (1.21 or later, `max_prepared_statements`), and
///   cannot carry `LISTEN`: give the feed the server's own address by [`SqlOptions::listen_url`]. A feed that does not
///   hear the store is an error when it is opened.
/// * **TLS**: with the feature `rustls` or `native-tls`. `sslmode=verify-full` in the URL is the one that proves whom
///   the connection leads to.
/// * **Errors**: what does not answer within [`SqlOptions::timeout`] is [`StoreError::Unavailable`]; a missing table,
///   column or right, a replica and a wrong password are [`StoreError::Misconfigured`] and say what to do.
/// * **Searching**: `find_tokens` has an index for owner, client, subject and sid; a query by issuer or times alone
///   reads the whole table, page by page.
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link<Postgres>>,
    names: Names,
    sql: Statements,
    put_once: SqlStr,
    take: SqlStr,
    purge: [SqlStr; 2],
    /// Where the feed listens, if not where the pool connects to.
    listen: Option<PgConnectOptions>,
}

impl PostgresStore {
    /// A store over your own pool, with the default options. Call [`migrate`](Self::migrate) once before use.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let options = SqlOptions::new();
        #[expect(clippy::expect_used, reason = "the default options are valid ones")]
        Self::with_options(pool, options).expect("default options")
    }

    /// A store over your own pool.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] if prefix or schema cannot be part of a table's name, or if the URL to listen at
    /// is none.
    pub fn with_options(pool: PgPool, options: SqlOptions) -> Result<Self, StoreError> {
        let names = Names::new(&options, '"')?;
        let [tokens, once] = ["tokens", "once"].map(|table| names.of(table));
        let listen = options.listen_url.as_deref().map(connect::parse);
        Ok(Self {
            inner: Arc::new(Inner {
                link: Arc::new(Link {
                    pool,
                    patience: options.timeout,
                }),
                sql: Statements::new(&names, &FORM),
                put_once: safe(format!(
                    "INSERT INTO {once} AS kept (space, id, value, expires_at) VALUES ($1, $2, $3, {NOW} + $4) \
                     ON CONFLICT (space, id) DO UPDATE SET value = excluded.value, \
                     expires_at = excluded.expires_at WHERE kept.expires_at <= {NOW}"
                )),
                take: safe(format!(
                    "DELETE FROM {once} WHERE space = $1 AND id = $2 RETURNING value, expires_at > {NOW}"
                )),
                // A row that is being written is passed by; the test stands outside once more for one that was written
                // since it was chosen. Materialized, or else the planner may choose anew for each row, beyond the limit.
                purge: [
                    safe(format!(
                        "WITH due AS MATERIALIZED (SELECT owner, client, slot FROM {tokens} \
                         WHERE purge_at < $1 ORDER BY purge_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
                         DELETE FROM {tokens} AS t USING due WHERE t.owner = due.owner \
                         AND t.client = due.client AND t.slot = due.slot AND t.purge_at < $1"
                    )),
                    safe(format!(
                        "WITH due AS MATERIALIZED (SELECT space, id FROM {once} \
                         WHERE expires_at <= {NOW} ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED) \
                         DELETE FROM {once} AS kept USING due WHERE kept.space = due.space \
                         AND kept.id = due.id AND kept.expires_at <= {NOW}"
                    )),
                ],
                listen: listen.transpose()?,
                names,
            }),
        })
    }

    /// Creates what is missing of the schema and the tables. Many processes may call it at once; it never touches
    /// `_sqlx_migrations`.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] if a table of that name lacks a column, if the tables are of a newer major version,
    /// or if the user may not create them; [`StoreError::Unavailable`] if the server does not answer.
    ///
    /// # Cancel safety
    /// The tables are there, all of them, or nothing is.
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
    pub fn pool(&self) -> &PgPool {
        &self.inner.link.pool
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("tokens", &self.inner.names.of("tokens"))
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl FetchToken for PostgresStore {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let inner = &*self.inner;
        let rows = again(|| {
            inner
                .link
                .rows(bind_key(query(inner.sql.fetch.clone()), key))
        })
        .await?;
        fetched::<&str, _>(rows.first())
    }
}

#[async_trait]
impl UpdateToken for PostgresStore {
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
impl TokenStore for PostgresStore {
    fn name(&self) -> &'static str {
        "postgres"
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
            let (mut sql, limit): (QueryBuilder<Postgres>, _) = find(&inner.names, query, &page)?;
            Ok((inner.link.rows(sql.build()).await?, limit))
        };
        let (rows, limit) = again(run).await?;
        page_of::<&str, _>(&rows, limit)
    }

    /// Also removes as many expired values of `put_once`.
    async fn purge_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let inner = &*self.inner;
        let [tokens, once] = &inner.purge;
        let limit = i64::from(limit);
        let due = || query(tokens.clone()).bind(before.as_millis()).bind(limit);
        let purged = again(|| inner.link.execute(due())).await?;
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
        let inner = &*self.inner;
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 2);
        let put = || {
            let put = query(inner.put_once.clone()).bind(space).bind(id);
            put.bind(value).bind(ttl)
        };
        Ok(again(|| inner.link.execute(put())).await? > 0)
    }

    async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let inner = &*self.inner;
        let take = || query(inner.take.clone()).bind(space).bind(id);
        let rows = again(|| inner.link.rows(take())).await?;
        let unreadable = |_| StoreError::invalid_row("a value that was put once cannot be read");
        match rows.first() {
            Some(row) if row.try_get(1).map_err(unreadable)? => {
                row.try_get(0).map(Some).map_err(unreadable)
            }
            _ => Ok(None),
        }
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        let inner = &*self.inner;
        let options = match &inner.listen {
            Some(options) => options.clone(),
            None => PgConnectOptions::clone(&inner.link.pool.connect_options()),
        };
        let feed = feed::Feed::new(Arc::clone(&inner.link), options, inner.names.of("tokens"));
        feed.open(since).await
    }
}
