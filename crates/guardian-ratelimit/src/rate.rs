use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::syntax;
use crate::{InvalidRule, Rule};

/// So many in so long: an exact fraction, never a float.
///
/// The count is 1 to 1 000 000 000, the window 1 millisecond to 366 days in whole microseconds, and the two
/// together at most one per nanosecond. `Display` writes what `FromStr` reads.
///
/// ```
/// use std::time::Duration;
/// use guardian_ratelimit::Rate;
///
/// let rate: Rate = "100/min".parse()?;
/// assert_eq!((rate.count(), rate.window()), (100, Duration::from_secs(60)));
/// assert_eq!(Rate::new(5, Duration::from_secs(10))?.to_string(), "5/10s");
/// # Ok::<(), guardian_ratelimit::InvalidRule>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u32,
    window_micros: u64,
}

impl Rate {
    /// The largest count.
    pub const MAX_COUNT: u32 = 1_000_000_000;
    /// The shortest window.
    pub const MIN_WINDOW: Duration = Duration::from_millis(1);
    /// The longest window.
    pub const MAX_WINDOW: Duration = Duration::from_secs(366 * 86_400);

    /// `count` in every `window`.
    ///
    /// # Errors
    /// When either is outside its range, or the window is not whole microseconds.
    pub fn new(count: u32, window: Duration) -> Result<Self, InvalidRule> {
        let shown = || format!("{count} in {window:?}");
        if count == 0 || count > Self::MAX_COUNT {
            return Err(InvalidRule::new(shown(), format!("the count must be 1 to {}", Self::MAX_COUNT)));
        }
        if !(Self::MIN_WINDOW..=Self::MAX_WINDOW).contains(&window) {
            return Err(InvalidRule::new(shown(), "the window must be 1ms to 366d"));
        }
        if !window.subsec_nanos().is_multiple_of(1000) {
            return Err(InvalidRule::new(shown(), "the window must be whole microseconds"));
        }
        let window_micros = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
        if u64::from(count) > window_micros.saturating_mul(1000) {
            return Err(InvalidRule::new(shown(), "the rate must be at most one per nanosecond"));
        }
        Ok(Self { count, window_micros })
    }

    /// How many.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// In how long.
    #[must_use]
    pub fn window(self) -> Duration {
        Duration::from_micros(self.window_micros)
    }

    pub(crate) fn window_nanos(self) -> u64 {
        self.window_micros.saturating_mul(1000)
    }

    #[cfg(any(feature = "redis", feature = "sqlite", feature = "postgres"))]
    pub(crate) fn window_micros(self) -> u64 {
        self.window_micros
    }

    /// The same window with one `parts`th of the count, rounded down but at least 1.
    pub(crate) fn divided(self, parts: u32) -> Self {
        Self { count: (self.count / parts.max(1)).max(1), ..self }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, syntax::Span(self.window()))
    }
}

impl FromStr for Rate {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<Rule>()?.algorithm() {
            crate::Algorithm::TokenBucket { rate, .. } if !text.contains(char::is_whitespace) => Ok(rate),
            _ => Err(InvalidRule::new(text, "expected a rate alone, as in `100/min`")),
        }
    }
}
