//! Overlaps and covers.

use guardian_ipaccess::{
    AccessPolicy, AccessRequest, CompiledPolicy, Defaults, Effect, Overlap, Reason, Rule, Target,
};
use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;

fn small_nets() -> impl Strategy<Value = Vec<(bool, IpNet)>> {
    // Within a /24, so that all 256 addresses can be asked.
    let net = (any::<u8>(), 24_u8..=32).prop_map(|(host, prefix)| {
        IpNet::V4(Ipv4Net::new([192, 0, 2, host].into(), prefix).unwrap().trunc())
    });
    proptest::collection::vec((any::<bool>(), net), 0..40)
}

fn policy(nets: Vec<(bool, IpNet)>) -> AccessPolicy {
    let mut policy = AccessPolicy::new(Defaults::closed());
    for (allows, net) in nets {
        let effect = if allows { Effect::Allow } else { Effect::Deny };
        policy.add(Rule::new(effect, Target::Network(net))).unwrap();
    }
    policy
}

fn said(policy: &AccessPolicy) -> Vec<(Effect, bool)> {
    let compiled = CompiledPolicy::new(policy.clone());
    (0..=255_u8)
        .map(|host| {
            let decision = compiled.decide(&AccessRequest::new(
                [192, 0, 2, host].into(),
                "2026-03-01T12:00:00Z".parse().unwrap(),
            ));
            (decision.effect(), matches!(decision.reason(), Reason::Rule(_)))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn without_a_redundant_rule_everything_is_as_before(nets in small_nets()) {
        let policy = policy(nets);
        for overlap in policy.overlaps() {
            let (Overlap::Redundant { rule, .. } | Overlap::Overruled { rule, .. }) = overlap else { continue };
            let mut without = policy.clone();
            without.remove(rule).unwrap();
            prop_assert_eq!(said(&without), said(&policy), "{:?}", overlap);
        }
    }

    #[test]
    fn a_cover_is_exactly_what_rules_say_and_no_two_of_it_could_be_one(nets in small_nets()) {
        let policy = policy(nets);
        for effect in [Effect::Allow, Effect::Deny] {
            let cover = policy.cover(effect);
            for (host, (said, by_rule)) in (0..=255_u8).zip(said(&policy)) {
                let covered = cover.iter().any(|net| net.contains(&std::net::IpAddr::from([192, 0, 2, host])));
                prop_assert_eq!(covered, by_rule && said == effect, "{}", host);
            }
            prop_assert_eq!(IpNet::aggregate(&cover).len(), cover.len());
        }
    }
}

#[test]
fn a_range_over_both_halves_of_a_network_is_covered_by_it() {
    let policy =
        AccessPolicy::parse("allow 10.0.0.0-10.0.0.255\nallow ::/0\ndeny ::fffe:0:0/95", Defaults::closed())
            .unwrap();
    let cover = policy.cover(Effect::Allow);
    assert!(cover.contains(&"10.0.0.0/24".parse().unwrap()));
    assert!(policy.cover(Effect::Deny).contains(&"::fffe:0:0/95".parse().unwrap()));
}
