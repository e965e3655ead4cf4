//! The statements that read and write a record, built once for each store.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{KEY, Names, RECORD};

/// Statements on the table of tokens. Their parameters stand in one order everywhere: the record, whether to announce
/// it, the key, the expected version.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    pub(crate) fetch: SqlStr,
    pub(crate) insert: SqlStr,
    pub(crate) update: SqlStr,
}

/// How a dialect writes them.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// The nth placeholder, counted from 1.
    pub(crate) parameter: fn(usize) -> String,
    /// The column that tells the change feed of a write.
    pub(crate) announced: &'static str,
    /// Its new value, from the placeholder and what it is without an announcement.
    pub(crate) announcement: fn(&str, &str) -> String,
    /// The end of an insert that finds the key taken, where that is no error.
    pub(crate) or_conflict: &'static str,
    /// The database's own time in milliseconds. With it, a fetch has one row always: the time, the owner if there
    /// is a record, and the record.
    pub(crate) now: Option<&'static str>,
}

impl Statements {
    pub(crate) fn new(names: &Names, form: &Form) -> Self {
        let tokens = names.of("tokens");
        let key_at = RECORD.len() + 2;
        let announcement = (form.parameter)(key_at - 1);
        let announce = |otherwise| (form.announcement)(&announcement, otherwise);
        let inserted = [&RECORD[..], &[form.announced], &KEY].concat();
        let mut values: Vec<_> = (1..=inserted.len()).map(form.parameter).collect();
        values[key_at - 2] = announce("0");
        Self {
            fetch: safe(match form.now {
                None => format!(
                    "SELECT {} FROM {tokens} WHERE {}",
                    RECORD.join(", "),
                    form.equals(&KEY, 1, " AND ")
                ),
                Some(now) => format!(
                    "SELECT {now}, t.owner, t.{} FROM (SELECT 1 AS one) AS always LEFT JOIN {tokens} AS t ON {}",
                    RECORD.join(", t."),
                    form.equals(&KEY.map(|column| format!("t.{column}")), 1, " AND ")
                ),
            }),
            insert: safe(format!(
                "INSERT INTO {tokens} ({}) VALUES ({}) {}",
                inserted.join(", "),
                values.join(", "),
                form.or_conflict
            )),
            update: safe(format!(
                "UPDATE {tokens} SET {}, {} = {} WHERE {} AND version = {}",
                form.equals(&RECORD, 1, ", "),
                form.announced,
                announce(form.announced),
                form.equals(&KEY, key_at, " AND "),
                (form.parameter)(key_at + KEY.len())
            )),
        }
    }
}

impl Form {
    fn equals(&self, columns: &[impl AsRef<str>], first: usize, between: &str) -> String {
        let terms = columns
            .iter()
            .enumerate()
            .map(|(at, column)| format!("{} = {}", column.as_ref(), (self.parameter)(first + at)));
        terms.collect::<Vec<_>>().join(between)
    }
}

/// Only constants and checked names stand in these statements.
pub(crate) fn safe(sql: String) -> SqlStr {
    AssertSqlSafe(std::sync::Arc::<str>::from(sql)).into_sql_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqlOptions;

    const FORM: Form = Form {
        parameter: |n| format!("${n}"),
        announced: "announce",
        announcement: |parameter, _| parameter.to_owned(),
        or_conflict: "ON CONFLICT DO NOTHING",
        now: None,
    };

    fn statements(form: &Form) -> Statements {
        let options = SqlOptions::new().prefix("t");
        Statements::new(&Names::new(&options, '"').unwrap(), form)
    }

    #[test]
    fn parameters_are_numbered_in_the_order_in_which_they_are_bound() {
        let sql = statements(&FORM);
        assert_eq!(
            sql.update.as_str(),
            "UPDATE \"t_tokens\" SET version = $1, generation = $2, issuer = $3, subject = $4, sid = $5, \
             access_expires_at = $6, grant_expires_at = $7, changed_at = $8, purge_at = $9, body = $10, \
             announce = $11 WHERE owner = $12 AND client = $13 AND slot = $14 AND version = $15"
        );
        assert!(sql.insert.as_str().ends_with("$14) ON CONFLICT DO NOTHING"));
    }

    #[test]
    fn a_write_that_is_not_announced_keeps_the_announcement_of_the_one_before() {
        let sql = statements(&Form {
            announcement: |parameter, otherwise| format!("IF({parameter}, now, {otherwise})"),
            ..FORM
        });
        let (insert, update) = (sql.insert.as_str(), sql.update.as_str());
        assert!(insert.contains("$10, IF($11, now, 0), $12"), "{insert}");
        assert!(
            update.contains("announce = IF($11, now, announce) WHERE"),
            "{update}"
        );
    }

    #[test]
    fn a_fetch_with_the_time_has_a_row_always() {
        let sql = statements(&Form {
            now: Some("clock()"),
            ..FORM
        });
        let fetch = sql.fetch.as_str();
        assert!(fetch.starts_with("SELECT clock(), t.owner, t.version, t.generation"));
        assert!(fetch.ends_with("ON t.owner = $1 AND t.client = $2 AND t.slot = $3"));
    }
}
