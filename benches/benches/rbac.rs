//! Roles: a check beside Cedar and casbin, and what else is asked of a policy.
//!
//! What makes the comparison fair:
//!
//! - Every engine's answers are compared with a naive model before anything is measured; how many were wrong is printed.
//! - Cedar has its entities, its policies and each request prepared; in its best form the whole hierarchy is in the entities.
//! - Ours is asked with texts, as the others are, in `*_strings`; in the small policy it also has prohibitions, windows and
//!   areas, which the peers are spared.
//!
//! Questions are many and their number is a power of two, so that the loop around a call has no division in it, which takes as long as
//! the call.
//!
//! The peers take half an hour to build: `--features rbac-peers`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use guardian_core::ActorKind;
use guardian_rbac::{
    Ask, Change, Grant, GrantId, Item, NewGrant, Principal, PrincipalRef, Resource, Revision, Role, Rule,
};

#[cfg(feature = "rbac-peers")]
#[path = "rbac/peers.rs"]
mod peers;
#[path = "rbac/world.rs"]
mod world;

use world::{LARGE, Random, SMALL, World, now, permission, role, team_area, user};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_000))
        .without_plots()
        .configure_from_args();
    bars();
    let rich = World::new(SMALL, true)?;
    let small = World::new(SMALL, false)?;
    let large = World::new(LARGE, false)?;
    checks(&mut criterion, &rich, &small)?;
    checks(&mut criterion, &large, &large)?;
    handles(&mut criterion, &rich)?;
    handles(&mut criterion, &large)?;
    reasons_and_lists(&mut criterion, &large)?;
    rebuilds(&large)?;
    criterion.final_summary();
    Ok(())
}

#[expect(clippy::print_stdout, reason = "bars are reported on standard output")]
fn bars() {
    println!("bar rbac/small_strings vs cedar 0.02");
    println!("bar rbac/large_strings vs cedar 0.25");
    println!("bar rbac/large_strings vs casbin 0.001");
}

#[expect(clippy::print_stdout, reason = "measures are reported on standard output")]
fn report(case: &str, key: &str, value: impl std::fmt::Display, unit: &str) {
    println!("measure rbac/{case} {key} {value} {unit}");
}

/// What one call takes of the processor: on a machine that others use, the time of the clock is mostly theirs.
fn processor_time(case: &str, name: &str, mut call: impl FnMut(usize)) -> Option<f64> {
    let on_processor = || -> Option<u64> {
        // Ticks of 10 ms in user mode and in the kernel, behind the name in brackets.
        let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let (user, kernel): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((user + kernel) * 10_000_000)
    };
    let mut calls = 1;
    loop {
        let before = on_processor()?;
        (0..calls).for_each(&mut call);
        let spent = on_processor()?.saturating_sub(before);
        // Long enough that a tick more or less does not matter.
        if spent >= 1_000_000_000 {
            let each =
                Duration::from_nanos(spent).as_secs_f64() * 1e9 / f64::from(u32::try_from(calls).ok()?);
            report(case, &format!("processor_ns_{name}"), format!("{each:.1}"), "ns");
            return Some(each);
        }
        calls *= 3;
    }
}

/// How many of an engine's answers differ from the naive model's.
#[cfg(feature = "rbac-peers")]
fn wrong(
    world: &World,
    count: usize,
    mut ask: impl FnMut(usize, usize) -> Result<bool, Failure>,
) -> Result<usize, Failure> {
    let mut wrong = 0;
    for (who, number) in world.questions(count) {
        wrong += usize::from(ask(who, number)? != world.reference(who, number, None)?);
    }
    Ok(wrong)
}

