//! Rules as comma-separated values.

use guardian_ipaccess::{AccessPolicy, Applies, Defaults, Effect, PolicyError, Rule, Target};
use proptest::prelude::*;

fn table(text: &str) -> Result<AccessPolicy, PolicyError> {
    let mut policy = AccessPolicy::new(Defaults::closed());
    policy.add_csv(text).map(|_| policy)
}

#[test]
fn a_table_is_read_as_the_lines_that_say_the_same() {
    let read = table(
        "label,effect,target,for,until,during,owner\r\n\
         office,allow,192.0.2.0/24,,,,ann\r\n\
         \"home, \"\"mostly\"\"\", deny , asn  64496 ,role support,2026-12-31T00:00:00Z,Mon-Fri 08:00-18:00 Europe/Berlin,\r\n\
         ,deny,198.51.100.7-198.51.100.20,user ann b,,,\r\n",
    );
    let lines = "allow 192.0.2.0/24 owner ann # office\n\
         deny asn 64496 for role support until 2026-12-31T00:00:00Z during Mon-Fri 08:00-18:00 Europe/Berlin # home, \"mostly\"\n\
         deny 198.51.100.7-198.51.100.20 for user \"ann b\"\n";
    assert_eq!(read.unwrap(), AccessPolicy::parse(lines, Defaults::closed()).unwrap());
}

#[test]
fn errors_name_the_line_and_nothing_is_added() {
    let cases = [
        ("target\n192.0.2.1", "line 1: the column `effect` is missing"),
        ("effect,target,effect\n", "line 1: the column `effect` is twice there"),
        (
            "effect,target,colour\n",
            "line 1: `colour` is no column; there are effect, target, for, until, during, owner, label",
        ),
        ("effect,target\nallow,192.0.2.1\nperhaps,192.0.2.1", "line 3: `perhaps` is neither allow nor deny"),
        ("effect,target\nallow,192.0.2.1,x", "line 2: it has 3 cells where the header has 2"),
        ("effect,target\nallow,", "line 2: the rule is about nothing"),
        ("effect,target,for\nallow,192.0.2.1,role", "line 2: `for role` needs a name"),
        (
            "effect,target,for\nallow,192.0.2.1,moon x",
            "line 2: `for moon` is not user, role, key or route: write `for user moon`",
        ),
        (
            "effect,target,until\nallow,192.0.2.1,soon",
            "line 2: `soon` is no time such as `2026-12-31T00:00:00Z`",
        ),
        (
            "effect,target,during\nallow,192.0.2.1,Mon-Fri",
            "line 2: `during` needs days, hours and a zone, as in `Mon-Fri 08:00-18:00 Europe/Berlin`",
        ),
        (
            "effect,target\r\nAllow,192.0.2.1\r\n\r\n\r\nno,192.0.2.1\r\n",
            "line 5: `no` is neither allow nor deny",
        ),
        (
            "\n\neffect,colour",
            "line 3: `colour` is no column; there are effect, target, for, until, during, owner, label",
        ),
        (
            "effect,target,label\nallow,192.0.2.1,\"two\nlines\"",
            "line 2: the label `two\\nlines` has control characters or more than 256 characters",
        ),
        (
            "effect,target,label\nallow,192.0.2.1,\"a\"\n\nno,192.0.2.1,",
            "line 4: `no` is neither allow nor deny",
        ),
        (
            "effect;target\nallow;192.0.2.1",
            "line 1: `effect;target` is no column; there are effect, target, for, until, during, owner, label, and cells are \
             separated by commas",
        ),
        (
            "effect,target,label\nallow,192.0.2.1,\"open\nallow,192.0.2.2,x\n",
            "line 2: the label `open\\nallow,192.0.2.2,x\\n` has control characters or more than 256 characters, and a quote is not closed",
        ),
        ("effect,target\nallow,192.0.2.1 extra", "line 2: `extra` is not for, until, during or owner"),
    ];
    for (text, said) in cases {
        let mut policy = AccessPolicy::parse("deny 203.0.113.1", Defaults::open()).unwrap();
        let before = policy.clone();
        let error = policy.add_csv(text).unwrap_err();
        assert_eq!(error.to_string(), said, "{text}");
        assert_eq!(policy, before, "{text}");
    }
    assert_eq!(
        table(&" ".repeat(AccessPolicy::MAX_BYTES + 1)).unwrap_err(),
        PolicyError::TooLong { max: AccessPolicy::MAX_BYTES }
    );
}

#[test]
fn nothing_that_is_written_is_a_formula() {
    let mut policy = AccessPolicy::new(Defaults::closed());
    for label in ["=cmd|' /C calc'!A0", "@SUM(1)", "-1", "+1", "'tis", "''", "plain"] {
        let rule = Rule::new(Effect::Deny, "192.0.2.1".parse::<Target>().unwrap());
        policy.add(rule.labelled(label).owned_by(label)).unwrap();
    }
    let text = policy.to_csv();
    assert!(
        !text.lines().flat_map(|line| line.split(',')).any(|cell| cell.starts_with(['=', '@', '+', '-']))
    );
    assert_eq!(table(&text).unwrap(), policy);
}

proptest! {
    #[test]
    fn names_of_any_kind_read_back(name in "\\PC{1,40}", label in "[a-z #\",'=\n]{0,20}", kind in 0..4_u8) {
        let mut policy = AccessPolicy::new(Defaults::closed());
        let applies = match kind {
            0 => Applies::User(name.clone()),
            1 => Applies::Role(name.clone()),
            2 => Applies::ApiKey(name.clone()),
            _ => Applies::Route(name.clone()),
        };
        let rule = Rule::new(Effect::Deny, "192.0.2.1".parse::<Target>().unwrap());
        if policy.add(rule.for_whom(applies).labelled(label).owned_by(name)).is_ok() {
            prop_assert_eq!(table(&policy.to_csv()).unwrap(), policy);
        }
    }
}
