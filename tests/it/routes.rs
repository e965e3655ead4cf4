//! The routes and extractors of the web hooks, over HTTP.

mod alike;
mod callback;
mod connections;
mod current;
mod hostile;
mod required;

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::HeaderValue;
use serde_json::json;
use tokenkeep::{ErrorCode, Login, ResponseMode};
use tokenkeep_testing::{Browser, Page};

use crate::web::{App, Framework, on_each_framework};

/// The code and the rest of an error for programs.
fn error(page: &Page) -> (u16, String, serde_json::Value) {
    let body = page.json();
    (
        page.status,
        body["error"].as_str().unwrap().to_owned(),
        body,
    )
}

async fn routes_stand_under_their_prefix_and_the_application_names_the_owner(framework: Framework) {
    let owner = async |login: Arc<Login>| {
        Ok::<_, std::io::Error>(format!("user-{}", login.subject().unwrap()))
    };
    let app = App::with(framework, |routes| routes.prefix("auth/").owner(owner)).await;
    let browser = app.browser();
    let visit = browser
        .log_in(&app.at("/auth/login/op?return_to=/me"), "alice")
        .await
        .unwrap();
    assert_eq!(visit.last().body, "user-alice");
    assert_eq!(browser.get(&app.at("/login/op")).await.unwrap().status, 404);
    let nobody = browser.get(&app.at("/auth/login/nobody")).await.unwrap();
    let (status, code, body) = error(&nobody);
    assert_eq!((status, code.as_str()), (404, "unknown_client"));
    let message = body["message"].as_str().unwrap();
    assert!(
        message.starts_with("there is no client of this name. "),
        "{message}"
    );
    assert!(
        message.ends_with(ErrorCode::UnknownClient.help()),
        "it names no others: {message}"
    );

    let programs = app.browser().accepting_json();
    let login = programs
        .log_in(&app.at("/auth/login/op"), "alice")
        .await
        .unwrap();
    let answer = login.last().json();
    assert_eq!(answer["owner"], "user-alice");
    assert_eq!(answer["claims"]["sub"], "alice");
    assert_eq!(answer["claims"]["aud"], app.world.provider.client_id());
    assert_eq!(answer["userinfo"], json!(null));
    assert_eq!(answer["refreshable"], true);

    let called = programs.get(&app.at("/call")).await.unwrap();
    assert_eq!(called.json()["sub"], "alice", "by the grant that is hers");

    // An error knows where to log in again.
    let grant = app.oauth.client("op").unwrap().owner("user-alice");
    grant.log_out().await.unwrap();
    let (status, code, body) = error(&programs.get(&app.at("/call")).await.unwrap());
    assert_eq!((status, code.as_str()), (401, "login_required"));
    assert_eq!(body["connect_url"], app.at("/auth/connect/op"));
}

async fn an_application_may_refuse_a_login_and_says_no_more_than_that(framework: Framework) {
    let refuse = |_| async { Err::<String, _>(std::io::Error::other("tenant 7 owes us money")) };
    let app = App::with(framework, |routes| routes.owner(refuse)).await;
    let browser = app.browser().accepting_json();
    let visit = browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let (status, code, _) = error(visit.last());
    assert_eq!((status, code.as_str()), (403, "owner_refused"));
    assert!(!visit.last().body.contains("money"));
    assert!(app.oauth.grants("alice").await.unwrap().is_empty());
    let (status, code, _) = error(&browser.get(&app.at("/me")).await.unwrap());
    assert_eq!((status, code.as_str()), (401, "not_signed_in"));
}

