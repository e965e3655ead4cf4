//! Which tables and columns there must be.

use tokenkeep_core::store::StoreError;

use super::{KEY, Names, RECORD};

/// Raised only by a change that older versions of this crate cannot live with; new columns and indexes do not raise it.
pub(crate) const MAJOR: i64 = 1;

/// The columns of the values that are put once.
pub(crate) const ONCE: [&str; 4] = ["space", "id", "value", "expires_at"];

/// The columns of the table that says which major version the tables are of.
pub(crate) const SCHEMA: [&str; 2] = ["id", "major"];

/// The columns of a table, given those that the dialect adds.
pub(crate) fn columns<'c>(table: &str, more: &[&'c str]) -> Vec<&'c str> {
    match table {
        "tokens" => [&KEY[..], &RECORD, more].concat(),
        "once" => ONCE.to_vec(),
        "schema" => SCHEMA.to_vec(),
        _ => more.to_vec(),
    }
}

/// Is the table there, given the columns that were found? One that lacks a column is an error, since `IF NOT EXISTS`
/// would pass it by.
pub(crate) fn is_there(
    names: &Names,
    table: &str,
    columns: &[&str],
    found: &[String],
) -> Result<bool, StoreError> {
    let lacking: Vec<&str> = columns
        .iter()
        .filter(|column| !found.iter().any(|found| found == *column))
        .copied()
        .collect();
    if found.is_empty() || lacking.is_empty() {
        return Ok(!found.is_empty());
    }
    Err(StoreError::misconfigured(format!(
        "the table {} lacks {}; rename it, or choose another prefix, and call migrate()",
        names.bare(table),
        lacking.join(", ")
    )))
}

/// Are the tables of the version that this crate knows?
pub(crate) fn is_known(major: Option<i64>) -> Result<bool, StoreError> {
    match major {
        None => Ok(false),
        Some(MAJOR) => Ok(true),
        Some(other) => Err(StoreError::misconfigured(format!(
            "the tables are of schema version {other}; this version of tokenkeep-sql knows {MAJOR}"
        ))),
    }
}
