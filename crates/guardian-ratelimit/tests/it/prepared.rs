//! Gates and stacks beside the ordinary call, while everything changes; and overrides of some tenants among many.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::{Clock, ManualClock, TenantId};
use guardian_ratelimit::{
    Decision, Error, Gate, Limit, Limiter, MemoryStore, Mode, Outcome, Policy, PolicyId, Realm, Rule, Stack,
    Subject,
};

use crate::models::block_on;
use crate::random::Random;

type Local = Limiter<MemoryStore, ManualClock>;

/// A bucket in nanoseconds, one in other ticks, every other kind, and one on trial; more than are found without a
/// pointer. With each another rule for it, of which the first has the same units.
const POLICIES: [(&str, &str); 6] = [
    ("10/s burst 6", "10/s burst 9"),
    ("7/s burst 5", "13/s burst 4"),
    ("5/s burst 5", "2/s burst 3"),
    ("4/s sliding", "6/s sliding"),
    ("5/s fixed", "3/s fixed"),
    ("3/s burst 3", "20/s burst 20"),
];
const SUBJECTS: [Subject<'static>; 4] = [Subject::Whole, Subject::Id(0), Subject::Id(7), Subject::Text("7")];

/// The same policies on a limiter of their own.
struct Side {
    limiter: Local,
    ids: [PolicyId; POLICIES.len()],
}

impl Side {
    fn new(clock: &ManualClock) -> Self {
        let limiter = Limiter::with_clock(MemoryStore::new(), clock.clone());
        let mut names = 0..;
        let ids = POLICIES.map(|(rule, _)| {
            let place = names.next().unwrap();
            let policy = Policy::new(&format!("p{place}"), rule).unwrap();
            limiter.define(if place == 2 { policy.dry_run() } else { policy }).unwrap()
        });
        Self { limiter, ids }
    }

    /// What an outcome says, with the policy by its place.
    fn said(&self, outcome: &Outcome) -> (usize, Mode, bool, u32, u32, Option<Duration>, Duration) {
        let place = self.ids.iter().position(|id| *id == outcome.policy()).unwrap();
        let (mode, admits, limit, left) =
            (outcome.mode(), outcome.admits(), outcome.limit(), outcome.remaining());
        (place, mode, admits, limit, left, outcome.retry_after(), outcome.reset_after())
    }

    fn assert_same(&self, decision: &Decision, other: &Self, theirs: &Decision, case: &str) {
        assert_eq!(decision.is_allowed(), theirs.is_allowed(), "{case}");
        let said: Vec<_> = decision.outcomes().iter().map(|outcome| self.said(outcome)).collect();
        let they_said: Vec<_> = theirs.outcomes().iter().map(|outcome| other.said(outcome)).collect();
        assert_eq!(said, they_said, "{case}");
        let binding = decision.binding().map(|outcome| self.said(outcome));
        assert_eq!(binding, theirs.binding().map(|outcome| other.said(outcome)), "{case}");
        assert_eq!((decision.retry_after(), decision.at()), (theirs.retry_after(), theirs.at()), "{case}");
    }
}

fn stack_of<const N: usize>(side: &Side, random: &mut Random) -> ([usize; N], Stack<N, ManualClock>) {
    let places = [(); N].map(|()| random.below(POLICIES.len() as u64) as usize);
    (places, side.limiter.stack(places.map(|place| side.ids[place])).unwrap())
}

/// One request of a stack, and the same by the ordinary call. Says whether it was refused as no request at all.
fn through_a_stack<const N: usize>(
    ordinary: &Side,
    handles: &Side,
    (places, stack): &([usize; N], Stack<N, ManualClock>),
    realm: Realm<'_>,
    random: &mut Random,
    case: &str,
) -> bool {
    let charges = [(); N].map(|()| (random.pick(&SUBJECTS), random.pick(&[1, 1, 1, 1, 2, 3, 7, 0])));
    let mut limits = Vec::new();
    for (place, (subject, cost)) in places.iter().zip(charges) {
        limits.push(Limit::of(ordinary.ids[*place], subject).cost(cost));
    }
    let now = ordinary.limiter.clock().monotonic();
    let expected = ordinary.limiter.check_local_at(realm, &limits, now);
    match (expected, stack.check_costs_at(realm, charges, now)) {
        (Ok(expected), Ok(verdict)) => {
            assert_eq!(
                (verdict.is_allowed(), verdict.is_denied()),
                (expected.is_allowed(), expected.is_denied())
            );
            assert_eq!(verdict.retry_after(), expected.retry_after(), "{case}");
            let binding = verdict.binding().map(|outcome| handles.said(outcome));
            assert_eq!(binding, expected.binding().map(|outcome| ordinary.said(outcome)), "{case}");
            ordinary.assert_same(&expected, handles, &verdict.into(), case);
            false
        }
        (Err(expected), Err(error)) => {
            assert_eq!(expected.to_string(), error.to_string(), "{case}");
            true
        }
        (expected, got) => panic!("{case}: {expected:?} and {got:?}"),
    }
}

fn through_a_gate(
    ordinary: &Side,
    handles: &Side,
    gates: &[Gate<ManualClock>],
    realm: Realm<'_>,
    random: &mut Random,
    case: &str,
) {
    let (place, subject) = (random.below(POLICIES.len() as u64) as usize, random.pick(&SUBJECTS));
    let (cost, now) = (random.pick(&[1, 1, 1, 2, 3, 7, 0]), ordinary.limiter.clock().monotonic());
    let limit = Limit::of(ordinary.ids[place], subject).cost(cost);
    let expected = ordinary.limiter.check_local_at(realm, &[limit], now);
    match (expected, gates[place].check_cost_at(realm, subject, cost, now)) {
        (Ok(expected), Ok(outcome)) => {
            assert_eq!(ordinary.said(&expected.outcomes()[0]), handles.said(&outcome), "{case}");
            assert_eq!(expected.is_denied(), outcome.denies(), "{case}");
        }
        (Err(expected), Err(error)) => assert_eq!(expected.to_string(), error.to_string(), "{case}"),
        (expected, got) => panic!("{case}: {expected:?} and {got:?}"),
    }
}

/// Changes both sides alike.
fn change(sides: [&Side; 2], realm: Realm<'_>, random: &mut Random) {
    let (place, kind, on) = (random.below(POLICIES.len() as u64) as usize, random.below(4), random.below(2));
    let subject = random.pick(&SUBJECTS);
    let rule: Option<Rule> = (on == 0).then(|| POLICIES[place].1.parse().unwrap());
    for Side { limiter, ids } in sides {
        match kind {
            0 => limiter.set_rule(ids[place], rule).unwrap(),
            1 => limiter.set_override(ids[place], realm, rule).unwrap(),
            2 => limiter.set_subject_override(ids[place], realm, subject, rule).unwrap(),
            _ => limiter.set_mode(ids[place], if on == 0 { Mode::DryRun } else { Mode::Enforce }).unwrap(),
        }
    }
}

#[test]
fn handles_decide_what_the_ordinary_call_decides() {
    const SEQUENCES: u64 = 1_500;
    const STEPS: u64 = 150;
    let tenants = [TenantId::from(1), TenantId::from(2)];
    let (mut refused, mut checks) = (0, 0);
    for sequence in 0..SEQUENCES {
        let mut random = Random(sequence);
        let clock = ManualClock::new();
        let (ordinary, handles) = (Side::new(&clock), Side::new(&clock));
        let gates = handles.ids.map(|id| handles.limiter.gate(id).unwrap());
        let pair = stack_of::<2>(&handles, &mut random);
        let triple = stack_of::<3>(&handles, &mut random);
        let all = ([0, 1, 2, 3, 4, 5], handles.limiter.stack(handles.ids).unwrap());
        // In half of the sequences nothing changes for long, so that the shortest path is taken.
        let change_bound = random.pick(&[8, 80]);
        for step in 0..STEPS {
            let case = format!("sequence {sequence}, step {step}");
            let realm = match random.below(3) {
                0 => Realm::Shared,
                n => Realm::Tenant(&tenants[n as usize - 1]),
            };
            checks += 1;
            match random.below(10) {
                0..3 => through_a_gate(&ordinary, &handles, &gates, realm, &mut random, &case),
                3..5 => {
                    refused +=
                        u64::from(through_a_stack(&ordinary, &handles, &pair, realm, &mut random, &case));
                }
                5..7 => {
                    refused +=
                        u64::from(through_a_stack(&ordinary, &handles, &triple, realm, &mut random, &case));
                }
                7 => {
                    refused +=
                        u64::from(through_a_stack(&ordinary, &handles, &all, realm, &mut random, &case));
                }
                8 => clock.advance(Duration::from_millis(random.pick(&[0, 1, 99, 100, 200, 700]))),
                _ => {
                    let subjects =
                        random.pick(&[[Subject::Whole, Subject::Id(7)], [Subject::Id(0), Subject::Id(7)]]);
                    let (places, stack) = &pair;
                    let limits = [0, 1].map(|at| Limit::of(ordinary.ids[places[at]], subjects[at]));
                    let theirs = stack.limits(subjects);
                    if random.below(2) == 0 {
                        let reset = block_on(ordinary.limiter.reset(realm, &limits)).is_ok();
                        assert_eq!(reset, block_on(handles.limiter.reset(realm, &theirs)).is_ok(), "{case}");
                    } else {
                        let peeks = (
                            block_on(ordinary.limiter.peek(realm, &limits)),
                            block_on(handles.limiter.peek(realm, &theirs)),
                        );
                        if let (Ok(a), Ok(b)) = peeks {
                            ordinary.assert_same(&a, &handles, &b, &case);
                        }
                    }
                }
            }
            if random.below(change_bound) == 0 {
                change([&ordinary, &handles], realm, &mut random);
            }
        }
    }
    assert!(refused > 0 && refused < checks / 2, "{refused} of {checks}");
}

#[test]
fn two_threads_through_handles_never_admit_more_than_the_contract() {
    for round in 0..100 {
        let limiter = Limiter::with_clock(MemoryStore::new(), ManualClock::new());
        let define = |name, rule| limiter.define(Policy::new(name, rule).unwrap()).unwrap();
        let (narrow, wide) = (define("narrow", "1000/day burst 1000"), define("wide", "1000000/day"));
        let (gate, stack) = (limiter.gate(narrow).unwrap(), limiter.stack([wide, narrow]).unwrap());
        let (now, acme, admitted) = (limiter.clock().monotonic(), TenantId::from(1), AtomicU64::new(0));
        let realm = if round % 2 == 0 { Realm::Shared } else { Realm::Tenant(&acme) };
        let by_stack = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..1000 {
                    let outcome = gate.check_at(realm, 7, now).unwrap();
                    admitted.fetch_add(u64::from(!outcome.denies()), Ordering::Relaxed);
                }
            });
            scope.spawn(|| {
                for _ in 0..1000 {
                    let verdict = stack.check_at(realm, [Subject::Id(7); 2], now).unwrap();
                    by_stack.fetch_add(u64::from(verdict.is_allowed()), Ordering::Relaxed);
                }
            });
        });
        let by_stack = by_stack.into_inner();
        assert_eq!(admitted.into_inner() + by_stack, 1000, "round {round}");
        // What the narrow limit has denied was not charged to the wide one.
        let left =
            limiter.check_local_at(realm, &[Limit::of(wide, 7)], now).unwrap().outcomes()[0].remaining();
        assert_eq!(u64::from(left), 1_000_000 - 1 - by_stack, "round {round}");
    }
}

