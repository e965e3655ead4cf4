//! Logouts that the provider begins: behind the browser's back, or in a frame.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokenkeep_core::{self as core, BrowserCookies, ErrorCode, Phase};

use super::Routes;
use crate::{
    Error, Request, Response,
    answer::{self, with_cookies},
    page,
    request::{browser_cookies, is_form},
};

/// Nothing may run or load in the page, and any page may frame it: there is nothing in it to click on. This also overrides an
/// `X-Frame-Options` of the application's.
const FRAMED: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors *";

/// As both specifications ask for it.
fn keep_nowhere(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

impl Routes {
    /// OpenID Connect Back-Channel Logout 1.0 section 2.8.
    pub(super) async fn back_channel(&self, request: &Request) -> Result<Response, Error> {
        // Refused before the rest is looked at: for nobody's logout there is no answer to give.
        let client = self.oauth.client(request.client()?)?;
        let ended = async { client.backchannel_logout(form_of(request)?).await };
        let mut response = match ended.await {
            Ok(ended) => {
                tracing::debug!(client = client.name(), ?ended, "a back-channel logout");
                answer::bare(StatusCode::OK)
            }
            // A tenant that the source does not know.
            Err(error) if error.code() == ErrorCode::UnknownClient => return Err(error.into()),
            Err(error) => refused(client.name(), &error),
        };
        keep_nowhere(response.headers_mut());
        Ok(response)
    }

    /// OpenID Connect Front-Channel Logout 1.0 section 3.
    pub(super) async fn front_channel(&self, request: &Request) -> Result<Response, Error> {
        let headers = &request.headers;
        let work = async {
            let client = self.oauth.client(request.client()?)?;
            // By its cookie a browser is recognised in a frame only: a link must not log out.
            let is_framed = headers
                .get("sec-fetch-dest")
                .is_none_or(|dest| matches!(dest.as_bytes(), b"iframe" | b"frame"));
            let cookies = if is_framed {
                browser_cookies(headers)
            } else {
                BrowserCookies::default()
            };
            let out = client
                .frontchannel_logout(request.query(), &cookies)
                .await?;
            tracing::debug!(client = client.name(), ended = ?out.ended, "a front-channel logout");
            let mut page = answer::html(StatusCode::OK, page::SIGNED_OUT_IN_FRAME);
            keep_nowhere(page.headers_mut());
            page.headers_mut().insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(FRAMED),
            );
            Ok(with_cookies(page, &out.cookies))
        };
        work.await.map_err(|error: Error| error.answering(headers))
    }
}

fn form_of(request: &Request) -> core::Result<&Bytes> {
    let invalid = |what| core::Error::new(ErrorCode::InvalidParameter, Phase::Logout, what);
    if !is_form(&request.headers) {
        return Err(invalid(
            "the request is not application/x-www-form-urlencoded",
        ));
    }
    let body = request.body.as_ref();
    body.map_err(|_| invalid("the request is larger than 64 KiB, or broke off"))
}

/// Whatever went wrong, it is 400; the body says what.
fn refused(client: &str, error: &core::Error) -> Response {
    if error.code().http_status() >= 500 {
        tracing::error!(client, %error, "a back-channel logout failed");
    } else {
        tracing::warn!(client, %error, "a back-channel logout was refused");
    }
    answer::json(StatusCode::BAD_REQUEST, &Error::json(error))
}
