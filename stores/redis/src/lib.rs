//! A token store in Redis or Valkey, over the application's own connection.
//!
//! `redis` is re-exported, so that the connection is of the same version.

pub use redis;
