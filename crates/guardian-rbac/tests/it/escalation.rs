//! Nobody gives more than they hold: random sequences of writes by random actors, judged by the naive model.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use guardian_core::{Actor, ManualClock, Scope, SeededIds, TenantId};
use guardian_rbac::testkit::reference::{self, Question};
use guardian_rbac::{
    Area, Catalog, Error, GrantId, Membership, MemoryStore, NewGrant, Permission, Policy, Principal, Rbac,
    Role, Rule, Subject, WRITE_AREAS, WRITE_GRANTS, WRITE_ROLES, Window,
};

use crate::random::{Random, Time, area, group, means, time, user};

const PERMISSIONS: [&str; 4] = ["deal:read", "deal:edit", "note:read", "note:edit"];
const PATTERNS: [&str; 7] = ["deal:read", "deal:edit", "deal:*", "note:*", "*:read", "note:edit", "*"];
const ROLES: usize = 6;
const TEAMS: usize = 5;

fn catalog() -> Catalog {
    let builder = PERMISSIONS.iter().fold(Catalog::builder(), |builder, name| builder.permission(name, ""));
    builder.build().unwrap()
}

fn scope(who: &Principal) -> Scope {
    Scope::new(TenantId::new("acme").unwrap(), Actor::user(who.id()).unwrap())
}

fn people() -> Vec<Principal> {
    (0..4)
        .map(|number| Principal::user(format!("u{number}")).unwrap())
        .chain([Principal::user("stranger").unwrap()])
        .collect()
}

/// Who may do what, where and when.
type Rights = BTreeMap<(usize, usize, usize, usize), bool>;

fn times() -> Vec<Time> {
    [0, 5, 15, 25, 40, 70].iter().map(|hours| time(*hours) + TimeDelta::minutes(1)).collect()
}

fn rights(policy: &Policy, people: &[Principal], permissions: &[Permission]) -> Rights {
    let mut rights = Rights::new();
    for (who, principal) in people.iter().enumerate() {
        for (what, permission) in permissions.iter().enumerate() {
            for place in 0..TEAMS {
                let areas = [area(place)];
                let question = Question {
                    who: principal,
                    permission,
                    areas: if place == 0 { &[] } else { &areas },
                    active: None,
                    // Whatever a condition asks for may come true, and a prohibition's may not.
                    holds: &|_| Some(true),
                    means: &means,
                };
                for (at, time) in times().into_iter().enumerate() {
                    let allowed = reference::decide(policy, &question, time).is_allowed();
                    rights.insert((who, what, place, at), allowed);
                }
            }
        }
    }
    rights
}

fn window(random: &mut Random) -> Window {
    match random.below(5) {
        0 => Window::until(time(10 + random.hours(40))),
        1 => {
            let from = random.hours(30);
            Window::between(time(from), time(from + 10 + random.hours(30))).unwrap()
        }
        _ => Window::always(),
    }
}

fn role(random: &mut Random, number: usize) -> Role {
    let mut role = Role::new(&format!("r{number}")).unwrap();
    if number > 0 && random.one_in(2) {
        role = role.inherits(&format!("r{}", random.below(number))).unwrap();
    }
    for _ in 0..random.below(3) {
        let pattern = random.pick(&PATTERNS);
        let mut rule = if random.one_in(4) { Rule::deny(pattern) } else { Rule::allow(pattern) }.unwrap();
        if random.one_in(5) {
            rule = rule.in_area(area(random.below(TEAMS)));
        }
        if random.one_in(6) {
            rule = rule.during(window(random));
        }
        role = role.with(rule);
    }
    role
}

fn subject(random: &mut Random) -> Subject {
    match random.below(8) {
        0 => Subject::Everyone,
        1 | 2 => Subject::Group(group(random.below(2))),
        _ => Subject::Principal(user_only(random.below(4))),
    }
}

fn user_only(number: usize) -> Principal {
    if number == 3 { Principal::user("u3").unwrap() } else { user(number) }
}

fn new_grant(random: &mut Random) -> NewGrant {
    let role = format!("r{}", random.below(ROLES));
    let new = NewGrant::new(subject(random), &role, "a test").unwrap();
    new.in_area(area(random.below(TEAMS))).during(window(random)).delegable(*random.pick(&[0, 1, 2]))
}

