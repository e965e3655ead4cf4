//! The pages people see. They work without scripts, in light and dark, on a phone.

use std::{collections::BTreeSet, fmt::Write as _};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::{error::NO_STORE, state::random_token};

const STYLE: &str = include_str!("pages.css");

pub(super) fn login(id: &str, client: &str, hint: Option<&str>, problem: Option<&str>) -> Response {
    let mut body = format!(
        "<h1>Sign in</h1><p>to continue to <b>{}</b></p><form method=\"post\" action=\"/interaction/{id}\">\
         <input type=\"hidden\" name=\"prompt\" value=\"login\">\
         <label for=\"login\">Username</label>\
         <input id=\"login\" name=\"login\" value=\"{}\" required autofocus maxlength=\"255\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\"",
        escape(client),
        escape(hint.unwrap_or_default()),
    );
    match problem {
        Some(problem) => {
            let _ = write!(
                body,
                " aria-invalid=\"true\" aria-describedby=\"problem\"><p id=\"problem\" class=\"problem\" role=\"alert\">{}</p>",
                escape(problem)
            );
        }
        None => body.push('>'),
    }
    body.push_str("<button type=\"submit\" class=\"primary\">Sign in</button></form>");
    body.push_str(&deny(id));
    body.push_str("<p class=\"note\">This is a provider for tests: any name will do, there are no passwords.</p>");
    page(StatusCode::OK, "Sign in", &body, None)
}

pub(super) fn consent(
    id: &str,
    client: &str,
    subject: &str,
    scopes: &BTreeSet<String>,
) -> Response {
    let mut items = String::new();
    for scope in scopes {
        let _ = write!(
            items,
            "<li><b>{}</b><span>{}</span></li>",
            escape(meaning(scope)),
            escape(scope)
        );
    }
    let body = format!(
        "<h1>Allow access?</h1><p><b>{}</b> asks for access to the account of <b>{}</b>:</p><ul class=\"scopes\">{items}</ul>\
         <form method=\"post\" action=\"/interaction/{id}\"><input type=\"hidden\" name=\"prompt\" value=\"consent\">\
         <button type=\"submit\" class=\"primary\" id=\"consent\">Allow</button></form>{}",
        escape(client),
        escape(subject),
        deny(id),
    );
    page(StatusCode::OK, "Allow access?", &body, None)
}

pub(super) fn logout(id: &str, subject: Option<&str>) -> Response {
    let why = match subject {
        Some(subject) => format!(
            "You are signed in at this provider as <b>{}</b>.",
            escape(subject)
        ),
        None => "An application asks to end your session at this provider.".to_owned(),
    };
    let body = format!(
        "<h1>Sign out?</h1><p>{why}</p>\
         <form method=\"post\" action=\"/end_session/{id}\"><input type=\"hidden\" name=\"logout\" value=\"yes\">\
         <button type=\"submit\" class=\"primary\">Sign out</button></form>\
         <form method=\"post\" action=\"/end_session/{id}\"><input type=\"hidden\" name=\"stay\" value=\"yes\">\
         <button type=\"submit\">Stay signed in</button></form>",
    );
    page(StatusCode::OK, "Sign out?", &body, None)
}

pub(super) fn message(title: &str, text: &str) -> Response {
    page(
        StatusCode::OK,
        title,
        &format!("<h1>{}</h1><p>{}</p>", escape(title), escape(text)),
        None,
    )
}

pub(super) fn error(status: StatusCode, title: &str, text: &str) -> Response {
    page(
        status,
        title,
        &format!(
            "<h1>{}</h1><p role=\"alert\">{}</p>",
            escape(title),
            escape(text)
        ),
        None,
    )
}

/// OAuth 2.0 Form Post Response Mode, section 2. Without scripts there is the button.
pub(super) fn form_post(action: &str, fields: &[(&str, String)]) -> Response {
    let mut body = format!(
        "<h1>Signed in</h1><p>Going back to the application.</p><form id=\"form-post\" method=\"post\" action=\"{}\">",
        escape(action)
    );
    for (name, value) in fields {
        let _ = write!(
            body,
            "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
            escape(name),
            escape(value)
        );
    }
    body.push_str("<button type=\"submit\" class=\"primary\">Continue</button></form>");
    page(
        StatusCode::OK,
        "Signed in",
        &body,
        Some("document.getElementById('form-post').submit()"),
    )
}

fn deny(id: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/interaction/{id}\"><input type=\"hidden\" name=\"prompt\" value=\"deny\">\
         <button type=\"submit\">Cancel</button></form>"
    )
}

/// OpenID Connect Front-Channel Logout 1.0 section 3: a frame for each client, and on when all have loaded. Without scripts
/// there is a link.
pub(super) fn signed_out(frames: &[String], return_to: Option<&str>) -> Response {
    let mut body = "<h1>Signed out</h1><p>You have signed out at this provider.</p>".to_owned();
    for frame in frames {
        let _ = write!(body, "<iframe hidden src=\"{}\"></iframe>", escape(frame));
    }
    let script = return_to.map(|url| {
        let _ = write!(
            body,
            "<p><a id=\"continue\" class=\"primary\" href=\"{}\">Continue</a></p>",
            escape(url)
        );
        "window.addEventListener('load', () => location.replace(document.getElementById('continue').href))"
    });
    framing(
        StatusCode::OK,
        "Signed out",
        &body,
        script,
        "frame-src http: https:; ",
    )
}

fn page(status: StatusCode, title: &str, body: &str, script: Option<&str>) -> Response {
    framing(status, title, body, script, "")
}

fn framing(
    status: StatusCode,
    title: &str,
    body: &str,
    script: Option<&str>,
    frames: &str,
) -> Response {
    let nonce = random_token(16);
    let script = script
        .map(|script| format!("<script nonce=\"{nonce}\">{script}</script>"))
        .unwrap_or_default();
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{}</title><style nonce=\"{nonce}\">{STYLE}</style></head><body><main>\
         <p class=\"brand\"><span aria-hidden=\"true\"></span>Test provider</p>{body}</main>{script}</body></html>",
        escape(title),
    );
    // No form-action: browsers apply it to the redirect that answers a form, and that leads to the application.
    let policy = format!(
        "default-src 'none'; {frames}style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut response = (
        status,
        NO_STORE,
        [(header::REFERRER_POLICY, "same-origin")],
        Html(html),
    )
        .into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn meaning(scope: &str) -> &str {
    match scope {
        "openid" => "Know who you are",
        "profile" => "See your name",
        "email" => "See your e-mail address",
        "offline_access" => "Keep access while you are away",
        _ => "Use the API",
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
