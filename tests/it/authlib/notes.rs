//! A small Flask application, translated: the program of `docs/coming-from-authlib.md`, part by part. A test compares them.

use std::sync::Arc;

use axum::{
    Router,
    extract::RawQuery,
    response::{Html, IntoResponse, Redirect},
    routing::get,
};
use tokenkeep::{
    ConfigSource, KeyRing, Login, OAuth, Registration, SqliteStore, Timestamp, Token, TokenKey,
    TokenUpdate, TokenUpdates,
    axum::{Result, SignedIn, routes},
    sql::sqlx::{self, Row, SqlitePool},
};
use tokio_stream::StreamExt;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, subject TEXT UNIQUE, email TEXT);
    CREATE TABLE IF NOT EXISTS tokens (
        user_id INTEGER, name TEXT, access_token TEXT, refresh_token TEXT, expires_at INTEGER,
        PRIMARY KEY (user_id, name));
    CREATE TABLE IF NOT EXISTS audit (id INTEGER PRIMARY KEY, user_id INTEGER, what TEXT)";

pub(super) async fn fetch_token(db: SqlitePool, key: TokenKey) -> Result<Option<Token>, BoxError> {
    let select = "SELECT access_token, refresh_token, expires_at FROM tokens
        WHERE user_id = ?1 AND name = ?2";
    let row = sqlx::query(select)
        .bind(key.owner_column())
        .bind(key.client())
        .fetch_optional(&db)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let token = Token::builder(row.get::<String, _>(0))
        .maybe_refresh(row.get::<Option<String>, _>(1))
        .expires_at(row.get::<Option<i64>, _>(2).map(Timestamp::from_secs));
    Ok(Some(token.build()?))
}

pub(super) async fn update_token(
    db: SqlitePool,
    key: TokenKey,
    token: Token,
) -> Result<(), BoxError> {
    let upsert = "INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (user_id, name) DO UPDATE SET access_token = ?3,
        refresh_token = COALESCE(?4, refresh_token), expires_at = ?5";
    sqlx::query(upsert)
        .bind(key.owner_column())
        .bind(key.client())
        .bind(token.access_token().expose())
        .bind(token.refresh_token().map(|token| token.expose()))
        .bind(token.expires_at().map(Timestamp::as_secs))
        .execute(&db)
        .await?;
    Ok(())
}

async fn delete_token(db: SqlitePool, key: TokenKey) -> Result<(), BoxError> {
    sqlx::query("DELETE FROM tokens WHERE user_id = ?1 AND name = ?2")
        .bind(key.owner_column())
        .bind(key.client())
        .execute(&db)
        .await?;
    Ok(())
}

async fn user_of(db: SqlitePool, login: Arc<Login>) -> Result<String, BoxError> {
    let claims = login.claims.as_ref().ok_or("no ID token")?;
    let upsert = "INSERT INTO users (subject, email) VALUES (?1, ?2)
        ON CONFLICT (subject) DO UPDATE SET email = ?2 RETURNING id";
    let id: i64 = sqlx::query_scalar(upsert)
        .bind(claims.subject())
        .bind(claims.email())
        .fetch_one(&db)
        .await?;
    Ok(id.to_string())
}

async fn audit(db: SqlitePool, mut updates: TokenUpdates) -> Result<(), BoxError> {
    while let Some(update) = updates.next().await {
        let TokenUpdate::Refreshed(changed) = &update else {
            continue;
        };
        sqlx::query("INSERT INTO audit (user_id, what) VALUES (?1, 'refreshed')")
            .bind(changed.key.owner_column())
            .execute(&db)
            .await?;
    }
    Ok(())
}

async fn home(user: Option<SignedIn>) -> Html<String> {
    let Some(user) = user else {
        return Html(r#"<a href="/login/op">Log in</a>"#.to_owned());
    };
    let csrf = user.session().csrf();
    Html(format!(
        r#"You are user {}
        <form method="post" action="/logout">
          <input type="hidden" name="csrf" value="{csrf}"><button>Log out</button>
        </form>"#,
        user.owner()
    ))
}

async fn me(user: SignedIn) -> Result<impl IntoResponse> {
    let answer = user.grant("op")?.get("me").await?;
    Ok(answer.error_for_status()?.text().await?)
}

async fn old_callback(RawQuery(query): RawQuery) -> Redirect {
    Redirect::to(&format!("/callback/op?{}", query.unwrap_or_default()))
}

pub(super) async fn application(
    db: SqlitePool,
    settings: impl ConfigSource,
    keys: KeyRing,
    base_url: &str,
) -> Result<(Router, OAuth), BoxError> {
    sqlx::raw_sql(TABLES).execute(&db).await?;
    let sessions = SqliteStore::new(db.clone());
    sessions.migrate().await?;

    let (read, write, delete) = (db.clone(), db.clone(), db.clone());
    let oauth = OAuth::builder()
        .base_url(base_url)
        .store(sessions)
        .key_ring(keys)
        .config(settings)
        .register(
            Registration::new("op")
                .scopes(["openid", "email", "offline_access"])
                .prompt("consent")
                .redirect_uri(format!("{base_url}/callback")),
        )
        .fetch_token(move |key| fetch_token(read.clone(), key))
        .update_token(move |key, token, _| update_token(write.clone(), key, token))
        .delete_token(move |key| delete_token(delete.clone(), key))
        .build()?;

    tokio::spawn(audit(db.clone(), oauth.token_updates()?));

    let users = db.clone();
    let login_and_logout = routes(&oauth).owner(move |login| user_of(users.clone(), login));
    let router = Router::new()
        .route("/", get(home))
        .route("/me", get(me))
        .route("/callback", get(old_callback))
        .merge(login_and_logout)
        .with_state(oauth.clone());
    Ok((router, oauth))
}
