//! What else reads, copies or rewrites the rows of a table.

use super::catalog::{Kind, Relation};
use super::{Code, Finding, View};
use crate::rls::quote_name;

/// The privileges that no policy covers.
const UNCOVERED: [&str; 3] = ["TRUNCATE", "REFERENCES", "TRIGGER"];

pub(super) fn check(view: &View<'_>, relation: &Relation, findings: &mut Vec<Finding>) {
    let mut report =
        |code, why: String, mend: String| findings.push(Finding::new(code, relation.shown(), why, mend));
    let (name, application) = (relation.quoted(), view.application_list());
    let readable = view.has(relation, &["SELECT"]);
    match relation.kind {
        Kind::View if readable && view.touches_tenants(relation) && !is_invoker(relation) => report(
            Code::ViewOwnerRights,
            format!("the view reads with the rights of `{}`, not of whoever asks", relation.owner),
            format!("ALTER VIEW {name} SET (security_invoker = true)"),
        ),
        Kind::Materialized if readable && view.touches_tenants(relation) => report(
            Code::MaterializedView,
            "it holds rows of all tenants, and no policy applies to it".to_owned(),
            format!("REVOKE ALL ON {name} FROM PUBLIC, {application}"),
        ),
        Kind::Foreign if view.has(relation, &["SELECT", "INSERT", "UPDATE", "DELETE"]) => report(
            Code::ForeignTable,
            "no policy applies to a foreign table".to_owned(),
            format!("REVOKE ALL ON {name} FROM PUBLIC, {application}"),
        ),
        Kind::Sequence => sequence(view, relation, findings),
        Kind::Table | Kind::Partitioned if view.is_tenant_table(relation) => table(view, relation, findings),
        _ => {}
    }
}

fn is_invoker(relation: &Relation) -> bool {
    relation.options.iter().any(|option| {
        matches!(
            option.as_str(),
            "security_invoker=true" | "security_invoker=on" | "security_invoker=1" | "security_invoker=yes"
        )
    })
}

fn sequence(view: &View<'_>, relation: &Relation, findings: &mut Vec<Finding>) {
    let tenants: Vec<_> = relation
        .used_by
        .iter()
        .filter_map(|oid| view.by_oid.get(oid))
        .filter(|table| view.is_tenant_table(table))
        .map(|table| table.shown())
        .collect();
    let (name, shown) = (relation.quoted(), relation.shown());
    if tenants.is_empty() {
        return;
    }
    if view.has(relation, &["SELECT"]) && !view.reach.contains(&relation.owner) {
        findings.push(Finding::new(
            Code::SequenceReadable,
            shown.clone(),
            format!(
                "its last value counts the rows that all tenants have put into `{}`",
                tenants.join("`, `")
            ),
            format!("REVOKE SELECT ON SEQUENCE {name} FROM PUBLIC, {}", view.application_list()),
        ));
    }
    if relation.used_by.len() > 1 {
        findings.push(Finding::new(
            Code::SequenceShared,
            shown,
            format!(
                "`{}` draw from it, so that gaps in one tell of rows in the other",
                tenants.join("` and `")
            ),
            "-- give each table a sequence of its own, or ids that count nothing (UUID)\nSELECT 1",
        ));
    }
}

fn table(view: &View<'_>, relation: &Relation, findings: &mut Vec<Finding>) {
    let name = relation.quoted();
    let mut report =
        |code, why: String, mend: String| findings.push(Finding::new(code, relation.shown(), why, mend));
    let owned = view.reach.contains(&relation.owner);
    for privilege in UNCOVERED {
        let granted = relation.grants.iter().any(|grant| {
            grant.privilege == privilege
                && grant.grantee != relation.owner
                && view.is_application(&grant.grantee)
        });
        // An owner has all rights, and that is a finding of its own.
        if granted && !owned {
            report(
                Code::GrantPastPolicies,
                format!("the application may {privilege}, and no policy covers that"),
                format!("REVOKE {privilege} ON TABLE {name} FROM PUBLIC, {}", view.application_list()),
            );
        }
    }
    let public: Vec<_> = relation.grants.iter().filter(|grant| grant.grantee == "PUBLIC").collect();
    if !public.is_empty() {
        let rights: Vec<_> = public.iter().map(|grant| grant.privilege.as_str()).collect();
        report(
            Code::GrantPublic,
            format!("every role may {}", rights.join(", ")),
            format!("REVOKE ALL ON TABLE {name} FROM PUBLIC"),
        );
    }
    for trigger in &relation.triggers {
        let function = view.catalog.functions.iter().find(|function| function.oid == trigger.function);
        if let Some(function) = function.filter(|function| function.definer) {
            report(
                Code::TriggerDefiner,
                format!(
                    "the trigger `{}` runs `{}` with the rights of `{}`",
                    trigger.name,
                    function.shown(),
                    function.owner
                ),
                format!("ALTER FUNCTION {} SECURITY INVOKER", function.quoted()),
            );
        }
    }
    for rule in &relation.rules {
        report(
            Code::RuleOnTable,
            format!("the rule `{rule}` rewrites statements, with the rights of the table's owner"),
            format!("DROP RULE {} ON {name}", quote_name(rule)),
        );
    }
    for publication in &relation.publications {
        report(
            Code::Published,
            format!("the publication `{publication}` sends rows of all tenants to whoever subscribes"),
            format!("ALTER PUBLICATION {} DROP TABLE {name}", quote_name(publication)),
        );
    }
}
