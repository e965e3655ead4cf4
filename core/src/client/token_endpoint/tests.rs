use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use reqwest::{Request, Response, StatusCode, header::HeaderMap};

use super::*;
use crate::{
    Credential, Phase, Registration, Sent, Settings, SystemClock, Transport, TransportError,
    client::{Endpoint, negotiate, resolve},
    token::Verdict,
};

const REFRESH_TOKEN: &str = "old-refresh-token-0123456789";

/// Answers from a list, and remembers what was sent.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<VecDeque<Reply>>,
    sent: Mutex<Vec<(HeaderMap, String)>>,
}

#[derive(Clone, Debug)]
enum Reply {
    Is(u16, Vec<(&'static str, String)>, Vec<u8>),
    Fails(Sent),
    Hangs,
}

fn json(body: &str) -> Reply {
    answer(200, "application/json", body)
}

fn answer(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
    let headers = vec![("content-type", content_type.to_owned())];
    Reply::Is(status, headers, body.as_ref().to_vec())
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let body = request.body().and_then(reqwest::Body::as_bytes);
        let body = String::from_utf8(body.unwrap_or_default().to_vec()).unwrap();
        let headers = request.headers().clone();
        self.sent.lock().unwrap().push((headers, body));
        let reply = self.answers.lock().unwrap().pop_front();
        match reply.expect("one more request than answers") {
            Reply::Is(status, headers, body) => {
                let mut response = oauth2::http::Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                Ok(response.body(body).unwrap().into())
            }
            Reply::Fails(sent) => Err(TransportError::new(sent, "no network")),
            Reply::Hangs => std::future::pending().await,
        }
    }
}

struct Fixture {
    script: Arc<Script>,
    http: Http,
    client: Resolved,
    url: Url,
}

impl Fixture {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::of(registration(), replies)
    }

    fn of(registration: Registration, replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = Arc::new(Script {
            answers: Mutex::new(replies.into_iter().collect()),
            ..Script::default()
        });
        Self {
            http: Http {
                transport: Arc::<Script>::clone(&script),
                clock: Arc::new(SystemClock),
                timeout: Duration::from_secs(10),
            },
            script,
            client: resolve(&registration, &Settings::default()).unwrap(),
            url: "https://op.example/token".parse().unwrap(),
        }
    }

