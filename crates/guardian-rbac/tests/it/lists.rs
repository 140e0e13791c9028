//! Lists and filters say what checks say.

use guardian_rbac::{Area, Ask, Resource, Revision, Snapshot};

use crate::random::{AREAS, CATALOG, PERMISSIONS, Random, Shape, USERS, area, policy, time, user};

#[test]
fn a_filter_finds_what_a_check_allows() {
    let shape = Shape { roles: 7, chain: false, hours: true, conditions: false };
    let mut found = 0;
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let policy = policy(&mut random, shape);
        let snapshot = Snapshot::compile(&policy, &CATALOG, Revision::new(1)).unwrap();
        for _ in 0..10 {
            let (who, permission) = (user(random.below(USERS + 1)), random.pick(&PERMISSIONS).clone());
            let now = time(random.hours(60));
            let filter = snapshot.filter(&who, &permission, now).unwrap();
            assert!(filter.is_exact());
            for _ in 0..6 {
                let own = Area::new("deal", format!("{}", random.below(5))).unwrap();
                let teams: Vec<Area> =
                    (0..random.below(3)).map(|_| area(1 + random.below(AREAS - 1))).collect();
                let ask = Ask::new(&who, &permission).on(Resource::area(&own).within(&teams));
                let allowed = snapshot.check(&ask, now).unwrap().is_allowed();
                let columns: Vec<Area> = teams.iter().cloned().chain([own]).collect();
                assert_eq!(
                    filter.matches(&columns),
                    allowed,
                    "seed {seed} {who} {permission} {columns:?} {filter:?}"
                );
                found += usize::from(allowed && !filter.is_everything());
            }
        }
    }
    assert!(found > 500, "{found}");
}

#[test]
fn who_can_lists_those_whose_check_allows() {
    for (seed, conditions) in (0..300).map(|seed| (seed, seed % 2 == 0)) {
        let shape = Shape { roles: 7, chain: false, hours: true, conditions };
        let mut random = Random::new(seed);
        let policy = policy(&mut random, shape);
        let snapshot = Snapshot::compile(&policy, &CATALOG, Revision::new(1)).unwrap();
        for permission in PERMISSIONS.iter() {
            let (own, now) = (area(random.below(AREAS)), time(random.hours(60)));
            let resource = Resource::area(&own);
            let listed = snapshot.who_can(permission, &resource, now).unwrap();
            for number in 0..USERS {
                let who = user(number);
                let allowed =
                    snapshot.check(&Ask::new(&who, permission).on(resource), now).unwrap().is_allowed();
                let known = snapshot.principal(&who).is_some();
                let given = if known { listed.principals.contains(&who) } else { listed.everyone };
                assert_eq!(given, allowed, "seed {seed} {who} {permission} {own}");
                let can = snapshot.what_can(&who, &resource, now);
                let handle = CATALOG.handle(permission.as_str()).unwrap();
                let can = can.iter().any(|can| can.permission == handle && can.outcome.is_allowed());
                assert_eq!(can, allowed);
            }
        }
    }
}
