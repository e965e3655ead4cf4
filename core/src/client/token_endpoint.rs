//! The token endpoint: asking it, and reading what it answers (RFC 6749 sections 3.2, 4.1.3, 4.4.2, 5 and 6; RFC 7009).
//!
//! oauth2's client builds each request and reads each success, through our own [`Reading`]. Between the two stands
//! [`Exchange`], which is its HTTP client: it authenticates, asks the hooks, sends, and keeps what oauth2's answer types
//! have no place for (status, `Retry-After`, whether a byte was sent). Answers that are no success never reach oauth2: its
//! reader takes status 200 for the only success and loses the rest. Revocation is built here, since oauth2 refuses a
//! revocation endpoint on loopback.

mod reading;
mod request;
mod verdict;

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenIntrospectionResponse, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse},
};
use reading::{Reading, TokenTypeText};
pub use request::TokenRequest;
pub(crate) use request::{NoHooks, RequestKind, TokenHooks};
use reqwest::StatusCode;
use url::Url;
pub(crate) use verdict::scrub;
use verdict::{Refusal, Said};

use super::{ClientAuthentication, Resolved};
use crate::{
    Action, Error, ErrorCode, Phase, Result, Secret, Target,
    http::{Answer, Failure, Http, Sent},
    token::{TokenAnswer, TokenFailure, Verdict},
};

type OAuth2Client = oauth2::Client<
    BasicErrorResponse,
    Reading,
    StandardTokenIntrospectionResponse<oauth2::EmptyExtraTokenFields, TokenTypeText>,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// One endpoint of one client, with everything that a request needs.
#[derive(Clone, Copy)]
pub(crate) struct TokenEndpoint<'a> {
    pub(crate) http: &'a Http,
    pub(crate) client: &'a Resolved,
    /// Where to: the token endpoint, the refresh endpoint or, for [`revoke`](Self::revoke), the revocation endpoint.
    pub(crate) url: &'a Url,
    pub(crate) authentication: &'a dyn ClientAuthentication,
    pub(crate) hooks: &'a dyn TokenHooks,
}

/// How long a request may take, and for what it is.
///
/// The time covers hooks, client authentication, sending and the whole answer, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) timeout: Duration,
    pub(crate) phase: Phase,
}

/// What to refresh.
#[derive(Clone, Copy)]
pub(crate) struct Renewal<'a> {
    pub(crate) refresh_token: &'a Secret,
    /// The login's own target asks for what was granted: no `scope` and no `resource` is sent.
    pub(crate) target: &'a Target,
}

