//! An HTTP client that is there already sends kept tokens: a generated API client, or one with retries and traces of its own.

use std::error::Error;

use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware as Http};
use serde_json::Value;
use tokenkeep::middleware::{KeptToken, Whose, error_of};
use tokenkeep::{MemoryStore, OAuth, Token, TokenKey, as_owner};
use tokenkeep_testing::{Provider, registration};

/// What knows nothing of tokens: it takes any client.
async fn who_am_i(http: &Http, api: &str) -> reqwest_middleware::Result<Value> {
    let me: Value = http.get(format!("{api}me")).send().await?.json().await?;
    Ok(me["sub"].clone())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // Stands in for the provider and its API; alice and bob logged in this morning.
    let provider = Provider::start().await?;
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .register(registration("drive", &provider))
        .build()?;
    for user in ["alice", "bob"] {
        let login = provider.issue(user);
        let token = Token::builder(login.access_token).refresh(login.refresh_token);
        let key = TokenKey::new("drive", user)?;
        oauth.adopt(key, token.build()?).await?;
    }

    // The client below follows no redirects: the middleware does, and looks where they lead.
    let below = reqwest::Client::builder().redirect(Policy::none());
    let drive = oauth.client("drive")?;
    let token = KeptToken::at(drive.clone()).follow_redirects();
    let http = ClientBuilder::new(below.build()?).with(token).build();

    // Tokens that are over are renewed on the way, once.
    provider.expire_access_tokens();
    let api = provider.api_base_url();
    let alice = as_owner("alice", who_am_i(&http, &api)).await?;
    let bob = as_owner("bob", who_am_i(&http, &api)).await?;
    println!("{alice} and {bob}, each with a token of theirs");
    assert_eq!((alice, bob), ("alice".into(), "bob".into()));
    assert_eq!(provider.token_requests("refresh_token"), 2);

    // A request may say by itself whose token it carries; to an origin that is not the API's it carries none.
    let whose = Whose::Kept(drive.owner("bob"));
    let away = http.get("https://elsewhere.example/").with_extension(whose);
    let error = away.send().await.err().ok_or("it was sent")?;
    println!("{}", error_of(&error).ok_or("an error of tokenkeep's")?);
    Ok(())
}
