//! What the refresh protocol needs of a client: to which registration it belongs, how its provider behaves, and somebody
//! to ask it.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use super::transition::{Binding, IssuedBy, Login};
use crate::{
    Error, ProviderProfile, Result, Rotation, Secret, Target, TokenKey,
    openid::IssuerRule,
    token::{Record, TokenAnswer, TokenFailure},
};

/// What is known of a client before anything is sent.
#[derive(Clone, Debug)]
pub(crate) struct ClientTerms {
    pub(crate) binding: Binding,
    pub(crate) profile: ProviderProfile,
}

impl ClientTerms {
    /// Does a refresh leave the refresh token as it is?
    pub(crate) fn never_rotates(&self) -> bool {
        self.profile.rotation == Rotation::Never
    }
}

/// What is known of a client at once.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// How long before its expiry it wants a token renewed at least.
    pub(crate) leeway: Option<Duration>,
    /// May its tokens be renewed without being asked to?
    pub(crate) automatic: bool,
    /// The issuer or issuers, where the registration names them.
    pub(crate) issuer: Option<IssuerRule>,
    pub(crate) client_id: Option<String>,
    /// Does the store's change feed tell of its grants?
    pub(crate) followed: bool,
}

impl Known {
    /// Was a grant issued to this registration, as far as both say?
    pub(crate) fn fits(&self, record: &Record) -> bool {
        let issuers = self.issuer.as_ref().zip(record.index.issuer.as_ref());
        let client_ids = self
            .client_id
            .as_ref()
            .zip(record.header.client_id.as_ref());
        issuers.is_none_or(|(known, kept)| known.covers(kept))
            && client_ids.is_none_or(|(known, kept)| known == kept)
    }
}

/// A token request.
pub(crate) struct Ask<'a> {
    pub(crate) key: &'a TokenKey,
    /// None: by the client's own credentials.
    pub(crate) refresh_token: Option<&'a Secret>,
    pub(crate) target: &'a Target,
    pub(crate) timeout: Duration,
}

/// Who asks the providers.
#[async_trait]
pub(crate) trait TokenSource: Send + Sync + fmt::Debug + 'static {
    /// What is known of a client; may load its provider's metadata.
    async fn terms(&self, client: &str) -> Result<ClientTerms>;

    /// Loads what a token request needs. Before any lease is taken: discovery may take as long as a request, and a lease
    /// has no time for both.
    async fn prepare(&self, client: &str) -> Result<()>;

    /// What is known of a client at once, without asking anybody.
    fn known(&self, client: &str) -> Known;

    /// The registered clients whose refresh tokens are to be kept alive, and how long they may be idle.
    fn kept_alive(&self) -> Vec<(String, Duration)> {
        Vec::new()
    }

    /// Sends one token request and reads its answer; nothing else.
    async fn ask(&self, ask: Ask<'_>) -> Result<TokenAnswer, TokenFailure>;

    /// Validates the ID token of a refresh, against what the record says: `before` is the one that it follows. `Ok(false)`:
    /// it cannot be validated now.
    async fn check_id_token(
        &self,
        key: &TokenKey,
        id_token: &Secret,
        before: Option<&Secret>,
        subject: Option<&str>,
    ) -> Result<bool, Error>;

    /// Does the payload of this ID token name another identity? Pure: no keys, no network (rule 10).
    fn names_another(
        &self,
        id_token: &Secret,
        issuer: Option<&str>,
        subject: Option<&str>,
        client_id: &str,
    ) -> bool;

    /// Revokes a token at its provider, if it can be (RFC 7009). No other provider is shown it.
    async fn revoke(
        &self,
        client: &str,
        issued_by: &IssuedBy,
        token: &Secret,
        hint: &str,
    ) -> Result<()>;

    /// Hooks that run behind a commit; their failures are theirs.
    async fn after_update(&self, update: &crate::TokenUpdate);

    /// Hooks that run behind a logout.
    async fn after_logout(&self, key: &TokenKey) -> Result<()>;

    /// May there be somebody to ask for a client's tokens that the store has not?
    fn asks_for_missing(&self, client: &str) -> bool;

    /// Asks for them.
    async fn missing(&self, key: &TokenKey) -> Result<Option<Login>>;

    /// Keys of an owner that a list of the store's records may lack: of grants that live elsewhere, did before, or left
    /// something there.
    fn elsewhere(&self, owner: &str) -> Result<Vec<TokenKey>>;
}
