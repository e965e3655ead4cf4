//! The three legs of OAuth 1.0a (RFC 5849 section 2): a request token, the user's leave, an access token. What is the same as
//! in every login (the sealed flow, its end, who may keep it) is where it always is.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue};
use url::Url;

use super::{
    AuthorizeOptions, CallbackParams, Client, ClientState, Flow, Login, RequestKind, ResponseMode,
    ReturnTo, TokenHooks, TokenRequest,
    authorize::{Authorization, Parameters, invalid, without},
    callback::check_verifier,
    login::another_protocol,
    registration::check_redirect_uri,
    token_endpoint::{describe, scrub},
};
use crate::{
    Action, Error, ErrorCode, Phase, ProviderError, Result, Secret, Timestamp, Token,
    http::{self, Answer},
    oauth1::{Credentials, FormAnswer, Kind, OAuth1, OOB, Problem, Stamp, is_protocol},
    token::Credential,
};

/// How long a request token and its secret may be: both travel in a cookie.
const MAX_REQUEST_TOKEN: usize = 1024;

/// A client's way through the three legs.
pub(super) struct Legs<'a> {
    state: &'a ClientState,
    oauth1: &'a OAuth1,
}

/// A token with its secret, and what else the answer said.
struct Granted {
    token: Secret,
    secret: Secret,
    rest: FormAnswer,
}

/// A request of one leg.
struct Ask<'a> {
    phase: Phase,
    url: &'a Url,
    parameters: &'a [(String, String)],
    credentials: Credentials<'a>,
    further: &'a [(&'static str, &'a str)],
    hooks: Option<&'a dyn TokenHooks>,
}

impl<'a> Legs<'a> {
    pub(super) fn of(state: &'a ClientState, oauth1: &'a OAuth1) -> Self {
        Self { state, oauth1 }
    }

    /// The first leg, and where the browser goes then.
    pub(super) async fn authorize(
        &self,
        options: AuthorizeOptions,
        endpoint: &Url,
        now: Timestamp,
    ) -> Result<Authorization> {
        self.start(options, endpoint, now)
            .await
            .map_err(|error| error.with_client(self.state.name()))
    }

    async fn start(
        &self,
        mut options: AuthorizeOptions,
        endpoint: &Url,
        now: Timestamp,
    ) -> Result<Authorization> {
        refuse_options(&options)?;
        http::require_https(endpoint, Phase::Authorize)?;
        let life = options.checked_life()?;
        let redirect_uri = options
            .redirect_uri
            .or_else(|| self.state.resolved.redirect_uri.clone())
            .ok_or_else(|| {
                Error::new(
                    ErrorCode::InvalidConfiguration,
                    Phase::Authorize,
                    "there is no redirect URI; where the user is to type in a verifier, it is `oob`",
                )
            })?;
        if redirect_uri != OOB {
            check_redirect_uri(&redirect_uri, Phase::Authorize)?;
        }
        let parameters = self.parameters(std::mem::take(&mut options.parameters))?;
        let granted = self.request_token(&redirect_uri).await?;
        let mut url = without(endpoint, |name| {
            name == "oauth_token" || parameters.replaces(name)
        });
        url.query_pairs_mut()
            .append_pair("oauth_token", granted.token.expose())
            .extend_pairs(&parameters.added);
        Ok(Authorization {
            url,
            flow: Flow {
                client: self.state.name().to_owned(),
                state: granted.token,
                token_secret: Some(granted.secret),
                nonce: None,
                verifier: None,
                redirect_uri,
                issuer: None,
                response_mode: ResponseMode::Query,
                return_to: options.return_to.map(ReturnTo::into_string),
                connect: options.connect,
                account: options.account,
                flow_data: options.flow_data,
                data_in_store: false,
                max_age: None,
                acr_values: Vec::new(),
                scopes: Vec::new(),
                created_at: now,
                expires_at: now + life,
            },
        })
    }

