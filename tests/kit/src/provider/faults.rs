//! Faults: what can go wrong at a provider, turned on one by one.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;

use super::{gate::Gate, logout_token::LogoutTokenFault};

/// The issuer that faults name where the provider's own should stand.
pub(super) const WRONG_ISSUER: &str = "https://other-issuer.example";

/// The endpoints that faults can be turned on for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/jwks`
    Jwks,
    /// `/authorize`, and what it sends back to the client.
    Authorize,
    /// `/token`
    Token,
    /// `/device_authorization`
    DeviceAuthorization,
    /// `/userinfo`
    Userinfo,
    /// `/introspect`
    Introspect,
    /// `/revoke`
    Revoke,
    /// `/end_session`
    EndSession,
    /// Everything under `/api/`.
    Api,
}

impl Endpoint {
    pub(super) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/.well-known/openid-configuration" => Self::Discovery,
            "/jwks" => Self::Jwks,
            "/authorize" => Self::Authorize,
            "/token" => Self::Token,
            "/device_authorization" => Self::DeviceAuthorization,
            "/userinfo" => Self::Userinfo,
            "/introspect" => Self::Introspect,
            "/revoke" => Self::Revoke,
            "/end_session" => Self::EndSession,
            path if path.starts_with("/api/") => Self::Api,
            _ => return None,
        })
    }
}

/// What goes wrong. The faults of the connection and of the answer fit every endpoint, the others the one they name.
///
/// Of several faults of an endpoint the delays add up, and of the rest the one that was turned on first takes its turns
/// first: `on(Token, ServerError(503)).times(1)` and then `on(Token, Html).times(1)` spoil two requests one after the other.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// The request waits this long before it is processed.
    Latency(Duration),
    /// The request waits at the gate before it is processed, until the test opens it.
    Hold(Gate),
    /// The connection is closed instead of processing the request.
    DropBefore,
    /// The request is processed, and the connection is closed instead of answering.
    DropAfter,
    /// The request is processed; its answer breaks off in the middle, with the connection.
    Truncated,
    /// 429, not processed, with this `Retry-After` in whole seconds.
    TooManyRequests {
        /// The value of `Retry-After`; without it there is no such header.
        retry_after: Option<Duration>,
    },
    /// This status, not processed, with a short body of plain text.
    ServerError(u16),
    /// 200 with a page of HTML, not processed: a captive portal, a proxy's apology.
    Html,
    /// 200 without a body, not processed.
    Empty,
    /// 200 with a JSON body of this many octets or a few more, not processed.
    Oversized(u64),
    /// An answer of the test's own, not processed.
    Answer {
        /// The status code.
        status: u16,
        /// The `Content-Type`; empty for none.
        content_type: String,
        /// The body.
        body: String,
    },
    /// [`Endpoint::Token`]: something is wrong with the ID token of the answer.
    IdToken(IdTokenFault),
    /// [`Endpoint::EndSession`]: something is wrong with the logout token that a client gets.
    LogoutToken(LogoutTokenFault),
    /// [`Endpoint::Discovery`]: `issuer` is another one.
    WrongIssuerInMetadata,
    /// [`Endpoint::Discovery`]: the token endpoint is an `http` URL that is not on the loopback.
    HttpEndpoint,
    /// [`Endpoint::Authorize`]: `iss` of the callback is another one (RFC 9207).
    WrongIssuerInCallback,
    /// [`Endpoint::Authorize`]: the callback has no `iss`, although the metadata promises it.
    MissingIssuerInCallback,
    /// [`Endpoint::Authorize`]: the callback brings this error instead of a code, such as `access_denied`.
    CallbackError(String),
    /// [`Endpoint::Userinfo`]: the answer is about this subject.
    OtherSubjectInUserinfo(String),
}

/// What is wrong with an ID token (OpenID Connect Core 1.0 section 3.1.3.7); everything else about it is right.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum IdTokenFault {
    /// One bit of the signature is flipped.
    WrongSignature,
    /// `nonce` is another one, also where none belongs.
    WrongNonce,
    /// `nonce` is missing.
    MissingNonce,
    /// `aud` is another client.
    WrongAudience,
    /// `aud` is missing.
    MissingAudience,
    /// `iss` is another provider.
    WrongIssuer,
    /// `iss` is missing.
    MissingIssuer,
    /// Issued two hours ago, expired one hour ago.
    Expired,
    /// `exp` is missing.
    MissingExpiry,
    /// `sub` is missing.
    MissingSubject,
    /// `iat` is missing.
    MissingIssuedAt,
    /// `alg` is `none`, and there is no signature.
    AlgNone,
    /// `kid` is one that the JWKS does not have; the signature is by the right key.
    UnknownKid,
    /// There is no `kid`. With one key in the JWKS that is not wrong.
    NoKid,
    /// `at_hash` belongs to another access token.
    WrongAtHash,
    /// `aud` names the client and somebody else; `azp` is the client.
    ExtraAudience,
    /// `azp` is another client.
    WrongAuthorizedParty,
    /// `sub` is this one.
    OtherSubject(String),
    /// This claim has this value; `null` leaves it out.
    Claim(String, Value),
    /// The same for several claims, by the members of an object.
    Claims(Value),
}

impl Fault {
    fn is_delay(&self) -> bool {
        matches!(self, Self::Latency(_) | Self::Hold(_))
    }

    /// Whether it concerns the connection or the whole answer, rather than something inside the answer.
    fn is_of_wire(&self) -> bool {
        self.only_for().is_none()
    }

    pub(super) fn is_of_callback(&self) -> bool {
        self.only_for() == Some(Endpoint::Authorize)
    }

