//! The guide `docs/next-to-your-old-code.md`, walked from its first step to its last, with an old reader beside it.

use std::time::Duration;

use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};
use tokenkeep::{ErrorCode, OAuth, OAuthBuilder, TokenKey};
use tokenkeep_testing::{Provider, Rotation};

use super::{
    steps::{BoxError, OLD_TABLE, first_step, second_step, third_step},
    table::bare,
};
use crate::kind::Kind;
use crate::world::{CLIENT, PATIENCE, World, refused, soon};

/// The users of the old application.
async fn old_table(provider: &Provider, users: &[&str]) -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await.unwrap();
    sqlx::query(OLD_TABLE).execute(&pool).await.unwrap();
    for user in users {
        let login = provider.issue(user);
        sqlx::query("INSERT INTO oauth_tokens VALUES (?1, ?2, ?3, ?4, ?5)")
            .bind(*user)
            .bind(CLIENT)
            .bind(login.access_token)
            .bind(login.refresh_token)
            .bind(login.expires_at)
            .execute(&pool)
            .await
            .unwrap();
    }
    pool
}

/// An old program: it reads a row and calls the API. It knows nothing of tokenkeep, and never refreshes.
async fn old_program(world: &World, pool: &SqlitePool, user: &str) -> Result<u16, BoxError> {
    let select = "SELECT access_token FROM oauth_tokens WHERE user_id = ?1";
    let token: String = sqlx::query_scalar(select)
        .bind(user)
        .fetch_one(pool)
        .await?;
    let url = format!("{}me", world.provider.api_base_url());
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send();
    Ok(answer.await?.status().as_u16())
}

async fn refresh_column(pool: &SqlitePool, user: &str) -> Option<String> {
    let select = "SELECT refresh_token FROM oauth_tokens WHERE user_id = ?1";
    let column = sqlx::query_scalar(select).bind(user).fetch_one(pool);
    column.await.unwrap()
}

async fn works(oauth: &OAuth, user: &str) {
    let grant = oauth.client(CLIENT).unwrap().owner(user);
    assert_eq!(grant.get("me").await.unwrap().status(), 200, "{user}");
    // The mirror, if there is one, has written.
    assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
}

#[tokio::test]
async fn an_application_moves_in_step_by_step_and_nothing_is_spent_twice() {
    let strict = Provider::builder().rotation(Rotation::FamilyRevoking);
    let world = World::over(Kind::Sqlite, strict).await;
    let pool = old_table(&world.provider, &["alice", "bob", "carol"]).await;
    let built = |builder: OAuthBuilder| builder.register(world.registration()).build().unwrap();
    let over = Duration::from_secs(301);

    // Step 1.
    let oauth = built(first_step(bare(&world), &pool));
    for _ in 0..2 {
        world.advance(over);
        works(&oauth, "alice").await;
        assert_eq!(old_program(&world, &pool, "alice").await.unwrap(), 200);
    }
    assert_eq!(world.refreshes(), 2);
    drop(oauth);

    // Step 2, in two processes.
    let stored = async || world.bare(&world.another_store().await);
    let oauth = built(second_step(stored().await, &pool));
    let other = built(second_step(stored().await, &pool));
    works(&oauth, "alice").await;
    assert_eq!(world.refreshes(), 2, "what still lasts is not renewed");
    assert_eq!(refresh_column(&pool, "alice").await, None);
    for oauth in [&other, &oauth] {
        world.advance(over);
        works(oauth, "alice").await;
        assert_eq!(old_program(&world, &pool, "alice").await.unwrap(), 200);
    }
    assert_eq!(world.refreshes(), 4);

    // Who logs out is out: in the old table too, and when the tombstone is gone.
    works(&other, "bob").await;
    let bob = |oauth: &OAuth| oauth.client(CLIENT).unwrap().owner("bob");
    bob(&oauth).log_out().await.unwrap();
    assert!(old_program(&world, &pool, "bob").await.is_err());
    world.advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(oauth.purge(10).await.unwrap(), 1);
    let restarted = built(second_step(stored().await, &pool));
    refused(bob(&restarted).token().await, ErrorCode::LoginRequired);

    // Step 3: carol was away all the time.
    assert!(refresh_column(&pool, "carol").await.is_some());
    assert_eq!(third_step(&restarted, &pool).await.unwrap(), 1);
    let oauth = built(stored().await);
    works(&oauth, "alice").await;
    works(&oauth, "carol").await;
    let carol = TokenKey::new(CLIENT, "carol").unwrap();
    assert!(!oauth.adopt(carol, super::table::any_token()).await.unwrap());

    // The provider's word for it.
    assert_eq!(world.provider.max_spends(), 1);
    assert!(world.provider.lineages().iter().all(|line| !line.revoked));
}

/// A block of the guide as it is read, and a file, without what rustfmt may change.
fn plain(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n").replace("pub(super) ", "")
}

#[test]
fn the_guide_shows_the_programs_that_are_run() {
    let guide = include_str!("../../../docs/next-to-your-old-code.md");
    let steps = plain(include_str!("steps.rs"));
    let blocks: Vec<_> = guide.split("```").skip(1).step_by(2).collect();
    let programs = blocks
        .iter()
        .filter_map(|block| block.strip_prefix("rust\n"));
    let mut shown = 0;
    for program in programs {
        let program = plain(program);
        assert!(steps.contains(&program), "not in steps.rs:\n{program}");
        shown += program.lines().count();
    }
    assert!(shown > 80, "{shown} lines of programs");
    let table = blocks.iter().find_map(|block| block.strip_prefix("sql\n"));
    assert_eq!(plain(table.unwrap()), plain(OLD_TABLE));
}
