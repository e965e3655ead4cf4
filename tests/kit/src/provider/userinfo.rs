//! The userinfo endpoint (OpenID Connect Core 1.0 section 5.3).

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{
    error::NO_STORE,
    faults::{Endpoint, Fault},
    resource::{Bearer, Denied},
    state::Shared,
};

pub(super) async fn userinfo(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    let bearer = match Bearer::read(&shared, &headers, &uri, &body) {
        Ok(bearer) => bearer,
        Err(denied) => return denied.into_response(),
    };
    let Some(subject) = bearer.subject.filter(|_| bearer.scopes.contains("openid")) else {
        return Denied::InsufficientScope("openid".to_owned()).into_response();
    };
    let mut claims = Map::from_iter([("sub".to_owned(), Value::from(subject.clone()))]);
    if bearer.scopes.contains("profile") {
        claims.insert("name".to_owned(), capitalised(&subject).into());
        claims.insert("preferred_username".to_owned(), subject.clone().into());
    }
    if bearer.scopes.contains("email") {
        let domain = if subject.contains('@') {
            ""
        } else {
            "@example.com"
        };
        let email = format!("{}{domain}", subject.replace(' ', "."));
        claims.extend([
            ("email".to_owned(), json!(email)),
            ("email_verified".to_owned(), json!(true)),
        ]);
    }
    claims.extend(
        shared
            .settings
            .claims
            .get(&subject)
            .cloned()
            .unwrap_or_default(),
    );
    let fault = shared.faults.take(Endpoint::Userinfo, None, |fault| {
        fault.only_for() == Some(Endpoint::Userinfo)
    });
    if let Some(Fault::OtherSubjectInUserinfo(other)) = fault {
        claims.insert("sub".to_owned(), other.into());
    }
    if !shared.settings.signed_userinfo {
        return (NO_STORE, Json(claims)).into_response();
    }
    claims.insert("iss".to_owned(), shared.issuer.as_str().into());
    claims.insert("aud".to_owned(), bearer.client.into());
    let keys = shared.keys();
    let signed = keys
        .signing()
        .token(&keys.signing().header(), &claims.into());
    let media = [(header::CONTENT_TYPE, "application/jwt")];
    (NO_STORE, media, signed).into_response()
}

fn capitalised(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}
