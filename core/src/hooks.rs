//! The hook points: where an application takes part.
//!
//! A hook is awaited, may change what passes and may fail the operation; several run in the order in which they were
//! added, those of the client before those of the registry: a client's mend what its provider does, and the application's
//! see it mended. What is told after the fact and can fail nothing is an [event](crate::TokenUpdate).

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{StatusCode, header::HeaderMap};

use crate::{
    Clock, Error, ErrorCode, Phase, Result, TokenKey, TokenUpdate,
    client::{LoginKept, RequestKind, TokenHooks, TokenRequest},
};

/// How long a response hook may take; then the unmodified answer is used.
const RESPONSE_HOOK: Duration = Duration::from_secs(1);

/// How long a hook behind a commit may take.
const AFTER_UPDATE: Duration = Duration::from_secs(30);

/// How long a hook behind a logout may take.
const AFTER_LOGOUT: Duration = Duration::from_secs(10);

/// An answer of the token endpoint, before it is read.
#[derive(Debug)]
#[non_exhaustive]
pub struct RawAnswer<'a> {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: &'a HeaderMap,
}

/// A set of hooks. Implement what you need; the rest does nothing.
///
/// # Cancel safety
/// A login's hooks end with its request. The hooks of a refresh run in the refresh's own task.
#[async_trait]
pub trait Hook: Send + Sync + 'static {
    /// Before a token is asked for with a code or the client's own credentials: may change parameters and headers. The
    /// client authenticates afterwards.
    ///
    /// # Errors
    /// An error keeps the request from being sent, and is the operation's.
    async fn access_token_request(&self, client: &str, request: &mut TokenRequest) -> Result<()> {
        let _ = (client, request);
        Ok(())
    }

    /// The raw answer to that: may give another body for it. It has 1 s; if it hangs or panics, the answer is used as it
    /// came.
    async fn access_token_response(
        &self,
        client: &str,
        answer: &RawAnswer<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let _ = (client, answer, body);
        None
    }

    /// Before a refresh is sent: as [`access_token_request`](Self::access_token_request).
    ///
    /// # Errors
    /// An error keeps the request from being sent; the refresh token is not spent.
    async fn refresh_token_request(&self, client: &str, request: &mut TokenRequest) -> Result<()> {
        let _ = (client, request);
        Ok(())
    }

    /// The raw answer to a refresh: as [`access_token_response`](Self::access_token_response).
    async fn refresh_token_response(
        &self,
        client: &str,
        answer: &RawAnswer<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let _ = (client, answer, body);
        None
    }

    /// Before an API is called with a token: may change the request, whose token is not in it yet.
    ///
    /// # Errors
    /// An error keeps the request from being sent.
    async fn protected_request(&self, client: &str, request: &mut reqwest::Request) -> Result<()> {
        let _ = (client, request);
        Ok(())
    }

    /// Before a revocation is sent.
    ///
    /// # Errors
    /// An error keeps the request from being sent.
    async fn revoke_token_request(&self, client: &str, request: &mut TokenRequest) -> Result<()> {
        let _ = (client, request);
        Ok(())
    }

    /// Before an introspection is sent (RFC 7662).
    ///
    /// # Errors
    /// An error keeps the request from being sent.
    async fn introspect_token_request(
        &self,
        client: &str,
        request: &mut TokenRequest,
    ) -> Result<()> {
        let _ = (client, request);
        Ok(())
    }

    /// Before the userinfo endpoint is asked: may change method, headers and body, for a provider that wants more than a GET.
    /// The token is put in afterwards; it goes to the same origin or to one that the client allows.
    ///
    /// # Errors
    /// An error keeps the request from being sent, and is the operation's.
    async fn userinfo_request(&self, client: &str, request: &mut reqwest::Request) -> Result<()> {
        let _ = (client, request);
        Ok(())
    }

    /// The claims of a userinfo answer, before they are compared with the login: may add or rename some.
    ///
    /// # Errors
    /// An error is the operation's.
    async fn userinfo_response(&self, client: &str, claims: &mut serde_json::Value) -> Result<()> {
        let _ = (client, claims);
        Ok(())
    }

    /// A login is complete and its owner is known, but nothing is kept yet: the last chance to refuse it.
    ///
    /// # Errors
    /// An error refuses the login.
    async fn before_login_kept(&self, login: &LoginKept<'_>) -> Result<()> {
        let _ = login;
        Ok(())
    }

    /// A change of a grant is committed. For work that must not be missed by this process, such as columns that other
    /// programs read; an error is reported and undoes nothing. For one key they come one after the other, in the order of
    /// the commits. It has 30 s.
    ///
    /// # Errors
    /// An error is logged.
    async fn after_update(&self, update: &TokenUpdate) -> Result<()> {
        let _ = update;
        Ok(())
    }

    /// A grant was logged out by this process, or was to be and had no row: clear what lives elsewhere, such as the row of
    /// an old table that [`on_missing`](crate::OAuthBuilder::on_missing) reads, or columns that
    /// [`after_update`](Self::after_update) fills. It may be called again for the same logout. It has 10 s.
    ///
    /// # Errors
    /// The logout stands; the hook is called again in the background, four times within 15 s. Where there was no row, and
    /// so no tombstone, it is the logout's error.
    async fn after_logout(&self, key: &TokenKey) -> Result<()> {
        let _ = key;
        Ok(())
    }
}

