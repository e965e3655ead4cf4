//! Tokens in a table of your own: two methods make a store. The program tries what it claims.

use sqlx::{Row, SqlitePool, query, sqlite::SqlitePoolOptions};
use tokenkeep::{TokenKey, store::*};
use tokenkeep_testing::conformance;

const TABLE: &str = "CREATE TABLE accounts (user_id TEXT, provider TEXT, label TEXT, stamp TEXT,
    token BLOB, PRIMARY KEY (user_id, provider, label))";
const FETCH: &str =
    "SELECT token FROM accounts WHERE user_id = ?1 AND provider = ?2 AND label = ?3";
const INSERT: &str = "INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
const UPDATE: &str = "UPDATE accounts SET stamp = ?4, token = ?5
    WHERE user_id = ?1 AND provider = ?2 AND label = ?3 AND stamp = ?6";

struct Accounts(SqlitePool);

#[async_trait]
impl FetchToken for Accounts {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let fetch = query(FETCH)
            .bind(key.owner_column())
            .bind(key.client())
            .bind(key.slot_column());
        let row = fetch
            .fetch_optional(&self.0)
            .await
            .map_err(StoreError::other)?;
        let record = row
            .map(|row| StoredRecord::from_bytes(row.get(0)))
            .transpose()?;
        Ok(Fetched::new(record, None))
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
        let (sql, stamp) = match expected {
            Expected::Absent => (INSERT, None),
            Expected::Version(version) => (UPDATE, Some(version.to_string())),
        };
        let write = query(sql)
            .bind(key.owner_column())
            .bind(key.client())
            .bind(key.slot_column());
        let write = write
            .bind(record.version.to_string())
            .bind(record.to_bytes())
            .bind(stamp);
        let done = write.execute(&self.0).await.map_err(StoreError::other)?;
        (done.rows_affected() == 1)
            .then_some(())
            .ok_or(StoreError::Conflict)
    }
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
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await?;
    query(TABLE).execute(&pool).await?;
    let report = conformance::check(|| async { Accounts(pool) }).await;
    println!("{report}");
    report
        .is_ok()
        .then_some(())
        .ok_or_else(|| "a promise is broken".into())
}
