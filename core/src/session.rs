//! Browser sessions: a sealed cookie that names a session record, and is valid only while that record is there.

mod backchannel;
mod ending;
mod form;
mod frontchannel;
mod logout;
mod marks;

use std::{fmt, sync::Arc, time::Duration};

pub use ending::EndedByProvider;
pub use frontchannel::FrontchannelLogout;
pub use logout::LoggedOut;

use serde::{Deserialize, Serialize};
use serde_json::Map;
use zeroize::Zeroizing;

use crate::{
    BrowserCookies, Cookie, Credential, Error, ErrorCode, Grant, IdTokenClaims, Login, LoginKept,
    LogoutCause, OAuth, Phase, Result, Secret, Target, Timestamp, TokenKey, Userinfo,
    refresh::{ClientTerms, Login as NewRecord, TokenSource},
    registry::Ready,
    store::Index,
    token::{AccessToken, GrantId, Payload, Step},
};

/// A browser's session: who is signed in, through which client.
#[derive(Clone)]
pub struct Session {
    owner: String,
    key: TokenKey,
    csrf: Secret,
    payload: Arc<Payload>,
    claims: Option<IdTokenClaims>,
    userinfo: Option<Userinfo>,
    until: Timestamp,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// The signed-in user, by the application's own id.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The client through which the user signed in.
    #[must_use]
    pub fn client(&self) -> &str {
        self.key.client()
    }

    /// Under which key the session's record is kept.
    #[must_use]
    pub fn key(&self) -> &TokenKey {
        &self.key
    }

    /// The claims of the login, if it was an OpenID Connect login.
    #[must_use]
    pub fn claims(&self) -> Option<&IdTokenClaims> {
        self.claims.as_ref()
    }

    /// What userinfo said, if it was asked at the login, in at most 16 KiB.
    #[must_use]
    pub fn userinfo(&self) -> Option<&Userinfo> {
        self.userinfo.as_ref()
    }

    /// The token that a state-changing request must bring, so that it comes from one of our pages.
    #[must_use]
    pub fn csrf(&self) -> &str {
        self.csrf.expose()
    }

    /// Checks what a request brought as its CSRF token, in constant time.
    ///
    /// # Errors
    /// `csrf_mismatch`.
    pub fn check_csrf(&self, brought: Option<&str>) -> Result<()> {
        if brought.is_some_and(|brought| crate::seal::equal(brought, self.csrf.expose())) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::CsrfMismatch,
            Phase::Session,
            "the request does not prove that it comes from one of the application's own pages",
        ))
    }
}

/// A login that was kept.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeptLogin {
    /// Whose grant it is.
    pub owner: String,
    /// The new session; none if a grant was added to somebody who was signed in already.
    pub session: Option<Session>,
    /// To be set with the answer.
    pub cookies: Vec<Cookie>,
}

/// What the session cookie says, sealed.
#[derive(Serialize, Deserialize)]
struct CookieContent {
    client: String,
    owner: String,
    session: String,
    csrf: Secret,
    until: Timestamp,
}

const COOKIE: &str = "tokenkeep-session";

/// How much of userinfo a session keeps: every request reads it.
const MAX_USERINFO: usize = 16 * 1024;

fn bound(cookie: &str) -> Vec<u8> {
    format!("tokenkeep session\0{cookie}").into_bytes()
}

impl OAuth {
    /// Keeps a login for its owner: renews the grant, and begins a session, unless the login only
    /// [connects](crate::AuthorizeRedirect::connect) an account. `signed_in` is the browser's session at this moment, if it has
    /// one: the new session takes its place, and it ends, whoever planted or left it there.
    ///
    /// A login whose session the provider ended while it was under way is not kept.
    ///
    /// # Errors
    /// `invalid_key` for an owner that cannot be one; `user_changed` if an account was to be connected and somebody else is
    /// signed in by now; `login_required` if the provider ended its session meanwhile; `store_unavailable`, `key_missing`; `missing_store` for a session where only closures keep tokens; whatever
    /// [`before_login_kept`](crate::Hook::before_login_kept) refuses with.
    ///
    /// # Cancel safety
    /// **Not** cancel safe: the grant may be kept, and the session not begun.
    pub async fn keep_login(
        &self,
        login: &Login,
        owner: &str,
        signed_in: Option<&Session>,
    ) -> Result<KeptLogin> {
        self.keep(login, owner, signed_in)
            .await
            .map_err(|error| error.with_client(&login.client))
    }

