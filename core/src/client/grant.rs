//! What somebody has granted at a client: the handle by which its tokens are used, renewed and ended.

use std::sync::Arc;

use reqwest::{Method, Request, header::HeaderValue};

use super::{ApiRequest, Client, api::Bearer};
use crate::{
    Error, ErrorCode, GrantId, NeedsLoginCause, Owner, Result, Target, Timestamp, Token, TokenKey,
    Userinfo,
    events::LogoutCause,
    refresh::{Entry, Held, IssuedBy, Keeper, Need},
    store::{Index, TokenSummary},
    token::{Payload, Record, Sealing, State},
};

/// What an owner (or the application itself) has granted at a client. Nothing is looked up before it is used.
#[derive(Clone, Debug)]
pub struct Grant {
    client: Client,
    key: Result<TokenKey, Arc<Error>>,
    target: Target,
}

impl Grant {
    pub(super) fn new(client: Client, key: Result<TokenKey>) -> Self {
        Self {
            client,
            key: key.map_err(Arc::new),
            target: Target::login(),
        }
    }

    /// Another of the owner's accounts at this client.
    #[must_use]
    pub fn account(self, label: &str) -> Self {
        let key = self
            .key
            .and_then(|key| key.account(label).map_err(Arc::new));
        Self { key, ..self }
    }

    /// Says to which client an error happened, and where the user logs in to this account again.
    pub(super) fn explained(&self, error: Error) -> Error {
        match &self.key {
            Ok(key) => self.client.explained_of(Some(key), error),
            Err(_) => self.client.explained(error),
        }
    }

