//! Finds the holes in a database's tenant isolation: reads the catalog, reports each hole with why it is one and the
//! statement that mends it.
//!
//! Every table is taken for a table of tenants, but for those in which `guardian-sql` keeps the versions of a schema, which are
//! known by their name and all of their columns. Others that are not (a list of countries) are allowed by
//! name, with a reason.
//!
//! ```
//! use guardian_tenant::lint::{Catalog, Code, Lint};
//!
//! let lint = Lint::new()
//!     .application_role("crm_app")
//!     .allow(Code::TenantColumnMissing, "public.countries", "the same list for everybody");
//! # let json = r#"{"current_user": "crm_app", "roles": [{"name": "crm_app"}]}"#;
//! let report = lint.check(&Catalog::from_json(json)?);
//! assert!(report.coverage().is_complete());
//! # Ok::<(), guardian_tenant::InvalidField>(())
//! ```

mod access;
mod catalog;
mod code;
mod keys;
mod policies;
mod predicate;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod read;
mod relations;
mod report;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};

pub use catalog::Catalog;
use catalog::{Relation, Role};
pub use code::Code;
use predicate::Known;
pub use report::{Coverage, Finding, Report};
pub use sqlite::SqliteCatalog;

use crate::rls::{SETTING, TenantType};

/// What is looked for, and what is allowed.
#[derive(Debug, Clone)]
#[must_use]
pub struct Lint {
    roles: Vec<String>,
    column: String,
    kind: TenantType,
    schemas: Vec<String>,
    allowed: Vec<Allowance>,
}

#[derive(Debug, Clone)]
struct Allowance {
    code: Code,
    object: String,
    reason: String,
}

impl Default for Lint {
    fn default() -> Self {
        Self::new()
    }
}

impl Lint {
    /// Looks at every schema, for the role that asks, with the tenant in the text column `tenant_id`; allows nothing.
    pub fn new() -> Self {
        Self {
            roles: Vec::new(),
            column: "tenant_id".to_owned(),
            kind: TenantType::Text,
            schemas: Vec::new(),
            allowed: Vec::new(),
        }
    }

    /// One more role as which the application connects; without any it is the role that asks.
    pub fn application_role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Another tenant column.
    pub fn tenant_column(mut self, column: impl Into<String>, kind: TenantType) -> Self {
        self.column = column.into();
        self.kind = kind;
        self
    }

    /// One more schema to look at; without any it is all but those of Postgres itself.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schemas.push(schema.into());
        self
    }

    /// Allows one kind of hole in one object, written as the finding shows it. An empty reason allows nothing.
    pub fn allow(mut self, code: Code, object: impl Into<String>, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        if !reason.trim().is_empty() {
            self.allowed.push(Allowance { code, object: object.into(), reason });
        }
        self
    }

    /// Allows what Guardian's own tables in this schema need: the platform maintains the registry in unscoped transactions.
    /// On SQLite the schema is the empty text.
    pub fn allow_guardian_tables(mut self, schema: &str) -> Self {
        let place = |name: &str| if schema.is_empty() { name.to_owned() } else { format!("{schema}.{name}") };
        let registry = "the platform maintains it in unscoped transactions; a tenant reads its own row";
        for table in ["guardian_tenants", "guardian_tenant_events"] {
            self = self.allow(Code::PolicyUnscoped, place(table), registry);
        }
        self
    }

    /// The holes of a Postgres database. Takes time in proportion to the catalog.
    pub fn check(&self, catalog: &Catalog) -> Report {
        let view = View::new(self, catalog);
        let mut report = Report::default();
        for relation in view.relations() {
            report.checked.insert(relation.shown());
        }
        report.checked.extend(view.application.iter().map(|role| role_object(role)));
        let findings = &mut report.findings;
        for relation in view.relations() {
            policies::check(&view, relation, findings);
            keys::check(&view, relation, findings);
            relations::check(&view, relation, findings);
        }
        access::check(&view, findings);
        self.finish(report)
    }

    /// The holes of a SQLite schema, where there is no second wall: what the schema cannot prevent is a hole.
    pub fn check_sqlite(&self, catalog: &SqliteCatalog) -> Report {
        let mut report = Report::default();
        sqlite::check(&self.column, catalog, &mut report);
        self.finish(report)
    }

    /// Sorts the findings, and takes out those that are allowed.
    fn finish(&self, mut report: Report) -> Report {
        let mut found = std::mem::take(&mut report.findings);
        found.sort_by(|a, b| (a.object(), a.code(), a.why()).cmp(&(b.object(), b.code(), b.why())));
        found.dedup();
        let mut used = BTreeSet::new();
        for finding in found {
            let allowance = self.allowed.iter().enumerate().find(|(_, allowance)| {
                allowance.code == finding.code() && allowance.object == finding.object()
            });
            match allowance {
                Some((at, allowance)) => {
                    used.insert(at);
                    report.allowed.push((finding, allowance.reason.clone()));
                }
                None => report.findings.push(finding),
            }
        }
        let unused = self.allowed.iter().enumerate().filter(|(at, _)| !used.contains(at));
        report.unused =
            unused.map(|(_, allowance)| format!("{} in {}", allowance.code, allowance.object)).collect();
        report
    }
}

