//! The tables.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Postgres, query, query_scalar};
use tokenkeep_core::store::StoreError;
use tokio::time::Instant;

use super::errors::meaning_in_migration;
use crate::shared::{
    Failure, Link, MAJOR, MIGRATION, Names, columns, failed, failure, in_time, is_known, is_there,
    safe,
};

/// The tables, with the columns that only PostgreSQL has.
const TABLES: [(&str, &[&str]); 3] = [("tokens", &["announce"]), ("once", &[]), ("schema", &[])];

const INDEXES: [&str; 5] = [
    "tokens_by_client",
    "tokens_by_subject",
    "tokens_by_sid",
    "tokens_by_purge_at",
    "once_by_expiry",
];

/// The schema, if one is named; the tables; what depends on their columns.
pub(crate) fn statements(names: &Names) -> [String; 3] {
    let [tokens, once, schema] = TABLES.map(|(table, _)| names.of(table));
    let [by_client, by_subject, by_sid, by_purge_at, once_by_expiry] =
        INDEXES.map(|name| names.local(name));
    let (function, trigger) = (names.of("announce"), names.local("announce"));
    [
        names.schema().map_or_else(String::new, |schema| {
            format!("CREATE SCHEMA IF NOT EXISTS {schema};\n")
        }),
        // Bodies are sealed: there is nothing to compress. A row that is often rewritten has room on its page.
        format!(
            "CREATE TABLE IF NOT EXISTS {tokens} (
    owner TEXT COLLATE \"C\" NOT NULL,
    client TEXT COLLATE \"C\" NOT NULL,
    slot TEXT COLLATE \"C\" NOT NULL,
    version BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    issuer TEXT COLLATE \"C\",
    subject TEXT COLLATE \"C\",
    sid TEXT COLLATE \"C\",
    access_expires_at BIGINT,
    grant_expires_at BIGINT,
    changed_at BIGINT NOT NULL,
    purge_at BIGINT,
    body BYTEA NOT NULL,
    announce BOOLEAN NOT NULL DEFAULT TRUE,
    PRIMARY KEY (owner, client, slot)
) WITH (fillfactor = 80);
CREATE TABLE IF NOT EXISTS {once} (
    space TEXT COLLATE \"C\" NOT NULL,
    id TEXT COLLATE \"C\" NOT NULL,
    value BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (space, id)
);
CREATE TABLE IF NOT EXISTS {schema} (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    major BIGINT NOT NULL
);
INSERT INTO {schema} (id, major) VALUES (1, {MAJOR}) ON CONFLICT DO NOTHING;
"
        ),
        // Hash indexes, because a provider's texts may be longer than an entry of a tree.
        format!(
            "ALTER TABLE {tokens} ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX IF NOT EXISTS {by_client} ON {tokens} (client, owner, slot);
CREATE INDEX IF NOT EXISTS {by_subject} ON {tokens} USING hash (subject) WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS {by_sid} ON {tokens} USING hash (sid) WHERE sid IS NOT NULL;
CREATE INDEX IF NOT EXISTS {by_purge_at} ON {tokens} (purge_at) WHERE purge_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {once_by_expiry} ON {once} (expires_at);
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $announce$
BEGIN
    -- No part of a key has control characters.
    PERFORM pg_catalog.pg_notify('tokenkeep_' || TG_RELID, pg_catalog.concat_ws(E'\\n',
        NEW.owner, NEW.client, NEW.slot, NEW.generation, pg_catalog.encode(NEW.version, 'hex')));
    RETURN NULL;
END
$announce$;
DROP TRIGGER IF EXISTS {trigger} ON {tokens};
CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE ON {tokens}
    FOR EACH ROW WHEN (NEW.announce) EXECUTE FUNCTION {function}();
"
        ),
    ]
}