    /// A token for these scopes, kept beside the login's own.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.target = Target::new(std::mem::take(&mut self.target.resources), scopes);
        self
    }

    /// A token for this resource (RFC 8707), kept beside the login's own.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        let mut resources = std::mem::take(&mut self.target.resources);
        resources.push(resource.into());
        self.target = Target::new(resources, std::mem::take(&mut self.target.scopes));
        self
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Under which key its record is kept.
    ///
    /// # Errors
    /// `invalid_key` if owner or label cannot be one.
    pub fn key(&self) -> Result<&TokenKey> {
        self.key
            .as_ref()
            .map_err(|error| error.duplicate().with_client(self.client.name()))
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn keeper(&self) -> Result<&Keeper> {
        Ok(self.client.oauth()?.keeper())
    }

    /// A token that may be used now: the one that is kept, renewed if it is over.
    ///
    /// # Errors
    /// `login_required`, `identity_changed`: the user must log in. `refresh_unavailable`, `provider_unavailable`,
    /// `provider_error`, `store_unavailable`: not at this moment, and [`retry_after`](Error::retry_after) may say when.
    /// `key_missing`: the ring lacks its key.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing: a refresh that it waited for goes on.
    pub async fn token(&self) -> Result<Token> {
        self.keeper()?
            .token(self.key()?, &self.target, Need::default(), Held::token)
            .await
            .map_err(|error| self.explained(error))
    }

    /// A handle whose [`header`](Kept::header) is ready without a look-up: for hot paths.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub fn kept(&self) -> Result<Kept> {
        let (keeper, key) = (self.keeper()?.clone(), self.key()?.clone());
        let entry = keeper.snapshots().entry(&key);
        let clock = Arc::clone(keeper.clock());
        Ok(Kept {
            keeper,
            key,
            target: self.target.clone(),
            entry,
            clock,
        })
    }

    /// Renews now, whatever the expiry says. Callers who ask at once share one refresh.
    ///
    /// # Errors
    /// As [`token`](Self::token); `unsupported` for OAuth 1.0a, whose tokens last until they are revoked.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the refresh.
    pub async fn refresh(&self) -> Result<Token> {
        self.client.refuse_oauth1().await?;
        self.keeper()?
            .force(self.key()?, &self.target)
            .await
            .map_err(|error| self.explained(error))
    }

    /// Lets the access token count as expired for the whole fleet, so that its next use renews it. With a generation only
    /// if that is still the current one. Answers whether anything changed.
    ///
    /// # Errors
    /// `store_unavailable`, `invalid_record`.
    pub async fn invalidate(&self, generation: Option<u64>) -> Result<bool> {
        self.keeper()?.expire(self.key()?, generation).await
    }

    /// Logs the grant out here, for the whole fleet: only a new login brings it back. The provider is not told.
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// The grant may be logged out or not.
    pub async fn log_out(&self) -> Result<()> {
        self.end(LogoutCause::Requested).await.map(drop)
    }

    /// Logs the grant out here and revokes its tokens at the provider (RFC 7009), where that can be done. It ends here
    /// even if the provider is down: the revocation goes on in the background, with retries.
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// The grant may be logged out or not; once it is, the revocation goes on.
    pub async fn revoke(&self) -> Result<()> {
        let keeper = self.keeper()?;
        let key = self.key()?;
        let (issued_by, held) = self.end(LogoutCause::Revoked).await?;
        if let Some(payload) = held {
            keeper.revoke_all_later(key, issued_by, *payload);
        }
        Ok(())
    }

    /// Ends it. Answers what it held, and of whom.
    async fn end(&self, cause: LogoutCause) -> Result<(IssuedBy, Option<Box<Payload>>)> {
        let (keeper, key) = (self.keeper()?, self.key()?);
        let record = keeper.first_look(key).await?;
        let first = record.as_ref().map(|record| record.header.grant_id);
        let issued_by = record.as_ref().map(IssuedBy::of).unwrap_or_default();
        Ok((issued_by, keeper.log_out(key, first, cause).await?))
    }

    /// What is known of the grant, without its secrets. None if there never was one.
    ///
    /// # Errors
    /// `store_unavailable`, `invalid_record`.
    pub async fn info(&self) -> Result<Option<GrantInfo>> {
        let key = self.key()?;
        Ok(self
            .keeper()?
            .first_look(key)
            .await?
            .map(|record| GrantInfo::of(key.clone(), &record)))
    }

    /// Asks the provider who the user is, now (OpenID Connect Core section 5.3).
    ///
    /// # Errors
    /// As [`token`](Self::token); `subject_mismatch` if the answer is about somebody else; `unsupported` or
    /// `invalid_metadata` without a userinfo endpoint.
    pub async fn userinfo(&self) -> Result<Userinfo> {
        let subject = self
            .keeper()?
            .first_look(self.key()?)
            .await?
            .and_then(|record| record.index.subject);
        self.client
            .userinfo_of(Bearer::Kept(self.clone()), subject.as_deref())
            .await
            .map_err(|error| self.explained(error))
    }

    /// A GET; a path is relative to the client's `api_base_url`.
    pub fn get(&self, path: &str) -> ApiRequest {
        self.request(Method::GET, path)
    }

    /// A POST.
    pub fn post(&self, path: &str) -> ApiRequest {
        self.request(Method::POST, path)
    }

    /// A PUT.
    pub fn put(&self, path: &str) -> ApiRequest {
        self.request(Method::PUT, path)
    }

    /// A PATCH.
    pub fn patch(&self, path: &str) -> ApiRequest {
        self.request(Method::PATCH, path)
    }

    /// A DELETE.
    pub fn delete(&self, path: &str) -> ApiRequest {
        self.request(Method::DELETE, path)
    }

    /// Any request.
    pub fn request(&self, method: Method, path: &str) -> ApiRequest {
        ApiRequest::new(
            self.client.clone(),
            Bearer::Kept(self.clone()),
            method,
            path,
        )
    }

    /// A request that was built elsewhere, by reqwest or by a generated client. Its URL is whole, and of an allowed origin.
    pub fn execute(&self, request: Request) -> ApiRequest {
        ApiRequest::of(self.client.clone(), Bearer::Kept(self.clone()), request)
    }
}

/// A kept token that is used often: its header is ready in memory, as long as nothing says otherwise.
#[derive(Clone, Debug)]
pub struct Kept {
    keeper: Keeper,
    key: TokenKey,
    target: Target,
    entry: Arc<Entry>,
    clock: Arc<dyn crate::Clock>,
}

impl Kept {
    /// The value of the `Authorization` header: at once if the token is in memory, not over, and not to be renewed yet.
    ///
    /// # Errors
    /// As [`Grant::token`]; `unsupported` for a token that is no bearer token.
    ///
    /// # Cancel safety
    /// As [`Grant::token`].
    pub async fn header(&self) -> Result<HeaderValue> {
        match self.ready() {
            Some(header) => Ok(header),
            // In a box: the way through the store is long, and this future is moved about.
            None => Box::pin(self.keeper.header(&self.key, &self.target)).await,
        }
    }

    /// The header, if it is ready. No lock, no allocation, no wait.
    #[must_use]
    pub fn ready(&self) -> Option<HeaderValue> {
        self.keeper
            .snapshots()
            .ready(&self.entry, &self.target, self.clock.monotonic())
    }
}

