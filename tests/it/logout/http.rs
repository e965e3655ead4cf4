//! The exact answers of the routes.

use tokenkeep::ErrorCode;
use tokenkeep_testing::{Endpoint, Fault, LogoutToken, LogoutTokenFault, Page};

use crate::{
    faulty::{Method, StoreFault},
    web::{App, Framework, on_each_framework},
    world::{CLIENT, soon},
};

/// Somebody who has logged in, and the provider's id of their session.
async fn signed_in(app: &App) -> (tokenkeep_testing::Browser, String) {
    let programs = app.browser().accepting_json();
    let visit = programs
        .log_in(&app.at("/login/op"), "alice")
        .await
        .unwrap();
    let claims = &visit.last().json()["claims"];
    let sid = claims["sid"].as_str().unwrap().to_owned();
    (programs, sid)
}

fn token(app: &App, token: &LogoutToken) -> String {
    let provider = &app.world.provider;
    provider.logout_token(provider.client_id(), token)
}

/// A request without cookies, as a provider makes it.
async fn post(app: &App, path: &str, media: Option<&str>, body: String) -> (u16, String, String) {
    let mut request = reqwest::Client::new().post(app.at(path)).body(body);
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    let answer = soon(request.send()).await.unwrap();
    let headers = answer.headers().clone();
    assert!(!headers.contains_key("set-cookie"));
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    (
        answer.status().as_u16(),
        text("cache-control").unwrap_or_default(),
        answer.text().await.unwrap(),
    )
}

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
const BACK: &str = "/backchannel-logout/op";

async fn a_back_channel_logout_is_answered_200_with_nothing_in_it(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let (browser, sid) = signed_in(&app).await;
    for media in [
        FORM,
        Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"),
    ] {
        let body = format!(
            "unknown=x&logout_token={}",
            token(&app, &LogoutToken::of_session(&sid))
        );
        // The second time there is nothing to end.
        let answer = post(&app, BACK, media, body).await;
        assert_eq!(answer, (200, "no-store".into(), String::new()));
    }
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 401);
}

async fn a_back_channel_logout_that_fails_is_answered_400_and_says_why(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let (browser, sid) = signed_in(&app).await;
    let good = || token(&app, &LogoutToken::of_session(&sid));
    let wrong = LogoutToken::of_session(&sid).fault(LogoutTokenFault::WithNonce);
    let wrong = format!("logout_token={}", token(&app, &wrong));
    let long = format!("logout_token={}&x={}", good(), "x".repeat(64 * 1024));
    for (media, body, code) in [
        (FORM, wrong, ErrorCode::InvalidLogoutToken),
        (FORM, String::new(), ErrorCode::MissingParameter),
        (
            FORM,
            format!("logout_token={0}&logout_token={0}", good()),
            ErrorCode::InvalidParameter,
        ),
        (FORM, long, ErrorCode::InvalidParameter),
        (
            None,
            format!("logout_token={}", good()),
            ErrorCode::InvalidParameter,
        ),
        (
            Some("text/plain"),
            format!("logout_token={}", good()),
            ErrorCode::InvalidParameter,
        ),
        (
            Some("application/json"),
            format!(r#"{{"logout_token":"{}"}}"#, good()),
            ErrorCode::InvalidParameter,
        ),
        (
            Some("application/x-www-form-urlencodedx"),
            format!("logout_token={}", good()),
            ErrorCode::InvalidParameter,
        ),
    ] {
        let (status, cache, body) = post(&app, BACK, media, body).await;
        assert_eq!(
            (status, cache.as_str()),
            (400, "no-store"),
            "{code}: {body}"
        );
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"], code.as_str(), "{body}");
        assert_eq!(body["phase"], "logout");
        assert!(body["message"].as_str().unwrap().len() > 10, "{body}");
    }
    // What failed here or at the provider is a logout that failed (section 2.8).
    let rotated = || {
        app.world.provider.rotate_keys();
        format!("logout_token={}", good())
    };
    let rule = app
        .world
        .provider
        .faults()
        .on(Endpoint::Jwks, Fault::ServerError(503));
    let (status, _, body) = post(&app, BACK, FORM, rotated()).await;
    assert!(
        status == 400 && body.contains("provider_unavailable"),
        "{status} {body}"
    );
    rule.off();
    app.world.clock.advance(std::time::Duration::from_secs(100));
    app.world.store.on(Method::Find, StoreFault::Fail);
    let again = format!("logout_token={}", good());
    let (status, cache, body) = post(&app, BACK, FORM, again.clone()).await;
    assert!(
        status == 400 && body.contains("store_unavailable"),
        "{status} {body}"
    );
    assert_eq!(cache, "no-store");
    app.world.store.clear();
    assert_eq!(
        browser.get(&app.at("/me")).await.unwrap().status,
        200,
        "nothing ended"
    );
    assert_eq!(post(&app, BACK, FORM, again).await.0, 200);
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 401);
}

async fn nobody_else_is_logged_out_by_these_routes(framework: Framework) {
    let app = App::with(framework, |routes| routes.prefix("/auth")).await;
    for path in [
        "/auth/backchannel-logout/nobody",
        "/auth/backchannel-logout/%ff",
    ] {
        let (status, cache, body) = post(&app, path, FORM, "logout_token=x".into()).await;
        assert_eq!((status, cache.as_str()), (404, "no-store"));
        assert!(
            body.contains("unknown_client") && !body.contains("op"),
            "{body}"
        );
    }
    let browser = app.browser().accepting_json();
    let gone = browser
        .get(&app.at("/auth/frontchannel-logout/nobody"))
        .await
        .unwrap();
    assert_eq!(
        (gone.status, gone.json()["error"].as_str()),
        (404, Some("unknown_client"))
    );
    for path in ["/auth/backchannel-logout/op", "/backchannel-logout/op"] {
        let status = browser.get(&app.at(path)).await.unwrap().status;
        assert_eq!(status, if path.starts_with("/auth") { 405 } else { 404 });
    }
}

