//! Logins and what follows from them: every refusal has its code, and sends no request onward.

mod addresses;
mod answers;
mod attacks;
mod callback;
mod configuration;
mod endpoints;
mod flow_cookies;
mod id_token;
mod keys;
mod metadata;
pub(crate) mod origins;
mod raw;
mod registry;
mod requests;
mod session;
mod tenants;
mod token_answers;
mod userinfo;

use tokenkeep::{BrowserCookies, CallbackParams, Client, OAuth, Redirect};
use tokenkeep_testing::{Callback, Provider};

use crate::{
    faulty::Method,
    world::{CALLBACK, CLIENT, World, cookies, encoded},
};

/// A login whose answer is about to come back.
struct Begun {
    client: Client,
    redirect: Redirect,
    callback: Callback,
}

impl Begun {
    async fn new(world: &World, oauth: &OAuth) -> Self {
        let client = oauth.client(CLIENT).unwrap();
        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        let callback = world.at_provider(&redirect, "alice").await;
        Self {
            client,
            redirect,
            callback,
        }
    }

    fn query(&self) -> String {
        encoded(&self.callback)
    }

    fn cookies(&self) -> BrowserCookies {
        cookies(&self.redirect.cookies)
    }

    async fn come_back(&self) -> tokenkeep::Result<tokenkeep::Login> {
        self.come_back_with(&self.query(), &self.cookies()).await
    }

    async fn come_back_with(
        &self,
        query: &str,
        cookies: &BrowserCookies,
    ) -> tokenkeep::Result<tokenkeep::Login> {
        come_back(&self.client, query, cookies).await
    }
}

async fn come_back(
    client: &Client,
    query: &str,
    cookies: &BrowserCookies,
) -> tokenkeep::Result<tokenkeep::Login> {
    let params = CallbackParams::parse(query)?;
    let returned = client.authorize_access_token(&params, cookies, None).await;
    returned.login
}

/// How many requests a login has caused, behind the browser's own.
fn onward(provider: &Provider) -> [u64; 3] {
    ["/token", "/userinfo", "/revoke"].map(|path| provider.requests(path))
}

fn assert_nothing_kept(world: &World) {
    assert_eq!(world.store.calls(Method::Write), 0);
    assert_eq!(world.store.calls(Method::Lease), 0);
}
