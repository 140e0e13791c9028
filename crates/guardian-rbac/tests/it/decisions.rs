//! Decisions are those of the naive model, however deep roles inherit and however the policy came to be.

use guardian_rbac::{Outcome, Revision, Snapshot};

use crate::random::{CATALOG, Random, Shape, ask, change, policy, time};

/// Asks that many questions of that many policies, each changed four times on the way.
fn agree(seed: u64, policies: usize, questions: usize, shape: Shape) -> [usize; 5] {
    let mut counts = [0; 5];
    for number in 0..policies {
        let mut random = Random::new(seed + number as u64);
        let mut policy = policy(&mut random, shape);
        let mut snapshot = Snapshot::compile(&policy, &CATALOG, Revision::new(1)).unwrap();
        for step in 0..5 {
            for _ in 0..questions / 5 {
                let now = time(random.hours(64));
                let (text, given, wanted) = ask(&mut random, &policy, &snapshot, now);
                assert_eq!(given, wanted, "seed {} step {step}: {text}\n{policy:#?}", seed + number as u64);
                counts[match given {
                    Outcome::Allow => 0,
                    Outcome::Forbidden => 1,
                    Outcome::NotPermitted => 2,
                    Outcome::Expired { .. } => 3,
                    _ => 4,
                }] += 1;
            }
            let change = change(&mut random, &policy, shape);
            let undo = policy.apply(change.clone());
            snapshot = snapshot.next(&policy, &[change, undo], Revision::new(2 + step)).unwrap();
        }
    }
    counts
}

/// None of the outcomes is so rare that it was hardly tried.
fn all_were_tried(counts: [usize; 5]) {
    let all: usize = counts.iter().sum();
    assert!(counts.iter().all(|count| count * 100 > all), "{counts:?}");
}

#[test]
fn half_a_million_of_mixed_policies() {
    let shape = Shape { roles: 9, chain: false, hours: true, conditions: true };
    all_were_tried(agree(1 << 32, 5_000, 100, shape));
}

#[test]
fn two_hundred_thousand_at_depth_10() {
    agree(2 << 32, 2_000, 100, Shape { roles: 10, chain: true, hours: false, conditions: true });
}

#[test]
fn two_hundred_thousand_at_depth_32() {
    agree(3 << 32, 2_000, 100, Shape { roles: 32, chain: true, hours: false, conditions: false });
}

#[test]
fn two_hundred_thousand_at_depth_100() {
    agree(4 << 32, 2_000, 100, Shape { roles: 100, chain: true, hours: false, conditions: false });
}