/// Where a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantState {
    /// Its tokens can be used.
    Active,
    /// The user must log in again.
    NeedsLogin(NeedsLoginCause),
    /// It ended; only a new login brings it back.
    LoggedOut,
    /// Its record cannot be read by this version: `invalid_record` or `unsupported_format`. It is left as it is.
    Unreadable(ErrorCode),
}

impl GrantState {
    /// The stable name: `active`, `needs_login`, `logged_out` or `unreadable`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsLogin(_) => "needs_login",
            Self::LoggedOut => "logged_out",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// What is known of a grant or session, without its secrets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GrantInfo {
    /// Under which key it is kept.
    pub key: TokenKey,
    /// Where it stands.
    pub state: GrantState,
    /// Its grant; none if its record is unreadable.
    pub grant_id: Option<GrantId>,
    /// Its generation.
    pub generation: u64,
    /// When the login's access token expires, if that is known. Readable without a key.
    pub expires_at: Option<Timestamp>,
    /// When the grant or session itself ends, if that is known.
    pub ends_at: Option<Timestamp>,
    /// Can it be renewed without the user?
    pub refreshable: bool,
    /// The `token_type`; none if the record cannot be opened, or holds no token.
    pub token_type: Option<String>,
    /// The granted scopes; none if they are unknown, or the record cannot be opened.
    pub scopes: Option<Vec<String>>,
    /// The issuer (or token endpoint) that issued the tokens.
    pub issuer: Option<String>,
    /// The provider's id of the user.
    pub subject: Option<String>,
    /// The provider's session id.
    pub sid: Option<String>,
    /// When it was written last.
    pub changed_at: Timestamp,
    /// From when on it is purged.
    pub purge_at: Option<Timestamp>,
    /// The id of the key that sealed its secrets; none if it has none, or they are kept in plain.
    pub sealed_by: Option<String>,
    /// Does this process open it? False also for what has no secrets.
    pub opens: bool,
}

impl GrantInfo {
    /// Since when it stands, to about a second: the last login, or the adoption. Where closures keep it, when this process
    /// saw it first.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        // So that a key never repeats one, a login's generation is its time in milliseconds; each renewal adds one.
        Timestamp::from_millis(i64::try_from(self.generation).unwrap_or(i64::MAX))
    }

    pub(crate) fn of(key: TokenKey, record: &Record) -> Self {
        let access = record.payload().and_then(|payload| {
            payload
                .access(&Target::login())
                .or_else(|| payload.access_tokens.first())
        });
        Self {
            state: match record.header.state {
                State::Active => GrantState::Active,
                State::NeedsLogin { cause } => GrantState::NeedsLogin(cause),
                State::LoggedOut => GrantState::LoggedOut,
            },
            grant_id: Some(record.header.grant_id),
            generation: record.header.generation,
            expires_at: record.index.access_expires_at.or_else(|| {
                // A grant of the application itself has no token of a login.
                access
                    .filter(|_| *key.owner() == Owner::App)
                    .and_then(|access| access.expires_at)
            }),
            refreshable: record.header.refreshable,
            token_type: access.map(|access| access.credential.token_type().to_owned()),
            scopes: access.and_then(|access| access.scopes.clone()),
            sealed_by: record.sealed_by().map(str::to_owned),
            opens: record.payload().is_some(),
            ..Self::of_index(key, &record.index)
        }
    }

    /// The same of a record as a store found it: one that cannot be read shows its columns.
    pub(crate) fn found(summary: TokenSummary, sealing: &Sealing) -> Self {
        let TokenSummary { key, record } = summary;
        let (generation, index) = (record.generation, record.index.clone());
        match Record::survey(&key, record, sealing) {
            Ok(record) => Self::of(key, &record),
            Err(error) => Self {
                state: GrantState::Unreadable(error.code()),
                generation,
                expires_at: index.access_expires_at,
                ..Self::of_index(key, &index)
            },
        }
    }

    fn of_index(key: TokenKey, index: &Index) -> Self {
        Self {
            key,
            state: GrantState::LoggedOut,
            grant_id: None,
            generation: 0,
            expires_at: None,
            ends_at: index.grant_expires_at,
            refreshable: false,
            token_type: None,
            scopes: None,
            issuer: index.issuer.clone(),
            subject: index.subject.clone(),
            sid: index.sid.clone(),
            changed_at: index.changed_at,
            purge_at: index.purge_at,
            sealed_by: None,
            opens: false,
        }
    }
}
