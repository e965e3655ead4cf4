//! The browser, on its own and with an application that logs people in.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{
    BrowserError,
    cookies::Jar,
    forms::{self, Form},
};
use crate::Provider;

/// An application as small as one can be: it trusts whatever comes back.
struct App {
    provider: Provider,
    url: String,
}

async fn app(provider: &Provider) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let state = Arc::new(App {
        provider: provider.clone(),
        url: url.clone(),
    });
    let router = Router::new()
        .route("/", get(home))
        .route("/login/op", get(login))
        .route("/callback/op", get(callback))
        .route(
            "/count/{number}",
            get(|Path(number): Path<u32>| async move {
                Redirect::to(&format!("/count/{}", number + 1))
            }),
        )
        .route("/count/21", get(|| async { "far enough" }))
        .with_state(state);
    // One connection after another is enough here, and the kit's axum has no server of its own.
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    url
}

async fn home(headers: HeaderMap) -> Response {
    let name = headers.get(header::COOKIE).and_then(|cookies| {
        cookies
            .to_str()
            .ok()?
            .split("; ")
            .find_map(|pair| pair.strip_prefix("app_session="))
    });
    let wants_json = headers
        .get(header::ACCEPT)
        .is_some_and(|accept| accept == "application/json");
    match (name, wants_json) {
        (Some(name), true) => Json(json!({"owner": name})).into_response(),
        (Some(name), false) => format!("Hello {name}").into_response(),
        (None, _) => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn login(State(app): State<Arc<App>>) -> Response {
    let authorize = format!("{}/authorize", app.provider.issuer());
    let redirect_uri = format!("{}/callback/op", app.url);
    let parameters = [
        ("client_id", app.provider.client_id()),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "s"),
        ("redirect_uri", &redirect_uri),
    ];
    let url = Url::parse_with_params(&authorize, parameters).unwrap();
    let cookie = "flow=s; Path=/callback; HttpOnly; SameSite=Lax; Max-Age=600";
    ([(header::SET_COOKIE, cookie)], Redirect::to(url.as_str())).into_response()
}

async fn callback(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(query): Query<Value>,
) -> Response {
    let redirect_uri = format!("{}/callback/op", app.url);
    let answer = reqwest::Client::new()
        .post(format!("{}/token", app.provider.issuer()))
        .basic_auth(app.provider.client_id(), Some(app.provider.client_secret()))
        .form(&[
            ("grant_type", "authorization_code"),
            ("code", query["code"].as_str().unwrap_or_default()),
            ("redirect_uri", &redirect_uri),
        ])
        .send()
        .await
        .unwrap();
    let has_flow = headers[header::COOKIE].to_str().unwrap().contains("flow=s");
    if !has_flow || answer.status() != 200 {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let set = |cookie: &str| (header::SET_COOKIE, cookie.to_owned());
    let cookies = [
        set("flow=; Path=/callback; Max-Age=0"),
        set("app_session=somebody; Path=/; HttpOnly"),
    ];
    (axum::response::AppendHeaders(cookies), Redirect::to("/")).into_response()
}

#[tokio::test]
async fn one_call_walks_through_a_login() {
    let provider = Provider::start().await.unwrap();
    let app = app(&provider).await;
    let browser = provider.browser();
    assert_eq!(browser.get(&app).await.unwrap().status, 401);
    let visit = browser
        .log_in(&format!("{app}/login/op"), "alice")
        .await
        .unwrap();
    assert_eq!(
        (visit.last().status, visit.last().body.as_str()),
        (200, "Hello somebody")
    );
    assert_eq!(visit.last().url.as_str(), format!("{app}/"));
    let callback = visit.at("/callback/op").unwrap();
    assert_eq!(
        (callback.status, callback.query("state").as_deref()),
        (303, Some("s"))
    );
    assert!(!format!("{visit:?}").contains(&callback.query("code").unwrap()));
    let paths: Vec<_> = visit
        .steps
        .iter()
        .map(|page| page.url.path().split('/').nth(1).unwrap())
        .collect();
    let interaction = "interaction";
    // Login page, its form, consent page, its form.
    let expected = [
        "login",
        "authorize",
        interaction,
        interaction,
        interaction,
        interaction,
        "callback",
        "",
    ];
    assert_eq!(paths, expected);
    let names = |url: &str| {
        browser
            .cookies(url)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert!(names(&app).contains(&"app_session".to_owned()));
    assert!(
        !names(&format!("{app}/callback/op")).contains(&"flow".to_owned()),
        "it was removed"
    );

    let as_program = browser.clone().accepting_json();
    assert_eq!(
        as_program.get(&app).await.unwrap().json(),
        json!({"owner": "somebody"})
    );
    browser.clear_cookies();
    assert_eq!(
        as_program.get(&app).await.unwrap().status,
        401,
        "a clone shares the cookies"
    );
    browser.set_cookie(&app, "app_session=another; Path=/");
    assert_eq!(
        as_program.get(&app).await.unwrap().json(),
        json!({"owner": "another"})
    );
}

#[tokio::test]
async fn it_can_stop_before_the_callback() {
    let provider = Provider::builder()
        .auto_login("alice")
        .start()
        .await
        .unwrap();
    let app = app(&provider).await;
    let browser = provider.browser();
    let back = browser
        .callback(&format!("{app}/login/op"), "")
        .await
        .unwrap();
    assert_eq!(
        (back.method.as_str(), back.url.path(), back.steps.len()),
        ("GET", "/callback/op", 2)
    );
    let visit = browser.follow(back.url.as_str()).await.unwrap();
    assert_eq!(visit.last().body, "Hello somebody");
    let page = browser.get(&format!("{app}/login/op")).await.unwrap();
    assert_eq!(
        browser.follow_page(page).await.unwrap().last().body,
        "Hello somebody"
    );
}

#[tokio::test]
async fn it_does_not_go_round_for_ever() {
    let provider = Provider::start().await.unwrap();
    let app = app(&provider).await;
    let error = provider
        .browser()
        .follow(&format!("{app}/count/0"))
        .await
        .unwrap_err();
    assert!(matches!(error, BrowserError::TooManySteps));
    let visit = provider
        .browser()
        .follow(&format!("{app}/count/1"))
        .await
        .unwrap();
    assert_eq!(
        (visit.last().body.as_str(), visit.steps.len()),
        ("far enough", 21)
    );
    let error = provider
        .browser()
        .callback(&app, "alice")
        .await
        .unwrap_err();
    assert!(matches!(error, BrowserError::NoCallback));
    assert!(matches!(
        provider.browser().get("not a url").await.unwrap_err(),
        BrowserError::Url
    ));
    provider.shutdown().await;
    let secret = format!("{}/?code=secret-code", provider.issuer());
    let error = provider.browser().get(&secret).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("secret-code"));
}

#[test]
fn cookies_go_where_they_came_from() {
    let url = |text: &str| Url::parse(text).unwrap();
    let mut jar = Jar::default();
    let from = url("http://127.0.0.1:1/a/b");
    for cookie in [
        "root=1; Path=/",
        "here=2",
        "deep=3; path=/a/b/c",
        "strict=4; Path=/; SameSite=Strict",
        "none=5; Path=/; SameSite=None",
    ] {
        jar.set(&from, cookie);
    }
    let sent = |jar: &Jar, to: &str, method: Method, from: Option<&str>| {
        let from = from.map(url);
        let cookies = jar.for_request(&url(to), &method, from.as_ref());
        cookies
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let typed = |to| sent(&jar, to, Method::GET, None);
    assert_eq!(
        typed("http://127.0.0.1:2/a/b"),
        "here root strict none",
        "ports are ignored, long paths come first"
    );
    assert_eq!(
        typed("http://127.0.0.1:1/a/b/c"),
        "deep here root strict none"
    );
    assert_eq!(typed("http://127.0.0.1:1/ab"), "root strict none");
    assert_eq!(typed("http://localhost:1/a/b"), "");
    let elsewhere = Some("http://localhost:3/page");
    assert_eq!(
        sent(&jar, "http://127.0.0.1:1/", Method::GET, elsewhere),
        "root none"
    );
    assert_eq!(
        sent(&jar, "http://127.0.0.1:1/", Method::POST, elsewhere),
        "none"
    );
    assert_eq!(
        sent(
            &jar,
            "http://127.0.0.1:1/",
            Method::POST,
            Some("http://127.0.0.1:3/")
        ),
        "root strict none"
    );
    jar.set(&from, "root=; Path=/; Max-Age=0");
    jar.set(
        &from,
        "none=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    );
    jar.set(&from, "here=new");
    let left = jar.for_request(&from, &Method::GET, None);
    assert_eq!(
        left,
        [
            ("here".to_owned(), "new".to_owned()),
            ("strict".to_owned(), "4".to_owned())
        ]
    );
}

#[test]
fn forms_are_read_as_pages_write_them() {
    let page = r#"<html><style>a > b { content: "<form>" }</style><script>if (a < b) "<form method=post action=/script>"</script>
        <form autocomplete="off" action='http://127.0.0.1/interaction/x?a=1&amp;b=2' METHOD=POST>
          <input type="hidden" name="prompt" value="login"/>
          <input required type="text" name="login" placeholder="Enter any login" value>
          <input type="checkbox" name="remember"><input type=checkbox name=agreed value=yes checked>
          <button type="submit" class="login">Sign-in > here</button>
        </form><form action="/search"><input name=q value="&lt;&quot;&#39;&amp;lt;"></form><form action="/unclosed">"#;
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        forms::parse(page),
        [
            Form {
                post: true,
                action: "http://127.0.0.1/interaction/x?a=1&b=2".to_owned(),
                fields: vec![
                    field("prompt", "login"),
                    field("login", ""),
                    field("agreed", "yes")
                ],
            },
            Form {
                post: false,
                action: "/search".to_owned(),
                fields: vec![field("q", "<\"'&lt;")]
            },
        ]
    );
    for odd in [
        "<",
        "<form",
        "<form =",
        "<form ='",
        "<input name=\"",
        "< / >",
        "<<<>>>",
        "<ö ä=ü>",
        "<a \u{3000}=>",
    ] {
        assert!(forms::parse(odd).is_empty(), "{odd}");
    }
}
