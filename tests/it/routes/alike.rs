//! The same request has the same answer by either framework: byte for byte, but for what is random.

use std::collections::BTreeMap;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    web::{App, Framework, on_each_framework},
    world::soon,
};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const JSON: &str = "Accept: application/json\r\n";
const HTML: &str = "Accept: text/html\r\n";

/// An answer, as it came over the line.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, Vec<String>>,
    body: String,
}

/// Sends a whole request.
async fn send(app: &App, request: &[u8]) -> Option<Answer> {
    exchange(app, request, false).await
}

/// Sends bytes, may say that no more will come, and reads to the end. None: the connection ended without an answer.
async fn exchange(app: &App, request: &[u8], breaks_off: bool) -> Option<Answer> {
    let address = app.base.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).await.unwrap();
    // It may answer before it has read everything.
    let _ = connection.write_all(request).await;
    if breaks_off {
        let _ = connection.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = soon(connection.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let (line, fields) = head.split_once("\r\n").unwrap();
    let mut headers = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in fields
        .split("\r\n")
        .filter_map(|field| field.split_once(": "))
    {
        let values = headers.entry(name.to_lowercase()).or_default();
        values.push(without_chance(app, value));
    }
    // Of the server, not of the answer.
    for name in ["connection", "date"] {
        headers.remove(name);
    }
    if body.is_empty() {
        headers.remove("content-length");
    }
    Some(Answer {
        status: line.split(' ').nth(1).unwrap().parse().unwrap(),
        headers,
        body: without_chance(app, body),
    })
}

/// A text in which nothing is random: no ports, ids or sealed values.
fn without_chance(app: &App, text: &str) -> String {
    let text = text.replace(&app.base, "BASE");
    let text = text.replace(app.world.provider.issuer().trim_end_matches('/'), "ISSUER");
    let is_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '%');
    text.split_inclusive(|c| !is_id(c))
        .map(|part| {
            let id = part.trim_end_matches(|c| !is_id(c));
            let is_time = id.len() >= 10 && id.chars().all(|c| c.is_ascii_digit());
            let is_odd = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase();
            let is_random = is_time || (id.len() >= 20 && id.chars().any(is_odd));
            if is_random {
                part.replace(id, "RANDOM")
            } else {
                part.to_owned()
            }
        })
        .collect()
}

/// A request line, headers, and a body with its length.
fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    format!(
        "{line} HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    )
    .into_bytes()
}

async fn both() -> [App; 2] {
    let app = async |framework| App::with(framework, |routes| routes).await;
    [app(Framework::Axum).await, app(Framework::Actix).await]
}

#[tokio::test]
async fn both_frameworks_find_the_same_routes_and_clients() {
    let [axum, actix] = both().await;
    for (path, status) in [
        ("/login/op", 303),
        ("/login/%6fp", 303),
        ("/login/op?return_to=/a%20b", 303),
        ("/login/op?return_to=/&return_to=/", 400),
        ("/login/op?return_to=//x", 400),
        ("/login/nobody", 404),
        ("/login/OP", 404),
        ("/login/op%00", 404),
        ("/login/op%2F", 404),
        ("/login/o%2Fp", 404),
        ("/login/%252F", 404),
        ("/login/%ff", 404),
        ("/login/%c3%28", 404),
        ("/login/%", 404),
        ("/login/%zz", 404),
        ("/login/a;b=c", 404),
        ("/login/..", 404),
        // No route of ours.
        ("/login", 404),
        ("/login/", 404),
        ("/login//", 404),
        ("/login//op", 404),
        ("//login/op", 404),
        ("/login/op/", 404),
        ("/login/op/x", 404),
        ("/%6cogin/op", 404),
        ("/login%2Fop", 404),
        ("/LOGIN/op", 404),
        ("/logout/", 404),
        ("/%6cogout", 404),
        ("/logout", 200),
        ("/connect/op", 401),
        ("/callback/op", 400),
        ("/callback/op?state=x&code=y", 400),
        ("/callback/%ff?state=x&code=y", 404),
        ("/logged-out/op", 400),
        ("/logged-out/%ff", 404),
        ("/frontchannel-logout/op", 400),
        ("/frontchannel-logout/op?iss=x&sid=y", 400),
        ("/backchannel-logout/op", 405),
        ("/backchannel-logout/%ff", 405),
        // The application's own, by the hooks' extractors.
        ("/of/op/name", 200),
        ("/of/%6fp/name", 200),
        ("/of/a%2Fb/name", 200),
        ("/of/%2F/name", 200),
        ("/of/%c3%bc/name", 200),
        ("/of/%2541/name", 200),
        ("/of/%%34%31/name", 200),
        ("/of/%25%34%31/name", 200),
        ("/of/%zz+x/name", 200),
        ("/of/%ff/name", 404),
        ("/of/x%C3/name", 404),
        ("/me", 401),
        ("/maybe", 200),
        ("/cookies", 200),
    ] {
        for accept in [JSON, HTML, ""] {
            for method in ["GET", "HEAD"] {
                // By HEAD, actix-web asks no handler that is there for GET.
                let is_own = ["/of/", "/me", "/maybe", "/cookies"];
                if method == "HEAD" && is_own.iter().any(|own| path.starts_with(own)) {
                    continue;
                }
                let request = request(&format!("{method} {path}"), accept, "");
                let expected = send(&axum, &request).await.unwrap();
                let found = send(&actix, &request).await.unwrap();
                assert_eq!(found, expected, "{method} {path} {accept}");
                let status = match (method, path) {
                    ("HEAD", path) if path.starts_with("/callback/op") => 405,
                    ("GET" | "HEAD", "/logout") if accept == JSON => 401,
                    _ => status,
                };
                assert_eq!(expected.status, status, "{method} {path} {accept}");
                assert!(method == "GET" || expected.body.is_empty());
            }
        }
    }
    // axum takes it for a route of its own, and actix-web does not.
    for app in [axum, actix] {
        let nobody = send(&app, &request("GET /of//name", JSON, "")).await;
        assert_eq!(nobody.unwrap().status, 404);
    }
}

