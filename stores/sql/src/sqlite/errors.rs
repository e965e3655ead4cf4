//! What SQLite's result codes mean for a store.

use tokenkeep_core::store::StoreError;

/// Result codes of <https://www.sqlite.org/rescode.html>; the lower eight bits are the primary code.
mod code {
    pub(super) const ERROR: u32 = 1;
    pub(super) const PERM: u32 = 3;
    pub(super) const READONLY: u32 = 8;
    pub(super) const CANTOPEN: u32 = 14;
    pub(super) const AUTH: u32 = 23;
    pub(super) const NOTADB: u32 = 26;
    /// A transaction that has read an older state wants to write.
    pub(super) const BUSY_SNAPSHOT: u32 = 517;
}

/// Messages of SQLite name tables and columns, never a value.
pub(crate) fn failed(error: sqlx::Error) -> StoreError {
    let Some(database) = error.as_database_error() else {
        return StoreError::other(error);
    };
    if database.is_unique_violation() {
        return StoreError::Conflict;
    }
    let result = database.code().and_then(|code| code.parse::<u32>().ok());
    let message = database.message();
    let reason = match result.map(|code| (code, code & 0xff)) {
        Some((code::BUSY_SNAPSHOT, _)) => return StoreError::Conflict,
        Some((_, code::READONLY)) => "the database is read-only",
        Some((_, code::PERM | code::AUTH)) => "access to the database is denied",
        Some((_, code::CANTOPEN)) => "the database file cannot be opened",
        Some((_, code::NOTADB)) => "the file is no SQLite database",
        Some((_, code::ERROR)) if message.starts_with("no such table") => {
            "a table is missing; call migrate()"
        }
        Some((_, code::ERROR))
            if message.starts_with("no such column") || message.contains("has no column") =>
        {
            "a table lacks a column; call migrate(), which says which"
        }
        _ => return StoreError::other(error),
    };
    StoreError::Misconfigured {
        reason: reason.into(),
        source: Some(error.into()),
    }
}
