//! Pages for people: complete without JavaScript, except for the live feed.

use std::time::{Duration, UNIX_EPOCH};

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, html};
use serde_json::Value;
use tokenkeep::{ErrorCode, Session};

use crate::{api::segment, row::Row};

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
                h1 { "Nobody is signed in" }
                p data-test="signed-out" { "Log in, and your tokens are kept, renewed and shown to nobody, while you watch what happens to them." }
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

pub(crate) fn signed_in(session: &Session, rows: &[Row], clients: &[String]) -> Markup {
    let unconnected: Vec<_> = clients
        .iter()
        .filter(|client| !rows.iter().any(|row| row.client == **client))
        .collect();
    page(
        "Your tokens",
        &html! {
            section.who {
                div {
                    h1 data-test="signed-in-as" { "Signed in as " (name(session)) }
                    p.quiet { "through " b { (session.client()) } ", as " code { (session.owner()) } }
                }
                (button(session, "/logout", "logout", "Log out"))
            }
            section {
                h2 { "Kept tokens" }
                p.quiet { "A token that is over is renewed by its next use: expire one, call the API, and watch the live feed." }
                @if rows.is_empty() { p { "None yet." } }
                div.cards { @for row in rows { (card(session, row)) } }
            }
            @if !unconnected.is_empty() {
                section {
                    h2 { "Connect another account" }
                    ul.buttons {
                        @for client in unconnected {
                            li { (log_in("connect", client, &format!("Connect {client}"), false)) }
                        }
                    }
                }
            }
            section {
                h2 { "Live feed" }
                p.quiet { "What happens to your tokens, in every process of the application, as it happens." }
                ol.feed data-test="live-feed" aria-live="polite" aria-label="Live feed" {}
                noscript { p { "The live feed needs JavaScript; everything else here works without." } }
                script src="/live.js" defer {}
            }
        },
    )
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

fn card(session: &Session, row: &Row) -> Markup {
    let client = &row.client;
    html! {
        article.card data-test="token-row" data-client=(client) data-generation=(row.generation) data-state=(row.state) {
            h3 {
                (client)
                @if !row.slot.is_empty() { " · " (row.slot) }
                " " span.{"state " (row.state)} { (row.state.replace('_', " ")) }
            }
            @if row.state == "logged_out" {
                p.quiet { "Its tokens are gone; a new login brings new ones." }
            } @else {
                dl {
                    dt { "Access token" }
                    dd { (row.token_type.as_deref().unwrap_or("unreadable")) ", " (expiry(row.expires_at)) }
                    dt { "Renewable" }
                    dd { @if row.refreshable { "yes, without you" } @else { "only by logging in again" } }
                    dt { "Scopes" }
                    dd { (scopes(row)) }
                    dt { "Generation" }
                    dd { (row.generation) }
                }
            }
            // The routes act on the account without a label.
            @if row.slot.is_empty() {
                @if row.state != "active" {
                    (log_in("connect", client, "Log in again", true))
                }
                @if row.state != "logged_out" { (actions(session, client)) }
            }
        }
    }
}

fn scopes(row: &Row) -> String {
    match &row.scopes {
        Some(scopes) => scopes.join(" "),
        None => "unknown".to_owned(),
    }
}

fn actions(session: &Session, client: &str) -> Markup {
    let id = segment(client);
    html! {
        form.call action={"/call/" (id)} {
            label for={"path-" (id)} { "API path" }
            input id={"path-" (id)} name="path" value="me" autocapitalize="none" spellcheck="false";
            button.primary data-test="api-call" { "Call the API" }
        }
        div.actions {
            form action={"/userinfo/" (id)} { button data-test="userinfo" { "Userinfo" } }
            (button(session, &format!("/tokens/{id}/refresh"), "refresh", "Refresh now"))
            (button(session, &format!("/tokens/{id}/expire"), "expire", "Expire now"))
            (button(session, &format!("/tokens/{id}/revoke"), "revoke", "Revoke"))
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

fn expiry(at: Option<i64>) -> String {
    let at = at.and_then(|at| u64::try_from(at).ok());
    match at.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_secs(at))) {
        Some(at) => format!("until {}", httpdate::fmt_http_date(at)),
        None => "nobody knows until when".to_owned(),
    }
}

pub(crate) fn log_out(session: Option<&Session>) -> Markup {
    page(
        "Log out",
        &html! {
            section {
                @if let Some(session) = session {
                    h1 { "Log out?" }
                    p { "You are signed in as " b { (name(session)) } ". The session ends here, in every process, and at the provider." }
                    div.actions {
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
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}
