//! Between records and rows.

#[cfg(any(feature = "postgres", feature = "mysql"))]
use sqlx::ValueRef;
use sqlx::{ColumnIndex, Database, Decode, Encode, Row, Type, query, query::Query};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use tokenkeep_core::store::Fetched;
use tokenkeep_core::{
    Timestamp, TokenKey,
    store::{Expected, Index, PageOf, StoreError, StoredRecord, TokenSummary, Version},
};

use super::Statements;

/// The columns of a key, in their order.
pub(crate) const KEY: [&str; 3] = ["owner", "client", "slot"];

/// The columns of a record, in the order in which they are selected and bound.
pub(crate) const RECORD: [&str; 10] = [
    "version",
    "generation",
    "issuer",
    "subject",
    "sid",
    "access_expires_at",
    "grant_expires_at",
    "changed_at",
    "purge_at",
    "body",
];

/// As what a dialect keeps texts: text, or the bytes of it.
pub(crate) trait Text<'r> {
    fn text(self) -> Option<&'r str>;
}

impl<'r> Text<'r> for &'r str {
    fn text(self) -> Option<&'r str> {
        Some(self)
    }
}

impl<'r> Text<'r> for &'r [u8] {
    fn text(self) -> Option<&'r str> {
        std::str::from_utf8(self).ok()
    }
}

/// The record that stands in a row from the column `at` on, with texts kept as `T`.
pub(crate) fn record<'r, T, R>(row: &'r R, at: usize) -> Result<StoredRecord, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    T: Text<'r> + Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    let time = |column| {
        value::<Option<i64>, _>(row, at, column).map(|time| time.map(Timestamp::from_millis))
    };
    let text = |column| match value::<Option<T>, _>(row, at, column)? {
        Some(text) => match text.text() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(of_another_type(column)),
        },
        None => Ok(None),
    };
    let mut index = Index::default();
    index.issuer = text(2)?;
    index.subject = text(3)?;
    index.sid = text(4)?;
    index.access_expires_at = time(5)?;
    index.grant_expires_at = time(6)?;
    index.changed_at = Timestamp::from_millis(value(row, at, 7)?);
    index.purge_at = time(8)?;
    Ok(StoredRecord::new(
        version(value(row, at, 0)?)?,
        generation(value(row, at, 1)?)?,
        index,
        value(row, at, 9)?,
    ))
}

/// What stands in a row of a fetch with the time.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn fetched<'r, T, R>(row: Option<&'r R>) -> Result<Fetched, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    T: Text<'r> + Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    let unreadable = |_| StoreError::other("the database gave no time");
    let row = row.ok_or(()).map_err(unreadable)?;
    let now = row.try_get(0).map_err(|_| ()).map_err(unreadable)?;
    let owner = row.try_get_raw(1).map_err(|_| ()).map_err(unreadable)?;
    // The owner is part of the primary key, and never null.
    let found = match owner.is_null() {
        true => None,
        false => Some(record::<T, R>(row, 2)?),
    };
    Ok(Fetched::new(found, Some(Timestamp::from_millis(now))))
}

/// A stamp from its column.
pub(crate) fn version(bytes: Vec<u8>) -> Result<Version, StoreError> {
    <[u8; 16]>::try_from(bytes)
        .map(Version::from_bytes)
        .map_err(|_| StoreError::invalid_row("the version is not 16 bytes long"))
}

/// A generation from its column.
pub(crate) fn generation(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::invalid_row("the generation is negative"))
}

/// The key that stands in a row from the column `at` on, with texts kept as `T`.
pub(crate) fn key<'r, T, R>(row: &'r R, at: usize) -> Result<TokenKey, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    T: Text<'r> + Decode<'r, R::Database> + Type<R::Database>,
{
    let [owner, client, slot] = [0, 1, 2].map(|column| {
        let text = row.try_get::<T, _>(at + column).ok().and_then(T::text);
        text.ok_or_else(|| StoreError::invalid_row("a column of the key is not text"))
    });
    TokenKey::from_columns(client?, owner?, slot?)
        .map_err(|_| StoreError::invalid_row("owner, client and slot are no key"))
}

