mod answers;
mod failures;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use reqwest::{Request, Response, StatusCode, header::HeaderMap};

use super::*;
use crate::{
    Credential, Phase, Registration, Sent, Settings, SystemClock, Transport, TransportError,
    client::{Endpoint, Offer, negotiate, resolve},
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
        let authentication = negotiate(&self.client, &Offer::silent(Endpoint::Token)).unwrap();
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
        .client_secret("hunter2")
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

/// Nothing of this is a token at login.
/// The refresh token may be spent: whatever can be read counts, and the rest is a warning.
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
    let method = negotiate(&fixture.client, &Offer::silent(Endpoint::Token)).unwrap();
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

#[test]
fn what_was_sent_is_cut_out_however_it_is_written_the_longest_first() {
    let sent = [
        "open sesame".into(),
        "ab".into(),
        "abcd".into(),
        "ü/".into(),
        "".into(),
    ];
    for (text, shown) in [
        ("open sesame", "[secret]"),
        ("pass=open+sesame.", "pass=[secret]."),
        ("open%20sesame", "[secret]"),
        ("x=open%2520sesame", "x=[secret]"),
        ("abcd", "[secret]"),
        ("%C3%BC%2F", "[secret]"),
        ("nothing of it", "nothing of it"),
    ] {
        assert_eq!(scrub(text, &sent), shown);
    }
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
