//! The decisions in whole microseconds, pure: what `migrations/0002_functions.postgres.sql` does on the server, for the
//! database that has no such functions. Both give the same numbers for the same states.

use super::state::State;
use crate::store::micros::{self, Token, micros};
use crate::{Algorithm, Rule};

/// A debt is not carried over a changed rule for longer than this, some hundred years.
const MAX_DEBT: i64 = 4_000_000_000_000_000;

/// A rule's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) limit: i64,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One token takes `micros / per` microseconds, in lowest terms.
    Bucket {
        per: i64,
        micros: i64,
    },
    Window(Keeping),
    Fixed {
        window: i64,
    },
    Permits {
        ttl: i64,
    },
}

/// What the meaning of a sliding window's stamps depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keeping {
    /// 0 exact, 1 strict, 2 lenient.
    pub(super) precision: i64,
    pub(super) window: i64,
    /// The length of a slice; 0 where there is none.
    pub(super) slice: i64,
}

impl Keeping {
    fn step(&self) -> i64 {
        if self.precision == 0 { 1 } else { self.slice.max(1) }
    }

    fn stamp(&self, time: i64) -> i64 {
        time / self.step()
    }

    /// When what was counted at a stamp stops counting: a strict slice when its end has left the window, so that
    /// what came late in it is never dropped too early.
    pub(super) fn leaves_at(&self, stamp: i64) -> i64 {
        let late = if self.precision == 1 { self.slice } else { 0 };
        stamp.saturating_mul(self.step()).saturating_add(self.window).saturating_add(late)
    }
}

/// What one limit says of one request: the four numbers that `micros::reading` takes, and what to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) admits: bool,
    /// Bucket: the debt before the request (whole, fraction), 0; others: what is used before it, wait (-1 never), reset.
    pub(super) numbers: [i64; 3],
    /// If the request is charged.
    pub(super) taken: Option<State>,
    /// If it is not, and the rule was changed: the past under the new rule.
    pub(super) moved: Option<State>,
}

impl Verdict {
    pub(super) fn numbers(&self) -> [i64; 4] {
        let [a, b, c] = self.numbers;
        [i64::from(self.admits), a, b, c]
    }
}

impl Terms {
    pub(super) fn of(rule: &Rule) -> Self {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let window = signed(micros(rule.window()));
        let kind = match rule.algorithm() {
            Algorithm::TokenBucket { rate, .. } => {
                let Token { per, micros } = Token::new(rate);
                Kind::Bucket { per: signed(per), micros: signed(micros) }
            }
            Algorithm::SlidingWindow { precision, .. } => {
                let precision = i64::from(micros::precision_number(precision));
                Kind::Window(Keeping { precision, window, slice: signed(micros::slice(rule)) })
            }
            Algorithm::FixedWindow { .. } => Kind::Fixed { window },
            Algorithm::Concurrency { .. } => Kind::Permits { ttl: window },
        };
        Self { limit: i64::from(rule.capacity()), kind }
    }

    /// Decides on a state; `None` and a state of another algorithm are nothing consumed. Permits are decided by
    /// [`Held::check`].
    pub(super) fn check(&self, state: Option<&State>, now: i64, cost: i64) -> Verdict {
        match self.kind {
            Kind::Bucket { per, micros } => Bucket { per, micros, burst: self.limit }.check(state, now, cost),
            Kind::Window(keeping) => Log::of(state, keeping, now).check(self.limit, now, cost),
            Kind::Fixed { window } => {
                let (ends, used) = fixed(state, window, now);
                let admits = used.saturating_add(cost) <= self.limit;
                let left = ends.saturating_sub(now);
                let wait = match admits {
                    true => 0,
                    false if cost > self.limit => -1,
                    false => left,
                };
                let count = used.saturating_add(cost);
                let taken = admits.then_some(State::Fixed { ends, window, count });
                Verdict { admits, numbers: [used, wait, left], taken, moved: None }
            }
            Kind::Permits { .. } => Held::default().check(self, now, cost, |_needed| 0),
        }
    }

    /// The state after what was charged at `then` is put back, as far as it still counts; `None` if nothing changes.
    pub(super) fn refund(&self, state: Option<&State>, then: i64, now: i64, cost: i64) -> Option<State> {
        match self.kind {
            Kind::Bucket { per, micros } => {
                let bucket = Bucket { per, micros, burst: self.limit };
                let (whole, fraction, _) = bucket.debt(state, now);
                let debt = bucket.units(whole, fraction);
                // What has refilled since the charge is not given back a second time.
                let refilled = i128::from(now.saturating_sub(then).max(0)) * i128::from(per);
                let back = i128::from(cost) * i128::from(micros) - refilled;
                (back > 0 && debt > 0).then(|| bucket.owing((debt - back).max(0), now))
            }
            Kind::Window(keeping) => Log::of(state, keeping, now).put_back(keeping.stamp(then), now, cost),
            Kind::Fixed { window } => {
                let (ends, used) = fixed(state, window, now);
                let same = (then / window).saturating_add(1).saturating_mul(window) >= ends;
                (used > 0 && same).then(|| State::Fixed {
                    ends,
                    window,
                    count: used.saturating_sub(cost).max(0),
                })
            }
            // What is taken of a concurrency limit is released, not refunded.
            Kind::Permits { .. } => None,
        }
    }
}

