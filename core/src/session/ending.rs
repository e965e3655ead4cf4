//! How sessions end, and what ends with them.

use std::time::Duration;

use crate::{
    Error, ErrorCode, LogoutCause, Phase, Result, SigningAlgorithm, Slot, Target, TokenKey,
    client::ClientState,
    openid::algorithm_of,
    refresh::IssuedBy,
    registry::Ready,
    store::{Page, TokenQuery, TokenSummary},
    token::{Payload, Record, State},
};

const PAGE: u32 = 200;

/// How many pages of one user's records are read at most: a store that never ends its list must not keep a logout for ever.
const PAGES: usize = 500;

/// What ended because the provider ended its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedByProvider {
    /// How many sessions.
    pub sessions: usize,
    /// How many grants.
    pub grants: usize,
}

/// Whose sessions a provider ended.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    pub(super) issuer: String,
    pub(super) of: Of,
    /// By which the provider signed it, if it did.
    pub(super) algorithm: Option<SigningAlgorithm>,
}

/// One of an issuer's sessions, or all of a user's.
#[derive(Clone, Debug)]
pub(super) enum Of {
    /// That of the provider's session `sid`, of this user if one is named; then also the user's sessions without any `sid`.
    Session {
        sid: String,
        subject: Option<String>,
    },
    /// All of a user's.
    Subject(String),
}

impl Whose {
    /// Is it known to be another of the provider's sessions? One whose ID token named none is not.
    fn is_another_session(&self, found: &TokenSummary) -> bool {
        match (&self.of, &found.record.index.sid) {
            (Of::Session { sid, .. }, Some(other)) => sid != other,
            _ => false,
        }
    }