async fn what_may_change_something_brings_the_sessions_token(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let browser = app.browser().accepting_json();
    browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let csrf = browser.get(&app.at("/logout")).await.unwrap().json()["csrf"]
        .as_str()
        .unwrap()
        .to_owned();
    for (path, fields) in [
        ("/me", vec![]),
        ("/form", vec![]),
        ("/form", vec![("csrf", "x")]),
    ] {
        let page = browser.post_form(&app.at(path), &fields).await.unwrap();
        let (status, code, _) = error(&page);
        assert_eq!((status, code.as_str()), (403, "csrf_mismatch"), "{path}");
    }
    let (status, ..) = error(&browser.post_form(&app.at("/logout"), &[]).await.unwrap());
    assert_eq!(status, 403);
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 200);

    let by_form = browser
        .post_form(&app.at("/form"), &[("csrf", &csrf)])
        .await
        .unwrap();
    assert_eq!(
        (by_form.status, by_form.body.starts_with("changed")),
        (200, true)
    );
    let browser = browser.with_header("x-csrf-token", &csrf);
    let by_header = browser.post_form(&app.at("/me"), &[]).await.unwrap();
    assert_eq!(by_header.status, 200);
}

async fn no_other_site_starts_adding_a_grant(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let browser = app.browser().accepting_json();
    browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let asked = app.world.provider.requests("/authorize");
    for site in ["cross-site", "same-site"] {
        let elsewhere = browser.clone().with_header("sec-fetch-site", site);
        let (status, code, _) = error(&elsewhere.get(&app.at("/connect/op")).await.unwrap());
        assert_eq!((status, code.as_str()), (403, "csrf_mismatch"));
    }
    assert_eq!(app.world.provider.requests("/authorize"), asked);
    let own = browser.with_header("sec-fetch-site", "same-origin");
    assert_eq!(own.get(&app.at("/connect/op")).await.unwrap().status, 303);
}

/// Browsers send no session with a form of another site.
async fn an_account_is_connected_by_a_posted_answer_that_waits_for_the_session(
    framework: Framework,
) {
    let app = App::of(
        framework,
        |client| client.response_mode(ResponseMode::FormPost),
        |routes| routes,
    )
    .await;
    let browser = app.browser().accepting_json();
    let bob = app.browser().accepting_json();
    let alice = browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let owner = alice.last().json()["owner"].as_str().unwrap().to_owned();
    app.world.provider.auto_login(Some("bob"));
    bob.log_in(&app.at("/login/op"), "bob").await.unwrap();
    app.world.provider.auto_login(Some("alice"));
    let session = |browser: &Browser| {
        let cookies = browser.cookies(&app.base).into_iter();
        cookies
            .filter(|(name, _)| name == "tokenkeep-session")
            .collect()
    };
    let generation = async || {
        let grants = app.oauth.grants(&owner).await.unwrap();
        grants[0].generation
    };
    let before = generation().await;

    // The answer, as the browser posts it: with what has no SameSite.
    let post = async || {
        let callback = browser
            .callback(&app.at("/connect/op"), "alice")
            .await
            .unwrap();
        assert_eq!(callback.method, "POST");
        let form = app.browser().accepting_json();
        for (name, value) in browser.cookies(&app.base) {
            if name.starts_with("tokenkeep-flow") {
                form.set_cookie(&app.base, &format!("{name}={value}; Path=/"));
            }
        }
        let fields: Vec<(&str, &str)> = callback
            .fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let again = form
            .post_form(callback.url.as_str(), &fields)
            .await
            .unwrap();
        let code = callback.parameter("code").unwrap();
        (form, again, code)
    };
    let finish = async |form: &Browser, again: &Page, session: Vec<(String, String)>| {
        for (name, value) in session {
            form.set_cookie(&app.base, &format!("{name}={value}; Path=/"));
        }
        form.get(again.header("location").unwrap()).await.unwrap()
    };

    let (form, again, code) = post().await;
    assert_eq!(again.status, 303);
    let location = again.header("location").unwrap();
    let expected = format!("{}?state=", app.at("/callback/op"));
    assert!(location.starts_with(&expected) && !location.contains('&'));
    let waits = |(name, _): &(String, String)| name.starts_with("tokenkeep-answer-");
    let waiting: Vec<_> = form.cookies(&app.base).into_iter().filter(waits).collect();
    assert_eq!(waiting.len(), 1);
    assert!(!waiting[0].1.contains(&code), "it is sealed");
    let headers = format!("{:?}", again.headers);
    assert!(!headers.contains(&code));
    let connected = finish(&form, &again, session(&browser)).await;
    assert_eq!(connected.status, 200, "{}", connected.body);
    let after = generation().await;
    assert!(after > before);

    // Somebody else, nobody, and an answer that was lost or belongs to another login.
    let (form, again, _) = post().await;
    let (status, code, _) = error(&finish(&form, &again, session(&bob)).await);
    assert_eq!((status, code.as_str()), (409, "user_changed"));
    let (form, again, _) = post().await;
    let (_, code, _) = error(&finish(&form, &again, Vec::new()).await);
    assert_eq!(code, "user_changed");
    for swapped in [false, true] {
        let (form, again, _) = post().await;
        let own = form.cookies(&app.base).into_iter().find(waits).unwrap();
        form.set_cookie(&app.base, &format!("{}=; Max-Age=0; Path=/", own.0));
        if swapped {
            form.set_cookie(&app.base, &format!("{}={}; Path=/", own.0, waiting[0].1));
        }
        let (_, code, _) = error(&finish(&form, &again, session(&browser)).await);
        // No code, and no issuer of RFC 9207 either.
        assert_eq!(code, "issuer_mismatch");
    }

    // What is too large for a cookie says so.
    let callback = browser
        .callback(&app.at("/connect/op"), "alice")
        .await
        .unwrap();
    let state = callback.parameter("state").unwrap();
    let flow: Vec<_> = browser.cookies(&app.base);
    let form = app.browser().accepting_json();
    for (name, value) in flow {
        if name.starts_with("tokenkeep-flow") {
            form.set_cookie(&app.base, &format!("{name}={value}; Path=/"));
        }
    }
    let fields = [("state", &*state), ("code", &*"x".repeat(3000))];
    let large = form
        .post_form(callback.url.as_str(), &fields)
        .await
        .unwrap();
    let (status, code, body) = error(&large);
    assert_eq!((status, code.as_str()), (400, "invalid_parameter"));
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("response_mode=query")
    );
    assert_eq!(generation().await, after, "nothing came of any of them");
}