/// One write; `None` where it was refused.
async fn write(random: &mut Random, rbac: &Rbac, scope: &Scope, grants: &[GrantId]) -> Option<()> {
    let refused = |error: Error| match error {
        Error::Store(_) | Error::Contended | Error::ForeignHandle | Error::Changed { .. } => {
            panic!("{error:?}")
        }
        _ => (),
    };
    let done = match random.below(12) {
        0..=2 => rbac.grant(scope, new_grant(random)).await.map(drop).map_err(refused),
        3..=5 if !grants.is_empty() => {
            let of = *random.pick(grants);
            let mut new = new_grant(random);
            // Most often something that is in the grant.
            if let Some(parent) = rbac.tenant(scope.tenant()).unwrap().policy().grant(of)
                && !random.one_in(3)
            {
                new.role = parent.role.clone();
                new.area = parent.area.clone();
                new.window = parent.window.clone();
                new.depth = 0;
            }
            rbac.delegate(scope, of, new).await.map(drop).map_err(refused)
        }
        6 if !grants.is_empty() => rbac.revoke(scope, *random.pick(grants)).await.map(drop).map_err(refused),
        7 | 8 => {
            let number = random.below(ROLES);
            rbac.put_role(scope, role(random, number)).await.map(drop).map_err(refused)
        }
        9 => {
            let at = random.below(2);
            let member =
                if at == 1 && random.one_in(4) { Subject::Group(group(0)) } else { subject_in_group(random) };
            let membership = Membership::new(group(at), member.clone()).during(window(random));
            if random.one_in(3) {
                rbac.remove_member(scope, &group(at), &member).await.map(drop).map_err(refused)
            } else {
                rbac.put_member(scope, membership).await.map(drop).map_err(refused)
            }
        }
        _ => {
            let at = 2 + random.below(TEAMS - 2);
            if random.one_in(3) {
                rbac.remove_place(scope, &area(at)).await.map(drop).map_err(refused)
            } else {
                let parents: Vec<Area> = vec![area(1 + random.below(at - 1))];
                rbac.put_place(scope, area(at), parents).await.map(drop).map_err(refused)
            }
        }
    };
    done.ok()
}

fn subject_in_group(random: &mut Random) -> Subject {
    Subject::Principal(user_only(random.below(4)))
}

async fn sequence(seed: u64, steps: usize) -> (usize, usize) {
    let mut random = Random::new(seed);
    let clock = ManualClock::at(time(0));
    let rbac = Rbac::new(catalog(), MemoryStore::new()).with_clock(clock).with_ids(SeededIds::new(seed));
    let host = Scope::system(TenantId::new("acme").unwrap());
    let people = people();
    let permissions: Vec<Permission> =
        PERMISSIONS.iter().map(|name| Permission::new(name).unwrap()).collect();
    // The host sets up: roles, some grants, and who may write what.
    for number in 0..ROLES {
        rbac.put_role(&host, role(&mut random, number)).await.unwrap();
    }
    let manager = Role::new("manager").unwrap().with(Rule::allow(WRITE_GRANTS).unwrap());
    let admin = Role::new("admin").unwrap().inherits("manager").unwrap();
    let admin = admin.with(Rule::allow(WRITE_ROLES).unwrap()).with(Rule::allow(WRITE_AREAS).unwrap());
    rbac.put_role(&host, manager).await.unwrap();
    rbac.put_role(&host, admin).await.unwrap();
    for number in 0..4 {
        let role = if number < 2 { "admin" } else { "manager" };
        let new = NewGrant::new(user_only(number).into(), role, "set up").unwrap();
        rbac.grant(&host, new.in_area(area(if number == 3 { 1 } else { 0 }))).await.unwrap();
    }
    for _ in 0..6 {
        // The host may do everything; what makes no sense is refused to it as well.
        let _ = write(&mut random, &rbac, &host, &[]).await;
        let _ = rbac.grant(&host, new_grant(&mut random)).await;
    }
    let (mut accepted, mut passed_on) = (0, 0);
    let tenant = rbac.tenant(host.tenant()).unwrap();
    let mut before = rights(&tenant.policy(), &people, &permissions);
    for step in 0..steps {
        let actor = random.below(4);
        let policy = tenant.policy();
        let mut grants: Vec<GrantId> = policy.grants().map(|grant| grant.id).collect();
        grants.sort();
        let own: Vec<GrantId> =
            policy.grants_of(&people[actor].clone().into()).map(|grant| grant.id).collect();
        let grants = if random.one_in(2) && !own.is_empty() { own } else { grants };
        if write(&mut random, &rbac, &scope(&people[actor]), &grants).await.is_none() {
            continue;
        }
        accepted += 1;
        let now = tenant.policy();
        passed_on += usize::from(now.grants().filter(|grant| grant.parent.is_some()).count() > 0);
        let after = rights(&now, &people, &permissions);
        for (right, allowed) in &after {
            let gained = *allowed && !before[right];
            let (_, what, place, at) = *right;
            let held = before[&(actor, what, place, at)];
            assert!(
                !gained || held,
                "seed {seed} step {step}: {} made {} gain {} in {} at {}\nbefore {policy:#?}\nafter {now:#?}",
                people[actor],
                people[right.0],
                PERMISSIONS[what],
                area(place),
                times()[at],
            );
        }
        before = after;
    }
    (accepted, passed_on)
}

#[tokio::test]
async fn ten_thousand_sequences_escalate_nothing() {
    let (mut accepted, mut passed_on) = (0, 0);
    for seed in 0..10_000 {
        let counts = sequence(seed, 8).await;
        accepted += counts.0;
        passed_on += counts.1;
    }
    // It was not that everything was refused.
    assert!(accepted > 5_000 && passed_on > 200, "{accepted} accepted, {passed_on} with something passed on");
}
