use std::borrow::Cow;
use std::time::Duration;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Polarity, Sentiment};

mod decayed;
mod detector;
mod words;

use decayed::Decayed;
use detector::Detector;
pub use words::Rising;
use words::Words;
pub(crate) use words::words_of;

/// When a series counts as falling, and how fast it forgets.
///
/// ```
/// use std::time::Duration;
/// use guardian_sentiment::TrendPolicy;
///
/// let policy = TrendPolicy::default().with_half_life(Duration::from_secs(3 * 86_400)).with_messages_per_false_alarm(20_000.0);
/// # let _ = policy;
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrendPolicy {
    half_life: Duration,
    baseline_half_life: Duration,
    messages_per_false_alarm: f64,
    least_drop: f64,
    least_messages: u32,
    cool_down: Duration,
}

impl Default for TrendPolicy {
    /// Half of the weight in 7 days, of the baseline's in 90; one false alarm in 5,000 messages at most; drops of 0.05 and more
    /// against a baseline of 15 messages and more; a day between alarms.
    fn default() -> Self {
        Self {
            half_life: Duration::from_secs(7 * 86_400),
            baseline_half_life: Duration::from_secs(90 * 86_400),
            messages_per_false_alarm: 5000.0,
            least_drop: 0.05,
            least_messages: 15,
            cool_down: Duration::from_secs(86_400),
        }
    }
}

impl TrendPolicy {
    /// After which time a message weighs half in the present level; at least a minute. A series goes on with the one that it
    /// began with: what its messages weigh in it can only be taken back with that one.
    #[must_use]
    pub fn with_half_life(mut self, half_life: Duration) -> Self {
        self.half_life = half_life.max(Duration::from_secs(60));
        self
    }

    /// After which time a message weighs half in the baseline, which the level is held against; at least a minute. A series goes
    /// on with the one that it began with.
    #[must_use]
    pub fn with_baseline_half_life(mut self, half_life: Duration) -> Self {
        self.baseline_half_life = half_life.max(Duration::from_secs(60));
        self
    }

    /// How many messages pass on average, at the least, before a series that does not fall raises an alarm; 10 and more. With
    /// fewer false alarms a true one takes longer, by the logarithm.
    #[must_use]
    pub fn with_messages_per_false_alarm(mut self, messages: f64) -> Self {
        self.messages_per_false_alarm = if messages.is_finite() { messages.max(10.0) } else { 1e12 };
        self
    }

    /// The smallest fall of the mean score that matters, 0 to 1 on the scale from -1 to 1.
    #[must_use]
    pub fn with_least_drop(mut self, drop: f64) -> Self {
        self.least_drop = if drop.is_finite() { drop.clamp(0.0, 1.0) } else { 1.0 };
        self
    }

    /// How many messages a baseline needs before a series is watched; at least 2.
    #[must_use]
    pub fn with_least_messages(mut self, messages: u32) -> Self {
        self.least_messages = messages.max(2);
        self
    }

    /// For how long after an alarm there is no further one, whatever happens.
    #[must_use]
    pub fn with_cool_down(mut self, cool_down: Duration) -> Self {
        self.cool_down = cool_down;
        self
    }

    fn half_lives(&self) -> HalfLives {
        HalfLives { level: self.half_life, baseline: self.baseline_half_life }
    }
}

/// Over how many messages the recent mean goes.
const RECENT: f64 = 12.0;

/// How many messages in a row must say that it is earlier than a series has it, before the series believes it: one process whose
/// clock is behind does not take back the time that all others agree on.
const AGREEING: u32 = 5;

/// One message as a series counts it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Observation<'t> {
    /// When it was written.
    pub at: Timestamp,
    /// From -1 (worst) to 1 (best).
    pub score: f64,
    /// Whether it counts among the negative ones.
    pub is_negative: bool,
    /// The words of its text, each once; `None` without a text.
    words: Option<Cow<'t, [String]>>,
    /// What time it is, as far as who counts it knows.
    now: Option<Timestamp>,
}