/// The hooks of a registry, or of one client and its registry, in order.
#[derive(Clone, Default)]
pub(crate) struct Hooks(Arc<[Arc<dyn Hook>]>);

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} hooks]", self.0.len())
    }
}

impl Hooks {
    pub(crate) fn new(hooks: Vec<Arc<dyn Hook>>) -> Self {
        Self(hooks.into())
    }

    /// Those of a client, then these.
    pub(crate) fn behind(&self, own: &[Arc<dyn Hook>]) -> Self {
        if own.is_empty() {
            return self.clone();
        }
        Self(own.iter().chain(self.0.iter()).map(Arc::clone).collect())
    }

    pub(crate) async fn protected_request(
        &self,
        client: &str,
        request: &mut reqwest::Request,
    ) -> Result<()> {
        for hook in self.0.iter() {
            hook.protected_request(client, request).await?;
        }
        Ok(())
    }

    pub(crate) async fn userinfo_request(
        &self,
        client: &str,
        request: &mut reqwest::Request,
    ) -> Result<()> {
        for hook in self.0.iter() {
            hook.userinfo_request(client, request).await?;
        }
        Ok(())
    }

    pub(crate) async fn userinfo_response(
        &self,
        client: &str,
        claims: &mut serde_json::Value,
    ) -> Result<()> {
        for hook in self.0.iter() {
            hook.userinfo_response(client, claims).await?;
        }
        Ok(())
    }

    pub(crate) async fn before_login_kept(&self, login: &LoginKept<'_>) -> Result<()> {
        for hook in self.0.iter() {
            hook.before_login_kept(login).await?;
        }
        Ok(())
    }

    pub(crate) async fn after_update(&self, update: &TokenUpdate, clock: &dyn Clock) {
        for hook in self.0.iter() {
            // A task of its own: a panic of a hook is the hook's.
            let (hook, update) = (Arc::clone(hook), update.clone());
            let mut task = tokio::spawn(async move { hook.after_update(&update).await });
            tokio::select! {
                outcome = &mut task => match outcome {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "a hook behind a commit failed"),
                    Err(_) => tracing::error!("a hook behind a commit panicked"),
                },
                () = clock.sleep(AFTER_UPDATE) => {
                    task.abort();
                    tracing::error!("a hook behind a commit took too long");
                }
            }
        }
    }

    pub(crate) async fn after_logout(&self, key: &TokenKey, clock: &dyn Clock) -> Result<()> {
        let failed = |message| Error::new(ErrorCode::StoreUnavailable, Phase::Store, message);
        let mut outcome = Ok(());
        for hook in self.0.iter() {
            let (hook, key) = (Arc::clone(hook), key.clone());
            let mut task = tokio::spawn(async move { hook.after_logout(&key).await });
            let this = tokio::select! {
                outcome = &mut task => outcome
                    .unwrap_or_else(|_| Err(failed("a hook behind a logout panicked"))),
                () = clock.sleep(AFTER_LOGOUT) => {
                    task.abort();
                    Err(failed("a hook behind a logout took too long"))
                }
            };
            // The others are called all the same.
            outcome = outcome.and(this);
        }
        outcome
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The hooks of one client's token requests.
pub(crate) struct ClientHooks<'a> {
    pub(crate) hooks: &'a Hooks,
    pub(crate) client: &'a str,
    pub(crate) clock: &'a dyn Clock,
}

#[async_trait]
impl TokenHooks for ClientHooks<'_> {
    async fn request(&self, kind: RequestKind, request: &mut TokenRequest) -> Result<()> {
        for hook in self.hooks.0.iter() {
            match kind {
                RequestKind::AccessToken | RequestKind::TokenExchange => {
                    hook.access_token_request(self.client, request).await?;
                }
                RequestKind::DeviceAuthorization => {}
                RequestKind::Refresh => hook.refresh_token_request(self.client, request).await?,
                RequestKind::Revoke => hook.revoke_token_request(self.client, request).await?,
                RequestKind::Introspect => {
                    hook.introspect_token_request(self.client, request).await?;
                }
            }
        }
        Ok(())
    }

    async fn response(
        &self,
        kind: RequestKind,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        if self.hooks.is_empty() {
            return None;
        }
        let answer = RawAnswer { status, headers };
        let run = async {
            let mut changed: Option<Vec<u8>> = None;
            for hook in self.hooks.0.iter() {
                let body = changed.as_deref().unwrap_or(body);
                let next = match kind {
                    RequestKind::AccessToken | RequestKind::TokenExchange => {
                        hook.access_token_response(self.client, &answer, body).await
                    }
                    RequestKind::Refresh => {
                        hook.refresh_token_response(self.client, &answer, body)
                            .await
                    }
                    RequestKind::Revoke
                    | RequestKind::Introspect
                    | RequestKind::DeviceAuthorization => None,
                };
                changed = next.or(changed);
            }
            changed
        };
        let mut run = std::pin::pin!(run);
        let guarded = std::future::poll_fn(|context| {
            match std::panic::catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context))) {
                Ok(std::task::Poll::Ready(changed)) => std::task::Poll::Ready(Ok(changed)),
                Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
                Err(_) => std::task::Poll::Ready(Err(())),
            }
        });
        tokio::select! {
            changed = guarded => changed.unwrap_or_else(|()| {
                tracing::error!(client = self.client, "a response hook panicked; the answer is used as it came");
                None
            }),
            () = self.clock.sleep(RESPONSE_HOOK) => {
                tracing::error!(client = self.client, "a response hook hung; the answer is used as it came");
                None
            }
        }
    }
}
