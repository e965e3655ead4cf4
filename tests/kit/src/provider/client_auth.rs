//! Who sends a request to the token, revocation or introspection endpoint (RFC 6749 section 2.3).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded;

use super::{
    assertion::{self, Signed},
    client::{AuthMethod, TestClient},
    error::OAuthError,
    request::Parameters,
    state::Shared,
};

/// The client of a request, if it proves to be it; a public one only names itself.
pub(super) fn authenticate<'a>(
    shared: &'a Shared,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<&'a TestClient, OAuthError> {
    if parameters.get("client_assertion").is_some() {
        return by_assertion(shared, headers, parameters);
    }
    let posted_id = parameters.get("client_id");
    let posted_secret = parameters.get("client_secret");
    let (id, secret, method) = match basic(headers)? {
        Some(_) if posted_secret.is_some() => {
            return Err(OAuthError::invalid_request(
                "the client authenticates in two ways",
            ));
        }
        Some((id, _)) if posted_id.is_some_and(|posted| posted != id) => {
            return Err(OAuthError::invalid_request(
                "client_id is not the one of the Authorization header",
            ));
        }
        Some((id, secret)) => (id, Some(secret), AuthMethod::Basic),
        None => {
            let id = posted_id
                .ok_or_else(|| OAuthError::invalid_client("the client does not say who it is"))?;
            (
                id.to_owned(),
                posted_secret.map(str::to_owned),
                AuthMethod::Post,
            )
        }
    };
    let client = shared
        .client(&id)
        .ok_or_else(|| OAuthError::invalid_client("no such client"))?;
    match (client.secret(), secret) {
        (None, None) if client.is_public() => Ok(client),
        (None, None) => Err(OAuthError::invalid_client(
            "the client does not prove who it is",
        )),
        (Some(_), Some(_)) if !client.accepts(method) => Err(OAuthError::invalid_client(
            "the client is registered for another way to authenticate",
        )),
        (Some(known), Some(sent))
            if verify_slices_are_equal(known.as_bytes(), sent.as_bytes()).is_ok() =>
        {
            Ok(client)
        }
        _ => Err(OAuthError::invalid_client("the client secret is wrong")),
    }
}

/// RFC 7523 section 3, OpenID Connect Core 1.0 section 9: `iss` and `sub` are the client, and so is `client_id` if it is there.
fn by_assertion<'a>(
    shared: &'a Shared,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<&'a TestClient, OAuthError> {
    if headers.contains_key(header::AUTHORIZATION) || parameters.get("client_secret").is_some() {
        return Err(OAuthError::invalid_request(
            "the client authenticates in two ways",
        ));
    }
    if parameters.get("client_assertion_type")
        != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    {
        return Err(assertion::refused("the assertion is of another type"));
    }
    let sent = parameters.get("client_assertion").unwrap_or_default();
    let id = assertion::issuer_of(sent)
        .ok_or_else(|| assertion::refused("the assertion names no issuer"))?;
    let client = shared
        .client(&id)
        .ok_or_else(|| assertion::refused("no such client"))?;
    let by = match (client.key(), client.secret()) {
        (Some(key), _) if client.accepts(AuthMethod::KeyJwt) => Signed::Key(key),
        (_, Some(secret)) if client.accepts(AuthMethod::SecretJwt) => Signed::Secret(secret),
        _ => {
            return Err(assertion::refused(
                "the client is registered for another way to authenticate",
            ));
        }
    };
    let audience = client.audience(&shared.issuer);
    let claims = assertion::verify(
        sent,
        &by,
        &[&audience],
        shared.clock.now(),
        &mut shared.lock().assertions,
    )
    .map_err(assertion::refused)?;
    let posted = parameters.get("client_id");
    if claims["sub"] != id || posted.is_some_and(|posted| posted != id) {
        return Err(assertion::refused("the assertion is about another client"));
    }
    Ok(client)
}

/// Name and secret are form-urlencoded before they are joined (RFC 6749 section 2.3.1): a secret with a plus sign that was
/// sent as it is must be refused.
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, OAuthError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let unreadable = || OAuthError::invalid_client("the Authorization header cannot be read");
    let (scheme, credentials) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or_else(unreadable)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unreadable());
    }
    let joined = STANDARD
        .decode(credentials.trim())
        .ok()
        .and_then(|joined| String::from_utf8(joined).ok())
        .ok_or_else(unreadable)?;
    let (id, secret) = joined.split_once(':').ok_or_else(unreadable)?;
    Ok(Some((form_decode(id), form_decode(secret))))
}

fn form_decode(text: &str) -> String {
    // Read as the name of a single pair. The two signs that separate pairs stand for themselves here.
    let single = text.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(single.as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}
