use super::name::{Name, QualifiedName, quote_text};
use super::table::TenantTable;
use super::{Rls, RlsPlan, dollar_quoted, list};

/// The columns' numbers in a table, in this order: what `pg_constraint.conkey` and `pg_index.indkey` hold.
fn numbers(table: &QualifiedName, columns: &[&Name]) -> String {
    let names: Vec<_> = columns.iter().map(|column| quote_text(column.as_str())).collect();
    format!(
        "ARRAY(SELECT a.attnum FROM pg_catalog.unnest(ARRAY[{}]::name[]) WITH ORDINALITY AS n(name, place) \
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = {} AND a.attname = n.name ORDER BY n.place)",
        names.join(", "),
        regclass(table)
    )
}

fn regclass(table: &QualifiedName) -> String {
    format!("{}::pg_catalog.regclass", quote_text(&table.quoted()))
}

fn block(body: &str) -> String {
    format!("DO {}", dollar_quoted(body))
}

impl Rls {
    pub(super) fn plan_column(&self, plan: &mut RlsPlan, table: &TenantTable) {
        let name = table.name.quoted();
        plan.push(
            format!("Every row of `{}` has a tenant", table.name),
            format!("ALTER TABLE {name} ALTER COLUMN {} SET NOT NULL", self.column.quoted()),
        );
        // Foreign keys go first: a key that something points to cannot be replaced.
        for reference in &table.references {
            let columns: Vec<_> = reference.columns.iter().collect();
            plan.push(
                format!("A foreign key of `{}` that leaves the tenant out crosses tenants", table.name),
                block(&format!(
                    "\nDECLARE\n  old name;\nBEGIN\n  FOR old IN SELECT conname FROM pg_catalog.pg_constraint\n      \
                     WHERE conrelid = {} AND contype = 'f' AND conkey = {}\n  LOOP\n    \
                     EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', {}, old);\n  END LOOP;\nEND\n",
                    regclass(&table.name),
                    numbers(&table.name, &columns),
                    quote_text(&name),
                )),
            );
        }
    }

    pub(super) fn plan_keys(&self, plan: &mut RlsPlan, table: &TenantTable) {
        if !table.key.is_empty() {
            self.plan_primary_key(plan, table);
        }
        for columns in &table.uniques {
            self.plan_unique(plan, table, columns);
        }
        let index = Name::derived(&[table.name.name().as_str(), self.column.as_str(), "idx"]);
        plan.push(
            format!("An index of `{}` is led by the tenant", table.name),
            block(&format!(
                "\nBEGIN\n  IF NOT EXISTS (SELECT FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a\n      \
                 ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]\n      \
                 WHERE i.indrelid = {} AND i.indisvalid AND i.indpred IS NULL AND a.attname = {}) THEN\n    \
                 CREATE INDEX {} ON {} ({});\n  END IF;\nEND\n",
                regclass(&table.name),
                quote_text(self.column.as_str()),
                index.quoted(),
                table.name.quoted(),
                self.column.quoted(),
            )),
        );
    }

    fn plan_primary_key(&self, plan: &mut RlsPlan, table: &TenantTable) {
        let columns: Vec<_> = std::iter::once(&self.column).chain(&table.key).collect();
        let key = Name::derived(&[table.name.name().as_str(), "pkey"]);
        plan.push(
            format!("The primary key of `{}` begins with the tenant", table.name),
            block(&format!(
                "\nDECLARE\n  old name;\nBEGIN\n  IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint\n      \
                 WHERE conrelid = {table_class} AND contype = 'p' AND conkey = {numbers}) THEN\n    \
                 SELECT conname INTO old FROM pg_catalog.pg_constraint WHERE conrelid = {table_class} AND contype = 'p';\n    \
                 IF old IS NOT NULL THEN\n      \
                 EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', {table_text}, old);\n    END IF;\n    \
                 ALTER TABLE {name} ADD CONSTRAINT {key} PRIMARY KEY ({columns});\n  END IF;\nEND\n",
                table_class = regclass(&table.name),
                numbers = numbers(&table.name, &columns),
                table_text = quote_text(&table.name.quoted()),
                name = table.name.quoted(),
                key = key.quoted(),
                columns = self.with_tenant(&table.key),
            )),
        );
    }

