//! Calls of an API with the kept token, passed on as they came.

use futures_util::StreamExt;
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};
use reqwest::{
    StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use tokenkeep::{ApiRequest, Grant, Result};

use crate::{
    answer::{Answer, Body, Wants},
    pages,
};

/// A longer body is streamed: then the call cannot be made again with a fresh token.
pub(crate) const REPEATABLE: usize = 1024 * 1024;

/// How much of an answer a page shows.
const SHOWN: usize = 64 * 1024;

/// What of an answer is passed on beside status and body. Cookies and everything about the connection stay here.
const PASSED_ON: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::LINK,
];

/// The client, and what follows `/api/{client}/` as it came, decoded by nobody. Where that begins with a slash, both slashes
/// are kept, so that tokenkeep sees the other host that is meant, and refuses it.
pub(crate) fn target(path: &str, query: Option<&str>) -> (String, String) {
    let mut parts = path.splitn(4, '/').skip(2);
    let client = percent_decode_str(parts.next().unwrap_or_default()).decode_utf8_lossy();
    let rest = parts.next().unwrap_or_default();
    let slash = if rest.starts_with('/') { "/" } else { "" };
    let path = match query {
        Some(query) => format!("{slash}{rest}?{query}"),
        None => format!("{slash}{rest}"),
    };
    (client.into_owned(), path)
}

/// The call with the body and the type that the request has.
pub(crate) fn passing(
    mut call: ApiRequest,
    body: Option<reqwest::Body>,
    media_type: Option<&[u8]>,
) -> ApiRequest {
    if let Some(body) = body {
        call = call.body(body);
    }
    if let Some(value) = media_type.and_then(|value| HeaderValue::from_bytes(value).ok()) {
        call = call.with(|request| request.header(header::CONTENT_TYPE, value));
    }
    call
}

pub(crate) fn broken(
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> tokenkeep::Error {
    let (code, phase) = (
        tokenkeep::ErrorCode::InvalidParameter,
        tokenkeep::Phase::Request,
    );
    tokenkeep::Error::new(code, phase, "the request's body broke off").with_source(error)
}

/// The API's answer: as it is for programs, shown on a page for people.
pub(crate) async fn answer(
    client: &str,
    answer: reqwest::Response,
    wants: Wants,
) -> reqwest::Result<Answer> {
    match wants {
        Wants::Page => shown(client, answer).await,
        Wants::Json => Ok(passed_on(answer)),
    }
}

fn passed_on(answer: reqwest::Response) -> Answer {
    let mut headers = HeaderMap::new();
    for name in PASSED_ON {
        for value in answer.headers().get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    // Whatever it is, it does nothing in our name if a browser shows it.
    let nothing = HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    Answer {
        status: answer.status(),
        headers,
        body: Body::Streamed(answer.bytes_stream().boxed()),
        no_such: None,
    }
}

async fn shown(client: &str, mut answer: reqwest::Response) -> reqwest::Result<Answer> {
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
    let page = Answer::page(pages::api_result(client, status, &text));
    // Some answers have no body, and ours has one.
    Ok(match status {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => page,
        _ => page.with_status(status),
    })
}

/// `GET /call/{client}?path=…`: where a form leads, which can't put a field into the path of its address.
pub(crate) async fn choose(grant: &Grant, fields: &[(String, String)]) -> Result<Answer> {
    let client = grant.client();
    let has_api = client.api_base_url().await?.is_some();
    let client = segment(client.name());
    let path = fields.iter().find(|(name, _)| name == "path");
    let path = path.map_or("", |(_, path)| path.trim());
    let path = utf8_percent_encode(path, &CONTROLS_AND_BLANK);
    Ok(Answer::see_other(&if has_api {
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
