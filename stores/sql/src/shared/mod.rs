//! What the dialects share: options and names, statements, rows, queries, and the polling of a change sequence.
//!
//! Nothing here names a database. A dialect adds its schema, the end of its insert, and what its error codes mean.

mod find;
mod names;
mod options;
mod poll;
mod rows;
mod statements;

pub use self::options::SqlOptions;
pub(crate) use self::{
    find::find,
    names::Names,
    poll::{BATCH, Follow, poll},
    rows::{
        KEY, RECORD, bind_key, bind_record, generation, generation_column, key, record, version,
    },
    statements::{Statements, safe},
};
