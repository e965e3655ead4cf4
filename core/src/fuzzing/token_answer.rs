//! The answer of a token endpoint, read at login and at a refresh.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{Request, Response};
use serde_json::Value;

use super::{Still, at_once, says_nothing_of};
use crate::{
    Phase, Registration, Secret, Settings, Target, Transport, TransportError,
    client::{
        Bounds, Endpoint, NoHooks, Offer, Renewal, Resolved, TokenEndpoint, negotiate, resolve,
    },
    http::Http,
    token::{TokenAnswer, TokenFailure, check_token_text},
};

const CODE: &str = "code-that-was-sent-0123456789";
const VERIFIER: &str = "verifier-that-was-sent-0123456789-0123456789";
const REFRESH_TOKEN: &str = "refresh-token-that-was-sent-0123456789";
const SECRET: &str = "secret-of-this-client-0123456789";

/// The same answer to every request.
#[derive(Clone, Debug)]
struct Canned {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Canned {
    /// A line with the status, one with the media type, one with `Retry-After`, and the body.
    fn read(data: &[u8]) -> Self {
        let mut lines = data.splitn(4, |byte| *byte == b'\n');
        let mut line = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let status = line().parse().unwrap_or(200);
        let status = if (200..600).contains(&status) {
            status
        } else {
            200
        };
        let headers = vec![("content-type", line()), ("retry-after", line())];
        Self {
            status,
            headers,
            body: lines.next().unwrap_or_default().to_vec(),
        }
    }
}

#[async_trait]
impl Transport for Canned {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        let mut response = oauth2::http::Response::builder().status(self.status);
        for (name, value) in &self.headers {
            let value = reqwest::header::HeaderValue::from_bytes(value.as_bytes());
            if let Some(value) = value.ok().filter(|value| !value.is_empty()) {
                response = response.header(*name, value);
            }
        }
        Ok(response.body(self.body.clone()).unwrap().into())
    }
}

/// A token endpoint's answer. A token is taken only from a success, and is one that can be sent; what is good enough for a
/// login is good enough for a refresh; a good answer to a refresh is never lost; no error shows what was sent.
pub(super) fn token_answer(data: &[u8]) -> bool {
    let canned = Canned::read(data);
    let (login, refresh) = (ask(&canned, false), ask(&canned, true));
    for outcome in [&login, &refresh] {
        match outcome {
            Ok(answer) => taken(&canned, answer),
            Err(failure) => refused(&canned, failure),
        }
    }
    if let Ok(login) = &login {
        let refresh = refresh
            .as_ref()
            .expect("a refresh takes what a login takes");
        assert_eq!(login.access_token, refresh.access_token);
        assert_eq!(login.refresh_token, refresh.refresh_token);
    }
    if (200..300).contains(&canned.status)
        && let Ok(Value::Object(members)) = serde_json::from_slice(&canned.body)
        && let Some(token) = members.get("access_token").and_then(Value::as_str)
        && !members.contains_key("error")
        && check_token_text("access token", &Secret::new(token)).is_ok()
        && crate::openid::has_each_member_once(&String::from_utf8_lossy(&canned.body))
    {
        let answer = refresh.as_ref().expect("a good answer to a refresh counts");
        assert_eq!(answer.access_token.expose(), token);
        if let Some(new) = members.get("refresh_token").and_then(Value::as_str)
            && check_token_text("refresh token", &Secret::new(new)).is_ok()
        {
            let kept = answer.refresh_token.as_ref().map(Secret::expose);
            assert_eq!(kept, Some(new), "the new refresh token is lost");
        }
    }
    refresh.is_ok()
}

fn taken(canned: &Canned, answer: &TokenAnswer) {
    assert!((200..300).contains(&canned.status));
    check_token_text("access token", &answer.access_token).unwrap();
    if let Some(token) = &answer.refresh_token {
        check_token_text("refresh token", token).unwrap();
    }
    assert!(
        answer
            .id_token
            .as_ref()
            .is_none_or(|token| (1..=64 * 1024).contains(&token.expose().len()))
    );
    assert!(
        answer
            .expires_in
            .is_none_or(|life| life.as_secs() <= 10_000_000_000)
    );
    assert!(answer.warnings.len() <= 16);
    assert!(answer.warnings.iter().all(|warning| warning.len() < 1000));
    assert!(
        !format!("{answer:?}").contains(answer.access_token.expose())
            || answer.access_token.expose().len() < 20
    );
}

fn refused(canned: &Canned, failure: &TokenFailure) {
    says_nothing_of(&failure.error, &[CODE, VERIFIER, REFRESH_TOKEN, SECRET]);
    assert!(failure.in_short().len() < 100);
    if failure.error.retry_after().is_some() {
        assert!(failure.error.retry_after() <= Some(Duration::from_secs(3600)));
    }
    // Otherwise a refresh token that was spent would be sent again.
    if failure.verdict.proves_unprocessed() && canned.status < 400 {
        assert!(
            failure
                .error
                .provider()
                .is_some_and(|said| said.error.is_some())
        );
    }
}

fn ask(canned: &Canned, refresh: bool) -> Result<TokenAnswer, TokenFailure> {
    static CLIENT: OnceLock<Resolved> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        let url = "https://op.example/token";
        let registration = Registration::oauth2("op", "https://op.example/a", url)
            .client_id("client-1")
            .client_secret(SECRET);
        resolve(&registration, &Settings::default()).unwrap()
    });
    let authentication = negotiate(client, &Offer::silent(Endpoint::Token)).unwrap();
    let http = Http {
        transport: Arc::new(canned.clone()),
        clock: Arc::new(Still),
        timeout: Duration::from_secs(10),
    };
    let endpoint = TokenEndpoint {
        http: &http,
        client,
        url: &"https://op.example/token".parse().unwrap(),
        authentication: authentication.as_ref(),
        hooks: &NoHooks,
    };
    let bounds = |phase| Bounds {
        timeout: Duration::from_secs(10),
        phase,
    };
    if refresh {
        let renewal = Renewal {
            refresh_token: &Secret::new(REFRESH_TOKEN),
            target: &Target::login(),
        };
        at_once(endpoint.refresh(renewal, &[], bounds(Phase::Refresh)))
    } else {
        let (code, verifier) = (Secret::new(CODE), Secret::new(VERIFIER));
        let uri = "https://app.example/cb";
        at_once(endpoint.exchange_code(
            &code,
            uri,
            Some(&verifier),
            &[],
            bounds(Phase::TokenRequest),
        ))
    }
}
