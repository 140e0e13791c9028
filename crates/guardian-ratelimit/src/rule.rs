use std::fmt;
use std::time::Duration;

use crate::bucket::Bucket;
use crate::concurrency::PermitSpec;
use crate::fixed::FixedSpec;
use crate::window::WindowSpec;
use crate::{InvalidRule, Rate};

/// What a limit promises: an [`Algorithm`] with its numbers, checked and ready to decide with.
///
/// Most hosts read rules from text, see [`FromStr`](#impl-FromStr-for-Rule):
///
/// | text | is |
/// |---|---|
/// | `100/min` | token bucket, 100 a minute, burst 100 |
/// | `100/min burst 20` | token bucket, 100 a minute, at most 20 at once |
/// | `100/min sliding` | sliding window: at most 100 in any minute |
/// | `5000/h sliding lenient 60` | sliding window in 60 slices that never denies wrongly |
/// | `1000/day fixed` | at most 1000 in each UTC day |
/// | `10 concurrent for 30s` | at most 10 at a time, each for at most 30 seconds |
///
/// A rate is `COUNT/UNIT` or `COUNT/NUMBERUNIT` (`5/10s`); units are `ms`, `s` (`sec`, `second`), `min`
/// (`minute`), `h` (`hour`), `day` (`d`) and `week` (`w`). There is no `m`: it might be a month. Digits may be
/// grouped with `_`. `Display` writes the one canonical spelling, which reads back as the same rule.
///
/// ```
/// use guardian_ratelimit::Rule;
///
/// let rule: Rule = "1_000 / minute burst 50".parse()?;
/// assert_eq!(rule.to_string(), "1000/min burst 50");
///
/// let error = "100/m".parse::<Rule>().unwrap_err();
/// assert_eq!(error.to_string(), "invalid rule `100/m`: unknown unit `m` at byte 4; write `min` for minutes");
/// # Ok::<(), guardian_ratelimit::InvalidRule>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    algorithm: Algorithm,
    pub(crate) engine: Engine,
}

/// The algorithms, each named by what it promises. *L* is the limit, *W* the window.
///
/// | algorithm | promise | admits in the worst window of length W | denies what an exact log would admit |
/// |---|---|---|---|
/// | [`TokenBucket`](Self::TokenBucket) | *rate* forever, *burst* at once | burst + L | (another promise) |
/// | [`SlidingWindow`](Self::SlidingWindow), exact | at most L in any W | L | never |
/// | … strict, *n* slices | at most L in any W | L | only what exceeds L in W + W/n |
/// | … lenient, *n* slices | at most L in any W − W/n | 2 L | never |
/// | [`FixedWindow`](Self::FixedWindow) | at most L between two multiples of W | 2 L | (another promise) |
/// | [`Concurrency`](Self::Concurrency) | at most L at a time | (no window) | never |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// A bucket of `burst` tokens that refills at `rate`; each request takes its cost or is denied.
    ///
    /// Promise: in any span of time *t*, at most burst + rate · t. Decided by GCRA (ITU-T I.371, annex A; virtual
    /// scheduling), in exact rational arithmetic: no drift. State: 8 bytes a key.
    TokenBucket {
        /// The sustained rate.
        rate: Rate,
        /// The most at once, which is the size of the bucket; 1 to 1 000 000 000.
        burst: u32,
    },
    /// At most `rate.count()` in every window of `rate.window()`, wherever it begins.
    SlidingWindow {
        /// The limit and its window.
        rate: Rate,
        /// How the past is kept.
        precision: Precision,
    },
    /// At most `rate.count()` from one multiple of the window (since the Unix epoch, UTC) to the next.
    ///
    /// Cheap, easy to explain, resets for all at once; around a boundary up to twice the limit pass.
    FixedWindow {
        /// The limit and its window.
        rate: Rate,
    },
    /// At most `permits` at a time. A permit ends when it is released or dropped, and after `ttl` in any case.
    Concurrency {
        /// How many at a time; 1 to 10 000.
        permits: u32,
        /// How long a permit may live, so that a crashed holder blocks nobody for longer; 1 ms to 366 days.
        ttl: Duration,
    },
}