struct Bucket {
    per: i64,
    micros: i64,
    burst: i64,
}

impl Bucket {
    /// A debt in units of 1/per microseconds. Below 2^52 · 2^30.
    fn units(&self, whole: i64, fraction: i64) -> i128 {
        i128::from(whole) * i128::from(self.per) + i128::from(fraction)
    }

    fn owing(&self, units: i128, now: i64) -> State {
        let per = i128::from(self.per.max(1));
        let whole = i64::try_from(units / per).unwrap_or(MAX_DEBT);
        let fraction = i64::try_from(units % per).unwrap_or(0);
        State::Bucket { per: self.per, micros: self.micros, full_at: now.saturating_add(whole), fraction }
    }

    /// How far it is from full, and whether that was converted from another rule's units: then it stands for the same
    /// tokens, rounded up by less than 1/per.
    fn debt(&self, state: Option<&State>, now: i64) -> (i64, i64, bool) {
        let Some(&State::Bucket { per, micros, full_at, fraction }) = state else {
            return (0, 0, false);
        };
        let whole = full_at.saturating_sub(now);
        if whole < 0 {
            return (0, 0, false);
        }
        if (per, micros) == (self.per, self.micros) {
            return (whole, fraction, false);
        }
        let old = i128::from(whole) * i128::from(per) + i128::from(fraction);
        // A state that is not from a rule may be any number.
        let units = old.saturating_mul(i128::from(self.micros)).saturating_add(i128::from(micros) - 1)
            / i128::from(micros);
        let new_per = i128::from(self.per.max(1));
        match i64::try_from(units / new_per) {
            Ok(whole) if whole < MAX_DEBT => (whole, i64::try_from(units % new_per).unwrap_or(0), true),
            _ => (MAX_DEBT, 0, true),
        }
    }

    fn check(&self, state: Option<&State>, now: i64, cost: i64) -> Verdict {
        let (whole, fraction, is_moved) = self.debt(state, now);
        let debt = self.units(whole, fraction);
        let after = debt + i128::from(cost) * i128::from(self.micros);
        let admits = after <= i128::from(self.burst) * i128::from(self.micros);
        Verdict {
            admits,
            numbers: [whole, fraction, 0],
            taken: admits.then(|| self.owing(after, now)),
            moved: is_moved.then(|| self.owing(debt, now)),
        }
    }
}

/// The fixed window that runs now, and its count. A clock that was set back finds the window that it has left; what was
/// counted under another window's length counts in the present one.
fn fixed(state: Option<&State>, window: i64, now: i64) -> (i64, i64) {
    let current = (now / window.max(1)).saturating_add(1).saturating_mul(window);
    match state {
        Some(&State::Fixed { ends, window: old, count }) if ends > now => {
            (if old == window { ends } else { current }, count)
        }
        _ => (current, 0),
    }
}

/// A sliding window with what still counts.
struct Log {
    keeping: Keeping,
    total: i64,
    entries: Vec<(i64, i64)>,
    is_moved: bool,
}

impl Log {
    fn of(state: Option<&State>, keeping: Keeping, now: i64) -> Self {
        let mut log = Self { keeping, total: 0, entries: Vec::new(), is_moved: false };
        let Some(State::Window { keeping: old, entries, .. }) = state else {
            return log;
        };
        log.is_moved = *old != keeping;
        for (stamp, count) in entries.iter().copied() {
            let stamp = if log.is_moved { keeping.stamp(keeping.time_of(stamp, *old, now)) } else { stamp };
            if keeping.leaves_at(stamp) > now {
                log.total = log.total.saturating_add(count);
                match log.entries.last_mut() {
                    Some((last, sum)) if *last >= stamp => *sum = sum.saturating_add(count),
                    _ => log.entries.push((stamp, count)),
                }
            }
        }
        log
    }

    fn state(&self) -> State {
        State::Window { keeping: self.keeping, total: self.total, entries: self.entries.clone() }
    }

