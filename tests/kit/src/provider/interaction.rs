//! The login and the consent page, for the browser that brought the authorization request.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use super::{
    authorize::{respond, respond_with_code, see_other, session_of, sign_in},
    authorize_request::Next,
    error::OAuthError,
    pages,
    request::{Parameters, cookie},
    state::{Interaction, Shared},
};

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(interaction) = find(&shared, &id, &headers) else {
        return gone();
    };
    let session = session_of(&shared, &headers);
    let request = &interaction.request;
    match request.next(
        session.as_ref(),
        interaction.logged_in,
        interaction.consented,
        shared.clock.now(),
    ) {
        Next::Login => pages::login(&id, &request.client, request.login_hint.as_deref(), None),
        Next::Consent => pages::consent(
            &id,
            &request.client,
            session.as_ref().map_or("", |session| &session.subject),
            &request.scopes,
        ),
        Next::Done(session) => {
            shared.lock().interactions.remove(&id);
            respond_with_code(&shared, request, session)
        }
    }
}

/// One form each for logging in, allowing and refusing, told apart by `prompt`.
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Response {
    let Some(interaction) = find(&shared, &id, &headers) else {
        return gone();
    };
    match parameters.get("prompt") {
        Some("login") => log_in(
            &shared,
            &id,
            &interaction,
            parameters.get("login").unwrap_or_default().trim(),
        ),
        Some("consent") => allow(&shared, &id, &interaction, &headers),
        Some("deny") => {
            shared.lock().interactions.remove(&id);
            respond(
                &shared,
                &interaction.request.reply,
                Err(OAuthError::new("access_denied", "the person refused")),
            )
        }
        _ => pages::error(
            StatusCode::BAD_REQUEST,
            "This form cannot be read",
            "Go back and try again.",
        ),
    }
}

fn log_in(shared: &Shared, id: &str, interaction: &Interaction, login: &str) -> Response {
    let request = &interaction.request;
    // A subject is at most 255 ASCII characters (OpenID Connect Core 1.0 section 2).
    if login.is_empty()
        || login.len() > 255
        || !login.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
    {
        let problem = "Use 1 to 255 letters, digits or ASCII signs.";
        return pages::login(
            id,
            &request.client,
            request.login_hint.as_deref(),
            Some(problem),
        );
    }
    let (_, set_cookie) = sign_in(shared, login, request.acr.clone());
    if let Some(interaction) = shared.lock().interactions.get_mut(id) {
        interaction.logged_in = true;
    }
    (set_cookie, see_other(&format!("/interaction/{id}"))).into_response()
}

fn allow(shared: &Shared, id: &str, interaction: &Interaction, headers: &HeaderMap) -> Response {
    let request = &interaction.request;
    // Nobody allows anything before logging in.
    let session = session_of(shared, headers);
    match request.next(
        session.as_ref(),
        interaction.logged_in,
        true,
        shared.clock.now(),
    ) {
        Next::Done(session) => {
            let mut state = shared.lock();
            state.interactions.remove(id);
            if let Some(session) = cookie(headers, &shared.settings.session_cookie)
                .and_then(|id| state.sessions.get_mut(&id))
            {
                session
                    .consents
                    .entry(request.client.clone())
                    .or_default()
                    .extend(request.scopes.iter().cloned());
            }
            drop(state);
            respond_with_code(shared, request, session)
        }
        Next::Login | Next::Consent => see_other(&format!("/interaction/{id}")),
    }
}

/// An id alone opens nothing: the cookie that was set with it must come along.
fn find(shared: &Shared, id: &str, headers: &HeaderMap) -> Option<Interaction> {
    let browser = cookie(headers, &shared.settings.browser_cookie)?;
    shared
        .lock()
        .interactions
        .get(id)
        .filter(|interaction| interaction.browser == browser)
        .cloned()
}

fn gone() -> Response {
    pages::error(
        StatusCode::NOT_FOUND,
        "This page is over",
        "It was answered already, or belongs to another browser. Go back to the application and log in again.",
    )
}
