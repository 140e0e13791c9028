//! A counter's state as it is stored, the same on both databases:
//!
//! ```text
//! b<n>:<w>:<u>:<f>                                            token bucket: full again at u + f/n; a token takes w/n
//! f<end>:<window>:<count>                                     fixed window
//! w<precision>:<window>:<slice>:<total>:<stamp>:<count>:...   sliding window, oldest first
//! ```
//!
//! All times are whole microseconds since 1970.

use std::fmt;

use super::counter::Keeping;

/// What a stored number is below: ten digits more than a time has, and nothing overflows.
const MAX_DIGITS: usize = 18;
/// The most numbers of a state: two for each entry of an exact window, doubled.
const MAX_NUMBERS: usize = 8_192;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Bucket { per: i64, micros: i64, full_at: i64, fraction: i64 },
    Fixed { ends: i64, window: i64, count: i64 },
    Window { keeping: Keeping, total: i64, entries: Vec<(i64, i64)> },
}

/// A state that was not written by this store, or by a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

impl State {
    pub(super) fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut letters = text.chars();
        let kind = letters.next();
        let numbers = letters.as_str().split(':').map(number).take(MAX_NUMBERS + 1);
        let numbers: Vec<i64> = numbers.collect::<Result<_, _>>()?;
        match (kind, numbers.as_slice()) {
            (Some('b'), &[per, micros, full_at, fraction]) if micros > 0 && fraction < per => {
                Ok(Self::Bucket { per, micros, full_at, fraction })
            }
            (Some('f'), &[ends, window, count]) if window > 0 => Ok(Self::Fixed { ends, window, count }),
            (Some('w'), &[precision, window, slice, total, ref log @ ..])
                if precision <= 2 && window > 0 && numbers.len() <= MAX_NUMBERS =>
            {
                let (pairs, rest) = log.as_chunks::<2>();
                let entries: Vec<(i64, i64)> = pairs.iter().map(|[stamp, count]| (*stamp, *count)).collect();
                // A sum of some thousand numbers of 18 digits fits 64 bits only just; 128 are safe.
                let sum: i128 = entries.iter().map(|(_, count)| i128::from(*count)).sum();
                if !rest.is_empty() || sum != i128::from(total) {
                    return Err(Unreadable);
                }
                Ok(Self::Window { keeping: Keeping { precision, window, slice }, total, entries })
            }
            _ => Err(Unreadable),
        }
    }

    /// From when on it says nothing any more.
    pub(super) fn expires_at(&self) -> i64 {
        match self {
            Self::Bucket { full_at, .. } => full_at.saturating_add(1),
            Self::Fixed { ends, .. } => *ends,
            Self::Window { keeping, entries, .. } => {
                entries.last().map_or(0, |(stamp, _)| keeping.leaves_at(*stamp))
            }
        }
    }
}

fn number(text: &str) -> Result<i64, Unreadable> {
    if text.is_empty() || text.len() > MAX_DIGITS || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Unreadable);
    }
    text.parse().map_err(|_error| Unreadable)
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket { per, micros, full_at, fraction } => {
                write!(f, "b{per}:{micros}:{full_at}:{fraction}")
            }
            Self::Fixed { ends, window, count } => write!(f, "f{ends}:{window}:{count}"),
            Self::Window { keeping: Keeping { precision, window, slice }, total, entries } => {
                write!(f, "w{precision}:{window}:{slice}:{total}")?;
                entries.iter().try_for_each(|(stamp, count)| write!(f, ":{stamp}:{count}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_is_too_much_and_what_reads_is_written_the_same(text in "[bfwx]?[0-9:]{0,40}") {
            if let Ok(state) = State::parse(&text) {
                // Leading zeros aside, which nobody writes.
                prop_assert_eq!(State::parse(&state.to_string()), Ok(state));
            }
        }

        #[test]
        fn a_window_is_read_as_it_was_written(
            entries in prop::collection::vec((0..2_000_000_000_000_000_i64, 1..1_000_000_000_i64), 0..100),
            precision in 0..3_i64,
        ) {
            let total = entries.iter().map(|(_, count)| count).sum();
            let keeping = Keeping { precision, window: 60_000_000, slice: 1_000_000 };
            let state = State::Window { keeping, total, entries };
            prop_assert_eq!(State::parse(&state.to_string()), Ok(state));
        }
    }

    #[test]
    fn what_was_not_written_here_is_unreadable() {
        for text in [
            "",
            "b",
            "x1:2",
            "b1:2:3",
            "b1:2:3:1",
            "b0:1:1:0",
            "b1:0:1:0",
            "b1:1:-1:0",
            "f1:0:1",
            "f1:2",
            "w0:1:0",
            "w3:1:0:0",
            "w0:1:0:1",
            "w0:1:0:1:5",
            "w0:1:0:1:5:2",
            "b1:1:1000000000000000000:0",
            "é",
            "b1:1:1:0:",
        ] {
            assert_eq!(State::parse(text), Err(Unreadable), "{text}");
        }
    }
}
