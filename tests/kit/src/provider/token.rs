//! The token endpoint (RFC 6749 section 3.2) and the grants that begin something; refreshing is next door.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    authorize_request::is_scope_token,
    client::TestClient,
    client_auth::authenticate,
    device,
    error::{NO_STORE, OAuthError},
    grants::{Grant, Grants},
    id_token, other_grants,
    refresh::refresh,
    request::Parameters,
    state::{Code, Shared, State as Memory, sha256},
};

pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Response {
    match exchange(&shared, &headers, &parameters) {
        Ok(body) => (NO_STORE, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => error.into_response(),
    }
}

fn exchange(
    shared: &Shared,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<String, OAuthError> {
    shared.lock().ledger.request(parameters);
    parameters.require_single()?;
    if parameters.get("grant_type") == Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
        return other_grants::jwt_bearer(shared, headers, parameters);
    }
    let client = authenticate(shared, headers, parameters)?;
    match parameters.get("grant_type") {
        Some("authorization_code") => authorization_code(shared, client, parameters),
        Some("refresh_token") => refresh(shared, client, parameters),
        Some("client_credentials") => client_credentials(shared, client, parameters),
        Some("password") => other_grants::password(shared, client, parameters),
        Some("urn:ietf:params:oauth:grant-type:device_code") => {
            device::token(shared, client, parameters)
        }
        Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
            other_grants::token_exchange(shared, client, parameters)
        }
        Some(_) => Err(OAuthError::new(
            "unsupported_grant_type",
            "this grant_type is not supported",
        )),
        None => Err(OAuthError::invalid_request("grant_type is missing")),
    }
}

/// RFC 6749 section 4.1.3. A code is good once; bringing it again revokes what it gave (section 4.1.2).
fn authorization_code(
    shared: &Shared,
    client: &TestClient,
    parameters: &Parameters,
) -> Result<String, OAuthError> {
    let sent = parameters
        .get("code")
        .ok_or_else(|| OAuthError::invalid_request("code is missing"))?;
    let now = shared.clock.now();
    let mut memory = shared.lock();
    let Memory { codes, grants, .. } = &mut *memory;
    let code = codes
        .get_mut(sent)
        .ok_or_else(|| OAuthError::invalid_grant("no such code"))?;
    check_code(code, client, parameters)?;
    if let Some(spent) = code.grant {
        grants.grant_mut(spent).revoked = true;
        return Err(OAuthError::invalid_grant(
            "the code was used before; what it gave is revoked",
        ));
    }
    if code.expires_at <= now {
        return Err(OAuthError::invalid_grant("the code has expired"));
    }
    let request = &code.request;
    let mut grant = Grant::new(
        client.id(),
        request.scopes.clone(),
        request.resources.clone(),
        code.session.auth_time,
    );
    grant.subject = Some(code.session.subject.clone());
    grant.sid = Some(code.session.sid.clone());
    grant.acr = code.session.acr.clone();
    let issue = Issue {
        nonce: request.nonce.clone(),
        ..Issue::to_user(shared, grants, grant, "authorization_code")
    };
    code.grant = Some(issue.grant);
    Ok(answer(shared, &mut memory, issue))
}

fn check_code(code: &Code, client: &TestClient, parameters: &Parameters) -> Result<(), OAuthError> {
    if code.request.client != client.id() {
        return Err(OAuthError::invalid_grant(
            "the code was issued to another client",
        ));
    }
    if parameters.get("redirect_uri") != Some(&code.request.reply.redirect_uri) {
        return Err(OAuthError::invalid_grant(
            "redirect_uri is not the one of the authorization request",
        ));
    }
    match (
        &code.request.code_challenge,
        parameters.get("code_verifier"),
    ) {
        (None, None) => Ok(()),
        // RFC 9700 section 2.1.1: a verifier without a challenge is what a downgrade looks like.
        (None, Some(_)) => Err(OAuthError::invalid_grant(
            "there was no code_challenge for this code_verifier",
        )),
        (Some(challenge), Some(verifier))
            if URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())) == *challenge =>
        {
            Ok(())
        }
        (Some(_), _) => Err(OAuthError::invalid_grant(
            "code_verifier is missing or wrong",
        )),
    }
}

