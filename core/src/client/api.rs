//! Calling an API with a kept token: the request that can be repeated.
//!
//! A request is sent again after a refresh (401), and at each redirect; each time its token is put in anew, and only for
//! an origin that the registration allows.

pub(super) mod challenge;
mod signed;
pub(super) mod url;

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use ::url::Url;
use challenge::Challenge;
use reqwest::{
    Method, Request, RequestBuilder, Response, StatusCode,
    header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION,
    },
};

use super::{Client, ClientState, Grant, Placement};
use crate::{
    Action, Error, ErrorCode, Owner, Phase, ProviderError, Result, Secret, Token,
    http::{self, Answer},
    oauth1::without_protocol,
    refresh::{Held, Need},
    token::Credential,
};

/// How many redirects are followed.
const REDIRECTS: usize = 10;

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

/// A request under way, through redirects and refreshes.
struct Call<'a> {
    client: &'a Client,
    state: &'a Arc<ClientState>,
    bearer: &'a Bearer,
    phase: Phase,
    timeout: Duration,
    is_endpoint: bool,
}

/// A token to put in, and its generation if it is kept.
struct Material {
    credential: Credential,
    header: Option<HeaderValue>,
    /// The token itself, where it signs and is no header.
    plain: Option<Secret>,
    generation: Option<u64>,
}

impl Material {
    /// The access token itself; none for one that cannot be sent.
    fn token(&self) -> Option<&str> {
        self.header.as_ref()?.to_str().ok()?.strip_prefix("Bearer ")
    }

    fn secret(&self) -> Option<Secret> {
        self.token().map(Into::into)
    }
}

