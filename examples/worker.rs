//! A background job that calls an API for a user: no browser and no request, the user's id is enough.

use std::{error::Error, time::Duration};

use tokenkeep::{ErrorCode, MemoryStore, OAuth, Timestamp, Token, TokenKey};
use tokenkeep_testing::{Provider, registration};
use tokio::task::JoinSet;

/// The job itself. The token is found, renewed if it is over, and sent; a refusal renews it once more.
async fn sync(oauth: OAuth, user: &str) -> tokenkeep::Result<()> {
    let drive = oauth.client("drive")?.owner(user);
    match drive.get("me").await {
        Ok(answer) => println!("{user}: the drive answers {}", answer.status()),
        // Nothing is broken: only the user can help, by logging in.
        Err(error) if error.code() == ErrorCode::LoginRequired => println!("{user}: {error}"),
        Err(error) => return Err(error),
    }
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // Stands in for the provider and its API; alice logged in this morning.
    let provider = Provider::start().await?;
    let login = provider.issue("alice");

    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .register(registration("drive", &provider))
        .build()?;
    let token = Token::builder(login.access_token)
        .refresh(login.refresh_token)
        .expires_at(Timestamp::from_secs(login.expires_at));
    let key = TokenKey::new("drive", "alice")?;
    oauth.adopt(key, token.build()?).await?;

    // Ten jobs find that her token is not good any more, and share one refresh. Of bob there is nothing.
    provider.expire_access_tokens();
    let mut jobs = JoinSet::new();
    (0..10).for_each(|_| drop(jobs.spawn(sync(oauth.clone(), "alice"))));
    jobs.spawn(sync(oauth.clone(), "bob"));
    while let Some(job) = jobs.join_next().await {
        job??;
    }
    let refreshes = provider.token_requests("refresh_token");
    println!("ten jobs, {refreshes} refresh");
    assert_eq!(refreshes, 1);

    // At shutdown: whatever is under way is finished.
    oauth.drain(Duration::from_secs(10)).await?;
    Ok(())
}
