//! An API asks for more, and the browser is led into the login that asks for it.

use std::time::Duration;

use tokenkeep_testing::Browser;

use crate::web::{App, Framework, on_each_framework};

async fn signed_in(app: &App, user: &str) -> Browser {
    app.world.provider.auto_login(Some(user));
    let browser = app.browser().with_header("accept", "text/html");
    browser.log_in(&app.at("/login/op"), user).await.unwrap();
    browser
}

/// Where the page of an error leads.
async fn link(browser: &Browser, app: &App) -> String {
    let page = browser.get(&app.at("/refused")).await.unwrap();
    assert_eq!(page.status, 403, "{}", page.body);
    let (before, _) = page.body.split_once("\">Log in again").unwrap();
    let (_, link) = before.rsplit_once("href=\"").unwrap();
    link.replace("&amp;", "&")
}

async fn a_handler_leads_the_browser_into_the_login_that_an_api_asks_for(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let alice = signed_in(&app, "alice").await;
    let visit = alice.follow(&app.at("/step-up")).await.unwrap();
    assert_eq!(visit.last().url.as_str(), app.at("/step-up"));
    assert!(visit.last().body.contains("urn:example:mfa"), "{visit:?}");
    // There and back once: the next call goes through.
    assert_eq!(alice.get(&app.at("/step-up")).await.unwrap().status, 200);
}

async fn the_link_of_an_errors_page_asks_for_what_the_api_misses(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let alice = signed_in(&app, "alice").await;
    let there = link(&alice, &app).await;
    assert!(!there.contains("invoices"), "it is sealed: {there}");
    alice.follow(&there).await.unwrap();
    let page = alice.get(&app.at("/refused")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
}

/// With another's link, or one of one's own making, people would be asked for more than their application needs.
async fn nobody_else_can_say_what_a_login_asks_for(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let alice = signed_in(&app, "alice").await;
    let there = link(&alice, &app).await;
    let bob = signed_in(&app, "bob").await;
    let programs = |browser: &Browser| browser.clone().with_header("accept", "application/json");
    let refused = async |browser: &Browser, there: &str| {
        let page = programs(browser).get(there).await.unwrap();
        assert_eq!(super::error(&page).1, "invalid_parameter", "{there}");
    };
    refused(&bob, &there).await;
    refused(&alice, &there.replace("required=", "required=A")).await;
    refused(&alice, &app.at("/connect/op?required=scope")).await;
    let two = format!("{there}&required=again");
    refused(&alice, &two).await;
    app.world.advance(Duration::from_secs(3600));
    refused(&alice, &there).await;
    // What is asked for in the open is not heard.
    let open = app.at("/connect/op?scope=invoices&acr_values=x&max_age=0");
    let to_provider = programs(&alice).get(&open).await.unwrap();
    let location = to_provider.header("location").unwrap();
    for unheard in ["invoices", "acr_values", "max_age"] {
        assert!(!location.contains(unheard), "{location}");
    }
}

on_each_framework!(
    a_handler_leads_the_browser_into_the_login_that_an_api_asks_for,
    the_link_of_an_errors_page_asks_for_what_the_api_misses,
    nobody_else_can_say_what_a_login_asks_for,
);
