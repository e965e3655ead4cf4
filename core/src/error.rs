//! The one error type: what happened, to which client, in which phase, and what the application should do.

use std::{error::Error as StdError, fmt, time::Duration};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, with everything an application needs to answer its user.
///
/// The message never holds a token, code, verifier, secret or key; what a provider said is cut to a bounded excerpt.
pub struct Error(Box<Inner>);

struct Inner {
    code: ErrorCode,
    phase: Phase,
    client: Option<String>,
    message: String,
    action: Action,
    provider: Option<ProviderError>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What the provider said about a failed request, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderError {
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// The `error` member of RFC 6749 section 5.2 or parameter of section 4.1.2.1.
    pub error: Option<String>,
    /// The `error_description`.
    pub description: Option<String>,
    /// The `error_uri`.
    pub uri: Option<String>,
    /// What a resource asked for in `WWW-Authenticate`: `scope`, `acr_values` or `max_age`.
    pub required: Vec<(String, String)>,
}

/// What the application should do about an error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Nothing helps but a different request.
    None,
    /// Try again, not sooner than the given time if there is one.
    Retry {
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// Send the user to log in (again).
    Login {
        /// Where, if the web hook knows.
        connect_url: Option<String>,
    },
    /// Correct the configuration; no user can help.
    Configure,
}

impl Action {
    /// The stable name: `none`, `retry`, `login` or `configure`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Retry { .. } => "retry",
            Self::Login { .. } => "login",
            Self::Configure => "configure",
        }
    }
}

macro_rules! phases {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// In which phase of its work tokenkeep met an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Phase { $(#[doc = $doc] $variant,)* }

        impl Phase {
            /// The stable name, in snake case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

phases! {
    Configure "configure" "Reading settings, registering clients, building the registry.",
    Discovery "discovery" "Loading a provider's metadata.",
    Keys "keys" "Loading a provider's keys.",
    Authorize "authorize" "Starting a login.",
    Callback "callback" "Reading the authorization response.",
    TokenRequest "token_request" "Asking the token endpoint for the first token of a grant.",
    IdToken "id_token" "Validating an ID token.",
    Userinfo "userinfo" "Asking the userinfo endpoint.",
    Owner "owner" "Finding out whose login it is.",
    Refresh "refresh" "Renewing a token.",
    Request "request" "Calling an API.",
    Revoke "revoke" "Revoking a token.",
    Introspect "introspect" "Asking what the provider knows of a token.",
    Logout "logout" "Logging out.",
    Store "store" "Reading or writing the token store.",
    Session "session" "Reading a session or a request's proof that it comes from our own page.",
}

/// How an HTTP answer for an error is classed; the web hooks answer with it.
macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $doc:literal,)*) => {
        /// What went wrong, as a stable code.
        ///
        /// | code | HTTP status | meaning |
        /// |---|---|---|
        $(#[doc = concat!("| `", $name, "` | ", stringify!($status), " | ", $doc, " |")])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode { $(#[doc = $doc] $variant,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, in snake case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status that fits: 400 what the browser brought, 401 sign in (again), 403, 404, 409,
            /// 502 what the provider did, 503 the store, 500 our own configuration.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }
    };
}

