//! What the server answers.

use std::sync::Arc;

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::json;
use url::form_urlencoded;

use super::{Pending, Refused, Shared, SignedRequest, random};

const MAX_BODY: usize = 1 << 20;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .fallback(answer)
        .with_state(Arc::clone(shared))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let header = |name: &str| {
        let value = parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    shared.state().seen.push(SignedRequest {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: header("authorization"),
        content_type: header("content-type"),
        body: body.clone(),
    });
    if let Some(canned) = shared.canned(parts.uri.path()) {
        let status = StatusCode::from_u16(canned.status).unwrap_or_default();
        let mut response = (status, canned.body).into_response();
        for (name, value) in &canned.headers {
            let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = (name, value) {
                response.headers_mut().insert(name, value);
            }
        }
        return response;
    }
    let answered = match parts.uri.path() {
        "/initiate" => initiate(&shared, &parts, &body),
        "/token" => token(&shared, &parts, &body),
        _ => api(&shared, &parts, &body),
    };
    answered.unwrap_or_else(refused)
}

fn refused(Refused(status, problem): Refused) -> Response {
    let challenge = format!("OAuth realm=\"api\", oauth_problem=\"{problem}\"");
    let body = format!("oauth_problem={problem}");
    (status, [("www-authenticate", challenge)], body).into_response()
}

/// A form, called text as many servers do.
fn form(pairs: &[(&str, &str)]) -> Response {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    ([(CONTENT_TYPE, "text/html")], form).into_response()
}

fn initiate(shared: &Shared, parts: &Parts, body: &str) -> Result<Response, Refused> {
    let checked = shared.check(parts, body, |_| None)?;
    let callback = checked.protocol.get("oauth_callback");
    let callback = callback.ok_or(Refused(StatusCode::BAD_REQUEST, "parameter_absent"))?;
    let (token, secret) = (random(), random());
    let pending = Pending {
        secret: secret.clone(),
        callback: callback.clone(),
        verifier: None,
    };
    shared.state().pending.insert(token.clone(), pending);
    Ok(form(&[
        ("oauth_token", &token),
        ("oauth_token_secret", &secret),
        ("oauth_callback_confirmed", "True"),
    ]))
}

fn token(shared: &Shared, parts: &Parts, body: &str) -> Result<Response, Refused> {
    let secret_of = |token: &str| {
        let state = shared.state();
        state
            .pending
            .get(token)
            .map(|pending| pending.secret.clone())
    };
    let checked = shared.check(parts, body, secret_of)?;
    let request_token = checked.token.unwrap_or_default();
    let verifier = checked.protocol.get("oauth_verifier");
    let mut state = shared.state();
    // It is over, whatever comes of it.
    let pending = state.pending.remove(&request_token);
    if verifier.is_none() || pending.and_then(|pending| pending.verifier).as_ref() != verifier {
        return Err(Refused(StatusCode::UNAUTHORIZED, "verifier_invalid"));
    }
    let (token, secret) = (random(), random());
    state.granted.insert(token.clone(), secret.clone());
    Ok(form(&[
        ("oauth_token", &token),
        ("oauth_token_secret", &secret),
        ("user_id", "7"),
        ("screen_name", "alice"),
    ]))
}

/// `/api/redirect/STATUS?to=ADDRESS` redirects; everything else tells what it got.
fn api(shared: &Shared, parts: &Parts, body: &str) -> Result<Response, Refused> {
    let secret_of = |token: &str| shared.state().granted.get(token).cloned();
    let checked = shared.check(parts, body, secret_of)?;
    if let Some(status) = parts.uri.path().strip_prefix("/api/redirect/") {
        let query = parts.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let to = pairs
            .find(|(name, _)| name == "to")
            .map(|(_, to)| to.into_owned());
        let status = status
            .parse()
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or(StatusCode::FOUND);
        return Ok((status, [("location", to.unwrap_or_default())]).into_response());
    }
    let told = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "body": body,
        "user": checked.token.map(|_| "alice"),
        "body_hash": checked.protocol.get("oauth_body_hash"),
    });
    Ok(axum::Json(told).into_response())
}