    fn check(mut self, limit: i64, now: i64, cost: i64) -> Verdict {
        let keeping = self.keeping;
        let moved = self.is_moved.then(|| self.state());
        let used = self.total;
        let over = used.saturating_add(cost).saturating_sub(limit);
        let newest = self.entries.last().map(|(stamp, _)| *stamp);
        if over > 0 {
            let reset = newest.map_or(0, |stamp| keeping.leaves_at(stamp) - now);
            let wait = if cost > limit { -1 } else { self.wait_for(over, now) };
            return Verdict { admits: false, numbers: [used, wait, reset], taken: None, moved };
        }
        // A clock that was set back keeps the log in order.
        let stamp = keeping.stamp(now).max(newest.unwrap_or(0));
        self.total = used.saturating_add(cost);
        match self.entries.last_mut() {
            Some((last, count)) if *last == stamp => *count = count.saturating_add(cost),
            _ => self.entries.push((stamp, cost)),
        }
        let reset = keeping.leaves_at(stamp).saturating_sub(now);
        Verdict { admits: true, numbers: [used, 0, reset], taken: Some(self.state()), moved }
    }

    /// How long until at least `needed` has left.
    fn wait_for(&self, needed: i64, now: i64) -> i64 {
        let mut leaving = 0_i64;
        let enough = self.entries.iter().find(|(_, count)| {
            leaving = leaving.saturating_add(*count);
            leaving >= needed
        });
        enough.map_or(0, |(stamp, _)| self.keeping.leaves_at(*stamp).saturating_sub(now))
    }

    /// Puts back at the entry of that stamp, or the nearest where the caller's clock and the way here blur the time.
    fn put_back(mut self, stamp: i64, now: i64, cost: i64) -> Option<State> {
        if self.keeping.leaves_at(stamp) <= now {
            return None;
        }
        let distance = |(other, _): &(i64, i64)| other.saturating_sub(stamp).saturating_abs();
        // The first of those that are equally near.
        let place = self.entries.iter().enumerate().min_by_key(|(_, entry)| distance(entry))?.0;
        let (_, count) = self.entries.get_mut(place)?;
        let back = cost.min(*count);
        *count -= back;
        if *count == 0 {
            self.entries.remove(place);
        }
        self.total = self.total.saturating_sub(back);
        Some(self.state())
    }
}

impl Keeping {
    /// The time of a stamp of another keeping: where it is known only to a slice, its end, or its beginning if the new
    /// keeping must never deny wrongly.
    fn time_of(&self, stamp: i64, old: Self, now: i64) -> i64 {
        match (old.precision, self.precision) {
            (0, _) => stamp,
            (_, 2) => stamp.saturating_mul(old.slice),
            _ => stamp.saturating_add(1).saturating_mul(old.slice).saturating_sub(1).min(now),
        }
    }
}

/// The permits of a counter that have not expired.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) used: i64,
    /// When the last of them ends; 0 if there is none.
    pub(super) last: i64,
}

impl Held {
    /// How much of a request finds no room: nothing if it is admitted, and nothing if it is too large for ever.
    pub(super) fn lacking(&self, terms: &Terms, cost: i64) -> i64 {
        let over = self.used.saturating_add(cost).saturating_sub(terms.limit);
        if cost > terms.limit { 0 } else { over.max(0) }
    }

