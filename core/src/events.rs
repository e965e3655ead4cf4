//! What has been committed, told to whoever listens.
//!
//! Events are broadcast after the fact: a listener can neither fail, delay nor abort anything. A slow one is told that
//! it missed some ([`TokenUpdate::Resync`]) and is never waited for.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::broadcast;
use tokio_stream::{
    Stream,
    wrappers::{BroadcastStream, errors::BroadcastStreamRecvError},
};

use crate::{
    ErrorCode, GrantId, NeedsLoginCause, Owner, Result, Secret, Timestamp, Token, TokenKey,
    refresh::WeakKeeper,
};

/// Where a change was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// In this process.
    Local,
    /// In another process; the change feed of the store brought it.
    Remote,
}

impl Origin {
    /// The stable name: `local` or `remote`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }
}

/// Why a grant or session is logged out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogoutCause {
    /// The application asked for it.
    Requested,
    /// The tokens were revoked.
    Revoked,
    /// The application [forgot](crate::OAuth::forget) the owner.
    Forgotten,
    /// The provider ended its session, by back-channel or front-channel logout.
    Provider,
    /// A login in the same browser took the session's place.
    Replaced,
    /// The row is gone: purged, evicted, or deleted by an operator.
    RowMissing,
    /// Another process did it.
    Elsewhere,
}

/// A recognisable mark of a secret: the start of its SHA-256, as 16 hexadecimal digits. A handler that keeps the same
/// marks in a table of its own finds the row of a token that was replaced.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The mark of a secret.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.expose().as_bytes());
        Self(
            digest
                .as_ref()
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    /// 16 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The marks of the tokens that a change replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// Of the access token, if there was one.
    pub access_token: Option<Fingerprint>,
    /// Of the refresh token, if there was one and it was replaced.
    pub refresh_token: Option<Fingerprint>,
}

/// What every change of a grant or session tells.
#[derive(Clone)]
#[non_exhaustive]
pub struct Changed {
    /// Which record.
    pub key: TokenKey,
    /// Its grant.
    pub grant_id: GrantId,
    /// Its generation. It grows with each, and not by one: it may begin with the time of a login.
    pub generation: u64,
    /// Where the change was made.
    pub origin: Origin,
    /// When, in the store's time.
    pub at: Timestamp,
    /// The marks of what was replaced; known to the process that made the change.
    pub replaced: Option<Replaced>,
    pub(crate) token: Option<Arc<Token>>,
    pub(crate) keeper: WeakKeeper,
}

impl fmt::Debug for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed")
            .field("key", &self.key)
            .field("grant_id", &self.grant_id)
            .field("generation", &self.generation)
            .field("origin", &self.origin)
            .field("at", &self.at)
            .field("replaced", &self.replaced)
            .finish_non_exhaustive()
    }
}

impl Changed {
    /// The token as it is now: at once if the change was made here, else from the store.
    ///
    /// # Errors
    /// As [`Grant::token`](crate::Grant::token), but nothing is refreshed for it.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn token(&self) -> Result<Arc<Token>> {
        match &self.token {
            Some(token) => Ok(Arc::clone(token)),
            None => self
                .keeper
                .upgrade()?
                .stored_token(&self.key)
                .await
                .map(Arc::new),
        }
    }
}

/// A change that has been committed, or a trouble that somebody should know of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenUpdate {
    /// A login, an adoption or a first token of the application itself.
    Issued(Changed),
    /// A new generation of an existing grant.
    Refreshed(Changed),
    /// A refresh failed; the grant lives.
    RefreshFailed {
        /// Which grant.
        grant: Changed,
        /// Why.
        code: ErrorCode,
        /// When the next attempt may be made.
        retry_at: Option<Timestamp>,
    },
    /// The user must log in again.
    NeedsLogin {
        /// Which grant.
        grant: Changed,
        /// Why.
        cause: NeedsLoginCause,
    },
    /// A grant that had been declared dead lives: a late answer arrived.
    Recovered(Changed),
    /// A grant or session ended.
    LoggedOut {
        /// Which one.
        grant: Changed,
        /// Why.
        cause: LogoutCause,
    },
    /// The provider answered, and the store does not take it yet; it is tried until it does.
    CommitPending(Changed),
    /// A refresh token that is kept nowhere any more and could not be revoked without harm.
    Orphaned(Changed),
    /// The provider refuses this registration, or is away: no grant is touched, and it is left alone for a while.
    ProviderDegraded {
        /// Which client.
        client: String,
        /// Why.
        code: ErrorCode,
    },
    /// Something was missed: by this subscriber, or because the store's change feed had a gap. Look at what matters
    /// with `find_tokens`.
    Resync {
        /// How many events this subscriber missed; 0 if the feed had a gap.
        missed: u64,
    },
}

