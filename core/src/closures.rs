//! Plain closures of the application's, as they were given: to read and write tokens that it keeps itself, and to say
//! what an old table holds.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use crate::{Error, ErrorCode, Phase, Replaced, Result, Token, TokenKey};

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// What a closure answers, in time.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Answers the token of a key, if there is one.
pub(crate) type Fetch = Arc<dyn Fn(TokenKey) -> Answer<Option<Token>> + Send + Sync>;
/// Writes the token of a key.
pub(crate) type Update = Arc<dyn Fn(TokenKey, Token, Replaced) -> Answer<()> + Send + Sync>;
/// Removes the token of a key.
pub(crate) type Delete = Arc<dyn Fn(TokenKey) -> Answer<()> + Send + Sync>;

/// What was given to a builder or a registration, whole or not.
#[derive(Clone, Default)]
pub(crate) struct Closures {
    pub(crate) fetch: Option<Fetch>,
    pub(crate) update: Option<Update>,
    pub(crate) delete: Option<Delete>,
    pub(crate) on_missing: Option<Fetch>,
}

impl fmt::Debug for Closures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closures")
            .field("fetch_token", &self.fetch.is_some())
            .field("update_token", &self.update.is_some())
            .field("delete_token", &self.delete.is_some())
            .field("on_missing", &self.on_missing.is_some())
            .finish()
    }
}

/// Closures that keep tokens: what can be read can be written.
#[derive(Clone)]
pub(crate) struct Keeping {
    pub(crate) fetch: Fetch,
    pub(crate) update: Update,
    pub(crate) delete: Option<Delete>,
}

impl Closures {
    /// The closures that keep tokens, if there are any.
    ///
    /// # Errors
    /// `invalid_configuration` for half of them: what is renewed would be lost, or never found.
    pub(crate) fn keeping(&self) -> Result<Option<Keeping>> {
        let wrong = |message| {
            Err(Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                message,
            ))
        };
        match (&self.fetch, &self.update) {
            (Some(_), Some(_)) if self.on_missing.is_some() => wrong(
                "on_missing beside fetch_token: where closures keep the tokens, fetch_token alone says what there is; \
                 remove one of the two",
            ),
            (Some(fetch), Some(update)) => Ok(Some(Keeping {
                fetch: Arc::clone(fetch),
                update: Arc::clone(update),
                delete: self.delete.as_ref().map(Arc::clone),
            })),
            (Some(_), None) => wrong(
                "fetch_token without update_token: a renewed token would be lost; add .update_token(|key, token, replaced| …)",
            ),
            (None, Some(_)) => wrong(
                "update_token without fetch_token: what it writes would never be read; add .fetch_token(|key| …)",
            ),
            (None, None) if self.delete.is_some() => wrong(
                "delete_token without fetch_token and update_token: nothing is kept by closures; to clear an old table at \
                 logout there is the hook after_logout",
            ),
            (None, None) => Ok(None),
        }
    }
}

/// Makes a closure that reads tokens one of a kind.
pub(crate) fn fetch<F, Fut, E>(closure: F) -> Fetch
where
    F: Fn(TokenKey) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Token>, E>> + Send + 'static,
    E: Into<BoxError>,
{
    Arc::new(move |key| answer(closure(key)))
}

/// Makes a closure that writes tokens one of a kind.
pub(crate) fn update<F, Fut, E>(closure: F) -> Update
where
    F: Fn(TokenKey, Token, Replaced) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError>,
{
    Arc::new(move |key, token, replaced| answer(closure(key, token, replaced)))
}

/// Makes a closure that removes tokens one of a kind.
pub(crate) fn delete<F, Fut, E>(closure: F) -> Delete
where
    F: Fn(TokenKey) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError>,
{
    Arc::new(move |key| answer(closure(key)))
}

fn answer<T, E: Into<BoxError>>(
    future: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Answer<T> {
    Box::pin(async move { future.await.map_err(Into::into) })
}

/// Calls a closure. A panic is its error: the task that calls may hold an answer that must not be lost.
pub(crate) async fn call<T>(make: impl FnOnce() -> Answer<T>) -> Result<T, BoxError> {
    let panicked = |_| BoxError::from("a closure of the application's panicked");
    let mut answer = catch_unwind(AssertUnwindSafe(make)).map_err(panicked)?;
    std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
            Ok(polled) => polled,
            Err(panic) => Poll::Ready(Err(panicked(panic))),
        }
    })
    .await
}
