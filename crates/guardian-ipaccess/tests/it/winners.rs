//! Compiled policies beside the model: a million pairs of a rule set and an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guardian_core::Timestamp;
use guardian_ipaccess::{
    AccessPolicy, AccessRequest, AddressRange, Anonymizer, Anonymizers, Applies, CompiledPolicy, Country,
    Defaults, Effect, Finding, Geography, Located, OnStale, Rule, Target, Wanted,
};
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::model;

/// Bits from few values, so that networks nest, touch and repeat.
fn v4() -> impl Strategy<Value = Ipv4Addr> {
    let byte = || prop_oneof![Just(0_u8), Just(1), Just(127), Just(128), Just(255), any::<u8>()];
    let near = (prop_oneof![Just(10_u8), Just(192), Just(0), Just(255)], byte(), byte(), byte());
    near.prop_map(|(a, b, c, d)| Ipv4Addr::new(a, b, c, d))
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    let group = || prop_oneof![Just(0_u16), Just(1), Just(0x8000), Just(0xffff)];
    let head = prop_oneof![
        Just([0x2001, 0xdb8]),
        Just([0x64, 0xff9b]),
        Just([0x2002, 0x0a00]),
        Just([0x2001, 0]),
        Just([0xffff, 0xffff])
    ];
    let plain = (head, [group(), group(), group(), group(), group(), group()]);
    let plain = plain.prop_map(|([a, b], [c, d, e, f, g, h])| Ipv6Addr::new(a, b, c, d, e, f, g, h));
    // And addresses that carry one of the others.
    prop_oneof![
        plain,
        v4().prop_map(|v4| {
            let [a, b, c, d] = v4.octets();
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        })
    ]
}

fn addr() -> impl Strategy<Value = IpAddr> {
    prop_oneof![v4().prop_map(IpAddr::V4), v6().prop_map(IpAddr::V6)]
}

fn net() -> impl Strategy<Value = IpNet> {
    let prefix = prop_oneof![Just(8_u8), Just(16), Just(24), Just(31), Just(32), 0_u8..=32];
    let long = prop_oneof![Just(32_u8), Just(48), Just(64), Just(96), Just(127), Just(128), 0_u8..=128];
    prop_oneof![
        (v4(), prefix).prop_map(|(addr, prefix)| IpNet::new(addr.into(), prefix).unwrap().trunc()),
        (v6(), long).prop_map(|(addr, prefix)| IpNet::new(addr.into(), prefix).unwrap().trunc()),
    ]
}

fn country() -> impl Strategy<Value = Country> {
    prop_oneof![Just("DE"), Just("NO"), Just("US")].prop_map(|code| code.parse().unwrap())
}

fn target() -> impl Strategy<Value = Target> {
    let kinds = vec![Anonymizer::Any, Anonymizer::Tor, Anonymizer::Vpn, Anonymizer::Hosting];
    prop_oneof![
        8 => net().prop_map(Target::Network),
        2 => (addr(), addr()).prop_filter_map("one family", |(a, b)| {
            AddressRange::new(a, b).or(AddressRange::new(b, a)).map(Target::Range)
        }),
        1 => (1_u32..4).prop_map(Target::Asn),
        1 => country().prop_map(Target::Country),
        1 => prop_oneof![Just("EU"), Just("EEA")].prop_map(|name| Target::Region(name.into())),
        1 => proptest::sample::select(kinds).prop_map(Target::Anonymizer),
    ]
}