impl<'t> Observation<'t> {
    /// A message with this score, which is negative below -0.2.
    #[must_use]
    pub fn new(at: Timestamp, score: f64) -> Self {
        let score = if score.is_finite() { score.clamp(-1.0, 1.0) } else { 0.0 };
        Self { at, score, is_negative: score < -0.2, words: None, now: None }
    }

    /// A message that was read so.
    #[must_use]
    pub fn of(at: Timestamp, sentiment: &Sentiment) -> Self {
        Self { is_negative: sentiment.polarity < Polarity::Neutral, ..Self::new(at, sentiment.score) }
    }

    /// The same with its text, of whose first 16 KiB the words are taken that may rise; at most 24.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.words = (!text.is_empty()).then(|| Cow::Owned(words_of(text)));
        self
    }

    pub(crate) fn with_words(mut self, words: &'t [String]) -> Self {
        self.words = Some(Cow::Borrowed(words));
        self
    }

    /// The same, counted at this moment. A series that a wrong clock took into the future is brought back by the clocks that go
    /// right; without it, a series knows the time of its messages alone.
    #[must_use]
    pub fn counted_at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }
}

/// How one series stands: what is known of all its messages, in some two kilobytes at most however many there are.
///
/// The means weigh a message by its age, halving with each half-life, so that gaps of any length between messages are taken as
/// they are. Messages may arrive in any order: the means do not depend on it, but for the rounding of the last digits. The test for
/// a fall takes them as they come.
///
/// ```
/// use std::time::Duration;
/// use guardian_core::{Clock, ManualClock};
/// use guardian_sentiment::{Observation, Trend, TrendPolicy};
///
/// let (clock, policy) = (ManualClock::new(), TrendPolicy::default());
/// let mut trend = Trend::new();
/// let mut alarms = 0;
/// for n in 0..80 {
///     clock.advance(Duration::from_secs(3600));
///     // Content for forty messages, then less and less so.
///     let score = if n < 40 { [0.7, 0.4, 0.6][n % 3] } else { [-0.5, 0.1, -0.3][n % 3] };
///     let update = trend.push(&Observation::new(clock.now(), score), &policy);
///     alarms += u32::from(update.alert.is_some());
/// }
/// assert_eq!(alarms, 1);
/// assert!(trend.level().unwrap() < trend.baseline(&policy).unwrap());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    level: Decayed,
    /// The long run, in two parts: messages under suspicion of a fall wait before they count in what they are held against.
    settled: Decayed,
    #[serde(default)]
    pending: Decayed,
    /// The earliest message that waits, but for those that came long after they were written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending_since: Option<Timestamp>,
    messages: u64,
    negatives: u64,
    detector: Detector,
    /// The mean of about the last dozen messages, by count and not by time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fall: Option<Fall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_alert: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Words::is_empty")]
    words: Words,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    days: Vec<Day>,
    /// Those that the sums are counted with; the policy's before the first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    half_lives: Option<HalfLives>,
    /// Messages in a row that were counted long before the newest one was written.
    #[serde(default)]
    disagreeing: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rewound: Option<Rewound>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct HalfLives {
    level: Duration,
    baseline: Duration,
}

/// A series that had been in the future and was brought back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Rewound {
    /// The newest message that it had.
    from: Timestamp,
    /// When that one is taken to have been written.
    to: Timestamp,
}

/// A fall that was told and is not over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Fall {
    since: Timestamp,
    /// The mean of recent messages at which it is over: above the one that raised the alarm.
    over_at: f64,
}

/// The messages of one day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Day {
    /// Days since 1970-01-01.
    pub day: i64,
    /// How many messages there were.
    pub messages: u32,
    /// The sum of their scores.
    pub sum: f64,
}

impl Day {
    /// The mean score.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.messages == 0 { 0.0 } else { self.sum / f64::from(self.messages) }
    }
}

/// What a message did to a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Update {
    /// The mean of late, with this message.
    pub level: f64,
    /// What the series is held against; `None` until it has enough messages.
    pub baseline: Option<f64>,
    /// The evidence for a fall, on the scale on which the policy's messages per false alarm are the alarm.
    pub evidence: f64,
    /// The alarm, when this message raised it.
    pub alert: Option<Alert>,
    /// Whether this message ended a fall.
    pub recovered: bool,
}