pub(crate) async fn migrate(link: &Link<Postgres>, names: &Names) -> Result<(), StoreError> {
    let mut connection = link.connection(link.end()).await?;
    // Tables that are up to date are only read: that needs no right to create anything.
    let current = in_time(link.end(), is_current(&mut connection.inner, names)).await;
    let done = match current {
        Ok(false) => {
            let end = Instant::now() + MIGRATION;
            in_time(end, create(&mut connection.inner, names)).await
        }
        current => current.map(drop),
    };
    connection.settle(&done);
    Ok(done?)
}

async fn create(connection: &mut PgConnection, names: &Names) -> Result<(), Failure> {
    // Each statement must see what others committed before the lock was given.
    let mut transaction = connection
        .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
        .await
        .map_err(migrating)?;
    // `IF NOT EXISTS` alone fails for one of two that create at the same moment.
    query("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))")
        .bind(names.of("migrate"))
        .execute(&mut *transaction)
        .await
        .map_err(migrating)?;
    if !is_current(&mut transaction, names).await? {
        let [schema, tables, rest] = statements(names);
        if !has_schema(&mut transaction, names).await? {
            run(&mut transaction, schema).await?;
        }
        run(&mut transaction, tables).await?;
        run(&mut transaction, rest).await?;
    }
    transaction.commit().await.map_err(migrating)
}

fn migrating(error: sqlx::Error) -> Failure {
    failure(error, meaning_in_migration)
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), Failure> {
    let script = sqlx::raw_sql(AssertSqlSafe(sql));
    connection.execute(script).await.map_err(migrating)?;
    Ok(())
}

/// To create a schema "if not exists" takes the right to create one, even if it exists.
async fn has_schema(connection: &mut PgConnection, names: &Names) -> Result<bool, Failure> {
    let Some(schema) = names.schema() else {
        return Ok(true);
    };
    query_scalar("SELECT pg_catalog.to_regnamespace($1) IS NOT NULL")
        .bind(schema)
        .fetch_one(connection)
        .await
        .map_err(migrating)
}

/// Is everything there? The catalogue shows that to every user.
async fn is_current(connection: &mut PgConnection, names: &Names) -> Result<bool, Failure> {
    if !has_schema(connection, names).await? {
        return Ok(false);
    }
    let mut all_there = true;
    for (table, more) in TABLES {
        let found: Vec<String> = query_scalar(
            "SELECT attname::text FROM pg_catalog.pg_attribute \
             WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        )
        .bind(names.of(table))
        .fetch_all(&mut *connection)
        .await
        .map_err(failed::<Postgres>)?;
        let there = is_there(names, table, &columns(table, more), &found);
        all_there &= there.map_err(Failure::Store)?;
    }
    let indexes: i64 = query_scalar(
        "SELECT count(*) FROM pg_catalog.pg_index JOIN pg_catalog.pg_class ON oid = indexrelid \
         WHERE relname = ANY ($1) AND indrelid IN (pg_catalog.to_regclass($2), pg_catalog.to_regclass($3))",
    )
    .bind(INDEXES.map(|index| names.bare(index)).to_vec())
    .bind(names.of("tokens"))
    .bind(names.of("once"))
    .fetch_one(&mut *connection)
    .await
    .map_err(failed::<Postgres>)?;
    let trigger: bool = query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger \
         WHERE tgrelid = pg_catalog.to_regclass($1) AND tgname = $2)",
    )
    .bind(names.of("tokens"))
    .bind(names.bare("announce"))
    .fetch_one(&mut *connection)
    .await
    .map_err(failed::<Postgres>)?;
    if !all_there || !trigger || usize::try_from(indexes) != Ok(INDEXES.len()) {
        return Ok(false);
    }
    let major: Option<i64> =
        query_scalar(safe(format!("SELECT major FROM {}", names.of("schema"))))
            .fetch_optional(connection)
            .await
            .map_err(failed::<Postgres>)?;
    is_known(major).map_err(Failure::Store)
}
