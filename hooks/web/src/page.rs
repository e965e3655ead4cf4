//! The few pages of our own: plain, and complete without script or style sheet.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokenkeep_core::{self as core, Session};

use crate::{
    Response, answer,
    routes::{Connection, State},
};

/// What a page of ours may do: show itself, in no frame. Its one style sheet is named by its hash.
macro_rules! policy {
    ($forms:literal) => {
        concat!(
            "default-src 'none'; style-src 'sha256-ci8CkKVovANQBKraLS33/ZfiFNKdx/dFrRLvWLZTzJE='; ",
            "base-uri 'none'; frame-ancestors 'none'",
            $forms
        )
    };
}
const NO_FORMS: &str = policy!("; form-action 'none'");
// Browsers apply `form-action` to the redirects after a form too, and logging out leads to any provider, and on from there.
const ANY_FORMS: &str = policy!("");

// Disconnecting leads back to the same page.
const OWN_FORMS: &str = policy!("; form-action 'self'");

const STYLE: &str = include_str!("page.css");

/// Does a request with these headers want a page rather than JSON? Browsers ask for `text/html` first.
#[must_use]
pub fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let position = |media: &str| accept.find(media).unwrap_or(usize::MAX);
    position("text/html") < position("application/json")
}

/// What a visitor is told. Which clients there are is for the log alone.
pub(crate) fn message(error: &core::Error) -> &str {
    match error.code() {
        core::ErrorCode::UnknownClient => "there is no client of this name",
        _ => error.message(),
    }
}

/// A message with the full stop of a sentence, unless it ends like one.
pub(crate) fn sentence(message: &str) -> String {
    let stop = if message.ends_with(['.', '?', '!']) {
        ""
    } else {
        "."
    };
    format!("{message}{stop}")
}

/// Text for HTML: also for attributes in double quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `title` and `body` are HTML.
fn page(status: StatusCode, policy: &'static str, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><h1>{title}</h1>{body}</body></html>"
    );
    let mut response = answer::html(status, html);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(policy),
    );
    // For browsers that know no `frame-ancestors`.
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// What a provider's page shows in a frame that nobody sees.
pub(crate) const SIGNED_OUT_IN_FRAME: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Signed out</title><p>Signed out</p></html>";

/// What happened, and a way on.
pub(crate) fn error(status: StatusCode, error: &core::Error) -> Response {
    let (href, label) = match error.connect_url() {
        Some(url) => (escape(url), "Log in again"),
        None => ("/".to_owned(), "Back to the start"),
    };
    page(
        status,
        NO_FORMS,
        "That did not work",
        &format!(
            "<p>{}</p><p><small>Code <code data-test=\"error\" data-error=\"{code}\">{code}</code></small></p>\
             <p><a href=\"{href}\">{label}</a></p>",
            escape(&sentence(message(error))),
            code = error.code().as_str(),
        ),
    )
}

/// A button that logs out: a link must not.
pub(crate) fn log_out(session: Option<&Session>, action: &str) -> Response {
    match session {
        None => page(
            StatusCode::OK,
            NO_FORMS,
            "Signed out",
            "<p>Nobody is signed in.</p><p><a href=\"/\">Back to the start</a></p>",
        ),
        Some(session) => page(
            StatusCode::OK,
            ANY_FORMS,
            "Log out?",
            &format!(
                "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"csrf\" value=\"{}\">\
                 <p>You are signed in through {}.</p><button data-test=\"logout\">Log out</button></form>\
                 <p><a href=\"/\">Stay signed in</a></p>",
                escape(action),
                escape(session.csrf()),
                escape(session.client()),
            ),
        ),
    }
}

/// What the user has connected, each with its buttons.
pub(crate) fn connections(session: &Session, shown: &[Connection]) -> Response {
    let rows: String = shown
        .iter()
        .map(|connection| row(session, connection))
        .collect();
    let body = if shown.is_empty() {
        "<p>There is nothing to connect.</p>".to_owned()
    } else {
        format!("<ul>{rows}</ul>")
    };
    page(
        StatusCode::OK,
        OWN_FORMS,
        "Connected accounts",
        &format!("{body}<p><a href=\"/\">Back to the start</a></p>"),
    )
}

fn row(session: &Session, connection: &Connection) -> String {
    let client = escape(&connection.client);
    let account = escape(&connection.account);
    let name = match connection.account.as_str() {
        "" => client.clone(),
        _ => format!("{client} \u{b7} {account}"),
    };
    let state = connection.state.as_str();
    let said = match connection.state {
        State::Connected => "Connected",
        State::LoginNeeded => "Needs a new login",
        State::NotConnected => "Not connected",
    };
    let since = connection.since.map_or_else(String::new, |since| {
        let time = since.to_string();
        let day = time.split('T').next().unwrap_or_default();
        let when = match connection.state {
            State::LoginNeeded => "; connected on",
            _ => " since",
        };
        format!("{when} <time datetime=\"{time}\">{day}</time>")
    });
    let scopes = match connection.scopes.join(", ") {
        scopes if scopes.is_empty() => String::new(),
        scopes => format!("<p><small>May use: {}</small></p>", escape(&scopes)),
    };
    format!(
        "<li data-test=\"connection\" data-client=\"{client}\" data-account=\"{account}\" data-state=\"{state}\">\
         <div><h2>{name}</h2><p class=\"{state}\">{said}{since}</p>{scopes}</div>{}</li>",
        buttons(session, connection, &name, &account),
    )
}

/// A link that connects, a button that disconnects: a link must not. `name` and `account` are HTML.
fn buttons(session: &Session, connection: &Connection, name: &str, account: &str) -> String {
    let label = match connection.state {
        State::LoginNeeded => "Reconnect",
        _ => "Connect",
    };
    let connect = connection.connect.as_deref().map_or_else(String::new, |path| {
        format!(
            "<a class=\"button\" data-test=\"connect\" aria-label=\"{label} {name}\" href=\"{}\">{label}</a>",
            escape(path)
        )
    });
    if connection.state == State::NotConnected {
        return connect;
    }
    format!(
        "{connect}<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"csrf\" value=\"{}\">\
         <input type=\"hidden\" name=\"account\" value=\"{account}\">\
         <button data-test=\"disconnect\" aria-label=\"Disconnect {name}\">Disconnect</button></form>",
        escape(&connection.disconnect),
        escape(session.csrf()),
    )
}

#[cfg(test)]
mod tests {
    use super::{escape, sentence};

    #[test]
    fn text_stays_text_in_a_page_and_in_an_attribute() {
        assert_eq!(
            escape("<a href='x' title=\"y\">&amp;"),
            "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;amp;"
        );
    }

    #[test]
    fn a_message_ends_once() {
        assert_eq!(sentence("the clock is wrong"), "the clock is wrong.");
        assert_eq!(sentence("is the clock right?"), "is the clock right?");
    }
}
