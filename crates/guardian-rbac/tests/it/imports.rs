//! Policies of other systems mean here what they mean there, and mistakes are named with their line.

use guardian_core::ActorKind;
use guardian_rbac::import::{CasbinModel, FieldMatch, read_kubernetes, read_policy};
use guardian_rbac::{Area, Ask, PrincipalRef, Resource, role_sets};
use proptest::prelude::*;

use crate::random::time;

#[test]
fn casbin_with_domains_deny_and_resource_groups() {
    let text = "\
# roles in domains
p, admin, acme, data_group, read
p, admin, acme, data2, write
p, alice, acme, data2, write, deny
g, alice, admin, acme
g, bob, admin, globex
g2, data1, data_group
";
    let imported = CasbinModel::default().with_domains().with_deny(true).read(text, time(0)).unwrap();
    let snapshot = imported.compile().unwrap();
    let may = |who: &str, domain: &str, object: &str, action: &str| {
        let domain = [Area::new("domain", domain).unwrap()];
        let resource = Resource::record("object", object).within(&domain);
        let permission = CasbinModel::permission(action);
        let ask = Ask::new(PrincipalRef::new(ActorKind::User, who), permission.as_str()).on(resource);
        snapshot.check(&ask, time(1)).unwrap().is_allowed()
    };
    assert!(may("alice", "acme", "data1", "read"));
    assert!(!may("alice", "globex", "data1", "read"));
    assert!(!may("alice", "acme", "data2", "write"));
    assert!(!may("bob", "acme", "data1", "read"));
    assert!(!may("eve", "acme", "data1", "read"));
}

#[test]
fn casbin_patterns_become_conditions() {
    let text = "p, alice, /data/*, (GET)|(POST)\np, \"192.168.2.0/24\", /lan, GET\n";
    let model = CasbinModel::default()
        .comparing(FieldMatch::Equal, FieldMatch::KeyMatch2, FieldMatch::Regex)
        .with_actions(["GET", "POST", "DELETE"]);
    let snapshot = model.read(text, time(0)).unwrap().compile().unwrap();
    let may = |object: &str, action: &str| {
        let permission = CasbinModel::permission(action);
        let ask = Ask::new(PrincipalRef::new(ActorKind::User, "alice"), permission.as_str());
        snapshot.check(&ask.on(Resource::record("object", object)), time(1)).unwrap().is_allowed()
    };
    assert!(may("/data/1/2", "GET") && may("/data/x", "POST"));
    assert!(!may("/data", "GET") && !may("/data/x", "DELETE") && !may("/other", "GET"));
}

#[test]
fn kubernetes_roles_stay_in_their_namespaces() {
    let text = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: editor, namespace: dev }
rules:
  - apiGroups: ["apps"]
    resources: ["deployments"]
    verbs: ["get", "update"]
  - apiGroups: [""]
    resources: ["configmaps"]
    resourceNames: ["app"]
    verbs: ["*"]
---
kind: RoleBinding
metadata: { name: editors, namespace: dev }
subjects:
  - { kind: User, name: jane }
  - { kind: ServiceAccount, name: ci }
roleRef: { kind: Role, name: editor, apiGroup: rbac.authorization.k8s.io }
---
kind: ConfigMap
metadata: { name: x }
"#;
    let imported = read_kubernetes(text, time(0)).unwrap();
    assert_eq!(imported.notes, ["line 21: a `ConfigMap` is left out"]);
    let snapshot = imported.compile().unwrap();
    let may = |kind, who: &str, permission: &str, namespace: &str, record: (&str, &str)| {
        let namespace = [Area::new("namespace", namespace).unwrap()];
        let resource = Resource::record(record.0, record.1).within(&namespace);
        snapshot
            .check(&Ask::new(PrincipalRef::new(kind, who), permission).on(resource), time(1))
            .unwrap()
            .is_allowed()
    };
    let any = ("apps-deployments", "web");
    assert!(may(ActorKind::User, "jane", "apps/deployments:update", "dev", any));
    assert!(!may(ActorKind::User, "jane", "apps/deployments:update", "prod", any));
    assert!(may(ActorKind::Service, "dev/ci", "configmaps:get", "dev", ("configmaps", "app")));
    assert!(!may(ActorKind::Service, "dev/ci", "configmaps:get", "dev", ("configmaps", "other")));
}

