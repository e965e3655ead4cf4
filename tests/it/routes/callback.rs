//! A login's way out and back over HTTP, against a browser and senders that do not behave.

use reqwest::{Method, StatusCode, header};
use tokenkeep_testing::{Browser, Callback};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    web::{App, Framework, on_each_framework},
    world::soon,
};

/// A login that is about to come back, in a browser.
struct Back<'a> {
    app: &'a App,
    browser: Browser,
    callback: Callback,
}

/// What came of a request: status, code of the error, and the whole body.
struct Answer {
    status: u16,
    code: String,
    body: String,
    headers: header::HeaderMap,
}

impl<'a> Back<'a> {
    async fn of(app: &'a App) -> Self {
        let browser = app.browser();
        let callback = browser.callback(&app.at("/login/op"), "alice").await;
        Self {
            app,
            browser,
            callback: callback.unwrap(),
        }
    }

    fn query(&self) -> String {
        self.callback.url.query().unwrap().to_owned()
    }

    fn cookies(&self) -> String {
        let cookies = self.browser.cookies(&self.app.at("/callback/op"));
        let cookies: Vec<_> = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        cookies.join("; ")
    }

    fn request(&self, method: &str, path_and_query: &str) -> reqwest::RequestBuilder {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        http.request(method, self.app.at(path_and_query))
            .header(header::COOKIE, self.cookies())
            .header(header::ACCEPT, "application/json")
    }

    fn post(&self, form: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        self.request("POST", "/callback/op")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
    }

    /// It was not used up by anything, and ends as it should.
    async fn assert_comes_back(&self) {
        let answer = send(self.request("GET", &format!("/callback/op?{}", self.query()))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains("\"owner\""), "{}", answer.body);
    }
}

async fn send(request: reqwest::RequestBuilder) -> Answer {
    let answer = soon(request.send()).await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    Answer {
        status,
        code: json["error"].as_str().unwrap_or_default().to_owned(),
        body,
        headers,
    }
}

async fn what_is_no_answer_is_our_own_error_and_uses_no_login_up(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let back = Back::of(&app).await;
    let query = back.query();
    let code = back.callback.parameter("code").unwrap();
    let state = back.callback.parameter("state").unwrap();
    let long = "x".repeat(20_000);
    let many = "a=b&".repeat(70);
    for (query, status, error) in [
        (String::new(), 400, "missing_parameter"),
        ("code=x".into(), 400, "missing_parameter"),
        ("state=&code=x".into(), 400, "missing_parameter"),
        ("state=unknown-state&code=x".into(), 400, "state_mismatch"),
        (
            format!("state={}&code=x", &state[1..]),
            400,
            "state_mismatch",
        ),
        (format!("state={state}x&code=x"), 400, "state_mismatch"),
        (format!("state=%20{state}&code=x"), 400, "state_mismatch"),
        (format!("STATE={state}&code=x"), 400, "missing_parameter"),
        (format!("state[]={state}&code=x"), 400, "missing_parameter"),
        // Each that means something, doubled.
        (format!("{query}&state={state}"), 400, "invalid_parameter"),
        (format!("{query}&code={code}"), 400, "invalid_parameter"),
        (format!("{query}&iss=x"), 400, "invalid_parameter"),
        (format!("{query}&error=a&error=a"), 400, "invalid_parameter"),
        (
            format!("{query}&error_uri=&error_uri="),
            400,
            "invalid_parameter",
        ),
        (
            format!("{query}&error_description=a&error_description=a"),
            400,
            "invalid_parameter",
        ),
        // Not text.
        (query.replace(&code, "%ff"), 400, "invalid_parameter"),
        (query.replace(&code, "%c3%28"), 400, "invalid_parameter"),
        (query.replace(&code, "%ed%a0%80"), 400, "invalid_parameter"),
        (query.replace(&code, "a%00b"), 400, "invalid_parameter"),
        (query.replace(&code, "a%0d%0ab"), 400, "invalid_parameter"),
        (query.replace(&state, "a%00b"), 400, "invalid_parameter"),
        (query.replace(&state, "%zz"), 400, "state_mismatch"),
        (query.replace(&state, "%"), 400, "state_mismatch"),
        (format!("{query}&%ff=x"), 400, "invalid_parameter"),
        // Too much.
        (format!("{query}&x={long}"), 400, "invalid_parameter"),
        (format!("{many}{query}"), 400, "invalid_parameter"),
        (
            format!("{query}&x={0}&y={0}&z={0}", &long[..6000]),
            400,
            "invalid_parameter",
        ),
        (
            query.replace(&code, &long[..9000]),
            400,
            "invalid_parameter",
        ),
    ] {
        let answer = send(back.request("GET", &format!("/callback/op?{query}"))).await;
        assert_eq!(
            (answer.status, answer.code.as_str()),
            (status, error),
            "{query}"
        );
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        for secret in [&code, &state] {
            assert!(!answer.body.contains(secret.as_str()), "{}", answer.body);
        }
    }
    for (path, status, error) in [
        ("/callback/nobody", 404, "unknown_client"),
        ("/callback/%ff", 404, "unknown_client"),
        ("/callback/op%00", 404, "unknown_client"),
        ("/callback/OP", 404, "unknown_client"),
    ] {
        let answer = send(back.request("GET", &format!("{path}?{query}"))).await;
        assert_eq!(
            (answer.status, answer.code.as_str()),
            (status, error),
            "{path}"
        );
    }
    assert_eq!(app.world.provider.requests("/token"), 0);
    back.assert_comes_back().await;
}