/// An alarm: the series falls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// When the message was written that raised it.
    pub at: Timestamp,
    /// The mean of about the last dozen messages.
    pub recent: f64,
    /// The mean that the series had before.
    pub baseline: f64,
    /// How many messages the evidence rests on.
    pub messages: u32,
    /// The words that rose most, the strongest first; at most five.
    pub words: Vec<Rising>,
}

impl Trend {
    /// The most days of which [`Self::days`] keeps the means.
    pub const MAX_DAYS: usize = 60;

    /// A series without messages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a message, and says what it did. Constant time and memory.
    ///
    /// # Source
    /// The test for a fall is the Shiryaev-Roberts e-detector of bounded means: Shin, Ramdas and Rinaldo, "E-detectors: a
    /// nonparametric framework for sequential change detection", 2023, with the bets of Waudby-Smith and Ramdas. Whatever the
    /// distribution of the scores, while their mean is not below the baseline less its error and the least drop that matters, the average number of
    /// messages until an alarm is at least the policy's.
    pub fn push(&mut self, message: &Observation<'_>, policy: &TrendPolicy) -> Update {
        let score = message.score;
        let half_lives = *self.half_lives.get_or_insert_with(|| policy.half_lives());
        if let Some(now) = message.now {
            self.rewind(now, half_lives);
        }
        let reference = self.settled.mean().filter(|_| self.messages >= u64::from(policy.least_messages));
        // What is much older than the newest message says nothing of the present.
        let is_late = self.level.at().is_some_and(|newest| newest - message.at > span(half_lives.level));
        let mut evidence = self.detector.evidence();
        let mut is_alarm = false;
        if let Some(mean) = reference.filter(|_| !is_late) {
            let bound = mean - policy.least_drop - self.settled.error();
            let rests = self.last_alert.is_some_and(|last| message.at - last < span(policy.cool_down));
            if self.fall.is_none() && !rests {
                evidence = self.detector.step(score, bound);
                is_alarm = evidence >= policy.messages_per_false_alarm;
            }
        }
        self.pending.add(message.at, score, 1.0, half_lives.baseline);
        if !is_late {
            let since = self.pending_since.map_or(message.at, |since| since.min(message.at));
            self.pending_since = Some(since);
        }
        self.count(message, message.at, half_lives, 1.0);
        if self.fall.is_some() || !self.detector.is_suspicious() {
            self.settle(half_lives);
        }
        if let Some(words) = &message.words {
            self.words.add(words, message.at, half_lives.level);
        }
        let level = self.level.mean().unwrap_or(score);
        let mut recent = self.recent.unwrap_or(score);
        if !is_late {
            recent += (score - recent) / RECENT;
            self.recent = Some(recent);
        }

        let mut alert = None;
        let mut recovered = false;
        if let Some(baseline) = reference.filter(|_| is_alarm) {
            alert = Some(Alert {
                at: message.at,
                recent,
                baseline,
                messages: self.detector.messages(),
                words: self.words.rising(5),
            });
            self.fall = Some(Fall { since: message.at, over_at: baseline - policy.least_drop / 2.0 });
            self.last_alert = Some(message.at);
            self.detector = Detector::default();
        } else if let Some(fall) = self.fall
            && !is_late
        {
            // The fall is over when the messages are as before, or when the baseline has come down to them.
            let usual = reference.map_or(1.0, |mean| mean - policy.least_drop / 2.0);
            if recent >= fall.over_at.min(usual) {
                self.fall = None;
                recovered = true;
            }
        }
        Update { level, baseline: reference, evidence, alert, recovered }
    }

    /// Takes a message back that was counted: because it was deleted. What the test for a fall saw of it stays, and so do the words;
    /// [`Self::forget_words`] drops these. Other messages under suspicion stay so.
    pub fn remove(&mut self, message: &Observation<'_>, policy: &TrendPolicy) {
        let half_lives = *self.half_lives.get_or_insert_with(|| policy.half_lives());
        let at = self.time_of(message);
        let part = self.part_of(at);
        if part.holds(at, half_lives.baseline) {
            part.add(at, message.score, -1.0, half_lives.baseline);
        } else {
            // It is in the other part.
            self.settle(half_lives);
            self.settled.add(at, message.score, -1.0, half_lives.baseline);
        }
        if self.settled.is_empty() {
            // Without anything to be held against, those that wait would wait for ever.
            self.settle(half_lives);
        }
        self.count(message, at, half_lives, -1.0);
    }

