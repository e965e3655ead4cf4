//! Options.

use std::time::Duration;

/// How a Redis store names its keys, and how long it waits.
///
/// ```
/// # use std::time::Duration;
/// # use tokenkeep_redis::RedisOptions;
/// let options = RedisOptions::new()
///     .prefix("auth")
///     .timeout(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug)]
pub struct RedisOptions {
    pub(crate) prefix: String,
    pub(crate) timeout: Duration,
    pub(crate) allow_eviction: bool,
}

impl RedisOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            prefix: "tokenkeep".to_owned(),
            timeout: Duration::from_secs(5),
            allow_eviction: false,
        }
    }

    /// What all keys and the channel begin with: 1 to 64 letters, digits and `_-.:/`. `tokenkeep` unless told. The
    /// store's constructor refuses others. Stores with different prefixes do not see each other.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long the server may take for one answer, and for a connection: 5 s unless told, and at least a millisecond.
    /// After that the operation is [`StoreError::Unavailable`](tokenkeep_core::store::StoreError::Unavailable).
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time.max(Duration::from_millis(1));
        self
    }

    /// Also uses a server that may throw keys away when it is full. A record that is thrown away is a user who is logged
    /// out; a replay guard that is thrown away lets a callback be used twice.
    #[must_use]
    pub fn dangerously_allow_eviction(mut self) -> Self {
        self.allow_eviction = true;
        self
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self::new()
    }
}
