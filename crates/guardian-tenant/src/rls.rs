//! Row-level security on Postgres: the second wall behind the tenant predicate of every statement.
//!
//! [`Rls`] says for which application role and column; [`TenantTable`] describes a table; [`Rls::plan`] gives the
//! statements, which can be read before they are run.
//!
//! ```
//! use guardian_tenant::rls::{Rls, TenantTable};
//!
//! let rls = Rls::new().application_role("crm_app")?;
//! let deals = TenantTable::new("crm", "deals")?.key(["id"])?;
//! let plan = rls.plan(&[deals]);
//! assert!(plan.to_string().contains(r#"ALTER TABLE "crm"."deals" FORCE ROW LEVEL SECURITY"#));
//! # Ok::<(), guardian_tenant::InvalidField>(())
//! ```

use std::fmt::Write;

#[cfg(feature = "postgres")]
mod install;
mod name;
mod plan;
mod search;
mod statements;
mod table;

pub(crate) use name::quote_name;
pub use name::{Name, QualifiedName};
pub use plan::{RlsPlan, RlsStep};
pub use table::{Search, TenantTable};

use crate::error::InvalidField;

/// The setting that holds the tenant of a transaction, see `guardian_sql`.
pub const SETTING: &str = "guardian.tenant";

/// The function that policies call when no tenant is set.
const NO_TENANT: &str = "no_tenant";
const RAISE: &str = "RAISE EXCEPTION 'no tenant is set for this transaction' USING ERRCODE = 'insufficient_privilege', \
                     HINT = 'open the transaction with a scope, or set guardian.tenant for it';";

/// The type of the tenant column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TenantType {
    /// `text`, which holds every [`TenantId`](guardian_core::TenantId).
    #[default]
    Text,
    /// `uuid`, for hosts whose tenants all have one.
    Uuid,
    /// `bigint`, for hosts whose tenants are numbered.
    BigInt,
}

impl TenantType {
    /// The type as Postgres writes it.
    #[must_use]
    pub fn sql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Uuid => "uuid",
            Self::BigInt => "bigint",
        }
    }

    fn function(self) -> &'static str {
        match self {
            Self::Text => "current_tenant",
            Self::Uuid => "current_tenant_uuid",
            Self::BigInt => "current_tenant_bigint",
        }
    }
}

/// How tables are walled off.
///
/// # What a plan does to a table
/// - the tenant column becomes NOT NULL, the keys become composite, an index is led by the tenant;
/// - row-level security is enabled and forced, on the table and on every partition and inheritance child that it has
///   when the plan runs;
/// - a policy for all four commands, with USING and WITH CHECK, lets rows of the transaction's tenant through, and for
///   the application role a second, restrictive one says the same, so that a permissive policy that somebody adds later
///   widens nothing;
/// - the application role gets SELECT, INSERT, UPDATE and DELETE and loses TRUNCATE, REFERENCES and TRIGGER, which no
///   policy covers; PUBLIC loses everything.
///
/// # When no tenant is set
/// [Strict](Self::new), the policies raise error 42501, "no tenant is set for this transaction". A policy that reads the
/// setting alone would be silent instead: after `SET LOCAL` and COMMIT a setting is the empty text, not NULL.
///
/// # How a search gets by
/// A function of a [`Search`] belongs to a role that nobody can log in as or be a member of, and that has a policy of
/// its own to read every row. The function takes the tenant from the transaction, never from its caller, and puts it into
/// the statement as a predicate; its search path is pinned; only the application role may execute it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Rls {
    roles: Vec<Name>,
    column: Name,
    kind: TenantType,
    strict: bool,
    schema: Name,
    search_role: Name,
}

impl Default for Rls {
    fn default() -> Self {
        Self::new()
    }
}

impl Rls {
    /// Strict, with the column `tenant_id` of type text, the functions in the schema `guardian`, and no application role
    /// yet.
    pub fn new() -> Self {
        Self {
            roles: Vec::new(),
            column: Name::derived(&["tenant_id"]),
            kind: TenantType::Text,
            strict: true,
            schema: Name::derived(&["guardian"]),
            search_role: Name::derived(&["guardian_search"]),
        }
    }

    /// One more role as which the application connects: it owns nothing and does not pass by row-level security.
    ///
    /// # Errors
    /// When the text is no [`Name`].
    pub fn application_role(mut self, role: &str) -> Result<Self, InvalidField> {
        self.roles.push(Name::new(role)?);
        Ok(self)
    }

    /// Another tenant column.
    ///
    /// # Errors
    /// When the text is no [`Name`].
    pub fn tenant_column(mut self, column: &str, kind: TenantType) -> Result<Self, InvalidField> {
        self.column = Name::new(column)?;
        self.kind = kind;
        Ok(self)
    }

