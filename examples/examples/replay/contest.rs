//! The four algorithms on the same requests, each with a limiter of its own.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use guardian_core::{Clock, ManualClock, MonoTime};
use guardian_ratelimit::{Limit, Limiter, MemoryStore, Permit, Policy, PolicyId, Realm, Rule};

use crate::arguments::Arguments;
use crate::timeline::Timeline;

pub(crate) const ALGORITHMS: usize = 4;

/// The most subjects of which details are kept, so that a log of any size fits.
const REMEMBERED: usize = 100_000;

#[derive(Debug)]
pub(crate) struct Contest {
    lanes: [Lane; ALGORITHMS],
    clock: ManualClock,
    /// The permits of requests that are being served, by the end of the service.
    serving: VecDeque<(MonoTime, Permit<MemoryStore, ManualClock>)>,
    service_time: Duration,
    subjects: HashMap<Box<str>, Tally>,
    /// Whether there were more subjects than are remembered.
    forgot: bool,
    requests: u64,
    first: u64,
    last: u64,
    timeline: Timeline,
}

/// One algorithm.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
    pub(crate) denied: u64,
    limiter: Limiter<MemoryStore, ManualClock>,
    policy: PolicyId,
}

/// What became of one subject.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) denied: [u64; ALGORITHMS],
    /// When it was denied first, and by which algorithms at that time.
    pub(crate) first: Option<(u64, [bool; ALGORITHMS])>,
}

impl Tally {
    pub(crate) fn denials(&self) -> u64 {
        self.denied.iter().sum()
    }
}

impl Contest {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let Arguments { rate, burst, permits, service_time, .. } = *arguments;
        let clock = ManualClock::at(std::time::UNIX_EPOCH.into());
        let lane = |name, rule| Lane::new(name, rule, &clock);
        Ok(Self {
            lanes: [
                lane("token bucket", Rule::token_bucket(rate, burst)?)?,
                lane("sliding window", Rule::sliding(rate))?,
                lane("fixed window", Rule::fixed_window(rate))?,
                lane("concurrency", Rule::concurrency(permits, service_time)?)?,
            ],
            clock,
            serving: VecDeque::new(),
            service_time,
            subjects: HashMap::new(),
            forgot: false,
            requests: 0,
            first: 0,
            last: 0,
            timeline: Timeline::default(),
        })
    }

    /// The next request, which comes no earlier than the last.
    pub(crate) fn replay(&mut self, at: u64, subject: &str) -> Result<(), Box<dyn Error>> {
        let now = MonoTime::from_nanos(at);
        self.clock.advance(now.since(self.clock.monotonic()));
        while self.serving.front().is_some_and(|(end, _)| *end <= now) {
            self.serving.pop_front();
        }
        let mut denied = [false; ALGORITHMS];
        for (lane, denied) in self.lanes.iter_mut().zip(&mut denied) {
            let limits = [Limit::of(lane.policy, subject)];
            *denied = if lane.rule.holds_permits() {
                let admission = ready(lane.limiter.acquire(Realm::Shared, &limits))?;
                let permit = admission.permit.map(|permit| (now + self.service_time, permit));
                self.serving.extend(permit);
                admission.decision.is_denied()
            } else {
                lane.limiter.check_local_at(Realm::Shared, &limits, now)?.is_denied()
            };
            lane.denied += u64::from(*denied);
        }
        if self.requests == 0 {
            self.first = at;
        }
        self.requests += 1;
        self.last = at;
        self.timeline.add(at, denied);
        self.remember(at, subject, denied);
        Ok(())
    }

    fn remember(&mut self, at: u64, subject: &str, denied: [bool; ALGORITHMS]) {
        if !self.subjects.contains_key(subject) {
            if self.subjects.len() >= REMEMBERED {
                self.forgot = true;
                return;
            }
            self.subjects.insert(subject.into(), Tally::default());
        }
        if let Some(tally) = self.subjects.get_mut(subject) {
            tally.requests += 1;
            for (count, denied) in tally.denied.iter_mut().zip(denied) {
                *count += u64::from(denied);
            }
            if denied.contains(&true) && tally.first.is_none() {
                tally.first = Some((at, denied));
            }
        }
    }

    pub(crate) fn lanes(&self) -> &[Lane; ALGORITHMS] {
        &self.lanes
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// The times of the first and the last request.
    pub(crate) fn times(&self) -> (u64, u64) {
        (self.first, self.last)
    }

    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// How many subjects there were, and whether there were more.
    pub(crate) fn subjects(&self) -> (usize, bool) {
        (self.subjects.len(), self.forgot)
    }

    /// How many subjects each algorithm denied something.
    pub(crate) fn limited(&self) -> [usize; ALGORITHMS] {
        let mut limited = [0; ALGORITHMS];
        for tally in self.subjects.values() {
            for (count, denied) in limited.iter_mut().zip(tally.denied) {
                *count += usize::from(denied > 0);
            }
        }
        limited
    }

    /// Who was denied anything, the most denied first.
    pub(crate) fn offenders(&self) -> Vec<(&str, &Tally)> {
        let denied = self.subjects.iter().filter(|(_, tally)| tally.denials() > 0);
        let mut offenders: Vec<_> = denied.map(|(subject, tally)| (&**subject, tally)).collect();
        offenders.sort_by_key(|(subject, tally)| (std::cmp::Reverse(tally.denials()), *subject));
        offenders
    }
}

impl Lane {
    fn new(name: &'static str, rule: Rule, clock: &ManualClock) -> Result<Self, Box<dyn Error>> {
        let limiter = Limiter::with_clock(MemoryStore::new(), clock.clone());
        let policy = limiter.define(Policy::with_rule("replay".parse()?, rule))?;
        Ok(Self { name, rule, denied: 0, limiter, policy })
    }
}

/// The value of a future that has nothing to wait for, which is every one on memory.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}
