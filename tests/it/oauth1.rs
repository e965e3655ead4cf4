//! OAuth 1.0a through the public API: against the kit's server with its faults, and against oauthlib's.

mod answers;
mod calls;
mod independent;
mod login;
mod middleware;

use tokenkeep::{
    CallbackParams, Client, Cookie, Grant, KeptLogin, Login, OAuth, Redirect, Registration,
    SignatureMethod, SignatureType,
};
use tokenkeep_testing::OAuth1Provider;
use url::Url;

use crate::world::{World, cookies};

pub(crate) const PHOTOS: &str = "photos";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:3000/callback/photos";

/// The signature methods that need no key, with each place where parameters stand.
pub(crate) fn everywhere() -> impl Iterator<Item = (SignatureMethod, SignatureType)> {
    let methods = [
        SignatureMethod::HmacSha1,
        SignatureMethod::HmacSha256,
        SignatureMethod::Plaintext,
    ];
    let places = [
        SignatureType::Header,
        SignatureType::Query,
        SignatureType::Body,
    ];
    methods
        .into_iter()
        .flat_map(move |method| places.into_iter().map(move |place| (method, place)))
}

/// An application with one client of OAuth 1.0a.
pub(crate) struct Photos {
    pub(crate) provider: OAuth1Provider,
    pub(crate) world: World,
    pub(crate) oauth: OAuth,
}

impl Photos {
    pub(crate) async fn new() -> Self {
        Self::with(|registration| registration).await
    }

    pub(crate) async fn with(change: impl FnOnce(Registration) -> Registration) -> Self {
        Self::over(World::new().await, change).await
    }

    pub(crate) async fn signing(method: SignatureMethod, place: SignatureType) -> Self {
        Self::with(|registration| {
            registration
                .signature_method(method)
                .signature_type(place)
                .dangerously_allow_plaintext_in_query()
        })
        .await
    }

    pub(crate) async fn over(
        world: World,
        change: impl FnOnce(Registration) -> Registration,
    ) -> Self {
        let provider = OAuth1Provider::start().await.unwrap();
        let registration = change(provider.registration(PHOTOS));
        let oauth = world.bare(&world.store).register(registration);
        Self {
            oauth: oauth.build().unwrap(),
            provider,
            world,
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.oauth.client(PHOTOS).unwrap()
    }

    pub(crate) fn alice(&self) -> Grant {
        self.client().owner("alice")
    }

    pub(crate) async fn start(&self) -> Redirect {
        self.client().authorize_redirect(CALLBACK).await.unwrap()
    }

    /// A login that is not kept yet.
    pub(crate) async fn login(&self) -> tokenkeep::Result<Login> {
        let redirect = self.start().await;
        let callback = self.provider.allow(&redirect.url).unwrap();
        self.come_back(&callback, &redirect.cookies).await
    }

    pub(crate) async fn come_back(
        &self,
        callback: &Url,
        set: &[Cookie],
    ) -> tokenkeep::Result<Login> {
        come_back(&self.client(), callback.query().unwrap(), set).await
    }

    pub(crate) async fn log_in(&self) -> KeptLogin {
        let login = self.login().await.unwrap();
        self.oauth.keep_login(&login, "alice", None).await.unwrap()
    }
}

pub(crate) async fn come_back(
    client: &Client,
    query: &str,
    set: &[Cookie],
) -> tokenkeep::Result<Login> {
    let params = CallbackParams::parse(query)?;
    client
        .authorize_access_token(&params, &cookies(set), None)
        .await
        .login
}
