//! Tokens in a table of your own: two methods make a store. The program tries what it claims.

use sqlx::{SqlitePool, query, query_scalar};
use tokenkeep::{TokenKey, store::*};
const TABLE: &str = "CREATE TABLE accounts (id TEXT PRIMARY KEY, stamp TEXT, token BLOB)";
const FETCH: &str = "SELECT token FROM accounts WHERE id = ?1";
const INSERT: &str = "INSERT INTO accounts VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const UPDATE: &str = "UPDATE accounts SET stamp = ?2, token = ?3 WHERE id = ?1 AND stamp = ?4";

type Done<T> = Result<T, StoreError>;
struct Accounts(SqlitePool);
/// One text for one key: no part of a key has control characters. Three columns do as well.
fn id(key: &TokenKey) -> String {
    [key.client(), key.owner_column(), &key.slot_column()].join("\n")
}

#[async_trait]
impl FetchToken for Accounts {
    async fn fetch_token(&self, key: &TokenKey) -> Done<Fetched> {
        let fetch = query_scalar(FETCH).bind(id(key)).fetch_optional(&self.0);
        let row: Option<Vec<u8>> = fetch.await.map_err(StoreError::other)?;
        let record = row.map(|row| StoredRecord::from_bytes(&row)).transpose()?;
        Ok(Fetched::new(record, None))
    }
}

#[async_trait]
impl UpdateToken for Accounts {
    async fn update_token(&self, key: &TokenKey, new: &StoredRecord, old: Expected) -> Done<()> {
        let (sql, stamp) = match old {
            Expected::Absent => (INSERT, None),
            Expected::Version(version) => (UPDATE, Some(version.to_string())),
        };
        let write = query(sql).bind(id(key)).bind(new.version.to_string());
        let write = write.bind(new.to_bytes()).bind(stamp).execute(&self.0);
        let rows = write.await.map_err(StoreError::other)?.rows_affected();
        (rows == 1).then_some(()).ok_or(StoreError::Conflict)
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
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?; // in memory, a dropped call's connection would take all with it
    let url = format!("sqlite:{}/accounts?mode=rwc", folder.path().display());
    let pool = SqlitePool::connect(&url).await?;
    query(TABLE).execute(&pool).await?;
    let report = tokenkeep_testing::conformance::check(|| async { Accounts(pool) }).await;
    println!("{report}");
    report.assert();
    Ok(())
}
