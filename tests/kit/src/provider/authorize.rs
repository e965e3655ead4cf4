//! The authorization endpoint and its responses (RFC 6749 section 4.1, OpenID Connect Core 1.0 section 3.1.2).

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use url::Url;

use super::{
    authorize_request::{AuthorizationRequest, Next, Refusal, ReplyTo},
    error::{NO_STORE, OAuthError},
    faults::{Endpoint, Fault, WRONG_ISSUER},
    pages,
    request::{Parameters, cookie},
    state::{Code, Interaction, Session, Shared, random_token},
};

const CODE_LIFETIME: Duration = Duration::from_secs(60);

pub(super) async fn authorize(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Response {
    shared.lock().ledger.request(&parameters);
    let request = match AuthorizationRequest::read(&shared, &parameters) {
        Ok(request) => request,
        Err(Refusal::Page(reason)) => {
            return pages::error(
                StatusCode::BAD_REQUEST,
                "This request cannot be answered",
                reason,
            );
        }
        Err(Refusal::Redirect(reply, error)) => return respond(&shared, &reply, Err(error)),
    };
    let auto_login = shared.lock().auto_login.clone();
    match auto_login {
        Some(subject) if !request.is_silent() => {
            authorize_at_once(&shared, &headers, &request, &subject)
        }
        auto_login => ask(&shared, &headers, request, auto_login.is_some()),
    }
}

/// Headless: whoever comes is signed in as `subject`, and has consented.
fn authorize_at_once(
    shared: &Shared,
    headers: &HeaderMap,
    request: &AuthorizationRequest,
    subject: &str,
) -> Response {
    let now = shared.clock.now();
    let session = session_of(shared, headers).filter(|session| session.subject == subject);
    if let Next::Done(session) = request.next(session.as_ref(), false, true, now) {
        return respond_with_code(shared, request, session);
    }
    let (session, set_cookie) = sign_in(shared, subject, request.acr.clone());
    (set_cookie, respond_with_code(shared, request, session)).into_response()
}

/// With pages, if there is anything to ask.
fn ask(
    shared: &Shared,
    headers: &HeaderMap,
    request: AuthorizationRequest,
    consented: bool,
) -> Response {
    let session = session_of(shared, headers);
    let missing = match request.next(session.as_ref(), false, consented, shared.clock.now()) {
        Next::Done(session) => return respond_with_code(shared, &request, session),
        Next::Login => "login_required",
        Next::Consent => "consent_required",
    };
    if request.is_silent() {
        return respond(
            shared,
            &request.reply,
            Err(OAuthError::new(
                missing,
                "prompt=none, and somebody would have to be asked",
            )),
        );
    }
    let name = &shared.settings.browser_cookie;
    let known = cookie(headers, name).filter(|value| !value.is_empty() && value.len() <= 64);
    let browser = known.unwrap_or_else(|| random_token(24));
    let id = random_token(24);
    let set_cookie = set_cookie(name, &browser);
    shared.lock().interactions.insert(
        id.clone(),
        Interaction {
            request,
            browser,
            logged_in: false,
            consented: false,
        },
    );
    (set_cookie, see_other(&format!("/interaction/{id}"))).into_response()
}

pub(super) fn session_of(shared: &Shared, headers: &HeaderMap) -> Option<Session> {
    cookie(headers, &shared.settings.session_cookie)
        .and_then(|id| shared.lock().sessions.get(&id).cloned())
}

/// A new session for a new login: its cookie is never one that the browser already had.
pub(super) fn sign_in(shared: &Shared, subject: &str, acr: Option<String>) -> (Session, SetCookie) {
    let session = Session {
        subject: subject.to_owned(),
        sid: random_token(16),
        auth_time: shared.clock.now(),
        acr,
        consents: Default::default(),
    };
    let id = random_token(24);
    shared.lock().sessions.insert(id.clone(), session.clone());
    (session, set_cookie(&shared.settings.session_cookie, &id))
}

pub(super) type SetCookie = AppendHeaders<[(header::HeaderName, String); 1]>;

pub(super) fn set_cookie(name: &str, value: &str) -> SetCookie {
    AppendHeaders([(
        header::SET_COOKIE,
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax"),
    )])
}

pub(super) fn respond_with_code(
    shared: &Shared,
    request: &AuthorizationRequest,
    session: Session,
) -> Response {
    let code = format!("code-{}", random_token(32));
    let expires_at = shared.clock.now() + CODE_LIFETIME;
    let mut memory = shared.lock();
    memory.ledger.note("code", &code);
    memory.codes.insert(
        code.clone(),
        Code {
            request: request.clone(),
            session,
            expires_at,
            grant: None,
        },
    );
    drop(memory);
    respond(shared, &request.reply, Ok(code))
}

/// Sends the browser back to the client, with a code or an error; `state` and `iss` (RFC 9207) stand in both.
pub(super) fn respond(
    shared: &Shared,
    reply: &ReplyTo,
    outcome: Result<String, OAuthError>,
) -> Response {
    let fault = shared
        .faults
        .take(Endpoint::Authorize, None, Fault::is_of_callback);
    let outcome = match &fault {
        Some(Fault::CallbackError(error)) => Err(OAuthError::new(error, "a fault of the test")),
        _ => outcome,
    };
    let mut fields = match outcome {
        Ok(code) => vec![("code", code)],
        Err(error) => vec![
            ("error", error.error),
            ("error_description", error.description.to_owned()),
        ],
    };
    fields.extend(reply.state.clone().map(|state| ("state", state)));
    match fault {
        Some(Fault::MissingIssuerInCallback) => {}
        Some(Fault::WrongIssuerInCallback) => fields.push(("iss", WRONG_ISSUER.to_owned())),
        _ => fields.push(("iss", shared.issuer.clone())),
    }
    if reply.form_post {
        return pages::form_post(&reply.redirect_uri, &fields);
    }
    // The redirect_uri was matched with a registered one, or parsed, before anything else was done with the request.
    match Url::parse(&reply.redirect_uri) {
        Ok(mut url) => {
            url.query_pairs_mut().extend_pairs(fields);
            see_other(url.as_str())
        }
        Err(_) => pages::error(
            StatusCode::BAD_REQUEST,
            "This request cannot be answered",
            "The redirect_uri is not a URL.",
        ),
    }
}

pub(super) fn see_other(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (
            StatusCode::SEE_OTHER,
            NO_STORE,
            [(header::LOCATION, location)],
        )
            .into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}
