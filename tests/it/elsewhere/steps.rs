//! The programs of `docs/next-to-your-old-code.md`, line by line: a test compares them.

use tokenkeep::{
    Hook, OAuth, OAuthBuilder, Timestamp, Token, TokenKey, TokenUpdate,
    sql::sqlx::{self, Row, SqlitePool},
    store::{StoreError, async_trait},
};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(super) const OLD_TABLE: &str = "CREATE TABLE oauth_tokens (
    user_id TEXT, provider TEXT, access_token TEXT, refresh_token TEXT, expires_at BIGINT,
    PRIMARY KEY (user_id, provider))";

pub(super) async fn read_row(pool: SqlitePool, key: TokenKey) -> Result<Option<Token>, BoxError> {
    let select = "SELECT access_token, refresh_token, expires_at FROM oauth_tokens
        WHERE user_id = ?1 AND provider = ?2";
    let row = sqlx::query(select)
        .bind(key.owner_column())
        .bind(key.client())
        .fetch_optional(&pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let token = Token::builder(row.try_get::<String, _>(0)?)
        .maybe_refresh(row.try_get::<Option<String>, _>(1)?)
        .expires_at(row.try_get::<Option<i64>, _>(2)?.map(Timestamp::from_secs))
        .build()?;
    Ok(Some(token))
}

pub(super) async fn write_row(
    pool: SqlitePool,
    key: TokenKey,
    token: Token,
) -> Result<(), BoxError> {
    // A provider that gives a refresh token at the first login only: the one that is there stays.
    let upsert = "INSERT INTO oauth_tokens VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (user_id, provider) DO UPDATE SET access_token = ?3,
        refresh_token = COALESCE(?4, refresh_token), expires_at = ?5";
    sqlx::query(upsert)
        .bind(key.owner_column())
        .bind(key.client())
        .bind(token.access_token().expose())
        .bind(token.refresh_token().map(|token| token.expose()))
        .bind(token.expires_at().map(Timestamp::as_secs))
        .execute(&pool)
        .await?;
    Ok(())
}

pub(super) async fn delete_row(pool: SqlitePool, key: TokenKey) -> Result<(), BoxError> {
    sqlx::query("DELETE FROM oauth_tokens WHERE user_id = ?1 AND provider = ?2")
        .bind(key.owner_column())
        .bind(key.client())
        .execute(&pool)
        .await?;
    Ok(())
}

pub(super) fn first_step(builder: OAuthBuilder, pool: &SqlitePool) -> OAuthBuilder {
    let (read, write, delete) = (pool.clone(), pool.clone(), pool.clone());
    builder
        .fetch_token(move |key| read_row(read.clone(), key))
        .update_token(move |key, token, _| write_row(write.clone(), key, token))
        .delete_token(move |key| delete_row(delete.clone(), key))
}

pub(super) struct Mirror(SqlitePool);

#[async_trait]
impl Hook for Mirror {
    async fn after_update(&self, update: &TokenUpdate) -> tokenkeep::Result<()> {
        let (TokenUpdate::Issued(changed) | TokenUpdate::Refreshed(changed)) = update else {
            return Ok(());
        };
        let token = changed.token().await?;
        // The refresh token goes: whoever still refreshes by himself fails, and spends none of ours. And hooks of two
        // processes may run in any order: the token that lasts longer is the newer one.
        let update =
            "UPDATE oauth_tokens SET access_token = ?3, refresh_token = NULL, expires_at = ?4
            WHERE user_id = ?1 AND provider = ?2 AND (expires_at IS NULL OR expires_at <= ?4)";
        sqlx::query(update)
            .bind(changed.key.owner_column())
            .bind(changed.key.client())
            .bind(token.access_token().expose())
            .bind(token.expires_at().map(Timestamp::as_secs))
            .execute(&self.0)
            .await
            .map_err(StoreError::other)?;
        Ok(())
    }

    async fn after_logout(&self, key: &TokenKey) -> tokenkeep::Result<()> {
        delete_row(self.0.clone(), key.clone())
            .await
            .map_err(StoreError::other)?;
        Ok(())
    }
}

pub(super) fn second_step(builder: OAuthBuilder, pool: &SqlitePool) -> OAuthBuilder {
    let old = pool.clone();
    builder
        .on_missing(move |key| read_row(old.clone(), key))
        .hook(Mirror(pool.clone()))
}

pub(super) async fn third_step(oauth: &OAuth, pool: &SqlitePool) -> Result<u32, BoxError> {
    let select = "SELECT user_id, provider FROM oauth_tokens WHERE refresh_token IS NOT NULL";
    let rows: Vec<(String, String)> = sqlx::query_as(select).fetch_all(pool).await?;
    let mut moved = 0;
    for (user, provider) in rows {
        let key = TokenKey::new(&provider, &user)?;
        if let Some(token) = read_row(pool.clone(), key.clone()).await? {
            moved += u32::from(oauth.adopt(key, token).await?);
        }
    }
    sqlx::query("DROP TABLE oauth_tokens").execute(pool).await?;
    Ok(moved)
}
