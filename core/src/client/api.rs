//! Calling an API with a kept token: the request that can be repeated.
//!
//! A request is sent again after a refresh (401), and at each redirect; each time its token is put in anew, and only for
//! an origin that the registration allows.

mod call;
pub(super) mod challenge;
mod place;
mod signed;
pub(super) mod url;

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use ::url::Url;
use call::Call;
use reqwest::{Method, Request, RequestBuilder, Response, header::AUTHORIZATION};

use super::{Client, Grant};
use crate::{
    Action, Error, ErrorCode, Phase, ProviderError, Result, Token, Transport,
    http::{self, Answer},
};

/// Whose token a request carries.
#[derive(Clone, Debug)]
pub(super) enum Bearer {
    /// A kept one, renewed when needed.
    Kept(Grant),
    /// One that the caller gives.
    Given(Token),
    /// Nobody said.
    Nobodys,
    /// None, on purpose.
    Withheld,
}

/// A request to an API: reqwest's builder behind it, the token put in by us. Await it, or call [`send`](Self::send).
///
/// Redirects are followed up to ten times, to allowed origins only. A 401 renews a kept token once, if the body can be sent
/// again. Bodies are streamed, without a limit of size. A token of OAuth 1.0a signs the request, each time it is sent.
#[must_use = "a request is sent when it is awaited"]
pub struct ApiRequest {
    client: Client,
    bearer: Bearer,
    target: Target,
    build: Vec<Build>,
    timeout: Option<Duration>,
    follow_redirects: bool,
}

/// One step of the caller's on reqwest's builder.
type Build = Box<dyn FnOnce(RequestBuilder) -> RequestBuilder + Send>;

enum Target {
    /// Relative to the client's `api_base_url`, or absolute and of an allowed origin.
    Path(Method, String),
    /// A request that was built elsewhere.
    Built(Box<Request>),
    /// An endpoint of the provider's.
    Endpoint(Method, Url),
}

impl Target {
    fn method(&self) -> &Method {
        match self {
            Self::Path(method, _) | Self::Endpoint(method, _) => method,
            Self::Built(request) => request.method(),
        }
    }
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRequest")
            .field("client", &self.client)
            .field("method", self.target.method())
            .finish_non_exhaustive()
    }
}

impl ApiRequest {
    pub(super) fn new(client: Client, bearer: Bearer, method: Method, path: &str) -> Self {
        Self::to(client, bearer, Target::Path(method, path.to_owned()))
    }

    pub(super) fn of(client: Client, bearer: Bearer, request: Request) -> Self {
        Self::to(client, bearer, Target::Built(Box::new(request)))
    }

    pub(super) fn to_endpoint(client: Client, bearer: Bearer, method: Method, url: Url) -> Self {
        Self::to(client, bearer, Target::Endpoint(method, url))
    }

    fn to(client: Client, bearer: Bearer, target: Target) -> Self {
        Self {
            client,
            bearer,
            target,
            build: Vec::new(),
            timeout: None,
            follow_redirects: true,
        }
    }

    /// Anything that reqwest's builder can do: `.with(|request| request.query(&[("page", "2")]).json(&body))`. Redirects and
    /// credentials are ours.
    pub fn with(
        mut self,
        build: impl FnOnce(RequestBuilder) -> RequestBuilder + Send + 'static,
    ) -> Self {
        self.build.push(Box::new(build));
        self
    }

