//! Cookies between axum's headers and tokenkeep.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponseParts, ResponseParts},
};
use tokenkeep_core::{BrowserCookies, Cookie};

/// The cookies that a browser sent. One of another application that is not ASCII loses none of ours beside it.
pub(crate) fn browser_cookies(headers: &HeaderMap) -> BrowserCookies {
    let headers = headers.get_all(header::COOKIE).iter();
    let texts: Vec<_> = headers
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    BrowserCookies::parse(texts.iter().map(|text| &**text))
}

/// Cookies to set with a response: `(SetCookies(login.cookies), Redirect::to("/"))`.
#[derive(Clone, Debug, Default)]
pub struct SetCookies(pub Vec<Cookie>);

impl IntoResponseParts for SetCookies {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        for cookie in &self.0 {
            // Names, sealed values and paths of ours are visible ASCII.
            if let Ok(mut value) = HeaderValue::try_from(cookie.to_header()) {
                value.set_sensitive(true);
                parts.headers_mut().append(header::SET_COOKIE, value);
            }
        }
        Ok(parts)
    }
}
