//! The one error type: what happened, to which client, in which phase, and what the application should do.

use std::{error::Error as StdError, fmt, time::Duration};

pub use self::code::ErrorCode;

mod code;

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
            | ErrorCode::MissingKey
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

    /// What a developer or operator can change about it, in a sentence or two: [`ErrorCode::help`].
    #[must_use]
    pub fn help(&self) -> &'static str {
        self.0.code.help()
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

    /// The same with the path of the application's where people go afterwards: for a handler that sends a browser there, or for
    /// a link on a page. What an API asked for stands in it, sealed for its user and for an hour.
    #[must_use]
    pub fn connect_url_to(&self, return_to: &str) -> Option<String> {
        let mut url = url::Url::parse(self.connect_url()?).ok()?;
        url.query_pairs_mut().append_pair("return_to", return_to);
        Some(url.into())
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
            return write!(f, "\nhelp: {}", self.help());
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
        .map(|c| if steers(c) { ' ' } else { c })
        .take(200)
        .collect();
    if text.chars().nth(200).is_some() {
        cut.push('…');
    }
    cut
}

/// Does it begin a line, or turn letters around where somebody reads a log?
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
