//! The one way out to the network.
//!
//! Nothing else in this crate may send a request. Protocol requests (discovery, keys, token endpoint, userinfo,
//! revocation) go through [`Http::send`]: https or loopback, no redirect, a deadline, at most 1 MiB of answer.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{Request, Response, StatusCode, header::HeaderMap};
use tokio_stream::StreamExt;
use url::{Host, Url};

use crate::{Action, Clock, Error, ErrorCode, Phase, Result, Timestamp, error::ProviderError};

/// How long a protocol answer may be.
pub(crate) const MAX_ANSWER: usize = 1 << 20;

/// Sends requests: reqwest in production, anything in a test.
///
/// # Contract
/// An implementation follows no redirect, or [says so](Self::follows_redirects); it keeps no cookie, and gives the answer with its
/// body unread.
///
/// # Cancel safety
/// Dropping the future aborts the request; whether the other side processed it is unknown.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends one request.
    ///
    /// # Errors
    /// [`TransportError`] says whether a byte may have been sent: it decides if a refresh token may be sent again.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;

    /// Does it follow redirects by itself? Such a one is good enough to call APIs with a token in the header, which it must
    /// drop on the way to another origin, as reqwest does; nothing else.
    fn follows_redirects(&self) -> bool {
        false
    }
}

/// Why a request has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct TransportError {
    /// What is known of the request.
    pub sent: Sent,
    source: Box<dyn StdError + Send + Sync>,
}

/// What is known of a request that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// No byte reached the other side.
    No,
    /// It may have been processed.
    Maybe,
}

impl TransportError {
    /// A failure, with what is known of the request.
    #[must_use]
    pub fn new(sent: Sent, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            sent,
            source: source.into(),
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.sent {
            Sent::No => "the other side could not be reached",
            Sent::Maybe => "the request was sent, but there is no answer",
        })
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}

/// reqwest as a [`Transport`].
#[derive(Clone, Debug)]
pub(crate) struct ReqwestTransport(reqwest::Client);

impl ReqwestTransport {
    pub(crate) fn new(builder: reqwest::ClientBuilder) -> Result<Self> {
        builder
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map(Self)
            .map_err(|error| {
                Error::new(
                    ErrorCode::InvalidConfiguration,
                    Phase::Configure,
                    "the HTTP client cannot be built",
                )
                .with_source(error.without_url())
            })
    }
}

impl ReqwestTransport {
    /// The client behind it: it builds requests, also where another transport sends them.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.0
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.0.execute(request).await.map_err(|error| {
            let sent = if error.is_connect() || error.is_builder() {
                Sent::No
            } else {
                Sent::Maybe
            };
            // A URL may hold an authorization code.
            TransportError::new(sent, error.without_url())
        })
    }
}

/// An answer that was read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Is it marked as JSON (`application/json`, `application/…+json`)?
    pub(crate) fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(|value| {
            let media = value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            media == "application/json"
                || (media.starts_with("application/") && media.ends_with("+json"))
        })
    }

    /// `Retry-After` (RFC 9110 section 10.2.3), at most an hour.
    pub(crate) fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let value = self.header("retry-after")?.trim();
        let wait = match value.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => http_date(value)?.since(now),
        };
        Some(wait.min(Duration::from_secs(3600)))
    }
}

/// The preferred form of an HTTP date, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    let mut parts = text.split_once(", ")?.1.split(' ');
    let number = |range: std::ops::Range<i64>, text: Option<&str>| {
        text?.parse().ok().filter(|number| range.contains(number))
    };
    let day = number(1..32, parts.next())?;
    let name = parts.next()?;
    let month = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    .iter()
    .position(|month| *month == name)?;
    let year = number(1970..10_000, parts.next())?;
    let mut time = parts.next()?.split(':');
    // A minute may have a leap second.
    let (hour, minute, second) = (
        number(0..24, time.next())?,
        number(0..60, time.next())?,
        number(0..61, time.next())?,
    );
    // Days since the epoch, counted in years that begin in March.
    let (shifted_year, shifted_month) = if month >= 2 {
        (year, month as i64 - 2)
    } else {
        (year - 1, month as i64 + 10)
    };
    let days = 365 * shifted_year + shifted_year.div_euclid(4) - shifted_year.div_euclid(100)
        + shifted_year.div_euclid(400)
        + (153 * shifted_month + 2) / 5
        + day
        - 1
        - 719_468;
    Some(Timestamp::from_secs(
        ((days * 24 + hour) * 60 + minute) * 60 + second,
    ))
}

