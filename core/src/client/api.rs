//! Calling an API with a kept token: the request that can be repeated.
//!
//! A request is sent again after a refresh (401), and at each redirect; each time its token is put in anew, and only for
//! an origin that the registration allows.

mod call;
pub(super) mod challenge;
mod place;
pub(super) mod url;

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use ::url::Url;
use call::Call;
use reqwest::{Method, RequestBuilder, Response, header::AUTHORIZATION};

use super::{Client, Grant};
use crate::{
    Action, Error, ErrorCode, Phase, ProviderError, Result, Token,
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
/// again. Bodies are streamed, without a limit of size.
#[must_use = "a request is sent when it is awaited"]
pub struct ApiRequest {
    client: Client,
    bearer: Bearer,
    method: Method,
    target: Target,
    build: Vec<Build>,
    timeout: Option<Duration>,
}

/// One step of the caller's on reqwest's builder.
type Build = Box<dyn FnOnce(RequestBuilder) -> RequestBuilder + Send>;

enum Target {
    /// Relative to the client's `api_base_url`, or absolute and of an allowed origin.
    Path(String),
    /// An endpoint of the provider's.
    Endpoint(Url),
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRequest")
            .field("client", &self.client)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl ApiRequest {
    pub(super) fn new(client: Client, bearer: Bearer, method: Method, path: &str) -> Self {
        Self {
            client,
            bearer,
            method,
            target: Target::Path(path.to_owned()),
            build: Vec::new(),
            timeout: None,
        }
    }

    pub(super) fn to_endpoint(client: Client, bearer: Bearer, method: Method, url: Url) -> Self {
        Self {
            client,
            bearer,
            method,
            target: Target::Endpoint(url),
            build: Vec::new(),
            timeout: None,
        }
    }

    /// Anything that reqwest's builder can do: `.with(|request| request.query(&[("page", "2")]).json(&body))`. Redirects,
    /// credentials and the timeout are ours.
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

    /// How long until the answer's head; 30 s if not said.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
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
    /// another token. `request_failed`: there is no answer. And those of [`Grant::token`].
    ///
    /// # Cancel safety
    /// Whether the API processed the request is unknown then. A refresh goes on.
    pub async fn send(self) -> Result<Response> {
        let client = self.client.clone();
        self.run(Phase::Request)
            .await
            .map_err(|error| client.explained(error))
    }

    async fn run(self, phase: Phase) -> Result<Response> {
        let state = self.client.state().await?;
        let url = match &self.target {
            Target::Endpoint(url) => url.clone(),
            Target::Path(path) => url::resolve(&state.resolved, path)?,
        };
        http::require_https(&url, phase)?;
        let oauth = self.client.oauth()?;
        let mut builder = oauth.request_builder(self.method, url);
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
            timeout: self.timeout.unwrap_or(Duration::from_secs(30)),
            is_endpoint: matches!(self.target, Target::Endpoint(_)),
        };
        call.with_redirects(request).await
    }

    /// Sends it to an endpoint of the provider's: no redirect, a whole answer of at most 1 MiB, 2xx or an error.
    pub(super) async fn send_as_protocol(self, phase: Phase) -> Result<Answer> {
        let client = self.client.clone();
        let (oauth, state) = (client.oauth()?, client.state().await?);
        let work = async {
            let mut response = self.run(phase).await?;
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