/// How a sliding window keeps the past.
///
/// With slices, time is cut into pieces of W/n (rounded up to a microsecond), and the oldest piece lies partly
/// outside the window. Counting it in full (`Strict`) errs on the side of the service, leaving it out
/// (`Lenient`) on the side of the caller; both bounds are exact and proved by the crate's tests.
///
/// ```
/// use guardian_ratelimit::{Algorithm, Precision, Rule};
///
/// // A small limit is kept exactly unless told otherwise.
/// let Algorithm::SlidingWindow { precision, .. } = "10/min sliding".parse::<Rule>()?.algorithm() else { panic!() };
/// assert_eq!(precision, Precision::Exact);
/// # Ok::<(), guardian_ratelimit::InvalidRule>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// A log of every request in the window: 16 bytes for each moment, limits up to [`Rule::MAX_EXACT`].
    Exact,
    /// Never admits more than L in any window; counts up to one slice too many. 16 bytes for each slice in use.
    Strict {
        /// How many slices; 2 to [`Rule::MAX_SLICES`].
        slices: u16,
    },
    /// Never denies what an exact log would admit; counts up to one slice too few. 16 bytes for each slice in use.
    Lenient {
        /// How many slices; 2 to [`Rule::MAX_SLICES`].
        slices: u16,
    },
}

/// The numbers of an algorithm in the form that it decides with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Engine {
    Bucket(Bucket),
    Window(WindowSpec),
    Fixed(FixedSpec),
    Permits(PermitSpec),
}

impl Rule {
    /// The largest limit of an exact sliding window, whose log grows with it.
    pub const MAX_EXACT: u32 = 1024;
    /// The most slices of a sliding window.
    pub const MAX_SLICES: u16 = 1000;
    /// The most permits of a concurrency limit.
    pub const MAX_PERMITS: u32 = 10_000;
    /// Up to this limit `sliding` without a precision means `sliding exact`.
    const AUTO_EXACT: u32 = 64;
    /// Slices of `sliding`, `strict` and `lenient` without a number.
    pub(crate) const DEFAULT_SLICES: u16 = 60;
    /// The longest time that an empty bucket may take to fill.
    const MAX_REFILL: Duration = Duration::from_secs(3660 * 86_400);

    /// A token bucket, see [`Algorithm::TokenBucket`].
    ///
    /// # Errors
    /// When `burst` is 0 or above 1 000 000 000, or the bucket would take more than ten years to fill.
    pub fn token_bucket(rate: Rate, burst: u32) -> Result<Self, InvalidRule> {
        let shown = || format!("{rate} burst {burst}");
        if burst == 0 || burst > Rate::MAX_COUNT {
            return Err(InvalidRule::new(shown(), format!("the burst must be 1 to {}", Rate::MAX_COUNT)));
        }
        let refill = u128::from(burst) * rate.window().as_nanos() / u128::from(rate.count());
        if refill > Self::MAX_REFILL.as_nanos() {
            return Err(InvalidRule::new(shown(), "an empty bucket would take more than ten years to fill"));
        }
        let engine = Engine::Bucket(Bucket::new(rate, burst));
        Ok(Self { algorithm: Algorithm::TokenBucket { rate, burst }, engine })
    }

    /// A sliding window, see [`Algorithm::SlidingWindow`].
    ///
    /// # Errors
    /// When an exact window's limit is above [`Self::MAX_EXACT`], or the slices are fewer than 2, more than
    /// [`Self::MAX_SLICES`] or shorter than a microsecond.
    pub fn sliding_window(rate: Rate, precision: Precision) -> Result<Self, InvalidRule> {
        let algorithm = Algorithm::SlidingWindow { rate, precision };
        match precision {
            Precision::Exact if rate.count() > Self::MAX_EXACT => {
                let why =
                    format!("an exact window holds at most {}; use `strict` or `lenient`", Self::MAX_EXACT);
                return Err(InvalidRule::new(algorithm.to_string(), why));
            }
            Precision::Strict { slices } | Precision::Lenient { slices }
                if !(2..=Self::MAX_SLICES).contains(&slices) =>
            {
                let why = format!("the slices must be 2 to {}", Self::MAX_SLICES);
                return Err(InvalidRule::new(algorithm.to_string(), why));
            }
            _ => {}
        }
        Ok(Self { algorithm, engine: Engine::Window(WindowSpec::new(rate, precision)) })
    }

