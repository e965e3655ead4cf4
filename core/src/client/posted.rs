//! An answer that was posted by a page of the provider, where it matters who is signed in: browsers don't send the session
//! along with a form of another site. So the answer waits in a sealed cookie while the browser comes again by itself, and
//! never stands in an address.

use std::time::Duration;

use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{BrowserCookies, CallbackParams, Client, Flow, Redirect, ResponseMode};
use crate::{Error, ErrorCode, Phase, Result};

/// How long the browser may take to come again. It only follows a redirect.
const LIFE: Duration = Duration::from_secs(60);
/// Browsers drop cookies over 4 KiB, and the login's own cookie goes along.
const MAX: usize = 3072;
/// What an answer consists of; providers may add more.
const MEMBERS: [&str; 6] = [
    "code",
    "state",
    "iss",
    "error",
    "error_description",
    "error_uri",
];

impl Client {
    /// For an answer from a browser that sent no session: where the browser comes again, now with its session, if the answer
    /// was posted (`form_post`) and belongs to a login that [connects](crate::AuthorizeRedirect::connect) an account. None
    /// for every other answer, which goes to [`authorize_access_token`](Self::authorize_access_token) at once; that also
    /// takes the second request. `encoded` is the body of the form or the query, `redirect_uri` as there.
    ///
    /// # Errors
    /// `invalid_parameter` for an answer that cannot be read, or is too large for a cookie (about 2 KB); those of loading the
    /// client.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn hold_answer(
        &self,
        encoded: impl AsRef<[u8]> + Send,
        cookies: &BrowserCookies,
        redirect_uri: Option<&str>,
    ) -> Result<Option<Redirect>> {
        let named = |error: Error| error.with_client(self.name());
        let params = CallbackParams::parse(&encoded).map_err(named)?;
        if params.is_state_alone() {
            return Ok(None);
        }
        let oauth = self.oauth()?;
        let state = self.state().await?;
        let redirect_uri = redirect_uri.or(state.resolved.redirect_uri.as_deref());
        let base = oauth.base_for(redirect_uri)?;
        let now = oauth.clock().now();
        let open = params.state().and_then(|state| {
            oauth
                .flow_cookies(&base)
                .open(cookies.iter(), self.name(), state, now)
        });
        // Whoever redeems it says what is wrong with it.
        let Some(flow) = open
            .ok()
            .map(|open| open.flow)
            .filter(|flow| flow.connect.is_some() && flow.response_mode == ResponseMode::FormPost)
        else {
            return Ok(None);
        };
        let mut url: Url = flow.redirect_uri.parse().map_err(|_| {
            named(Error::new(
                ErrorCode::Internal,
                Phase::Callback,
                "the login's redirect URI is no address",
            ))
        })?;
        url.query_pairs_mut()
            .append_pair("state", flow.state.expose());
        let profile = state.resolved.profile_parameter.as_deref();
        let members = form_urlencoded::parse(encoded.as_ref())
            .filter(|(name, _)| MEMBERS.contains(&name.as_ref()) || Some(name.as_ref()) == profile);
        let answer = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(members)
            .finish();
        let answer = Zeroizing::new(answer);
        let mut cookie = oauth.cookie(&base, &name_of(&flow));
        let sealed = oauth
            .ring()
            .seal_text(&bound(self.name(), &cookie.name), answer.as_bytes())?;
        if cookie.name.len() + sealed.len() > MAX {
            return Err(named(Error::new(
                ErrorCode::InvalidParameter,
                Phase::Callback,
                "the posted answer is too large to wait for the session in a cookie: let this client answer with \
                 response_mode=query",
            )));
        }
        cookie.value = sealed.into();
        cookie.max_age = Some(LIFE);
        Ok(Some(Redirect {
            url,
            cookies: vec![cookie],
        }))
    }

    /// The answer that waits for a request that brings nothing but a state.
    pub(super) fn held_answer(
        &self,
        params: &CallbackParams,
        cookies: &BrowserCookies,
        flow: &Flow,
        base: &Url,
    ) -> Option<CallbackParams> {
        if flow.connect.is_none() || !params.is_state_alone() {
            return None;
        }
        let oauth = self.oauth().ok()?;
        let cookie = oauth.cookie(base, &name_of(flow));
        let bound = bound(self.name(), &cookie.name);
        cookies
            .values(&cookie.name)
            .filter_map(|value| oauth.ring().open_text(&bound, value).ok())
            .find_map(|answer| CallbackParams::parse(&*answer).ok())
    }
}

fn name_of(flow: &Flow) -> String {
    format!("tokenkeep-answer-{}", flow.id())
}

/// What an answer is sealed for. The cookie's name says which login it belongs to.
fn bound(client: &str, cookie: &str) -> Vec<u8> {
    format!("tokenkeep answer\0{client}\0{cookie}").into_bytes()
}
