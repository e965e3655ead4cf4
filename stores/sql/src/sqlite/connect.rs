//! A database of one's own, for those who have no pool yet.

use std::{path::Path, time::Duration};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokenkeep_core::store::StoreError;

use super::{SqliteStore, errors::failed};
use crate::SqlOptions;

/// How long a connection waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

impl SqliteStore {
    /// Opens a database, or creates it, and calls [`migrate`](Self::migrate). `location` is a path, or a URL such as
    /// `sqlite:///var/lib/app/tokens.db`.
    ///
    /// It uses WAL, waits up to 5 s for other writers, and syncs each commit to the disk (`synchronous = FULL`), since
    /// a refresh token that was rotated away cannot be asked for again. A file that it creates is readable for its
    /// owner only.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] for a file that cannot be opened, is read-only or is no database, and for an
    /// in-memory database, which each connection would have for itself; otherwise as [`migrate`](Self::migrate).
    pub async fn connect(location: &str) -> Result<Self, StoreError> {
        Self::connect_with(location, SqlOptions::new()).await
    }

    /// [`connect`](Self::connect) with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect) and [`with_options`](Self::with_options).
    pub async fn connect_with(location: &str, options: SqlOptions) -> Result<Self, StoreError> {
        let connect = if location.starts_with("sqlite:") {
            location.parse().map_err(failed)?
        } else {
            SqliteConnectOptions::new().filename(location)
        };
        if location.contains(":memory:") || location.contains("mode=memory") {
            return Err(StoreError::misconfigured(
                "an SQLite database in memory; the memory store does that better",
            ));
        }
        create_private(connect.get_filename())?;
        let connect = connect
            .busy_timeout(BUSY)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            // There is no network that could have broken a connection.
            .test_before_acquire(false);
        let started = std::time::Instant::now();
        let pool = loop {
            match pool
                .clone()
                .connect_with(connect.clone())
                .await
                .map_err(failed)
            {
                // The change to WAL does not wait for others by itself.
                Err(StoreError::Unavailable { .. }) if started.elapsed() < BUSY => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                connected => break connected?,
            }
        };
        let store = Self::with_options(pool, options)?;
        store.migrate().await?;
        Ok(store)
    }
}

/// Creates an empty file that only its owner can read, if there is none; SQLite gives its other files the same mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Misconfigured {
            reason: "the database file cannot be created".into(),
            source: Some(error.into()),
        }),
    }
}
