//! Pages for people: complete without JavaScript, except for the live feed.

mod tokens;

use maud::{DOCTYPE, Markup, html};
use reqwest::StatusCode;
use serde_json::Value;
use tokenkeep::{ErrorCode, Session};

pub(crate) use self::tokens::signed_in;
use crate::api::segment;

fn page(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/demo.css";
                title { (title) " · tokenkeep demo" }
            }
            body {
                header { a href="/" { b { "tokenkeep" } " demo" } }
                main { (body) }
            }
        }
    }
}

pub(crate) fn signed_out(clients: &[String]) -> Markup {
    page(
        "Welcome",
        &html! {
            section {
                h1 data-test="signed-out" { "Nobody is signed in" }
                p { "Log in, and your tokens are kept, renewed and shown to nobody, while you watch what happens to them." }
                ul.buttons {
                    @for client in clients {
                        li { (log_in("login", client, &format!("Log in with {client}"), true)) }
                    }
                }
                @if clients.is_empty() {
                    p { "No client is configured: name some in TOKENKEEP_CLIENTS." }
                }
            }
        },
    )
}

/// A button that starts a login (or connects an account) at a client.
fn log_in(route: &str, client: &str, label: &str, primary: bool) -> Markup {
    html! {
        form action={"/" (route) "/" (segment(client))} {
            button.primary[primary] data-test={(route) "-" (client)} { (label) }
        }
    }
}

/// A button that changes something.
fn button(session: &Session, action: &str, hook: &str, label: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            input type="hidden" name="csrf" value=(session.csrf());
            button.danger[hook == "revoke"] data-test=(hook) { (label) }
        }
    }
}

/// What people call themselves, as far as the provider says.
fn name(session: &Session) -> String {
    let info = session.userinfo();
    let claims = session.claims();
    let names = [
        info.and_then(|info| info.name()),
        claims.and_then(|claims| claims.name()),
        info.and_then(|info| info.preferred_username()),
        claims.and_then(|claims| claims.preferred_username()),
        claims.map(|claims| claims.subject()),
        Some(session.owner()),
    ];
    let mut names = names.into_iter().flatten();
    names.next().unwrap_or_default().to_owned()
}

pub(crate) fn log_out(session: Option<&Session>) -> Markup {
    page(
        "Log out",
        &html! {
            section {
                @if let Some(session) = session {
                    h1 { "Log out?" }
                    p { "You are signed in as " b { (name(session)) } ". The session ends here, in every process, and at the provider." }
                    div.actions.decide {
                        (button(session, "/logout", "logout", "Log out"))
                        form action="/" { button { "Stay signed in" } }
                    }
                } @else {
                    h1 { "Nobody is signed in" }
                    p { a href="/" { "Back to the start" } }
                }
            }
        },
    )
}

pub(crate) fn api_result(client: &str, status: StatusCode, body: &str) -> Markup {
    answer(client, &format!("The API answered with {status}"), body)
}

pub(crate) fn result(client: &str, title: &str, json: &Value) -> Markup {
    answer(client, title, &format!("{json:#}"))
}

fn answer(client: &str, title: &str, body: &str) -> Markup {
    page(
        title,
        &html! {
            section {
                h1 { (title) }
                p.quiet { "With the token that is kept for " b { (client) } ", renewed first if it was over." }
                pre data-test="api-result" tabindex="0" { (body) }
                p { a href="/" { "Back to your tokens" } }
            }
        },
    )
}

pub(crate) fn health(health: &Value) -> Markup {
    page(
        "Health",
        &html! { section { h1 { "All is well" } pre { (format!("{health:#}")) } } },
    )
}

pub(crate) fn error(error: &tokenkeep::Error) -> Markup {
    let (code, client) = (error.code().as_str(), error.client());
    problem(
        code,
        &html! {
            p { (sentence(error.message())) }
            @if let Some(wait) = error.retry_after() {
                p { "Try again in " (wait.as_secs().max(1)) " s." }
            }
            p.quiet {
                "Error " code { (code) }
                @if let Some(client) = client { " of the client " b { (client) } }
            }
            p.way-out {
                @if let Some(url) = error.connect_url() { a.button href=(url) { "Log in again" } }
                a href="/" { @if error.code() == ErrorCode::NotSignedIn { "Log in" } @else { "Back to the start" } }
            }
        },
    )
}

pub(crate) fn no_such(code: &str) -> Markup {
    problem(
        code,
        &html! {
            p { "There is nothing here." }
            p { a href="/" { "Back to the start" } }
        },
    )
}

fn problem(code: &str, body: &Markup) -> Markup {
    page(
        "That did not work",
        &html! { section data-test="error" data-error=(code) { h1 { "That did not work" } (body) } },
    )
}

/// A message as a sentence.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    let stop = if message.ends_with(['.', '?', '!']) {
        ""
    } else {
        "."
    };
    format!("{}{}{stop}", first.unwrap_or_default(), letters.as_str())
}