    /// Counts a message again that was removed, or that did not count before, without testing for a fall.
    pub fn restore(&mut self, message: &Observation<'_>, policy: &TrendPolicy) {
        let half_lives = *self.half_lives.get_or_insert_with(|| policy.half_lives());
        let at = self.time_of(message);
        self.part_of(at).add(at, message.score, 1.0, half_lives.baseline);
        self.count(message, at, half_lives, 1.0);
    }

    /// Counts a message otherwise, without testing for a fall: it keeps its time and its weight, and those under suspicion stay so.
    pub fn replace(&mut self, was: &Observation<'_>, is: &Observation<'_>, policy: &TrendPolicy) {
        let half_lives = *self.half_lives.get_or_insert_with(|| policy.half_lives());
        let at = self.time_of(was);
        for (score, sign) in [(is.score, 1.0), (was.score, -1.0)] {
            self.level.add(at, score, sign, half_lives.level);
            self.part_of(at).add(at, score, sign, half_lives.baseline);
        }
        if is.is_negative && !was.is_negative {
            self.negatives = self.negatives.saturating_add(1);
        } else if was.is_negative && !is.is_negative {
            self.negatives = self.negatives.saturating_sub(1);
        }
        let number = was.at.timestamp().div_euclid(86_400);
        if let Some(day) = self.days.iter_mut().find(|day| day.day == number) {
            day.sum += is.score - was.score;
        }
    }

    /// Drops all words that are remembered.
    pub fn forget_words(&mut self) {
        self.words = Words::default();
    }

    /// Brings back a series that is in the future, where all that is new would weigh nothing, and nothing would be tested. What
    /// it has keeps its weight.
    fn rewind(&mut self, now: Timestamp, half_lives: HalfLives) {
        let Some(from) = self.level.at().filter(|newest| *newest - now > span(half_lives.level)) else {
            self.disagreeing = 0;
            return;
        };
        self.disagreeing = self.disagreeing.saturating_add(1);
        if self.disagreeing < AGREEING {
            return;
        }
        self.disagreeing = 0;
        self.rewound = Some(Rewound { from, to: now });
        for sums in [&mut self.level, &mut self.settled, &mut self.pending] {
            sums.rewind(now);
        }
        self.words.rewind(now);
        self.pending_since = self.pending_since.map(|since| since.min(now));
        self.last_alert = self.last_alert.map(|last| last.min(now));
        if let Some(fall) = &mut self.fall {
            fall.since = fall.since.min(now);
        }
    }

    /// When the sums have a message that was counted: at its time, unless it was counted in the future.
    fn time_of(&self, message: &Observation<'_>) -> Timestamp {
        let is_ahead = |at: &Rewound| {
            message.at > at.to
                && (message.at == at.from || self.level.at().is_some_and(|newest| message.at > newest))
        };
        self.rewound.filter(is_ahead).map_or(message.at, |rewound| rewound.to)
    }

    /// The part of the long run that has a message of this time.
    fn part_of(&mut self, at: Timestamp) -> &mut Decayed {
        if self.pending_since.is_some_and(|since| at >= since) {
            &mut self.pending
        } else {
            &mut self.settled
        }
    }

    fn settle(&mut self, half_lives: HalfLives) {
        self.settled = self.long_run(half_lives);
        self.pending = Decayed::default();
        self.pending_since = None;
    }

    fn count(&mut self, message: &Observation<'_>, at: Timestamp, half_lives: HalfLives, sign: f64) {
        self.level.add(at, message.score, sign, half_lives.level);
        let change = |count: u64| if sign > 0.0 { count.saturating_add(1) } else { count.saturating_sub(1) };
        self.messages = change(self.messages);
        if message.is_negative {
            self.negatives = change(self.negatives);
        }
        if self.messages == 0 {
            // Nothing is left, not even the rounding.
            *self = Self {
                detector: self.detector,
                fall: self.fall,
                last_alert: self.last_alert,
                ..Self::default()
            };
            return;
        }
        let day = message.at.timestamp().div_euclid(86_400);
        self.add_day(Day { day, messages: 1, sum: message.score }, sign);
    }