#[test]
fn mistakes_in_files_are_named() {
    for (text, wanted) in [
        ("roles: [a", "line 2: while parsing a flow sequence"),
        ("rolls: {}", "line 1: unknown key `rolls`; did you mean `roles`?"),
        (
            "permissions: {a:b: x}\nroles:\n  r: { allow: \"a:c\" }",
            "there is no permission `a:c`; did you mean `a:b`?",
        ),
        ("permissions: {a:b: x}\ngrants:\n  - { to: ann, role: r }", "line 3: invalid subject `ann`"),
        (
            "roles:\n  r: { allow: [{ permissions: \"a:b\", when: \"1 +\" }] }",
            "line 2: invalid condition `1 +`",
        ),
        ("roles: &a {}\nareas: *a", "anchors are not taken"),
        ("roles: {a: {}, a: {}}", "the key `a` is there twice"),
        ("[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]", "it nests deeper than 16"),
        (
            "groups:\n  g:\n    - { member: \"user:a\", from: 2026-01-02T00:00:00Z, until: 2026-01-01T00:00:00Z }",
            "it ends before it starts",
        ),
        ("", "the text has 0 documents, it must have one"),
    ] {
        let error = read_policy(text, time(0)).unwrap_err().to_string();
        assert!(error.contains(wanted), "`{text}`: {error}");
    }
    for (text, wanted) in [
        ("p, a, b", "line 1: the action is missing"),
        ("\nq, a, b, c", "line 2: `q` is not `p`, `g` or `g2`"),
        ("p, \"a, b, c", "line 1: a quote is not closed"),
        ("g, a, b, yesterday", "line 1: `yesterday` is no time"),
    ] {
        let error = CasbinModel::default().read(text, time(0)).unwrap_err().to_string();
        assert!(error.contains(wanted), "`{text}`: {error}");
    }
}

#[test]
fn the_roles_of_a_crm_make_sense() {
    let crm = role_sets::crm(time(0)).unwrap();
    assert!(crm.catalog.len() > 100, "{}", crm.catalog.len());
    let snapshot = crm.compile().unwrap();
    let matrix = snapshot.matrix();
    assert_eq!(matrix.rows.len(), 14);
    let text = matrix.to_string();
    assert!(text.contains("deal:export"), "{text}");
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_fail(text in "[a-z0-9:,\\-\\[\\]{}\"*#&|>~\n .@]{0,200}") {
        let _ = read_policy(&text, time(0));
        let _ = read_kubernetes(&text, time(0));
        let model = CasbinModel::default().comparing(FieldMatch::Equal, FieldMatch::Glob, FieldMatch::Regex);
        let _ = model.with_actions(["GET"]).read(&text, time(0));
    }

    #[test]
    fn hours_are_spelled_in_one_way(days in 1_u8..128, start in 0_u16..1440, length in 1_u16..1440, zone in 0_usize..4) {
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let days: Vec<&str> = (0..7).filter(|day| days >> day & 1 == 1).map(|day| names[day]).collect();
        let end = (start + length) % 1440;
        let end = if end == 0 { 1440 } else { end };
        prop_assume!(end != start);
        let zone = ["UTC", "Europe/Vienna", "+05:30", "America/New_York"][zone];
        let text = format!("{} {:02}:{:02}-{:02}:{:02} {zone}", days.join(","), start / 60, start % 60, end / 60, end % 60);
        let hours: guardian_rbac::Recurrence = text.parse().unwrap();
        let again: guardian_rbac::Recurrence = hours.to_string().parse().unwrap();
        prop_assert_eq!(&again, &hours);
        // The next opening is open, and nothing before it is.
        for step in 0..12_i64 {
            let now = time(step * 31) + chrono::TimeDelta::minutes(step * 7);
            let next = hours.next_open(now).unwrap();
            prop_assert!(hours.is_open(next) && next >= now);
            for probe in 0..40 {
                let between = now + (next - now) / 40 * probe;
                prop_assert!(between >= next || !hours.is_open(between));
            }
        }
    }
}