/// Why a protocol request has no answer that can be read.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What is known of the request.
    pub(crate) sent: Sent,
    /// The error to show.
    pub(crate) error: Error,
}

/// The way out: a transport, with the rules for protocol requests.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timeout: Duration,
}

impl Http {
    /// Sends a protocol request and reads its whole answer.
    pub(crate) async fn send(&self, request: Request, phase: Phase) -> Result<Answer, Failure> {
        self.send_within(request, phase, self.timeout).await
    }

    /// The same with a deadline of one's own.
    pub(crate) async fn send_within(
        &self,
        request: Request,
        phase: Phase,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        require_https(request.url(), phase).map_err(|error| Failure {
            sent: Sent::No,
            error,
        })?;
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let unavailable = |what: &str| {
            Error::new(
                ErrorCode::ProviderUnavailable,
                phase,
                format!("{host} {what}"),
            )
        };
        let work = async {
            let mut response = self
                .transport
                .send(request)
                .await
                .map_err(|error| Failure {
                    sent: error.sent,
                    error: unavailable("could not be reached or gave no answer").with_source(error),
                })?;
            let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
            let body = read_body(response).await.map_err(|problem| match problem {
                BodyProblem::Broken(error) => Failure {
                    sent: Sent::Maybe,
                    error: unavailable("broke off in the middle of its answer").with_source(error),
                },
                BodyProblem::TooLong => {
                    let said = ProviderError {
                        status: Some(status.as_u16()),
                        ..ProviderError::default()
                    };
                    let message = format!("{host} answered with more than 1 MiB");
                    let error =
                        Error::new(ErrorCode::ProviderError, phase, message).with_provider(said);
                    Failure {
                        sent: Sent::Maybe,
                        error,
                    }
                }
            })?;
            Ok(Answer {
                status,
                headers,
                body,
            })
        };
        tokio::select! {
            answer = work => answer,
            () = self.clock.sleep(timeout) => Err(Failure {
                sent: Sent::Maybe,
                error: unavailable("did not answer in time").with_action(Action::Retry { after: None }),
            }),
        }
    }

    /// Fetches a JSON document.
    pub(crate) async fn get_json(
        &self,
        url: &Url,
        phase: Phase,
        headers: HeaderMap,
    ) -> Result<Answer> {
        let mut request = Request::new(reqwest::Method::GET, url.clone());
        *request.headers_mut() = headers;
        request
            .headers_mut()
            .entry(reqwest::header::ACCEPT)
            .or_insert(reqwest::header::HeaderValue::from_static(
                "application/json",
            ));
        self.send(request, phase)
            .await
            .map_err(|failure| failure.error)
    }
}

/// Why a body cannot be had.
pub(crate) enum BodyProblem {
    TooLong,
    Broken(reqwest::Error),
}

/// Reads a body of at most 1 MiB.
pub(crate) async fn read_body(response: Response) -> Result<Vec<u8>, BodyProblem> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| BodyProblem::Broken(error.without_url()))?;
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(BodyProblem::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Refuses what is neither https nor http to a literal loopback name.
pub(crate) fn require_https(url: &Url, phase: Phase) -> Result<()> {
    if is_secure(url) {
        return Ok(());
    }
    Err(Error::new(
        if phase == Phase::Configure {
            ErrorCode::InvalidConfiguration
        } else {
            ErrorCode::InvalidMetadata
        },
        phase,
        format!(
            "{}://{} is not https (http is for 127.0.0.0/8, [::1] and localhost only)",
            url.scheme(),
            url.host_str().unwrap_or_default()
        ),
    ))
}

/// Is it https, or http to a literal loopback name?
pub(crate) fn is_secure(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

/// A URL as it may be shown: its origin and path. Codes, states and hints stand in the query.
pub(crate) struct Shown<'a>(pub(crate) &'a Url);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.0.origin().ascii_serialization();
        write!(f, "{origin}{}", self.0.path())
    }
}

/// Does it name this machine literally?
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests;
