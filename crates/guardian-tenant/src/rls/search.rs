use super::name::{Name, QualifiedName, quote_text};
use super::table::{Search, TenantTable};
use super::{Rls, RlsPlan, dollar_quoted, list};

impl Rls {
    /// The name of the function that does a table's search on this column: to be called as
    /// `SELECT … FROM name(query, max_rows)`, in a transaction whose tenant is set.
    #[must_use]
    pub fn search_function(&self, table: &QualifiedName, column: &Name) -> QualifiedName {
        let parts = [table.schema().as_str(), table.name().as_str(), column.as_str()];
        QualifiedName::of(self.search_role.clone(), Name::derived(&parts))
    }

    pub(super) fn plan_searches(&self, plan: &mut RlsPlan, tables: &[TenantTable]) {
        let role = self.search_role.quoted();
        plan.push(
            "The role that searches: nobody logs in as it",
            format!(
                "DO {}",
                dollar_quoted(&format!(
                    "\nBEGIN\n  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN\n    \
                     CREATE ROLE {role} NOLOGIN NOINHERIT;\n  END IF;\n\
                     EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;\nEND\n",
                    quote_text(self.search_role.as_str())
                ))
            ),
        );
        plan.push("To give it functions, be it for a moment", format!("GRANT {role} TO CURRENT_USER"));
        plan.push("Its functions", format!("CREATE SCHEMA IF NOT EXISTS {role} AUTHORIZATION {role}"));
        plan.push(
            "It asks for the transaction's tenant",
            format!("GRANT USAGE ON SCHEMA {} TO {role}", self.schema.quoted()),
        );
        if !self.roles.is_empty() {
            plan.push(
                "The application finds them",
                format!("GRANT USAGE ON SCHEMA {role} TO {}", list(&self.roles)),
            );
        }
        for table in tables {
            for search in &table.searches {
                self.plan_search(plan, table, search);
            }
        }
        plan.push(
            "Nobody stays a member of it: its policy would be theirs too",
            format!("REVOKE {role} FROM CURRENT_USER"),
        );
    }

    fn plan_search(&self, plan: &mut RlsPlan, table: &TenantTable, search: &Search) {
        let (role, name) = (self.search_role.quoted(), table.name.quoted());
        plan.push(
            format!("It finds `{}`", table.name),
            format!("GRANT USAGE ON SCHEMA {} TO {role}", table.name.schema().quoted()),
        );
        plan.push(format!("It reads `{}`", table.name), format!("GRANT SELECT ON TABLE {name} TO {role}"));
        plan.push(
            "It reads every row, so that the index can be used",
            format!("DROP POLICY IF EXISTS guardian_search ON {name}"),
        );
        plan.push(
            "The predicate of the tenant is in its functions",
            format!("CREATE POLICY guardian_search ON {name} FOR SELECT TO {role} USING (true)"),
        );
        let function = self.search_function(&table.name, &search.column).quoted();
        let (operator, asked) = search.kind.operator();
        let order = search
            .newest
            .as_ref()
            .map(|column| format!(" ORDER BY t.{} DESC", column.quoted()))
            .unwrap_or_default();
        let statement = format!(
            "SELECT t.* FROM {name} AS t WHERE t.{} = $1 AND t.{} OPERATOR(pg_catalog.{operator}) $2{order} LIMIT $3",
            self.column.quoted(),
            search.column.quoted(),
        );
        let body = format!(
            "\nBEGIN\n  RETURN QUERY EXECUTE {}\n    USING {}, query, max_rows;\nEND\n",
            quote_text(&statement),
            self.current_tenant(),
        );
        plan.push(
            format!("The search of `{}` by `{}`", table.name, search.column),
            format!(
                "CREATE OR REPLACE FUNCTION {function}(query {asked}, max_rows integer) RETURNS SETOF {name}\n\
                 LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {}",
                dollar_quoted(&body)
            ),
        );
        let signature = format!("{function}({asked}, integer)");
        plan.push("It runs as the role that searches", format!("ALTER FUNCTION {signature} OWNER TO {role}"));
        plan.push("Not everybody may search", format!("REVOKE ALL ON FUNCTION {signature} FROM PUBLIC"));
        let callers = if self.roles.is_empty() { "CURRENT_USER".to_owned() } else { list(&self.roles) };
        plan.push("The application may", format!("GRANT EXECUTE ON FUNCTION {signature} TO {callers}"));
    }
}
