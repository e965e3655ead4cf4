//! A pool of one's own, for those who have none yet.

use std::time::Duration;

use sqlx::{
    Connection, PgConnection, Postgres,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokenkeep_core::store::StoreError;
use tokio::time::Instant;

use super::PostgresStore;
use crate::{
    SqlOptions,
    shared::{failed, in_time},
};

/// A connection that was idle for longer is tried before it is used: the server may have been away.
const FRESH: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// Connects to a database such as `postgres://user:password@host/database`, with up to ten connections, and calls
    /// [`migrate`](Self::migrate). Parameters of the URL are those of
    /// [`PgConnectOptions`].
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] for what is no such URL, an unknown database or user, and a wrong password;
    /// [`StoreError::Unavailable`] for a server that cannot be reached; otherwise as [`migrate`](Self::migrate). No
    /// error shows the URL.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, SqlOptions::new()).await
    }

    /// [`connect`](Self::connect) with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect) and [`with_options`](Self::with_options).
    pub async fn connect_with(url: &str, options: SqlOptions) -> Result<Self, StoreError> {
        let connect = parse(url)?;
        // The pool would try again until its time is over, and then not say why.
        let first = async {
            let first = PgConnection::connect_with(&connect).await;
            let closed = async { first?.close().await };
            closed.await.map_err(failed::<Postgres>)
        };
        in_time(Instant::now() + options.timeout, first).await?;
        let pool = PgPoolOptions::new()
            .acquire_timeout(options.timeout)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > FRESH {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(connect);
        let store = Self::with_options(pool, options)?;
        store.migrate().await?;
        Ok(store)
    }
}

/// The driver's error is dropped, as it may show parts of the URL.
pub(crate) fn parse(url: &str) -> Result<PgConnectOptions, StoreError> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    matches!(scheme, Some("postgres" | "postgresql"))
        .then(|| url.parse().ok())
        .flatten()
        .ok_or_else(|| {
            StoreError::misconfigured(
                "the URL of the database is none such as postgres://user:password@host:5432/database",
            )
        })
}
