//! One exchange with the endpoint, as oauth2's HTTP client and around it.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse, RequestTokenError};
use reqwest::StatusCode;

use super::{
    Bounds, RequestKind, TokenEndpoint, TokenRequest, is_protocol,
    reading::{self, Reading},
    verdict::{self, Refusal, Said},
};
use crate::{
    Action, Error, ErrorCode, Result, Secret,
    http::{Answer, Failure, Sent},
    token::{Credential, TokenAnswer, TokenFailure, Verdict},
};

/// One request and its answer: the HTTP client that oauth2 is given.
pub(super) struct Exchange<'a> {
    pub(super) endpoint: &'a TokenEndpoint<'a>,
    pub(super) kind: RequestKind,
    pub(super) registered: &'a [(String, String)],
    pub(super) extra: &'a [(String, String)],
    pub(super) bounds: Bounds,
    pub(super) seen: Mutex<Seen>,
}

/// What oauth2's answer types have no place for.
#[derive(Default)]
pub(super) struct Seen {
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    /// Values of the request that may not come back in an error.
    sent: Vec<Secret>,
    warnings: Vec<String>,
}

/// A failure on its way through oauth2.
#[derive(Debug)]
pub(super) struct Failed(TokenFailure);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        if self.endpoint.client.comma_separated_scopes
            && let Some(scopes) = request.parameter("scope")
        {
            let scopes = scopes.replace(' ', ",");
            request.set("scope", scopes);
        }
        Ok(request)
    }

    /// Authenticates and sends within the deadline. The answer may have any status.
    pub(super) async fn ask(&self, mut request: TokenRequest) -> Result<Answer, TokenFailure> {
        let http = self.endpoint.http;
        let start = http.clock.monotonic();
        let mut sent = request.secrets();
        let prepare = async {
            self.endpoint.hooks.request(self.kind, &mut request).await?;
            if request.is_its_own_proof() {
                return Ok(());
            }
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
        if left.is_zero() {
            return Err(self.not_sent(
                ErrorCode::RequestFailed,
                "no time was left to send the request",
            ));
        }
        sent.extend(request.secrets());
        sent.extend(self.endpoint.client.client_secret.clone());
        self.seen().sent = sent;
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
        let changed = match self.kind {
            RequestKind::Revoke => None,
            kind => {
                let hooks = self.endpoint.hooks;
                hooks
                    .response(kind, answer.status, &answer.headers, &answer.body)
                    .await
            }
        };
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
        if matches!(text, Cow::Owned(_)) {
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
    pub(super) fn finish<E>(
        &self,
        outcome: Result<Reading, RequestTokenError<Failed, E>>,
    ) -> Result<TokenAnswer, TokenFailure>
    where
        E: oauth2::ErrorResponse + 'static,
    {
        match outcome {
            Ok(reading) => self.judge(reading),
            Err(RequestTokenError::Request(Failed(failure))) => Err(failure),
            // Their parse error quotes the body.
            Err(_) => Err(self.illegible()),
        }
    }

    /// A success that oauth2 did not ask for.
    pub(super) fn read(&self, answer: &Answer) -> Result<TokenAnswer, TokenFailure> {
        let json = self.normalise(answer)?;
        match serde_json::from_slice(json.body()) {
            Ok(reading) => self.judge(reading),
            Err(_) => Err(self.illegible()),
        }
    }

    fn illegible(&self) -> TokenFailure {
        self.fail(
            Verdict::Ambiguous,
            Said::default(),
            "the answer cannot be read",
        )
    }

    /// Is what was read a token of the kind that was asked for?
    fn judge(&self, reading: Reading) -> Result<TokenAnswer, TokenFailure> {
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
        let refresh = self.kind == RequestKind::Refresh;
        let warnings = std::mem::take(&mut self.seen().warnings);
        let mut answer = reading
            .into_answer(refresh, warnings)
            .map_err(|what| self.fail(Verdict::Ambiguous, Said::default(), what))?;
        if let Some(scopes) = &mut answer.scopes
            && self.endpoint.client.comma_separated_scopes
        {
            let all = scopes.iter().flat_map(|scope| scope.split(','));
            *scopes = all
                .filter(|scope| !scope.is_empty())
                .map(str::to_owned)
                .collect();
        }
        if !refresh {
            let refused = match &answer.credential {
                None if self.endpoint.client.assume_bearer => {
                    answer.credential = Some(Credential::Bearer);
                    None
                }
                None => Some(
                    "the answer has no token_type; if this provider never sends one, say assume_bearer()",
                ),
                // RFC 8693 section 2.2.1: what was issued is no access token.
                Some(Credential::Other { token_type })
                    if self.kind == RequestKind::TokenExchange
                        && token_type.eq_ignore_ascii_case("N_A") =>
                {
                    None
                }
                Some(Credential::Other { .. }) => Some("the answer has an unknown token type"),
                Some(_) => None,
            };
            if let Some(what) = refused {
                let TokenFailure { verdict, error } =
                    self.fail(Verdict::Ambiguous, Said::default(), what);
                // The same answer would come again.
                let error = error.with_action(Action::Configure);
                return Err(TokenFailure { verdict, error });
            }
        }
        Ok(answer)
    }

    pub(super) fn refusal(&self, answer: &Answer) -> TokenFailure {
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

    pub(super) fn not_sent(&self, code: ErrorCode, message: &str) -> TokenFailure {
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

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
