//! What PostgreSQL's error codes mean for a store: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use sqlx::error::DatabaseError;

use crate::shared::Meaning;

/// Insufficient privilege.
pub(crate) const DENIED: &str = "42501";

pub(crate) fn meaning(error: &dyn DatabaseError) -> Meaning {
    let code = error.code().unwrap_or_default();
    match &*code {
        // Serialisation failure, deadlock.
        "40001" | "40P01" => Meaning::Lost,
        "23505" => Meaning::Taken,
        DENIED => Meaning::Setup(
            "GRANT the user SELECT, INSERT, UPDATE, DELETE on the tables of tokens and of values put once, SELECT on \
             the one of the schema version, and USAGE on their schema",
        ),
        "42P01" | "3F000" => Meaning::Setup("call migrate()"),
        "42703" => Meaning::Setup("call migrate(), which says which table lacks a column"),
        "25006" => Meaning::Setup("connect to the primary, with a session that may write"),
        "28000" | "28P01" => Meaning::Setup("check the user and the password of the database URL"),
        "3D000" => Meaning::Setup("create the database, or name another one"),
        // A prepared statement that another connection has, or has not.
        "26000" | "42P05" => Meaning::Setup(
            "a pooler in transaction mode must carry prepared statements (PgBouncer 1.21 with max_prepared_statements)",
        ),
        // Data that the encoding or an index cannot take.
        _ if code.starts_with("22") || code.starts_with("54") => Meaning::Value,
        // Raised by code of the application's own; it may say anything.
        _ => Meaning::Other {
            may_be_told: !code.starts_with("P0"),
        },
    }
}

/// The same while tables are created.
pub(crate) fn meaning_in_migration(error: &dyn DatabaseError) -> Meaning {
    match error.code().as_deref() {
        Some(DENIED) => Meaning::Setup(
            "creating the tables needs CREATE and USAGE on the schema, a new schema CREATE on the database; or have \
             their owner run the statements of schema()",
        ),
        _ => meaning(error),
    }
}