    /// Another schema for the functions that policies call. It must not be named like a role that connects: PostgreSQL looks
    /// first in the schema of the role's own name, and makes tables there from then on.
    ///
    /// # Errors
    /// When the text is no [`Name`].
    pub fn schema(mut self, schema: &str) -> Result<Self, InvalidField> {
        self.schema = Name::new(schema)?;
        Ok(self)
    }

    /// Another role, and schema of the same name, for the functions that search. Roles are shared by all databases of a
    /// server; one role serves several of them.
    ///
    /// # Errors
    /// When the text is no [`Name`].
    pub fn search_role(mut self, role: &str) -> Result<Self, InvalidField> {
        self.search_role = Name::new(role)?;
        Ok(self)
    }

    /// Without a tenant there are no rows, instead of an error. Safe, and silent: a job that forgot its tenant finds
    /// nothing to do.
    pub fn silent(mut self) -> Self {
        self.strict = false;
        self
    }

    /// The statements that wall these tables off, in the order in which they have to run.
    pub fn plan(&self, tables: &[TenantTable]) -> RlsPlan {
        let mut plan = RlsPlan::default();
        plan.push(
            "One installation at a time",
            // Any number does that is the same for everybody who installs.
            "DO $$ BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(7238114905); END $$",
        );
        self.plan_functions(&mut plan);
        for table in tables {
            self.plan_column(&mut plan, table);
        }
        for table in tables {
            self.plan_keys(&mut plan, table);
        }
        // Only now has every table the key that others point to.
        for table in tables {
            self.plan_references(&mut plan, table);
        }
        for table in tables {
            self.plan_policies(&mut plan, table);
        }
        if tables.iter().any(|table| !table.searches.is_empty()) {
            self.plan_searches(&mut plan, tables);
        }
        plan
    }

    /// The call of the function that gives the transaction's tenant.
    fn current_tenant(&self) -> String {
        format!("{}.{}()", self.schema.quoted(), quote_name(self.kind.function()))
    }

    /// The tenant in a policy: what [`Self::current_tenant`] gives, spelt out, because a function in PL/pgSQL costs
    /// microseconds a call and may be called for each row. What raises is only called when there is no tenant.
    fn policy_tenant(&self) -> String {
        let setting = format!("pg_catalog.current_setting('{SETTING}', true)");
        let tenant = format!("NULLIF({setting}, '')");
        let value = if self.strict {
            // The setting is looked up once: each look-up costs more than the rest of the test.
            format!("COALESCE({tenant}, {}.{}())", self.schema.quoted(), quote_name(NO_TENANT))
        } else {
            tenant
        };
        if self.kind == TenantType::Text { value } else { format!("({value})::{}", self.kind.sql()) }
    }

    fn plan_functions(&self, plan: &mut RlsPlan) {
        let schema = self.schema.quoted();
        plan.push("The functions that policies call", format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
        let sql_type = self.kind.sql();
        let missing = if self.strict { RAISE } else { "RETURN NULL;" };
        // The operators are written with their schema, because whoever calls this may have another search path.
        let body = format!(
            "\nDECLARE\n  value text := pg_catalog.current_setting('{SETTING}', true);\nBEGIN\n  \
             IF value IS NULL OR pg_catalog.length(value) OPERATOR(pg_catalog.=) 0 THEN\n    {missing}\n  END IF;\n  \
             RETURN value::pg_catalog.{};\nEND\n",
            if sql_type == "bigint" { "int8" } else { sql_type },
        );
        plan.push(
            "The tenant of the transaction",
            format!(
                "CREATE OR REPLACE FUNCTION {} RETURNS {sql_type} LANGUAGE plpgsql STABLE PARALLEL SAFE AS {}",
                self.current_tenant(),
                dollar_quoted(&body)
            ),
        );
        plan.push(
            "What the policies call when there is none",
            format!(
                "CREATE OR REPLACE FUNCTION {schema}.{}() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS {}",
                quote_name(NO_TENANT),
                dollar_quoted(&format!("\nBEGIN\n  {RAISE}\nEND\n"))
            ),
        );
        if !self.roles.is_empty() {
            plan.push(
                "The application may call them",
                format!("GRANT USAGE ON SCHEMA {schema} TO {}", list(&self.roles)),
            );
        }
    }

    /// The tenant column and then these, in quotes and separated by commas.
    fn with_tenant(&self, columns: &[Name]) -> String {
        let mut text = self.column.quoted();
        for column in columns {
            let _ = write!(text, ", {}", column.quoted());
        }
        text
    }
}

/// Names in quotes, separated by commas.
fn list(names: &[Name]) -> String {
    names.iter().map(Name::quoted).collect::<Vec<_>>().join(", ")
}

/// A text between dollar quotes whose tag does not occur in it.
fn dollar_quoted(body: &str) -> String {
    let mut tag = "$guardian$".to_owned();
    let mut number = 0_u32;
    while body.contains(&tag) {
        number += 1;
        tag = format!("$guardian{number}$");
    }
    format!("{tag}{body}{tag}")
}
