use serde::{Deserialize, Serialize};

use crate::InvalidPlan;

/// What units cost: so many millionths of the currency's minor unit for each started package of units.
///
/// ```
/// use guardian_quota::Price;
///
/// // 0.20 USD for each 1,000 calls.
/// let price = Price::new("usd", 20_000_000, 1000)?;
/// assert_eq!(price.of(2500), 60_000_000, "three packages, 60 cents");
/// # Ok::<(), guardian_quota::InvalidPlan>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The currency, three small letters of ISO 4217.
    currency: String,
    /// The price of a package, in millionths of the currency's minor unit (a cent is 1,000,000).
    micros: u64,
    /// How many units a package has.
    #[serde(default = "one")]
    per: u64,
}

fn one() -> u64 {
    1
}

impl Price {
    /// A price.
    ///
    /// # Errors
    /// When the currency is not three small letters, or a package has no unit.
    pub fn new(currency: impl Into<String>, micros: u64, per: u64) -> Result<Self, InvalidPlan> {
        let price = Self { currency: currency.into(), micros, per };
        price.check()?;
        Ok(price)
    }

    pub(crate) fn check(&self) -> Result<(), InvalidPlan> {
        if self.currency.len() != 3 || !self.currency.bytes().all(|b| b.is_ascii_lowercase()) {
            return Err(InvalidPlan::new("price", "the currency is not three small letters"));
        }
        if self.per == 0 {
            return Err(InvalidPlan::new("price", "the package has 0 units"));
        }
        Ok(())
    }

    /// The currency.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// What so many units cost, in millionths of the minor unit: started packages count. Nothing for less than one unit;
    /// it saturates beyond what 127 bits hold.
    #[must_use]
    pub fn of(&self, units: i128) -> i128 {
        let (units, per) = (units.max(0), i128::from(self.per.max(1)));
        let packages = units / per + i128::from(units % per != 0);
        packages.saturating_mul(i128::from(self.micros))
    }
}