    fn long_run(&self, half_lives: HalfLives) -> Decayed {
        self.settled.merge(half_lives.baseline, &self.pending, half_lives.baseline)
    }

    fn add_day(&mut self, add: Day, sign: f64) {
        match self.days.binary_search_by_key(&add.day, |day| day.day) {
            Ok(found) => {
                if let Some(day) = self.days.get_mut(found) {
                    day.messages = if sign > 0.0 {
                        day.messages.saturating_add(add.messages)
                    } else {
                        day.messages.saturating_sub(add.messages)
                    };
                    day.sum = if day.messages == 0 { 0.0 } else { day.sum + sign * add.sum };
                    if day.messages == 0 {
                        self.days.remove(found);
                    }
                }
            }
            Err(place) if sign > 0.0 => {
                self.days.insert(place, add);
                if self.days.len() > Self::MAX_DAYS {
                    self.days.remove(0);
                }
            }
            Err(_) => {}
        }
    }

    /// Both series in one: the means and counts as if all messages had been counted in one place. Associative and commutative but
    /// for the rounding of the last digits. The test for a fall begins anew, because what it saw cannot be told in one order; the
    /// later alarm of the two holds. Of series with different half-lives the result goes on with this one's, which is then not
    /// commutative.
    #[must_use]
    pub fn merge(&self, other: &Self, policy: &TrendPolicy) -> Self {
        let [own, others] =
            [self, other].map(|trend| trend.half_lives.unwrap_or_else(|| policy.half_lives()));
        let mut merged = Self {
            level: self.level.merge(own.level, &other.level, others.level),
            settled: self.long_run(own).merge(own.baseline, &other.long_run(others), others.baseline),
            pending: Decayed::default(),
            pending_since: None,
            messages: self.messages.saturating_add(other.messages),
            negatives: self.negatives.saturating_add(other.negatives),
            detector: Detector::default(),
            recent: if other.level.at() > self.level.at() { other.recent } else { self.recent },
            fall: match (self.fall, other.fall) {
                (Some(one), Some(two)) => {
                    Some(Fall { since: one.since.max(two.since), over_at: one.over_at.min(two.over_at) })
                }
                (one, two) => one.or(two),
            },
            last_alert: self.last_alert.max(other.last_alert),
            words: self.words.merge(own.level, &other.words, others.level),
            days: self.days.clone(),
            half_lives: self.half_lives.or(other.half_lives),
            disagreeing: 0,
            rewound: self.rewound.or(other.rewound),
        };
        for day in &other.days {
            merged.add_day(*day, 1.0);
        }
        merged
    }

    /// The mean score of late; `None` without messages.
    #[must_use]
    pub fn level(&self) -> Option<f64> {
        self.level.mean()
    }

    /// The mean score of the long run; `None` without messages.
    #[must_use]
    pub fn baseline(&self, policy: &TrendPolicy) -> Option<f64> {
        self.long_run(self.half_lives.unwrap_or_else(|| policy.half_lives())).mean()
    }

    /// How many messages were counted.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// How many of them were negative.
    #[must_use]
    pub fn negatives(&self) -> u64 {
        self.negatives
    }

    /// Since when it falls, while an alarm that was told is not over.
    #[must_use]
    pub fn falling_since(&self) -> Option<Timestamp> {
        self.fall.map(|fall| fall.since)
    }

    /// The last days with messages, the oldest first.
    #[must_use]
    pub fn days(&self) -> &[Day] {
        &self.days
    }

    /// The words that rose most of late, the strongest first.
    #[must_use]
    pub fn rising(&self, most: usize) -> Vec<Rising> {
        self.words.rising(most)
    }
}

/// Longer spans than a calendar has are its end.
fn span(duration: Duration) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(duration).unwrap_or(chrono::TimeDelta::MAX)
}
