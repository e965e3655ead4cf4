//! The protected API, and how it refuses tokens (RFC 6750, RFC 9470).

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::{
    request::{Placement, bearer_tokens, is_form},
    state::Shared,
};

/// Whom a request is made for, once its token was found good.
pub(super) struct Bearer {
    pub(super) subject: Option<String>,
    pub(super) scopes: BTreeSet<String>,
    pub(super) client: String,
    resources: Vec<String>,
    acr: Option<String>,
    generation: u64,
    placement: Placement,
}

/// Why a request is refused.
pub(super) enum Denied {
    /// There is no token: the challenge has no error code (RFC 6750 section 3.1).
    NoToken,
    SeveralTokens,
    InvalidToken,
    InsufficientScope(String),
    InsufficientAuthentication(String),
}

impl Bearer {
    pub(super) fn read(
        shared: &Shared,
        headers: &HeaderMap,
        uri: &Uri,
        body: &[u8],
    ) -> Result<Self, Denied> {
        let mut tokens = bearer_tokens(headers, uri.query(), body);
        let (placement, token) = tokens.pop().ok_or(Denied::NoToken)?;
        if !tokens.is_empty() {
            return Err(Denied::SeveralTokens);
        }
        let memory = shared.lock();
        let found = memory
            .grants
            .access_token(&token, shared.clock.now())
            .ok_or(Denied::InvalidToken)?;
        let grant = memory.grants.grant(found.grant);
        Ok(Self {
            subject: grant.subject.clone(),
            scopes: found.scopes.clone(),
            client: grant.client.clone(),
            resources: found.resources.clone(),
            acr: grant.acr.clone(),
            generation: found.generation,
            placement,
        })
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let mut challenge = "Bearer realm=\"provider\"".to_owned();
        let (status, error) = match &self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, None),
            Self::SeveralTokens => (StatusCode::BAD_REQUEST, Some("invalid_request")),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
            Self::InsufficientScope(_) => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
            Self::InsufficientAuthentication(_) => (
                StatusCode::UNAUTHORIZED,
                Some("insufficient_user_authentication"),
            ),
        };
        if let Some(error) = error {
            let _ = write!(challenge, ", error=\"{error}\"");
        }
        let wanted = match &self {
            Self::InsufficientScope(scope) => Some(("scope", scope)),
            Self::InsufficientAuthentication(acr) => Some(("acr_values", acr)),
            _ => None,
        };
        if let Some((name, value)) = wanted {
            let _ = write!(challenge, ", {name}=\"{value}\"");
        }
        let mut response = (status, Json(json!({"error": error}))).into_response();
        if let Ok(challenge) = HeaderValue::from_str(&challenge.replace(['\r', '\n'], " ")) {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Whose token it is, and of which generation.
pub(super) async fn me(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Value>, Denied> {
    let bearer = Bearer::read(&shared, &headers, &uri, &body)?;
    Ok(Json(json!({
        "sub": bearer.subject,
        "client_id": bearer.client,
        "scopes": bearer.scopes,
        "resources": bearer.resources,
        "generation": bearer.generation,
    })))
}

/// The request as it came, without the token.
pub(super) async fn echo(
    State(shared): State<Arc<Shared>>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Value>, Denied> {
    let bearer = Bearer::read(&shared, &headers, &uri, &body)?;
    let mut shown = Map::new();
    for name in headers
        .keys()
        .filter(|name| !matches!(**name, header::AUTHORIZATION | header::COOKIE))
    {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        shown.insert(name.to_string(), values.join(", ").into());
    }
    let body = if is_form(&headers) {
        without_token(&body)
    } else {
        String::from_utf8_lossy(&body).into_owned()
    };
    Ok(Json(json!({
        "method": method.as_str(),
        "path": uri.path(),
        "query": without_token(uri.query().unwrap_or_default().as_bytes()),
        "headers": shown,
        "body": body,
        "token_placement": bearer.placement.name(),
    })))
}

fn without_token(encoded: &[u8]) -> String {
    if bearer_tokens(&HeaderMap::new(), std::str::from_utf8(encoded).ok(), b"").is_empty() {
        return String::from_utf8_lossy(encoded).into_owned();
    }
    let rest = form_urlencoded::parse(encoded).filter(|(name, _)| name != "access_token");
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(rest)
        .finish()
}

/// Only with this scope.
pub(super) async fn scope(
    State(shared): State<Arc<Shared>>,
    Path(scope): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Value>, Denied> {
    let bearer = Bearer::read(&shared, &headers, &uri, &body)?;
    if bearer.scopes.contains(&scope) {
        Ok(Json(json!({"scope": scope})))
    } else {
        Err(Denied::InsufficientScope(scope.replace(['"', '\\'], "")))
    }
}

#[derive(Deserialize)]
pub(super) struct StepUp {
    #[serde(default = "StepUp::default_acr")]
    acr: String,
}

impl StepUp {
    fn default_acr() -> String {
        "urn:example:mfa".to_owned()
    }
}

/// Only after a login with `acr_values=urn:example:mfa`, or what `?acr=` says.
pub(super) async fn step_up(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<StepUp>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Value>, Denied> {
    let bearer = Bearer::read(&shared, &headers, &uri, &body)?;
    if bearer.acr.as_ref() == Some(&wanted.acr) {
        Ok(Json(json!({"acr": wanted.acr})))
    } else {
        Err(Denied::InsufficientAuthentication(
            wanted.acr.replace(['"', '\\'], ""),
        ))
    }
}

/// To `/api/me`, with 302 or the redirect status of `?status=`.
pub(super) async fn redirect(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    redirected(&shared, &headers, &uri, &body, Some("/api/me".to_owned()))
}

/// To the URL in `?to=`, wherever it leads: a client must not send its token there.
pub(super) async fn redirect_away(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    redirected(&shared, &headers, &uri, &body, query_value(&uri, "to"))
}

fn redirected(
    shared: &Shared,
    headers: &HeaderMap,
    uri: &Uri,
    body: &[u8],
    to: Option<String>,
) -> Response {
    if let Err(denied) = Bearer::read(shared, headers, uri, body) {
        return denied.into_response();
    }
    let status = match query_value(uri, "status").as_deref() {
        Some("301") => StatusCode::MOVED_PERMANENTLY,
        Some("303") => StatusCode::SEE_OTHER,
        Some("307") => StatusCode::TEMPORARY_REDIRECT,
        Some("308") => StatusCode::PERMANENT_REDIRECT,
        _ => StatusCode::FOUND,
    };
    match to.and_then(|to| HeaderValue::from_str(&to).ok()) {
        Some(to) => (status, [(header::LOCATION, to)]).into_response(),
        None => (StatusCode::BAD_REQUEST, "where to?\n").into_response(),
    }
}

fn query_value(uri: &Uri, name: &str) -> Option<String> {
    form_urlencoded::parse(uri.query()?.as_bytes())
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}
