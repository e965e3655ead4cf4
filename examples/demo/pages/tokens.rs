//! The page of who is signed in: kept tokens, and what can be done with them.

use std::time::{Duration, UNIX_EPOCH};

use maud::{Markup, html};
use tokenkeep::Session;

use super::{button, log_in, name, page};
use crate::{api::segment, row::Row};

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
            section {
                h2 { "Accounts" }
                p.quiet { "Connected, to be connected again, and not connected: " a href="/connections" data-test="connections" { "all of them on one page" } "." }
                @if !unconnected.is_empty() {
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
                @if row.state != "logged_out" { (actions(session, row)) }
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

fn actions(session: &Session, row: &Row) -> Markup {
    let id = segment(&row.client);
    // OAuth 1.0a has no refresh, and asks an API who somebody is.
    let is_oauth1 = row.token_type.as_deref() == Some("OAuth1");
    html! {
        form.call action={"/call/" (id)} {
            label for={"path-" (id)} { "API path" }
            input id={"path-" (id)} name="path" value="me" autocapitalize="none" spellcheck="false";
            button.primary data-test="api-call" { "Call the API" }
        }
        div.actions {
            @if !is_oauth1 {
                form action={"/userinfo/" (id)} { button data-test="userinfo" { "Userinfo" } }
                (button(session, &format!("/tokens/{id}/refresh"), "refresh", "Refresh now"))
            }
            (button(session, &format!("/tokens/{id}/expire"), "expire", "Expire now"))
            (button(session, &format!("/tokens/{id}/revoke"), "revoke", "Revoke"))
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