/// Whether `guardian-sql` keeps the versions of a schema in this table, which are the same for everybody. The name alone would
/// let a host's own table pass, such as one with the files that customers move in.
fn keeps_versions<'c>(table: &str, columns: impl Iterator<Item = &'c str>) -> bool {
    table.ends_with("_migrations") && columns.eq(["version", "name", "checksum", "applied"])
}

/// A catalog as the rules look at it.
struct View<'a> {
    lint: &'a Lint,
    catalog: &'a Catalog,
    /// The application's roles.
    application: Vec<String>,
    /// All that the application's roles are or can become, themselves included.
    reach: BTreeSet<String>,
    by_oid: BTreeMap<i64, &'a Relation>,
    /// The functions that return the transaction's tenant.
    functions: Vec<String>,
    /// The functions that do nothing but raise an error.
    raisers: Vec<String>,
}

impl<'a> View<'a> {
    fn new(lint: &'a Lint, catalog: &'a Catalog) -> Self {
        let application = match lint.roles.as_slice() {
            [] => vec![catalog.current_user.clone()],
            roles => roles.to_vec(),
        };
        let mut view = Self {
            lint,
            catalog,
            reach: BTreeSet::new(),
            by_oid: catalog.relations.iter().map(|relation| (relation.oid, relation)).collect(),
            functions: Vec::new(),
            raisers: Vec::new(),
            application,
        };
        view.reach = view.application.iter().flat_map(|role| view.becomes(role)).collect();
        let asks = format!("current_setting('{SETTING}'");
        let functions = catalog.functions.iter().filter(|function| {
            function.arguments.is_empty() && !function.definer && function.source.contains(&asks)
        });
        let raisers = catalog.functions.iter().filter(|function| {
            let body = function.source.trim().strip_prefix("BEGIN").map(str::trim_start).unwrap_or_default();
            function.arguments.is_empty() && body.starts_with("RAISE EXCEPTION") && !body.contains("RETURN")
        });
        view.raisers = raisers.map(|function| function.name.clone()).collect();
        view.functions = functions.map(|function| function.name.clone()).collect();
        view
    }

    /// The role and all that it is a member of, over any number of steps.
    fn becomes(&self, role: &str) -> BTreeSet<String> {
        let mut reach = BTreeSet::new();
        let mut waiting = vec![role.to_owned()];
        while let Some(next) = waiting.pop() {
            if let Some(role) = self.role(&next) {
                waiting.extend(role.member_of.iter().filter(|name| !reach.contains(*name)).cloned());
            }
            reach.insert(next);
        }
        reach
    }

    fn role(&self, name: &str) -> Option<&'a Role> {
        self.catalog.roles.iter().find(|role| role.name == name)
    }

    fn known(&self) -> Known<'_> {
        Known {
            column: &self.lint.column,
            setting: SETTING,
            functions: &self.functions,
            raisers: &self.raisers,
        }
    }

    fn looks_at(&self, schema: &str) -> bool {
        self.lint.schemas.is_empty() || self.lint.schemas.iter().any(|name| name == schema)
    }

    fn relations(&self) -> impl Iterator<Item = &'a Relation> {
        self.catalog.relations.iter().filter(|relation| self.looks_at(&relation.schema))
    }

    /// Whether it is a table, and has the tenant column or should have.
    fn is_tenant_table(&self, relation: &Relation) -> bool {
        relation.is_table() && relation.column(&self.lint.column).is_some()
    }

    /// Whether it is a table of tenants or reads one, over any number of views.
    fn touches_tenants(&self, relation: &Relation) -> bool {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![relation.oid];
        while let Some(oid) = waiting.pop() {
            let Some(next) = self.by_oid.get(&oid).filter(|_| seen.insert(oid)) else { continue };
            if self.is_tenant_table(next) {
                return true;
            }
            waiting.extend(&next.reads);
        }
        false
    }

    /// Which of these privileges the application has, by itself, through a role or through PUBLIC.
    fn has(&self, relation: &Relation, privileges: &[&str]) -> bool {
        self.reach.contains(&relation.owner)
            || relation.grants.iter().any(|grant| {
                self.is_application(&grant.grantee) && privileges.contains(&grant.privilege.as_str())
            })
    }

    /// Whether what this grantee gets, the application gets.
    fn is_application(&self, grantee: &str) -> bool {
        grantee == "PUBLIC" || self.reach.contains(grantee)
    }

    /// The tenant column in quotes.
    fn column(&self) -> String {
        crate::rls::quote_name(&self.lint.column)
    }

    /// The roles of the application in quotes, separated by commas.
    fn application_list(&self) -> String {
        self.application.iter().map(|role| crate::rls::quote_name(role)).collect::<Vec<_>>().join(", ")
    }

    /// What a policy of the tenant compares the column with.
    fn tenant(&self) -> String {
        let function = self.catalog.functions.iter().find(|function| self.functions.contains(&function.name));
        function.map_or_else(
            || {
                let value = format!("NULLIF(pg_catalog.current_setting('{SETTING}', true), '')");
                if self.lint.kind == TenantType::Text {
                    value
                } else {
                    format!("{value}::{}", self.lint.kind.sql())
                }
            },
            catalog::Function::quoted,
        )
    }
}

/// A role as findings show it.
fn role_object(role: &str) -> String {
    format!("role {role}")
}
