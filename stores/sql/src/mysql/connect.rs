//! A pool of one's own, for those who have none yet.

use tokenkeep_core::store::StoreError;

use super::MysqlStore;
use crate::{
    SqlOptions,
    shared::{connect, parse},
};

impl MysqlStore {
    /// Connects to a database such as `mysql://user:password@host/database` or `mariadb://…`, with up to ten
    /// connections, and calls [`migrate`](Self::migrate). Parameters of the URL are those of
    /// [`MySqlConnectOptions`](sqlx::mysql::MySqlConnectOptions).
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
        let pool = connect(parse(url, ["mysql", "mariadb"])?, options.timeout).await?;
        let store = Self::with_options(pool, options)?;
        store.migrate().await?;
        Ok(store)
    }
}
