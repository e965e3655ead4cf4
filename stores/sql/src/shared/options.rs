//! Options that all dialects share.

use std::{sync::Arc, time::Duration};

use tokenkeep_core::{Clock, SystemClock};

/// How a SQL store keeps its tables and follows their changes.
///
/// ```
/// # use std::time::Duration;
/// # use tokenkeep_sql::SqlOptions;
/// let options = SqlOptions::new()
///     .prefix("auth")
///     .poll_every(Duration::from_millis(250));
/// ```
#[derive(Clone, Debug)]
pub struct SqlOptions {
    pub(crate) prefix: String,
    pub(crate) poll_every: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

impl SqlOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            prefix: "tokenkeep".to_owned(),
            poll_every: Duration::from_millis(100),
            clock: Arc::new(SystemClock),
        }
    }

    /// What the tables' names begin with: 1 to 40 letters, digits and underscores, not beginning with a digit.
    /// `tokenkeep` unless told. The store's constructor refuses others.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How often a change feed that is polled looks for news, while somebody listens: every 100 ms unless told, and at
    /// most every millisecond.
    #[must_use]
    pub fn poll_every(mut self, time: Duration) -> Self {
        self.poll_every = time.max(Duration::from_millis(1));
        self
    }

    /// Where a database without a clock of its own takes the time from. The machine's clock unless told.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl Default for SqlOptions {
    fn default() -> Self {
        Self::new()
    }
}
