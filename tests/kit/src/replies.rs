//! Canned answers in the network's place, and a user who is signed in: for tests that are about neither.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use axum::http;
use reqwest::{Request, Response, header::HeaderMap};
use serde_json::{Value, json};
use tokenkeep_core::{Sent, Transport, TransportError};
use url::Url;

/// A [`Transport`] that answers from a list, and remembers what it was asked. A clone has the same list.
///
/// ```
/// use tokenkeep_core::{OAuth, Registration};
/// use tokenkeep_memory::MemoryStore;
/// use tokenkeep_testing::{Replies, Reply, signed_in};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tokenkeep_core::Result<()> {
/// let replies = Replies::new().on("GET", "/user/repos", Reply::json(serde_json::json!(["tokenkeep"])));
/// let oauth = OAuth::builder()
///     .store(MemoryStore::new())
///     .base_url("https://app.example/")
///     .register(
///         Registration::oauth2("github", "https://github.example/authorize", "https://github.example/token")
///             .client_id("id")
///             .api_base_url("https://api.github.example/"),
///     )
///     .transport(replies.clone())
///     .build()?;
///
/// let browser = signed_in(&oauth, "alice").await?; // `browser.cookie` goes into the requests of a handler's test
/// assert_eq!(browser.session.owner(), "alice");
/// let repos = oauth.client("github")?.owner("alice").get("user/repos").await?;
/// assert_eq!(repos.status(), 200);
/// assert_eq!(replies.requests().len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Replies(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    requests: Vec<SentRequest>,
}

struct Rule {
    method: String,
    place: String,
    reply: Reply,
    given: bool,
}

impl Rule {
    fn fits(&self, request: &Request) -> bool {
        let mut url = request.url().clone();
        url.set_query(None);
        url.set_fragment(None);
        self.method.eq_ignore_ascii_case(request.method().as_str())
            && if self.place.contains("://") {
                url.as_str() == self.place
            } else {
                url.path().ends_with(&self.place)
            }
    }
}

impl Replies {
    /// No answers yet: whatever is asked gets 501 and is told so.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a request of this method to this URL, or to a path that ends like this; queries are not compared. Several
    /// replies for one place are given in order, and the last of them again and again.
    #[must_use]
    pub fn on(self, method: &str, place: &str, reply: Reply) -> Self {
        self.lock().rules.push(Rule {
            method: method.to_owned(),
            place: place.to_owned(),
            reply,
            given: false,
        });
        self
    }

    /// What was asked so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<SentRequest> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, request: &Request) -> Option<Reply> {
        let mut state = self.lock();
        state.requests.push(SentRequest {
            method: request.method().to_string(),
            url: request.url().clone(),
            headers: request.headers().clone(),
            body: request
                .body()
                .and_then(|body| body.as_bytes())
                .map(<[u8]>::to_vec),
        });
        let mut last = None;
        for rule in state.rules.iter_mut().filter(|rule| rule.fits(request)) {
            let fresh = !std::mem::replace(&mut rule.given, true);
            last = Some(rule.reply.clone());
            if fresh {
                break;
            }
        }
        last
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.lock().requests).finish()
    }
}

#[async_trait]
impl Transport for Replies {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let reply = self.reply(&request).unwrap_or_else(|| {
            let (method, url) = (request.method(), request.url());
            let origin = url.origin().ascii_serialization();
            let message = format!("no reply is given for {method} {origin}{}", url.path());
            Reply::json(json!({"error": "no_reply", "error_description": message})).with_status(501)
        });
        match reply.0 {
            Kind::Fail(sent) => Err(TransportError::new(sent, "a reply of the test")),
            Kind::Answer {
                status,
                headers,
                body,
            } => {
                let mut answer = http::Response::new(body);
                *answer.status_mut() = http::StatusCode::from_u16(status)
                    .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
                *answer.headers_mut() = headers;
                Ok(answer.into())
            }
        }
    }
}

/// One answer, or none.
#[derive(Clone)]
pub struct Reply(Kind);

#[derive(Clone)]
enum Kind {
    Answer {
        status: u16,
        headers: HeaderMap,
        body: Vec<u8>,
    },
    Fail(Sent),
}

impl Reply {
    /// 200 with JSON.
    #[must_use]
    pub fn json(value: Value) -> Self {
        Self::body("application/json", value.to_string())
    }

    /// 200 with a body of this type.
    #[must_use]
    pub fn body(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self(Kind::Answer {
            status: 200,
            headers: HeaderMap::new(),
            body: body.into(),
        })
        .header("content-type", content_type)
    }

    /// A status without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self(Kind::Answer {
            status,
            headers: HeaderMap::new(),
            body: Vec::new(),
        })
    }

    /// No answer: the connection fails, before or after the request was sent.
    #[must_use]
    pub fn fail(sent: Sent) -> Self {
        Self(Kind::Fail(sent))
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, new: u16) -> Self {
        if let Kind::Answer { status, .. } = &mut self.0 {
            *status = new;
        }
        self
    }

    /// The same with one more header. A name or value that no header may have is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Kind::Answer { headers, .. } = &mut self.0
            && let (Ok(name), Ok(value)) = (
                http::HeaderName::try_from(name),
                http::HeaderValue::try_from(value),
            )
        {
            headers.append(name, value);
        }
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Answer { status, body, .. } => {
                write!(f, "Reply({status}, {} octets)", body.len())
            }
            Kind::Fail(sent) => write!(f, "Reply(fail, sent: {sent:?})"),
        }
    }
}

/// A request as it was sent, its secrets with it: for assertions. Its `Debug` shows neither query, headers nor body.
#[derive(Clone)]
#[non_exhaustive]
pub struct SentRequest {
    /// The method.
    pub method: String,
    /// The whole URL.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, unless it was streamed.
    pub body: Option<Vec<u8>>,
}

impl SentRequest {
    /// A parameter of its form.
    #[must_use]
    pub fn form(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.body.as_deref()?)
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.into_owned())
    }
}

impl fmt::Debug for SentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.url.origin().ascii_serialization();
        write!(f, "{} {origin}{}", self.method, self.url.path())
    }
}