#[tokio::test]
async fn both_frameworks_have_the_same_methods() {
    let [axum, actix] = both().await;
    for (path, allowed) in [
        ("/login/op", "GET, HEAD"),
        ("/connect/op", "GET, HEAD"),
        ("/callback/op", "GET, POST"),
        ("/logout", "GET, HEAD, POST"),
        ("/logged-out/op", "GET, HEAD"),
        ("/backchannel-logout/op", "POST"),
        ("/frontchannel-logout/op", "GET, HEAD"),
    ] {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
        ] {
            let request = request(&format!("{method} {path}"), JSON, "");
            let expected = send(&axum, &request).await.unwrap();
            let found = send(&actix, &request).await.unwrap();
            assert_eq!(found, expected, "{method} {path}");
            let is_allowed = allowed.split(", ").any(|allowed| allowed == method);
            assert_eq!(expected.status == 405, !is_allowed, "{method} {path}");
            if !is_allowed {
                assert_eq!(expected.headers["allow"], [allowed], "{method} {path}");
                assert_eq!(
                    expected.headers["cache-control"],
                    ["no-store"],
                    "{method} {path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn both_frameworks_read_the_same_bodies() {
    let [axum, actix] = both().await;
    let fits = "x=".to_owned() + &"y".repeat(64 * 1024 - 2);
    let too_large = fits.clone() + "y";
    let chunked = |body: &str| {
        let head = format!("{FORM}{JSON}Transfer-Encoding: chunked\r\n");
        let body = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let mut request = request("POST /callback/op", &head, "");
        request.extend_from_slice(body.as_bytes());
        request
    };
    let form =
        |path: &str, body: &str| request(&format!("POST {path}"), &format!("{FORM}{JSON}"), body);
    for (what, request, status) in [
        ("none", form("/callback/op", ""), 400),
        (
            "no form",
            request("POST /callback/op", JSON, "state=x&code=y"),
            400,
        ),
        ("a form", form("/callback/op", "state=x&code=y"), 400),
        ("what fits", form("/callback/op", &fits), 400),
        ("too much", form("/callback/op", &too_large), 413),
        ("chunks that fit", chunked(&fits), 400),
        ("too many chunks", chunked(&too_large), 413),
        (
            "too much to log out",
            form("/backchannel-logout/op", &too_large),
            400,
        ),
        ("nobody's logout", form("/logout", "csrf=x"), 401),
        ("nobody's form", form("/form", "csrf=x"), 401),
        ("nobody's request", request("POST /me", JSON, ""), 401),
        ("a method without its body", form("/login/op", "x=y"), 405),
        (
            "a body that nobody reads",
            request("GET /login/op", &format!("{FORM}{JSON}"), "x=y"),
            303,
        ),
    ] {
        let expected = send(&axum, &request).await.unwrap();
        assert_eq!(expected.status, status, "{what}: {expected:?}");
        assert_eq!(send(&actix, &request).await.unwrap(), expected, "{what}");
    }
}

/// What a body says before it breaks off is not taken for the whole.
async fn a_body_that_breaks_off_is_none(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    for (path, status) in [("/callback/op", 400), ("/backchannel-logout/op", 400)] {
        for half in [
            format!("{FORM}{JSON}Content-Length: 100\r\n\r\nstate=x&code=y&logout_token=z"),
            format!(
                "{FORM}{JSON}Transfer-Encoding: chunked\r\n\r\n1d\r\nstate=x&code=y&logout_token=z\r\n"
            ),
        ] {
            let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{half}");
            // A server may also hang up.
            if let Some(answer) = exchange(&app, request.as_bytes(), true).await {
                assert_eq!(answer.status, status, "{answer:?}");
                if path == "/callback/op" && answer.headers.contains_key("content-type") {
                    assert!(answer.body.contains("broke off"), "{answer:?}");
                }
            }
        }
    }
}

async fn a_signed_in_users_forms_are_read_with_their_token_and_within_64_kib(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let browser = app.browser().accepting_json();
    browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    let csrf = browser.get(&app.at("/logout")).await.unwrap().json()["csrf"].clone();
    let csrf = csrf.as_str().unwrap();
    let long = "y".repeat(64 * 1024);
    for (path, fields, status, said) in [
        (
            "/note",
            vec![("csrf", csrf), ("note", "a&b=\u{fc}")],
            200,
            "notes a&b=\u{fc}",
        ),
        ("/note", vec![("note", "x")], 403, "csrf_mismatch"),
        ("/note", vec![("csrf", csrf)], 400, "invalid_parameter"),
        (
            "/note",
            vec![("csrf", csrf), ("note", &long)],
            413,
            "invalid_parameter",
        ),
        ("/maybe", vec![("csrf", csrf)], 403, "csrf_mismatch"),
    ] {
        let page = browser.post_form(&app.at(path), &fields).await.unwrap();
        assert_eq!(page.status, status, "{path}: {}", page.body);
        assert!(page.body.contains(said), "{path}: {}", page.body);
    }
    let by_header = browser.clone().with_header("x-csrf-token", csrf);
    let maybe = by_header.post_form(&app.at("/maybe"), &[]).await.unwrap();
    assert!(maybe.body.ends_with("#alice"), "{}", maybe.body);
    let nobody = app
        .browser()
        .post_form(&app.at("/maybe"), &[])
        .await
        .unwrap();
    assert_eq!((nobody.status, nobody.body.as_str()), (200, "nobody"));
    // A session that cannot be looked at is not nobody's.
    app.oauth.replace(app.world.registration()).unwrap();
    app.world.clock.advance(std::time::Duration::from_secs(60));
    app.world.store.on(
        crate::faulty::Method::Fetch,
        crate::faulty::StoreFault::Fail,
    );
    let away = browser.get(&app.at("/maybe")).await.unwrap();
    assert_eq!(
        (away.status, away.json()["error"].as_str()),
        (503, Some("store_unavailable"))
    );
}

async fn an_application_draws_its_own_logout_page_and_says_where_people_go(framework: Framework) {
    let app = App::with(framework, |routes| {
        routes
            .own_log_out_page()
            .after_login("/me")
            .after_logout("/maybe")
    })
    .await;
    let browser = app.browser();
    let nobody = browser.get(&app.at("/logout")).await.unwrap();
    assert_eq!((nobody.status, nobody.body.as_str()), (200, "nobody"));
    let visit = browser.log_in(&app.at("/login/op"), "alice").await.unwrap();
    assert_eq!(visit.last().url.path(), "/me");
    let page = browser.get(&app.at("/logout")).await.unwrap();
    super::assert_private(&page, "same-origin");
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let out = browser
        .post_form(&app.at("/logout"), &[("csrf", &page.body)])
        .await
        .unwrap();
    let back = browser.follow_page(out).await.unwrap();
    assert_eq!(
        (back.last().url.path(), back.last().body.as_str()),
        ("/maybe", "nobody")
    );
}

on_each_framework!(
    a_body_that_breaks_off_is_none,
    a_signed_in_users_forms_are_read_with_their_token_and_within_64_kib,
    an_application_draws_its_own_logout_page_and_says_where_people_go,
);
