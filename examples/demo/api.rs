//! Calls of an API with the kept token, passed on as they came.

use axum::{
    body::{Body, HttpBody},
    extract::{Query, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};
use tokenkeep::axum::{ClientName, Result, SignedIn};

use crate::{answer::Wants, pages};

/// A longer body is streamed: then the call cannot be made again with a fresh token.
const REPEATABLE: usize = 1024 * 1024;

/// How much of an answer a page shows.
const SHOWN: usize = 64 * 1024;

/// What of an answer is passed on beside status and body. Cookies and everything about the connection stay here.
const PASSED_ON: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::LINK,
];

/// `GET, POST /api/{client}/{path}`
pub(crate) async fn call(user: SignedIn, wants: Wants, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let (client, path) = target(&parts.uri);
    let mut call = user.grant(&client)?.request(parts.method, &path);
    if let Some(body) = passable(body).await? {
        call = call.body(body);
    }
    if let Some(value) = parts.headers.get(header::CONTENT_TYPE).cloned() {
        call = call.with(|request| request.header(header::CONTENT_TYPE, value));
    }
    let answer = call.await?;
    match wants {
        Wants::Page => shown(&client, answer).await,
        Wants::Json => Ok(passed_on(answer)),
    }
}

/// The client, and what follows `/api/{client}/` as it came, decoded by nobody. Where that begins with a slash, both slashes
/// are kept, so that tokenkeep sees the other host that is meant, and refuses it.
fn target(uri: &Uri) -> (String, String) {
    let mut parts = uri.path().splitn(4, '/').skip(2);
    let client = percent_decode_str(parts.next().unwrap_or_default()).decode_utf8_lossy();
    let rest = parts.next().unwrap_or_default();
    let slash = if rest.starts_with('/') { "/" } else { "" };
    let path = match uri.query() {
        Some(query) => format!("{slash}{rest}?{query}"),
        None => format!("{slash}{rest}"),
    };
    (client.into_owned(), path)
}

/// The request's body, if it has one.
async fn passable(body: Body) -> Result<Option<reqwest::Body>> {
    if body.is_end_stream() {
        return Ok(None);
    }
    match body.size_hint().exact() {
        Some(length) if length <= REPEATABLE as u64 => {
            let whole = axum::body::to_bytes(body, REPEATABLE).await;
            Ok(Some(whole.map_err(broken)?.into()))
        }
        _ => Ok(Some(reqwest::Body::wrap_stream(body.into_data_stream()))),
    }
}

fn broken(error: axum::Error) -> tokenkeep::Error {
    let (code, phase) = (
        tokenkeep::ErrorCode::InvalidParameter,
        tokenkeep::Phase::Request,
    );
    tokenkeep::Error::new(code, phase, "the request's body broke off").with_source(error)
}

fn passed_on(answer: reqwest::Response) -> Response {
    let mut headers = HeaderMap::new();
    for name in PASSED_ON {
        for value in answer.headers().get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    // Whatever it is, it does nothing in our name if a browser shows it.
    let nothing = HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    let status = answer.status();
    (status, headers, Body::from_stream(answer.bytes_stream())).into_response()
}

async fn shown(client: &str, mut answer: reqwest::Response) -> Result<Response> {
    let status = answer.status();
    let mut body = Vec::new();
    while body.len() < SHOWN
        && let Some(chunk) = answer.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    let text = match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(json) => format!("{json:#}"),
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned(),
    };
    let page = pages::api_result(client, status, &text);
    // Some answers have no body, and ours has one.
    Ok(match status {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => {
            page.into_response()
        }
        _ => (status, page).into_response(),
    })
}

/// `GET /call/{client}?path=…`: where a form leads, which can't put a field into the path of its address.
pub(crate) async fn choose(
    ClientName(client): ClientName,
    user: SignedIn,
    Query(fields): Query<Vec<(String, String)>>,
) -> Result<Redirect> {
    let has_api = user
        .grant(&client)?
        .client()
        .api_base_url()
        .await?
        .is_some();
    let client = segment(&client);
    let path = fields.iter().find(|(name, _)| name == "path");
    let path = path.map_or("", |(_, path)| path.trim());
    let path = utf8_percent_encode(path, &CONTROLS_AND_BLANK);
    Ok(Redirect::to(&if has_api {
        format!("/api/{client}/{path}")
    } else {
        format!("/userinfo/{client}")
    }))
}

const CONTROLS_AND_BLANK: AsciiSet = CONTROLS.add(b' ');

/// A name as one segment of a path.
pub(crate) fn segment(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, NON_ALPHANUMERIC)
}
