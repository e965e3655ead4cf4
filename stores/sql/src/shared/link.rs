//! Statements over the pool of a server: bounded in time, and run again when they lost against others.

use std::{future::Future, str::FromStr, time::Duration};

use sqlx::{
    Connection, Database, Executor, IntoArguments, Pool,
    error::DatabaseError,
    pool::{PoolConnection, PoolOptions},
    query::Query,
};
use tokenkeep_core::store::StoreError;
use tokio::time::{Instant, sleep, timeout_at};

use super::errors::{Failure, Meaning, failure};

/// How often a statement that lost against others is run again. They have moved on each time.
const ATTEMPTS: u32 = 10;

/// A connection that was idle for longer is tried before it is used: the server may have been away.
const FRESH: Duration = Duration::from_secs(1);

/// How long a migration may wait for those of other processes, and for locks of tables that are in use.
pub(crate) const MIGRATION: Duration = Duration::from_secs(60);

/// What is particular to a database server, beside its schema and its feed.
pub(crate) trait Dialect: Database {
    /// How many rows a statement changed; for an update, how many it found.
    fn affected(done: &Self::QueryResult) -> u64;

    /// What an error of the server means.
    fn meaning(error: &dyn DatabaseError) -> Meaning;
}

/// The way to a server.
pub(crate) struct Link<D: Dialect> {
    pub(crate) pool: Pool<D>,
    pub(crate) patience: Duration,
}

impl<D: Dialect> Link<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
{
    /// Runs a statement once and answers its rows.
    pub(crate) async fn rows(
        &self,
        query: Query<'_, D, D::Arguments>,
    ) -> Result<Vec<D::Row>, Failure> {
        let end = self.end();
        let mut connection = self.connection(end).await?;
        let rows = query.fetch_all(&mut *connection.inner);
        let rows = in_time(end, async { rows.await.map_err(failed::<D>) }).await;
        connection.settle(&rows);
        rows
    }

    /// Runs a statement once and answers how many rows it changed.
    pub(crate) async fn execute(&self, query: Query<'_, D, D::Arguments>) -> Result<u64, Failure> {
        let end = self.end();
        let mut connection = self.connection(end).await?;
        let done = query.execute(&mut *connection.inner);
        let done = in_time(end, async { done.await.map_err(failed::<D>) }).await;
        connection.settle(&done);
        Ok(D::affected(&done?))
    }

    /// A connection for several statements.
    pub(crate) async fn connection(&self, end: Instant) -> Result<Held<D>, Failure> {
        let inner = self.pool.acquire();
        let inner = in_time(end, async { inner.await.map_err(failed::<D>) }).await?;
        Ok(Held {
            inner,
            answered: false,
        })
    }

    /// When an operation that begins now must be over.
    pub(crate) fn end(&self) -> Instant {
        Instant::now() + self.patience
    }
}

/// A pool to a database that answers.
pub(crate) async fn connect<D: Dialect>(
    options: <D::Connection as Connection>::Options,
    patience: Duration,
) -> Result<Pool<D>, Failure> {
    // The pool would try again until its time is over, and then not say why.
    let first = async {
        let first = D::Connection::connect_with(&options).await;
        let closed = async { first?.close().await };
        closed.await.map_err(failed::<D>)
    };
    in_time(Instant::now() + patience, first).await?;
    Ok(PoolOptions::new()
        .acquire_timeout(patience)
        .test_before_acquire(false)
        .before_acquire(|connection: &mut D::Connection, meta| {
            Box::pin(async move {
                if meta.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

/// Reads a URL of one of these schemes. The driver's error is dropped, as it may show parts of the URL.
pub(crate) fn parse<O: FromStr>(url: &str, schemes: [&str; 2]) -> Result<O, StoreError> {
    let [scheme, _] = schemes;
    url.split_once("://")
        .filter(|(scheme, _)| schemes.contains(scheme))
        .and_then(|_| url.parse().ok())
        .ok_or_else(|| {
            StoreError::misconfigured(format!(
                "the URL of the database is none such as {scheme}://user:password@host/database"
            ))
        })
}

/// Ends work that takes too long.
pub(crate) async fn in_time<T>(
    end: Instant,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout_at(end, work).await.unwrap_or_else(|_| {
        let late = "the database did not answer in time";
        Err(Failure::Store(StoreError::other(late)))
    })
}

/// Runs a statement until it does not lose against another transaction. For statements whose callers know no conflict.
pub(crate) async fn again<T, F>(run: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    for attempt in 1..ATTEMPTS {
        match run().await {
            Err(Failure::Lost) => sleep(Duration::from_millis(u64::from(2 * attempt))).await,
            done => return done,
        }
    }
    match run().await {
        Err(Failure::Lost) => Err(Failure::Store(StoreError::other(
            "other transactions came first, again and again",
        ))),
        done => done,
    }
}

pub(crate) fn failed<D: Dialect>(error: sqlx::Error) -> Failure {
    failure(error, D::meaning)
}

/// A connection of the pool. One whose answer was not awaited is closed: given back, it would hold its place in the pool
/// until a server that hangs speaks again.
pub(crate) struct Held<D: Database> {
    pub(crate) inner: PoolConnection<D>,
    answered: bool,
}

impl<D: Database> Held<D> {
    /// Notes whether the server answered, be it by an error.
    pub(crate) fn settle<T>(&mut self, done: &Result<T, Failure>) {
        self.answered = !matches!(done, Err(Failure::Store(StoreError::Unavailable { .. })));
    }
}

impl<D: Database> Drop for Held<D> {
    fn drop(&mut self) {
        if !self.answered {
            self.inner.close_on_drop();
        }
    }
}