impl TokenEndpoint<'_> {
    /// Exchanges an authorization code (RFC 6749 section 4.1.3). `extra` wins over the registration's
    /// `access_token_params`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it unknown whether the code was spent.
    pub(crate) async fn exchange_code(
        &self,
        code: &Secret,
        redirect_uri: &str,
        verifier: Option<&Secret>,
        extra: &[(String, String)],
        bounds: Bounds,
    ) -> Result<TokenAnswer, TokenFailure> {
        let exchange = self.exchange(
            RequestKind::AccessToken,
            &self.client.access_token_params,
            extra,
            bounds,
        );
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| {
            exchange.not_sent(ErrorCode::InvalidParameter, "the redirect URI is no URL")
        })?;
        let client = self.oauth2_client();
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .set_redirect_uri(std::borrow::Cow::Owned(redirect_uri));
        if let Some(verifier) = verifier {
            request =
                request.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
        }
        let outcome = request.request_async(&exchange).await;
        exchange.finish(outcome)
    }

    /// Refreshes (RFC 6749 section 6), for one target if the renewal names one (RFC 8707 section 2.2). `extra` wins over
    /// the registration's `refresh_token_params`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it unknown whether the refresh token was spent.
    pub(crate) async fn refresh(
        &self,
        renewal: Renewal<'_>,
        extra: &[(String, String)],
        bounds: Bounds,
    ) -> Result<TokenAnswer, TokenFailure> {
        let extra = with_resources(renewal.target, extra);
        let exchange = self.exchange(
            RequestKind::Refresh,
            &self.client.refresh_token_params,
            &extra,
            bounds,
        );
        let client = self.oauth2_client();
        let refresh_token = RefreshToken::new(renewal.refresh_token.expose().to_owned());
        let outcome = client
            .exchange_refresh_token(&refresh_token)
            .add_scopes(scopes(renewal.target))
            .request_async(&exchange)
            .await;
        exchange.finish(outcome)
    }

    /// Asks for a token of the client itself (RFC 6749 section 4.4.2). `extra` wins over the registration's
    /// `access_token_params`.
    pub(crate) async fn client_credentials(
        &self,
        target: &Target,
        extra: &[(String, String)],
        bounds: Bounds,
    ) -> Result<TokenAnswer, TokenFailure> {
        let extra = with_resources(target, extra);
        let exchange = self.exchange(
            RequestKind::AccessToken,
            &self.client.access_token_params,
            &extra,
            bounds,
        );
        let client = self.oauth2_client();
        let outcome = client
            .exchange_client_credentials()
            .add_scopes(scopes(target))
            .request_async(&exchange)
            .await;
        exchange.finish(outcome)
    }

    /// Revokes a token (RFC 7009). `hint` is `access_token` or `refresh_token`.
    ///
    /// # Errors
    /// `unsupported` if the provider does not revoke tokens of this kind; otherwise as for a token request.
    pub(crate) async fn revoke(&self, token: &Secret, hint: &str, bounds: Bounds) -> Result<()> {
        let exchange = self.exchange(RequestKind::Revoke, &[], &[], bounds);
        let mut request = TokenRequest::new(self.url.clone(), bounds.phase);
        request.append("token", token.expose());
        request.append("token_type_hint", hint);
        request.append("client_id", self.client.client_id.as_str());
        let refused = |failure: TokenFailure| failure.error;
        let answer = exchange.ask(request).await.map_err(refused)?;
        if answer.status.is_success() {
            return Ok(());
        }
        let failure = exchange.refusal(&answer);
        let unsupported = failure
            .error
            .provider()
            .is_some_and(|said| said.error.as_deref() == Some("unsupported_token_type"));
        if !unsupported {
            return Err(failure.error);
        }
        let error = Error::new(
            ErrorCode::Unsupported,
            bounds.phase,
            "the provider does not revoke tokens of this kind",
        )
        .with_action(Action::None)
        .with_client(&self.client.name);
        Err(match failure.error.provider() {
            Some(said) => error.with_provider(said.clone()),
            None => error,
        })
    }

    fn exchange<'b>(
        &'b self,
        kind: RequestKind,
        registered: &'b [(String, String)],
        extra: &'b [(String, String)],
        bounds: Bounds,
    ) -> Exchange<'b> {
        Exchange {
            endpoint: self,
            kind,
            registered,
            extra,
            bounds,
            seen: Mutex::default(),
        }
    }

    /// It gets no secret: it would authenticate by itself. `client_id` in the form is where
    /// [`ClientAuthentication`] starts from.
    fn oauth2_client(&self) -> OAuth2Client {
        oauth2::Client::new(oauth2::ClientId::new(self.client.client_id.clone()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(self.url.clone()))
    }
}

fn scopes(target: &Target) -> impl Iterator<Item = Scope> {
    target.scopes.iter().cloned().map(Scope::new)
}

fn with_resources(target: &Target, extra: &[(String, String)]) -> Vec<(String, String)> {
    let mut all: Vec<_> = target
        .resources
        .iter()
        .map(|resource| ("resource".to_owned(), resource.clone()))
        .collect();
    all.extend_from_slice(extra);
    all
}

/// One request and its answer: the HTTP client that oauth2 is given.
struct Exchange<'a> {
    endpoint: &'a TokenEndpoint<'a>,
    kind: RequestKind,
    registered: &'a [(String, String)],
    extra: &'a [(String, String)],
    bounds: Bounds,
    seen: Mutex<Seen>,
}

