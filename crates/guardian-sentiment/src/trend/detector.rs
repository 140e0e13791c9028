use serde::{Deserialize, Serialize};

/// The shares of the largest bet that are tried side by side: small ones for small falls.
const BETS: [f64; 4] = [0.08, 0.2, 0.45, 0.8];

/// Below this much evidence there is nothing to speak of.
const SUSPICION: f64 = 6.0;
/// After this many messages under suspicion without an alarm, what is new is taken for usual.
const LONGEST: u32 = 200;

/// Evidence that the mean of values between -1 and 1 fell below a bound.
///
/// For each bet a Shiryaev-Roberts statistic: `R = (R + 1) * (1 + bet * (bound - value))`. While the mean is not below the
/// bound, each factor is at most 1 on average, so `R` less the number of values falls on average, and at the time of an alarm at
/// a threshold the number of values is on average at least the threshold. The mean of the four has the same property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Detector {
    evidence: [f64; 4],
    /// Values since the evidence was last nothing to speak of.
    messages: u32,
}

impl Detector {
    /// Takes a value in, and returns the evidence.
    pub(super) fn step(&mut self, value: f64, bound: f64) -> f64 {
        let bound = bound.clamp(-1.0, 0.99);
        for (evidence, bet) in self.evidence.iter_mut().zip(BETS) {
            let factor = 1.0 + bet * (bound - value) / (1.0 - bound);
            *evidence = ((*evidence + 1.0) * factor).clamp(0.0, 1e300);
        }
        self.messages = if self.evidence() < SUSPICION { 0 } else { self.messages.saturating_add(1) };
        self.evidence()
    }

    /// Whether what it sees may turn out to be a fall.
    pub(super) fn is_suspicious(&self) -> bool {
        (1..LONGEST).contains(&self.messages)
    }

    pub(super) fn evidence(&self) -> f64 {
        self.evidence.iter().sum::<f64>() / 4.0
    }

    /// About how many values the evidence rests on.
    pub(super) fn messages(&self) -> u32 {
        self.messages.max(1)
    }
}
