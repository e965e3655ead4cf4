//! Token stores in SQL databases, over the application's own `sqlx` pool.
//!
//! | feature | store | |
//! |---|---|---|
//! | `sqlite` | [`SqliteStore`] | one file, any number of processes of one machine; the feed is polled |
//! | `postgres` | [`PostgresStore`] | PostgreSQL 12 or later; the feed is `NOTIFY` |
//! | `mysql` | [`MysqlStore`] | MySQL 8.0 or MariaDB 10.6 or later; the feed is polled |
//!
//! Each store has tables of its own beside the application's: `tokenkeep_tokens` (one row per key, which people can
//! join on by `owner`), `tokenkeep_once`, `tokenkeep_schema`, and SQLite's change sequence `tokenkeep_changes`. Prefix
//! and schema are options ([`SqlOptions`]). `migrate()` creates them, may be called by many processes at once, and never
//! touches `_sqlx_migrations`; those who keep their own migrations find the statements in `schema()`.
//!
//! # Rights
//!
//! `migrate()` needs the right to create tables, and only while something is missing. What runs needs no more than this:
//!
//! ```sql
//! -- PostgreSQL; USAGE on a schema that is not `public`
//! GRANT USAGE ON SCHEMA auth TO app;
//! GRANT SELECT, INSERT, UPDATE, DELETE ON auth.tokenkeep_tokens, auth.tokenkeep_once TO app;
//! GRANT SELECT ON auth.tokenkeep_schema TO app;
//! -- MySQL, MariaDB
//! GRANT SELECT, INSERT, UPDATE, DELETE ON app.tokenkeep_tokens TO 'app'@'%';
//! GRANT SELECT, INSERT, UPDATE, DELETE ON app.tokenkeep_once TO 'app'@'%';
//! GRANT SELECT ON app.tokenkeep_schema TO 'app'@'%';
//! ```
//!
//! # TLS
//!
//! The features `rustls` and `native-tls` bring TLS to PostgreSQL and MySQL. Without a mode in the URL or the pool, `sqlx`
//! uses TLS if the server offers it and trusts any certificate; say `sslmode=verify-full` (PostgreSQL) or
//! `ssl-mode=VERIFY_IDENTITY` (MySQL) where the network is not your own.
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
