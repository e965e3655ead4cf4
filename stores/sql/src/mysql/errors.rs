//! What the error numbers of MySQL and MariaDB mean for a store:
//! <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>.

use sqlx::{error::DatabaseError, mysql::MySqlDatabaseError};

use crate::shared::Meaning;

const MISSING_TABLE: u16 = 1146;

fn number(error: &dyn DatabaseError) -> u16 {
    let number = error.try_downcast_ref().map(MySqlDatabaseError::number);
    number.unwrap_or_default()
}

pub(crate) fn is_missing_table(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|error| number(error) == MISSING_TABLE)
}

pub(crate) fn meaning(error: &dyn DatabaseError) -> Meaning {
    match number(error) {
        // A deadlock, a lock that was not given in time, a row or a table that changed meanwhile.
        1205 | 1213 | 1020 | 1412 | 1615 => Meaning::Lost,
        1062 | 1586 => Meaning::Taken,
        1044 | 1142 | 1143 | 1227 => Meaning::Setup(
            "GRANT the user SELECT, INSERT, UPDATE, DELETE on the store's tables, and CREATE for migrate()",
        ),
        1045 | 1698 => Meaning::Setup("check the user and the password of the database URL"),
        1046 => Meaning::Setup("name one in the database URL, or by SqlOptions::schema"),
        1049 => Meaning::Setup("create the database, or name another one"),
        MISSING_TABLE => Meaning::Setup("call migrate()"),
        1054 => Meaning::Setup("call migrate(), which says which table lacks a column"),
        1290 | 1792 | 1836 => {
            Meaning::Setup("connect to the primary, with a session that may write")
        }
        1153 => Meaning::Setup("set max_allowed_packet to 4M or more"),
        // Too long, out of range, or not of the column's character set.
        1264 | 1366 | 1406 => Meaning::Value,
        // Raised by code of the application's own; it may say anything.
        _ => Meaning::Other {
            may_be_told: error.code().as_deref() != Some("45000"),
        },
    }
}
