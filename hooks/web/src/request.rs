//! What a request says: of its client, its browser, its sender.

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use tokenkeep_core::{self as core, BrowserCookies, ErrorCode, Phase};

use crate::{BadBody, Error, page};

/// A request to one of the [routes](crate::Route), as a framework hands it over.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The client that the path names, decoded; none if it is not UTF-8, or the route names none.
    pub client: Option<String>,
    /// The query, as it was sent.
    pub query: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, where the route [reads one](crate::Route::reads_body).
    pub body: Result<Bytes, BadBody>,
}

impl Request {
    pub(crate) fn query(&self) -> &str {
        self.query.as_deref().unwrap_or_default()
    }

    pub(crate) fn client(&self) -> Result<&str, Error> {
        self.client
            .as_deref()
            .ok_or_else(|| no_client().answering(&self.headers))
    }

    /// One parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Result<Option<String>, Error> {
        let mut values = url::form_urlencoded::parse(self.query().as_bytes())
            .filter(|(other, _)| other == name)
            .map(|(_, value)| value.into_owned());
        let value = values.next();
        if values.next().is_some() {
            let message = format!("the parameter {name} is given twice");
            let error = core::Error::new(ErrorCode::InvalidParameter, Phase::Authorize, message);
            return Err(error.into());
        }
        Ok(value)
    }
}

/// A path that names no client whom anybody could have registered.
#[must_use]
pub fn no_client() -> Error {
    core::Error::new(
        ErrorCode::UnknownClient,
        Phase::Configure,
        "the path names no client, or one whose name is not UTF-8",
    )
    .into()
}

/// The cookies that a browser sent. One of another application that is not ASCII loses none of ours beside it.
pub(crate) fn browser_cookies(headers: &HeaderMap) -> BrowserCookies {
    let headers = headers.get_all(header::COOKIE).iter();
    let texts: Vec<_> = headers
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    BrowserCookies::parse(texts.iter().map(|text| &**text))
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

/// Programs say that they want JSON; whoever says nothing is sent on like a person.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept.contains("application/json") && !page::wants_page(headers)
}

/// A page of another site must not start adding a grant: with a login of its author's at the provider, the user's account
/// would get that one. Browsers say where a request comes from; what says nothing is no browser's.
pub(crate) fn refuse_cross_site(headers: &HeaderMap) -> core::Result<()> {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    if matches!(site, Some(b"cross-site" | b"same-site")) {
        return Err(core::Error::new(
            ErrorCode::CsrfMismatch,
            Phase::Authorize,
            "the request does not come from one of the application's own pages",
        ));
    }
    Ok(())
}

/// May a request of this method change something?
pub(crate) fn changes_something(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}