/// What oauth2's answer types have no place for.
#[derive(Default)]
struct Seen {
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    /// Values of the request that may not come back in an error.
    sent: Vec<Secret>,
    warnings: Vec<String>,
}

/// A failure on its way through oauth2.
#[derive(Debug)]
struct Failed(TokenFailure);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.error.fmt(f)
    }
}

impl std::error::Error for Failed {}

impl<'c> AsyncHttpClient<'c> for Exchange<'_> {
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Failed>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let request = self.complete(request).map_err(Failed)?;
            let answer = self.ask(request).await.map_err(Failed)?;
            if !answer.status.is_success() {
                return Err(Failed(self.refusal(&answer)));
            }
            self.normalise(&answer).map_err(Failed)
        })
    }
}

impl Exchange<'_> {
    /// oauth2's request with the registration's and the call's parameters: the call wins, and neither may touch what
    /// belongs to the protocol.
    fn complete(&self, built: HttpRequest) -> Result<TokenRequest, TokenFailure> {
        let mut request =
            TokenRequest::from_form(self.endpoint.url.clone(), self.bounds.phase, built.body());
        for parameters in [self.registered, self.extra] {
            if let Some((name, _)) = parameters.iter().find(|(name, _)| is_protocol(name)) {
                let message =
                    format!("the parameter {name} belongs to the protocol and can't be given");
                return Err(self.not_sent(ErrorCode::InvalidParameter, &message));
            }
            for (name, _) in parameters {
                request.remove(name);
            }
            for (name, value) in parameters {
                request.append(name.as_str(), value.as_str());
            }
        }
        Ok(request)
    }

    /// Authenticates and sends within the deadline. The answer may have any status.
    async fn ask(&self, mut request: TokenRequest) -> Result<Answer, TokenFailure> {
        let http = self.endpoint.http;
        let start = http.clock.monotonic();
        let prepare = async {
            self.endpoint.hooks.request(self.kind, &mut request).await?;
            self.endpoint
                .authentication
                .authenticate(&mut request)
                .await
        };
        let prepared = tokio::select! {
            prepared = prepare => prepared,
            () = http.clock.sleep(self.bounds.timeout) => Err(Error::new(
                ErrorCode::RequestFailed,
                self.bounds.phase,
                "a request hook or the client authentication took too long",
            )),
        };
        prepared.map_err(|error| TokenFailure {
            verdict: Verdict::NotSent,
            error: error.in_phase(self.bounds.phase).with_client(self.name()),
        })?;
        let left = self
            .bounds
            .timeout
            .saturating_sub(http.clock.monotonic().saturating_sub(start));
        self.seen().sent = request.secrets();
        let answer = http
            .send_within(request.into_request(), self.bounds.phase, left)
            .await;
        let mut answer = answer.map_err(|Failure { sent, error }| TokenFailure {
            verdict: match sent {
                Sent::No => Verdict::NotSent,
                Sent::Maybe => Verdict::Ambiguous,
            },
            error: error.with_client(self.name()),
        })?;
        let changed = self
            .endpoint
            .hooks
            .response(self.kind, answer.status, &answer.headers, &answer.body)
            .await;
        if let Some(changed) = changed {
            // A hook must not lose a token that was spent for.
            let loses = self.kind == RequestKind::Refresh
                && answer.status.is_success()
                && !reading::has_access_token(&changed)
                && reading::has_access_token(&answer.body);
            if loses {
                self.warn("response hook");
            } else {
                answer.body = changed;
            }
        }
        let mut seen = self.seen();
        seen.status = Some(answer.status);
        seen.retry_after = answer.retry_after(http.clock.now());
        drop(seen);
        Ok(answer)
    }

    /// A success as oauth2 expects it: status 200 and JSON.
    fn normalise(&self, answer: &Answer) -> Result<HttpResponse, TokenFailure> {
        let refresh = self.kind == RequestKind::Refresh;
        let text = String::from_utf8_lossy(&answer.body);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            // A replacement character makes a token unusable, so that nothing can slip through here.
            self.warn("encoding");
        }
        let form = verdict::media_type(answer).is_none_or(|media| {
            media == "application/x-www-form-urlencoded" || media == "text/plain"
        });
        let json = match reading::as_json(&text) {
            Some(json) => json,
            None if form && reading::is_form(&text) => reading::form_as_json(&text),
            None => return Err(self.unreadable(answer, "is no JSON object")),
        };
        if !verdict::is_token_media_type(answer) {
            if !refresh {
                return Err(self.unreadable(answer, "has the wrong content type"));
            }
            self.warn("content-type");
        }
        Ok(HttpResponse::new(json.into_bytes()))
    }

    /// What oauth2 made of it, with what it has no place for.
    fn finish<E>(
        &self,
        outcome: Result<Reading, RequestTokenError<Failed, E>>,
    ) -> Result<TokenAnswer, TokenFailure>
    where
        E: oauth2::ErrorResponse + 'static,
    {
        let reading = match outcome {
            Ok(reading) => reading,
            Err(RequestTokenError::Request(Failed(failure))) => return Err(failure),
            // Their parse error quotes the body.
            Err(_) => {
                return Err(self.fail(
                    Verdict::Ambiguous,
                    Said::default(),
                    "the answer cannot be read",
                ));
            }
        };
        if let Some(said) = reading.said() {
            let status = self.seen().status.unwrap_or_default();
            let both = reading.has_access_token();
            let verdict = if both {
                Verdict::Ambiguous
            } else {
                verdict::of_error(status, said.error.as_deref(), self.seen().retry_after)
            };
            return Err(self.fail(verdict, said, "the answer has an error in it"));
        }
        let seen_warnings = std::mem::take(&mut self.seen().warnings);
        reading
            .into_answer(self.kind == RequestKind::Refresh, seen_warnings)
            .map_err(|what| self.fail(Verdict::Ambiguous, Said::default(), what))
    }

    fn refusal(&self, answer: &Answer) -> TokenFailure {
        let (said, retry_after) = (verdict::said(answer), self.seen().retry_after);
        let verdict = verdict::of_error(answer.status, said.error.as_deref(), retry_after);
        let what = match verdict {
            _ if answer.status.is_redirection() => "it answered with a redirect".to_owned(),
            _ if said.error.is_none() => format!(
                "it answered with status {}{}",
                answer.status.as_u16(),
                verdict::describe(answer, &self.seen().sent)
            ),
            _ => "it refused the request".to_owned(),
        };
        self.fail(verdict, said, &what)
    }

    fn unreadable(&self, answer: &Answer, what: &str) -> TokenFailure {
        let what = format!(
            "the answer {what}{}",
            verdict::describe(answer, &self.seen().sent)
        );
        self.fail(Verdict::Ambiguous, Said::default(), &what)
    }

    fn fail(&self, verdict: Verdict, said: Said, what: &str) -> TokenFailure {
        let seen = self.seen();
        Refusal {
            verdict,
            said,
            what,
            status: seen.status,
            host: self.endpoint.url.host_str().unwrap_or_default(),
            sent: &seen.sent,
        }
        .into_failure(self.bounds.phase, self.name())
    }

    fn not_sent(&self, code: ErrorCode, message: &str) -> TokenFailure {
        TokenFailure {
            verdict: Verdict::NotSent,
            error: Error::new(code, self.bounds.phase, message).with_client(self.name()),
        }
    }

    fn warn(&self, what: &str) {
        self.seen().warnings.push(what.to_owned());
    }

    fn name(&self) -> &str {
        &self.endpoint.client.name
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parameters that only the protocol sets; a request hook can still change them.
fn is_protocol(name: &str) -> bool {
    const PROTOCOL: [&str; 9] = [
        "grant_type",
        "code",
        "code_verifier",
        "redirect_uri",
        "refresh_token",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
    ];
    PROTOCOL.contains(&name)
}

#[cfg(test)]
mod tests;