    /// What the registration and the call add to the address.
    fn parameters(&self, of_call: Vec<(String, Vec<String>)>) -> Result<Added> {
        let given = Parameters::of_call(of_call)?;
        let mut all = Parameters::of_registration(&self.state.resolved.authorize_params);
        let dropped = all.replace_by(given);
        let added: Vec<_> = all.into_pairs().collect();
        match added.iter().find(|(name, _)| is_protocol(name)) {
            Some((name, _)) => Err(invalid(&format!(
                "the parameter {name} belongs to the protocol"
            ))),
            None => Ok(Added { added, dropped }),
        }
    }

    /// RFC 5849 section 2.1.
    async fn request_token(&self, redirect_uri: &str) -> Result<Granted> {
        let ask = Ask {
            phase: Phase::Authorize,
            url: &self.oauth1.request_token_url,
            parameters: &self.oauth1.request_token_params,
            credentials: Credentials::default(),
            further: &[("oauth_callback", redirect_uri)],
            hooks: None,
        };
        let mut granted = match self.ask(&ask).await {
            // One request token more harms nobody.
            Err((Kind::Nonce, _)) => self.ask(&ask).await,
            outcome => outcome,
        }
        .map_err(|(_, error)| error)?;
        let confirmed = granted.rest.take("oauth_callback_confirmed");
        if !confirmed.is_some_and(|said| said.expose().eq_ignore_ascii_case("true")) {
            return Err(ask.fail(
                "the answer has no oauth_callback_confirmed=true: it is a server of OAuth 1.0, at whose logins one user can be \
                 made to finish what another one began; look for its addresses for OAuth 1.0a",
            )
            .with_action(Action::Configure));
        }
        let too_long = |secret: &Secret| secret.expose().len() > MAX_REQUEST_TOKEN;
        if too_long(&granted.token) || too_long(&granted.secret) {
            return Err(ask.fail("the request token is longer than 1 KiB"));
        }
        Ok(granted)
    }

    /// RFC 5849 section 2.3. `hooks` see it as they see a code exchange.
    async fn access_token(
        &self,
        flow: &Flow,
        verifier: &Secret,
        hooks: &dyn TokenHooks,
    ) -> Result<Granted> {
        let endpoint = self.state.token_endpoint().await?;
        let url = self
            .state
            .required(endpoint, Phase::TokenRequest, "access token URL")?;
        let ask = Ask {
            phase: Phase::TokenRequest,
            url: &url,
            parameters: &self.state.resolved.access_token_params,
            credentials: Credentials {
                token: Some(&flow.state),
                secret: flow.token_secret.as_ref(),
            },
            further: &[("oauth_verifier", verifier.expose())],
            hooks: Some(hooks),
        };
        self.ask(&ask).await.map_err(|(_, error)| error)
    }

    /// Signs, sends, and reads the answer.
    async fn ask(&self, ask: &Ask<'_>) -> Result<Granted, (Kind, Error)> {
        let unknown = |error: Error| (Kind::Unknown, error.in_phase(ask.phase));
        let http = &self.state.http;
        let start = http.clock.monotonic();
        let prepared = tokio::select! {
            prepared = self.prepare(ask) => prepared,
            () = http.clock.sleep(http.timeout) => Err(Error::new(
                ErrorCode::RequestFailed,
                ask.phase,
                "a request hook or the signer took too long",
            )),
        };
        let request = prepared.map_err(unknown)?;
        let spent = http.clock.monotonic().saturating_sub(start);
        let left = http
            .timeout
            .saturating_sub(spent)
            .max(Duration::from_millis(1));
        let mut answer = http
            .send_within(request, ask.phase, left)
            .await
            .map_err(|failure| unknown(failure.error))?;
        if let Some(hooks) = ask.hooks {
            let (kind, status) = (RequestKind::AccessToken, answer.status);
            let changed = hooks.response(kind, status, &answer.headers, &answer.body);
            if let Some(body) = changed.await {
                answer.body = body;
            }
        }
        self.read(ask, &answer)
    }