impl TokenUpdate {
    /// The stable name of the kind, in snake case.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Issued(_) => "issued",
            Self::Refreshed(_) => "refreshed",
            Self::RefreshFailed { .. } => "refresh_failed",
            Self::NeedsLogin { .. } => "needs_login",
            Self::Recovered(_) => "recovered",
            Self::LoggedOut { .. } => "logged_out",
            Self::CommitPending(_) => "commit_pending",
            Self::Orphaned(_) => "orphaned",
            Self::ProviderDegraded { .. } => "provider_degraded",
            Self::Resync { .. } => "resync",
        }
    }

    /// What changed, if it is about one grant or session.
    #[must_use]
    pub fn changed(&self) -> Option<&Changed> {
        match self {
            Self::Issued(changed)
            | Self::Refreshed(changed)
            | Self::Recovered(changed)
            | Self::CommitPending(changed)
            | Self::Orphaned(changed)
            | Self::RefreshFailed { grant: changed, .. }
            | Self::NeedsLogin { grant: changed, .. }
            | Self::LoggedOut { grant: changed, .. } => Some(changed),
            Self::ProviderDegraded { .. } | Self::Resync { .. } => None,
        }
    }

    /// Which record it is about, if it is about one.
    #[must_use]
    pub fn key(&self) -> Option<&TokenKey> {
        self.changed().map(|changed| &changed.key)
    }

    /// Equal in all processes for the same change, so that an audit log can drop doubles. Empty for what is no change
    /// of a record.
    #[must_use]
    pub fn id(&self) -> String {
        match self.changed() {
            Some(changed) => {
                let base = format!(
                    "{}.{}.{}",
                    changed.grant_id,
                    changed.generation,
                    self.kind()
                );
                match self {
                    Self::RefreshFailed { .. } => format!("{base}.{}", changed.at.as_millis()),
                    _ => base,
                }
            }
            None => String::new(),
        }
    }
}

/// The subscribers of one registry.
#[derive(Debug)]
pub(crate) struct Events(broadcast::Sender<TokenUpdate>);

impl Events {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(broadcast::Sender::new(capacity.max(1)))
    }

    pub(crate) fn send(&self, update: TokenUpdate) {
        let key = update.key().map(TokenKey::mark);
        tracing::debug!(kind = update.kind(), key = ?key, "token update");
        // An error means that nobody listens.
        let _ = self.0.send(update);
    }

    pub(crate) fn has_subscribers(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(crate) fn subscribe(&self) -> TokenUpdates {
        TokenUpdates {
            stream: BroadcastStream::new(self.0.subscribe()),
            client: None,
            owner: None,
            key: None,
        }
    }
}

/// A stream of [`TokenUpdate`]s; it ends when the registry does.
///
/// # Cancel safety
/// Dropping it, or a future that awaits its next item, loses nothing for others.
#[derive(Debug)]
pub struct TokenUpdates {
    stream: BroadcastStream<TokenUpdate>,
    client: Option<String>,
    owner: Option<String>,
    key: Option<TokenKey>,
}

impl TokenUpdates {
    /// Only what is about one client.
    #[must_use]
    pub fn client(mut self, name: impl Into<String>) -> Self {
        self.client = Some(name.into());
        self
    }

    /// Only what is about one owner's grants and sessions.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Only what is about one record.
    #[must_use]
    pub fn key(mut self, key: TokenKey) -> Self {
        self.key = Some(key);
        self
    }

    fn wants(&self, update: &TokenUpdate) -> bool {
        match update {
            TokenUpdate::Resync { .. } => true,
            TokenUpdate::ProviderDegraded { client, .. } => {
                self.key.is_none()
                    && self.owner.is_none()
                    && self.client.as_ref().is_none_or(|wanted| wanted == client)
            }
            other => other.key().is_some_and(|key| {
                self.client
                    .as_ref()
                    .is_none_or(|wanted| wanted == key.client())
                    && self.owner.as_ref().is_none_or(
                        |wanted| matches!(key.owner(), Owner::User(id) if **id == **wanted),
                    )
                    && self.key.as_ref().is_none_or(|wanted| wanted == key)
            }),
        }
    }
}

impl Stream for TokenUpdates {
    type Item = TokenUpdate;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<TokenUpdate>> {
        loop {
            let update = match std::task::ready!(Pin::new(&mut self.stream).poll_next(context)) {
                Some(Ok(update)) => update,
                Some(Err(BroadcastStreamRecvError::Lagged(missed))) => {
                    TokenUpdate::Resync { missed }
                }
                None => return Poll::Ready(None),
            };
            if self.wants(&update) {
                return Poll::Ready(Some(update));
            }
        }
    }
}