#[test]
fn what_a_handle_cannot_be_made_of_is_refused() {
    let limiter = Limiter::with_clock(MemoryStore::new(), ManualClock::new());
    let rate = limiter.define(Policy::new("rate", "1/min").unwrap()).unwrap();
    let work = limiter.define(Policy::new("work", "1 concurrent for 1min").unwrap()).unwrap();
    let elsewhere = Limiter::in_memory();
    let foreign = elsewhere.define(Policy::new("rate", "1/min").unwrap()).unwrap();
    assert!(matches!(limiter.gate(work), Err(Error::PermitNeeded { .. })));
    assert!(matches!(limiter.gate(foreign), Err(Error::UnknownPolicy { .. })));
    assert!(matches!(limiter.stack([rate, work]), Err(Error::PermitNeeded { .. })));
    assert!(matches!(limiter.stack([rate, foreign]), Err(Error::UnknownPolicy { .. })));
    assert!(matches!(limiter.stack([]), Err(Error::LimitCount { given: 0, .. })));
    assert!(matches!(limiter.stack([rate; 9]), Err(Error::LimitCount { given: 9, .. })));

    let (gate, twice) = (limiter.gate(rate).unwrap(), limiter.stack([rate, rate]).unwrap());
    assert!(matches!(gate.check(Realm::Shared, &"x".repeat(513)), Err(Error::SubjectTooLong { .. })));
    assert!(matches!(twice.check(Realm::Shared, [Subject::Id(1); 2]), Err(Error::DuplicateLimit { .. })));
    assert!(twice.check(Realm::Shared, [Subject::Id(1), Subject::Id(2)]).unwrap().is_allowed());
    assert!(gate.clone().check(Realm::Shared, 2).unwrap().denies());
    assert_eq!((gate.policy(), twice.policies()), (rate, [rate, rate]));
}

