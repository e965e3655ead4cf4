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

impl Statements {
    /// `parameter` writes the nth placeholder, counted from 1; `or_conflict` ends an insert that finds the key taken.
    pub(crate) fn new(
        names: &Names,
        parameter: impl Fn(usize) -> String,
        or_conflict: &str,
    ) -> Self {
        let tokens = names.of("tokens");
        let equals = |columns: &[&str], first: usize, between: &str| {
            let terms = columns
                .iter()
                .enumerate()
                .map(|(at, column)| format!("{column} = {}", parameter(first + at)));
            terms.collect::<Vec<_>>().join(between)
        };
        let written = [&RECORD[..], &["announce"]].concat();
        let inserted = [&written[..], &KEY].concat();
        let key_at = written.len() + 1;
        let parameters = (1..=inserted.len()).map(&parameter).collect::<Vec<_>>();
        Self {
            fetch: safe(format!(
                "SELECT {} FROM {tokens} WHERE {}",
                RECORD.join(", "),
                equals(&KEY, 1, " AND ")
            )),
            insert: safe(format!(
                "INSERT INTO {tokens} ({}) VALUES ({}) {or_conflict}",
                inserted.join(", "),
                parameters.join(", ")
            )),
            update: safe(format!(
                "UPDATE {tokens} SET {} WHERE {} AND version = {}",
                equals(&written, 1, ", "),
                equals(&KEY, key_at, " AND "),
                parameter(key_at + KEY.len())
            )),
        }
    }
}

/// Only constants and checked names stand in these statements.
pub(crate) fn safe(sql: String) -> SqlStr {
    AssertSqlSafe(std::sync::Arc::<str>::from(sql)).into_sql_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_in_the_order_in_which_they_are_bound() {
        let names = Names::new("t").unwrap();
        let sql = Statements::new(&names, |n| format!("${n}"), "ON CONFLICT DO NOTHING");
        assert_eq!(
            sql.update.as_str(),
            "UPDATE \"t_tokens\" SET version = $1, generation = $2, issuer = $3, subject = $4, sid = $5, \
             access_expires_at = $6, grant_expires_at = $7, changed_at = $8, purge_at = $9, body = $10, \
             announce = $11 WHERE owner = $12 AND client = $13 AND slot = $14 AND version = $15"
        );
        assert!(sql.insert.as_str().ends_with("$14) ON CONFLICT DO NOTHING"));
    }
}
