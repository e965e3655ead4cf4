//! Front-channel logout: a page of the provider's loads an address of ours in a frame (OpenID Connect Front-Channel
//! Logout 1.0).

use super::{
    COOKIE,
    ending::{EndedByProvider, Of, Whose},
    form,
};
use crate::{
    BrowserCookies, Client, Cookie, Error, ErrorCode, LogoutCause, Phase, Result, openid::is_unfit,
};

/// What a front-channel logout came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FrontchannelLogout {
    /// What ended.
    pub ended: EndedByProvider,
    /// To be set with the answer.
    pub cookies: Vec<Cookie>,
}

impl Client {
    /// Ends the session that `iss` and `sid` of the query name, in all processes, as
    /// [`backchannel_logout`](Self::backchannel_logout) does. Nothing proves that the provider asks for it but the `sid`, which
    /// nobody else can guess.
    ///
    /// The session is found by its `sid`, not by the browser's cookie: browsers send that (SameSite=Lax) into no frame of another
    /// site, and a request that is recognised by it could be made by any page. So without `iss` and `sid` nothing ends, unless
    /// the registration says
    /// [`dangerously_allow_frontchannel_logout_by_cookie`](crate::Registration::dangerously_allow_frontchannel_logout_by_cookie).
    ///
    /// That nothing was there to end is no error. The answer should be an empty page with `Cache-Control: no-store` that the
    /// provider's page may frame.
    ///
    /// # Errors
    /// `missing_parameter`, `invalid_parameter` for the query, also if `iss` is not this client's issuer;
    /// `store_unavailable`; `unsupported` where the store has no `find_tokens`, `missing_store` without a store;
    /// `unknown_client`, and those of loading the metadata if the registration does not name the issuer.
    ///
    /// # Cancel safety
    /// **Not** cancel safe: some of what is to end may be left.
    pub async fn frontchannel_logout(
        &self,
        query: &str,
        cookies: &BrowserCookies,
    ) -> Result<FrontchannelLogout> {
        self.end_by_query(query, cookies)
            .await
            .map_err(|error| error.with_client(self.name()))
    }

    async fn end_by_query(
        &self,
        query: &str,
        cookies: &BrowserCookies,
    ) -> Result<FrontchannelLogout> {
        let ready = self.registry().ready()?;
        let state = self.state().await?;
        ready.check_finds_sessions()?;
        let (issuer, sid) = match form::read(query.as_bytes(), ["iss", "sid"])? {
            [Some(issuer), Some(sid)] => (issuer, sid),
            [None, None] if state.resolved.frontchannel_by_cookie => {
                return self.end_by_cookie(cookies).await;
            }
            [None, None] => {
                return Err(missing(
                    "iss and sid are missing: register the client at the provider with frontchannel_logout_session_required",
                ));
            }
            _ => return Err(missing("of iss and sid one is missing")),
        };
        let rule = state.issuer_rule().await?;
        if !rule.is_some_and(|rule| rule.covers(issuer.expose())) {
            return Err(form::invalid("iss is not the issuer of this client"));
        }
        let sid_text = sid.expose();
        if sid_text.is_empty() || is_unfit(sid_text) {
            return Err(form::invalid(
                "sid is not 1 to 255 bytes without control characters",
            ));
        }
        let whose = Whose {
            issuer: issuer.expose().to_owned(),
            of: Of::Session {
                sid: sid_text.to_owned(),
                subject: None,
            },
            algorithm: None,
        };
        let ended = ready.end_by_provider(&state, &whose).await?;
        Ok(FrontchannelLogout {
            ended,
            cookies: Vec::new(),
        })
    }

    /// Ends the browser's own session, if it is of this client.
    async fn end_by_cookie(&self, cookies: &BrowserCookies) -> Result<FrontchannelLogout> {
        let ready = self.registry().ready()?;
        let session = self.registry().session(cookies).await?;
        let Some(session) = session.filter(|session| session.client() == self.name()) else {
            return Ok(FrontchannelLogout::default());
        };
        // Before anything ends: without an address no cookie could be taken back.
        let base = ready.base_for(None)?;
        ready.end_key(&session.key, LogoutCause::Provider).await?;
        let state = self.state().await?;
        let grant = ready
            .end_grant_of(&state, &session.key, LogoutCause::Provider)
            .await?;
        Ok(FrontchannelLogout {
            ended: EndedByProvider {
                sessions: 1,
                grants: usize::from(grant),
            },
            cookies: vec![ready.cookie(&base, COOKIE).removal()],
        })
    }
}

fn missing(message: &str) -> Error {
    Error::new(ErrorCode::MissingParameter, Phase::Logout, message)
}
