//! Why a store could not do what it was asked.

use std::{borrow::Cow, error::Error as StdError, fmt};

use crate::{Error, ErrorCode, Phase};

/// Why a store could not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// Another write came first: read again and decide anew.
    Conflict,
    /// This store has no such method; [`Capabilities`](super::Capabilities) says so.
    Unsupported {
        /// The method's name.
        method: Cow<'static, str>,
    },
    /// A stored row cannot be read. It stays as it is.
    InvalidRow {
        /// What is wrong with it; free of its contents.
        reason: Cow<'static, str>,
    },
    /// What was asked for can never be done: a page cursor of another store, a generation beyond 2^63. Nothing was
    /// written.
    InvalidInput {
        /// What is wrong with it; free of a record's contents.
        reason: Cow<'static, str>,
    },
    /// The store cannot be used as it is set up: a table or column is missing, a user lacks rights, a file is
    /// read-only. Nothing was written, and trying again does not help.
    Misconfigured {
        /// What to put right.
        reason: Cow<'static, str>,
        /// The driver's error. It must not hold contents of a record.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// The store failed or did not answer; nothing is known of a write. `Display` does not say why: the source does.
    Unavailable {
        /// The driver's error. It must not hold contents of a record.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl StoreError {
    /// A method that is not there.
    #[must_use]
    pub fn unsupported(method: &'static str) -> Self {
        Self::Unsupported {
            method: method.into(),
        }
    }

    /// A row that cannot be read.
    #[must_use]
    pub fn invalid_row(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidRow {
            reason: reason.into(),
        }
    }

    /// A request that no store of this kind can do.
    #[must_use]
    pub fn invalid_input(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidInput {
            reason: reason.into(),
        }
    }

    /// A store that is set up wrongly.
    #[must_use]
    pub fn misconfigured(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Misconfigured {
            reason: reason.into(),
            source: None,
        }
    }

    /// A failure of the driver or the server.
    #[must_use]
    pub fn other(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable {
            source: source.into(),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("another write came first"),
            Self::Unsupported { method } => write!(f, "the store has no {method}"),
            Self::InvalidRow { reason } => write!(f, "a stored row cannot be read: {reason}"),
            Self::InvalidInput { reason } => write!(f, "the store refuses: {reason}"),
            Self::Misconfigured { reason, .. } => {
                write!(f, "the store is not set up as it must be: {reason}")
            }
            Self::Unavailable { .. } => f.write_str("the store failed or did not answer"),
        }
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unavailable { source }
            | Self::Misconfigured {
                source: Some(source),
                ..
            } => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unsupported { .. } => ErrorCode::Unsupported,
            StoreError::InvalidRow { .. } => ErrorCode::InvalidRecord,
            StoreError::InvalidInput { .. } => ErrorCode::InvalidParameter,
            StoreError::Misconfigured { .. } => ErrorCode::InvalidConfiguration,
            StoreError::Conflict | StoreError::Unavailable { .. } => ErrorCode::StoreUnavailable,
        };
        Self::new(code, Phase::Store, error.to_string()).with_source(error)
    }
}