async fn a_callback_comes_by_get_or_by_a_posted_form_of_a_bounded_size(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let back = Back::of(&app).await;
    let (query, path) = (back.query(), format!("/callback/op?{}", back.query()));
    for method in ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let answer = send(back.request(method, &path)).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers[header::ALLOW], "GET, POST", "{method}");
        if method != "HEAD" {
            assert_eq!(answer.code, "invalid_parameter", "{method}");
        }
    }
    for media in [
        "",
        "text/plain",
        "application/json",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencodedx",
        "text/plain; application/x-www-form-urlencoded",
    ] {
        let request = back.request("POST", "/callback/op").body(query.clone());
        let request = match media {
            "" => request,
            media => request.header(header::CONTENT_TYPE, media),
        };
        let answer = send(request).await;
        assert_eq!(
            (answer.status, answer.code.as_str()),
            (400, "invalid_parameter"),
            "{media}"
        );
        assert!(answer.body.contains("form_post"), "{}", answer.body);
    }
    let megabyte = format!("{query}&x={}", "y".repeat(1 << 20));
    for (form, status) in [
        (megabyte.clone(), 413),
        (format!("{query}&x={}", "y".repeat(20_000)), 400),
    ] {
        let answer = send(back.post(form)).await;
        assert_eq!(
            (answer.status, answer.code.as_str()),
            (status, "invalid_parameter")
        );
    }
    // Without a length that could be looked at first.
    let pieces = megabyte.into_bytes();
    let pieces: Vec<_> = pieces.chunks(10_000).map(<[u8]>::to_vec).collect();
    let pieces = tokio_stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let streamed = soon(back.post(reqwest::Body::wrap_stream(pieces)).send()).await;
    // The connection may end before all of it was sent.
    if let Ok(answer) = streamed {
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(answer.text().await.unwrap().contains("invalid_parameter"));
    }
    // A posted answer counts, and the query beside it does not.
    let answer = send(back.post("")).await;
    assert_eq!(answer.code, "missing_parameter");
    assert_eq!(app.world.provider.requests("/token"), 0);
    let form = back
        .request("POST", "/callback/op?state=other&code=other&error=x")
        .header(
            header::CONTENT_TYPE,
            "Application/X-WWW-Form-urlencoded; charset=UTF-8",
        );
    let answer = send(form.body(query)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// What HTTP itself does not allow is the server's to refuse, and nothing is left behind.
async fn requests_that_are_no_http_do_not_reach_a_login(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let back = Back::of(&app).await;
    let (query, cookies) = (back.query(), back.cookies());
    let address = app.base.trim_start_matches("http://").to_owned();
    let long = "y".repeat(1 << 20);
    for (line, statuses) in [
        (
            format!("GET /callback/op?{query}&x={long} HTTP/1.1"),
            &[414, 431][..],
        ),
        (format!("GET /callback/op?{query}\u{0}x HTTP/1.1"), &[400]),
        (format!("GET /callback/op?{query} x HTTP/1.1"), &[400]),
    ] {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        let head =
            format!("{line}\r\nHost: {address}\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n");
        // It may answer before it has read everything.
        let _ = connection.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = soon(connection.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if let Some(status) = answer.split(' ').nth(1) {
            assert!(
                statuses.contains(&status.parse::<u16>().unwrap()),
                "{answer}"
            );
        }
    }
    assert_eq!(app.world.provider.requests("/token"), 0);
    back.assert_comes_back().await;
}

async fn an_error_of_the_provider_is_shown_as_text_and_never_as_markup(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let markup = "<script>alert(1)</script>";
    for (said, status, code) in [
        ("access_denied", 403, "access_denied"),
        ("temporarily_unavailable", 502, "provider_error"),
        ("login_required", 502, "provider_error"),
        ("brand_new_error", 502, "provider_error"),
        ("<b onload=x>&\"'", 502, "provider_error"),
    ] {
        for accept in ["application/json", "text/html"] {
            let back = Back::of(&app).await;
            let state = back.callback.parameter("state").unwrap();
            let iss = back.callback.parameter("iss").unwrap();
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("state", &state)
                .append_pair("iss", &iss)
                .append_pair("error", said)
                .append_pair(
                    "error_description",
                    &format!("{markup}\r\nSet-Cookie: a=b\0\u{7}"),
                )
                .append_pair("error_uri", "javascript:alert(1)")
                .finish();
            let request = back.request("GET", &format!("/callback/op?{query}"));
            let accept = header::HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            let answer = send(request.headers(accept.clone())).await;
            assert_eq!(answer.status, status, "{said}");
            assert!(answer.body.contains(code), "{}", answer.body);
            assert!(!answer.body.contains(markup), "{}", answer.body);
            assert!(!answer.body.contains("javascript:"), "{}", answer.body);
            let is_told = answer
                .body
                .contains("the provider says: scriptalert(1)/script");
            assert_eq!(
                is_told,
                accept[header::ACCEPT] == "application/json",
                "{}",
                answer.body
            );
            assert!(!answer.body.contains('\0'), "{}", answer.body);
            assert!(!answer.headers.contains_key("a"));
            assert!(!answer.body.contains("<b onload"), "{}", answer.body);
            // The login is over, and its cookie taken back.
            let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
            assert!(
                set.starts_with("tokenkeep-flow-") && set.contains("Max-Age=0"),
                "{set}"
            );
            let again = send(back.request("GET", &format!("/callback/op?{query}"))).await;
            assert_eq!(again.code, "state_mismatch");
        }
    }
    assert_eq!(app.world.provider.requests("/token"), 0);
}

async fn going_back_to_a_callback_is_an_error_that_leaves_the_session_alone(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let browser = app.browser();
    let visit = browser
        .log_in(&app.at("/login/op?return_to=/me"), "alice")
        .await;
    let visit = visit.unwrap();
    assert!(visit.last().body.ends_with("#alice"));
    let callback = visit.at("/callback/op").unwrap().url.clone();
    for accept in ["text/html", "application/json"] {
        let browser = browser.clone().with_header("accept", accept);
        let page = browser.get(callback.as_str()).await.unwrap();
        assert_eq!(page.status, 400);
        assert!(page.body.contains("state_mismatch"), "{}", page.body);
        assert!(page.header("set-cookie").is_none());
    }
    assert_eq!(browser.get(&app.at("/me")).await.unwrap().status, 200);
    assert_eq!(app.world.provider.requests("/token"), 1);
    let url = app.at("/login/op?return_to=/me");
    let again = browser.log_in(&url, "alice").await.unwrap();
    assert!(again.last().body.ends_with("#alice"));
}

/// What a browser could take for another place.
const ELSEWHERE: &[&str] = &[
    "",
    "x",
    ".",
    "?x",
    "#x",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "/\u{b}/evil.example",
    "/\0/evil.example",
    "\t//evil.example",
    " //evil.example",
    "\u{a0}//evil.example",
    "\u{feff}//evil.example",
    "/.//evil.example",
    "/./\\evil.example",
    "/x/..//evil.example",
    "/%2e//evil.example",
    "/x/%2e%2e//evil.example",
    "/x/.%2E//evil.example",
    "@evil.example",
    ".evil.example",
    ":80@evil.example",
    "evil.example",
    "https://evil.example/",
    "HTTPS://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "http://127.0.0.1@evil.example/",
    "javascript:alert(1)",
    "JavaScript://%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "\u{ff0f}\u{ff0f}evil.example",
    "\u{2215}\u{2215}evil.example",
    "\u{3002}evil.example",
    "/x\r\nSet-Cookie: a=b",
];

fn assert_refused(page: &tokenkeep_testing::Page, path: &str) {
    assert_eq!(page.status, 400, "{path:?}");
    assert_eq!(page.json()["error"], "invalid_return_to", "{path:?}");
    for name in ["location", "set-cookie"] {
        assert!(page.header(name).is_none(), "{path:?}");
    }
}

async fn a_login_returns_to_the_own_origin_alone(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let encoded =
        |path: &str| url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
    let browser = app.browser().accepting_json();
    let own = format!("{}/me", app.base);
    let long = format!("/{}", "x".repeat(2048));
    let grows = format!("/{}", "\u{fc}".repeat(1000));
    for path in ELSEWHERE.iter().copied().chain([&*own, &long, &grows]) {
        let url = app.at(&format!("/login/op?return_to={}", encoded(path)));
        assert_refused(&browser.get(&url).await.unwrap(), path);
    }
    let signed_in = app.browser().accepting_json();
    signed_in
        .log_in(&app.at("/login/op"), "alice")
        .await
        .unwrap();
    let url = app.at("/connect/op?return_to=//evil.example");
    assert_refused(&signed_in.get(&url).await.unwrap(), "//evil.example");
    let twice = browser
        .get(&app.at("/login/op?return_to=/me&return_to=/"))
        .await
        .unwrap();
    assert_eq!(twice.json()["error"], "invalid_parameter");
    for (path, location) in [
        ("/", "/"),
        (
            "/me?x=//evil.example#//evil.example",
            "/me?x=//evil.example#//evil.example",
        ),
        ("/a/../me", "/me"),
        ("/%2f%2fevil.example", "/%2f%2fevil.example"),
        ("/%5cevil.example", "/%5cevil.example"),
        ("/x//evil.example", "/x//evil.example"),
        ("/@evil.example", "/@evil.example"),
        ("/:@evil.example", "/:@evil.example"),
        ("/\u{ff0f}evil.example", "/%EF%BC%8Fevil.example"),
        ("/\u{3002}evil.example", "/%E3%80%82evil.example"),
        ("/<script>", "/%3Cscript%3E"),
    ] {
        let browser = app.browser();
        let url = app.at(&format!("/login/op?return_to={}", encoded(path)));
        let visit = browser.log_in(&url, "alice").await.unwrap();
        let back = visit.at("/callback/op").unwrap();
        assert_eq!(back.header("location"), Some(location), "{path:?}");
        assert_eq!(visit.last().url.origin().ascii_serialization(), app.base);
    }
}

/// Other applications of a host set cookies that we have no say in.
async fn cookies_of_others_do_not_stand_in_a_logins_way(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    for before in [
        "city=M\u{fc}nchen; ".to_owned(),
        "a=b; ".repeat(150),
        "=; ; x; \"; ".to_owned(),
        "tokenkeep-session=; tokenkeep-session=x; ".to_owned(),
    ] {
        let back = Back::of(&app).await;
        let name = back.cookies().split('=').next().unwrap().to_owned();
        let cookies = format!("{before}{name}=planted; {}; {name}=planted", back.cookies());
        let mut request = back
            .request("GET", &format!("/callback/op?{}", back.query()))
            .build()
            .unwrap();
        let value = header::HeaderValue::from_bytes(cookies.as_bytes()).unwrap();
        request.headers_mut().insert(header::COOKIE, value);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.execute(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{before:?}");
    }
}

async fn whatever_host_a_request_names_addresses_are_those_of_base_url(framework: Framework) {
    let app = App::with(framework, |routes| routes).await;
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let mut request = http.get(app.at("/login/op"));
    for name in ["host", "x-forwarded-host", "x-original-host", "x-host"] {
        request = request.header(name, "evil.example");
    }
    let request = request
        .header("forwarded", "host=evil.example;proto=https")
        .header("x-forwarded-proto", "https");
    let answer = soon(request.send()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let said = format!("{:?}", answer.headers());
    assert!(!said.contains("evil"), "{said}");
    let to: url::Url = answer.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let redirect_uri = to.query_pairs().find(|(name, _)| name == "redirect_uri");
    assert_eq!(redirect_uri.unwrap().1, app.at("/callback/op"));
}

on_each_framework!(
    what_is_no_answer_is_our_own_error_and_uses_no_login_up,
    a_callback_comes_by_get_or_by_a_posted_form_of_a_bounded_size,
    requests_that_are_no_http_do_not_reach_a_login,
    an_error_of_the_provider_is_shown_as_text_and_never_as_markup,
    going_back_to_a_callback_is_an_error_that_leaves_the_session_alone,
    a_login_returns_to_the_own_origin_alone,
    cookies_of_others_do_not_stand_in_a_logins_way,
    whatever_host_a_request_names_addresses_are_those_of_base_url,
);
