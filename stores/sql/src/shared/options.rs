//! Options that all dialects share.

use std::{fmt, sync::Arc, time::Duration};

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
#[derive(Clone)]
pub struct SqlOptions {
    pub(crate) prefix: String,
    pub(crate) schema: Option<String>,
    pub(crate) poll_every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) listen_url: Option<String>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The change feed of MySQL relies on it: an acknowledged write is never older than this when it becomes visible.
pub(crate) const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);

impl SqlOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            prefix: "tokenkeep".to_owned(),
            schema: None,
            poll_every: Duration::from_millis(100),
            timeout: Duration::from_secs(5),
            listen_url: None,
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

    /// The PostgreSQL schema, or the MySQL database, that holds the tables: up to 63 letters, digits, underscores and
    /// dashes. Where the connection looks for tables by itself, unless told. SQLite has none.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// How often a change feed that is polled (SQLite, MySQL) looks for news, while somebody listens: every 100 ms
    /// unless told, and at most every millisecond.
    #[must_use]
    pub fn poll_every(mut self, time: Duration) -> Self {
        self.poll_every = time.max(Duration::from_millis(1));
        self
    }

    /// How long PostgreSQL and MySQL may take for one operation, with the wait for a connection of the pool, before it
    /// is `Unavailable`: 5 s unless told, and at most 30 s. SQLite has its busy timeout instead.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time.clamp(Duration::from_millis(10), LONGEST_TIMEOUT);
        self
    }

    /// Where PostgreSQL's change feed connects to, if it cannot listen where the pool connects to: behind PgBouncer in
    /// transaction mode it needs the server itself. It must lead to the same database.
    #[must_use]
    pub fn listen_url(mut self, url: impl Into<String>) -> Self {
        self.listen_url = Some(url.into());
        self
    }

    /// Where a database without a clock of its own (SQLite) takes the time from. The machine's clock unless told.
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

/// Without the URL, which holds a password.
impl fmt::Debug for SqlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlOptions")
            .field("prefix", &self.prefix)
            .field("schema", &self.schema)
            .field("poll_every", &self.poll_every)
            .field("timeout", &self.timeout)
            .field("listen_url", &self.listen_url.is_some())
            .field("clock", &self.clock)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let options = SqlOptions::new().listen_url("postgres://app:hunter2@db/app");
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
