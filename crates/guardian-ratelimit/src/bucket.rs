//! The token bucket, decided by GCRA: one number a key.

use crate::Rate;
use crate::grid::{self, Grid};
use crate::reading::Reading;

/// A token bucket's numbers, in ticks of its grid.
///
/// The state of a key is its theoretical arrival time (TAT): the tick at which the bucket is full again. A key
/// without state and a key whose TAT lies in the past are the same: a full bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    grid: Grid,
    per_token: u64,
    /// How far the TAT may lie ahead: the whole bucket.
    tolerance: u64,
    burst: u32,
}

/// What a stored TAT is counted in. A TAT means something only together with these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Units {
    grid: Grid,
    per_token: u64,
}

impl Bucket {
    /// INVARIANT: `burst · window / count` is at most ten years, which `Rule` guarantees; so no product below
    /// leaves 64 bits.
    pub(crate) fn new(rate: Rate, burst: u32) -> Self {
        let (grid, per_token) = Grid::for_rate(u64::from(rate.count()), rate.window_nanos());
        Self { grid, per_token, tolerance: per_token.saturating_mul(u64::from(burst)), burst }
    }

    /// Whether a TAT in these units means the same to this bucket.
    #[inline(always)]
    pub(crate) fn counts_in(&self, units: &PackedUnits) -> bool {
        self.per_token == units.per_token && self.grid.ratio() == (units.num, units.den)
    }

    #[inline]
    pub(crate) fn units(&self) -> Units {
        Units { grid: self.grid, per_token: self.per_token }
    }

    #[inline(always)]
    pub(crate) fn ticks(&self, nanos: u64) -> u64 {
        self.grid.ticks(nanos)
    }

    /// Whether a tick is a nanosecond, as it is for most rates that people write.
    #[inline(always)]
    pub(crate) fn is_in_nanos(&self) -> bool {
        self.grid.is_plain()
    }

    /// Whether a request of `cost` passes at tick `now`, and the TAT if it does.
    #[inline(always)]
    pub(crate) fn decide(&self, tat: u64, now: u64, cost: u32) -> (Reading, Option<u64>) {
        let (debt, after) = self.debts(tat, now, cost);
        if after <= self.tolerance {
            let reset = self.grid.nanos_for(after);
            return (self.reading(true, after, 0, reset), Some(now.saturating_add(after)));
        }
        let never = cost > self.burst;
        let wait = if never { Reading::NEVER } else { self.grid.nanos_for(after - self.tolerance) };
        (self.reading(false, debt, wait, self.grid.nanos_for(debt)), None)
    }

    /// The burst, the ticks of a token and of the whole bucket.
    pub(crate) fn numbers(&self) -> (u32, u64, u64) {
        (self.burst, self.per_token, self.tolerance)
    }

    /// What the bucket lacks, and what it would lack after a request of `cost`.
    #[inline(always)]
    fn debts(&self, tat: u64, now: u64, cost: u32) -> (u64, u64) {
        let debt = tat.saturating_sub(now);
        // The invariant keeps the price of what the bucket can hold below 2⁶²; whatever costs more saturates, which is
        // more than the bucket too. A debt is no more than some rule's whole bucket.
        (debt, debt.saturating_add(self.per_token.saturating_mul(u64::from(cost))))
    }

    #[inline(always)]
    fn reading(&self, admits: bool, debt: u64, wait: u64, reset: u64) -> Reading {
        let (limit, unit) = (self.burst, self.per_token);
        Reading { admits, limit, room: self.tolerance.saturating_sub(debt), unit, wait, reset }
    }

    /// The TAT after what was charged at `at` is put back, as far as it has not refilled since (nanoseconds): a token
    /// given back twice, by time and by a refund, would admit more than the bucket's promise.
    pub(crate) fn put_back(&self, tat: u64, at: u64, now: u64, cost: u32) -> u64 {
        let charged = self.per_token.saturating_mul(u64::from(cost));
        let refilled = self.ticks(now).saturating_sub(self.ticks(at));
        tat.saturating_sub(charged.saturating_sub(refilled))
    }
}

/// [`Units`] in the 24 bytes that tell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PackedUnits {
    per_token: u64,
    num: u64,
    den: u64,
}

impl PackedUnits {
    pub(crate) fn unpacked(&self) -> Units {
        Units { grid: Grid::new(self.num, self.den.max(1)), per_token: self.per_token }
    }

    pub(crate) fn nanos_for(&self, ticks: u64) -> u64 {
        grid::nanos_for(ticks, self.num, self.den)
    }
}

impl Units {
    pub(crate) fn packed(&self) -> PackedUnits {
        let (num, den) = self.grid.ratio();
        PackedUnits { per_token: self.per_token, num, den }
    }

    #[inline(always)]
    pub(crate) fn ticks(&self, nanos: u64) -> u64 {
        self.grid.ticks(nanos)
    }

    /// The TAT in other units that stands for the same number of tokens taken, rounded up by less than a tick.
    ///
    /// Tokens are kept rather than time: raising a tenant's limit helps at once, and lowering it does not
    /// hand out what was spent.
    pub(crate) fn convert(&self, tat: u64, nanos: u64, to: &Self) -> u64 {
        let taken = u128::from(tat.saturating_sub(self.ticks(nanos)));
        let scaled = (taken * u128::from(to.per_token)).div_ceil(u128::from(self.per_token.max(1)));
        to.ticks(nanos).saturating_add(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}