    /// A logout token is signed as the client's ID tokens are (OpenID Connect Back-Channel Logout section 2.6): as the one
    /// that came with what it ends.
    ///
    /// # Errors
    /// `invalid_logout_token`.
    fn check_algorithm(&self, ended: Option<&Payload>) -> Result<()> {
        let id_token = ended.and_then(|payload| payload.id_token.as_ref());
        let of_id_token = id_token.and_then(|raw| algorithm_of(raw.expose()));
        match (self.algorithm, of_id_token) {
            (Some(algorithm), Some(other)) if algorithm != other => Err(Error::new(
                ErrorCode::InvalidLogoutToken,
                Phase::Logout,
                format!(
                    "the logout token is signed by {algorithm}, and the session's ID token by {other}: register the client at \
                     the provider with one id_token_signed_response_alg"
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl Ready {
    /// Refuses where what a provider's logout ends cannot be found.
    ///
    /// # Errors
    /// `missing_store`, `unsupported`.
    pub(super) fn check_finds_sessions(&self) -> Result<()> {
        self.check_keeps_sessions()?;
        if self.keeper().store().capabilities().find {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Unsupported,
            Phase::Logout,
            format!(
                "a logout by the provider needs the capability \"find\", which the store {:?} has not: no session can be found by its sid",
                self.keeper().store().name()
            ),
        ))
    }

    /// Ends what stands under a key at this moment.
    pub(super) async fn end_key(&self, key: &TokenKey, cause: LogoutCause) -> Result<()> {
        let first = self.keeper().first_look(key).await?;
        let first = first.map(|record| record.header.grant_id);
        self.keeper().log_out(key, first, cause).await.map(drop)
    }

    /// Ends the grant that this session renewed last, unless it outlives the provider's session. Answers whether it did.
    pub(super) async fn end_grant_of(
        &self,
        state: &ClientState,
        session: &TokenKey,
        cause: LogoutCause,
    ) -> Result<bool> {
        let Slot::Session(id) = session.slot() else {
            return Ok(false);
        };
        let key = TokenKey::new(session.client(), session.owner_column())?;
        self.end_grant(state, &key, Some(id), cause).await
    }

    /// Ends a grant unless it outlives the provider's session: the one that this session renewed last, or any login.
    pub(super) async fn end_grant(
        &self,
        state: &ClientState,
        key: &TokenKey,
        session: Option<&str>,
        cause: LogoutCause,
    ) -> Result<bool> {
        let record = self.keeper().first_look(key).await?;
        let Some(record) = record.filter(|record| record.header.state != State::LoggedOut) else {
            return Ok(false);
        };
        let ends = |payload: &Payload| {
            is_bound(state, payload)
                && session.is_none_or(|session| payload.session.as_deref() == Some(session))
        };
        if !state.resolved.revoke_at_logout && !record.payload().is_some_and(ends) {
            return Ok(false);
        }
        match self.end_grant_at(state, key, &record, cause).await {
            // Closures that delete nothing: the browser is logged out all the same.
            Err(error) if error.code() == ErrorCode::Unsupported => {
                tracing::warn!(key = %key.mark(), %error, "the grant of a session that ended stays");
                Ok(false)
            }
            ended => ended.map(|()| true),
        }
    }

    /// Ends one grant, and revokes it if the registration says so. It ends here first, and nobody waits for the provider.
    async fn end_grant_at(
        &self,
        state: &ClientState,
        key: &TokenKey,
        record: &Record,
        cause: LogoutCause,
    ) -> Result<()> {
        let grant_id = record.header.grant_id;
        let held = self.keeper().log_out(key, Some(grant_id), cause).await?;
        if let Some(payload) = held.filter(|_| state.resolved.revoke_at_logout) {
            let issued_by = IssuedBy::of(record);
            self.keeper().revoke_all_later(key, issued_by, *payload);
        }
        Ok(())
    }

    /// Ends, in the whole fleet, the sessions that a provider ended, and the grants that were bound to them. What cannot be
    /// ended keeps nothing else from ending.
    ///
    /// # Errors
    /// The first of what went wrong.
    pub(super) async fn end_by_provider(
        &self,
        state: &ClientState,
        whose: &Whose,
    ) -> Result<EndedByProvider> {
        let mut query = TokenQuery {
            client: Some(state.name().to_owned()),
            issuer: Some(whose.issuer.clone()),
            ..TokenQuery::default()
        };
        match &whose.of {
            // Not by `sid`: a session whose ID token named none may be the one.
            Of::Session {
                subject: Some(subject),
                ..
            } => query.subject = Some(subject.clone()),
            Of::Session { sid, subject: None } => query.sid = Some(sid.clone()),
            Of::Subject(subject) => query.subject = Some(subject.clone()),
        }
        let (mut ended, mut failed) = (EndedByProvider::default(), None);
        let mut page = Page::first(PAGE);
        for _ in 0..PAGES {
            let found = self.keeper().find(&query, page).await?;
            for summary in found.items {
                if whose.is_another_session(&summary) {
                    continue;
                }
                let key = summary.key.clone();
                if let Err(error) = self.end_found(state, whose, summary, &mut ended).await {
                    tracing::warn!(key = %key.mark(), %error, "what the provider ended could not be ended here");
                    failed.get_or_insert(error);
                }
            }
            match (found.next, failed) {
                (Some(next), none_yet) => (page, failed) = (Page::after(next, PAGE), none_yet),
                (None, None) => return Ok(ended),
                (None, Some(error)) => return Err(error),
            }
        }
        Err(Error::new(
            ErrorCode::StoreUnavailable,
            Phase::Store,
            format!("the store lists more than {PAGES} pages of one user"),
        ))
    }

    /// Ends one record that was found, unless somebody logged in again since.
    async fn end_found(
        &self,
        state: &ClientState,
        whose: &Whose,
        found: TokenSummary,
        ended: &mut EndedByProvider,
    ) -> Result<()> {
        let TokenSummary { key, record } = found;
        let record = Record::survey(&key, record, self.sealing())?;
        if record.header.state == State::LoggedOut {
            return Ok(());
        }
        whose.check_algorithm(record.payload())?;
        let grant_id = record.header.grant_id;
        if !key.is_account() {
            self.keeper()
                .log_out(&key, Some(grant_id), LogoutCause::Provider)
                .await?;
            ended.sessions += 1;
            // The grant may be kept where no list reaches.
            let grant = self
                .end_grant_of(state, &key, LogoutCause::Provider)
                .await?;
            ended.grants += usize::from(grant);
            return Ok(());
        }
        let bound = |payload: &Payload| is_bound(state, payload);
        if state.resolved.revoke_at_logout || record.payload().is_some_and(bound) {
            self.end_grant_at(state, &key, &record, LogoutCause::Provider)
                .await?;
            ended.grants += 1;
        }
        Ok(())
    }

    /// For how long a logout is remembered for logins that are under way.
    pub(super) fn longest_login() -> Duration {
        // A minute for what comes behind the callback.
        crate::client::MAX_FLOW_LIFE + Duration::from_secs(60)
    }
}

/// Was a grant issued for the time of the provider's session only (OpenID Connect Core section 11)?
fn is_bound(state: &ClientState, payload: &Payload) -> bool {
    let outlives = payload.access(&Target::login()).is_some_and(|access| {
        let mut scopes = access.scopes.iter().flatten();
        scopes.any(|scope| scope == "offline_access")
    });
    state.resolved.is_openid() && !outlives
}
