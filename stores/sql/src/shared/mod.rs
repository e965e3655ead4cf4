//! What the dialects share: options and names, statements, rows, queries, and the polling of a change sequence.
//!
//! Nothing here names a database. A dialect adds its schema, the end of its insert, and what its error codes mean.

#[cfg(any(feature = "postgres", feature = "mysql"))]
mod errors;
mod find;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod link;
mod names;
mod options;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
mod poll;
mod rows;
mod schema;
mod statements;

#[cfg(feature = "postgres")]
pub(crate) use self::errors::failure;
#[cfg(feature = "mysql")]
pub(crate) use self::options::LONGEST_TIMEOUT;
pub use self::options::SqlOptions;
#[cfg(feature = "sqlite")]
pub(crate) use self::rows::record;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) use self::{
    errors::{Failure, Meaning},
    link::{Dialect, Link, MIGRATION, again, connect, failed, in_time, parse},
    rows::fetched,
};
pub(crate) use self::{
    find::find,
    names::Names,
    rows::{KEY, RECORD, bind_key, page_of, write},
    schema::{MAJOR, columns, is_known, is_there},
    statements::{Form, Statements, safe},
};
#[cfg(any(feature = "sqlite", feature = "mysql"))]
pub(crate) use self::{
    poll::{BATCH, Follow, poll},
    rows::{generation, key, version},
};
