use std::time::Duration;

/// How a [`RedisStore`](super::RedisStore) names its keys and how long it waits.
///
/// ```
/// use std::time::Duration;
/// use guardian_ratelimit::RedisConfig;
///
/// let config = RedisConfig::default().with_prefix("shop:").with_response_timeout(Duration::from_millis(50));
/// assert_eq!(config.connect_timeout, Duration::from_millis(250));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisConfig {
    /// What every key begins with; `gr:` unless told otherwise. Two services that share a server and should not
    /// share counters need two prefixes, neither a beginning of the other. `%`, `{` and `}` are escaped.
    pub prefix: String,
    /// The longest that one call waits for its answer; 250 ms unless told otherwise.
    pub response_timeout: Duration,
    /// The longest that the one call which finds no connection waits for a new one, in addition; 250 ms unless
    /// told otherwise.
    pub connect_timeout: Duration,
    /// How long nobody tries again after a first failure to connect, doubled with each further one; 50 ms unless
    /// told otherwise. All calls in that time fail at once.
    pub reconnect_backoff: Duration,
    /// The most that the doubling leads to; 2 s unless told otherwise.
    pub max_reconnect_backoff: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            prefix: "gr:".to_owned(),
            response_timeout: Duration::from_millis(250),
            connect_timeout: Duration::from_millis(250),
            reconnect_backoff: Duration::from_millis(50),
            max_reconnect_backoff: Duration::from_secs(2),
        }
    }
}

impl RedisConfig {
    /// The same with another beginning of every key.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The same with another longest wait for an answer.
    #[must_use]
    pub fn with_response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// The same with another longest wait for a connection.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The same with another pause after a failure to connect, and its maximum.
    #[must_use]
    pub fn with_reconnect_backoff(mut self, first: Duration, most: Duration) -> Self {
        self.reconnect_backoff = first;
        self.max_reconnect_backoff = most;
        self
    }
}
