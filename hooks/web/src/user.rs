//! Who is signed in.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use tokenkeep_core::{self as core, ErrorCode, Grant, OAuth, Phase, Session};

use crate::{
    BadBody, Error,
    request::{browser_cookies, changes_something, is_form},
};

/// The header in which a request brings its CSRF token.
const CSRF_HEADER: &str = "x-csrf-token";

/// Who is signed in; the hooks' type of this name says more.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub(crate) oauth: OAuth,
    pub(crate) session: Session,
}

impl SignedIn {
    /// The signed-in user, by the application's own id.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.session.owner()
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What the user has granted at a client.
    ///
    /// # Errors
    /// `unknown_client`.
    pub fn grant(&self, client: &str) -> core::Result<Grant> {
        Ok(self.oauth.client(client)?.owner(self.owner()))
    }

    /// Who a request comes from, if anybody is signed in: one that may change something brings the CSRF token in its header.
    ///
    /// # Errors
    /// `csrf_mismatch`; `store_unavailable`.
    pub async fn optional(
        oauth: &OAuth,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, Error> {
        let user = Self::read(oauth, headers).await?;
        if let Some(user) = user.as_ref().filter(|_| changes_something(method)) {
            user.check_csrf(csrf_header(headers), headers)?;
        }
        Ok(user)
    }

    /// The same of whoever must be signed in.
    ///
    /// # Errors
    /// As [`optional`](Self::optional); `not_signed_in`.
    pub async fn required(
        oauth: &OAuth,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Self, Error> {
        let user = Self::optional(oauth, method, headers).await?;
        user.ok_or_else(|| Self::nobody(headers))
    }

    /// On whose behalf a request runs that no handler has looked at yet: of who is signed in. One that may change something
    /// and brings no CSRF token is nobody's, for another site can send it: its form may still bring one.
    ///
    /// # Errors
    /// `csrf_mismatch` for a wrong token; `store_unavailable`; with `is_required`, `not_signed_in`, and `csrf_mismatch` for a missing one.
    pub async fn current(
        oauth: &OAuth,
        method: &Method,
        headers: &HeaderMap,
        is_required: bool,
    ) -> Result<Option<Self>, Error> {
        if is_required {
            return Self::required(oauth, method, headers).await.map(Some);
        }
        if changes_something(method) && csrf_header(headers).is_none() {
            return Ok(None);
        }
        Self::optional(oauth, method, headers).await
    }

    /// Runs what stands behind a layer on behalf of a user, if there is one.
    pub async fn run<F: Future>(user: Option<Self>, behind: F) -> F::Output {
        match user {
            Some(user) => core::as_owner(user.owner(), behind).await,
            None => behind.await,
        }
    }

    async fn read(oauth: &OAuth, headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let session = oauth
            .session(&browser_cookies(headers))
            .await
            .map_err(|error| Error::from(error).answering(headers))?;
        Ok(session.map(|session| Self {
            oauth: oauth.clone(),
            session,
        }))
    }

    /// Nobody is signed in.
    #[must_use]
    pub fn nobody(headers: &HeaderMap) -> Error {
        Error::from(core::Error::new(
            ErrorCode::NotSignedIn,
            Phase::Session,
            "nobody is signed in",
        ))
        .answering(headers)
    }

    fn check_csrf(&self, brought: Option<&str>, headers: &HeaderMap) -> Result<(), Error> {
        self.session
            .check_csrf(brought)
            .map_err(|error| Error::from(error).answering(headers))
    }
}

fn csrf_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(CSRF_HEADER)?.to_str().ok()
}

/// Who is signed in, and a posted form: the CSRF token is its field `csrf`, or the header `x-csrf-token`. The body is read
/// for whoever is signed in only.
///
/// # Errors
/// `not_signed_in`; `csrf_mismatch`; `invalid_parameter` for a form that cannot be read; `store_unavailable`.
pub async fn read_form<T: DeserializeOwned>(
    oauth: &OAuth,
    headers: &HeaderMap,
    body: impl Future<Output = Result<Bytes, BadBody>>,
) -> Result<(SignedIn, T), Error> {
    let user = SignedIn::read(oauth, headers).await?;
    let user = user.ok_or_else(|| SignedIn::nobody(headers))?;
    let invalid = |what: &str| {
        let error = core::Error::new(ErrorCode::InvalidParameter, Phase::Session, what);
        Error::from(error).answering(headers)
    };
    let body = body.await.map_err(|bad| {
        invalid("the form is over 64 KiB, or broke off").with_status(bad.status())
    })?;
    let fields: Vec<(String, String)> = if is_form(headers) {
        url::form_urlencoded::parse(&body).into_owned().collect()
    } else {
        Vec::new()
    };
    let field = fields
        .iter()
        .find(|(name, _)| name == "csrf")
        .map(|(_, value)| value.as_str());
    user.check_csrf(csrf_header(headers).or(field), headers)?;
    let rest = fields.iter().filter(|(name, _)| name != "csrf");
    let text = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(rest)
        .finish();
    let form = serde_urlencoded::from_str(&text)
        .map_err(|_| invalid("the form's fields cannot be read"))?;
    Ok((user, form))
}
