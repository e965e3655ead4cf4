//! An old table moves in: each row when its token is wanted, once, and cleared when its user logs out.

use sqlx::{Row, SqlitePool, query, sqlite::SqlitePoolOptions};
use tokenkeep::store::{StoreError, async_trait};
use tokenkeep::{Hook, MemoryStore, OAuth, Timestamp, Token, TokenKey};
use tokenkeep_testing::{Provider, registration};

const TABLE: &str = "CREATE TABLE tokens (user, access TEXT, refresh TEXT, expires_at BIGINT)";
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the old table holds of a user at this client.
async fn old_row(pool: SqlitePool, key: TokenKey) -> Result<Option<Token>, BoxError> {
    let select = query("SELECT access, refresh, expires_at FROM tokens WHERE user = ?1");
    let row = select.bind(key.owner_column()).fetch_optional(&pool);
    let Some(row) = row.await? else {
        return Ok(None);
    };
    let token = Token::builder(row.get::<String, _>(0))
        .maybe_refresh(row.get::<Option<String>, _>(1))
        .expires_at(row.get::<Option<i64>, _>(2).map(Timestamp::from_secs));
    Ok(Some(token.build()?))
}

struct OldTable(SqlitePool);
#[async_trait]
impl Hook for OldTable {
    /// Otherwise the row would come back one day, as if nobody had logged out.
    async fn after_logout(&self, key: &TokenKey) -> tokenkeep::Result<()> {
        let delete = query("DELETE FROM tokens WHERE user = ?1").bind(key.owner_column());
        delete.execute(&self.0).await.map_err(StoreError::other)?;
        Ok(())
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let provider = Provider::start().await?; // stands in for yours
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await?;
    query(TABLE).execute(&pool).await?;
    let old = provider.issue("alice");
    let insert = query("INSERT INTO tokens VALUES ('alice', ?1, ?2, ?3)").bind(old.access_token);
    let insert = insert.bind(old.refresh_token).bind(old.expires_at);
    insert.execute(&pool).await?;
    let rows = pool.clone();
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .register(registration("op", &provider))
        .on_missing(move |key| old_row(rows.clone(), key))
        .hook(OldTable(pool.clone()))
        .build()?;
    let alice = oauth.client("op")?.owner("alice");
    println!("her old token works: {}", alice.get("me").await?.status());
    println!("and is renewed: {:?}", alice.refresh().await?);
    alice.log_out().await?;
    let left = query("SELECT 1 FROM tokens").fetch_all(&pool).await?.len();
    println!("she logs out, and {left} rows are left");
    assert_eq!((left, provider.max_spends()), (0, 1));
    Ok(())
}