    /// `end_of` says when so much of what is held has ended.
    pub(super) fn check(
        &self,
        terms: &Terms,
        now: i64,
        cost: i64,
        end_of: impl FnOnce(i64) -> i64,
    ) -> Verdict {
        let last = self.last.saturating_sub(now).max(0);
        let ttl = if let Kind::Permits { ttl } = terms.kind { ttl } else { 0 };
        let admits = self.used.saturating_add(cost) <= terms.limit;
        let (wait, reset) = match self.lacking(terms, cost) {
            _ if admits => (0, last.max(ttl)),
            0 => (-1, last),
            over => (end_of(over).saturating_sub(now).max(0), last),
        };
        Verdict { admits, numbers: [self.used, wait, reset], taken: None, moved: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: &[&str] = &[
        "7/s burst 5",
        "1000/min burst 3",
        "9/10s sliding",
        "12/s sliding strict 7",
        "12/s sliding lenient 7",
        "8/s fixed",
    ];
    const SECOND: i64 = 1_000_000;

    fn terms(rule: &str) -> Terms {
        Terms::of(&rule.parse().unwrap())
    }

    fn rules() -> impl Strategy<Value = Terms> {
        prop::sample::select(RULES).prop_map(terms)
    }

    /// A cost, and how long it is until the next request.
    fn steps() -> impl Strategy<Value = Vec<(i64, i64)>> {
        let pause = prop_oneof![Just(0), 0..1000_i64, 0..SECOND / 3, 0..12 * SECOND];
        prop::collection::vec((1..15_i64, pause), 1..80)
    }

    /// The state after these requests, and the time.
    fn after(terms: &Terms, steps: Vec<(i64, i64)>) -> (i64, Option<State>) {
        steps.into_iter().fold((SECOND, None), |(now, state), (cost, pause)| {
            (now + pause, terms.check(state.as_ref(), now, cost).taken.or(state))
        })
    }

    /// What was admitted within `span` before `now`, this moment included.
    fn within(admitted: &[(i64, i64)], span: i64, now: i64) -> i64 {
        admitted.iter().filter(|(at, _)| *at > now - span).map(|(_, cost)| cost).sum()
    }

    /// What an algorithm promises, from the history of admissions alone. The last of them was now, if it was admitted.
    fn assert_promise(terms: &Terms, admitted: &[(i64, i64)], now: i64, denied: Option<i64>) {
        let limit = terms.limit;
        match terms.kind {
            Kind::Bucket { per, micros } => {
                for (from, (then, _)) in admitted.iter().enumerate() {
                    let taken: i64 = admitted[from..].iter().map(|(_, cost)| cost).sum();
                    assert!(taken * micros <= limit * micros + (now - then) * per, "{taken} since {then}");
                }
            }
            Kind::Fixed { window } => {
                let used: i64 =
                    admitted.iter().filter(|(at, _)| at / window == now / window).map(|(_, cost)| cost).sum();
                assert!(used <= limit);
                assert!(denied.is_none_or(|cost| used + cost > limit), "{used} and {denied:?}");
            }
            Kind::Window(Keeping { precision, window, slice }) => {
                let (used, longer) = (within(admitted, window, now), within(admitted, window + slice, now));
                match (precision, denied) {
                    (2, None) => assert!(within(admitted, window - slice, now) <= limit),
                    (2, Some(cost)) => assert!(used + cost > limit, "{used} and {cost}"),
                    (_, None) => assert!(used <= limit, "{used}"),
                    (_, Some(cost)) => assert!(longer + cost > limit, "{longer} and {cost}"),
                }
            }
            Kind::Permits { .. } => assert!(admitted.is_empty(), "permits are decided elsewhere"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn every_rule_keeps_its_promise_and_a_wait_is_exact(terms in rules(), steps in steps(), start in 1..1_i64 << 50) {
            let (mut now, mut state, mut admitted) = (start, None::<State>, Vec::new());
            for (cost, pause) in steps {
                let verdict = terms.check(state.as_ref(), now, cost);
                prop_assert_eq!(verdict.admits, verdict.taken.is_some());
                prop_assert_eq!(&verdict.moved, &None);
                if verdict.admits {
                    admitted.push((now, cost));
                    state = verdict.taken;
                    assert_promise(&terms, &admitted, now, None);
                } else {
                    assert_promise(&terms, &admitted, now, Some(cost));
                    let wait = verdict.numbers[1];
                    if wait < 0 {
                        prop_assert!(cost > terms.limit);
                    } else if !matches!(terms.kind, Kind::Bucket { .. }) {
                        prop_assert!(terms.check(state.as_ref(), now + wait, cost).admits);
                        prop_assert!(!terms.check(state.as_ref(), now + wait - 1, cost).admits);
                    }
                }
                now += pause;
            }
        }

        #[test]
        fn what_is_put_back_at_once_was_never_taken(terms in rules(), steps in steps(), cost in 1..5_i64) {
            let (now, state) = after(&terms, steps);
            let before = terms.check(state.as_ref(), now, cost);
            if let Some(taken) = &before.taken {
                let back = terms.refund(Some(taken), now, now, cost);
                prop_assert!(back.is_some());
                prop_assert_eq!(terms.check(back.as_ref(), now, cost), before);
            }
        }

        #[test]
        fn what_has_expired_is_as_good_as_nothing(terms in rules(), steps in steps(), cost in 1..5_i64) {
            let (now, state) = after(&terms, steps);
            if let Some(state) = state {
                let now = now.max(state.expires_at());
                prop_assert_eq!(terms.check(Some(&state), now, cost), terms.check(None, now, cost));
            }
        }

        #[test]
        fn no_state_that_can_be_read_is_too_much(
            terms in rules(),
            text in "[bfw][0-9]{1,18}(:[0-9]{1,18}){2,8}",
            now in 0..1_i64 << 53,
            age in 0..1_i64 << 53,
            cost in 1..=i64::from(u32::MAX),
        ) {
            if let Ok(state) = State::parse(&text) {
                let verdict = terms.check(Some(&state), now, cost);
                prop_assert!(verdict.numbers[0] >= 0 && verdict.numbers[2] >= 0, "{:?}", verdict);
                let _ = terms.refund(Some(&state), now - age.min(now), now, cost);
            }
        }
    }
}
