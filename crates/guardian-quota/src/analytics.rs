//! Analytics: usage over time, who uses most, when it will be used up, and everything as a file.

use std::collections::{BTreeMap, BTreeSet};

use guardian_core::{Scope, Timestamp};

use crate::entry::{Entry, EntryKind};
use crate::store::QuotaStore;
use crate::{Aggregation, Cadence, Error, FeatureName, Level, Period, Quotas, Subject};

mod export;
mod forecast;

pub use export::ExportFormat;
pub use forecast::Forecast;

/// Usage in one step of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsagePoint {
    /// The step.
    pub period: Period,
    /// What was spent in it, aggregated as the meter says.
    pub amount: i128,
}

/// The most steps of a series.
pub const MAX_POINTS: usize = 10_000;

#[derive(Debug, Default)]
struct Step {
    sum: i128,
    max: i128,
    latest: Option<(i64, u64, i128)>,
    values: BTreeSet<u128>,
}

impl Step {
    fn add(&mut self, entry: &Entry) {
        self.sum += entry.amount;
        self.max = self.max.max(entry.amount);
        let latest = (entry.at, entry.seq, entry.amount);
        self.latest = Some(self.latest.map_or(latest, |before| before.max(latest)));
        self.values.extend(entry.value());
    }

    fn amount(&self, how: Aggregation) -> i128 {
        match how {
            Aggregation::Count | Aggregation::Sum => self.sum,
            Aggregation::Max => self.max,
            Aggregation::Unique => i128::try_from(self.values.len()).unwrap_or(i128::MAX),
            Aggregation::Latest => self.latest.map_or(0, |(_, _, amount)| amount),
        }
    }
}

/// Whether an entry is use, and not the lifting of a limit.
fn is_use(entry: &Entry) -> bool {
    entry.kind().is_spending() && entry.kind() != EntryKind::Reset
}

impl<S: QuotaStore> Quotas<S> {
    /// What a subject and those below it spent, step by step: by the moment at which it happened, steps without use included.
    /// Steps are those of the tenant's subscription, so that days begin at midnight of its zone. It reads the ledger.
    ///
    /// # Errors
    /// When the steps are more than [`MAX_POINTS`], the tenant has no subscription, its plan lacks the meter, or the store
    /// fails.
    pub async fn usage(
        &self,
        scope: &Scope,
        feature: &str,
        subject: &Subject,
        span: Period,
        step: Cadence,
    ) -> Result<Vec<UsagePoint>, Error> {
        let feature = FeatureName::new(feature)?;
        let terms = self.meter(scope, &feature).await?;
        let subscription = self.subscription(scope).await?;
        let subscription = subscription.ok_or_else(|| Error::NoSubscription(scope.tenant().to_string()))?;
        step.check()?;
        if matches!(step, Cadence::Rolling(_) | Cadence::Lifetime) {
            return Err(Error::range("the step", "one that ends: days, weeks, months, years"));
        }
        // On midnights, not on the time of day at which the subscription began.
        let zone = subscription.zone;
        let anchor = subscription.anchor.timestamp_micros();
        let local = anchor + crate::calendar::offset_at(zone, anchor);
        let midnight = local.div_euclid(crate::calendar::DAY) * crate::calendar::DAY;
        let anchor = crate::period::moment(crate::calendar::moment_of(zone, midnight));
        let cycle = crate::Cycle::of(step, anchor, zone);
        let (first, last) = (
            cycle.number_at(span.start()),
            cycle.number_at(crate::period::moment(span.end.saturating_sub(1))),
        );
        let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        if count > MAX_POINTS {
            return Err(Error::range("the number of steps", "at most 10000"));
        }
        let mut steps: BTreeMap<i64, Step> = (first..=last).map(|number| (number, Step::default())).collect();
        self.each_entry(scope, &feature, |entry| {
            if is_use(entry)
                && span.has(entry.at)
                && subject.contains(entry.subject())
                && let Some(step) = steps.get_mut(&cycle.number_at(entry.at()))
            {
                step.add(entry);
            }
        })
        .await?;
        let how = terms.meter.aggregation;
        let point = |(number, step): (i64, Step)| {
            Some(UsagePoint { period: cycle.period(number)?, amount: step.amount(how) })
        };
        Ok(steps.into_iter().filter_map(point).collect())
    }

    /// Who spent most in a span of time, of one level: at most `limit` subjects, the first one first. It reads the ledger.
    ///
    /// # Errors
    /// When the tenant has no subscription, its plan lacks the meter, or the store fails.
    pub async fn top(
        &self,
        scope: &Scope,
        feature: &str,
        level: Level,
        span: Period,
        limit: usize,
    ) -> Result<Vec<(Subject, i128)>, Error> {
        let feature = FeatureName::new(feature)?;
        let how = self.meter(scope, &feature).await?.meter.aggregation;
        let mut sums: BTreeMap<Subject, Step> = BTreeMap::new();
        self.each_entry(scope, &feature, |entry| {
            if is_use(entry)
                && span.has(entry.at)
                && let Some(subject) = entry.subject().at(level)
            {
                sums.entry(subject).or_default().add(entry);
            }
        })
        .await?;
        let mut top: Vec<(Subject, i128)> =
            sums.into_iter().map(|(subject, step)| (subject, step.amount(how))).collect();
        top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        top.truncate(limit);
        Ok(top)
    }

    /// When a subject will have used up what it has now, by the days before today. `None` when nothing limits it or it does not
    /// add up, or there are not three whole days to go by.
    ///
    /// # Errors
    /// When the tenant has no subscription, its plan lacks the meter, or the store fails.
    pub async fn forecast(
        &self,
        scope: &Scope,
        feature: &str,
        subject: &Subject,
    ) -> Result<Option<Forecast>, Error> {
        const DAYS: i64 = 28;
        let balance = self.balance(scope, feature, subject).await?;
        let terms = self.meter(scope, &balance.feature).await?;
        let (Some(limit), true) = (balance.limit, terms.meter.aggregation.adds_up()) else { return Ok(None) };
        let now = self.now();
        let span = Period::new(now - chrono::TimeDelta::days(DAYS + 1), now);
        let points = self.usage(scope, feature, subject, span, Cadence::Day).await?;
        // Today is not over, and the first day was cut; and what was before the first use says nothing.
        let whole: Vec<i128> = points.iter().map(|point| point.amount).collect();
        let whole = whole.get(1..whole.len().saturating_sub(1)).unwrap_or(&[]);
        let begun = whole.iter().position(|amount| *amount != 0).unwrap_or(whole.len());
        let granted: i128 = balance.grants.iter().map(|grant| grant.left).sum();
        let left = balance.remaining.unwrap_or_else(|| (i128::from(limit) - balance.used).max(0) + granted);
        Ok(Forecast::of(whole.get(begun..).unwrap_or(&[]), left, now, balance.resets_at))
    }

    pub(crate) async fn each_entry(
        &self,
        scope: &Scope,
        feature: &FeatureName,
        mut see: impl FnMut(&Entry),
    ) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let entries = self.store().entries(scope, feature, after, crate::quotas::MAX_ENTRIES).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            after = last.seq();
            entries.iter().for_each(&mut see);
        }
    }
}

/// A moment so many days after another; `None` beyond the calendar.
fn after_days(now: Timestamp, days: f64) -> Option<Timestamp> {
    const MOST: f64 = 36_500.0;
    if !(0.0..=MOST).contains(&days) {
        return None;
    }
    let seconds = std::time::Duration::try_from_secs_f64(days * 86_400.0).ok()?;
    now.checked_add_signed(chrono::TimeDelta::from_std(seconds).ok()?)
}
