//! OAuth 1.0a (RFC 5849): a program without an address of its own. The provider shows its user a verifier, who types it in;
//! from then on each call is signed.

use std::error::Error;

use serde_json::Value;
use tokenkeep::{BrowserCookies, CallbackParams, MemoryStore, OAuth};
use tokenkeep_testing::OAuth1Provider;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // Stands in for the provider, and for the user in front of it. Yours is Registration::oauth1("photos", "https://…", …), or
    // PHOTOS_REQUEST_TOKEN_URL and its like in the environment.
    let provider = OAuth1Provider::start().await?;

    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .base_url("http://localhost/")
        .register(provider.registration("photos"))
        .build()?;
    let photos = oauth.client("photos")?;

    // First leg: a request token. `oob` says that the user comes back with a verifier, and no browser does.
    let redirect = photos.authorize_redirect("oob").await?;
    println!(
        "open {} and allow it",
        redirect.url.origin().ascii_serialization()
    );

    // Second leg: the user allows it, and types in what the page shows.
    let (request_token, verifier) = provider.verifier(&redirect.url)?;
    let typed = CallbackParams::typed_in(&request_token, &verifier)?;

    // Third leg: an access token. A program hands back itself what a browser keeps in a cookie.
    let cookies = redirect.cookies.iter();
    let cookies: Vec<_> = cookies
        .map(|cookie| format!("{}={}", cookie.name, cookie.value.expose()))
        .collect();
    let cookies = BrowserCookies::parse([cookies.join("; ").as_str()]);
    let returned = photos.authorize_access_token(&typed, &cookies, Some("oob"));
    let login = returned.await.login?;
    println!("{:?} logged in", login.member("screen_name"));
    oauth.keep_login(&login, "alice", None).await?;

    // Kept like any other token, and never refreshed: it lasts until somebody revokes it.
    let alice = photos.owner("alice");
    let me: Value = alice.get("me?size=large").await?.json().await?;
    println!("GET {}: {}", me["path"], me["user"]);
    let album = alice.post("albums").form([("title", "Holidays & more")]);
    println!("POST: {}", album.await?.status());

    alice.log_out().await?;
    let refused = alice.get("me").await.err().ok_or("it is logged out")?;
    println!("afterwards: {}", refused.code());
    assert_eq!(
        (me["user"].as_str(), refused.code().as_str()),
        (Some("alice"), "login_required")
    );
    Ok(())
}
