//! A pool of one's own, for those who have none yet.

use sqlx::postgres::PgConnectOptions;
use tokenkeep_core::store::StoreError;

use super::PostgresStore;
use crate::{
    SqlOptions,
    shared::{self, connect},
};

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
        let pool = connect(parse(url)?, options.timeout).await?;
        let store = Self::with_options(pool, options)?;
        store.migrate().await?;
        Ok(store)
    }
}

pub(crate) fn parse(url: &str) -> Result<PgConnectOptions, StoreError> {
    shared::parse(url, ["postgres", "postgresql"])
}
