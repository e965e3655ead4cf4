//! Other people's pages, and browsers that send what no form of ours does.

use tokenkeep::{Token, TokenKey};
use tokenkeep_testing::signed_in;

use super::{assert_private, error};
use crate::{
    web::{App, Framework, on_each_framework},
    world::{World, soon},
};

async fn with_page(framework: Framework) -> App {
    App::with(framework, |routes| routes.connections(|_, _| true)).await
}

/// Requests of somebody who is signed in, with whatever else stands in them.
struct Asks<'a>(&'a App, reqwest::Client);

impl<'a> Asks<'a> {
    fn of(app: &'a App) -> Self {
        let plain = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self(app, plain.build().unwrap())
    }

    fn request(&self, cookie: &str, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.1.request(method, self.0.at(path));
        request.header("cookie", cookie)
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The token counts as a field of a form, or in its header: nothing that a link or a form of another site could say.
async fn a_token_stands_where_no_other_site_can_put_it(framework: Framework) {
    let app = with_page(framework).await;
    let alice = signed_in(&app.oauth, "alice").await.unwrap();
    let asks = Asks::of(&app);
    let bob = signed_in(&app.oauth, "bob").await.unwrap();
    let csrf = &alice.csrf;
    let boundary = "multipart/form-data; boundary=x";
    let part =
        format!("--x\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n--x--\r\n");
    for (query, media, body) in [
        (format!("?csrf={csrf}"), FORM, String::new()),
        (format!("?csrf={csrf}"), FORM, "csrf=".into()),
        (String::new(), "text/plain", format!("csrf={csrf}")),
        (
            String::new(),
            "application/json",
            format!("{{\"csrf\":\"{csrf}\"}}"),
        ),
        (String::new(), boundary, part),
        (String::new(), FORM, format!("csrf={}", bob.csrf)),
        (String::new(), FORM, format!("CSRF={csrf}")),
        (String::new(), FORM, format!("csrf=x&csrf={csrf}")),
        (String::new(), FORM, format!("csrf={csrf}%00")),
        (String::new(), FORM, format!("csrf= {csrf}")),
        (String::new(), FORM, format!("x=y;csrf={csrf}")),
    ] {
        for path in ["/disconnect/op", "/logout"] {
            let post = asks.request(&alice.cookie, "POST", &format!("{path}{query}"));
            let post = post.header("content-type", media).body(body.clone());
            let answer = post.send().await.unwrap();
            assert_eq!(answer.status(), 403, "{path}{query} {media} {body}");
        }
    }
    // A header that says there was another method, or another user, is heard by nobody.
    for (name, value) in [
        ("x-http-method-override", "POST"),
        ("x-method-override", "POST"),
        ("x-csrf-token", "x"),
    ] {
        let get = asks
            .request(&alice.cookie, "GET", "/disconnect/op")
            .header(name, value);
        assert_eq!(get.send().await.unwrap().status(), 405, "{name}");
    }
    assert!(
        app.oauth
            .session(&super::cookies_of(&alice.cookie))
            .await
            .unwrap()
            .is_some()
    );
    let own = app.oauth.client("op").unwrap().owner("alice");
    own.token().await.unwrap();
    let post = asks.request(&alice.cookie, "POST", "/disconnect/op");
    let post = post
        .header("content-type", FORM)
        .body(format!("csrf={csrf}"));
    assert_eq!(post.send().await.unwrap().status(), 303);
    own.token().await.unwrap_err();
}

/// A label is one of an account: nobody ends a session by it, or fills the store with what was never there.
async fn a_label_names_an_account_and_nothing_else(framework: Framework) {
    let app = with_page(framework).await;
    let alice = signed_in(&app.oauth, "alice").await.unwrap();
    let asks = Asks::of(&app);
    let (_, session) = alice
        .session
        .key()
        .slot_column()
        .split_once(':')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let kept = TokenKey::new("op", "alice")
        .unwrap()
        .account("second")
        .unwrap();
    app.oauth
        .adopt(kept, Token::builder("kept").build().unwrap())
        .await
        .unwrap();
    let before = app.oauth.grants("alice").await.unwrap().len();
    let long = "x".repeat(10_000);
    for (label, status) in [
        (session.as_str(), 303),
        ("session:x", 303),
        (&*format!("session:{session}"), 303),
        ("Second", 303),
        ("second ", 303),
        ("never-there", 303),
        ("a\0b", 400),
        (&long, 400),
    ] {
        let post = asks.request(&alice.cookie, "POST", "/disconnect/op");
        let fields = [("csrf", alice.csrf.as_str()), ("account", label)];
        let answer = post.form(&fields).send().await.unwrap();
        assert_eq!(answer.status(), status, "{label:?}");
    }
    let grants = app.oauth.grants("alice").await.unwrap();
    assert_eq!(grants.len(), before, "{grants:?}");
    let is_there = super::cookies_of(&alice.cookie);
    assert!(app.oauth.session(&is_there).await.unwrap().is_some());
    let own = app.oauth.client("op").unwrap().owner("alice");
    own.token().await.unwrap();
    own.account("second").token().await.unwrap();
}

/// Under a path of a host there are neighbours, and the token in the form is not theirs.
async fn a_logout_form_goes_to_the_application_and_not_to_its_neighbour(framework: Framework) {
    for (base, prefix, action) in [
        ("https://app.example/", "", "/logout"),
        ("https://app.example/shop/", "", "/shop/logout"),
        ("https://app.example/shop", "auth", "/shop/auth/logout"),
        ("https://app.example/a%22b/", "", "/a%22b/logout"),
    ] {
        let world = World::new().await;
        let app = App::built(
            framework,
            world,
            |builder| builder.base_url(base),
            |routes| routes.prefix(prefix),
        );
        let alice = signed_in(&app.oauth, "alice").await.unwrap();
        let asks = Asks::of(&app);
        let place = if prefix.is_empty() {
            "/logout"
        } else {
            "/auth/logout"
        };
        let page = asks
            .request(&alice.cookie, "GET", place)
            .header("accept", "text/html");
        let page = page.send().await.unwrap().text().await.unwrap();
        let (_, form) = page.split_once("<form method=\"post\" action=\"").unwrap();
        assert_eq!(form.split('"').next(), Some(action), "{base} {prefix}");
    }
}

async fn a_page_that_the_application_draws_stands_in_no_frame_either(framework: Framework) {
    let app = App::with(framework, |routes| routes.own_log_out_page()).await;
    let page = app.browser().get(&app.at("/logout")).await.unwrap();
    assert_private(&page, "same-origin");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
}

/// Whatever is asked for, by whomever: nobody keeps the answer, and a page is sealed.
async fn every_answer_is_private_and_every_page_is_sealed(framework: Framework) {
    let app = with_page(framework).await;
    let alice = signed_in(&app.oauth, "alice").await.unwrap();
    let asks = Asks::of(&app);
    let mut seen = 0;
    for route in [
        "login/op",
        "login/nobody",
        "login/op?return_to=//x",
        "connect/op",
        "connect/nobody",
        "callback/op",
        "callback/op?state=x&code=y",
        "callback/nobody?state=x&code=y",
        "logout",
        "logged-out/op",
        "logged-out/op?state=x",
        "frontchannel-logout/op?iss=x&sid=y",
        "backchannel-logout/op",
        "connections",
        "disconnect/op",
        "disconnect/nobody",
        "disconnect/%ff",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
            for cookie in ["", &alice.cookie] {
                for accept in ["text/html", "application/json", "*/*"] {
                    let asked = asks.request(cookie, method, &format!("/{route}"));
                    let asked = asked.header("accept", accept).header("content-type", FORM);
                    let answer = asked.send().await.unwrap();
                    let what = format!("{method} /{route} {accept} {}", answer.status());
                    let header = |name: &str| {
                        answer
                            .headers()
                            .get(name)
                            .map(|value| value.to_str().unwrap().to_owned())
                    };
                    assert_eq!(
                        header("cache-control").as_deref(),
                        Some("no-store"),
                        "{what}"
                    );
                    let media = header("content-type").unwrap_or_default();
                    if media.is_empty() {
                        continue;
                    }
                    assert_eq!(
                        header("x-content-type-options").as_deref(),
                        Some("nosniff"),
                        "{what}"
                    );
                    assert!(header("referrer-policy").is_some(), "{what}");
                    if media.starts_with("text/html") {
                        seen += 1;
                        assert_eq!(header("x-frame-options").as_deref(), Some("DENY"), "{what}");
                        let policy = header("content-security-policy").unwrap();
                        assert!(policy.starts_with("default-src 'none'"), "{what}");
                        assert!(policy.contains("frame-ancestors 'none'"), "{what}");
                    } else {
                        assert_eq!(media, "application/json", "{what}");
                    }
                }
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

/// Whoever answers before a body is read must not take it for the next request: that would come with somebody else's cookie.
async fn a_body_that_nobody_reads_is_no_next_request(framework: Framework) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let app = with_page(framework).await;
    let address = app.base.trim_start_matches("http://").to_owned();
    for (method, path) in [
        ("POST", "/form"),
        ("POST", "/disconnect/op"),
        ("POST", "/login/op"),
        ("PUT", "/callback/op"),
        ("GET", "/login/op"),
        ("POST", "/callback/op"),
    ] {
        for padding in [0, 100_000] {
            let inner = "GET /cookies HTTP/1.1\r\nHost: x\r\n\r\n";
            let body = "y".repeat(padding) + inner;
            let outer = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut connection = tokio::net::TcpStream::connect(&address).await.unwrap();
            let last = "GET /me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let _ = connection.write_all(outer.as_bytes()).await;
            let _ = connection.write_all(last.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = soon(connection.read_to_end(&mut answer)).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 "), "{method} {path} {padding}");
            // Only the hidden one would have set it.
            assert!(
                !answer.contains("own=1"),
                "{method} {path} {padding}: {answer}"
            );
        }
    }
}

/// A link that leads through a login, or that somebody clicks on elsewhere.
async fn no_other_site_disconnects_or_connects_whatever_it_sends_along(framework: Framework) {
    let app = with_page(framework).await;
    let alice = signed_in(&app.oauth, "alice").await.unwrap();
    let asks = Asks::of(&app);
    for site in ["cross-site", "same-site"] {
        for method in ["GET", "HEAD"] {
            let asked = asks.request(&alice.cookie, method, "/connect/op?return_to=/");
            let asked = asked.header("sec-fetch-site", site);
            let answer = asked
                .header("accept", "application/json")
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 403, "{method} {site}");
            assert!(!answer.headers().contains_key("set-cookie"));
        }
    }
    let browser = app.browser().accepting_json();
    let (status, code, _) = error(&browser.get(&app.at("/connect/op")).await.unwrap());
    assert_eq!((status, code.as_str()), (401, "not_signed_in"));
}

on_each_framework!(
    a_token_stands_where_no_other_site_can_put_it,
    a_label_names_an_account_and_nothing_else,
    a_logout_form_goes_to_the_application_and_not_to_its_neighbour,
    a_page_that_the_application_draws_stands_in_no_frame_either,
    every_answer_is_private_and_every_page_is_sealed,
    no_other_site_disconnects_or_connects_whatever_it_sends_along,
    a_body_that_nobody_reads_is_no_next_request,
);

/// What is missing is an error that says so, and no panic.
#[test]
fn an_application_of_actix_without_its_registry_says_what_is_missing() {
    actix_web::rt::System::new().block_on(without_registry());
}

async fn without_registry() {
    use actix_web::{App, test, web};
    use tokenkeep::actix::{MaybeSignedIn, SignedIn, SignedInForm};

    let app = App::new()
        .route("/user", web::get().to(async |_: SignedIn| "never"))
        .route("/maybe", web::get().to(async |_: MaybeSignedIn| "never"))
        .route("/form", web::post().to(async |_: SignedInForm| "never"))
        .route(
            "/either",
            web::get().to(async |user: Option<SignedIn>| user.map_or("nobody", |_| "never")),
        );
    let app = test::init_service(app).await;
    for (request, status) in [
        (test::TestRequest::get().uri("/user"), 500),
        (test::TestRequest::get().uri("/maybe"), 500),
        (test::TestRequest::post().uri("/form"), 500),
        (test::TestRequest::get().uri("/either"), 200),
    ] {
        let answer = test::call_service(&app, request.to_request()).await;
        assert_eq!(answer.status().as_u16(), status);
        let body = test::read_body(answer).await;
        let body = std::str::from_utf8(&body).unwrap();
        if status == 500 {
            assert!(
                body.contains("invalid_configuration") && body.contains("app_data"),
                "{body}"
            );
        } else {
            assert_eq!(body, "nobody");
        }
    }
}
