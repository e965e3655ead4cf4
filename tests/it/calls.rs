//! Calling APIs: whose token goes along, where it stands, what streams, and what a refusal leads to.

mod built;
mod hooks;
mod placement;
mod step_up;
mod streams;
mod whose;

use tokenkeep::{Grant, MemoryStore, OAuth, OAuthBuilder, Registration, Token, TokenKey};
use tokenkeep_testing::Replies;

use crate::world::{CLIENT, alice};

/// An application whose every request is answered from a list.
fn builder(replies: &Replies, more: impl FnOnce(Registration) -> Registration) -> OAuthBuilder {
    OAuth::builder()
        .store(MemoryStore::new())
        .base_url("https://app.example/")
        .register(more(registration()))
        .transport(replies.clone())
}

fn registration() -> Registration {
    Registration::oauth2(
        CLIENT,
        "https://op.example/authorize",
        "https://op.example/token",
    )
    .client_id("id")
    .client_secret("the client's secret")
    .redirect_uri("https://app.example/callback/op")
    .scopes(["files"])
    .api_base_url("https://api.example/v1/")
}

/// The grant of alice, whose token came from elsewhere.
async fn adopted(oauth: &OAuth) -> Grant {
    let token = Token::builder("the-token").refresh("the-refresh-token");
    let key = TokenKey::new(CLIENT, "alice").unwrap();
    oauth.adopt(key, token.build().unwrap()).await.unwrap();
    alice(oauth)
}