impl Call<'_> {
    async fn with_redirects(&self, mut request: Request) -> Result<Response> {
        for _ in 0..=REDIRECTS {
            let next = request.try_clone();
            let (method, from) = (request.method().clone(), request.url().clone());
            let response = self.with_refresh(request).await?;
            let Some(to) = redirect_target(&response, &from).filter(|_| !self.is_endpoint) else {
                return Ok(response);
            };
            let to = match self.state.resolved.oauth1 {
                None => to?,
                // It may repeat what this request was signed by.
                Some(_) => without_protocol(&to?),
            };
            url::check_allowed(&self.state.resolved, &to, "the API redirects to")?;
            url::check_length(&to)?;
            let status = response.status();
            let becomes_get = status == StatusCode::SEE_OTHER
                || (method == Method::POST
                    && matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND));
            // A body that was streamed cannot be sent again: whoever sent it sees the redirect.
            let Some(mut again) =
                next.or_else(|| becomes_get.then(|| Request::new(method.clone(), to.clone())))
            else {
                return Ok(response);
            };
            if becomes_get && method != Method::HEAD {
                *again.method_mut() = Method::GET;
                *again.body_mut() = None;
                for header in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
                    again.headers_mut().remove(header);
                }
            }
            *again.url_mut() = to;
            request = again;
        }
        Err(Error::new(
            ErrorCode::RequestFailed,
            self.phase,
            "the API redirects more than ten times",
        ))
    }

    async fn with_refresh(&self, request: Request) -> Result<Response> {
        let again = request.try_clone();
        let material = self.material(Need::default()).await?;
        if let Some(material) = &material
            && matches!(material.credential, Credential::OAuth1 { .. })
        {
            return self.signed(request, material).await;
        }
        let response = self.once(request, material.as_ref()).await?;
        let Some(material) = material else {
            return Ok(response);
        };
        let Some(challenge) = Challenge::of(&response, material.secret().as_slice()) else {
            return Ok(response);
        };
        let (Some(generation), Some(again), Bearer::Kept(grant)) =
            (material.generation, again, self.bearer)
        else {
            return self.refused(response, &challenge);
        };
        if !challenge.asks_for_a_fresh_token() {
            return self.refused(response, &challenge);
        }
        let (keeper, key) = (grant.keeper()?, grant.key()?);
        if keeper.forced_paused(key) {
            return self.refused(response, &challenge);
        }
        drop(response);
        let need = Need {
            newer_than: Some(generation),
            ..Need::default()
        };
        let material = self
            .material(need)
            .await
            .map_err(|error| match error.code() {
                // It cannot be renewed: the record stays, the user logs in again.
                ErrorCode::LoginRequired => Error::new(
                    ErrorCode::TokenRejected,
                    self.phase,
                    "the API refuses the token, and it cannot be renewed",
                ),
                _ => error,
            })?;
        let response = self.once(again, material.as_ref()).await?;
        let sent = material.and_then(|material| material.secret());
        match Challenge::of(&response, sent.as_slice()) {
            None => {
                keeper.forced_helped(key, true);
                Ok(response)
            }
            Some(challenge) => {
                keeper.forced_helped(key, !challenge.asks_for_a_fresh_token());
                self.refused(response, &challenge)
            }
        }
    }

    /// What an API's refusal means for the application.
    fn refused(&self, response: Response, challenge: &Challenge) -> Result<Response> {
        let said = ProviderError {
            status: Some(response.status().as_u16()),
            error: challenge.error.clone(),
            description: challenge.description.clone(),
            required: challenge.required.clone(),
            ..ProviderError::default()
        };
        let (code, message) = match challenge.error.as_deref() {
            Some("insufficient_user_authentication") => (
                ErrorCode::StepUpRequired,
                "the API wants a stronger or fresher authentication",
            ),
            Some("insufficient_scope") => (
                ErrorCode::InsufficientScope,
                "the API wants a scope that the token lacks",
            ),
            _ if response.status() == StatusCode::UNAUTHORIZED => {
                (ErrorCode::TokenRejected, "the API refuses the token")
            }
            _ => return Ok(response),
        };
        Err(Error::new(code, self.phase, message).with_provider(said))
    }

    async fn material(&self, need: Need) -> Result<Option<Material>> {
        match self.bearer {
            Bearer::Withheld => Ok(None),
            Bearer::Nobodys => Err(Error::new(
                ErrorCode::OwnerMissing,
                self.phase,
                "nobody said whose token to send: call it on client.owner(…) or client.app(), or say withhold_token()",
            )),
            Bearer::Given(token) => {
                let header = match token.credential() {
                    Credential::Bearer => Some(bearer_header(token)?),
                    _ => None,
                };
                Ok(Some(Material {
                    credential: token.credential().clone(),
                    header,
                    plain: signing(token),
                    generation: None,
                }))
            }
            // The application itself has no token: it signs by its own secret or key alone.
            Bearer::Kept(grant) if self.signs_alone(grant)? => Ok(Some(Material {
                credential: Credential::OAuth1 {
                    secret: Secret::new(""),
                },
                header: None,
                plain: None,
                generation: None,
            })),
            Bearer::Kept(grant) => {
                let take = |held: &Held| Material {
                    credential: held.credential(),
                    header: held.bearer().cloned(),
                    plain: match held.bearer() {
                        Some(_) => None,
                        None => signing(&held.token()),
                    },
                    generation: Some(held.issued_generation),
                };
                grant
                    .keeper()?
                    .token(grant.key()?, grant.target(), need, take)
                    .await
                    .map(Some)
            }
        }
    }

    fn signs_alone(&self, grant: &Grant) -> Result<bool> {
        Ok(self.state.resolved.oauth1.is_some() && *grant.key()?.owner() == Owner::App)
    }

    /// Sends it once, with the token in its place.
    async fn once(&self, mut request: Request, material: Option<&Material>) -> Result<Response> {
        let oauth = self.client.oauth()?;
        if !self.is_endpoint {
            oauth
                .hooks()
                .protected_request(self.client.name(), &mut request)
                .await?;
            if material.is_some() {
                let client = &self.state.resolved;
                url::check_allowed(client, request.url(), "a hook sends the request to")?;
            }
        }
        if let Some(material) = material {
            self.place(&mut request, material).await?;
        }
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let failed = |what: &str| {
            Error::new(
                ErrorCode::RequestFailed,
                self.phase,
                format!("{host} {what}"),
            )
        };
        tokio::select! {
            response = oauth.http().transport.send(request) => {
                response.map_err(|error| failed("could not be reached or gave no answer").with_source(error))
            }
            () = oauth.clock().sleep(self.timeout) => Err(failed("did not answer in time")),
        }
    }

    async fn place(&self, request: &mut Request, material: &Material) -> Result<()> {
        if let Credential::OAuth1 { secret } = &material.credential {
            return self.sign(request, material, secret).await;
        }
        let unsupported = |what: String| Error::new(ErrorCode::Unsupported, self.phase, what);
        let Some(header) = &material.header else {
            let kind = material.credential.token_type();
            return Err(unsupported(format!(
                "a token of the type {:?} cannot be sent",
                crate::error::excerpt(kind)
            )));
        };
        let token = material.token().unwrap_or_default();
        let placement = if self.is_endpoint {
            Placement::Header
        } else {
            self.state.resolved.placement
        };
        match placement {
            Placement::DangerouslyInQuery => {
                request
                    .url_mut()
                    .query_pairs_mut()
                    .append_pair("access_token", token);
            }
            Placement::Body => {
                let is_form = request.headers().get(CONTENT_TYPE).is_some_and(|value| {
                    value
                        .as_bytes()
                        .starts_with(b"application/x-www-form-urlencoded")
                });
                let form = request
                    .body()
                    .and_then(|body| body.as_bytes())
                    .filter(|_| is_form);
                let Some(form) = form else {
                    return Err(unsupported(
                        "a token in the body needs a form (RFC 6750 section 2.2)".into(),
                    ));
                };
                let mut form = String::from_utf8_lossy(form).into_owned();
                if !form.is_empty() {
                    form.push('&');
                }
                form.extend(::url::form_urlencoded::byte_serialize(b"access_token"));
                form.push('=');
                form.extend(::url::form_urlencoded::byte_serialize(token.as_bytes()));
                request.headers_mut().remove(CONTENT_LENGTH);
                *request.body_mut() = Some(form.into());
            }
            _ => {
                request.headers_mut().insert(AUTHORIZATION, header.clone());
            }
        }
        Ok(())
    }
}

/// The token of OAuth 1.0a.
fn signing(token: &Token) -> Option<Secret> {
    matches!(token.credential(), Credential::OAuth1 { .. }).then(|| token.access_token().clone())
}

fn bearer_header(token: &Token) -> Result<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("Bearer {}", token.access_token().expose()))
        .map_err(|_| {
            Error::new(
                ErrorCode::InvalidToken,
                Phase::Request,
                "the token has characters that cannot stand in a header",
            )
        })?;
    header.set_sensitive(true);
    Ok(header)
}

/// Where an answer redirects to, if it does.
fn redirect_target(response: &Response, from: &Url) -> Option<Result<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    let unreadable = || {
        Error::new(
            ErrorCode::RequestFailed,
            Phase::Request,
            "the API redirects to something unreadable",
        )
        .with_action(Action::None)
    };
    Some(
        location
            .to_str()
            .ok()
            .and_then(|text| from.join(text).ok())
            .ok_or_else(unreadable),
    )
}
