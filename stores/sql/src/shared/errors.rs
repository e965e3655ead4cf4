//! What errors of a server mean for a store.

use std::{error::Error as StdError, fmt};

use sqlx::error::DatabaseError;
use tokenkeep_core::store::StoreError;

/// What a dialect reads from an error code of its server.
pub(crate) enum Meaning {
    /// Lost against another transaction, with nothing done: a deadlock, a serialisation failure.
    Lost,
    /// The key is taken.
    Taken,
    /// The database cannot keep such a value.
    Value,
    /// The set-up is wrong; what to do about it. The server's message goes before it, as it names what it is about.
    Setup(&'static str),
    /// Anything else. Its message may be passed on, unless it could hold a value.
    Other { may_be_told: bool },
}

/// Why a statement did not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing was done; the same statement may be run again.
    Lost,
    Taken,
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost | Failure::Taken => Self::Conflict,
            Failure::Store(error) => error,
        }
    }
}

/// Reads an error of the driver. What the server said besides its message, such as the row that a constraint refused,
/// is dropped.
pub(crate) fn failure(error: sqlx::Error, meaning: fn(&dyn DatabaseError) -> Meaning) -> Failure {
    let Some(database) = error.as_database_error() else {
        return Failure::Store(match error {
            sqlx::Error::Tls(source) | sqlx::Error::Configuration(source) => {
                StoreError::Misconfigured {
                    reason: "the connection cannot be secured as the URL or the pool asks".into(),
                    source: Some(source),
                }
            }
            error => StoreError::other(error),
        });
    };
    let code = database.code().unwrap_or_default().into_owned();
    Failure::Store(match meaning(database) {
        Meaning::Lost => return Failure::Lost,
        Meaning::Taken => return Failure::Taken,
        Meaning::Value => {
            StoreError::invalid_input(format!("the database takes no such value (error {code})"))
        }
        Meaning::Setup(action) => {
            StoreError::misconfigured(format!("{}; {action}", database.message()))
        }
        Meaning::Other { may_be_told } => StoreError::other(Reported {
            message: may_be_told.then(|| database.message().to_owned()),
            code,
        }),
    })
}

/// What the server reported, without values.
#[derive(Debug)]
struct Reported {
    code: String,
    message: Option<String>,
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the database reports error {}", self.code)?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl StdError for Reported {}
