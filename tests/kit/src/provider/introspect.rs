//! What a token is worth (RFC 7662), and how a client gives it back (RFC 7009).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    builder::Rotation,
    client_auth::authenticate,
    error::{NO_STORE, OAuthError},
    request::Parameters,
    state::Shared,
};

pub(super) async fn introspect(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, OAuthError> {
    parameters.require_single()?;
    let client = authenticate(&shared, &headers, &parameters)?;
    if client.is_public() {
        return Err(OAuthError::invalid_client(
            "introspection needs a client that authenticates",
        ));
    }
    let token = parameters
        .get("token")
        .ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    let described = access_token(&shared, token).or_else(|| refresh_token(&shared, token));
    Ok((
        NO_STORE,
        Json(described.unwrap_or_else(|| json!({"active": false}))),
    )
        .into_response())
}

fn access_token(shared: &Shared, token: &str) -> Option<Value> {
    let memory = shared.lock();
    let found = memory.grants.access_token(token, shared.clock.now())?;
    let grant = memory.grants.grant(found.grant);
    Some(json!({
        "active": true,
        "token_type": "Bearer",
        "iss": shared.issuer,
        "sub": grant.subject,
        "client_id": grant.client,
        "scope": found.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        "iat": found.issued_at.as_secs(),
        "exp": found.expires_at.as_secs(),
    }))
}

fn refresh_token(shared: &Shared, token: &str) -> Option<Value> {
    let memory = shared.lock();
    let (id, index) = memory.grants.find_refresh_token(token)?;
    let grant = memory.grants.grant(id);
    let rotation = shared
        .client(&grant.client)?
        .rotation_or(shared.settings.rotation);
    let good_again = matches!(rotation, Rotation::Never | Rotation::BothValid);
    if grant.revoked || (grant.refresh_tokens[index].first_spent_at.is_some() && !good_again) {
        return None;
    }
    Some(json!({
        "active": true,
        "iss": shared.issuer,
        "sub": grant.subject,
        "client_id": grant.client,
        "scope": grant.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
    }))
}

/// A refresh token takes its whole grant with it, an access token only itself. An unknown token is no error.
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<StatusCode, OAuthError> {
    parameters.require_single()?;
    let client = authenticate(&shared, &headers, &parameters)?;
    let token = parameters
        .get("token")
        .ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    let mut memory = shared.lock();
    let refreshes = memory
        .grants
        .find_refresh_token(token)
        .map(|(grant, _)| grant);
    let Some(grant) = refreshes.or_else(|| memory.grants.owner_of_access_token(token)) else {
        return Ok(StatusCode::OK);
    };
    if memory.grants.grant(grant).client != client.id() {
        return Err(OAuthError::invalid_grant(
            "the token was issued to another client",
        ));
    }
    if refreshes.is_some() {
        memory.grants.grant_mut(grant).revoked = true;
    } else {
        memory.grants.revoke_access_token(token);
    }
    Ok(StatusCode::OK)
}
