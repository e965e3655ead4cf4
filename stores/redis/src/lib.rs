//! A token store in Redis or Valkey, over the application's own connection.
//!
//! [`RedisStore`] says how it is set up and what it promises. `redis` is re-exported, so that the connection is of the
//! same version.

mod check;
mod connect;
mod errors;
mod feed;
mod find;
mod link;
mod names;
mod options;
mod purge;
mod rows;
mod script;
mod store;

pub use crate::{options::RedisOptions, store::RedisStore};
pub use redis;
