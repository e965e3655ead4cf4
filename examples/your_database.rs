//! Tokens in a table of your own: two methods make a store. The program tries what it claims.

use async_trait::async_trait;
use sqlx::{Row, SqlitePool, query, sqlite::SqlitePoolOptions, sqlite::SqliteRow};
use tokenkeep::{Timestamp, TokenKey, store::*};
use tokenkeep_testing::conformance;

const TABLE: &str = "CREATE TABLE accounts (
    user_id TEXT, provider TEXT, label TEXT, stamp TEXT, generation INTEGER, token BLOB, issuer TEXT, subject TEXT,
    sid TEXT, expires INTEGER, ends INTEGER, purge INTEGER, changed INTEGER, PRIMARY KEY (user_id, provider, label))";
const FETCH: &str = "SELECT * FROM accounts WHERE user_id = ?1 AND provider = ?2 AND label = ?3";
const INSERT: &str =
    "INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
    ON CONFLICT DO NOTHING";
const UPDATE: &str =
    "UPDATE accounts SET stamp = ?4, generation = ?5, token = ?6, issuer = ?7, subject = ?8,
    sid = ?9, expires = ?10, ends = ?11, purge = ?12, changed = ?13
    WHERE user_id = ?1 AND provider = ?2 AND label = ?3 AND stamp = ?14";

struct Accounts(SqlitePool);

#[async_trait]
impl FetchToken for Accounts {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let fetch = query(FETCH).bind(key.owner_column()).bind(key.client());
        let row = fetch.bind(key.slot_column()).fetch_optional(&self.0).await;
        let record = row
            .map_err(StoreError::other)?
            .as_ref()
            .map(read)
            .transpose();
        let unreadable = |_| StoreError::invalid_row("a row of accounts");
        Ok(Fetched::new(record.map_err(unreadable)?, None))
    }
}

#[async_trait]
impl UpdateToken for Accounts {
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let index = &record.index;
        let (sql, stamp) = match expected {
            Expected::Absent => (INSERT, None),
            Expected::Version(version) => (UPDATE, Some(version.to_string())),
        };
        let mut write = query(sql).bind(key.owner_column()).bind(key.client());
        write = write
            .bind(key.slot_column())
            .bind(record.version.to_string());
        write = write
            .bind(record.generation.cast_signed())
            .bind(&record.body);
        write = write
            .bind(&index.issuer)
            .bind(&index.subject)
            .bind(&index.sid);
        for time in [
            index.access_expires_at,
            index.grant_expires_at,
            index.purge_at,
        ] {
            write = write.bind(time.map(Timestamp::as_millis));
        }
        write = write.bind(index.changed_at.as_millis()).bind(stamp);
        let done = write.execute(&self.0).await.map_err(StoreError::other)?;
        let written = (done.rows_affected() == 1).then_some(());
        written.ok_or(StoreError::Conflict)
    }
}

fn read(row: &SqliteRow) -> Result<StoredRecord, Box<dyn std::error::Error>> {
    let time = |name| {
        row.try_get::<Option<i64>, _>(name)
            .map(|at| at.map(Timestamp::from_millis))
    };
    let mut index = Index::default();
    index.issuer = row.try_get("issuer")?;
    index.subject = row.try_get("subject")?;
    index.sid = row.try_get("sid")?;
    index.access_expires_at = time("expires")?;
    index.grant_expires_at = time("ends")?;
    index.purge_at = time("purge")?;
    index.changed_at = Timestamp::from_millis(row.try_get("changed")?);
    let version = row.try_get::<&str, _>("stamp")?.parse()?;
    let generation = row.try_get::<i64, _>("generation")?.try_into()?;
    Ok(StoredRecord::new(
        version,
        generation,
        index,
        row.try_get("token")?,
    ))
}

impl TokenStore for Accounts {
    fn name(&self) -> &'static str {
        "accounts"
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::minimal()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await?;
    query(TABLE).execute(&pool).await?;
    let report = conformance::check(|| async { Accounts(pool) }).await;
    println!("{report}");
    let kept = report.is_ok().then_some(());
    kept.ok_or_else(|| "a promise is broken".into())
}