    async fn prepare(&self, ask: &Ask<'_>) -> Result<reqwest::Request> {
        let mut form = TokenRequest::new(ask.url.clone(), ask.phase);
        // Servers are known that answer with what is asked for, and a form is what must come.
        let headers = form.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        for (name, value) in ask.parameters {
            form.append(name.as_str(), value.as_str());
        }
        if let Some(hooks) = ask.hooks {
            hooks.request(RequestKind::AccessToken, &mut form).await?;
        }
        let mut request = form.into_request();
        let stamp = Stamp::fresh(self.state.http.clock.as_ref());
        let signed = self
            .oauth1
            .sign(&mut request, ask.credentials, ask.further, stamp);
        signed.await?;
        Ok(request)
    }

    fn read(&self, ask: &Ask<'_>, answer: &Answer) -> Result<Granted, (Kind, Error)> {
        let problem = Problem::of_challenge(&answer.headers).or(Problem::of_body(&answer.body));
        let sent = self.sent(ask);
        if !answer.status.is_success() || problem.says_something() {
            let kind = problem.kind();
            return Err((kind, self.refusal(ask, answer, &problem, &sent)));
        }
        let unreadable = |what: &str| {
            let what = format!("the answer {what}{}", describe(answer, &sent));
            (Kind::Unknown, ask.fail_with(&what, Some(answer)))
        };
        let mut rest = FormAnswer::parse(&answer.body).map_err(unreadable)?;
        let mut part = |name: &str| {
            let part = rest.take(name).ok_or_else(|| format!("has no {name}"))?;
            // A secret may be empty: with RSA it has no use.
            let may_be_empty = name == "oauth_token_secret";
            let fits = part.expose().bytes().all(|b| (0x20..0x7f).contains(&b));
            match fits && (may_be_empty || !part.expose().is_empty()) {
                true => Ok(part),
                false => Err(format!(
                    "has an empty {name}, or one with characters that none has"
                )),
            }
        };
        let token = part("oauth_token").map_err(|what| unreadable(&what))?;
        let secret = part("oauth_token_secret").map_err(|what| unreadable(&what))?;
        Ok(Granted {
            token,
            secret,
            rest,
        })
    }

    /// What the provider's no means.
    fn refusal(&self, ask: &Ask<'_>, answer: &Answer, problem: &Problem, sent: &[Secret]) -> Error {
        let first = ask.phase == Phase::Authorize;
        let status = answer.status.as_u16();
        let retry_after = answer.retry_after(self.state.http.clock.now());
        let (kind, login) = (problem.kind(), Action::Login { connect_url: None });
        let action = match kind {
            _ if matches!(status, 429 | 500..) => Action::Retry { after: retry_after },
            Kind::Nonce => Action::Retry { after: None },
            Kind::Clock | Kind::Registration => Action::Configure,
            Kind::Denied | Kind::Token => login,
            // Most servers say no more than 401.
            Kind::Unknown if first => Action::Configure,
            Kind::Unknown => login,
        };
        let code = match kind {
            Kind::Denied => ErrorCode::AccessDenied,
            _ => ErrorCode::ProviderError,
        };
        let asked = if first {
            "a request token"
        } else {
            "an access token"
        };
        let hint = match (kind, status) {
            _ if answer.status.is_redirection() => ", by a redirect, which is not followed",
            (Kind::Unknown, 401) if first => ": compare client id, secret and signature method",
            (Kind::Unknown, 401) => ": the verifier is wrong, or the request token is over",
            _ => kind.explained(),
        };
        let said = problem.cleaned(sent, status);
        let name = said.error.as_ref().map(|name| format!(" ({name})"));
        let message = format!(
            "it refuses {asked} with status {status}{}{hint}{}",
            name.unwrap_or_default(),
            describe(answer, sent)
        );
        let error = Error::new(code, ask.phase, ask.named(&message));
        error.with_provider(said).with_action(action)
    }

    /// What may not come back in an error.
    fn sent(&self, ask: &Ask<'_>) -> Vec<Secret> {
        let shared = self.oauth1.key.shared().cloned();
        let verifier = ask
            .further
            .iter()
            .filter(|(name, _)| *name == "oauth_verifier");
        let credentials = [ask.credentials.token, ask.credentials.secret];
        let credentials = credentials.into_iter().flatten().cloned();
        credentials
            .chain(verifier.map(|(_, value)| (*value).into()))
            .chain(shared)
            .filter(|secret: &Secret| !secret.expose().is_empty())
            .collect()
    }
}

