//! Policies as people write them.

use guardian_ipaccess::{
    AccessPolicy, AccessRequest, Applies, CompiledPolicy, Defaults, Effect, PolicyError, Reason, Rule,
    Schedule,
};
use proptest::prelude::*;

const WHOLE: &str = r#"
default deny
unknown country deny
unparsable deny
no database allow
stale database believe
dry run
region DACH = DE AT CH
allow 192.0.2.0/24 # office
allow 198.51.100.7-198.51.100.20 for role support until 2026-12-31T00:00:00Z owner ann
allow region DACH during Mon-Fri 08:00-18:00 Europe/Berlin
deny asn 64496 for route /admin
deny anonymizer tor for user "ann b" # she said so
allow 2001:db8::/32
"#;

#[test]
fn what_is_written_reads_back() {
    let policy = AccessPolicy::parse(WHOLE, Defaults::open()).unwrap();
    assert_eq!(policy.rules().len(), 6);
    assert!(policy.is_dry_run());
    assert_eq!(policy.rules()[4].applies, Applies::User("ann b".into()));
    let again = AccessPolicy::parse(&policy.to_string(), Defaults::closed()).unwrap();
    assert_eq!(again, policy);
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(AccessPolicy::from_json(&json).unwrap(), policy);
}

#[test]
fn errors_name_the_line_and_what_is_wrong() {
    let cases = [
        ("allow", "line 1: the rule is about nothing"),
        (
            "allow 10.0.0.1/8",
            "line 1: network `10.0.0.1/8` has host bits set, write `10.0.0.0/8` or `10.0.0.1`",
        ),
        (
            "deny fe80::1%eth0",
            "line 1: address `fe80::1%eth0` has a zone, which means something on one machine only",
        ),
        (
            "\n\ndeny 10.0.0.0/33",
            "line 3: `10.0.0.0/33` is neither an address, a network such as `192.0.2.0/24`, nor a range such as `192.0.2.1-192.0.2.9`",
        ),
        (
            "deny 10.0.0.9-10.0.0.1",
            "line 1: range `10.0.0.9-10.0.0.1` does not go from a lower address to a higher one of the same family",
        ),
        ("deny country Germany", "line 1: `Germany` is no country code of two letters"),
        ("deny region MARS", "line 1: rule #1 is about the region `MARS`, which the policy does not define"),
        ("deny asn 0", "line 1: `0` is no number of an autonomous system"),
        (
            "deny anonymizer onion",
            "line 1: `onion` is no anonymiser; there are any, vpn, tor, hosting, public_proxy and residential_proxy",
        ),
        ("allow 10.0.0.0/8 for", "line 1: nothing follows `for`"),
        (
            "allow 10.0.0.0/8 for team x",
            "line 1: `for team` is not user, role, key or route: write `for user team`",
        ),
        ("allow 10.0.0.0/8 until tomorrow", "line 1: `tomorrow` is no time such as `2026-12-31T00:00:00Z`"),
        (
            "allow 10.0.0.0/8 during Mon 25:00-26:00 UTC",
            "line 1: schedule `Mon 25:00-26:00 UTC`: an hour is not from 00:00 to 24:00; write it as `Mon-Fri 08:00-18:00 Europe/Berlin`",
        ),
        ("permit 10.0.0.0/8", "line 1: `permit 10.0.0.0/8` is neither a rule nor a setting"),
        ("allow 10.0.0.0/8 for user \"ann", "line 1: a quote is not closed"),
        ("allow 10.0.0.0/8 maybe", "line 1: `maybe` is not for, until, during or owner"),
    ];
    for (text, expected) in cases {
        let error = AccessPolicy::parse(text, Defaults::open()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn a_list_that_has_a_wrong_line_adds_nothing() {
    let mut policy = AccessPolicy::new(Defaults::open());
    let error = policy.add_list("192.0.2.1\n192.0.2.300", Effect::Deny).unwrap_err();
    assert!(matches!(error, PolicyError::Line { line: 2, .. }), "{error}");
    assert!(policy.rules().is_empty());
    assert_eq!(policy.add_list("# nothing\n192.0.2.1", Effect::Deny).unwrap(), 1);
    assert_eq!(policy.rules()[0].id.number(), 1);
}

#[test]
fn ranges_that_are_many_networks_each_are_bounded() {
    let mut policy = AccessPolicy::new(Defaults::open());
    let range = "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe\n";
    assert_eq!(
        policy.add_list(&range.repeat(AccessPolicy::MAX_RANGES), Effect::Deny).unwrap(),
        AccessPolicy::MAX_RANGES
    );
    let error = policy.add_list(range, Effect::Deny).unwrap_err();
    assert_eq!(error.to_string(), "line 1: more than 2000 rules about ranges");
    let json = serde_json::to_string(&policy).unwrap();
    let one = r#"{"effect":"deny","target":"::1-::9"}"#;
    let many = json.replacen("\"rules\":[", &format!("\"rules\":[{one},"), 1);
    assert_eq!(AccessPolicy::from_json(&many), Err(PolicyError::TooManyRanges { max: 2000 }));
}

#[test]
fn numbers_are_never_given_again() {
    let mut policy = AccessPolicy::new(Defaults::open());
    let rule = || Rule::new(Effect::Deny, "192.0.2.1".parse().unwrap());
    let first = policy.add(rule()).unwrap();
    let second = policy.add(rule()).unwrap();
    policy.remove(second).unwrap();
    let json = serde_json::to_string(&policy).unwrap();
    let mut policy = AccessPolicy::from_json(&json).unwrap();
    let third = policy.add(rule()).unwrap();
    assert!(third > second && second > first);
    assert_eq!(policy.remove(second), Err(PolicyError::UnknownRule { rule: second }));
}

#[test]
fn a_dry_run_lets_in_and_says_what_it_would_have_done() {
    let policy = AccessPolicy::parse("dry run\ndeny 192.0.2.0/24", Defaults::open()).unwrap();
    let compiled = CompiledPolicy::new(policy);
    let request = AccessRequest::new("192.0.2.1".parse().unwrap(), "2026-03-01T12:00:00Z".parse().unwrap());
    let decision = compiled.decide(&request);
    assert!(decision.is_allowed() && decision.denies());
    assert_eq!(decision.to_string(), "deny by rule #1 (dry run: let in)");
}

#[test]
fn mapped_addresses_and_networks_are_those_of_ipv4() {
    let policy = AccessPolicy::parse("deny ::ffff:192.0.2.0/120", Defaults::open()).unwrap();
    let compiled = CompiledPolicy::new(policy);
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    for addr in ["192.0.2.1", "::ffff:192.0.2.1"] {
        assert!(compiled.decide(&AccessRequest::new(addr.parse().unwrap(), at)).denies(), "{addr}");
    }
}

#[test]
fn a_tunnel_does_not_open_what_is_closed_nor_what_is_open_only_inside() {
    let policy = AccessPolicy::parse("deny 192.0.2.0/24\nallow 198.51.100.0/24", Defaults::closed()).unwrap();
    let mut policy = policy;
    policy.add_list("64:ff9b::/96", Effect::Allow).unwrap();
    let compiled = CompiledPolicy::new(policy);
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    let decide = |addr: &str| compiled.decide(&AccessRequest::new(addr.parse().unwrap(), at));
    assert!(matches!(decide("64:ff9b::c000:207").reason(), Reason::Embedded(_)));
    assert!(decide("64:ff9b::c633:6401").is_allowed());
    // 6to4 and Teredo of an address that is allowed as such.
    assert_eq!(decide("2002:c633:6401::1").reason(), Reason::NoRule);
    assert_eq!(decide("2001:0:53aa:64c:0:fbe8:39cc:9bfe").reason(), Reason::NoRule);
}

#[test]
fn schedules_go_over_midnight_and_follow_the_clocks() {
    let nights: Schedule = "Fri-Sat 22:00-06:00 Europe/Berlin".parse().unwrap();
    let open = |at: &str| nights.is_open(at.parse().unwrap());
    // Friday 2026-03-27 to Sunday 2026-03-29, when clocks go from 02:00 to 03:00 in Berlin.
    assert!(!open("2026-03-27T20:59:59Z") && open("2026-03-27T21:00:00Z"));
    assert!(open("2026-03-28T04:59:59Z") && !open("2026-03-28T05:00:00Z"));
    assert!(open("2026-03-29T03:59:59Z") && !open("2026-03-29T04:00:00Z"));
    assert!(!open("2026-03-29T21:30:00Z"));
}

proptest! {
    #[test]
    fn every_text_is_read_or_refused(text in "(?s).{0,200}") {
        let _ = AccessPolicy::parse(&text, Defaults::open());
    }

    #[test]
    fn names_of_any_kind_read_back(name in "\\PC{1,40}", label in "[a-z #\"]{0,20}") {
        let mut policy = AccessPolicy::new(Defaults::open());
        let label = label.trim().trim_start_matches('#').trim();
        let rule = Rule::new(Effect::Deny, "192.0.2.1".parse().unwrap())
            .for_whom(Applies::User(name))
            .labelled(label);
        if policy.add(rule).is_ok() {
            let again = AccessPolicy::parse(&policy.to_string(), Defaults::closed()).unwrap();
            prop_assert_eq!(again, policy);
        }
    }
}
