//! Logging in on a device without a browser (RFC 8628): a code to type elsewhere, and asking until it was.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::task::JoinHandle;
use url::Url;

use super::{Asked, check_scopes};
use crate::{
    Clock, Error, ErrorCode, Login, Phase, Result, Secret, Target, Timestamp,
    client::{Client, ClientState, Endpoint, RequestKind},
    http::{Answer, is_loopback, is_secure},
    openid::has_each_member_once,
    token::{TokenFailure, Verdict},
};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// How long a user may take at most, whatever the provider allows.
const LONGEST: Duration = Duration::from_secs(3600);

/// How often is asked where the provider does not say (RFC 8628 section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// By how much `slow_down` slows down (RFC 8628 section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// No longer between two questions, unless the provider says `slow_down`.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// How long a code to be typed may be, in bytes, and an address.
const MAX_USER_CODE: usize = 64;
const MAX_URI: usize = 2048;

/// A login by device code to begin: await it. [`Client::device_login`] makes one.
#[must_use = "nothing is asked before it is awaited"]
pub struct DeviceAuthorization {
    client: Client,
    scopes: Option<Vec<String>>,
    parameters: Vec<(String, Secret)>,
}

/// A login by device code under way: show [`user_code`](Self::user_code) and [`verification_uri`](Self::verification_uri), and
/// [`wait`](Self::wait). `Debug` shows no code.
pub struct DeviceLogin {
    client: Client,
    /// As it was when it began: the code goes to nobody else.
    state: Arc<ClientState>,
    device_code: Secret,
    user_code: String,
    verification_uri: Url,
    verification_uri_complete: Option<Url>,
    scopes: Vec<String>,
    started_at: Timestamp,
    expires_at: Timestamp,
    /// Monotonic.
    until: Duration,
    /// Monotonic: when to ask next.
    next: Duration,
    interval: Duration,
    /// A question under way: whoever waited for it may have gone.
    asking: Option<JoinHandle<Result<Login, NotYet>>>,
    is_over: bool,
}

impl Client {
    /// Logs a user in who types a code into a browser elsewhere (RFC 8628): for command lines, televisions, machines without
    /// a screen.
    ///
    /// ```no_run
    /// # async fn log_in(oauth: tokenkeep_core::OAuth) -> tokenkeep_core::Result<()> {
    /// let mut device = oauth.client("example")?.device_login().await?;
    /// println!("Open {} and type {}", device.verification_uri(), device.user_code());
    /// let login = device.wait().await?;
    /// let grant = oauth.keep_grant(&login, "me").await?;
    /// # let _ = grant;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Whoever can show a user a code can log in as them (RFC 8628 section 5.4): show it only to whom it was asked for.
    ///
    /// # Errors
    /// Awaited: `unsupported` if the provider has no such endpoint; `invalid_parameter`; `provider_error` for an answer that
    /// cannot be used (a code with other characters than visible ASCII, an address that is not https), `provider_unavailable`,
    /// and those of loading the metadata.
    pub fn device_login(&self) -> DeviceAuthorization {
        DeviceAuthorization {
            client: self.clone(),
            scopes: None,
            parameters: Vec::new(),
        }
    }
}

impl DeviceAuthorization {
    /// The scopes, instead of the registration's.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// A further parameter of the request for the code.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    async fn start(self) -> Result<DeviceLogin> {
        let client = self.client.clone();
        self.started()
            .await
            .map_err(|error| error.with_client(client.name()))
    }

    async fn started(self) -> Result<DeviceLogin> {
        let oauth = self.client.oauth()?;
        let state = self.client.state().await?;
        let scopes = self.scopes.unwrap_or_else(|| state.resolved.scopes.clone());
        let target = Target::new(Vec::<String>::new(), scopes);
        check_scopes(&target)?;
        let reserved = [
            "client_id",
            "client_secret",
            "client_assertion",
            "client_assertion_type",
            "scope",
        ];
        let own = |(name, _): &&(String, Secret)| reserved.contains(&name.as_str());
        if let Some((name, _)) = self.parameters.iter().find(own) {
            return Err(Error::new(
                ErrorCode::InvalidParameter,
                Phase::Authorize,
                format!("the parameter {name} belongs to the protocol and can't be given"),
            ));
        }
        let (Some(url), authentication) = state.at(Endpoint::DeviceAuthorization).await? else {
            return Err(Error::new(
                ErrorCode::Unsupported,
                Phase::Authorize,
                "the provider has no device authorization endpoint; if it has one, name it with device_authorization_url()",
            ));
        };
        // Before anybody is asked to type anything.
        let token_endpoint = state.token_endpoint().await?;
        state.required(token_endpoint, Phase::Authorize, "token endpoint")?;
        let clock = oauth.clock();
        let hooks = state.token_hooks();
        let endpoint = state.endpoint(&url, authentication.as_ref(), &hooks);
        let bounds = state.bounds(Phase::Authorize);
        let (started_at, began) = (clock.now(), clock.monotonic());
        let answer = endpoint
            .device_authorization(&self.parameters, &target, bounds)
            .await?;
        let codes = Codes::read(&answer, &url)?;
        Ok(DeviceLogin {
            client: self.client.clone(),
            state: Arc::clone(&state),
            device_code: codes.device_code,
            user_code: codes.user_code,
            verification_uri: codes.verification_uri,
            verification_uri_complete: codes.verification_uri_complete,
            scopes: target.scopes,
            started_at,
            expires_at: started_at + codes.life,
            until: began + codes.life,
            next: clock.monotonic() + codes.interval,
            interval: codes.interval,
            asking: None,
            is_over: false,
        })
    }
}