async fn a_page_runs_nothing_stands_in_no_frame_and_tells_nobody_its_address(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let browser = app.browser().with_header("accept", "text/html");
    let stranger = app.browser().with_header("accept", "text/html");
    browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let cases = [
        (&browser, 200, "/logout", "same-origin"),
        (&stranger, 200, "/logout", "same-origin"),
        (&stranger, 401, "/me", "no-referrer"),
        (&stranger, 404, "/login/nobody", "no-referrer"),
        (&browser, 400, "/callback/op?code=x&state=x", "no-referrer"),
        (&browser, 400, "/logged-out/op?state=x", "no-referrer"),
    ];
    for (browser, status, path, referrer) in cases {
        let page = browser.get(&app.at(path)).await.unwrap();
        assert_eq!(page.status, status, "{path}");
        assert_private(&page, referrer);
        let has_form = page.body.contains("<form");
        let forms = if has_form { "" } else { "; form-action 'none'" };
        assert_sealed(&page, forms);
    }
}

/// It runs nothing, loads nothing, stands in no frame, and its forms go where its policy lets them.
#[track_caller]
fn assert_sealed(page: &Page, forms: &str) {
    let path = page.url.path();
    assert_eq!(page.header("x-frame-options"), Some("DENY"), "{path}");
    let style = page.body.split("<style>").nth(1).unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let hash = digest::digest(&digest::SHA256, style.as_bytes());
    assert_eq!(
        page.header("content-security-policy").unwrap(),
        format!(
            "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; frame-ancestors 'none'{forms}",
            STANDARD.encode(hash)
        ),
        "{path}"
    );
    // What the policy would stop anyway.
    for part in [" style=", "<script", " on", "<img", "<link"] {
        assert!(!page.body.contains(part), "{path}: {part}");
    }
}

async fn no_answer_is_kept_by_a_cache_or_tells_its_address(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let browser = app.browser().accepting_json();
    let start = browser.get(&app.at("/login/op")).await.unwrap();
    let visit = browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let refused = browser.get(&app.at("/callback/op?code=x&state=x")).await;
    let people = app.browser();
    let signed_in = people.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let to_the_start = signed_in.at("/callback/op").unwrap();
    assert_eq!((start.status, to_the_start.status), (303, 303));
    for answer in [&start, visit.last(), &refused.unwrap(), to_the_start] {
        assert_private(answer, "no-referrer");
    }
}

