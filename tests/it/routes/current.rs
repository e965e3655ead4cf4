//! Handlers that name no owner, behind the layer that says whose request it is.

use tokenkeep_testing::Browser;

use crate::web::{App, Framework, on_each_framework};

async fn signed_in(app: &App, user: &str) -> Browser {
    app.world.provider.auto_login(Some(user));
    let browser = app.browser().accepting_json();
    browser.log_in(&app.at("/login/op"), user).await.unwrap();
    browser
}

async fn body(browser: &Browser, app: &App, path: &str) -> (u16, String) {
    let page = browser.get(&app.at(path)).await.unwrap();
    (page.status, page.body)
}

async fn a_handler_that_names_no_owner_means_who_is_signed_in(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let alice = signed_in(&app, "alice").await;
    for path in ["/mine", "/mine/through", "/only/mine"] {
        assert_eq!(body(&alice, &app, path).await, (200, "alice".to_owned()));
    }
    // Where no layer stands nobody is meant.
    let page = alice.get(&app.at("/not/mine")).await.unwrap();
    let (_, code, _) = super::error(&page);
    assert_eq!(code, "owner_missing");
}

async fn nobody_signed_in_is_no_owner_and_refused_only_if_that_is_asked(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let nobody = app.browser().accepting_json();
    for (path, code) in [("/mine", "owner_missing"), ("/only/mine", "not_signed_in")] {
        let page = nobody.get(&app.at(path)).await.unwrap();
        assert_eq!(super::error(&page).1, code, "{path}");
    }
    // A session that ended is nobody's.
    let alice = signed_in(&app, "alice").await;
    let page = alice.get(&app.at("/logout")).await.unwrap();
    let csrf = page.json()["csrf"].as_str().unwrap().to_owned();
    let out = alice
        .post_form(&app.at("/logout"), &[("csrf", &csrf)])
        .await;
    assert!(out.unwrap().status < 400);
    let page = alice.get(&app.at("/mine")).await.unwrap();
    assert_eq!(super::error(&page).1, "owner_missing");
}

/// Another site can make a browser post: without the session's token the request is on nobody's behalf.
async fn what_may_change_something_needs_the_csrf_token(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let alice = signed_in(&app, "alice").await;
    let page = alice.get(&app.at("/logout")).await.unwrap();
    let csrf = page.json()["csrf"].as_str().unwrap().to_owned();
    let post = async |path: &str, token: Option<&str>| {
        let browser = match token {
            Some(token) => alice.clone().with_header("x-csrf-token", token),
            None => alice.clone(),
        };
        browser.post_form(&app.at(path), &[]).await.unwrap()
    };
    for (path, token, code) in [
        ("/mine", None, "owner_missing"),
        ("/mine", Some("wrong"), "csrf_mismatch"),
        ("/only/mine", None, "csrf_mismatch"),
        ("/only/mine", Some("wrong"), "csrf_mismatch"),
    ] {
        let page = post(path, token).await;
        assert_eq!(super::error(&page).1, code, "{path} {token:?}");
    }
    for path in ["/mine", "/only/mine"] {
        let page = post(path, Some(&csrf)).await;
        assert_eq!((page.status, &*page.body), (200, "alice"), "{path}");
    }
}

async fn owners_of_requests_at_the_same_time_do_not_mix(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let people = ["alice", "bob", "carol"];
    let mut browsers = Vec::new();
    for person in people {
        browsers.push((person, signed_in(&app, person).await));
    }
    let asked: Vec<_> = (0..30)
        .map(|number| {
            let (person, browser) = browsers[number % 3].clone();
            let path = ["/mine", "/only/mine", "/mine/through"][number / 3 % 3];
            let at = app.at(path);
            tokio::spawn(async move { (person, browser.get(&at).await.unwrap().body) })
        })
        .collect();
    for request in asked {
        let (person, seen) = request.await.unwrap();
        assert_eq!(seen, person);
    }
}

on_each_framework!(
    a_handler_that_names_no_owner_means_who_is_signed_in,
    nobody_signed_in_is_no_owner_and_refused_only_if_that_is_asked,
    what_may_change_something_needs_the_csrf_token,
    owners_of_requests_at_the_same_time_do_not_mix,
);