    fn plan_unique(&self, plan: &mut RlsPlan, table: &TenantTable, columns: &[Name]) {
        let with: Vec<_> = std::iter::once(&self.column).chain(columns).collect();
        let without: Vec<_> = columns.iter().collect();
        let mut parts = vec![table.name.name().as_str()];
        parts.extend(with.iter().map(|column| column.as_str()));
        parts.push("key");
        plan.push(
            format!("What is unique in `{}` is so within a tenant", table.name),
            block(&format!(
                "\nDECLARE\n  old name;\n  entry record;\nBEGIN\n  FOR old IN SELECT conname FROM pg_catalog.pg_constraint\n      \
                 WHERE conrelid = {table_class} AND contype = 'u' AND conkey = {without}\n  LOOP\n    \
                 EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', {table_text}, old);\n  END LOOP;\n  \
                 FOR entry IN SELECT n.nspname, c.relname FROM pg_catalog.pg_index AS i\n      \
                 JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace\n      \
                 WHERE i.indrelid = {table_class} AND i.indisunique AND NOT i.indisprimary\n        \
                 AND pg_catalog.string_to_array(i.indkey::text, ' ')::int2[] = {without}\n  LOOP\n    \
                 EXECUTE pg_catalog.format('DROP INDEX %I.%I', entry.nspname, entry.relname);\n  END LOOP;\n  \
                 IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint\n      \
                 WHERE conrelid = {table_class} AND contype IN ('u', 'p') AND conkey = {with}) THEN\n    \
                 ALTER TABLE {name} ADD CONSTRAINT {constraint} UNIQUE ({columns});\n  END IF;\nEND\n",
                table_class = regclass(&table.name),
                table_text = quote_text(&table.name.quoted()),
                without = numbers(&table.name, &without),
                with = numbers(&table.name, &with),
                name = table.name.quoted(),
                constraint = Name::derived(&parts).quoted(),
                columns = self.with_tenant(columns),
            )),
        );
    }

    pub(super) fn plan_references(&self, plan: &mut RlsPlan, table: &TenantTable) {
        for reference in &table.references {
            let columns: Vec<_> = std::iter::once(&self.column).chain(&reference.columns).collect();
            let mut parts = vec![table.name.name().as_str()];
            parts.extend(columns.iter().map(|column| column.as_str()));
            parts.push("fkey");
            plan.push(
                format!("`{}` points only to rows of the same tenant in `{}`", table.name, reference.table),
                block(&format!(
                    "\nBEGIN\n  IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = {} AND contype = 'f'\n      \
                     AND confrelid = {} AND conkey = {}) THEN\n    \
                     ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({});\n  END IF;\nEND\n",
                    regclass(&table.name),
                    regclass(&reference.table),
                    numbers(&table.name, &columns),
                    table.name.quoted(),
                    Name::derived(&parts).quoted(),
                    self.with_tenant(&reference.columns),
                    reference.table.quoted(),
                    self.with_tenant(&reference.target),
                )),
            );
        }
    }

    pub(super) fn plan_policies(&self, plan: &mut RlsPlan, table: &TenantTable) {
        for statement in self.policies(&table.name.quoted()) {
            plan.push(format!("The wall around `{}`", table.name), statement);
        }
        // No name holds a NUL, so it marks where the child's name goes.
        let each: Vec<_> = self
            .policies("\0")
            .iter()
            .map(|statement| quote_text(&statement.replace('%', "%%").replace('\0', "%s")))
            .map(|template| format!("    EXECUTE pg_catalog.format({template}, child);\n"))
            .collect();
        plan.push(
            format!("The same around every partition and child of `{}`, which can be read by its own name", table.name),
            block(&format!(
                "\nDECLARE\n  child text;\nBEGIN\n  FOR child IN WITH RECURSIVE heirs AS (\n      \
                 SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = {}\n      \
                 UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN heirs ON i.inhparent = heirs.inhrelid)\n    \
                 SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM heirs\n      \
                 JOIN pg_catalog.pg_class AS c ON c.oid = heirs.inhrelid\n      \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')\n  LOOP\n{}  \
                 END LOOP;\nEND\n",
                regclass(&table.name),
                each.concat(),
            )),
        );
        self.plan_grants(plan, table);
    }

    /// The statements around one table, whose name is quoted.
    fn policies(&self, table: &str) -> Vec<String> {
        let predicate = format!("{} = {}", self.column.quoted(), self.policy_tenant());
        let mut statements = vec![
            format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
            format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
            format!("DROP POLICY IF EXISTS guardian_tenant ON {table}"),
            format!(
                "CREATE POLICY guardian_tenant ON {table} FOR ALL TO PUBLIC USING ({predicate}) WITH CHECK ({predicate})"
            ),
            format!("DROP POLICY IF EXISTS guardian_tenant_only ON {table}"),
        ];
        if !self.roles.is_empty() {
            let roles = list(&self.roles);
            statements.push(format!(
                "CREATE POLICY guardian_tenant_only ON {table} AS RESTRICTIVE FOR ALL TO {roles} \
                 USING ({predicate}) WITH CHECK ({predicate})"
            ));
        }
        statements
    }

    fn plan_grants(&self, plan: &mut RlsPlan, table: &TenantTable) {
        let name = table.name.quoted();
        plan.push(
            format!("Nobody by default may touch `{}`", table.name),
            format!("REVOKE ALL ON TABLE {name} FROM PUBLIC"),
        );
        if self.roles.is_empty() {
            return;
        }
        let roles = list(&self.roles);
        plan.push(
            "No policy covers these rights",
            format!("REVOKE TRUNCATE, REFERENCES, TRIGGER ON TABLE {name} FROM {roles}"),
        );
        plan.push(
            "The application reads and writes",
            format!("GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {name} TO {roles}"),
        );
        plan.push(
            "The application finds the table",
            format!("GRANT USAGE ON SCHEMA {} TO {roles}", table.name.schema().quoted()),
        );
    }
}
