//! The promises of the rate limit algorithms, checked by brute force: nothing here is shared with the code that is
//! judged, and everything is written the way the promise is worded.
//!
//! A history is what one key was answered, in the order of time: nanoseconds, and whether the request was admitted.

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the suites make it")]
pub struct Answer {
    /// When, in nanoseconds.
    pub at: u64,
    /// What.
    pub admitted: bool,
}

/// A promise, with its numbers: L requests, windows of W nanoseconds.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "the suites make it")]
pub enum Promise {
    /// At most `burst` + `count`/`window` · t in every span t, and nothing denied that this would allow.
    Bucket {
        /// Requests per window.
        count: u64,
        /// The time in which they are allowed.
        window: u64,
        /// The most at once.
        burst: u64,
    },
    /// At most L in any W, and nothing denied that this would allow.
    Exact {
        /// L.
        limit: u64,
        /// W.
        window: u64,
    },
    /// At most L in any W, and nothing denied that L in any W + `slice` would allow.
    Strict {
        /// L.
        limit: u64,
        /// W.
        window: u64,
        /// The length of a slice.
        slice: u64,
    },
    /// At most L in any W - `slice`, and nothing denied that L in any W would allow.
    Lenient {
        /// L.
        limit: u64,
        /// W.
        window: u64,
        /// The length of a slice.
        slice: u64,
    },
    /// At most L from one multiple of W to the next, and nothing denied that this would allow.
    Fixed {
        /// L.
        limit: u64,
        /// W.
        window: u64,
    },
    /// At most `permits` at a time, each held for `held` unless denied, and nothing denied that this would allow.
    Concurrent {
        /// How many.
        permits: u64,
        /// How long each takes.
        held: u64,
    },
}

impl Promise {
    /// The first answer that breaks the promise, and how.
    #[must_use]
    pub fn broken_by(&self, history: &[Answer]) -> Option<(Answer, &'static str)> {
        let too_many = "admitted more than was promised";
        let too_few = "denied what was promised";
        let mut admitted: Vec<u64> = Vec::new();
        for answer in history {
            let (may_admit, may_deny) = match *self {
                Self::Bucket { count, window, burst } => {
                    let fits = bucket_fits(&admitted, answer.at, count, window, burst);
                    (fits, !fits)
                }
                Self::Exact { limit, window } => {
                    let fits = within(&admitted, answer.at, window) < limit;
                    (fits, !fits)
                }
                Self::Strict { limit, window, slice } => (
                    within(&admitted, answer.at, window) < limit,
                    within(&admitted, answer.at, window + slice) >= limit,
                ),
                Self::Lenient { limit, window, slice } => (
                    within(&admitted, answer.at, window - slice) < limit,
                    within(&admitted, answer.at, window) >= limit,
                ),
                Self::Fixed { limit, window } => {
                    let fits = within(&admitted, answer.at, answer.at % window + 1) < limit;
                    (fits, !fits)
                }
                Self::Concurrent { permits, held } => {
                    let fits = within(&admitted, answer.at, held) < permits;
                    (fits, !fits)
                }
            };
            match answer.admitted {
                true if !may_admit => return Some((*answer, too_many)),
                false if !may_deny => return Some((*answer, too_few)),
                true => admitted.push(answer.at),
                false => {}
            }
        }
        None
    }
}

/// How many were admitted in the `window` that ends with `at`, whose beginning does not belong to it.
fn within(admitted: &[u64], at: u64, window: u64) -> u64 {
    admitted.iter().filter(|time| **time + window > at).count() as u64
}

/// Whether one more at `at` keeps every span that ends there below burst + rate · t.
fn bucket_fits(admitted: &[u64], at: u64, count: u64, window: u64, burst: u64) -> bool {
    let ends_here = admitted.iter().rev().zip(2_u128..);
    // The span from a request to this one holds both and all between; n ≤ burst + count · t / window.
    ends_here.map(|(from, in_span)| (at - from, in_span)).chain([(0, 1)]).all(|(span, in_span)| {
        in_span * u128::from(window)
            <= u128::from(burst) * u128::from(window) + u128::from(count) * u128::from(span)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(answers: &[(u64, bool)]) -> Vec<Answer> {
        answers.iter().map(|&(at, admitted)| Answer { at, admitted }).collect()
    }

    #[test]
    fn each_promise_is_broken_by_too_many_and_by_too_few() {
        let (limit, window, slice) = (2, 100, 10);
        let promises = [
            (Promise::Exact { limit, window }, 199, 200),
            (Promise::Strict { limit, window, slice }, 199, 210),
            (Promise::Lenient { limit, window, slice }, 189, 200),
            (Promise::Fixed { limit, window }, 199, 200),
            (Promise::Concurrent { permits: limit, held: window }, 199, 200),
            (Promise::Bucket { count: 1, window, burst: limit }, 199, 200),
        ];
        for (promise, last_full, first_free) in promises {
            let after =
                |at, admitted| promise.broken_by(&history(&[(100, true), (100, true), (at, admitted)]));
            assert_eq!(after(first_free, true), None, "{promise:?}");
            assert_eq!(after(last_full, false), None, "{promise:?}");
            assert!(after(last_full, true).is_some_and(|(_, how)| how.contains("more")), "{promise:?}");
            assert!(after(first_free, false).is_some_and(|(_, how)| how.contains("denied")), "{promise:?}");
        }
    }
}