/// Further parameters of the address.
struct Added {
    added: Vec<(String, String)>,
    dropped: Vec<String>,
}

impl Added {
    /// Does it take the place of one that the endpoint brings?
    fn replaces(&self, name: &str) -> bool {
        self.dropped.iter().any(|other| other == name)
            || self.added.iter().any(|(other, _)| other == name)
    }
}

impl Ask<'_> {
    fn named(&self, what: &str) -> String {
        format!("{}: {what}", self.url.host_str().unwrap_or_default())
    }

    fn fail(&self, what: &str) -> Error {
        self.fail_with(what, None)
    }

    fn fail_with(&self, what: &str, answer: Option<&Answer>) -> Error {
        let said = ProviderError {
            status: answer.map(|answer| answer.status.as_u16()),
            ..ProviderError::default()
        };
        Error::new(ErrorCode::ProviderError, self.phase, self.named(what)).with_provider(said)
    }
}

impl Problem {
    /// As an error may show it.
    pub(super) fn cleaned(&self, sent: &[Secret], status: u16) -> ProviderError {
        let clean = |text: &Option<String>| text.as_ref().map(|text| scrub(text, sent));
        ProviderError {
            status: Some(status),
            error: clean(&self.name),
            description: clean(&self.advice),
            required: self
                .timestamps
                .as_deref()
                .map(accepted)
                .into_iter()
                .collect(),
            ..ProviderError::default()
        }
    }
}

/// Two numbers and what stands between them.
fn accepted(timestamps: &str) -> (String, String) {
    let is_range = |c: &char| c.is_ascii_digit() || *c == '-';
    let range = timestamps.chars().filter(is_range).take(48).collect();
    ("oauth_acceptable_timestamps".to_owned(), range)
}

/// What a login of OAuth 1.0a has no place for.
fn refuse_options(options: &AuthorizeOptions) -> Result<()> {
    let said = [
        ("state()", options.state.is_some()),
        ("nonce()", options.nonce.is_some()),
        ("verifier()", options.verifier.is_some()),
        ("response_mode()", options.response_mode.is_some()),
        ("prompt()", options.prompt.is_some()),
        ("login_hint()", options.login_hint.is_some()),
        ("max_age()", options.max_age.is_some()),
        ("scopes()", options.scopes.is_some()),
        ("acr_values()", options.acr_values.is_some()),
        ("required_by()", options.required.asks_for_authentication()),
    ];
    match said.iter().find(|(_, is_said)| *is_said) {
        None => Ok(()),
        Some((name, _)) => Err(invalid(&format!(
            "{name} is for OAuth 2.0, and this client is one of OAuth 1.0a: what its provider knows beyond that is given with \
             parameter()"
        ))),
    }
}

impl Client {
    /// `unsupported` for a client of OAuth 1.0a: what is asked for is OAuth 2.0's.
    pub(super) async fn refuse_oauth1(&self) -> Result<()> {
        let refused = self.state().await?.refuse_oauth1();
        refused.map_err(|error| self.explained(error))
    }

    /// The way back: the verifier checked, and the request token exchanged.
    pub(super) async fn redeem_verifier(
        &self,
        legs: &Legs<'_>,
        params: &CallbackParams,
        flow: Flow,
        base: Url,
    ) -> Result<Login> {
        if flow.token_secret.is_none() {
            return Err(another_protocol());
        }
        let verifier = check_verifier(params, &flow)?;
        let hooks = legs.state.token_hooks();
        let granted = legs.access_token(&flow, &verifier, &hooks).await?;
        let binding = legs.state.binding().await?;
        let token = Token {
            access_token: granted.token,
            credential: Credential::OAuth1 {
                secret: granted.secret,
            },
            refresh_token: None,
            id_token: None,
            expires_at: None,
            scopes: None,
            generation: 0,
        };
        let login = Login::new(self, binding, token, flow.created_at).of_flow(flow, base);
        Ok(Login {
            members: granted.rest.into_rest(),
            ..login
        })
    }
}
