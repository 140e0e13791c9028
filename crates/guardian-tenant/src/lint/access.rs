//! Roles, functions, schemas and defaults: ways around the tables.

use super::catalog::Function;
use super::{Code, Finding, View, role_object};
use crate::rls::{SETTING, quote_name};

/// Predefined roles that reach rows, files or programs without a grant on any table.
const PREDEFINED: [&str; 6] = [
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
    "pg_maintain",
];

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    for role in &view.application {
        check_role(view, role, findings);
    }
    for function in view.catalog.functions.iter().filter(|function| view.looks_at(&function.schema)) {
        check_function(view, function, findings);
    }
    for schema in view.catalog.schemas.iter().filter(|schema| view.looks_at(&schema.name)) {
        if schema.create.iter().any(|grantee| view.is_application(grantee)) {
            findings.push(Finding::new(
                Code::SchemaCreate,
                format!("schema {}", schema.name),
                "the application may create objects in it, in front of those that others mean",
                format!(
                    "REVOKE CREATE ON SCHEMA {} FROM PUBLIC, {}",
                    quote_name(&schema.name),
                    view.application_list()
                ),
            ));
        }
    }
    for grant in &view.catalog.default_grants {
        let here = grant.schema.as_ref().is_none_or(|schema| view.looks_at(schema));
        if grant.kind == 'r' && here && grant.grantee != grant.creator && view.is_application(&grant.grantee)
        {
            let place = grant.schema.as_ref().map(|schema| format!(" IN SCHEMA {}", quote_name(schema)));
            let grantee =
                if grant.grantee == "PUBLIC" { "PUBLIC".to_owned() } else { quote_name(&grant.grantee) };
            findings.push(Finding::new(
                Code::DefaultPrivileges,
                format!("default privileges of {}", grant.creator),
                format!(
                    "{} on tables to come goes to `{}`, before they have policies",
                    grant.privilege, grant.grantee
                ),
                format!(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE {}{} REVOKE {} ON TABLES FROM {grantee}",
                    quote_name(&grant.creator),
                    place.unwrap_or_default(),
                    grant.privilege
                ),
            ));
        }
    }
    for entry in &view.catalog.role_settings {
        let applies = entry.role.as_ref().is_none_or(|role| view.application.contains(role));
        let prefix = format!("{SETTING}=");
        if applies && entry.settings.iter().any(|setting| setting.starts_with(&prefix)) {
            let (object, whose) = match &entry.role {
                Some(role) => (role_object(role), format!("ROLE {}", quote_name(role))),
                None => ("database".to_owned(), "DATABASE CURRENT".to_owned()),
            };
            let mend = if entry.role.is_some() {
                format!("ALTER {whose} RESET {SETTING}")
            } else {
                format!(
                    "DO $$ BEGIN EXECUTE pg_catalog.format('ALTER DATABASE %I RESET {SETTING}', pg_catalog.current_database()); END $$"
                )
            };
            let why = format!("it sets `{SETTING}` by default: a transaction without a tenant has one");
            findings.push(Finding::new(Code::TenantByDefault, object, why, mend));
        }
    }
}

