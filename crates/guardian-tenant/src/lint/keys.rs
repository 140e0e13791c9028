//! The tenant column, and the keys and indexes that it has to lead.

use std::collections::BTreeSet;

use super::catalog::{Index, Relation};
use super::{Code, Finding, View, keeps_versions};
use crate::rls::{TenantType, quote_name};

pub(super) fn check(view: &View<'_>, relation: &Relation, findings: &mut Vec<Finding>) {
    if !relation.is_table() {
        return;
    }
    if !column(view, relation, findings) {
        return;
    }
    indexes(view, relation, findings);
    foreign_keys(view, relation, findings);
}

/// The tenant column; says whether there is one.
fn column(view: &View<'_>, relation: &Relation, findings: &mut Vec<Finding>) -> bool {
    let (name, table, wanted) = (&view.lint.column, relation.quoted(), view.lint.kind.sql());
    let quoted = view.column();
    let mut report = |code, why, mend| findings.push(Finding::new(code, relation.shown(), why, mend));
    let Some(column) = relation.column(name) else {
        if keeps_versions(&relation.name, relation.columns.iter().map(|column| column.name.as_str())) {
            return false;
        }
        report(
            Code::TenantColumnMissing,
            format!("it has no column `{name}`: whose rows are these?"),
            format!(
                "-- fill the column before it becomes NOT NULL\nALTER TABLE {table} ADD COLUMN {quoted} {wanted}"
            ),
        );
        return false;
    };
    let fits = match view.lint.kind {
        TenantType::Text => column.kind == "text" || column.kind.starts_with("character varying"),
        _ => column.kind == wanted,
    };
    if !fits {
        report(
            Code::TenantColumnType,
            format!("`{name}` is of type {}, tenants are {wanted}", column.kind),
            format!(
                "-- policies on the column have to be dropped first\nALTER TABLE {table} ALTER COLUMN {quoted} TYPE {wanted} USING {quoted}::{wanted}"
            ),
        );
    }
    if !column.not_null {
        report(
            Code::TenantColumnNullable,
            format!("`{name}` may be null: such a row belongs to nobody, and no check compares it"),
            format!("ALTER TABLE {table} ALTER COLUMN {quoted} SET NOT NULL"),
        );
    }
    let fixed = column.default.as_ref().filter(|default| {
        !view.functions.iter().any(|function| default.contains(function.as_str()))
            && !default.contains(crate::rls::SETTING)
            && !default.starts_with("NULL")
    });
    if let Some(default) = fixed {
        report(
            Code::TenantColumnDefault,
            format!("a row without a tenant gets `{default}`"),
            format!("ALTER TABLE {table} ALTER COLUMN {quoted} DROP DEFAULT"),
        );
    }
    true
}