codes! {
    InvalidConfiguration "invalid_configuration" 500 "A setting or registration is missing, unreadable or contradicts another",
    MissingStore "missing_store" 500 "`build()` without a token store",
    KeyRingRequired "key_ring_required" 500 "A store that leaves the process without a key ring",
    NotInitialized "not_initialized" 500 "A handle was used before `init`",
    Unsupported "unsupported" 500 "The store or the provider cannot do what was asked for",
    UnknownClient "unknown_client" 404 "No client is registered by that name",
    InvalidKey "invalid_key" 400 "A client, owner or slot name is empty, longer than 255 bytes or has control characters",
    InvalidToken "invalid_token" 400 "A token given to us is empty or has control characters",
    InvalidReturnTo "invalid_return_to" 400 "A return-to address outside the application's own origin",
    MissingParameter "missing_parameter" 400 "A required parameter is absent",
    InvalidParameter "invalid_parameter" 400 "A parameter is doubled, oversized, unreadable or contradicts another",
    StateMismatch "state_mismatch" 400 "The state belongs to no login of this browser and client, or was used already",
    FlowExpired "flow_expired" 400 "The login took longer than it may",
    IssuerMismatch "issuer_mismatch" 502 "Metadata, an authorization response or an ID token name another issuer",
    AccessDenied "access_denied" 403 "The user or the provider refused",
    ProviderError "provider_error" 502 "The provider answered with an error or with something unreadable",
    ProviderUnavailable "provider_unavailable" 502 "The provider could not be reached, or did not answer in time",
    InvalidMetadata "invalid_metadata" 502 "The provider's metadata cannot be used",
    MissingIdToken "missing_id_token" 502 "`openid` was asked for and no ID token came",
    InvalidIdToken "invalid_id_token" 502 "An ID token is malformed, expired, from the future, or of another kind",
    InvalidSignature "invalid_signature" 502 "A signature does not verify",
    InvalidAudience "invalid_audience" 502 "An ID token is meant for another client",
    InvalidNonce "invalid_nonce" 502 "An ID token was not issued for this login",
    InvalidHash "invalid_hash" 502 "`at_hash` or `c_hash` does not fit the token or code beside it",
    MissingClaim "missing_claim" 502 "A required claim is absent",
    UnsupportedAlgorithm "unsupported_algorithm" 502 "An algorithm that is not allowed for this client",
    MissingKey "missing_key" 502 "The provider publishes no key for this signature",
    SubjectMismatch "subject_mismatch" 502 "Userinfo or a refreshed ID token is about somebody else",
    IdentityChanged "identity_changed" 401 "A refresh answered with another identity; the user must log in again",
    OwnerUnknown "owner_unknown" 502 "The login names nobody, and no owner mapping was given",
    OwnerRefused "owner_refused" 403 "The application refused the login",
    OwnerMissing "owner_missing" 500 "A call without a token: nobody said whose it is",
    UserChanged "user_changed" 409 "Another user is signed in by now",
    NotSignedIn "not_signed_in" 401 "There is no valid session",
    CsrfMismatch "csrf_mismatch" 403 "The request does not prove that it comes from the application's own page",
    LoginRequired "login_required" 401 "No usable token is kept; the user must log in (again)",
    TokenRejected "token_rejected" 401 "The API refuses the token, and a refresh did not help",
    InsufficientScope "insufficient_scope" 403 "The API wants a scope that the token lacks (RFC 6750)",
    StepUpRequired "step_up_required" 401 "The API wants a stronger or fresher authentication (RFC 9470)",
    ForeignOrigin "foreign_origin" 400 "An address outside the client's allowed origins; no token is sent there",
    RequestFailed "request_failed" 502 "An API could not be reached",
    RefreshUnavailable "refresh_unavailable" 502 "The token expired and cannot be renewed at this moment",
    KeyMissing "key_missing" 503 "The key ring lacks the key that sealed this record",
    InvalidRecord "invalid_record" 503 "A stored record cannot be read; it is left as it is",
    UnsupportedFormat "unsupported_format" 503 "A stored record was written by a newer major version",
    StoreUnavailable "store_unavailable" 503 "The token store failed or did not answer",
    InvalidLogoutToken "invalid_logout_token" 400 "A logout token that does not pass its checks",
    Internal "internal" 500 "A defect of tokenkeep itself",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// An error with the action that its code suggests.
    #[must_use]
    pub fn new(code: ErrorCode, phase: Phase, message: impl Into<String>) -> Self {
        let action = match code {
            ErrorCode::InvalidConfiguration
            | ErrorCode::MissingStore
            | ErrorCode::KeyRingRequired
            | ErrorCode::NotInitialized
            | ErrorCode::Unsupported
            | ErrorCode::InvalidMetadata
            | ErrorCode::KeyMissing
            | ErrorCode::UnsupportedFormat
            | ErrorCode::OwnerMissing => Action::Configure,
            ErrorCode::FlowExpired
            | ErrorCode::StateMismatch
            | ErrorCode::IdentityChanged
            | ErrorCode::NotSignedIn
            | ErrorCode::LoginRequired
            | ErrorCode::TokenRejected
            | ErrorCode::InsufficientScope
            | ErrorCode::StepUpRequired => Action::Login { connect_url: None },
            ErrorCode::ProviderUnavailable
            | ErrorCode::StoreUnavailable
            | ErrorCode::RequestFailed
            | ErrorCode::RefreshUnavailable => Action::Retry { after: None },
            _ => Action::None,
        };
        Self(Box::new(Inner {
            code,
            phase,
            client: None,
            message: message.into(),
            action,
            provider: None,
            source: None,
        }))
    }

    /// Names the client it happened to, unless one is named already.
    #[must_use]
    pub fn with_client(mut self, client: impl Into<String>) -> Self {
        self.0.client.get_or_insert_with(|| client.into());
        self
    }

    /// Says what the application should do.
    #[must_use]
    pub fn with_action(mut self, action: Action) -> Self {
        self.0.action = action;
        self
    }

    /// Says where the user logs in again, if logging in is what helps.
    #[must_use]
    pub fn with_connect_url(mut self, url: impl Into<String>) -> Self {
        if let Action::Login { connect_url } = &mut self.0.action {
            *connect_url = Some(url.into());
        }
        self
    }

    /// Keeps what the provider said.
    #[must_use]
    pub fn with_provider(mut self, provider: ProviderError) -> Self {
        self.0.provider = Some(provider);
        self
    }

    /// Keeps the error underneath. It must not hold secrets.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Moves the error to another phase: the same fault means something else there.
    #[must_use]
    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.0.phase = phase;
        self
    }

    /// What went wrong, as a stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// In which phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// To which client, if it is known.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.0.client.as_deref()
    }

    /// One sentence for the people who run the application.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the application should do.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.0.action
    }

    /// How long to wait before trying again, if somebody said.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.action {
            Action::Retry { after } => after,
            _ => None,
        }
    }

    /// Where the user logs in again, if the web hook knows.
    #[must_use]
    pub fn connect_url(&self) -> Option<&str> {
        match &self.0.action {
            Action::Login { connect_url } => connect_url.as_deref(),
            _ => None,
        }
    }

    /// What the provider said, if it was asked.
    #[must_use]
    pub fn provider(&self) -> Option<&ProviderError> {
        self.0.provider.as_ref()
    }

    /// The same error for another waiter; the source becomes its text.
    #[must_use]
    pub(crate) fn duplicate(&self) -> Self {
        Self(Box::new(Inner {
            code: self.0.code,
            phase: self.0.phase,
            client: self.0.client.clone(),
            message: self.0.message.clone(),
            action: self.0.action.clone(),
            provider: self.0.provider.clone(),
            source: self
                .0
                .source
                .as_ref()
                .map(|source| source.to_string().into()),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.code)?;
        if let Some(client) = &self.0.client {
            write!(f, " (client {client:?}, {})", self.0.phase)?;
        } else {
            write!(f, " ({})", self.0.phase)?;
        }
        write!(f, ": {}", self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `main` prints what it returns by `{:?}`: for people. `{:#?}` shows the parts.
        if !f.alternate() {
            write!(f, "{self}")?;
            let mut source = self.source();
            while let Some(error) = source {
                write!(f, ": {error}")?;
                source = error.source();
            }
            return Ok(());
        }
        f.debug_struct("Error")
            .field("code", &self.0.code)
            .field("phase", &self.0.phase)
            .field("client", &self.0.client)
            .field("message", &self.0.message)
            .field("action", &self.0.action)
            .field("provider", &self.0.provider)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

/// At most 200 characters of a foreign text, without control characters, for an error message.
#[must_use]
pub(crate) fn excerpt(text: &str) -> String {
    let mut cut: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    if text.chars().nth(200).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests;
