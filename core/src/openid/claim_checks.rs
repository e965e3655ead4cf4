//! The application's own checks of ID tokens: beside the built-in ones, never in their place.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::IdTokenClaims;
use crate::{Error, ErrorCode, Phase, Result, closures::BoxError};

type Check = Arc<dyn Fn(&IdTokenClaims) -> Result<(), BoxError> + Send + Sync>;

/// Checks in the order in which they were added. None can be taken away.
#[derive(Clone, Default)]
pub(crate) struct ClaimChecks(Vec<Check>);

impl ClaimChecks {
    pub(crate) fn push<E: Into<BoxError>>(
        &mut self,
        check: impl Fn(&IdTokenClaims) -> Result<(), E> + Send + Sync + 'static,
    ) {
        self.0
            .push(Arc::new(move |claims| check(claims).map_err(Into::into)));
    }

    /// Runs them over claims that have passed everything else.
    ///
    /// # Errors
    /// `owner_refused`, with the check's own error as its source: that is for the log, not for the browser.
    pub(super) fn run(&self, claims: &IdTokenClaims) -> Result<()> {
        for check in &self.0 {
            let refused =
                |what: &str| Error::new(ErrorCode::OwnerRefused, Phase::IdToken, what.to_owned());
            match catch_unwind(AssertUnwindSafe(|| check(claims))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    return Err(refused(
                        "a check of the application's own (check_claims) refused the ID token",
                    )
                    .with_source(error));
                }
                Err(_) => {
                    return Err(refused(
                        "a check of the application's own (check_claims) panicked",
                    ));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ClaimChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} checks]", self.0.len())
    }
}
