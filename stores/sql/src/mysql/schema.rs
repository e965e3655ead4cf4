//! The tables.

use sqlx::{AssertSqlSafe, Executor, MySql, MySqlConnection, Row, query, query_scalar};
use tokenkeep_core::store::StoreError;
use tokio::time::Instant;

use super::errors;
use crate::shared::{
    Failure, Link, MAJOR, MIGRATION, Names, again, columns, failed, in_time, is_known, is_there,
    safe,
};

/// The tables, with the columns that only MySQL has.
const TABLES: [(&str, &[&str]); 3] = [("tokens", &["written_at"]), ("once", &[]), ("schema", &[])];

/// What a column for a space or an id holds at most: two make a primary key within InnoDB's 3,072 bytes.
pub(crate) const LONGEST_ID: usize = 767;

/// One statement for each table, and one for the version, which says that the tables are all there.
pub(crate) fn statements(names: &Names) -> [String; 4] {
    let [tokens, once, schema] = TABLES.map(|(table, _)| names.of(table));
    // Bytes, because every collation that MySQL and MariaDB both have folds something, be it trailing blanks.
    [
        format!(
            "CREATE TABLE IF NOT EXISTS {tokens} (
    owner VARBINARY(255) NOT NULL,
    client VARBINARY(255) NOT NULL,
    slot VARBINARY(264) NOT NULL,
    version VARBINARY(16) NOT NULL,
    generation BIGINT NOT NULL,
    issuer MEDIUMBLOB,
    subject MEDIUMBLOB,
    sid MEDIUMBLOB,
    access_expires_at BIGINT,
    grant_expires_at BIGINT,
    changed_at BIGINT NOT NULL,
    purge_at BIGINT,
    body MEDIUMBLOB NOT NULL,
    written_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (owner, client, slot),
    KEY by_client (client, owner, slot),
    KEY by_subject (subject(255)),
    KEY by_sid (sid(255)),
    KEY by_purge_at (purge_at),
    KEY by_written_at (written_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {once} (
    space VARBINARY({LONGEST_ID}) NOT NULL,
    id VARBINARY({LONGEST_ID}) NOT NULL,
    value MEDIUMBLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (space, id),
    KEY by_expiry (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {schema} (
    id INTEGER PRIMARY KEY,
    major BIGINT NOT NULL
) ENGINE = InnoDB;
"
        ),
        format!("INSERT IGNORE INTO {schema} (id, major) VALUES (1, {MAJOR});\n"),
    ]
}

pub(crate) async fn migrate(link: &Link<MySql>, names: &Names) -> Result<(), StoreError> {
    // Others may create the same tables at this moment.
    let migrate = || async {
        let mut connection = link.connection(link.end()).await?;
        // Tables that are up to date are only read: that needs no right to create anything.
        let current = in_time(link.end(), look(&mut connection.inner, names)).await;
        let done = match current {
            Ok(false) => {
                let end = Instant::now() + MIGRATION;
                in_time(end, create(&mut connection.inner, names)).await
            }
            current => current.map(drop),
        };
        connection.settle(&done);
        done
    };
    Ok(again(migrate).await?)
}

async fn create(connection: &mut MySqlConnection, names: &Names) -> Result<(), Failure> {
    for statement in statements(names) {
        let script = sqlx::raw_sql(AssertSqlSafe(statement));
        let done = connection.execute(script).await;
        done.map_err(failed::<MySql>)?;
    }
    Ok(())
}

/// Is everything there, and can be written?
async fn look(connection: &mut MySqlConnection, names: &Names) -> Result<bool, Failure> {
    let autocommit: i64 = query_scalar("SELECT CAST(@@autocommit AS SIGNED)")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed::<MySql>)?;
    if autocommit == 0 {
        return Err(Failure::Store(StoreError::misconfigured(
            "autocommit is off, so that no write would ever be seen; leave it on for this pool",
        )));
    }
    is_current(connection, names).await
}

/// Is everything there?
async fn is_current(connection: &mut MySqlConnection, names: &Names) -> Result<bool, Failure> {
    let mut all_there = true;
    for (table, more) in TABLES {
        let show = query(safe(format!("SHOW COLUMNS FROM {}", names.of(table))));
        let found = match show.fetch_all(&mut *connection).await {
            Ok(rows) => rows
                .iter()
                .map(|row| row.try_get::<Vec<u8>, _>(0))
                .map(|name| name.map(|name| String::from_utf8_lossy(&name).into_owned()))
                .collect::<Result<Vec<_>, _>>()
                .map_err(failed::<MySql>)?,
            Err(error) if errors::is_missing_table(&error) => Vec::new(),
            Err(error) => return Err(failed::<MySql>(error)),
        };
        all_there &= is_there(names, table, &columns(table, more), &found)?;
    }
    if !all_there {
        return Ok(false);
    }
    let major: Option<i64> =
        query_scalar(safe(format!("SELECT major FROM {}", names.of("schema"))))
            .fetch_optional(connection)
            .await
            .map_err(failed::<MySql>)?;
    Ok(is_known(major)?)
}