    /// Keeps a login for its owner without beginning a browser session: what a [device](crate::Client::device_login), a
    /// worker or a command line got. The owner's grant is renewed, as by any other login.
    ///
    /// # Errors
    /// `invalid_key` for an owner that cannot be one; `invalid_token` for what is no access token; `user_changed` for a login
    /// that connects an account: the browser's session says whose that is, so it goes to [`keep_login`](Self::keep_login);
    /// `login_required` if the provider ended its session meanwhile; `store_unavailable`, `key_missing`; whatever
    /// [`before_login_kept`](crate::Hook::before_login_kept) refuses with.
    ///
    /// # Cancel safety
    /// The grant may be kept or not.
    pub async fn keep_grant(&self, login: &Login, owner: &str) -> Result<Grant> {
        self.keep_without_session(login, owner)
            .await
            .map_err(|error| error.with_client(&login.client))?;
        Ok(self.client(&login.client)?.owner(owner))
    }

    async fn keep_without_session(&self, login: &Login, owner: &str) -> Result<()> {
        let ready = self.ready()?;
        if login.connect.is_some() {
            return Err(Error::new(
                ErrorCode::UserChanged,
                Phase::Owner,
                "this login connects an account to whoever is signed in: keep it with keep_login, and the browser's session",
            ));
        }
        let (key, _) = self.write_grant(ready, login, owner, None).await?;
        self.refuse_if_ended(ready, login, &key, None).await
    }

    async fn keep(
        &self,
        login: &Login,
        owner: &str,
        signed_in: Option<&Session>,
    ) -> Result<KeptLogin> {
        let ready = self.ready()?;
        let owner = match &login.connect {
            None => owner,
            Some(connect) if signed_in.is_some_and(|session| session.owner == *connect) => connect,
            Some(_) => {
                return Err(Error::new(
                    ErrorCode::UserChanged,
                    Phase::Owner,
                    "the account was to be connected to somebody who is not signed in any more",
                ));
            }
        };
        let session_id = login.connect.is_none().then(crate::seal::random_id);
        let (key, terms) = self
            .write_grant(ready, login, owner, session_id.clone())
            .await?;
        let Some(session_id) = session_id else {
            self.refuse_if_ended(ready, login, &key, None).await?;
            return Ok(KeptLogin {
                owner: owner.to_owned(),
                session: None,
                cookies: Vec::new(),
            });
        };
        let (session, cookie) = self
            .begin_session(ready, key.clone(), login, session_id, &terms)
            .await?;
        self.refuse_if_ended(ready, login, &key, Some(&session.key))
            .await?;
        if let Some(before) = signed_in {
            self.end_replaced(ready, before).await;
        }
        Ok(KeptLogin {
            owner: owner.to_owned(),
            session: Some(session),
            cookies: vec![cookie],
        })
    }

    /// Ends the session that the browser had before. The browser forgets its cookie either way.
    async fn end_replaced(&self, ready: &Ready, before: &Session) {
        if let Err(error) = ready.end_key(&before.key, LogoutCause::Replaced).await {
            tracing::warn!(key = %before.key.mark(), %error, "a session that another one replaced could not be ended; it ends by its age");
        }
    }

    /// Keeps the owner's grant, if the hooks have nothing against it.
    async fn write_grant(
        &self,
        ready: &Ready,
        login: &Login,
        owner: &str,
        session: Option<String>,
    ) -> Result<(TokenKey, ClientTerms)> {
        let key = TokenKey::new(&login.client, owner)?.account(&login.account)?;
        let client = ready.client_state(&login.client).await?;
        client
            .hooks
            .before_login_kept(&LoginKept { login, owner })
            .await?;
        if session.is_some() {
            // Before anything is kept.
            ready.check_keeps_sessions()?;
        }
        let terms = ready.clients().terms(&login.client).await?;
        let token = &login.token;
        if let Credential::Other { .. } = token.credential {
            return Err(Error::new(
                ErrorCode::InvalidToken,
                Phase::Store,
                "this is no access token, so that nothing can be called with it: use it where it is for, and don't keep it",
            ));
        }
        let now = ready.clock().now();
        let access = AccessToken {
            target: Target::login(),
            token: token.access_token.clone(),
            credential: token.credential.clone(),
            expires_at: token.expires_at,
            issued_at: Some(now),
            scopes: token.scopes.clone(),
            issued_generation: 0,
            unknown: Map::new(),
        };
        let payload = Payload {
            refresh_token: token.refresh_token.clone(),
            id_token: token.id_token.clone(),
            claims: None,
            userinfo: None,
            access_tokens: vec![access],
            session,
            unknown: Map::new(),
        };
        let record = NewRecord {
            attempt: crate::seal::random_id(),
            grant_id: GrantId::random(),
            index: index_of(login),
            client_id: Some(login.client_id.clone()),
            payload,
            never_rotates: terms.never_rotates(),
            step: Step::Login,
            client_credentials: false,
        };
        ready.keeper().keep_login(&key, record, &terms).await?;
        Ok((key, terms))
    }