    async fn ask<T>(
        &self,
        hooks: &dyn TokenHooks,
        ask: impl AsyncFnOnce(TokenEndpoint<'_>) -> T,
    ) -> T {
        let authentication = negotiate(&self.client, Endpoint::Token, None).unwrap();
        ask(TokenEndpoint {
            http: &self.http,
            client: &self.client,
            url: &self.url,
            authentication: authentication.as_ref(),
            hooks,
        })
        .await
    }

    async fn login(&self) -> Result<TokenAnswer, TokenFailure> {
        self.login_with(&[]).await
    }

    async fn login_with(&self, extra: &[(String, String)]) -> Result<TokenAnswer, TokenFailure> {
        self.ask(&NoHooks, async |endpoint| {
            let code = Secret::new("the-code-0123456789abcdef");
            let verifier = Secret::new("v".repeat(43));
            let uri = "https://app.example/cb";
            endpoint
                .exchange_code(
                    &code,
                    uri,
                    Some(&verifier),
                    extra,
                    bounds(Phase::TokenRequest),
                )
                .await
        })
        .await
    }

    async fn refresh(&self) -> Result<TokenAnswer, TokenFailure> {
        self.refresh_with(&NoHooks, &Target::login(), bounds(Phase::Refresh))
            .await
    }

    async fn refresh_with(
        &self,
        hooks: &dyn TokenHooks,
        target: &Target,
        bounds: Bounds,
    ) -> Result<TokenAnswer, TokenFailure> {
        self.ask(hooks, async |endpoint| {
            let refresh_token = Secret::new(REFRESH_TOKEN);
            let renewal = Renewal {
                refresh_token: &refresh_token,
                target,
            };
            endpoint.refresh(renewal, &[], bounds).await
        })
        .await
    }

    async fn revoke(&self) -> Result<()> {
        self.ask(&NoHooks, async |endpoint| {
            let token = Secret::new(REFRESH_TOKEN);
            endpoint
                .revoke(&token, "refresh_token", bounds(Phase::Revoke))
                .await
        })
        .await
    }

    /// The form that was sent last.
    fn form(&self) -> Vec<(String, String)> {
        let sent = self.script.sent.lock().unwrap();
        let (headers, body) = sent.last().unwrap();
        assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(headers["accept"], "application/json");
        let pairs = url::form_urlencoded::parse(body.as_bytes());
        pairs
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect()
    }
}

fn bounds(phase: Phase) -> Bounds {
    Bounds {
        timeout: Duration::from_secs(10),
        phase,
    }
}

fn registration() -> Registration {
    Registration::oauth2("op", "https://op.example/a", "https://op.example/token")
        .client_id("x")
        .client_secret("hunter2-hunter2-hunter2")
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn shows_no_secret(failure: &TokenFailure, secrets: &[&str]) {
    let shown = format!("{failure:?} {}", failure.error);
    for secret in secrets {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_code_is_exchanged_with_everything_the_specification_wants() {
    let fixture = Fixture::new([json(
        r#"{"access_token": "a", "token_type": "bearer", "expires_in": 3600, "refresh_token": "r",
            "id_token": "x.y.z", "scope": "openid email", "more": {"x": 1}}"#,
    )]);
    let answer = fixture.login().await.unwrap();
    assert_eq!(answer.access_token.expose(), "a");
    assert_eq!(answer.credential, Some(Credential::Bearer));
    assert_eq!(answer.expires_in, Some(Duration::from_secs(3600)));
    assert_eq!(answer.refresh_token.unwrap().expose(), "r");
    assert_eq!(answer.id_token.unwrap().expose(), "x.y.z");
    assert_eq!(answer.scopes.unwrap(), ["openid", "email"]);
    assert!(answer.warnings.is_empty());
    assert_eq!(
        fixture.form(),
        pairs(&[
            ("grant_type", "authorization_code"),
            ("code", "the-code-0123456789abcdef"),
            ("code_verifier", &"v".repeat(43)),
            ("redirect_uri", "https://app.example/cb"),
        ])
    );
}

#[tokio::test]
async fn a_refresh_asks_for_no_scope_unless_for_a_target() {
    let token = || json(r#"{"access_token": "a"}"#);
    let fixture = Fixture::new([token(), token()]);
    fixture.refresh().await.unwrap();
    let plain = [
        ("grant_type", "refresh_token"),
        ("refresh_token", REFRESH_TOKEN),
    ];
    assert_eq!(fixture.form(), pairs(&plain));
    let target = Target::new(["https://b.example", "https://a.example"], ["w", "r"]);
    fixture
        .refresh_with(&NoHooks, &target, bounds(Phase::Refresh))
        .await
        .unwrap();
    let mut all = plain.to_vec();
    all.extend([
        ("scope", "r w"),
        ("resource", "https://a.example"),
        ("resource", "https://b.example"),
    ]);
    assert_eq!(fixture.form(), pairs(&all));
}

#[tokio::test]
async fn a_client_asks_for_a_token_of_its_own() {
    let fixture = Fixture::new([json(r#"{"access_token": "a", "token_type": "Bearer"}"#)]);
    let target = Target::new(["https://a.example"], ["invoices"]);
    let asked = async |endpoint: TokenEndpoint<'_>| {
        endpoint
            .client_credentials(&target, &[], bounds(Phase::TokenRequest))
            .await
    };
    fixture.ask(&NoHooks, asked).await.unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "invoices"),
        ("resource", "https://a.example"),
    ];
    assert_eq!(fixture.form(), pairs(&form));
}

#[tokio::test]
async fn parameters_of_the_call_win_and_the_protocols_are_safe() {
    let registration = registration().access_token_params([("a", "1"), ("a", "2"), ("b", "3")]);
    let token = r#"{"access_token": "a", "token_type": "bearer"}"#;
    let fixture = Fixture::of(registration, [json(token), json(token)]);
    fixture.login().await.unwrap();
    assert_eq!(
        fixture.form()[4..],
        pairs(&[("a", "1"), ("a", "2"), ("b", "3")])
    );
    let extra = pairs(&[("a", "x"), ("a", "y")]);
    fixture.login_with(&extra).await.unwrap();
    assert_eq!(
        fixture.form()[4..],
        pairs(&[("b", "3"), ("a", "x"), ("a", "y")])
    );
    let error = fixture
        .login_with(&pairs(&[("code", "x")]))
        .await
        .unwrap_err();
    assert_eq!(error.verdict, Verdict::NotSent);
    assert_eq!(error.error.code(), ErrorCode::InvalidParameter);
}

#[tokio::test]
async fn what_is_no_risk_is_read_liberally() {
    let life = |text: &str| {
        format!(r#"{{"access_token": "a", "token_type": "bearer", "expires_in": {text}}}"#)
    };
    for (text, seconds) in [
        ("3600", Some(3600.0)),
        (r#""3600""#, Some(3600.0)),
        (r#"" 3600 ""#, Some(3600.0)),
        ("3599.5", Some(3599.5)),
        (r#""3599.5""#, Some(3599.5)),
        ("0", Some(0.0)),
        ("99999999999999999999999", Some(1e10)),
        ("1e400", Some(1e10)),
        (r#""1e400""#, Some(1e10)),
        ("-1", None),
        (r#""-1""#, None),
        (r#""NaN""#, None),
        (r#""inf""#, None),
        (r#""soon""#, None),
        (r#""""#, None),
        ("null", None),
        ("{}", None),
        ("true", None),
    ] {
        let answer = Fixture::new([json(&life(text))]).login().await.unwrap();
        assert_eq!(
            answer.expires_in.map(|life| life.as_secs_f64()),
            seconds,
            "{text}"
        );
    }
    for (text, scopes) in [
        (r#""a  b""#, Some(vec!["a", "b"])),
        (r#"["a", "b"]"#, Some(vec!["a", "b"])),
        (r#""""#, Some(vec![])),
        ("null", None),
        ("1", None),
        (r#"["a", 1]"#, None),
    ] {
        let body = format!(r#"{{"access_token": "a", "token_type": "bearer", "scope": {text}}}"#);
        let answer = Fixture::new([json(&body)]).login().await.unwrap();
        let expected = scopes.map(|s| s.into_iter().map(str::to_owned).collect());
        assert_eq!(answer.scopes, expected, "{text}");
    }
    for text in ["null", r#""""#] {
        let body =
            format!(r#"{{"access_token": "a", "token_type": "bearer", "refresh_token": {text}}}"#);
        let answer = Fixture::new([json(&body)]).login().await.unwrap();
        assert_eq!(answer.refresh_token, None);
    }
    // An `error` that says nothing is none.
    let body =
        r#"{"access_token": "a", "token_type": "bearer", "error": null, "error_description": "x"}"#;
    Fixture::new([json(body)]).login().await.unwrap();
    // `expires_in` counts, whatever a clock of the provider's says.
    let body = r#"{"access_token": "a", "token_type": "bearer", "expires_in": 5, "expires_at": 1}"#;
    let answer = Fixture::new([json(body)]).login().await.unwrap();
    assert_eq!(answer.expires_in, Some(Duration::from_secs(5)));
}

#[tokio::test]
async fn media_types_and_statuses_of_real_providers_are_taken() {
    let token = r#"{"access_token": "a", "token_type": "bearer"}"#;
    let form = "access_token=a&token_type=bearer&scope=user%3Aemail";
    for reply in [
        answer(200, "Application/JSON; charset=utf-8", token),
        answer(201, "application/vnd.op+json", token),
        answer(200, "text/plain", token),
        answer(200, "application/json", format!("\u{feff} {token}\n")),
        Reply::Is(200, vec![], token.into()),
        answer(
            200,
            "application/x-www-form-urlencoded; charset=utf-8",
            form,
        ),
        answer(200, "text/plain", form),
    ] {
        let answer = Fixture::new([reply]).login().await.unwrap();
        assert_eq!(answer.access_token.expose(), "a");
        assert!(answer.warnings.is_empty());
    }
}

/// Nothing of this is a token at login.
#[tokio::test]
async fn everything_else_is_refused_at_login() {
    let page = "<html><h1>Bad gateway</h1></html>";
    for (case, reply) in [
        ("html", answer(200, "text/html", page)),
        ("empty", json("")),
        ("no content", Reply::Is(204, vec![], vec![])),
        (
            "truncated",
            json(r#"{"access_token": "a", "token_type": "be"#),
        ),
        (
            "two documents",
            json(r#"{"access_token": "a", "token_type": "bearer"} {}"#),
        ),
        ("array", json(r#"["access_token"]"#)),
        ("string", json(r#""access_token""#)),
        ("no token", json(r#"{"message": "hello"}"#)),
        (
            "empty token",
            json(r#"{"access_token": "", "token_type": "bearer"}"#),
        ),
        (
            "null token",
            json(r#"{"access_token": null, "token_type": "bearer"}"#),
        ),
        (
            "number",
            json(r#"{"access_token": 1, "token_type": "bearer"}"#),
        ),
        (
            "control characters",
            json(r#"{"access_token": "a\nb", "token_type": "bearer"}"#),
        ),
        (
            "not ASCII",
            json(r#"{"access_token": "ä", "token_type": "bearer"}"#),
        ),
        (
            "not UTF-8",
            answer(
                200,
                "application/json",
                b"{\"access_token\": \"a\xff\", \"token_type\": \"bearer\"}",
            ),
        ),
        ("type missing", json(r#"{"access_token": "a"}"#)),
        (
            "type unknown",
            json(r#"{"access_token": "a", "token_type": "mac"}"#),
        ),
        (
            "type unreadable",
            json(r#"{"access_token": "a", "token_type": 1}"#),
        ),
        (
            "refresh token unreadable",
            json(r#"{"access_token": "a", "token_type": "bearer", "refresh_token": 1}"#),
        ),
        (
            "id_token unreadable",
            json(r#"{"access_token": "a", "token_type": "bearer", "id_token": {}}"#),
        ),
        (
            "token twice",
            json(r#"{"access_token": "a", "access_token": "b", "token_type": "bearer"}"#),
        ),
        (
            "another member twice",
            json(r#"{"access_token": "a", "token_type": "bearer", "x": 1, "x": 2}"#),
        ),
        (
            "twice in a form",
            answer(
                200,
                "text/plain",
                "access_token=a&access_token=b&token_type=bearer",
            ),
        ),
        (
            "content type",
            answer(
                200,
                "text/html",
                r#"{"access_token": "a", "token_type": "bearer"}"#,
            ),
        ),
        (
            "error beside",
            json(r#"{"access_token": "a", "token_type": "bearer", "error": "x"}"#),
        ),
        (
            "huge",
            json(&format!(
                r#"{{"access_token": "{}", "token_type": "bearer"}}"#,
                "a".repeat(1 << 20)
            )),
        ),
        (
            "redirect",
            Reply::Is(
                302,
                vec![("location", "https://evil.example/".into())],
                vec![],
            ),
        ),
        (
            "not found",
            answer(
                404,
                "application/json",
                r#"{"access_token": "a", "token_type": "bearer"}"#,
            ),
        ),
    ] {
        let fixture = Fixture::new([reply]);
        let Err(failure) = fixture.login().await else {
            panic!("{case} is no token");
        };
        assert_eq!(failure.error.code(), ErrorCode::ProviderError, "{case}");
        assert_eq!(failure.error.phase(), Phase::TokenRequest, "{case}");
        assert_eq!(failure.error.client(), Some("op"), "{case}");
        assert!(failure.error.provider().unwrap().status.is_some(), "{case}");
        assert_eq!(fixture.script.sent.lock().unwrap().len(), 1, "{case}");
    }
}

#[tokio::test]
async fn a_bearer_token_is_assumed_where_the_registration_says_so() {
    let fixture = Fixture::of(
        registration().assume_bearer(),
        [json(r#"{"access_token": "a"}"#)],
    );
    let answer = fixture.login().await.unwrap();
    assert_eq!(answer.credential, Some(Credential::Bearer));
}

/// The refresh token may be spent: whatever can be read counts, and the rest is a warning.
#[tokio::test]
async fn a_refresh_never_drops_a_readable_access_token() {
    for (case, reply, warning) in [
        ("no type", json(r#"{"access_token": "a"}"#), None),
        (
            "type",
            json(r#"{"access_token": "a", "token_type": 1}"#),
            Some("token_type"),
        ),
        (
            "refresh token",
            json(r#"{"access_token": "a", "refresh_token": 1}"#),
            Some("refresh_token"),
        ),
        (
            "refresh token's characters",
            json(r#"{"access_token": "a", "refresh_token": "\n"}"#),
            Some("refresh_token"),
        ),
        (
            "id_token",
            json(r#"{"access_token": "a", "id_token": [1]}"#),
            Some("id_token"),
        ),
        (
            "scope",
            json(r#"{"access_token": "a", "scope": 1}"#),
            Some("scope"),
        ),
        (
            "life",
            json(r#"{"access_token": "a", "expires_in": "soon"}"#),
            Some("expires_in"),
        ),
        (
            "twice",
            json(r#"{"access_token": "a", "scope": "x", "scope": "y"}"#),
            Some("scope (twice)"),
        ),
        (
            "unknown twice",
            json(r#"{"access_token": "a", "x": 1, "x": 2}"#),
            Some("x (twice)"),
        ),
        ("number", json(r#"{"access_token": "a", "x": 1e999}"#), None),
        (
            "depth",
            json(&format!(
                r#"{{"access_token": "a", "x": {}{}}}"#,
                "[".repeat(500),
                "]".repeat(500)
            )),
            None,
        ),
        (
            "content type",
            answer(200, "text/html", r#"{"access_token": "a"}"#),
            Some("content-type"),
        ),
        (
            "encoding",
            answer(
                200,
                "application/json",
                b"{\"access_token\": \"a\", \"x\": \"\xff\"}",
            ),
            Some("encoding"),
        ),
    ] {
        let answer = Fixture::new([reply]).refresh().await;
        let answer = answer.unwrap_or_else(|failure| panic!("{case}: {failure:?}"));
        assert_eq!(answer.access_token.expose(), "a", "{case}");
        let warnings: Vec<_> = answer.warnings.iter().map(String::as_str).collect();
        assert_eq!(warnings, Vec::from_iter(warning), "{case}");
    }
    let rotated =
        json(r#"{"access_token": "a", "refresh_token": "new", "id_token": {}, "scope": {}}"#);
    let answer = Fixture::new([rotated]).refresh().await.unwrap();
    assert_eq!(answer.refresh_token.unwrap().expose(), "new");
    assert_eq!(answer.warnings, ["id_token", "scope"]);
}

#[tokio::test]
async fn a_failed_refresh_says_what_it_means_for_the_refresh_token() {
    let error = |status, name: &str| {
        answer(
            status,
            "application/json",
            format!(r#"{{"error": "{name}"}}"#),
        )
    };
    let later =
        |status: u16| Reply::Is(status, vec![("retry-after", "7".into())], b"busy".to_vec());
    let seven = Some(Duration::from_secs(7));
    let none = None;
    for (case, reply, verdict, action) in [
        (
            "400 invalid_grant",
            error(400, "invalid_grant"),
            Verdict::InvalidGrant,
            "login",
        ),
        (
            "401 invalid_grant",
            error(401, "invalid_grant"),
            Verdict::InvalidGrant,
            "login",
        ),
        (
            "403 invalid_grant",
            error(403, "invalid_grant"),
            Verdict::InvalidGrant,
            "login",
        ),
        (
            "200 invalid_grant",
            error(200, "invalid_grant"),
            Verdict::InvalidGrant,
            "login",
        ),
        (
            "GitHub",
            answer(
                200,
                "application/x-www-form-urlencoded",
                "error=bad_refresh_token&error_description=no",
            ),
            Verdict::InvalidGrant,
            "login",
        ),
        (
            "500 invalid_grant",
            error(500, "invalid_grant"),
            Verdict::Unavailable { retry_after: none },
            "retry",
        ),
        (
            "401 invalid_client",
            error(401, "invalid_client"),
            Verdict::Refused,
            "configure",
        ),
        (
            "200 invalid_client",
            error(200, "invalid_client"),
            Verdict::Refused,
            "configure",
        ),
        (
            "400 unknown",
            error(400, "whatever"),
            Verdict::Refused,
            "configure",
        ),
        (
            "404 page",
            answer(404, "text/html", "<h1>Not found</h1>"),
            Verdict::Refused,
            "configure",
        ),
        (
            "200 unknown",
            error(200, "whatever"),
            Verdict::Unavailable { retry_after: none },
            "retry",
        ),
        (
            "400 temporarily",
            error(400, "temporarily_unavailable"),
            Verdict::Throttled { retry_after: none },
            "retry",
        ),
        (
            "429",
            later(429),
            Verdict::Throttled { retry_after: seven },
            "retry",
        ),
        (
            "408",
            later(408),
            Verdict::Throttled { retry_after: seven },
            "retry",
        ),
        (
            "503",
            later(503),
            Verdict::Unavailable { retry_after: seven },
            "retry",
        ),
        (
            "500",
            later(500),
            Verdict::Unavailable { retry_after: seven },
            "retry",
        ),
        ("502", later(502), Verdict::Ambiguous, "retry"),
        ("504", later(504), Verdict::Ambiguous, "retry"),
        ("302", later(302), Verdict::Ambiguous, "retry"),
        ("307", later(307), Verdict::Ambiguous, "retry"),
        ("unreadable", json("{"), Verdict::Ambiguous, "retry"),
        ("empty", json(""), Verdict::Ambiguous, "retry"),
        (
            "html",
            answer(200, "text/html", "<p>hi</p>"),
            Verdict::Ambiguous,
            "retry",
        ),
        ("no token", json("{}"), Verdict::Ambiguous, "retry"),
        (
            "token twice",
            json(r#"{"access_token": "a", "access_token": "b"}"#),
            Verdict::Ambiguous,
            "retry",
        ),
        (
            "token and error",
            json(r#"{"access_token": "a", "error": "invalid_client"}"#),
            Verdict::Ambiguous,
            "retry",
        ),
        (
            "not connected",
            Reply::Fails(Sent::No),
            Verdict::NotSent,
            "retry",
        ),
        (
            "reset",
            Reply::Fails(Sent::Maybe),
            Verdict::Ambiguous,
            "retry",
        ),
    ] {
        let failure = Fixture::new([reply]).refresh().await.expect_err(case);
        assert_eq!(failure.verdict, verdict, "{case}: {}", failure.error);
        assert_eq!(failure.error.action().as_str(), action, "{case}");
        assert_eq!(failure.error.client(), Some("op"), "{case}");
        assert_eq!(failure.error.phase(), Phase::Refresh, "{case}");
        let retry_after = match verdict {
            Verdict::Throttled { retry_after } | Verdict::Unavailable { retry_after } => {
                retry_after
            }
            _ => None,
        };
        assert_eq!(failure.error.retry_after(), retry_after, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_the_answer_and_what_comes_before_it() {
    let bounds = bounds(Phase::Refresh);
    let target = Target::login();
    let fixture = Fixture::new([Reply::Hangs]);
    let failure = fixture
        .refresh_with(&NoHooks, &target, bounds)
        .await
        .unwrap_err();
    assert_eq!(failure.verdict, Verdict::Ambiguous);
    assert_eq!(failure.error.code(), ErrorCode::ProviderUnavailable);

    struct Slow;
    #[async_trait]
    impl TokenHooks for Slow {
        async fn request(&self, _: RequestKind, _: &mut TokenRequest) -> Result<()> {
            std::future::pending().await
        }
    }
    let fixture = Fixture::new([]);
    let failure = fixture
        .refresh_with(&Slow, &target, bounds)
        .await
        .unwrap_err();
    assert_eq!(failure.verdict, Verdict::NotSent);
    assert!(fixture.script.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_provider_says_is_handed_on_without_secrets() {
    let body = format!(
        r#"{{"error": "invalid_grant", "error_uri": "https://op.example/errors/70008",
            "error_description": "AADSTS70008: {REFRESH_TOKEN} has expired, see hunter2-hunter2-hunter2 or eyJhbGciOiJSUzI1NiJ9.e30.c2ln\u0000"}}"#
    );
    let fixture = Fixture::new([answer(400, "application/json", body)]);
    let failure = fixture.refresh().await.unwrap_err();
    let said = failure.error.provider().unwrap().clone();
    assert_eq!(said.status, Some(400));
    assert_eq!(said.error.as_deref(), Some("invalid_grant"));
    let description = said.description.as_deref().unwrap();
    assert!(
        description.starts_with("AADSTS70008: [secret] has expired"),
        "{description}"
    );
    shows_no_secret(&failure, &[REFRESH_TOKEN, "hunter2", "eyJ", "\0"]);
    assert_eq!(said.uri.as_deref(), Some("https://op.example/errors/70008"));
}

#[tokio::test]
async fn a_page_is_quoted_only_if_it_cannot_hold_a_token() {
    let shown = async |content_type: &str, body: &str| {
        let fixture = Fixture::new([answer(500, content_type, body)]);
        let failure = fixture.refresh().await.unwrap_err();
        shows_no_secret(
            &failure,
            &[REFRESH_TOKEN, "hunter2", "abcdefghijklmnopqrstuvwxyz1"],
        );
        assert!(failure.error.message().len() < 400);
        failure.error.message().to_owned()
    };
    let page = shown(
        "text/html",
        "<html><body><h1>Down for\nmaintenance</h1></body>",
    )
    .await;
    assert!(page.contains("Down for maintenance"), "{page}");
    let echo = shown("text/plain", &format!("cannot use {REFRESH_TOKEN} here")).await;
    assert!(echo.contains("cannot use"), "{echo}");
    let long = shown("text/plain", "id abcdefghijklmnopqrstuvwxyz1").await;
    assert!(long.contains("id […]"), "{long}");
    for body in ["your token is hunter2", "a=hunter2", "{hunter2", "\u{1}"] {
        shown("text/plain", body).await;
    }
    shown("application/octet-stream", "hunter2").await;
    shown("application/json", r#"{"access_token": "hunter2"}"#).await;
    shown("text/html", &"long page ".repeat(10_000)).await;
}

struct Changing(&'static str);

#[async_trait]
impl TokenHooks for Changing {
    async fn request(&self, kind: RequestKind, request: &mut TokenRequest) -> Result<()> {
        assert_eq!(kind, RequestKind::Refresh);
        assert_eq!(request.parameter("refresh_token"), Some(REFRESH_TOKEN));
        // The client authenticates after the hooks.
        assert!(request.headers().get("authorization").is_none());
        request.set("audience", "api");
        let value = reqwest::header::HeaderValue::from_static("1");
        request.headers_mut().insert("x-tenant", value);
        Ok(())
    }

    async fn response(
        &self,
        _: RequestKind,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        assert_eq!(status, 200);
        assert_eq!(headers["content-type"], "application/json");
        assert!(body.starts_with(b"{"));
        Some(self.0.into())
    }
}

#[tokio::test]
async fn hooks_see_request_and_answer_and_cannot_lose_a_token() {
    let refresh = async |original: &str, changed| {
        let fixture = Fixture::new([json(original)]);
        let target = Target::login();
        let answer = fixture
            .refresh_with(&Changing(changed), &target, bounds(Phase::Refresh))
            .await;
        let audience = ("audience".to_owned(), "api".to_owned());
        assert!(fixture.form().contains(&audience));
        assert_eq!(fixture.script.sent.lock().unwrap()[0].0["x-tenant"], "1");
        answer
    };
    let token = r#"{"access_token": "a"}"#;
    let changed = refresh(token, r#"{"access_token": "b"}"#).await.unwrap();
    assert_eq!(changed.access_token.expose(), "b");
    let repaired = refresh(r#"{"data": "a"}"#, token).await.unwrap();
    assert_eq!(repaired.access_token.expose(), "a");
    for useless in ["", "{}", "<html>", r#"{"access_token": ""}"#] {
        let kept = refresh(token, useless).await.unwrap();
        assert_eq!(kept.access_token.expose(), "a");
        assert_eq!(kept.warnings, ["response hook"]);
    }
    // Unless it makes an error of what was none: that is what the hook is for.
    let failure = refresh(r#"{"ok": false}"#, r#"{"error": "invalid_grant"}"#).await;
    assert_eq!(failure.unwrap_err().verdict, Verdict::InvalidGrant);
}

#[tokio::test]
async fn a_hook_that_refuses_keeps_the_request_here() {
    struct Refusing;
    #[async_trait]
    impl TokenHooks for Refusing {
        async fn request(&self, _: RequestKind, _: &mut TokenRequest) -> Result<()> {
            Err(Error::new(ErrorCode::Internal, Phase::Store, "no"))
        }
    }
    let fixture = Fixture::new([]);
    let target = Target::login();
    let refused = fixture.refresh_with(&Refusing, &target, bounds(Phase::Refresh));
    let failure = refused.await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::NotSent);
    assert_eq!(failure.error.phase(), Phase::Refresh);
}

#[tokio::test]
async fn a_token_is_revoked() {
    let refused = r#"{"error": "unsupported_token_type"}"#;
    let fixture = Fixture::new([
        Reply::Is(200, vec![], vec![]),
        answer(400, "application/json", refused),
        Reply::Is(503, vec![("retry-after", "3".into())], vec![]),
    ]);
    fixture.revoke().await.unwrap();
    let form = [
        ("token", REFRESH_TOKEN),
        ("token_type_hint", "refresh_token"),
    ];
    assert_eq!(fixture.form(), pairs(&form));
    let error = fixture.revoke().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unsupported);
    assert_eq!(error.provider().unwrap().status, Some(400));
    let error = fixture.revoke().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ProviderError);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
}

#[test]
fn a_request_shows_names_only() {
    let mut request = TokenRequest::new(
        "https://op.example/t?x=hunter2".parse().unwrap(),
        Phase::Refresh,
    );
    request.append("refresh_token", "hunter2");
    let shown = format!("{request:?}");
    assert!(
        shown.contains("refresh_token") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn a_request_can_be_spawned() {
    fn send<T: Send>(_: &T) {}
    let fixture = Fixture::new([]);
    let method = negotiate(&fixture.client, Endpoint::Token, None).unwrap();
    let endpoint = TokenEndpoint {
        http: &fixture.http,
        client: &fixture.client,
        url: &fixture.url,
        authentication: method.as_ref(),
        hooks: &NoHooks,
    };
    let (secret, target) = (Secret::new("s"), Target::login());
    let renewal = Renewal {
        refresh_token: &secret,
        target: &target,
    };
    send(&endpoint.refresh(renewal, &[], bounds(Phase::Refresh)));
    send(&endpoint.exchange_code(
        &secret,
        "https://a.example",
        None,
        &[],
        bounds(Phase::TokenRequest),
    ));
    send(&endpoint.revoke(&secret, "access_token", bounds(Phase::Revoke)));
}

proptest::proptest! {
    #[test]
    fn no_answer_breaks_the_reader(status in 200u16..600, text in ".{0,300}", structured in "[{}\\[\\]\":,a-z_0-9 ]{0,100}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for body in [text, structured] {
            let reply = answer(status, "application/json", &body);
            let outcome = runtime.block_on(Fixture::new([reply]).refresh());
            proptest::prop_assert!(outcome.is_err());
        }
    }

    #[test]
    fn whatever_stands_beside_it_an_access_token_is_read(
        token in "[!-~]{1,100}", beside in proptest::collection::btree_map("[a-z_]{1,12}", ".{0,20}", 0..5)
    ) {
        let mut members = serde_json::Map::new();
        for (name, value) in beside {
            if !name.starts_with("error") {
                members.insert(name, value.into());
            }
        }
        members.insert("access_token".to_owned(), token.clone().into());
        let reply = json(&serde_json::Value::Object(members).to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let answer = runtime.block_on(Fixture::new([reply]).refresh());
        let answer = answer.unwrap();
        proptest::prop_assert_eq!(answer.access_token.expose(), token);
    }

    #[test]
    fn an_excerpt_holds_no_long_word(text in ".{0,300}", token in "[a-z]{10}[A-Z][0-9][a-zA-Z0-9_-]{20,60}") {
        let shown = scrub(&format!("{text} {token} {text}"), &[]);
        proptest::prop_assert!(!shown.contains(&token));
        proptest::prop_assert!(shown.chars().count() <= 201);
    }
}