fn indexes(view: &View<'_>, relation: &Relation, findings: &mut Vec<Finding>) {
    let tenant = Some(view.lint.column.as_str());
    let leads = |index: &Index| index.keys.first().is_some_and(|key| key.column.as_deref() == tenant);
    let holds = |index: &Index| index.keys.iter().any(|key| key.column.as_deref() == tenant);
    let mut report = |code, why, mend| findings.push(Finding::new(code, relation.shown(), why, mend));
    let table = relation.quoted();
    if !relation.indexes.iter().any(|index| leads(index) && index.valid && !index.partial) {
        report(
            Code::NoTenantIndex,
            format!(
                "no index is led by `{}`: every query of a tenant reads all tenants' rows",
                view.lint.column
            ),
            format!("CREATE INDEX ON {table} ({})", view.column()),
        );
    }
    for index in &relation.indexes {
        let name = format!("{}.{}", quote_name(&relation.schema), quote_name(&index.name));
        if (index.unique || index.exclusion) && !holds(index) {
            let columns: Vec<_> = index.keys.iter().filter_map(|key| key.column.as_deref()).collect();
            let with: Vec<_> =
                std::iter::once(view.column()).chain(columns.iter().map(|name| quote_name(name))).collect();
            let (with, plain) =
                (with.join(", "), columns.len() == index.keys.len() && !index.partial && !index.exclusion);
            let constraint = format!("ALTER TABLE {table} DROP CONSTRAINT {}", quote_name(&index.name));
            if index.primary {
                report(
                    Code::PrimaryKeyWithoutTenant,
                    format!(
                        "the primary key ({}) leaves the tenant out: a duplicate tells that another tenant has it",
                        columns.join(", ")
                    ),
                    format!(
                        "-- foreign keys that point to it have to be dropped first\n{constraint}; ALTER TABLE {table} ADD PRIMARY KEY ({with})"
                    ),
                );
            } else {
                let mend = if plain {
                    format!(
                        "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {}; DROP INDEX IF EXISTS {name}; ALTER TABLE {table} ADD UNIQUE ({with})",
                        quote_name(&index.name)
                    )
                } else {
                    format!(
                        "-- make it anew with {} among its columns\nALTER TABLE {table} DROP CONSTRAINT IF EXISTS {}; DROP INDEX IF EXISTS {name}",
                        view.column(),
                        quote_name(&index.name)
                    )
                };
                report(
                    Code::UniqueWithoutTenant,
                    format!(
                        "`{}` leaves the tenant out: a duplicate tells that another tenant has it",
                        index.name
                    ),
                    mend,
                );
            }
        }
        // A btree serves its leading column; other methods serve each of theirs.
        let mut served = index.keys.iter().take(if index.method == "btree" { 1 } else { usize::MAX });
        let lost = served.find(|key| key.leakproof == Some(false) && key.column.as_deref() != tenant);
        if let Some(key) = lost.filter(|_| !(index.unique || has_search(view, relation))) {
            report(
                Code::IndexNotLeakproof,
                format!(
                    "no operator that `{}` serves on {} is leakproof: under row-level security it is never used",
                    index.name,
                    key.column
                        .as_ref()
                        .map_or_else(|| "its expression".to_owned(), |column| format!("`{column}`")),
                ),
                format!(
                    "-- search through a function of `rls::Search`, or drop what only costs\nDROP INDEX {name}"
                ),
            );
        }
    }
}

/// Whether a function after the safe pattern searches the table: with the rights of another role, a fixed search path,
/// not for everybody, and asking for the tenant itself.
fn has_search(view: &View<'_>, relation: &Relation) -> bool {
    let table = relation.quoted();
    view.catalog.functions.iter().any(|function| {
        function.definer
            && super::access::has_fixed_path(function)
            && !function.execute.iter().any(|grantee| grantee == "PUBLIC")
            && function.source.contains(&table)
            && super::access::asks_for_tenant(view, function)
    })
}

fn foreign_keys(view: &View<'_>, relation: &Relation, findings: &mut Vec<Finding>) {
    let tenant = &view.lint.column;
    for key in &relation.foreign_keys {
        let Some(target) = view.by_oid.get(&key.target).filter(|target| view.is_tenant_table(target)) else {
            continue;
        };
        let pairs = || key.columns.iter().zip(&key.target_columns);
        if pairs().any(|(own, other)| own == tenant && other == tenant) {
            continue;
        }
        let with = |columns: &[String]| {
            let names = std::iter::once(view.column()).chain(columns.iter().map(|name| quote_name(name)));
            names.collect::<Vec<_>>().join(", ")
        };
        let wanted: BTreeSet<&str> =
            std::iter::once(tenant.as_str()).chain(key.target_columns.iter().map(String::as_str)).collect();
        let has_key = target.indexes.iter().any(|index| {
            let columns: BTreeSet<&str> = index.keys.iter().filter_map(|key| key.column.as_deref()).collect();
            index.unique && !index.partial && columns == wanted && index.keys.len() == wanted.len()
        });
        let note = if has_key { "" } else { "-- the target needs a unique key of these columns first\n" };
        findings.push(Finding::new(
            Code::ForeignKeyCrosses,
            relation.shown(),
            format!(
                "`{}` points to `{}` without the tenant: it is checked past the policies, so a row of another tenant will do, and its absence shows",
                key.name,
                target.shown()
            ),
            format!(
                "{note}ALTER TABLE {table} DROP CONSTRAINT {}; ALTER TABLE {table} ADD FOREIGN KEY ({}) REFERENCES {} ({})",
                quote_name(&key.name),
                with(&key.columns),
                target.quoted(),
                with(&key.target_columns),
                table = relation.quoted(),
            ),
        ));
    }
}