    async fn begin_session(
        &self,
        ready: &Ready,
        grant: TokenKey,
        login: &Login,
        id: String,
        terms: &ClientTerms,
    ) -> Result<(Session, Cookie)> {
        let owner = grant.owner_column().to_owned();
        let key = grant.clone().session(&id)?;
        let until = ready.clock().now() + ready.session_lifetime();
        let claims = login
            .claims
            .as_ref()
            .map(serde_json::to_value)
            .transpose()
            .map_err(unwritable)?;
        let userinfo = login
            .userinfo
            .as_ref()
            .map(serde_json::to_value)
            .transpose()
            .map_err(unwritable)?
            .filter(|text| text.as_str().is_some_and(|text| text.len() <= MAX_USERINFO));
        let payload = Payload {
            id_token: login.token.id_token.clone(),
            claims,
            userinfo,
            ..Payload::default()
        };
        let index = Index {
            grant_expires_at: Some(until),
            // Its cookie is over by then.
            purge_at: Some(until + Duration::from_secs(24 * 3600)),
            ..index_of(login)
        };
        let record = NewRecord {
            attempt: crate::seal::random_id(),
            grant_id: GrantId::random(),
            index,
            client_id: Some(login.client_id.clone()),
            payload: payload.clone(),
            never_rotates: true,
            step: Step::Login,
            client_credentials: false,
        };
        ready.keeper().keep_login(&key, record, terms).await?;
        // Forgetting ends grants first and sessions then, and this looks the other way round: one of the two sees it.
        if ready.keeper().is_forgotten(&grant).await? {
            let keeper = ready.keeper();
            keeper.forget_record(&key).await?;
            return Err(keeper.forgotten_meanwhile(&grant));
        }

        let content = CookieContent {
            client: login.client.clone(),
            owner: owner.clone(),
            session: id,
            csrf: Secret::new(crate::seal::random_id()),
            until,
        };
        let base = match &login.base {
            Some(base) => base.clone(),
            None => ready.base_for(None)?,
        };
        let mut cookie = ready.cookie(&base, COOKIE);
        let plain = Zeroizing::new(serde_json::to_vec(&content).map_err(unwritable)?);
        cookie.value = ready.ring().seal_text(&bound(&cookie.name), &plain)?.into();
        cookie.max_age = Some(ready.session_lifetime());
        let session = Session {
            owner,
            key,
            csrf: content.csrf,
            claims: login.claims.clone(),
            userinfo: payload
                .userinfo
                .is_some()
                .then(|| login.userinfo.clone())
                .flatten(),
            payload: Arc::new(payload),
            until,
        };
        Ok((session, cookie))
    }

    /// The browser's session, if it has one that is still there. It ends in all processes, by logout in any of them, by its
    /// age, or when its record is deleted: as soon as the store's change feed brings it, or without a feed within
    /// [`snapshot_age`](crate::OAuthBuilder::snapshot_age).
    ///
    /// # Errors
    /// `store_unavailable`: unlike a token, a session is not served on doubt.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn session(&self, cookies: &BrowserCookies) -> Result<Option<Session>> {
        let ready = self.ready()?;
        let now = ready.clock().now();
        for name in ready.cookie_names(COOKIE) {
            for value in cookies.values(&name) {
                let Ok(plain) = ready.ring().open_text(&bound(&name), value) else {
                    continue;
                };
                let Ok(content) = serde_json::from_slice::<CookieContent>(&plain) else {
                    continue;
                };
                if content.until <= now {
                    continue;
                }
                let key =
                    TokenKey::new(&content.client, &content.owner)?.session(&content.session)?;
                let snapshot = ready.keeper().session(&key).await?;
                if let Some(payload) = snapshot.and_then(|snapshot| snapshot.session.clone()) {
                    return Ok(Some(Session {
                        owner: content.owner,
                        key,
                        csrf: content.csrf,
                        claims: kept(&payload.claims),
                        userinfo: kept(&payload.userinfo),
                        payload,
                        until: content.until,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// Is a session that was found earlier still there? Whoever goes on serving it, such as a stream of events, asks now
    /// and then.
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn is_signed_in(&self, session: &Session) -> Result<bool> {
        let ready = self.ready()?;
        if session.until <= ready.clock().now() {
            return Ok(false);
        }
        let snapshot = ready.keeper().session(&session.key).await?;
        Ok(snapshot.is_some_and(|snapshot| snapshot.session.is_some()))
    }
}

/// Reads what a session keeps.
fn kept<T: serde::de::DeserializeOwned>(value: &Option<serde_json::Value>) -> Option<T> {
    T::deserialize(value.as_ref()?).ok()
}

fn index_of(login: &Login) -> Index {
    Index {
        issuer: Some(login.issuer.clone()),
        subject: login.subject().map(str::to_owned),
        sid: login
            .claims
            .as_ref()
            .and_then(|claims| claims.sid())
            .map(str::to_owned),
        access_expires_at: None,
        grant_expires_at: None,
        changed_at: Timestamp::default(),
        purge_at: None,
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(
        ErrorCode::Internal,
        Phase::Session,
        "a session cannot be written",
    )
    .with_source(error)
}