fn cookies_of(header: &str) -> tokenkeep::BrowserCookies {
    tokenkeep::BrowserCookies::parse([header])
}

#[track_caller]
fn assert_private(page: &Page, referrer: &str) {
    let address = page.url.path();
    assert_eq!(page.header("cache-control"), Some("no-store"), "{address}");
    assert_eq!(
        page.header("x-content-type-options"),
        Some("nosniff"),
        "{address}"
    );
    assert_eq!(page.header("referrer-policy"), Some(referrer), "{address}");
}

async fn what_a_provider_says_is_text_on_the_page(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let browser = app.browser().with_header("accept", "text/html");
    let start = browser.get(&app.at("/login/op")).await.unwrap();
    let location: url::Url = start.header("location").unwrap().parse().unwrap();
    let (_, state) = location
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap();
    let mut callback: url::Url = app.at("/callback/op").parse().unwrap();
    callback.query_pairs_mut().extend_pairs([
        ("error", "'\"></title><img src=x onerror=x>"),
        ("state", &state),
        ("iss", app.world.provider.issuer()),
    ]);
    let page = browser.get(callback.as_str()).await.unwrap();
    assert_eq!(page.status, 502, "{}", page.body);
    assert!(!page.body.contains("<img"), "{}", page.body);
}

/// A sibling host, or a script that keeps a name in a cookie, would sign everybody out.
async fn cookies_of_others_that_are_not_ascii_take_ours_not_along(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let browser = app.browser();
    browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let own = browser.cookies(&app.base);
    let (name, value) = own
        .iter()
        .find(|(name, _)| name == "tokenkeep-session")
        .unwrap();
    for other in ["name=Jos\u{e9}".as_bytes(), b"name=\xff"] {
        let line = [other, b"; ", name.as_bytes(), b"=", value.as_bytes()].concat();
        let answer = reqwest::Client::new()
            .get(app.at("/me"))
            .header("cookie", HeaderValue::from_bytes(&line).unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{other:?}");
    }
}

async fn a_logout_is_posted_ends_the_session_and_comes_back(framework: Framework) {
    let app = App::with(framework, |routes| routes.after_logout("/?bye")).await;
    let browser = app.browser();
    browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let page = browser.get(&app.at("/logout")).await.unwrap();
    assert_eq!(
        browser.get(&app.at("/me")).await.unwrap().status,
        200,
        "a GET ends nothing"
    );
    let csrf = page.body.split("name=\"csrf\" value=\"").nth(1).unwrap();
    let csrf = csrf.split('"').next().unwrap();
    let kept = browser.cookies(&app.base);
    let left = browser
        .post_form(&app.at("/logout"), &[("csrf", csrf)])
        .await
        .unwrap();
    let back = browser.follow_page(left).await.unwrap();
    assert_eq!(back.last().url.as_str(), app.at("/?bye"));
    // A copy of the cookie is worth nothing.
    for (name, value) in kept {
        browser.set_cookie(&app.base, &format!("{name}={value}; Path=/"));
    }
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 401);
    let foreign = browser
        .get(&app.at("/logged-out/op?state=other"))
        .await
        .unwrap();
    assert_eq!(foreign.status, 400);
}

on_each_framework!(
    routes_stand_under_their_prefix_and_the_application_names_the_owner,
    an_application_may_refuse_a_login_and_says_no_more_than_that,
    what_may_change_something_brings_the_sessions_token,
    no_other_site_starts_adding_a_grant,
    an_account_is_connected_by_a_posted_answer_that_waits_for_the_session,
    a_page_runs_nothing_stands_in_no_frame_and_tells_nobody_its_address,
    no_answer_is_kept_by_a_cache_or_tells_its_address,
    what_a_provider_says_is_text_on_the_page,
    cookies_of_others_that_are_not_ascii_take_ours_not_along,
    a_logout_is_posted_ends_the_session_and_comes_back,
);