impl IntoFuture for DeviceAuthorization {
    type Output = Result<DeviceLogin>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization")
            .field("client", &self.client)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// Why there is no login: it may come.
enum NotYet {
    /// What the token endpoint answered.
    Asked(TokenFailure),
    /// A token came, and what stands beside it is wrong.
    Invalid(Error),
}

impl From<Error> for NotYet {
    fn from(error: Error) -> Self {
        Self::Asked(error.into())
    }
}

impl DeviceLogin {
    /// What the user types: visible ASCII, 64 characters at most.
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where the user types it: https, or http to this machine for a provider that is on it.
    #[must_use]
    pub fn verification_uri(&self) -> &Url {
        &self.verification_uri
    }

    /// The same with the code in it, to show as a picture or to open, if the provider has such an address.
    #[must_use]
    pub fn verification_uri_complete(&self) -> Option<&Url> {
        self.verification_uri_complete.as_ref()
    }

    /// Until when: an hour at most, whatever the provider says.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Waits until the user has confirmed, asking as often as the provider allows: every 5 s if it does not say, slower by 5 s
    /// with each `slow_down`, and half as often after each time that it could not be reached. Nothing is kept: that is
    /// [`OAuth::keep_grant`](crate::OAuth::keep_grant).
    ///
    /// # Errors
    /// `access_denied` if the user or the provider refused; `flow_expired` if it took too long, or was waited for before to
    /// its end; `provider_error`; and those of the ID token.
    ///
    /// # Cancel safety
    /// Cancel safe: drop the future and call it again, and it goes on. A question that is under way is not lost.
    pub async fn wait(&mut self) -> Result<Login> {
        let outcome = self.waited().await;
        // Not reached if the future is dropped: then it goes on.
        self.is_over = true;
        outcome.map_err(|error| error.with_client(self.client.name()))
    }

    async fn waited(&mut self) -> Result<Login> {
        if self.is_over {
            return Err(expired("the login by device code is over already"));
        }
        let clock = Arc::clone(self.client.oauth()?.clock());
        loop {
            let asked = match self.asking.take() {
                Some(under_way) => under_way,
                None => {
                    if self.next >= self.until {
                        return Err(expired("the code was not confirmed in time"));
                    }
                    clock
                        .sleep(self.next.saturating_sub(clock.monotonic()))
                        .await;
                    tokio::spawn(ask(Question::of(self)))
                }
            };
            // It stays here while it is awaited, so that dropping this future loses nothing.
            let answer = self.asking.insert(asked).await;
            self.asking = None;
            let answer = answer.map_err(|_| {
                Error::new(
                    ErrorCode::Internal,
                    Phase::TokenRequest,
                    "the question for a device's token was cut short",
                )
            })?;
            match answer {
                Ok(login) => return Ok(login),
                Err(NotYet::Invalid(error)) => return Err(error),
                Err(NotYet::Asked(failure)) => {
                    let least = self.judge(failure)?;
                    self.next = clock.monotonic() + self.interval.max(least);
                }
            }
        }
    }

    /// Is it to be asked again, and how long at least is to be waited for that (RFC 8628 section 3.5)?
    fn judge(&mut self, failure: TokenFailure) -> Result<Duration> {
        let said = failure.error.provider();
        let at_end = |code, what: &str| {
            let error = Error::new(code, Phase::TokenRequest, what);
            match said {
                Some(said) => error.with_provider(said.clone()),
                None => error,
            }
        };
        match said.and_then(|said| said.error.as_deref()) {
            Some("authorization_pending") => return Ok(Duration::ZERO),
            Some("slow_down") => {
                self.interval = self.interval.saturating_add(SLOWER);
                return Ok(Duration::ZERO);
            }
            Some("access_denied") => {
                let what = "the user or the provider refused";
                return Err(at_end(ErrorCode::AccessDenied, what));
            }
            Some("expired_token") => {
                let what = "the code was not confirmed in time";
                return Err(at_end(ErrorCode::FlowExpired, what));
            }
            _ => {}
        }
        let slower = || self.interval.saturating_mul(2).min(LONGEST_INTERVAL);
        match failure.verdict {
            Verdict::Throttled { retry_after } | Verdict::Unavailable { retry_after } => {
                self.interval = self.interval.max(slower());
                Ok(retry_after.unwrap_or_default())
            }
            _ if failure.error.code() == ErrorCode::ProviderUnavailable => {
                self.interval = self.interval.max(slower());
                Ok(Duration::ZERO)
            }
            _ => Err(failure.error),
        }
    }
}

impl fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLogin")
            .field("client", &self.client)
            .field("expires_at", &self.expires_at)
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}