/// Each tenant's rule is the one that a plain map says, however many have one of their own.
#[test]
fn an_override_holds_for_its_tenant_and_for_nobody_else() {
    let limiter = Limiter::with_clock(MemoryStore::new(), ManualClock::new());
    let policy = limiter.define(Policy::new("p", "1000/h burst 1000").unwrap()).unwrap();
    let (gate, stack) = (limiter.gate(policy).unwrap(), limiter.stack([policy]).unwrap());
    let tenants: Vec<_> = (0..600).map(TenantId::from).collect();
    let (mut of_tenants, mut of_shared) = (HashMap::new(), None::<u32>);
    let mut random = Random(3);
    for step in 0..30_000_u64 {
        // Few tenants at first, then hundreds, then few again.
        let chance = if step < 15_000 { 80 } else { 20 };
        match random.below(if step < 3_000 { 300 } else { 6 }) {
            0 => {
                let at = random.below(600) as usize;
                let burst = (random.below(100) < chance).then(|| random.below(900) as u32 + 1);
                let rule = burst.map(|burst| format!("1000/h burst {burst}").parse::<Rule>().unwrap());
                limiter.set_override(policy, &tenants[at], rule).unwrap();
                match burst {
                    Some(burst) => drop(of_tenants.insert(at, burst)),
                    None => drop(of_tenants.remove(&at)),
                }
            }
            1 if step % 50 == 0 => {
                of_shared = (random.below(2) == 0).then_some(77);
                let rule = of_shared.map(|burst| format!("1000/h burst {burst}").parse::<Rule>().unwrap());
                limiter.set_override(policy, Realm::Shared, rule).unwrap();
            }
            _ => {}
        }
        let at = random.below(600) as usize;
        let expected = of_tenants.get(&at).copied().unwrap_or(1000);
        let (realm, now) = (Realm::Tenant(&tenants[at]), limiter.clock().monotonic());
        let limit = Limit::whole(policy);
        let said = [
            limiter.check_one_local_at(realm, &limit, now).unwrap(),
            gate.check(realm, Subject::Whole).unwrap(),
            stack.check(realm, [Subject::Whole]).unwrap().outcomes()[0],
            limiter.check_local(realm, &[limit]).unwrap().outcomes()[0],
        ];
        assert!(said.iter().all(|outcome| outcome.limit() == expected), "step {step}: {expected}, {said:?}");
        assert_eq!(limiter.effective_rule(policy, realm, Subject::Whole).unwrap().capacity(), expected);
        let shared = gate.check(Realm::Shared, 1).unwrap();
        assert_eq!(shared.limit(), of_shared.unwrap_or(1000), "step {step}");
        limiter.clock().advance(Duration::from_secs(30));
    }
}
