//! The tables.

use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection, SqlitePool, query_scalar};
use tokenkeep_core::store::StoreError;

use super::errors::failed;
use crate::shared::{MAJOR, Names, columns, is_known, is_there, safe};

/// How many writes the change sequence covers, and how many more it may hold before it is cut.
const COVERED: u32 = 16_000;
const SLACK: u32 = 256;

/// The tables, with the columns that only SQLite has.
const TABLES: [(&str, &[&str]); 4] = [
    ("tokens", &["announce"]),
    ("once", &[]),
    (
        "changes",
        &[
            "seq",
            "owner",
            "client",
            "slot",
            "version",
            "generation",
            "written_at",
        ],
    ),
    ("schema", &[]),
];

/// Indexes and triggers.
const REST: [&str; 8] = [
    "tokens_by_client",
    "tokens_by_subject",
    "tokens_by_sid",
    "tokens_by_purge_at",
    "once_by_expiry",
    "announce_insert",
    "announce_update",
    "trim_changes",
];

/// Tables first; then what depends on their columns.
pub(crate) fn statements(names: &Names) -> [String; 2] {
    let [tokens, once, changes, schema] = TABLES.map(|(table, _)| names.of(table));
    let [
        by_client,
        by_subject,
        by_sid,
        by_purge_at,
        once_by_expiry,
        on_insert,
        on_update,
        on_change,
    ] = REST.map(|name| names.of(name));
    let announce = format!(
        "INSERT INTO {changes} (owner, client, slot, version, generation, written_at)
        VALUES (NEW.owner, NEW.client, NEW.slot, NEW.version, NEW.generation, unixepoch())"
    );
    [
        format!(
            "CREATE TABLE IF NOT EXISTS {tokens} (
    owner TEXT NOT NULL COLLATE BINARY,
    client TEXT NOT NULL COLLATE BINARY,
    slot TEXT NOT NULL COLLATE BINARY,
    version BLOB NOT NULL,
    generation BIGINT NOT NULL,
    issuer TEXT,
    subject TEXT,
    sid TEXT,
    access_expires_at BIGINT,
    grant_expires_at BIGINT,
    changed_at BIGINT NOT NULL,
    purge_at BIGINT,
    body BLOB NOT NULL,
    announce BOOLEAN NOT NULL DEFAULT TRUE,
    PRIMARY KEY (owner, client, slot)
);
CREATE TABLE IF NOT EXISTS {once} (
    space TEXT NOT NULL COLLATE BINARY,
    id TEXT NOT NULL COLLATE BINARY,
    value BLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (space, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {changes} (
    seq INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    client TEXT NOT NULL,
    slot TEXT NOT NULL,
    version BLOB NOT NULL,
    generation BIGINT NOT NULL,
    written_at BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS {schema} (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    major BIGINT NOT NULL
);
INSERT INTO {schema} (id, major) VALUES (1, {MAJOR}) ON CONFLICT DO NOTHING;
"
        ),
        format!(
            "CREATE INDEX IF NOT EXISTS {by_client} ON {tokens} (client, owner, slot);
CREATE INDEX IF NOT EXISTS {by_subject} ON {tokens} (subject, issuer) WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS {by_sid} ON {tokens} (sid) WHERE sid IS NOT NULL;
CREATE INDEX IF NOT EXISTS {by_purge_at} ON {tokens} (purge_at) WHERE purge_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {once_by_expiry} ON {once} (expires_at);
CREATE TRIGGER IF NOT EXISTS {on_insert} AFTER INSERT ON {tokens} WHEN NEW.announce BEGIN
    {announce};
END;
CREATE TRIGGER IF NOT EXISTS {on_update} AFTER UPDATE ON {tokens} WHEN NEW.announce BEGIN
    {announce};
END;
CREATE TRIGGER IF NOT EXISTS {on_change} AFTER INSERT ON {changes} WHEN NEW.seq % {SLACK} = 0 BEGIN
    DELETE FROM {changes} WHERE seq <= NEW.seq - {COVERED};
END;
"
        ),
    ]
}

pub(crate) async fn migrate(pool: &SqlitePool, names: &Names) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await.map_err(failed)?;
    // A database that is up to date is only read, so that a start does not wait for the writer.
    if is_current(&mut connection, names).await? {
        return Ok(());
    }
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed)?;
    let [tables, rest] = statements(names);
    run(&mut transaction, tables).await?;
    if !is_current(&mut transaction, names).await? {
        run(&mut transaction, rest).await?;
    }
    transaction.commit().await.map_err(failed)
}

async fn run(connection: &mut SqliteConnection, sql: String) -> Result<(), StoreError> {
    let script = sqlx::raw_sql(AssertSqlSafe(sql));
    connection.execute(script).await.map_err(failed)?;
    Ok(())
}

/// Is everything there? A table that lacks a column is an error, since `IF NOT EXISTS` would pass it by.
async fn is_current(connection: &mut SqliteConnection, names: &Names) -> Result<bool, StoreError> {
    let mut all_there = true;
    for (table, more) in TABLES {
        let found: Vec<String> = query_scalar("SELECT name FROM pragma_table_info(?1)")
            .bind(names.bare(table))
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
        all_there &= is_there(names, table, &columns(table, more), &found)?;
    }
    for name in REST {
        let found: bool = query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = ?1")
            .bind(names.bare(name))
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        all_there &= found;
    }
    if !all_there {
        return Ok(false);
    }
    let major: Option<i64> =
        query_scalar(safe(format!("SELECT major FROM {}", names.of("schema"))))
            .fetch_optional(connection)
            .await
            .map_err(failed)?;
    is_known(major)
}
