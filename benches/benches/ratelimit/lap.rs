//! The loop that every contestant runs in, and the turns that they take.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use guardian_core::{Clock, MonoTime};
use guardian_ratelimit::FastClock;

/// How many checks a contestant makes before the next one has its turn: forty rounds of 10,000 keys, so that the first, which finds
/// the caches as the others left them, is a small part of it; short beside the moods of a machine.
const TURN: u64 = 400_000;

/// One contestant: its function and the times of its turns that criterion has not asked for yet.
struct Contestant<'c> {
    function: &'static str,
    turn: Box<dyn FnMut() -> Duration + 'c>,
    waiting: VecDeque<Duration>,
}

/// The contestants of a case. Whenever one is to be measured, all take a turn, so that a slow moment of the machine
/// strikes ours and the peers alike; the times of the others wait until criterion comes to them.
pub(crate) struct Case<'c> {
    name: &'static str,
    contestants: Vec<Contestant<'c>>,
}

impl<'c> Case<'c> {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, contestants: Vec::new() }
    }

    /// Adds a contestant that checks these keys, over and over in their order. `check` gets the time as of the
    /// beginning of the turn and says whether the request was admitted, which must always be `admits`.
    pub(crate) fn with<K>(
        self,
        function: &'static str,
        keys: &'c [K],
        admits: bool,
        check: impl Fn(MonoTime, &K) -> bool + 'c,
    ) -> Self {
        let mut lap = Lap::new(keys);
        self.with_turn(function, move || lap.run(TURN, admits, &check))
    }

    /// Adds a contestant whose turn of [`TURN`] checks takes the time that it returns.
    pub(crate) fn with_turn(mut self, function: &'static str, turn: impl FnMut() -> Duration + 'c) -> Self {
        self.contestants.push(Contestant { function, turn: Box::new(turn), waiting: VecDeque::new() });
        self
    }

    pub(crate) fn run(mut self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group(self.name);
        let functions: Vec<_> = self.contestants.iter().map(|contestant| contestant.function).collect();
        for function in functions {
            group.bench_function(function, |b| b.iter_custom(|checks| self.time(function, checks)));
        }
        group.finish();
    }

    /// The time of so many checks of one contestant, from whole turns.
    fn time(&mut self, function: &str, checks: u64) -> Duration {
        let turns = checks.div_ceil(TURN);
        let total: Duration = (0..turns).map(|_| self.next(function)).sum();
        #[expect(clippy::cast_precision_loss, reason = "checks are far below 2⁵²")]
        total.mul_f64(checks as f64 / (turns * TURN).max(1) as f64)
    }

    /// The time of the contestant's next turn.
    fn next(&mut self, function: &str) -> Duration {
        loop {
            let own = self.contestants.iter_mut().find(|own| own.function == function);
            if let Some(time) = own.and_then(|own| own.waiting.pop_front()) {
                return time;
            }
            for contestant in &mut self.contestants {
                let time = (contestant.turn)();
                contestant.waiting.push_back(time);
            }
        }
    }
}

/// Goes round and round over the same keys in the same order, one check for each.
pub(crate) struct Lap<'k, K> {
    keys: &'k [K],
    next: usize,
    clock: FastClock,
}

impl<'k, K> Lap<'k, K> {
    pub(crate) fn new(keys: &'k [K]) -> Self {
        Self { keys, next: 0, clock: FastClock::new() }
    }

    /// The time that so many checks take.
    pub(crate) fn run(
        &mut self,
        checks: u64,
        admits: bool,
        check: impl Fn(MonoTime, &K) -> bool,
    ) -> Duration {
        let (mut left, mut admitted) = (checks, 0_u64);
        let start = self.clock.monotonic();
        while left > 0 {
            let rest = self.keys.get(self.next..).unwrap_or_default();
            let steps = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            for key in rest.get(..steps).unwrap_or_default() {
                admitted += u64::from(check(black_box(start), black_box(key)));
            }
            left -= steps as u64;
            self.next += steps;
            if self.next == self.keys.len() {
                self.next = 0;
            }
        }
        let elapsed = self.clock.monotonic().since(start);
        let expected = if admits { checks } else { 0 };
        assert_eq!(admitted, expected, "a contestant did other work than the others");
        elapsed
    }
}

/// Half of a turn's checks, for each of two threads.
pub(crate) const HALF_TURN: u64 = TURN / 2;