fn checks(criterion: &mut Criterion, world: &World, plain: &World) -> Result<(), Failure> {
    let case = format!("{}_strings", world.size.name);
    let questions = world.questions(4_096);
    let areas: Vec<_> = (0..20).map(team_area).collect::<Result<_, _>>()?;
    let mut random = Random(3);
    let texts: Vec<(String, String, usize)> = questions
        .iter()
        .map(|(who, number)| (user(*who), permission(*number), random.below(areas.len())))
        .collect();
    let now = now();
    let ours = |(who, permission, area): &(String, String, usize)| {
        let resource = areas.get(*area).map(Resource::area).unwrap_or_default();
        let ask = Ask::new(PrincipalRef::new(ActorKind::User, who), permission.as_str()).on(resource);
        world.snapshot.check(&ask, now).is_ok_and(|decision| decision.is_allowed())
    };
    let mut differing = 0;
    let checked = 400;
    for (text, (who, number)) in texts.iter().zip(&questions).take(checked) {
        differing += usize::from(
            ours(text)
                != world.reference(*who, *number, areas.get(text.2).filter(|area| !area.is_tenant()))?,
        );
    }
    report(&case, "wrong_of_400_guardian", differing, "answers");
    let mut group = criterion.benchmark_group(&case);
    let mut next = 0;
    group.bench_function("guardian", |bencher| {
        bencher.iter(|| {
            next = (next + 1) & (texts.len() - 1);
            texts.get(next).map(|text| ours(black_box(text)))
        });
    });
    let own = processor_time(&case, "guardian", |number| {
        black_box(texts.get(number & (texts.len() - 1)).map(|text| ours(black_box(text))));
    });
    #[cfg(feature = "rbac-peers")]
    against_peers(&mut group, &case, plain, &texts, own)?;
    #[cfg(not(feature = "rbac-peers"))]
    let _ = (plain, own);
    group.finish();
    Ok(())
}

#[cfg(feature = "rbac-peers")]
#[expect(clippy::disallowed_methods, reason = "a benchmark measures by the clock of the machine")]
fn against_peers(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    case: &str,
    plain: &World,
    texts: &[(String, String, usize)],
    own: Option<f64>,
) -> Result<(), Failure> {
    for (name, per_role, checked) in [("cedar", false, 400), ("cedar-policy-per-role", true, 100)] {
        let started = Instant::now();
        let cedar = if per_role { peers::Cedar::per_role(plain)? } else { peers::Cedar::hierarchy(plain)? };
        report(case, &format!("set_up_{name}"), started.elapsed().as_millis(), "ms");
        let found = wrong(plain, checked, |who, number| Ok(cedar.ask(&cedar.request(who, number)?)))?;
        report(case, &format!("wrong_of_{checked}_{name}"), found, "answers");
        let requests: Vec<_> = plain
            .questions(1_024)
            .into_iter()
            .map(|(who, number)| cedar.request(who, number))
            .collect::<Result<_, _>>()?;
        let spent = processor_time(case, name, |number| {
            black_box(
                requests.get(number & (requests.len() - 1)).map(|request| cedar.ask(black_box(request))),
            );
        });
        compare(case, name, own, spent);
        let mut next = 0;
        group.bench_function(format!("vs/{name}"), |bencher| {
            bencher.iter(|| {
                next = (next + 1) & (requests.len() - 1);
                requests.get(next).map(|request| cedar.ask(black_box(request)))
            });
        });
    }
    let started = Instant::now();
    let casbin = peers::Casbin::new(plain)?;
    report(case, "set_up_casbin", started.elapsed().as_millis(), "ms");
    let found = wrong(plain, 60, |who, number| Ok(casbin.ask(&user(who), &permission(number))))?;
    report(case, "wrong_of_60_casbin", found, "answers");
    let spent = processor_time(case, "casbin", |number| {
        black_box(
            texts.get(number & (texts.len() - 1)).map(|(who, permission, _)| casbin.ask(who, permission)),
        );
    });
    compare(case, "casbin", own, spent);
    let mut next = 0;
    group.bench_function("vs/casbin", |bencher| {
        bencher.iter(|| {
            next = (next + 1) & (texts.len() - 1);
            texts.get(next).map(|(who, permission, _)| casbin.ask(black_box(who), black_box(permission)))
        });
    });
    Ok(())
}

#[cfg(feature = "rbac-peers")]
fn compare(case: &str, name: &str, own: Option<f64>, peer: Option<f64>) {
    if let (Some(own), Some(peer)) = (own, peer) {
        report(case, &format!("processor_time_vs_{name}"), format!("{:.5}", own / peer), "ratio");
    }
}

