//! How an endpoint does: the circuit breaker, and when it is given up. A pure machine that every store keeps in the row of the
//! endpoint's queue, so that all workers see one breaker.

use std::time::Duration;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::time::{after, between};

/// When the breaker opens and closes, and when an endpoint is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthRules {
    /// So many failures in a row open the breaker; 5 by default.
    pub failures: u32,
    /// How long it stays open at first; 30 seconds by default. Each probe that fails doubles it.
    pub open: Duration,
    /// The longest time that it stays open; 10 minutes by default.
    pub max_open: Duration,
    /// An endpoint that only failed for so long is disabled; 5 days by default. `None` for never.
    pub disable_after: Option<Duration>,
}

impl Default for HealthRules {
    fn default() -> Self {
        Self {
            failures: 5,
            open: Duration::from_secs(30),
            max_open: Duration::from_secs(600),
            disable_after: Some(Duration::from_secs(5 * 86_400)),
        }
    }
}

impl HealthRules {
    /// With another number of failures in a row that opens the breaker.
    ///
    /// # Errors
    /// When it is zero.
    pub fn with_failures(mut self, failures: u32) -> Result<Self, Error> {
        if failures == 0 {
            return Err(Error::Setting { why: "the breaker opens after at least one failure".to_owned() });
        }
        self.failures = failures;
        Ok(self)
    }

    /// With other times that it stays open: at first, and at most.
    #[must_use]
    pub fn with_open(mut self, first: Duration, most: Duration) -> Self {
        (self.open, self.max_open) = (first, most.max(first));
        self
    }

    /// With another time after which an endpoint that only fails is disabled.
    #[must_use]
    pub fn with_disable_after(mut self, span: Option<Duration>) -> Self {
        self.disable_after = span;
        self
    }
}

/// How an endpoint does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// Failures since the last success.
    #[serde(default)]
    pub failures: u32,
    /// When the first of them was.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
    /// Until when the breaker is open; after that one attempt at a time is let through until one succeeds.
    #[serde(default)]
    pub open_until: Option<Timestamp>,
    /// How often it opened since the last success.
    #[serde(default)]
    pub openings: u32,
}

/// What the breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Breaker {
    /// Everything.
    Closed,
    /// Nothing until then.
    Open(Timestamp),
    /// One attempt, to see.
    HalfOpen,
}

/// What an attempt changed for its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthChange {
    /// The breaker opened, or opened again after a probe failed: nothing is sent until then.
    Opened(Timestamp),
    /// The endpoint succeeded and the breaker closed.
    Closed,
    /// It has only failed for longer than the rules allow.
    GiveUp,
}

impl Health {
    /// What the breaker lets through.
    #[must_use]
    pub fn breaker(&self, now: Timestamp) -> Breaker {
        match self.open_until {
            None => Breaker::Closed,
            Some(until) if now < until => Breaker::Open(until),
            Some(_) => Breaker::HalfOpen,
        }
    }

    /// Takes in how an attempt ended.
    pub fn record(&mut self, success: bool, now: Timestamp, rules: &HealthRules) -> Option<HealthChange> {
        if success {
            let was_open = self.open_until.is_some();
            *self = Self::default();
            return was_open.then_some(HealthChange::Closed);
        }
        let breaker = self.breaker(now);
        self.failures = self.failures.saturating_add(1);
        let since = *self.failing_since.get_or_insert(now);
        // Attempts that were under way when it opened change nothing.
        let opens = match breaker {
            Breaker::Closed => self.failures >= rules.failures,
            Breaker::HalfOpen => true,
            Breaker::Open(_) => false,
        };
        if opens {
            let span = rules.open.saturating_mul(1 << self.openings.min(16)).min(rules.max_open);
            self.openings = self.openings.saturating_add(1);
            self.open_until = Some(after(now, span));
        }
        let give_up = rules.disable_after.is_some_and(|span| between(since, now) >= span);
        match (give_up, opens, self.open_until) {
            (true, ..) => Some(HealthChange::GiveUp),
            (false, true, Some(until)) => Some(HealthChange::Opened(until)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn the_breaker_opens_probes_and_closes() {
        let rules = HealthRules::default();
        let mut health = Health::default();
        for _ in 0..4 {
            assert_eq!(health.record(false, at(0), &rules), None);
        }
        assert_eq!(health.record(false, at(0), &rules), Some(HealthChange::Opened(at(30))));
        assert_eq!(health.record(false, at(1), &rules), None, "an attempt that was under way");
        assert_eq!(health.breaker(at(29)), Breaker::Open(at(30)));
        assert_eq!(health.breaker(at(30)), Breaker::HalfOpen);
        assert_eq!(health.record(false, at(31), &rules), Some(HealthChange::Opened(at(91))));
        assert_eq!(health.record(true, at(92), &rules), Some(HealthChange::Closed));
        assert_eq!(health, Health::default());
    }

    #[test]
    fn the_time_open_grows_to_its_bound_and_the_endpoint_is_given_up() {
        let rules = HealthRules::default().with_failures(1).unwrap();
        let (mut health, mut now) = (Health::default(), 0);
        let mut spans = Vec::new();
        while now < 5 * 86_400 {
            match health.record(false, at(now), &rules) {
                Some(HealthChange::Opened(until)) => {
                    spans.push((until - at(now)).num_seconds());
                    now += spans.last().unwrap();
                }
                other => panic!("{other:?} at {now}"),
            }
        }
        assert_eq!(spans[..7], [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(health.record(false, at(now), &rules), Some(HealthChange::GiveUp));
    }
}
