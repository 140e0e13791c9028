//! The grid on which a token bucket counts time, chosen so that its rate is exact.

/// A rational time scale: `ticks = floor(nanoseconds · num / den)`.
///
/// A rate of *n* in a window of *w* nanoseconds lets one request pass every *w / n* nanoseconds, which is seldom
/// a whole number (7 per second is one every 142 857 142.857… ns). Rounding it would make the limit drift by
/// up to *n* ns a second, so the bucket counts in ticks of which one request takes a whole number. A tick
/// is at most one nanosecond long, and the conversion is computed from zero each time: nothing accumulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    num: u64,
    den: u64,
    /// `num / den`, whole part.
    whole: u64,
    /// `num / den`, fractional part in units of 2⁻⁶⁴, rounded down.
    fraction: u64,
}

/// Ticks per nanosecond stay near this, so that 64 bits of ticks last until the year 2116.
const MAX_TICKS_PER_NANO: u64 = 4;

impl Grid {
    /// The grid for `count` requests in `window` nanoseconds, and how many ticks one request takes.
    ///
    /// INVARIANT: `1 <= count <= window`, which `Rate` guarantees.
    pub(crate) fn for_rate(count: u64, window: u64) -> (Self, u64) {
        let common = gcd(count, window);
        let (count, window) = (count / common, window / common);
        // One request takes window / count ns: with `count` ticks to the nanosecond it takes `window` ticks.
        if count <= MAX_TICKS_PER_NANO {
            return (Self::new(count, 1), window);
        }
        // Otherwise a request takes `per_token` ticks, as many as keep a tick near a quarter nanosecond.
        let per_token = (MAX_TICKS_PER_NANO * window / count).max(1);
        let (num, den) = (u128::from(per_token) * u128::from(count), u128::from(window));
        let common = gcd_wide(num, den);
        // num / den <= 4 and den <= window, so both fit once reduced.
        let narrow = |wide: u128| u64::try_from(wide).unwrap_or(u64::MAX);
        (Self::new(narrow(num / common), narrow(den / common)), per_token)
    }

    pub(crate) fn new(num: u64, den: u64) -> Self {
        if den == 1 {
            return Self { num, den, whole: num, fraction: 0 };
        }
        let rest = u128::from(num % den) << 64;
        let fraction = u64::try_from(rest / u128::from(den)).unwrap_or(u64::MAX);
        Self { num, den, whole: num / den, fraction }
    }

    /// The last tick at or before a moment. Saturates at the end of the scale.
    #[inline(always)]
    pub(crate) fn ticks(&self, nanos: u64) -> u64 {
        if self.is_plain() {
            return nanos;
        }
        let whole = nanos.saturating_mul(self.whole);
        if self.fraction == 0 {
            return whole;
        }
        // The product with the rounded-down fraction is the true quotient or one less; the remainder tells.
        let estimate = whole.saturating_add(high_half(nanos, self.fraction));
        let rest = nanos.wrapping_mul(self.num).wrapping_sub(estimate.wrapping_mul(self.den));
        estimate.saturating_add(u64::from(rest >= self.den))
    }

    /// [`nanos_for`] on this grid; usually one tick is one nanosecond.
    #[inline(always)]
    pub(crate) fn nanos_for(&self, ticks: u64) -> u64 {
        if self.is_plain() { ticks } else { nanos_for(ticks, self.num, self.den) }
    }

    /// Whether a tick is a nanosecond, as it is for most rates that people write.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.num == self.den
    }

    #[inline(always)]
    pub(crate) fn ratio(&self) -> (u64, u64) {
        (self.num, self.den)
    }
}

/// The shortest time after which at least `ticks` ticks have passed, whenever it starts:
/// `ceil(ticks · den / num)` nanoseconds. Saturates.
pub(crate) fn nanos_for(ticks: u64, num: u64, den: u64) -> u64 {
    let nanos = (u128::from(ticks) * u128::from(den)).div_ceil(u128::from(num.max(1)));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// The upper 64 bits of a product.
#[inline(always)]
pub(crate) fn high_half(a: u64, b: u64) -> u64 {
    high_word(u128::from(a) * u128::from(b))
}

/// The lower 64 of 128 bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "that is the point")]
pub(crate) fn low_word(wide: u128) -> u64 {
    wide as u64
}

/// The upper 64 of 128 bits.
#[inline(always)]
pub(crate) fn high_word(wide: u128) -> u64 {
    (wide >> 64) as u64
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

fn gcd_wide(a: u128, b: u128) -> u128 {
    if b == 0 { a.max(1) } else { gcd_wide(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const YEAR_2100: u64 = 4_102_444_800_000_000_000;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200_000))]

        #[test]
        fn ticks_are_the_exact_floor_and_a_request_takes_exactly_its_share(
            window in 1_000_000u64..31_622_400_000_000_000,
            share in 0.0f64..1.0,
            nanos in 0..YEAR_2100,
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "test input")]
            let count = ((1_000_000_000u64.min(window) as f64).powf(share) as u64).max(1);
            let (grid, per_token) = Grid::for_rate(count, window);
            let exact = u128::from(nanos) * u128::from(grid.num) / u128::from(grid.den);
            prop_assert_eq!(u128::from(grid.ticks(nanos)), exact);
            // count requests take exactly one window: per_token · count ticks == window ns · num / den.
            prop_assert_eq!(
                u128::from(per_token) * u128::from(count) * u128::from(grid.den),
                u128::from(window) * u128::from(grid.num)
            );
            // A tick is never longer than a nanosecond.
            prop_assert!(grid.num >= grid.den);
        }

        #[test]
        fn the_way_back_is_long_enough(count in 1u64..1_000_000, start in 0..YEAR_2100, ticks in 0u64..1 << 60) {
            let (grid, _) = Grid::for_rate(count, 1_000_000_000);
            let wait = nanos_for(ticks, grid.num, grid.den);
            prop_assert!(grid.ticks(start.saturating_add(wait)) >= grid.ticks(start) + ticks);
        }
    }
}
