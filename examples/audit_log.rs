//! An audit log of every token: who, what, when. Every process writes it, and everything stands in it once.

use std::{error::Error, time::Duration};

use sqlx::{SqlitePool, query, query_as, sqlite::SqlitePoolOptions};
use tokenkeep::{MemoryStore, OAuth, Token, TokenKey, TokenUpdates};
use tokenkeep_testing::{Provider, registration};
use tokio_stream::StreamExt;

const TABLE: &str = "CREATE TABLE audit (id TEXT PRIMARY KEY, at BIGINT, whose TEXT, what TEXT)";
const INSERT: &str = "INSERT INTO audit VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";

/// Runs in each process: any may end at any time. `id()` is equal in all, so that doubles are dropped.
async fn keep_log(mut updates: TokenUpdates, pool: SqlitePool) -> Result<(), sqlx::Error> {
    while let Some(update) = updates.next().await {
        // `Resync` and `ProviderDegraded` are about no grant; after a `Resync`, look at what was missed.
        if let Some(changed) = update.changed() {
            let row = query(INSERT).bind(update.id()).bind(changed.at.as_millis());
            let row = row.bind(changed.key.to_string()).bind(update.kind());
            row.execute(&pool).await?;
        }
    }
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let provider = Provider::start().await?; // stands in for yours
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await?;
    query(TABLE).execute(&pool).await?;

    let (store, mut processes) = (MemoryStore::new(), Vec::new());
    for _ in 0..2 {
        let builder = OAuth::builder().store(store.clone());
        let oauth = builder.register(registration("op", &provider)).build()?;
        oauth.follow_changes().await?;
        tokio::spawn(keep_log(oauth.token_updates()?, pool.clone()));
        processes.push(oauth);
    }

    let login = provider.issue("alice");
    let token = Token::builder(login.access_token).refresh(login.refresh_token);
    let key = TokenKey::new("op", "alice")?;
    processes[0].adopt(key, token.build()?).await?;
    processes[1].client("op")?.owner("alice").refresh().await?;
    processes[0].client("op")?.owner("alice").log_out().await?;

    let select = "SELECT whose, what FROM audit ORDER BY at";
    let mut rows: Vec<(String, String)> = Vec::new();
    while rows.iter().all(|(_, what)| what != "logged_out") {
        tokio::time::sleep(Duration::from_millis(20)).await;
        rows = query_as(select).fetch_all(&pool).await?;
    }
    rows.iter().for_each(|(w, what)| println!("{w}: {what}"));
    assert_eq!(rows.len(), 3);
    Ok(())
}