    /// A sliding window that keeps a limit of up to 64 exactly and a larger one in 60 strict slices.
    #[must_use]
    pub fn sliding(rate: Rate) -> Self {
        let precision = if rate.count() <= Self::AUTO_EXACT {
            Precision::Exact
        } else {
            Precision::Strict { slices: Self::DEFAULT_SLICES }
        };
        let algorithm = Algorithm::SlidingWindow { rate, precision };
        Self { algorithm, engine: Engine::Window(WindowSpec::new(rate, precision)) }
    }

    /// A fixed window, see [`Algorithm::FixedWindow`].
    #[must_use]
    pub fn fixed_window(rate: Rate) -> Self {
        Self { algorithm: Algorithm::FixedWindow { rate }, engine: Engine::Fixed(FixedSpec::new(rate)) }
    }

    /// A concurrency limit, see [`Algorithm::Concurrency`].
    ///
    /// # Errors
    /// When `permits` or `ttl` is outside its range.
    pub fn concurrency(permits: u32, ttl: Duration) -> Result<Self, InvalidRule> {
        let algorithm = Algorithm::Concurrency { permits, ttl };
        if permits == 0 || permits > Self::MAX_PERMITS {
            let why = format!("the permits must be 1 to {}", Self::MAX_PERMITS);
            return Err(InvalidRule::new(algorithm.to_string(), why));
        }
        if !(Rate::MIN_WINDOW..=Rate::MAX_WINDOW).contains(&ttl) || !ttl.subsec_nanos().is_multiple_of(1000) {
            let why = "the time must be 1ms to 366d in whole microseconds";
            return Err(InvalidRule::new(algorithm.to_string(), why));
        }
        Ok(Self { algorithm, engine: Engine::Permits(PermitSpec::new(permits, ttl)) })
    }

    /// The algorithm and its numbers.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The largest cost that can ever be admitted: the burst, the limit or the permits.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        match self.algorithm {
            Algorithm::TokenBucket { burst, .. } => burst,
            Algorithm::SlidingWindow { rate, .. } | Algorithm::FixedWindow { rate } => rate.count(),
            Algorithm::Concurrency { permits, .. } => permits,
        }
    }

    /// The time the limit is about: the rate's window, or a permit's longest life.
    #[must_use]
    pub fn window(&self) -> Duration {
        match self.algorithm {
            Algorithm::TokenBucket { rate, .. }
            | Algorithm::SlidingWindow { rate, .. }
            | Algorithm::FixedWindow { rate } => rate.window(),
            Algorithm::Concurrency { ttl, .. } => ttl,
        }
    }

    /// Whether requests must be admitted by `acquire` and hold a permit.
    #[must_use]
    pub fn holds_permits(&self) -> bool {
        matches!(self.algorithm, Algorithm::Concurrency { .. })
    }

    /// The same promise with one `parts`th of the numbers, each at least 1: what one of several processes may
    /// admit on its own while the shared store is away.
    #[must_use]
    pub fn divided(&self, parts: u32) -> Self {
        let part = |whole: u32| (whole / parts.max(1)).max(1);
        let divided = match self.algorithm {
            Algorithm::TokenBucket { rate, burst } => Self::token_bucket(rate.divided(parts), part(burst)),
            Algorithm::SlidingWindow { rate, precision } => {
                Self::sliding_window(rate.divided(parts), precision)
            }
            Algorithm::FixedWindow { rate } => Ok(Self::fixed_window(rate.divided(parts))),
            Algorithm::Concurrency { permits, ttl } => Self::concurrency(part(permits), ttl),
        };
        // A smaller rule of a valid one can fail only by refilling more slowly than ten years allow.
        divided.unwrap_or(*self)
    }

    /// Whether the state kept under one rule can be carried over to the other: the algorithm is the same. A policy takes no other rule.
    #[must_use]
    pub fn same_algorithm(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.algorithm) == std::mem::discriminant(&other.algorithm)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.algorithm.fmt(f)
    }
}
