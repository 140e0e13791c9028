use guardian_core::{Scope, Timestamp};

use crate::store::QuotaStore;
use crate::terms::MeterTerms;
use crate::{AtLimit, Error, FeatureName, Level, Period, Price, Quotas, Subject};

/// A line that an invoice of a period will have, as far as the ledger knows by now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvoiceLine {
    /// The meter.
    pub feature: FeatureName,
    /// What one unit is.
    pub unit: String,
    /// Who is charged: the organisation, or a subject of the level whose limit has a price.
    pub subject: Subject,
    /// The period.
    pub period: Period,
    /// What the plan includes.
    pub included: u64,
    /// What was spent.
    pub used: i128,
    /// How much of it is neither included nor paid for by grants.
    pub beyond: i128,
    /// What a unit beyond costs.
    pub price: Price,
    /// What that comes to, in millionths of the currency's minor unit.
    pub micros: i128,
}

impl InvoiceLine {
    /// What it comes to, in the currency's minor unit, half of one rounded to the even.
    #[must_use]
    pub fn minor(&self) -> i128 {
        const UNIT: i128 = 1_000_000;
        let (whole, rest) = (self.micros.div_euclid(UNIT), self.micros.rem_euclid(UNIT));
        let up = rest * 2 > UNIT || (rest * 2 == UNIT && whole.rem_euclid(2) == 1);
        whole + i128::from(up)
    }
}

impl<S: QuotaStore> Quotas<S> {
    /// The lines of the periods that a moment lies in: one for each meter whose limit has a price, and each subject of that
    /// level that spent anything. Of several levels with a price the outermost one is charged. It reads the ledgers.
    ///
    /// # Errors
    /// When the tenant has no subscription, or the store fails.
    pub async fn invoice(&self, scope: &Scope, at: Timestamp) -> Result<Vec<InvoiceLine>, Error> {
        let mut lines = Vec::new();
        for terms in self.meters(scope).await? {
            let Some(level) = priced(&terms) else { continue };
            let replay = self.replay(scope, terms.feature.as_str()).await?;
            for subject in replay.subjects().filter(|subject| subject.level() == level) {
                let own = terms.of(subject);
                let AtLimit::Overage { price, .. } = &own.limit.at_limit else { continue };
                let period = own.cycle.period_at(at);
                let used = replay.used(subject, period);
                if used == 0 {
                    continue;
                }
                let included = own.allowance(period.start);
                let beyond = replay.beyond(subject, period, included);
                lines.push(InvoiceLine {
                    feature: terms.feature.clone(),
                    unit: terms.meter.unit.clone(),
                    subject: subject.clone(),
                    period,
                    included: u64::try_from(included).unwrap_or(0),
                    used,
                    beyond,
                    price: price.clone(),
                    micros: price.of(beyond),
                });
            }
        }
        lines.sort_by(|a, b| (&a.feature, &a.subject).cmp(&(&b.feature, &b.subject)));
        Ok(lines)
    }
}

/// The outermost level whose limit has a price.
fn priced(terms: &MeterTerms) -> Option<Level> {
    let has_price = |level: &Level| {
        let limit = terms.levels.get(level.index()).and_then(Option::as_ref);
        limit.is_some_and(|own| matches!(own.limit.at_limit, AtLimit::Overage { .. }))
    };
    Level::ALL.into_iter().find(has_price)
}
