//! Token stores in SQL databases, over the application's own `sqlx` pool.
//!
//! | feature | store | |
//! |---|---|---|
//! | `sqlite` | [`SqliteStore`] | one file, any number of processes of one machine |
//!
//! Each store has tables of its own beside the application's: `tokenkeep_tokens` (one row per key, which people can
//! join on by `owner`), `tokenkeep_once`, a change sequence where the database has nothing better, and
//! `tokenkeep_schema`. The prefix is an option ([`SqlOptions::prefix`]). `migrate()` creates them, may be called by
//! many processes at once, and never touches `_sqlx_migrations`; those who keep their own migrations find the
//! statements in `schema()`.
//!
//! `sqlx` is re-exported, so that the pool is of the same version.

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod shared;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "mysql")]
pub use crate::mysql::MysqlStore;
#[cfg(feature = "postgres")]
pub use crate::postgres::PostgresStore;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub use crate::shared::SqlOptions;
#[cfg(feature = "sqlite")]
pub use crate::sqlite::SqliteStore;
pub use sqlx;
