//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0). Clients are told before it is answered.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use url::Url;

use super::{
    authorize::{see_other, session_of, set_cookie},
    logout_channels, pages,
    request::{Parameters, cookie},
    state::{Logout, Shared, random_token},
};

pub(super) async fn end_session(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Response {
    shared.lock().ledger.request(&parameters);
    let session = session_of(&shared, &headers);
    let (return_to, hinted_sid) = match read(&shared, &parameters) {
        Ok(read) => read,
        Err(reason) => {
            return pages::error(
                StatusCode::BAD_REQUEST,
                "This request cannot be answered",
                reason,
            );
        }
    };
    let sid = session
        .as_ref()
        .map(|session| session.sid.clone())
        .or(hinted_sid);
    if shared.lock().auto_login.is_some() {
        return finish(&shared, sid.as_deref(), return_to.as_deref()).await;
    }
    let name = &shared.settings.browser_cookie;
    let browser = cookie(&headers, name)
        .filter(|value| !value.is_empty() && value.len() <= 64)
        .unwrap_or_else(|| random_token(24));
    let set_cookie = set_cookie(name, &browser);
    let id = random_token(24);
    shared.lock().logouts.insert(
        id.clone(),
        Logout {
            browser,
            sid,
            return_to,
        },
    );
    (
        set_cookie,
        pages::logout(
            &id,
            session.as_ref().map(|session| session.subject.as_str()),
        ),
    )
        .into_response()
}

/// Where to go afterwards, with the state; and the session that the hint names.
fn read(
    shared: &Shared,
    parameters: &Parameters,
) -> Result<(Option<String>, Option<String>), &'static str> {
    if parameters.doubled().is_some() {
        return Err("A parameter was sent twice.");
    }
    let memory = shared.lock();
    let hint = parameters.get("id_token_hint").map(|hint| {
        memory
            .grants
            .grant_of_id_token(hint)
            .ok_or("The id_token_hint was not issued here.")
    });
    let hint = hint.transpose()?;
    let client = match (
        hint.map(|grant| grant.client.as_str()),
        parameters.get("client_id"),
    ) {
        (Some(hinted), Some(named)) if hinted != named => {
            return Err("The id_token_hint was issued to another client.");
        }
        (hinted, named) => hinted.or(named),
    };
    let client = client
        .map(|id| {
            shared
                .client(id)
                .ok_or("No such client is registered here.")
        })
        .transpose()?;
    let return_to = match (parameters.get("post_logout_redirect_uri"), client) {
        (None, _) => None,
        (Some(uri), Some(client)) if client.may_return_to(uri) => {
            let mut url =
                Url::parse(uri).map_err(|_| "The post_logout_redirect_uri is not a URL.")?;
            if let Some(state) = parameters.get("state") {
                url.query_pairs_mut().append_pair("state", state);
            }
            Some(url.into())
        }
        (Some(_), _) => {
            return Err("The post_logout_redirect_uri is not registered for this client.");
        }
    };
    Ok((return_to, hint.and_then(|grant| grant.sid.clone())))
}

/// The answer of a person to the page.
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Response {
    let browser = cookie(&headers, &shared.settings.browser_cookie);
    let logout = {
        let mut memory = shared.lock();
        let ours = memory
            .logouts
            .get(&id)
            .is_some_and(|logout| Some(&logout.browser) == browser.as_ref());
        if ours {
            memory.logouts.remove(&id)
        } else {
            None
        }
    };
    match logout {
        None => pages::error(
            StatusCode::NOT_FOUND,
            "This page is over",
            "It was answered already, or belongs to another browser.",
        ),
        Some(_) if parameters.get("logout").is_none() => pages::message(
            "Still signed in",
            "You have not signed out at this provider.",
        ),
        Some(logout) => finish(&shared, logout.sid.as_deref(), logout.return_to.as_deref()).await,
    }
}

/// Ends the session, and goes on when every client has answered. Where a client is to be told in a frame, a page comes first.
async fn finish(shared: &Shared, sid: Option<&str>, return_to: Option<&str>) -> Response {
    let frames = match sid {
        Some(sid) => logout_channels::end(shared, sid).await.1,
        None => Vec::new(),
    };
    match return_to {
        _ if !frames.is_empty() => pages::signed_out(&frames, return_to),
        Some(url) => see_other(url),
        None => pages::message("Signed out", "You have signed out at this provider."),
    }
}
