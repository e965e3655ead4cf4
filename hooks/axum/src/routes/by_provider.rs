//! Logouts that the provider begins: behind the browser's back, or in a frame.

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use tokenkeep_core::{self as core, ErrorCode, Phase};

use super::Routes;
use crate::{
    ClientName, Error, Result, SetCookies, cookies::browser_cookies, extract::is_form, page,
};

/// Nothing may run or load in the page, and any page may frame it: there is nothing in it to click on. This also overrides an
/// `X-Frame-Options` of the application's.
const FRAMED: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors *";

fn no_store() -> [(header::HeaderName, HeaderValue); 2] {
    [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::PRAGMA, HeaderValue::from_static("no-cache")),
    ]
}

/// OpenID Connect Back-Channel Logout 1.0 section 2.8.
pub(super) async fn back_channel(
    State(routes): State<Routes>,
    ClientName(client): ClientName,
    headers: HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Response> {
    // Refused before the rest is looked at: for nobody's logout there is no answer to give.
    let client = routes.oauth.client(&client)?;
    let ended = async {
        let body = form_of(&headers, body)?;
        client.backchannel_logout(&body).await
    };
    match ended.await {
        Ok(ended) => {
            tracing::debug!(client = client.name(), ?ended, "a back-channel logout");
            Ok((no_store(), StatusCode::OK).into_response())
        }
        // A tenant that the source does not know.
        Err(error) if error.code() == ErrorCode::UnknownClient => Err(error.into()),
        Err(error) => Ok(refused(client.name(), &error)),
    }
}

fn form_of(
    headers: &HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
) -> core::Result<Bytes> {
    let invalid = |what| core::Error::new(ErrorCode::InvalidParameter, Phase::Logout, what);
    if !is_form(headers) {
        return Err(invalid(
            "the request is not application/x-www-form-urlencoded",
        ));
    }
    body.map_err(|_| invalid("the request is larger than 64 KiB, or broke off"))
}

/// Whatever went wrong, it is 400; the body says what.
fn refused(client: &str, error: &core::Error) -> Response {
    if error.code().http_status() >= 500 {
        tracing::error!(client, %error, "a back-channel logout failed");
    } else {
        tracing::warn!(client, %error, "a back-channel logout was refused");
    }
    let body = Json(Error::json(error));
    (StatusCode::BAD_REQUEST, no_store(), body).into_response()
}

/// OpenID Connect Front-Channel Logout 1.0 section 3.
pub(super) async fn front_channel(
    State(routes): State<Routes>,
    ClientName(client): ClientName,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let work = async {
        let client = routes.oauth.client(&client)?;
        // By its cookie a browser is recognised in a frame only: a link must not log out.
        let is_framed = headers
            .get("sec-fetch-dest")
            .is_none_or(|dest| matches!(dest.as_bytes(), b"iframe" | b"frame"));
        let cookies = if is_framed {
            browser_cookies(&headers)
        } else {
            core::BrowserCookies::default()
        };
        let out = client
            .frontchannel_logout(query.as_deref().unwrap_or_default(), &cookies)
            .await?;
        tracing::debug!(client = client.name(), ended = ?out.ended, "a front-channel logout");
        let policy = [(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(FRAMED),
        )];
        let page = Html(page::SIGNED_OUT_IN_FRAME);
        Ok((SetCookies(out.cookies), no_store(), policy, page).into_response())
    };
    work.await.map_err(|error: Error| error.answering(&headers))
}
