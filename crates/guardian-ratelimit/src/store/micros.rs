//! What the stores behind a network share: rules in whole microseconds, in which their servers count, and decisions from
//! the whole numbers that come back.

use std::time::Duration;

use guardian_core::MonoTime;

use super::Item;
use crate::reading::Reading;
use crate::rule::Engine;
use crate::{Algorithm, Precision, Rate, Rule};

/// How long one token takes: `micros / per` microseconds, in lowest terms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) per: u64,
    pub(super) micros: u64,
}

/// A time in whole microseconds and a numerator over a token's `per`.
#[cfg(feature = "redis")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) whole: u64,
    pub(super) fraction: u64,
}

impl Token {
    pub(super) fn new(rate: Rate) -> Self {
        let (count, window) = (u64::from(rate.count()), rate.window_micros());
        let common = gcd(count, window);
        Self { per: count / common, micros: window / common }
    }

    /// INVARIANT: a bucket fills in at most ten years, so `whole` of a cost within it stays below 2^49; of a
    /// refund above it, it is capped where scripts still count exactly, which empties any debt.
    #[cfg(feature = "redis")]
    pub(super) fn times(&self, tokens: u32) -> Share {
        let product = u128::from(tokens) * u128::from(self.micros);
        let per = u128::from(self.per.max(1));
        Share {
            whole: u64::try_from(product / per).unwrap_or(u64::MAX).min(1 << 52),
            fraction: u64::try_from(product % per).unwrap_or(0),
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// How long ago `earlier` was, in whole microseconds of its clock.
pub(super) fn age(now: MonoTime, earlier: MonoTime) -> u64 {
    (now.as_nanos() / 1000).saturating_sub(earlier.as_nanos() / 1000)
}

/// How the servers tell precisions apart.
pub(super) fn precision_number(precision: Precision) -> u32 {
    match precision {
        Precision::Exact => 0,
        Precision::Strict { .. } => 1,
        Precision::Lenient { .. } => 2,
    }
}

/// The length of a sliding window's slice; 0 where there is none.
pub(super) fn slice(rule: &Rule) -> u64 {
    match &rule.engine {
        Engine::Window(spec) => spec.slice_nanos() / 1000,
        _ => 0,
    }
}

/// What a limit says, from the whole numbers that the store computed. Times are rounded up, so that waiting as
/// long is enough.
pub(super) fn reading(item: &Item<'_>, [admits, a, b, c]: [i64; 4]) -> Reading {
    let (admits, limit) = (admits == 1, item.rule.capacity());
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    if let Algorithm::TokenBucket { rate, burst } = item.rule.algorithm() {
        let token = Token::new(rate);
        return bucket_reading(&token, admits, burst, item.cost, (whole(a), whole(b)));
    }
    let nanos = |micros: i64| whole(micros).saturating_mul(1000);
    let used = whole(a).saturating_add(if admits { u64::from(item.cost) } else { 0 });
    let wait = if b < 0 { Reading::NEVER } else { nanos(b) };
    Reading::new(admits, limit, u64::from(limit).saturating_sub(used), wait, nanos(c))
}

/// In units of 1/per microseconds everything is whole.
fn bucket_reading(token: &Token, admits: bool, burst: u32, cost: u32, debt: (u64, u64)) -> Reading {
    let (per, unit) = (u128::from(token.per.max(1)), u128::from(token.micros.max(1)));
    let debt = u128::from(debt.0) * per + u128::from(debt.1);
    let (most, after) = (u128::from(burst) * unit, debt + u128::from(cost) * unit);
    let nanos = |units: u128| u64::try_from(units.div_ceil(per) * 1000).unwrap_or(Reading::NEVER - 1);
    let (left, wait, reset) = if admits {
        (most.saturating_sub(after), 0, nanos(after))
    } else if cost > burst {
        (most.saturating_sub(debt), Reading::NEVER, nanos(debt))
    } else {
        (most.saturating_sub(debt), nanos(after.saturating_sub(most)), nanos(debt))
    };
    let remaining = u64::try_from(left / unit).unwrap_or(u64::MAX);
    Reading::new(admits, burst, remaining, wait, reset)
}
