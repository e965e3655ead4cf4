//! Who is signed in, as an extractor.

use axum::{
    extract::{
        FromRef, FromRequest, FromRequestParts, OptionalFromRequestParts, RawPathParams, Request,
    },
    http::{HeaderMap, Method, header, request::Parts},
};
use serde::de::DeserializeOwned;
use tokenkeep_core::{self as core, ErrorCode, Grant, OAuth, Phase, Session};

use crate::{Error, cookies::browser_cookies};

/// The header in which a request brings its CSRF token.
const CSRF_HEADER: &str = "x-csrf-token";

/// How long a posted form may be.
const MAX_FORM: usize = 64 * 1024;

/// Who is signed in. Nobody: 401 `not_signed_in`.
///
/// A request that may change something (any but GET, HEAD, OPTIONS and TRACE) must bring the session's CSRF token in the
/// header `x-csrf-token`, or is refused with 403 `csrf_mismatch`; for forms, use [`SignedInForm`]. `Option<SignedIn>` is
/// none where nobody is signed in.
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

    async fn read<S>(headers: &HeaderMap, state: &S) -> Result<Option<Self>, Error>
    where
        OAuth: FromRef<S>,
    {
        let oauth = OAuth::from_ref(state);
        let session = oauth
            .session(&browser_cookies(headers))
            .await
            .map_err(|error| Error::from(error).answering(headers))?;
        Ok(session.map(|session| Self { oauth, session }))
    }

    fn require(found: Option<Self>, headers: &HeaderMap) -> Result<Self, Error> {
        found.ok_or_else(|| Self::nobody(headers))
    }

    pub(crate) fn nobody(headers: &HeaderMap) -> Error {
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

/// Is the body said to be a form, as HTML sends one?
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let media = value
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    media.is_some_and(|media| {
        media
            .trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

fn changes_something(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

fn csrf_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(CSRF_HEADER)?.to_str().ok()
}

impl<S> FromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    OAuth: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let user = Self::require(Self::read(&parts.headers, state).await?, &parts.headers)?;
        if changes_something(&parts.method) {
            user.check_csrf(csrf_header(&parts.headers), &parts.headers)?;
        }
        Ok(user)
    }
}

impl<S> OptionalFromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    OAuth: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Error> {
        let user = Self::read(&parts.headers, state).await?;
        if let Some(user) = user.as_ref().filter(|_| changes_something(&parts.method)) {
            user.check_csrf(csrf_header(&parts.headers), &parts.headers)?;
        }
        Ok(user)
    }
}

/// The client's name in a path, `{client}`, registered or not. A name that is not UTF-8 is refused as any other that nobody
/// has: 404 `unknown_client`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName(pub String);

impl<S: Send + Sync> FromRequestParts<S> for ClientName {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let unknown = |what: &str| {
            Error::from(core::Error::new(
                ErrorCode::UnknownClient,
                Phase::Configure,
                what,
            ))
            .answering(&parts.headers)
        };
        params
            .map_err(|_| unknown("the client's name is not UTF-8"))?
            .iter()
            .find(|(name, _)| *name == "client")
            .map(|(_, value)| Self(value.to_owned()))
            .ok_or_else(|| unknown("the path names no client"))
    }
}

/// Who is signed in, and a posted form of at most 64 KiB. The CSRF token is the form's field `csrf`, or the header
/// `x-csrf-token`. `SignedInForm<()>` reads no other field.
#[derive(Clone, Debug)]
pub struct SignedInForm<T = ()> {
    /// Who is signed in.
    pub user: SignedIn,
    /// The form's fields.
    pub form: T,
}

impl<S, T> FromRequest<S> for SignedInForm<T>
where
    S: Send + Sync,
    OAuth: FromRef<S>,
    T: DeserializeOwned,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let headers = &parts.headers;
        let user = SignedIn::require(SignedIn::read(headers, state).await?, headers)?;
        let invalid = |what: &str| {
            Error::from(core::Error::new(
                ErrorCode::InvalidParameter,
                Phase::Session,
                what,
            ))
            .answering(headers)
        };
        let body = axum::body::to_bytes(body, MAX_FORM)
            .await
            .map_err(|_| invalid("the form is over 64 KiB"))?;
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
        Ok(Self { user, form })
    }
}