fn handles(criterion: &mut Criterion, world: &World) -> Result<(), Failure> {
    let snapshot = &world.snapshot;
    let tenant = snapshot.area(&team_area(0)?).ok_or("the tenant is an area")?;
    let mut asked = Vec::new();
    for (who, number) in world.questions(4_096) {
        let principal = snapshot.principal(&Principal::user(user(who))?).ok_or("a user of the policy")?;
        asked.push((principal, world.catalog.handle(&permission(number))?));
    }
    let now = now();
    processor_time(&format!("{}_handles", world.size.name), "guardian", |number| {
        let asked = asked.get(number & (asked.len() - 1));
        black_box(
            asked.map(|(who, permission)| snapshot.check_handles(*who, *permission, tenant, black_box(now))),
        );
    });
    let mut group = criterion.benchmark_group(format!("{}_handles", world.size.name));
    let mut next = 0;
    group.bench_function("guardian", |bencher| {
        bencher.iter(|| {
            next = (next + 1) & (asked.len() - 1);
            asked
                .get(next)
                .map(|(who, permission)| snapshot.check_handles(*who, *permission, tenant, black_box(now)))
        });
    });
    group.finish();
    Ok(())
}

fn reasons_and_lists(criterion: &mut Criterion, world: &World) -> Result<(), Failure> {
    let questions = world.questions(1_024);
    let texts: Vec<(String, String)> =
        questions.iter().map(|(who, number)| (user(*who), permission(*number))).collect();
    processor_time("large_lists", "explain", |number| {
        black_box(texts.get(number & (texts.len() - 1)).map(|(who, permission)| {
            let ask = Ask::new(PrincipalRef::new(ActorKind::User, who), permission.as_str());
            world.snapshot.explain(&ask, now()).is_ok()
        }));
    });
    processor_time("large_lists", "who_can", |_| {
        let _ = black_box(world.snapshot.who_can(permission(17).as_str(), &Resource::tenant(), now()));
    });
    let mut group = criterion.benchmark_group("large_lists");
    let mut next = 0;
    group.bench_function("guardian:explain", |bencher| {
        bencher.iter(|| {
            next = (next + 1) & (texts.len() - 1);
            texts.get(next).map(|(who, permission)| {
                world
                    .snapshot
                    .explain(&Ask::new(PrincipalRef::new(ActorKind::User, who), permission.as_str()), now())
            })
        });
    });
    group.bench_function("guardian:who_can", |bencher| {
        bencher
            .iter(|| world.snapshot.who_can(black_box(permission(17).as_str()), &Resource::tenant(), now()));
    });
    group.bench_function("guardian:what_can", |bencher| {
        bencher.iter(|| {
            next = (next + 1) & (texts.len() - 1);
            texts.get(next).map(|(who, _)| {
                world.snapshot.what_can(PrincipalRef::new(ActorKind::User, who), &Resource::tenant(), now())
            })
        });
    });
    group.bench_function("guardian:filter", |bencher| {
        bencher.iter(|| {
            next = (next + 1) & (texts.len() - 1);
            texts.get(next).map(|(who, permission)| {
                world.snapshot.filter(PrincipalRef::new(ActorKind::User, who), permission.as_str(), now())
            })
        });
    });
    group.finish();
    Ok(())
}

/// A grant and a role change in the large policy: the median of eleven.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures by the clock of the machine")]
fn rebuilds(world: &World) -> Result<(), Failure> {
    let mut policy = world.policy.clone();
    let mut snapshot = world.snapshot.clone();
    let (mut grants, mut roles) = (Vec::new(), Vec::new());
    for number in 0..11_u32 {
        let new = NewGrant::new(Principal::user(user(number as usize * 97))?.into(), &role(3), "a change")?;
        let id = GrantId::new(uuid::Uuid::from_u128(1 << 100 | u128::from(number)));
        let grant = Item::Grant(Grant::of(new, id, Principal::user("giver")?, now()));
        let edited = Role::new(&role(9))?.with(Rule::allow(&permission(number as usize))?);
        for (item, times) in [(grant, &mut grants), (Item::Role(edited), &mut roles)] {
            let started = Instant::now();
            let change = Change::Put(item);
            let undo = policy.apply(change.clone());
            snapshot = snapshot.next(&policy, &[change, undo], Revision::new(i64::from(number) + 2))?;
            times.push(started.elapsed());
        }
    }
    for (name, times) in [("after_a_grant", &mut grants), ("after_a_role", &mut roles)] {
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        report("large_rebuild", name, median.as_micros(), "us");
    }
    let started = Instant::now();
    let compiled = guardian_rbac::Snapshot::compile(&world.policy, &world.catalog, Revision::new(1))?;
    black_box(&compiled);
    report("large_rebuild", "from_nothing", started.elapsed().as_millis(), "ms");
    Ok(())
}