/// The driver's error is dropped: it is only about the type, and might one day show the value.
fn value<'r, T, R>(row: &'r R, at: usize, column: usize) -> Result<T, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    T: Decode<'r, R::Database> + Type<R::Database>,
{
    row.try_get(at + column)
        .map_err(|_| of_another_type(column))
}

fn of_another_type(column: usize) -> StoreError {
    StoreError::invalid_row(format!(
        "the column {} is null or of another type",
        RECORD[column]
    ))
}

/// The page that these rows make: a key and a record in each, in key order.
pub(crate) fn page_of<'r, T, R>(
    rows: &'r [R],
    limit: u32,
) -> Result<PageOf<TokenSummary>, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    T: Text<'r> + Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    let found = rows.iter().map(|row| {
        Ok(TokenSummary::new(
            key::<T, R>(row, 0)?,
            record::<T, R>(row, KEY.len())?,
        ))
    });
    let found = found.collect::<Result<_, StoreError>>()?;
    Ok(PageOf::in_key_order(found, limit, |summary| &summary.key))
}

/// The statement that writes a record if what is expected stands there.
pub(crate) fn write<'q, DB>(
    sql: &Statements,
    to: &TokenKey,
    record: &StoredRecord,
    expected: Expected,
) -> Result<Query<'q, DB, DB::Arguments>, StoreError>
where
    DB: Database,
    for<'t> &'t [u8]: Encode<'t, DB> + Type<DB>,
    for<'t> &'t str: Encode<'t, DB> + Type<DB>,
    for<'t> Option<&'t str>: Encode<'t, DB> + Type<DB>,
    for<'t> Option<i64>: Encode<'t, DB> + Type<DB>,
    for<'t> i64: Encode<'t, DB> + Type<DB>,
    for<'t> bool: Encode<'t, DB> + Type<DB>,
{
    let generation = i64::try_from(record.generation)
        .map_err(|_| StoreError::invalid_input("a generation of 2^63 or more has no column"))?;
    Ok(match expected {
        Expected::Absent => bind_key(
            bind_record(query(sql.insert.clone()), record, generation),
            to,
        ),
        Expected::Version(version) => {
            let update = bind_record(query(sql.update.clone()), record, generation);
            bind_key(update, to).bind(&version.as_bytes()[..])
        }
    })
}

/// Binds a record and whether to announce it. The generation comes checked.
fn bind_record<'q, DB>(
    query: Query<'q, DB, DB::Arguments>,
    record: &StoredRecord,
    generation: i64,
) -> Query<'q, DB, DB::Arguments>
where
    DB: Database,
    for<'t> &'t [u8]: Encode<'t, DB> + Type<DB>,
    for<'t> Option<&'t str>: Encode<'t, DB> + Type<DB>,
    for<'t> Option<i64>: Encode<'t, DB> + Type<DB>,
    for<'t> i64: Encode<'t, DB> + Type<DB>,
    for<'t> bool: Encode<'t, DB> + Type<DB>,
{
    let index = &record.index;
    query
        .bind(&record.version.as_bytes()[..])
        .bind(generation)
        .bind(index.issuer.as_deref())
        .bind(index.subject.as_deref())
        .bind(index.sid.as_deref())
        .bind(index.access_expires_at.map(Timestamp::as_millis))
        .bind(index.grant_expires_at.map(Timestamp::as_millis))
        .bind(index.changed_at.as_millis())
        .bind(index.purge_at.map(Timestamp::as_millis))
        .bind(&record.body[..])
        .bind(record.announce)
}

/// Binds a key.
pub(crate) fn bind_key<'q, DB>(
    query: Query<'q, DB, DB::Arguments>,
    key: &TokenKey,
) -> Query<'q, DB, DB::Arguments>
where
    DB: Database,
    for<'t> &'t str: Encode<'t, DB> + Type<DB>,
{
    query
        .bind(key.owner_column())
        .bind(key.client())
        .bind(&*key.slot_column())
}