fn check_role(view: &View<'_>, role: &str, findings: &mut Vec<Finding>) {
    let mut report =
        |code, why: String, mend: String| findings.push(Finding::new(code, role_object(role), why, mend));
    let quoted = quote_name(role);
    for name in view.becomes(role) {
        // It is a member by way of one of its own roles.
        let own = view.role(role).into_iter().flat_map(|role| &role.member_of);
        let through = own.into_iter().find(|direct| view.becomes(direct).contains(&name)).unwrap_or(&name);
        let leave = format!("REVOKE {} FROM {quoted}", quote_name(through));
        let by = |what: &str| {
            if name == role { format!("it {what}") } else { format!("it can become `{name}`, which {what}") }
        };
        let mend =
            |own: &str| if name == role { format!("ALTER ROLE {quoted} {own}") } else { leave.clone() };
        if PREDEFINED.contains(&name.as_str()) {
            report(
                Code::RolePredefined,
                format!("it is a member of `{name}`, which needs no grant"),
                leave.clone(),
            );
        }
        let Some(found) = view.role(&name) else { continue };
        if found.superuser {
            report(Code::RoleSuperuser, by("is a superuser: no policy holds it"), mend("NOSUPERUSER"));
        }
        if found.bypass {
            report(Code::RoleBypassesRls, by("passes by row-level security"), mend("NOBYPASSRLS"));
        }
        if found.replication {
            report(Code::RoleReplication, by("may start replication"), mend("NOREPLICATION"));
        }
        let mut owned =
            view.relations().filter(|relation| relation.owner == name && view.is_tenant_table(relation));
        if let Some(first) = owned.next() {
            let many = owned.count();
            let others = if many > 0 { format!(" and {many} others") } else { String::new() };
            report(
                Code::RoleOwnsTable,
                by(&format!("owns `{}`{others}, and an owner changes policies", first.shown())),
                if name == role {
                    format!(
                        "-- give its tables to a role that the application cannot become\nREASSIGN OWNED BY {quoted} TO CURRENT_USER"
                    )
                } else {
                    leave
                },
            );
        }
    }
}

fn check_function(view: &View<'_>, function: &Function, findings: &mut Vec<Finding>) {
    let mut report =
        |code, why: String, mend: String| findings.push(Finding::new(code, function.shown(), why, mend));
    let (name, word) = (function.quoted(), function.word());
    if function.leakproof {
        report(
            Code::FunctionLeakproof,
            "it is declared leakproof, so that it may see rows before the policies do".to_owned(),
            format!("ALTER {word} {name} NOT LEAKPROOF"),
        );
    }
    if !function.definer {
        return;
    }
    if !has_fixed_path(function) {
        report(
            Code::DefinerSearchPath,
            format!("it runs with the rights of `{}` and with its caller's search path", function.owner),
            format!("ALTER {word} {name} SET search_path = pg_catalog, pg_temp"),
        );
    }
    // A trigger function cannot be called.
    if function.trigger {
        return;
    }
    let public = function.execute.iter().any(|grantee| grantee == "PUBLIC");
    if public {
        report(
            Code::DefinerPublic,
            format!("everybody may execute it, with the rights of `{}`", function.owner),
            format!("REVOKE ALL ON {word} {name} FROM PUBLIC"),
        );
    }
    let callable = public || function.execute.iter().any(|grantee| view.is_application(grantee));
    let touched = view
        .catalog
        .relations
        .iter()
        .find(|relation| view.is_tenant_table(relation) && mentions(&function.source, &relation.name));
    if let Some(touched) = touched.filter(|_| callable && !asks_for_tenant(view, function)) {
        report(
            Code::DefinerWithoutTenant,
            format!(
                "it touches `{}` with the rights of `{}` and never asks for the tenant",
                touched.shown(),
                function.owner
            ),
            format!("ALTER {word} {name} SECURITY INVOKER"),
        );
    }
}

/// Whether the search path is fixed and begins with nothing that others may create in. `pg_temp`, if not named last, is
/// searched first.
pub(super) fn has_fixed_path(function: &Function) -> bool {
    let path = function.settings.iter().find_map(|setting| setting.strip_prefix("search_path="));
    path.is_some_and(|path| {
        let path: Vec<_> = path.split(',').map(|part| part.trim().trim_matches('"')).collect();
        !path.contains(&"$user")
            && !path.contains(&"public")
            && path.iter().rev().skip(1).all(|part| *part != "pg_temp")
    })
}

/// Whether the source asks for the transaction's tenant.
pub(super) fn asks_for_tenant(view: &View<'_>, function: &Function) -> bool {
    function.source.contains(SETTING) || view.functions.iter().any(|name| mentions(&function.source, name))
}

/// Whether a word occurs in a text, not merely as a part of another word.
fn mentions(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|tail| tail.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}