    /// Adds a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.with(move |request| request.header(name, value))
    }

    /// Adds parameters to the query.
    pub fn query<T: serde::Serialize + Send + 'static>(self, query: T) -> Self {
        self.with(move |request| request.query(&query))
    }

    /// Sends JSON.
    pub fn json<T: serde::Serialize + Send + 'static>(self, json: T) -> Self {
        self.with(move |request| request.json(&json))
    }

    /// Sends a form.
    pub fn form<T: serde::Serialize + Send + 'static>(self, form: T) -> Self {
        self.with(move |request| request.form(&form))
    }

    /// Sends a body. A streamed one cannot be sent again after a 401.
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        let body = body.into();
        self.with(move |request| request.body(body))
    }

    /// How long until the answer's head. If not said it is the request's own timeout, the client's
    /// ([`Registration::timeout`](crate::Registration::timeout)), or 30 s. A long upload needs more.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Hands on a redirect as the answer, instead of following it.
    pub fn without_redirects(mut self) -> Self {
        self.follow_redirects = false;
        self
    }

    /// Sends this token, kept or not. It is not renewed.
    pub fn token(mut self, token: &Token) -> Self {
        self.bearer = Bearer::Given(token.clone());
        self
    }

    /// Sends no token, on purpose.
    pub fn withhold_token(mut self) -> Self {
        self.bearer = Bearer::Withheld;
        self
    }

    /// Sends it. Any answer of the API is handed on, but for those that ask for another token.
    ///
    /// # Errors
    /// `foreign_origin`: no token is sent there. `token_rejected`, `insufficient_scope`, `step_up_required`: the API wants
    /// another token, and its [action](Error::action) is to log in
    /// ([`required_by`](crate::AuthorizeRedirect::required_by)) or, where it was renewed and a streamed body cannot be sent
    /// again, to try again. `request_failed`: there is no answer. `unsupported`: a path, and the client has no `api_base_url`. And
    /// those of [`Grant::token`].
    ///
    /// # Cancel safety
    /// Whether the API processed the request is unknown then. A refresh goes on.
    pub async fn send(self) -> Result<Response> {
        self.send_by(None).await
    }

    /// The same through a client of the caller's: for what wraps other HTTP clients, as the feature `middleware` does. Where that
    /// one [follows redirects](Transport::follows_redirects) by itself they are not followed here, and only a token in the
    /// header is sent.
    ///
    /// # Errors
    /// As [`send`](Self::send); `unsupported` for a token in body or query, or one of OAuth 1.0a, where the transport follows
    /// redirects.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn send_through(self, transport: &dyn Transport) -> Result<Response> {
        self.send_by(Some(transport)).await
    }

    async fn send_by(self, transport: Option<&dyn Transport>) -> Result<Response> {
        let (client, bearer) = (self.client.clone(), self.bearer.clone());
        self.run(Phase::Request, transport)
            .await
            .map_err(|error| match &bearer {
                Bearer::Kept(grant) => grant.explained(error),
                _ => client.explained(error),
            })
    }

    async fn run(self, phase: Phase, transport: Option<&dyn Transport>) -> Result<Response> {
        let state = self.client.state().await?;
        let oauth = self.client.oauth()?;
        let is_endpoint = matches!(self.target, Target::Endpoint(..));
        let mut builder = match self.target {
            Target::Path(method, path) => {
                oauth.request_builder(method, url::resolve(&state.resolved, &path)?)
            }
            Target::Built(request) => {
                url::check_allowed(&state.resolved, request.url(), "the request goes to")?;
                oauth.request_builder_of(*request)
            }
            Target::Endpoint(method, url) => {
                http::require_https(&url, phase)?;
                oauth.request_builder(method, url)
            }
        };
        for build in self.build {
            builder = build(builder);
        }
        let request = builder.build().map_err(|error| {
            Error::new(
                ErrorCode::InvalidParameter,
                phase,
                "the request cannot be built",
            )
            .with_source(error.without_url())
        })?;
        url::check_length(request.url())?;
        let timeout = self.timeout.or_else(|| request.timeout().copied());
        let transport = transport.unwrap_or_else(|| oauth.http().transport.as_ref());
        if request.headers().contains_key(AUTHORIZATION) && !matches!(self.bearer, Bearer::Withheld)
        {
            return Err(Error::new(
                ErrorCode::InvalidParameter,
                phase,
                "the request brings its own Authorization header; say withhold_token() if that is meant",
            ));
        }
        let call = Call {
            client: &self.client,
            state: &state,
            bearer: &self.bearer,
            phase,
            timeout: timeout
                .or(state.resolved.api_timeout)
                .unwrap_or(Duration::from_secs(30)),
            is_endpoint,
            follow_redirects: self.follow_redirects
                && !is_endpoint
                && !transport.follows_redirects(),
            transport,
        };
        call.with_redirects(request).await
    }

    /// Sends it to an endpoint of the provider's: no redirect, a whole answer of at most 1 MiB, 2xx or an error.
    pub(super) async fn send_as_protocol(self, phase: Phase) -> Result<Answer> {
        let client = self.client.clone();
        let (oauth, state) = (client.oauth()?, client.state().await?);
        let work = async {
            let mut response = self.run(phase, None).await?;
            let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
            let said = ProviderError {
                status: Some(status.as_u16()),
                ..ProviderError::default()
            };
            if !status.is_success() {
                let message = format!("the provider answered with status {}", status.as_u16());
                let action = match status.as_u16() {
                    429 | 500.. => Action::Retry { after: None },
                    _ => Action::None,
                };
                return Err(Error::new(ErrorCode::ProviderError, phase, message)
                    .with_provider(said)
                    .with_action(action));
            }
            let body = http::read_body(response)
                .await
                .map_err(|problem| match problem {
                    http::BodyProblem::TooLong => Error::new(
                        ErrorCode::ProviderError,
                        phase,
                        "the provider answered with more than 1 MiB",
                    )
                    .with_provider(said.clone()),
                    http::BodyProblem::Broken(error) => Error::new(
                        ErrorCode::ProviderUnavailable,
                        phase,
                        "the answer broke off",
                    )
                    .with_source(error),
                })?;
            Ok(Answer {
                status,
                headers,
                body,
            })
        };
        let answer = tokio::select! {
            answer = work => answer,
            () = oauth.clock().sleep(state.http.timeout) => {
                Err(Error::new(ErrorCode::ProviderUnavailable, phase, "the provider did not answer in time"))
            }
        };
        answer.map_err(|error| error.with_client(client.name()))
    }
}

impl IntoFuture for ApiRequest {
    type Output = Result<Response>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
