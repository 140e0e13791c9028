use guardian_core::Timestamp;

use super::after_days;

/// When something will be used up, as the days before let one expect.
///
/// Days are taken as independent draws of one distribution. The number of days until their sum passes what is left is, for
/// enough days, normally distributed around `left / mean` with the variance `left * variance / mean^3` (the central limit
/// theorem of renewal processes: W. Feller, "An Introduction to Probability Theory", volume 2, section XI.5); that the mean is
/// estimated from a few days adds `left^2 * variance / (days * mean^4)`. The interval is the middle 90 per cent. Weekends and
/// trends are not modelled: they widen the interval.
///
/// ```
/// use guardian_quota::analytics::Forecast;
///
/// let now = "2026-03-10T00:00:00Z".parse()?;
/// let forecast = Forecast::of(&[90, 110, 100, 95, 105], 1000, now, None).ok_or("too few days")?;
/// assert_eq!(forecast.exhausted.map(|at| at.to_rfc3339()), Some("2026-03-20T00:00:00+00:00".to_owned()));
/// assert!(forecast.earliest < forecast.exhausted && forecast.exhausted < forecast.latest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Forecast {
    /// The mean of the days, in units a day.
    pub per_day: f64,
    /// When it is used up, at the mean; `None` when nothing is used, or for a century.
    pub exhausted: Option<Timestamp>,
    /// The beginning of the interval.
    pub earliest: Option<Timestamp>,
    /// Its end; `None` for open.
    pub latest: Option<Timestamp>,
    /// Whether usage starts anew before that, at the mean.
    pub resets_first: bool,
}

impl Forecast {
    /// Of the use of whole days, what is left, and when usage starts anew. `None` for fewer than three days.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "statistics, and days are few")]
    pub fn of(days: &[i128], left: i128, now: Timestamp, resets: Option<Timestamp>) -> Option<Self> {
        /// Of the standard normal distribution, so much lies below.
        const NINETY_FIVE: f64 = 1.645;
        if days.len() < 3 {
            return None;
        }
        let count = days.len() as f64;
        let mean = days.iter().map(|day| *day as f64).sum::<f64>() / count;
        let left = left.max(0) as f64;
        if mean <= 0.0 {
            return Some(Self {
                per_day: mean,
                exhausted: None,
                earliest: None,
                latest: None,
                resets_first: true,
            });
        }
        let variance = days.iter().map(|day| (*day as f64 - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let expected = left / mean;
        let spread =
            (left * variance / mean.powi(3) + left.powi(2) * variance / (count * mean.powi(4))).sqrt();
        let exhausted = after_days(now, expected);
        Some(Self {
            per_day: mean,
            exhausted,
            earliest: after_days(now, (expected - NINETY_FIVE * spread).max(0.0)),
            latest: after_days(now, expected + NINETY_FIVE * spread),
            resets_first: match (exhausted, resets) {
                (Some(exhausted), Some(resets)) => resets <= exhausted,
                (None, Some(_)) => true,
                (_, None) => false,
            },
        })
    }
}
