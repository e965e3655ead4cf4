//! What a test stands in: a provider, a store of any kind with faults to turn on, a clock that can be put forward,
//! and a whole login through the core API.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokenkeep::{
    BrowserCookies, CallbackParams, Client, Clock, Cookie, Error, ErrorCode, Grant, KeptLogin,
    KeyRing, Login, OAuth, OAuthBuilder, Redirect, Registration, Sleep, SystemClock, Timestamp,
    TokenUpdate, TokenUpdates, Upkeep,
};
use tokenkeep_testing::{Callback, Provider, ProviderBuilder};
use tokio::sync::watch;
use tokio_stream::StreamExt;

use crate::{
    faulty::{Faulty, StoreTime},
    kind::{Kind, Place},
};

/// No test waits longer than this for anything; none is expected to.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const CLIENT: &str = "op";
pub(crate) const BASE: &str = "http://127.0.0.1:3000/";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:3000/callback/op";

/// The machine's clock, put forward by hand: whoever sleeps wakes when its time has come either way.
#[derive(Debug, Default)]
pub(crate) struct HandClock(watch::Sender<Duration>, AtomicUsize);

/// A long sleep, counted as long as it lasts.
struct Resting<'a>(&'a AtomicUsize);

impl<'a> Resting<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl HandClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.send_modify(|ahead| *ahead += by);
    }

    /// How far it was put forward.
    pub(crate) fn ahead(&self) -> Duration {
        *self.0.borrow()
    }

    /// How many sleep for longer than any request or call of the store may take.
    pub(crate) fn resting(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + *self.0.borrow()
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic() + *self.0.borrow()
    }

    fn sleep(&self, time: Duration) -> Sleep<'_> {
        let until = self.monotonic() + time;
        let mut ahead = self.0.subscribe();
        let long = time > Duration::from_secs(30);
        Box::pin(async move {
            let _resting = long.then(|| Resting::of(&self.1));
            loop {
                let left = until.saturating_sub(self.monotonic());
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    _ = ahead.changed() => {}
                }
            }
        })
    }
}

/// Runs a test over each kind of store that is there, each time with a provider of its own.
pub(crate) async fn on_every_store(
    provider: impl Fn() -> ProviderBuilder,
    test: impl AsyncFn(&World),
) {
    for kind in Kind::present() {
        eprintln!("over {kind:?}");
        test(&World::over(kind, provider()).await).await;
    }
}

pub(crate) struct World {
    pub(crate) provider: Provider,
    /// The store, with no fault on.
    pub(crate) store: Faulty,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) ring: String,
    pub(crate) kind: Kind,
    /// The time of every handle to the store.
    pub(crate) store_time: Arc<StoreTime>,
    place: Place,
    folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::over(Kind::Memory, Provider::builder()).await
    }

    pub(crate) async fn over(kind: Kind, provider: ProviderBuilder) -> Self {
        let provider = provider.auto_login("alice").start().await.unwrap();
        let clock = Arc::new(HandClock::default());
        let place = kind.place(Arc::clone(&clock) as _);
        let hand = (!kind.takes_a_clock()).then(|| Arc::clone(&clock));
        let store_time = Arc::new(StoreTime::following(hand));
        Self {
            provider,
            store: Faulty::new(place.open().await).in_time(Arc::clone(&store_time)),
            clock,
            ring: key("a", 7),
            kind,
            store_time,
            place,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The path of a file of the test's own.
    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Where another process opens the same records.
    pub(crate) fn url(&self) -> &str {
        self.place.url()
    }

    /// Another handle to the same records, as another process has it, with faults of its own.
    pub(crate) async fn another_store(&self) -> Faulty {
        Faulty::new(self.place.open().await).in_time(Arc::clone(&self.store_time))
    }

    /// A registry without clients.
    pub(crate) fn bare(&self, store: &Faulty) -> OAuthBuilder {
        OAuth::builder()
            .store(store.clone())
            .key_ring(KeyRing::parse(&self.ring).unwrap())
            .clock(Handle(Arc::clone(&self.clock)))
            // A clock that is put forward by days would set it off at any time.
            .upkeep(Upkeep::none())
            .base_url(BASE)
    }

    /// The provider's client, with a refresh token at login.
    pub(crate) fn registration(&self) -> Registration {
        registration(&self.provider)
    }

    /// The same under another name.
    pub(crate) fn registration_named(&self, name: &str) -> Registration {
        Registration::openid(name, self.provider.issuer())
            .client_id(self.provider.client_id())
            .client_secret(self.provider.client_secret())
    }

    pub(crate) fn builder(&self) -> OAuthBuilder {
        self.bare(&self.store).register(self.registration())
    }

    pub(crate) fn oauth(&self) -> OAuth {
        self.builder().build().unwrap()
    }

    /// The application in another process.
    pub(crate) async fn second(&self) -> (OAuth, Faulty) {
        let store = self.another_store().await;
        let oauth = self.bare(&store).register(self.registration()).build();
        (oauth.unwrap(), store)
    }

    /// Logs somebody in, and keeps the login under the same name.
    pub(crate) async fn log_in(&self, oauth: &OAuth, subject: &str) -> KeptLogin {
        let login = self.login(oauth, subject).await.unwrap();
        oauth.keep_login(&login, subject, None).await.unwrap()
    }

    /// The grant of alice, who has logged in.
    pub(crate) async fn alice(&self, oauth: &OAuth) -> Grant {
        self.log_in(oauth, "alice").await;
        alice(oauth)
    }

    /// A login that is not kept yet.
    pub(crate) async fn login(&self, oauth: &OAuth, subject: &str) -> tokenkeep::Result<Login> {
        let client = oauth.client(CLIENT).unwrap();
        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        let callback = self.at_provider(&redirect, subject).await;
        come_back(&client, &callback, &redirect.cookies).await
    }

    /// What the provider sends the browser back with.
    pub(crate) async fn at_provider(&self, redirect: &Redirect, subject: &str) -> Callback {
        self.provider.auto_login(Some(subject));
        let browser = self.provider.browser();
        let callback = browser.callback(redirect.url.as_str(), subject).await;
        callback.unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass, here and at the provider.
    pub(crate) fn advance(&self, by: Duration) {
        self.provider.advance(by);
        self.clock.advance(by);
    }

    /// How many requests came to the token endpoint for a refresh.
    pub(crate) fn refreshes(&self) -> u64 {
        self.provider.token_requests("refresh_token")
    }
}

/// The builder wants a clock of its own; this one is shared.
#[derive(Debug)]
pub(crate) struct Handle(pub(crate) Arc<HandClock>);

impl Clock for Handle {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, time: Duration) -> Sleep<'_> {
        self.0.sleep(time)
    }
}