fn front(app: &App, sid: &str) -> String {
    let issuer = app.world.provider.issuer();
    app.at(&format!("/frontchannel-logout/op?iss={issuer}&sid={sid}"))
}

fn header<'a>(page: &'a Page, name: &str) -> &'a str {
    page.header(name).unwrap_or_default()
}

async fn a_front_channel_logout_is_a_small_page_that_any_page_may_frame(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let (browser, sid) = signed_in(&app).await;
    // A frame of another site brings no cookie.
    let frame = app.browser();
    let page = frame.get(&front(&app, &sid)).await.unwrap();
    assert_eq!(page.status, 200);
    assert!(header(&page, "content-type").starts_with("text/html"));
    assert_eq!(header(&page, "cache-control"), "no-store");
    assert_eq!(page.header("x-frame-options"), None);
    let policy = header(&page, "content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors *"));
    assert!(page.body.len() < 300 && page.body.contains("Signed out"));
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 401);
}

async fn a_front_channel_logout_that_names_no_session_ends_none(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let (browser, sid) = signed_in(&app).await;
    for asked in [
        app.at("/frontchannel-logout/op"),
        app.at(&format!("/frontchannel-logout/op?sid={sid}")),
        app.at(&format!(
            "/frontchannel-logout/op?iss=https://x.example&sid={sid}"
        )),
        format!("{}&sid={sid}", front(&app, &sid)),
    ] {
        let page = browser.get(&asked).await.unwrap();
        assert_eq!(
            (page.status, header(&page, "cache-control")),
            (400, "no-store")
        );
    }
    assert_eq!(
        browser.get(&front(&app, "another")).await.unwrap().status,
        200
    );
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 200);
}

async fn a_link_does_not_log_out_even_where_a_frame_may(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let registration = app.world.registration();
    let by_cookie = registration.dangerously_allow_frontchannel_logout_by_cookie();
    app.oauth.replace(by_cookie).unwrap();
    let (browser, _) = signed_in(&app).await;
    let asked = app.at("/frontchannel-logout/op");
    let link = browser.clone().with_header("sec-fetch-dest", "document");
    assert_eq!(link.get(&asked).await.unwrap().status, 200);
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 200);
    let frame = browser.clone().with_header("sec-fetch-dest", "iframe");
    let page = frame.get(&asked).await.unwrap();
    assert!(header(&page, "set-cookie").contains("Max-Age=0"));
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 401);
}

async fn a_provider_tells_its_clients_while_it_answers_the_logout(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let provider = &app.world.provider;
    let client_id = provider.client_id().to_owned();
    provider.set_backchannel_logout_uri(&client_id, app.at(BACK));
    let (elsewhere, _) = signed_in(&app).await;
    let (browser, _) = signed_in(&app).await;
    let csrf = browser.get(&app.at("/logout")).await.unwrap().json()["csrf"].clone();
    let csrf = csrf.as_str().unwrap();
    let left = browser
        .post_form(&app.at("/logout"), &[("csrf", csrf)])
        .await
        .unwrap();
    browser.follow_page(left).await.unwrap();
    // Without a browser, as an administrator does; and one that is refused.
    let (third, sid) = signed_in(&app).await;
    let wrong = Fault::LogoutToken(LogoutTokenFault::WrongEvent);
    provider.faults().on(Endpoint::EndSession, wrong).times(1);
    provider.end_session(&sid).await;
    let answers = provider.logout_answers();
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 400], "{answers:?}");
    assert!(answers[1].body.contains("invalid_logout_token"));
    assert_eq!(third.get(&app.at("/me")).await.unwrap().status, 200);
    assert_eq!(elsewhere.get(&app.at("/me")).await.unwrap().status, 200);
    let (fourth, sid) = signed_in(&app).await;
    assert_eq!(provider.end_session(&sid).await[0].status, 200);
    assert_eq!(fourth.get(&app.at("/me")).await.unwrap().status, 401);
    assert!(app.oauth.client(CLIENT).is_ok());
}

async fn a_logout_leads_home_while_the_provider_cannot_be_asked(framework: Framework) {
    let app = App::with(framework, |routes| routes.after_logout("/?bye")).await;
    let (browser, _) = signed_in(&app).await;
    // As in a process that has not spoken to the provider yet.
    app.oauth.replace(app.world.registration()).unwrap();
    let faults = app.world.provider.faults();
    faults.on(Endpoint::Discovery, Fault::ServerError(503));
    let csrf = browser.get(&app.at("/logout")).await.unwrap().json()["csrf"].clone();
    let csrf = [("csrf", csrf.as_str().unwrap())];
    let left = browser.post_form(&app.at("/logout"), &csrf).await.unwrap();
    assert_eq!((left.status, left.header("location")), (303, Some("/?bye")));
    assert!(header(&left, "set-cookie").contains("Max-Age=0"));
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 401);
}

on_each_framework!(
    a_back_channel_logout_is_answered_200_with_nothing_in_it,
    a_back_channel_logout_that_fails_is_answered_400_and_says_why,
    nobody_else_is_logged_out_by_these_routes,
    a_front_channel_logout_is_a_small_page_that_any_page_may_frame,
    a_front_channel_logout_that_names_no_session_ends_none,
    a_link_does_not_log_out_even_where_a_frame_may,
    a_provider_tells_its_clients_while_it_answers_the_logout,
    a_logout_leads_home_while_the_provider_cannot_be_asked,
);