/// RFC 6749 section 4.4: a token of the client itself, without a refresh token.
fn client_credentials(
    shared: &Shared,
    client: &TestClient,
    parameters: &Parameters,
) -> Result<String, OAuthError> {
    if client.is_public() {
        return Err(OAuthError::new(
            "unauthorized_client",
            "a public client has nothing to prove itself with",
        ));
    }
    let scopes = requested_scopes(parameters)?.unwrap_or_default();
    let resources: Vec<String> = parameters.all("resource").map(str::to_owned).collect();
    let grant = Grant::new(client.id(), scopes, resources, shared.clock.now());
    let mut memory = shared.lock();
    let issue = Issue::of_grant(&mut memory.grants, grant, "client_credentials");
    Ok(answer(shared, &mut memory, issue))
}

pub(super) fn requested_scopes(
    parameters: &Parameters,
) -> Result<Option<BTreeSet<String>>, OAuthError> {
    let Some(sent) = parameters.get("scope") else {
        return Ok(None);
    };
    let scopes: BTreeSet<String> = sent
        .split(' ')
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    if scopes.iter().all(|scope| is_scope_token(scope)) {
        Ok(Some(scopes))
    } else {
        Err(OAuthError::new(
            "invalid_scope",
            "a scope has characters that no scope may have",
        ))
    }
}

/// What a token answer is made of.
pub(super) struct Issue {
    pub(super) grant: usize,
    pub(super) scopes: BTreeSet<String>,
    pub(super) resources: Vec<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) grant_type: &'static str,
    /// Whether the access token before this one ends, if the provider does that at all.
    pub(super) replace: bool,
}

impl Issue {
    /// What a new grant begins with.
    pub(super) fn of_grant(grants: &mut Grants, grant: Grant, grant_type: &'static str) -> Self {
        Self {
            scopes: grant.scopes.clone(),
            resources: grant.resources.clone(),
            grant: grants.add(grant),
            refresh_token: None,
            nonce: None,
            grant_type,
            replace: false,
        }
    }

    /// The same for a user who was there: with a refresh token, if that was asked for.
    pub(super) fn to_user(
        shared: &Shared,
        grants: &mut Grants,
        grant: Grant,
        grant_type: &'static str,
    ) -> Self {
        let mut issue = Self::of_grant(grants, grant, grant_type);
        issue.replace = true;
        if shared.settings.refresh_without_offline_access || issue.scopes.contains("offline_access")
        {
            issue.refresh_token = Some(grants.add_refresh_token(issue.grant));
        }
        issue
    }
}

/// A token answer (RFC 6749 section 5.1, OpenID Connect Core 1.0 section 3.1.3.3).
pub(super) fn answer(shared: &Shared, memory: &mut Memory, issue: Issue) -> String {
    let lifetime = shared.settings.access_token_lifetime;
    let replace = issue.replace && !shared.settings.keep_replaced_access_tokens;
    let scope = issue
        .scopes
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    let with_id_token = issue.scopes.contains("openid");
    let access_token = memory.grants.add_access_token(
        issue.grant,
        issue.scopes,
        issue.resources,
        shared.clock.now(),
        lifetime,
        replace,
    );
    let mut body = Map::new();
    if with_id_token {
        let grant = memory.grants.grant(issue.grant);
        if let Some(id_token) = id_token::issue(
            shared,
            grant,
            issue.grant_type,
            issue.nonce.as_deref(),
            &access_token,
        ) {
            memory.grants.remember_id_token(&id_token, issue.grant);
            memory.ledger.note("id_token", &id_token);
            body.insert("id_token".to_owned(), id_token.into());
        }
    }
    memory.ledger.note("access_token", &access_token);
    if let Some(token) = &issue.refresh_token {
        memory.ledger.note("refresh_token", token);
    }
    body.insert("access_token".to_owned(), access_token.into());
    body.insert("token_type".to_owned(), "Bearer".into());
    body.insert("expires_in".to_owned(), lifetime.as_secs().into());
    body.insert("scope".to_owned(), scope.into());
    body.extend(
        issue
            .refresh_token
            .map(|token| ("refresh_token".to_owned(), Value::from(token))),
    );
    Value::Object(body).to_string()
}