    pub(super) fn only_for(&self) -> Option<Endpoint> {
        Some(match self {
            Self::IdToken(_) => Endpoint::Token,
            Self::LogoutToken(_) => Endpoint::EndSession,
            Self::WrongIssuerInMetadata | Self::HttpEndpoint => Endpoint::Discovery,
            Self::WrongIssuerInCallback
            | Self::MissingIssuerInCallback
            | Self::CallbackError(_) => Endpoint::Authorize,
            Self::OtherSubjectInUserinfo(_) => Endpoint::Userinfo,
            _ => return None,
        })
    }
}

/// The faults of a provider. A clone is a handle to the same ones.
#[derive(Clone, Default)]
pub struct Faults {
    rules: Arc<Mutex<Rules>>,
}

#[derive(Default)]
struct Rules {
    all: Vec<Rule>,
    added: u64,
}

struct Rule {
    id: u64,
    endpoint: Endpoint,
    fault: Fault,
    grant_type: Option<String>,
    after: bool,
    left: Option<u64>,
    fired: u64,
}

impl Faults {
    /// With so many rules, those that are over are forgotten, and with them how often they fired.
    const REMEMBERED: usize = 1_000;

    /// Turns a fault on, until it was turned off or has taken its [`times`](FaultRule::times).
    ///
    /// # Panics
    ///
    /// If the fault does not fit the endpoint: a test must not pass because its fault never came.
    #[track_caller]
    pub fn on(&self, endpoint: Endpoint, fault: Fault) -> FaultRule {
        assert!(
            fault.only_for().is_none_or(|only| only == endpoint),
            "{fault:?} is no fault of {endpoint:?}"
        );
        let mut rules = self.lock();
        if rules.all.len() >= Self::REMEMBERED {
            rules.all.retain(Rule::is_on);
        }
        rules.added += 1;
        let id = rules.added;
        let after = matches!(fault, Fault::DropAfter | Fault::Truncated);
        rules.all.push(Rule {
            id,
            endpoint,
            fault,
            grant_type: None,
            after,
            left: None,
            fired: 0,
        });
        FaultRule {
            faults: self.clone(),
            id,
        }
    }

    /// Turns all faults off. Requests that already wait go on waiting.
    pub fn clear(&self) {
        for rule in &mut self.lock().all {
            rule.left = Some(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a turn of the first fault that is wanted.
    pub(super) fn take(
        &self,
        endpoint: Endpoint,
        grant_type: Option<&str>,
        wanted: impl Fn(&Fault) -> bool,
    ) -> Option<Fault> {
        let mut rules = self.lock();
        let rule = rules
            .all
            .iter_mut()
            .find(|rule| rule.matches(endpoint, grant_type) && wanted(&rule.fault))?;
        rule.fire();
        Some(rule.fault.clone())
    }

    /// What happens to a request that has just come.
    pub(super) fn plan(&self, endpoint: Endpoint, grant_type: Option<&str>) -> Plan {
        let mut plan = Plan::default();
        for rule in self
            .lock()
            .all
            .iter_mut()
            .filter(|rule| rule.fault.is_of_wire() && rule.matches(endpoint, grant_type))
        {
            if rule.fault.is_delay() {
                let delays = if rule.after {
                    &mut plan.delays_after
                } else {
                    &mut plan.delays_before
                };
                delays.push(rule.fault.clone());
                rule.fire();
            } else if plan.instead.is_none() && plan.afterwards.is_none() {
                let place = if rule.after {
                    &mut plan.afterwards
                } else {
                    &mut plan.instead
                };
                *place = Some(rule.fault.clone());
                rule.fire();
            }
        }
        plan
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.lock()
                    .all
                    .iter()
                    .filter(|rule| rule.is_on())
                    .map(|rule| (rule.endpoint, rule.fault.clone())),
            )
            .finish()
    }
}

impl Rule {
    fn matches(&self, endpoint: Endpoint, grant_type: Option<&str>) -> bool {
        self.endpoint == endpoint
            && self.is_on()
            && (self.grant_type.is_none() || self.grant_type.as_deref() == grant_type)
    }

    fn is_on(&self) -> bool {
        self.left != Some(0)
    }

    fn fire(&mut self) {
        self.fired += 1;
        self.left = self.left.map(|left| left - 1);
    }
}

#[derive(Default)]
pub(super) struct Plan {
    pub(super) delays_before: Vec<Fault>,
    pub(super) instead: Option<Fault>,
    pub(super) delays_after: Vec<Fault>,
    pub(super) afterwards: Option<Fault>,
}

/// A fault that was turned on.
#[derive(Debug, Clone)]
pub struct FaultRule {
    faults: Faults,
    id: u64,
}

impl FaultRule {
    /// It is over after this many requests.
    pub fn times(self, times: u64) -> Self {
        self.change(|rule| rule.left = Some(times));
        self
    }

    /// It spoils only token requests of this `grant_type`.
    pub fn for_grant_type(self, grant_type: &str) -> Self {
        self.change(|rule| rule.grant_type = Some(grant_type.to_owned()));
        self
    }

    /// It comes after the request was processed: delays hold its answer back, other faults take the answer's place. A
    /// refresh token is then spent without anybody knowing.
    pub fn after_processing(self) -> Self {
        self.change(|rule| rule.after |= !matches!(rule.fault, Fault::DropBefore));
        self
    }

    /// How many requests it has spoilt.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.faults
            .lock()
            .all
            .iter()
            .find(|rule| rule.id == self.id)
            .map_or(0, |rule| rule.fired)
    }

    /// Turns it off.
    pub fn off(&self) {
        self.change(|rule| rule.left = Some(0));
    }

    fn change(&self, change: impl FnOnce(&mut Rule)) {
        if let Some(rule) = self
            .faults
            .lock()
            .all
            .iter_mut()
            .find(|rule| rule.id == self.id)
        {
            change(rule);
        }
    }
}
