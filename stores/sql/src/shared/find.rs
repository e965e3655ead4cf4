//! Finding records: the query of a page, with keyset pagination.

use sqlx::{Database, Encode, QueryBuilder, Type};
use tokenkeep_core::{
    Timestamp,
    store::{Page, StoreError, TokenQuery},
};

use super::{KEY, Names, RECORD};

/// More rows than this are never read at once; a page may always be shorter than asked for.
const MOST: u32 = 1000;

/// The statement that reads one row more than the page holds, and how many it holds. Only the members that are asked
/// for stand in it, so that the database can choose an index.
pub(crate) fn find<DB>(
    names: &Names,
    query: &TokenQuery,
    page: &Page,
) -> Result<(QueryBuilder<DB>, u32), StoreError>
where
    DB: Database,
    for<'t> &'t str: Encode<'t, DB> + Type<DB>,
    for<'t> i64: Encode<'t, DB> + Type<DB>,
{
    let limit = page.limit.clamp(1, MOST);
    let mut sql = QueryBuilder::new(format!(
        "SELECT {}, {} FROM {} WHERE 1 = 1",
        KEY.join(", "),
        RECORD.join(", "),
        names.of("tokens")
    ));
    for (column, wanted) in [
        (" AND owner = ", &query.owner),
        (" AND client = ", &query.client),
        (" AND issuer = ", &query.issuer),
        (" AND subject = ", &query.subject),
        (" AND sid = ", &query.sid),
    ] {
        if let Some(text) = wanted {
            sql.push(column).push_bind(text.as_str());
        }
    }
    for (comparison, time) in [
        (" AND access_expires_at < ", query.access_expires_before),
        (" AND changed_at >= ", query.changed_since),
    ] {
        if let Some(time) = time.map(Timestamp::as_millis) {
            sql.push(comparison).push_bind(time);
        }
    }
    if let Some(key) = page.after_key()? {
        // The first condition says nothing new; MySQL finds the place by it.
        sql.push(" AND owner >= ")
            .push_bind(key.owner_column())
            .push(" AND (owner, client, slot) > (")
            .push_bind(key.owner_column())
            .push(", ")
            .push_bind(key.client())
            .push(", ")
            .push_bind(&*key.slot_column())
            .push(")");
    }
    // What is the same in all rows is left out of the order, which MySQL would sort by.
    sql.push(match (&query.owner, &query.client) {
        (Some(_), Some(_)) => " ORDER BY slot",
        (Some(_), None) => " ORDER BY client, slot",
        (None, Some(_)) => " ORDER BY owner, slot",
        (None, None) => " ORDER BY owner, client, slot",
    });
    sql.push(" LIMIT ").push_bind(i64::from(limit) + 1);
    Ok((sql, limit))
}
