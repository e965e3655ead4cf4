//! Grants without a browser: passwords (RFC 6749 section 4.3), assertions (RFC 7523), token exchange (RFC 8693).

use axum::http::{HeaderMap, header};
use serde_json::Value;

use super::{
    assertion::{self, Signed},
    client::TestClient,
    client_auth::authenticate,
    error::OAuthError,
    grants::Grant,
    request::Parameters,
    state::Shared,
    token::{Issue, answer, requested_scopes},
};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// A user who is known by name and password.
pub(super) fn password(
    shared: &Shared,
    client: &TestClient,
    parameters: &Parameters,
) -> Result<String, OAuthError> {
    let sent = (parameters.get("username"), parameters.get("password"));
    let users = &shared.settings.users;
    let known = users
        .iter()
        .find(|(name, secret)| sent == (Some(name), Some(secret)));
    let (subject, _) =
        known.ok_or_else(|| OAuthError::invalid_grant("no such user, or another password"))?;
    let scopes = requested_scopes(parameters)?.unwrap_or_default();
    let mut grant = Grant::new(client.id(), scopes, Vec::new(), shared.clock.now());
    grant.subject = Some(subject.clone());
    let mut memory = shared.lock();
    let issue = Issue::to_user(shared, &mut memory.grants, grant, "password");
    Ok(answer(shared, &mut memory, issue))
}

/// An assertion of an issuer that is trusted. The client need not prove who it is (RFC 7521 section 4.1), but what it says of
/// itself must be true. Scopes stand in the request or, as at Google, in the assertion.
pub(super) fn jwt_bearer(
    shared: &Shared,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<String, OAuthError> {
    let names_itself = headers.contains_key(header::AUTHORIZATION)
        || parameters.get("client_id").is_some()
        || parameters.get("client_assertion").is_some();
    if names_itself {
        authenticate(shared, headers, parameters)?;
    }
    let sent = parameters
        .get("assertion")
        .ok_or_else(|| OAuthError::invalid_request("assertion is missing"))?;
    let issuer = assertion::issuer_of(sent)
        .ok_or_else(|| OAuthError::invalid_grant("the assertion names no issuer"))?;
    let (_, key) = shared
        .settings
        .assertion_issuers
        .iter()
        .find(|(known, _)| *known == issuer)
        .ok_or_else(|| OAuthError::invalid_grant("the assertion's issuer is not trusted"))?;
    let now = shared.clock.now();
    let mut memory = shared.lock();
    let token_endpoint = format!("{}/token", shared.issuer);
    let claims = assertion::verify(
        sent,
        &Signed::Key(key),
        &[&shared.issuer, &token_endpoint],
        now,
        &mut memory.assertions,
    )
    .map_err(OAuthError::invalid_grant)?;
    let scopes = match (requested_scopes(parameters)?, claims["scope"].as_str()) {
        (Some(scopes), _) => scopes,
        (None, Some(claimed)) => claimed.split(' ').map(str::to_owned).collect(),
        (None, None) => Default::default(),
    };
    let resources: Vec<_> = parameters.all("resource").map(str::to_owned).collect();
    let mut grant = Grant::new(&issuer, scopes, resources, now);
    grant.subject = Some(claims["sub"].as_str().unwrap_or(&issuer).to_owned());
    let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let issue = Issue::of_grant(&mut memory.grants, grant, grant_type);
    Ok(answer(shared, &mut memory, issue))
}

/// A live access token for another one, or for an ID token about its user. An actor must show a live token, too.
pub(super) fn token_exchange(
    shared: &Shared,
    client: &TestClient,
    parameters: &Parameters,
) -> Result<String, OAuthError> {
    let now = shared.clock.now();
    let mut memory = shared.lock();
    let owner = |token: &str, kind: &str| {
        let (token, kind) = (parameters.get(token), parameters.get(kind));
        let (Some(token), Some(ACCESS_TOKEN)) = (token, kind) else {
            return Err(OAuthError::invalid_request(
                "a token is missing, or of a type that is not taken",
            ));
        };
        let found = memory.grants.access_token(token, now);
        found
            .map(|found| found.grant)
            .ok_or_else(|| OAuthError::invalid_request("the token is not good"))
    };
    let subject = memory
        .grants
        .grant(owner("subject_token", "subject_token_type")?)
        .subject
        .clone();
    if parameters.get("actor_token").is_some() {
        owner("actor_token", "actor_token_type")?;
    }
    let wanted = parameters
        .get("requested_token_type")
        .unwrap_or(ACCESS_TOKEN);
    if ![ACCESS_TOKEN, ID_TOKEN].contains(&wanted) {
        return Err(OAuthError::invalid_request(
            "no token of this type is issued",
        ));
    }
    let mut scopes = requested_scopes(parameters)?.unwrap_or_default();
    if wanted == ID_TOKEN {
        scopes.insert("openid".to_owned());
    }
    let resources: Vec<_> = parameters
        .all("resource")
        .chain(parameters.all("audience"))
        .map(str::to_owned)
        .collect();
    let mut grant = Grant::new(client.id(), scopes, resources, now);
    grant.subject = subject;
    let grant_type = "urn:ietf:params:oauth:grant-type:token-exchange";
    let issue = Issue::of_grant(&mut memory.grants, grant, grant_type);
    let body = answer(shared, &mut memory, issue);
    let mut body: Value = serde_json::from_str(&body).unwrap_or_default();
    body["issued_token_type"] = wanted.into();
    if wanted == ID_TOKEN {
        // Section 2.2.1: the member is called access_token whatever it holds.
        body["access_token"] = body["id_token"].take();
        body["token_type"] = "N_A".into();
        body.as_object_mut()
            .and_then(|body| body.remove("id_token"));
    }
    Ok(body.to_string())
}
