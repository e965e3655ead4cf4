//! Logouts, wherever they begin: here, behind the browser's back, or in a frame.

mod back_channel;
mod front_channel;
mod http;
mod in_flight;
mod revocation;
mod rp_initiated;
mod takeover;

use tokenkeep::{Cookie, EndedByProvider, KeptLogin, OAuth};
use tokenkeep_testing::LogoutToken;

use crate::world::{CLIENT, World, cookies};

const LOGGED_OUT: &str = "http://127.0.0.1:3000/logged-out/op";

/// The provider's id of the session that this login began in.
fn sid(kept: &KeptLogin) -> String {
    let session = kept.session.as_ref().unwrap();
    session.claims().unwrap().sid().unwrap().to_owned()
}

/// Is the browser with these cookies signed in, as far as this process knows?
async fn is_in(oauth: &OAuth, set: &[Cookie]) -> bool {
    oauth.session(&cookies(set)).await.unwrap().is_some()
}

/// Waits until this process knows that the browser is signed in no more.
async fn until_out(oauth: &OAuth, set: &[Cookie]) {
    crate::world::until("the session ended", async || !is_in(oauth, set).await).await;
}

fn token(world: &World, token: &LogoutToken) -> String {
    world
        .provider
        .logout_token(world.provider.client_id(), token)
}

fn form(token: &str) -> Vec<u8> {
    format!("unknown=x&logout_token={token}").into_bytes()
}

/// A back-channel logout, as it comes to this process.
async fn tell(oauth: &OAuth, token: &str) -> tokenkeep::Result<EndedByProvider> {
    let client = oauth.client(CLIENT).unwrap();
    client.backchannel_logout(&form(token)).await
}