fn applies() -> impl Strategy<Value = Applies> {
    prop_oneof![
        6 => Just(Applies::Everyone),
        1 => Just(Applies::User("ann".into())),
        1 => Just(Applies::Role("admin".into())),
        1 => Just(Applies::ApiKey("k1".into())),
        1 => Just(Applies::Route("/admin".into())),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let effect = prop_oneof![Just(Effect::Allow), Just(Effect::Deny)];
    let expires = proptest::option::weighted(0.2, 0_i64..4);
    let schedule = proptest::option::weighted(0.1, Just("Mon-Fri 08:00-18:00 Europe/Berlin"));
    (effect, target(), applies(), expires, schedule).prop_map(
        |(effect, target, applies, expires, schedule)| {
            let mut rule = Rule::new(effect, target).for_whom(applies);
            rule.expires = expires.map(time);
            rule.schedule = schedule.map(|text| text.parse().unwrap());
            rule
        },
    )
}

fn defaults() -> impl Strategy<Value = Defaults> {
    let effect = || prop_oneof![Just(Effect::Allow), Just(Effect::Deny)];
    let stale = prop_oneof![Just(OnStale::Believe), Just(OnStale::Allow), Just(OnStale::Deny)];
    (effect(), effect(), effect(), effect(), stale).prop_map(
        |(no_rule, unknown_country, unparsable, no_database, stale_database)| Defaults {
            no_rule,
            unknown_country,
            unparsable,
            no_database,
            stale_database,
        },
    )
}

/// Six hours apart from a Monday at noon.
fn time(step: i64) -> Timestamp {
    let start: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
    start + chrono::TimeDelta::hours(6 * step)
}

/// What an address gives away by its last bits.
#[derive(Debug, Clone, Copy)]
struct World(u8);

impl Geography for World {
    fn look_up(&self, addr: IpAddr, _at: Timestamp, wanted: Wanted) -> Located {
        let bits = match addr {
            IpAddr::V4(addr) => u32::from(addr),
            IpAddr::V6(addr) => (u128::from(addr) & 0xffff) as u32,
        };
        let code = [None, Some("DE"), Some("NO"), Some("US")][(bits % 4) as usize];
        let country = code.map(|code| code.parse().unwrap());
        let asn = (bits % 5 != 0).then_some(bits % 5);
        let kinds = [
            Anonymizers::none(),
            Anonymizers::none().with(Anonymizer::Tor),
            Anonymizers::none().with(Anonymizer::Vpn),
        ];
        let located = Located {
            country: self.finding(0, country),
            asn: self.finding(2, asn),
            anonymizer: self.finding(4, Some(kinds[(bits % 3) as usize])),
        };
        // What was not asked for must not matter.
        Located {
            country: if wanted.country { located.country } else { Finding::NoDatabase },
            asn: if wanted.asn { located.asn } else { Finding::NoDatabase },
            anonymizer: if wanted.anonymizer { located.anonymizer } else { Finding::NoDatabase },
        }
    }
}

impl World {
    fn finding<T>(self, shift: u8, value: Option<T>) -> Finding<T> {
        match (self.0 >> shift) % 4 {
            0 => Finding::NoDatabase,
            1 => Finding::Stale(value),
            _ => value.map_or(Finding::Unknown, Finding::Known),
        }
    }
}

#[test]
fn a_million_pairs_are_decided_as_the_model_says() {
    let mut runner = TestRunner::new(Config { cases: 5_000, failure_persistence: None, ..Config::default() });
    // Short lists and long ones, which are kept in different ways.
    let rules =
        prop_oneof![proptest::collection::vec(rule(), 0..12), proptest::collection::vec(rule(), 30..120)];
    let asked = proptest::collection::vec((addr(), 0_i64..4, 0_u8..16), 64);
    let mut pairs = 0_u64;
    let counted = std::cell::Cell::new(0_u64);
    let result = runner.run(&(rules, defaults(), any::<u8>(), asked), |(rules, defaults, world, asked)| {
        let mut policy = AccessPolicy::new(defaults);
        for rule in rules {
            policy.add(rule).unwrap();
        }
        // The edges of every network, where an index goes wrong.
        let edges = policy.rules().iter().filter_map(|rule| match &rule.target {
            Target::Network(net) => Some([net.network(), net.broadcast()]),
            Target::Range(range) => Some([range.first(), range.last()]),
            _ => None,
        });
        let edges: Vec<_> = edges
            .flatten()
            .flat_map(|edge| [Some(edge), beside(edge, 1), beside(edge, -1)])
            .flatten()
            .collect();
        let compiled = CompiledPolicy::new(policy);
        let whole = edges.into_iter().map(|addr| (addr, 0, 0)).chain(asked);
        for (addr, at, bits) in whole {
            let mut request = AccessRequest::new(addr, time(at));
            request.user = (bits & 1 != 0).then_some("ann");
            request.roles = if bits & 2 != 0 { &["sales", "admin"] } else { &[] };
            request.api_key = (bits & 4 != 0).then_some("k1");
            request.route = Some(if bits & 8 != 0 { "/admin/users" } else { "/administrators" });
            let expected = model::decide(compiled.policy(), &request, &World(world));
            let said = compiled.decide_in(&request, &World(world));
            prop_assert_eq!((said.effect(), said.reason()), expected, "{:?} {}", request, compiled.policy());
            if counted.get().is_multiple_of(64) {
                let explained = compiled.explain(&request, &World(world));
                prop_assert_eq!(explained.decision, said);
                let deciding: Vec<_> = explained
                    .rules
                    .iter()
                    .filter(|rule| rule.fate == guardian_ipaccess::Fate::Decides)
                    .map(|rule| rule.rule)
                    .collect();
                prop_assert_eq!(deciding, said.rule().into_iter().collect::<Vec<_>>(), "{}", explained);
            }
            counted.set(counted.get() + 1);
        }
        Ok(())
    });
    result.unwrap();
    pairs += counted.get();
    assert!(pairs >= 1_000_000, "only {pairs} pairs");
}

fn beside(addr: IpAddr, step: i8) -> Option<IpAddr> {
    Some(match addr {
        IpAddr::V4(addr) => Ipv4Addr::from(u32::from(addr).checked_add_signed(step.into())?).into(),
        IpAddr::V6(addr) => {
            IpAddr::from(Ipv6Addr::from(u128::from(addr).checked_add_signed(step.into())?)).to_canonical()
        }
    })
}

#[test]
fn a_hundred_thousand_rules_take_no_more_memory_than_promised() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for (family, bound) in [(4_u8, 20), (6, 45)] {
        let mut policy = AccessPolicy::new(Defaults::open());
        for _ in 0..100_000 {
            let (a, b) = (random(), random());
            let net = if family == 4 {
                IpNet::new(Ipv4Addr::from((a >> 32) as u32).into(), 16 + (b % 17) as u8)
            } else {
                let addr = (u128::from(a) << 64 | u128::from(b)) >> 3 | 1 << 125;
                IpNet::new(Ipv6Addr::from(addr).into(), 32 + (b % 97) as u8)
            };
            let effect = if a % 2 == 0 { Effect::Allow } else { Effect::Deny };
            policy.add(Rule::new(effect, Target::Network(net.unwrap().trunc()))).unwrap();
        }
        let bytes = CompiledPolicy::new(policy).index_bytes();
        assert!(bytes <= bound * 100_000, "{bytes} bytes for IPv{family}");
    }
}