pub(crate) fn registration(provider: &Provider) -> Registration {
    Registration::openid(CLIENT, provider.issuer())
        .client_id(provider.client_id())
        .client_secret(provider.client_secret())
        .scopes(["openid", "offline_access", "email"])
        .api_base_url(provider.api_base_url())
}

pub(crate) fn alice(oauth: &OAuth) -> Grant {
    oauth.client(CLIENT).unwrap().owner("alice")
}

/// A key of a ring; the same number is the same key.
pub(crate) fn key(id: &str, number: u8) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    format!("{id}:{}", URL_SAFE_NO_PAD.encode([number; 32]))
}

/// What a browser sends that was given these cookies.
pub(crate) fn cookies(set: &[Cookie]) -> BrowserCookies {
    let header: Vec<_> = set
        .iter()
        .map(|cookie| format!("{}={}", cookie.name, cookie.value.expose()))
        .collect();
    BrowserCookies::parse([header.join("; ").as_str()])
}

/// The parameters of a callback, however they came.
pub(crate) fn params(callback: &Callback) -> CallbackParams {
    CallbackParams::parse(encoded(callback)).unwrap()
}

pub(crate) fn encoded(callback: &Callback) -> String {
    if callback.method == "POST" {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        return form.extend_pairs(&callback.fields).finish();
    }
    callback.url.query().unwrap_or_default().to_owned()
}

pub(crate) async fn come_back(
    client: &Client,
    callback: &Callback,
    set: &[Cookie],
) -> tokenkeep::Result<Login> {
    client
        .authorize_access_token(&params(callback), &cookies(set), None)
        .await
        .login
}

/// Bounds a wait.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it comes in time")
}

/// Waits until something is true that nobody announces.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < PATIENCE, "it never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn next(updates: &mut TokenUpdates) -> TokenUpdate {
    soon(updates.next()).await.expect("an open stream")
}

/// The next event of a kind.
pub(crate) async fn next_of(updates: &mut TokenUpdates, kind: &str) -> TokenUpdate {
    loop {
        let update = next(updates).await;
        if update.kind() == kind {
            return update;
        }
    }
}

/// What has been sent up to now.
pub(crate) fn told(updates: &mut TokenUpdates) -> Vec<TokenUpdate> {
    use std::task::{Context, Poll, Waker};
    let mut context = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    while let Poll::Ready(Some(update)) =
        tokio_stream::Stream::poll_next(std::pin::Pin::new(&mut *updates), &mut context)
    {
        all.push(update);
    }
    all
}

#[track_caller]
pub(crate) fn refused<T>(result: tokenkeep::Result<T>, code: ErrorCode) -> Error {
    match result {
        Ok(_) => panic!("{code} was expected, and it went well"),
        Err(error) => {
            assert_eq!(error.code(), code, "{error:?}");
            error
        }
    }
}