/// What a question needs; it lives by itself.
struct Question {
    client: Client,
    state: Arc<ClientState>,
    device_code: Secret,
    scopes: Vec<String>,
    started_at: Timestamp,
}

impl Question {
    fn of(login: &DeviceLogin) -> Self {
        Self {
            client: login.client.clone(),
            state: Arc::clone(&login.state),
            device_code: login.device_code.clone(),
            scopes: login.scopes.clone(),
            started_at: login.started_at,
        }
    }
}

/// Asks once, and validates what comes.
async fn ask(question: Question) -> Result<Login, NotYet> {
    let Question {
        client,
        state,
        device_code,
        scopes,
        started_at,
    } = question;
    let oauth = client.oauth()?;
    let clock: &dyn Clock = oauth.clock().as_ref();
    let bounds = state.bounds(Phase::TokenRequest);
    let form = [
        ("grant_type".to_owned(), Secret::new(GRANT_TYPE)),
        ("device_code".to_owned(), device_code),
    ];
    let asked_at = clock.now();
    let answer = state
        .at_token_endpoint(false, async |endpoint| {
            endpoint
                .by_grant(RequestKind::AccessToken, &form, &Target::login(), bounds)
                .await
                .map_err(NotYet::Asked)
        })
        .await?;
    let asked = Asked {
        scopes: &scopes,
        started_at,
        asked_at,
        is_login: true,
        id_token_is_due: true,
    };
    client
        .login_of(&state, answer, asked)
        .await
        .map_err(NotYet::Invalid)
}

/// What the provider answers at the beginning (RFC 8628 section 3.2).
struct Codes {
    device_code: Secret,
    user_code: String,
    verification_uri: Url,
    verification_uri_complete: Option<Url>,
    life: Duration,
    interval: Duration,
}

impl Codes {
    /// Everything in it is shown to a user or decides what we do next: nothing is taken on trust.
    fn read(answer: &Answer, endpoint: &Url) -> Result<Self> {
        let text = std::str::from_utf8(&answer.body)
            .ok()
            .filter(|text| answer.is_json() && has_each_member_once(text))
            .ok_or_else(|| unusable("it is not a JSON object with each member once"))?;
        let members: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| unusable("it is not a JSON object"))?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let device_code = text("device_code")
            .map(Secret::from)
            .ok_or_else(|| unusable("it has no device_code"))?;
        if crate::token::check_token_text("device code", &device_code).is_err() {
            return Err(unusable("its device_code has characters that no code has"));
        }
        let user_code = text("user_code").unwrap_or_default();
        // It is written to terminals: what could move a cursor or turn letters around has no place in it.
        let is_typed = |code: &str| {
            (1..=MAX_USER_CODE).contains(&code.len())
                && code.bytes().all(|byte| (0x20..0x7f).contains(&byte))
                && !code.trim().is_empty()
        };
        if !is_typed(user_code) {
            return Err(unusable(
                "its user_code is missing, too long, or has characters that nobody can type",
            ));
        }
        let uri = |name: &'static str, uri: &str| {
            Url::parse(uri)
                .ok()
                .filter(|parsed| uri.len() <= MAX_URI && may_be_opened(parsed, endpoint))
                .ok_or_else(|| unusable(&format!("its {name} is not an https address")))
        };
        // Google calls it so.
        let verification_uri = text("verification_uri").or_else(|| text("verification_url"));
        let seconds = |name: &str| match members.get(name) {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        let life = seconds("expires_in")
            .filter(|life| *life >= 1.0)
            .ok_or_else(|| {
                unusable(
                    "its expires_in is missing, or no time in which somebody could type a code",
                )
            })?;
        let interval = seconds("interval").filter(|interval| *interval >= 1.0);
        let at_most =
            |seconds: f64, most: Duration| Duration::from_secs_f64(seconds.min(most.as_secs_f64()));
        Ok(Self {
            device_code,
            user_code: user_code.to_owned(),
            verification_uri: uri("verification_uri", verification_uri.unwrap_or_default())?,
            verification_uri_complete: text("verification_uri_complete")
                .filter(|complete| !complete.is_empty())
                .map(|complete| uri("verification_uri_complete", complete))
                .transpose()?,
            life: at_most(life, LONGEST),
            interval: interval.map_or(INTERVAL, |interval| at_most(interval, LONGEST_INTERVAL)),
        })
    }
}

/// May a user be sent there? A provider elsewhere has no pages on this machine, and nobody needs a name in front of a host.
fn may_be_opened(uri: &Url, endpoint: &Url) -> bool {
    is_secure(uri)
        && uri.username().is_empty()
        && uri.password().is_none()
        && (uri.scheme() == "https" || is_loopback(endpoint))
}

fn unusable(what: &str) -> Error {
    Error::new(
        ErrorCode::ProviderError,
        Phase::Authorize,
        format!("the answer of the device authorization endpoint cannot be used: {what}"),
    )
}

fn expired(what: &str) -> Error {
    Error::new(ErrorCode::FlowExpired, Phase::TokenRequest, what)
}

#[cfg(test)]
mod tests;
