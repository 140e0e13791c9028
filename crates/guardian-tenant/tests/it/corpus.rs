//! Schemas with one hole each, and schemas without any. `{s}` is the schema of a case, `{r}` the application's role.

use guardian_tenant::lint::Code;

/// A schema, made on top of [`BASE`], with the kinds of hole that it has.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) codes: &'static [Code],
    pub(crate) sql: &'static str,
    /// Whether only a superuser can make it.
    pub(crate) superuser: bool,
}

const fn bad(name: &'static str, codes: &'static [Code], sql: &'static str) -> Case {
    Case { name, codes, sql, superuser: false }
}

const fn worse(name: &'static str, codes: &'static [Code], sql: &'static str) -> Case {
    Case { name, codes, sql, superuser: true }
}

const fn good(name: &'static str, sql: &'static str) -> Case {
    Case { name, codes: &[], sql, superuser: false }
}

/// A table as it should be.
pub(crate) const BASE: &str = "
    CREATE TABLE {s}.deals (tenant_id text NOT NULL, id uuid NOT NULL, title text NOT NULL, PRIMARY KEY (tenant_id, id));
    ALTER TABLE {s}.deals ENABLE ROW LEVEL SECURITY;
    ALTER TABLE {s}.deals FORCE ROW LEVEL SECURITY;
    CREATE POLICY wall ON {s}.deals USING (tenant_id = guardian.current_tenant())
      WITH CHECK (tenant_id = guardian.current_tenant());
    GRANT SELECT, INSERT, UPDATE, DELETE ON {s}.deals TO {r};
    GRANT USAGE ON SCHEMA {s} TO {r};
";

use Code::{
    ChildWithoutRls, CommandWithoutPolicy, DefaultPrivileges, DefinerPublic, DefinerSearchPath,
    DefinerWithoutTenant, ForeignKeyCrosses, ForeignTable, FunctionLeakproof, GrantPastPolicies, GrantPublic,
    IndexNotLeakproof, MaterializedView, NoPolicy, NoTenantIndex, PartitionWithoutRls, PoliciesWithoutRls,
    PolicyAlwaysTrue, PolicyCastsColumn, PolicyOr, PolicyOtherSetting, PolicyUnscoped, PolicyWidens,
    PolicyWithoutCheck, PolicyWithoutTenant, PrimaryKeyWithoutTenant, Published, RlsDisabled, RlsNotForced,
    RoleBypassesRls, RoleOwnsTable, RolePredefined, RoleReplication, RoleSuperuser, RuleOnTable,
    SchemaCreate, SequenceReadable, SequenceShared, TenantByDefault, TenantColumnDefault,
    TenantColumnMissing, TenantColumnNullable, TenantColumnType, TriggerDefiner, UniqueWithoutTenant,
    ViewOwnerRights,
};

pub(crate) const BAD: &[Case] = &[
    bad("off", &[RlsDisabled], "DROP POLICY wall ON {s}.deals; ALTER TABLE {s}.deals DISABLE ROW LEVEL SECURITY"),
    bad("off_with_policies", &[PoliciesWithoutRls], "ALTER TABLE {s}.deals DISABLE ROW LEVEL SECURITY"),
    bad("not_forced", &[RlsNotForced], "ALTER TABLE {s}.deals NO FORCE ROW LEVEL SECURITY"),
    bad("no_policy", &[NoPolicy], "DROP POLICY wall ON {s}.deals"),
    bad("no_delete", &[CommandWithoutPolicy], "
        DROP POLICY wall ON {s}.deals;
        CREATE POLICY r ON {s}.deals FOR SELECT USING (tenant_id = guardian.current_tenant());
        CREATE POLICY a ON {s}.deals FOR INSERT WITH CHECK (tenant_id = guardian.current_tenant());
        CREATE POLICY w ON {s}.deals FOR UPDATE USING (tenant_id = guardian.current_tenant())
          WITH CHECK (tenant_id = guardian.current_tenant())"),
    bad("for_another_role", &[CommandWithoutPolicy], "ALTER POLICY wall ON {s}.deals TO CURRENT_USER"),
    bad("no_check", &[PolicyWithoutCheck], "
        DROP POLICY wall ON {s}.deals; CREATE POLICY wall ON {s}.deals USING (tenant_id = guardian.current_tenant())"),
    bad("true", &[PolicyAlwaysTrue], "ALTER POLICY wall ON {s}.deals USING (true) WITH CHECK (true)"),
    bad("itself", &[PolicyAlwaysTrue], "ALTER POLICY wall ON {s}.deals USING (tenant_id = tenant_id)"),
    bad("not_null", &[PolicyAlwaysTrue], "ALTER POLICY wall ON {s}.deals USING (tenant_id IS NOT NULL)"),
    bad("one_is_one", &[PolicyAlwaysTrue], "ALTER POLICY wall ON {s}.deals USING (1 = 1 OR title = '')"),
    bad("check_true", &[PolicyAlwaysTrue], "ALTER POLICY wall ON {s}.deals WITH CHECK (true)"),
    bad("title_only", &[PolicyWithoutTenant], "ALTER POLICY wall ON {s}.deals USING (title <> '')"),
    bad("greater", &[PolicyWithoutTenant], "ALTER POLICY wall ON {s}.deals USING (tenant_id >= guardian.current_tenant())"),
    bad("negated", &[PolicyWithoutTenant], "ALTER POLICY wall ON {s}.deals USING (NOT tenant_id = guardian.current_tenant())"),
    bad("coalesced", &[PolicyWithoutTenant], "
        ALTER POLICY wall ON {s}.deals USING (tenant_id = coalesce(current_setting('guardian.tenant', true), 'acme'))"),
    bad("or_public", &[PolicyOr], "
        ALTER POLICY wall ON {s}.deals USING (tenant_id = guardian.current_tenant() OR title LIKE 'public%')"),
    bad("or_in_and", &[PolicyOr], "
        ALTER POLICY wall ON {s}.deals USING (title <> '' AND (tenant_id = guardian.current_tenant() OR tenant_id = 'shared'))"),
    bad("widened", &[PolicyWidens], "CREATE POLICY more ON {s}.deals FOR SELECT USING (title LIKE 'public%')"),
    bad("widened_for_role", &[PolicyWidens], "CREATE POLICY more ON {s}.deals FOR SELECT TO {r} USING (true)"),
    bad("other_setting", &[PolicyOtherSetting], "
        ALTER POLICY wall ON {s}.deals USING (tenant_id = current_setting('app.tenant', true))"),
    bad("unscoped", &[PolicyUnscoped], "
        ALTER POLICY wall ON {s}.deals USING (tenant_id = guardian.current_tenant()
          OR current_setting('guardian.unscoped', true) = 'on')"),
    bad("cast_column", &[PolicyCastsColumn], "
        ALTER POLICY wall ON {s}.deals USING (tenant_id::varchar(64) = guardian.current_tenant())"),
    bad("no_column", &[TenantColumnMissing], "CREATE TABLE {s}.countries (code text PRIMARY KEY)"),
    bad("nullable", &[TenantColumnNullable], "
        ALTER TABLE {s}.deals DROP CONSTRAINT deals_pkey; ALTER TABLE {s}.deals ALTER tenant_id DROP NOT NULL;
        CREATE INDEX ON {s}.deals (tenant_id, id)"),
    bad("number", &[TenantColumnType], "
        DROP POLICY wall ON {s}.deals; ALTER TABLE {s}.deals ALTER tenant_id TYPE bigint USING 0;
        CREATE POLICY wall ON {s}.deals USING (tenant_id = guardian.current_tenant()::bigint)
          WITH CHECK (tenant_id = guardian.current_tenant()::bigint)"),
    bad("default", &[TenantColumnDefault], "ALTER TABLE {s}.deals ALTER tenant_id SET DEFAULT 'acme'"),
    bad("index_led_by_id", &[NoTenantIndex], "
        ALTER TABLE {s}.deals DROP CONSTRAINT deals_pkey, ADD PRIMARY KEY (id, tenant_id)"),
    bad("partial_index", &[NoTenantIndex], "
        ALTER TABLE {s}.deals DROP CONSTRAINT deals_pkey, ADD PRIMARY KEY (id, tenant_id);
        CREATE INDEX ON {s}.deals (tenant_id) WHERE title <> ''"),
    bad("key_of_id", &[PrimaryKeyWithoutTenant], "
        ALTER TABLE {s}.deals DROP CONSTRAINT deals_pkey, ADD PRIMARY KEY (id); CREATE INDEX ON {s}.deals (tenant_id)"),
    bad("unique_title", &[UniqueWithoutTenant], "ALTER TABLE {s}.deals ADD UNIQUE (title)"),
    bad("unique_index", &[UniqueWithoutTenant], "CREATE UNIQUE INDEX ON {s}.deals (title)"),
    bad("unique_expression", &[UniqueWithoutTenant], "CREATE UNIQUE INDEX ON {s}.deals (lower(title))"),
    bad("exclusion", &[UniqueWithoutTenant], "ALTER TABLE {s}.deals ADD EXCLUDE (title WITH =)"),
    bad("foreign_key", &[ForeignKeyCrosses, UniqueWithoutTenant], "
        ALTER TABLE {s}.deals ADD UNIQUE (id), ADD parent uuid REFERENCES {s}.deals (id)"),
    bad("view", &[ViewOwnerRights], "CREATE VIEW {s}.v AS SELECT title FROM {s}.deals; GRANT SELECT ON {s}.v TO {r}"),
    bad("view_of_view", &[ViewOwnerRights], "
        CREATE VIEW {s}.inner_view WITH (security_invoker = true) AS SELECT * FROM {s}.deals;
        CREATE VIEW {s}.outer_view AS SELECT * FROM {s}.inner_view; GRANT SELECT ON {s}.outer_view TO {r}"),
    bad("view_column", &[ViewOwnerRights], "
        CREATE VIEW {s}.v AS SELECT title FROM {s}.deals; GRANT SELECT (title) ON {s}.v TO PUBLIC"),
    bad("materialized", &[MaterializedView], "
        CREATE MATERIALIZED VIEW {s}.m AS SELECT 1 AS one WITH NO DATA; DROP MATERIALIZED VIEW {s}.m;
        CREATE MATERIALIZED VIEW {s}.m AS SELECT * FROM {s}.deals WITH NO DATA; GRANT SELECT ON {s}.m TO {r}"),
    worse("foreign_table", &[ForeignTable], "
        CREATE FOREIGN DATA WRAPPER {s}_w; CREATE SERVER {s}_s FOREIGN DATA WRAPPER {s}_w;
        CREATE FOREIGN TABLE {s}.f (tenant_id text) SERVER {s}_s; GRANT SELECT ON {s}.f TO {r}"),
    bad("partition", &[PartitionWithoutRls], "
        CREATE TABLE {s}.log (tenant_id text NOT NULL, at int NOT NULL, PRIMARY KEY (tenant_id, at)) PARTITION BY RANGE (at);
        ALTER TABLE {s}.log ENABLE ROW LEVEL SECURITY; ALTER TABLE {s}.log FORCE ROW LEVEL SECURITY;
        CREATE POLICY wall ON {s}.log USING (tenant_id = guardian.current_tenant())
          WITH CHECK (tenant_id = guardian.current_tenant());
        CREATE TABLE {s}.log_1 PARTITION OF {s}.log FOR VALUES FROM (0) TO (10)"),
    bad("child", &[ChildWithoutRls], "CREATE TABLE {s}.old (PRIMARY KEY (tenant_id, id)) INHERITS ({s}.deals)"),
    worse("superuser", &[RoleSuperuser], "ALTER ROLE {r} SUPERUSER"),
    worse("bypass", &[RoleBypassesRls], "ALTER ROLE {r} BYPASSRLS"),
    worse("can_bypass", &[RoleBypassesRls], "CREATE ROLE {r}_b BYPASSRLS; GRANT {r}_b TO {r}"),
    worse("replication", &[RoleReplication], "ALTER ROLE {r} REPLICATION"),
    worse("owner", &[RoleOwnsTable], "ALTER TABLE {s}.deals OWNER TO {r}"),
    worse("can_own", &[RoleOwnsTable], "
        CREATE ROLE {r}_o; ALTER TABLE {s}.deals OWNER TO {r}_o; CREATE ROLE {r}_m ROLE {r}; GRANT {r}_o TO {r}_m"),
    bad("reads_all", &[RolePredefined], "GRANT pg_read_all_data TO {r}"),
    worse("runs_programs", &[RolePredefined], "GRANT pg_execute_server_program TO {r}"),
    bad("definer_path", &[DefinerSearchPath], "
        CREATE FUNCTION {s}.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
        REVOKE ALL ON FUNCTION {s}.f() FROM PUBLIC"),
    bad("definer_public_schema", &[DefinerSearchPath], "
        CREATE FUNCTION {s}.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT 1';
        REVOKE ALL ON FUNCTION {s}.f() FROM PUBLIC"),
    bad("definer_public", &[DefinerPublic], "
        CREATE FUNCTION {s}.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT 1'"),
    bad("definer_reads_all", &[DefinerWithoutTenant], "
        CREATE FUNCTION {s}.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
          AS 'SELECT count(*) FROM {s}.deals';
        REVOKE ALL ON FUNCTION {s}.f() FROM PUBLIC; GRANT EXECUTE ON FUNCTION {s}.f() TO {r}"),
    bad("definer_standard", &[DefinerWithoutTenant], "
        CREATE FUNCTION {s}.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
          BEGIN ATOMIC SELECT count(*) FROM {s}.deals; END;
        REVOKE ALL ON FUNCTION {s}.f() FROM PUBLIC; GRANT EXECUTE ON FUNCTION {s}.f() TO {r}"),
    bad("trigger", &[TriggerDefiner], "
        CREATE FUNCTION {s}.t() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
          AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER t BEFORE INSERT ON {s}.deals FOR EACH ROW EXECUTE FUNCTION {s}.t()"),
    worse("leakproof", &[FunctionLeakproof], "
        CREATE FUNCTION {s}.peek(text) RETURNS boolean LANGUAGE plpgsql LEAKPROOF COST 0.01
          AS 'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END'"),
    bad("full_text", &[IndexNotLeakproof], "
        ALTER TABLE {s}.deals ADD words tsvector; CREATE INDEX ON {s}.deals USING gin (words)"),
    bad("json", &[IndexNotLeakproof], "
        ALTER TABLE {s}.deals ADD more jsonb; CREATE INDEX ON {s}.deals USING gin (more)"),
    bad("numeric", &[IndexNotLeakproof], "
        ALTER TABLE {s}.deals ADD amount numeric; CREATE INDEX ON {s}.deals (amount)"),
    bad("array", &[IndexNotLeakproof], "
        ALTER TABLE {s}.deals ADD tags text[]; CREATE INDEX ON {s}.deals USING gin (tags)"),
    bad("truncate", &[GrantPastPolicies], "GRANT TRUNCATE ON {s}.deals TO {r}"),
    bad("references", &[GrantPastPolicies], "GRANT REFERENCES (id) ON {s}.deals TO {r}"),
    bad("may_trigger", &[GrantPastPolicies], "GRANT TRIGGER ON {s}.deals TO {r}"),
    bad("public", &[GrantPublic], "GRANT SELECT ON {s}.deals TO PUBLIC"),
    bad("public_column", &[GrantPublic], "GRANT SELECT (title) ON {s}.deals TO PUBLIC"),
    bad("defaults", &[DefaultPrivileges], "ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}"),
    bad("sequence", &[SequenceReadable], "
        ALTER TABLE {s}.deals ADD number bigserial; GRANT SELECT ON SEQUENCE {s}.deals_number_seq TO {r}"),
    bad("identity", &[SequenceReadable], "
        ALTER TABLE {s}.deals ADD number bigint GENERATED ALWAYS AS IDENTITY;
        GRANT SELECT ON SEQUENCE {s}.deals_number_seq TO PUBLIC"),
    bad("one_sequence", &[SequenceShared], "
        ALTER TABLE {s}.deals ADD number bigserial;
        CREATE TABLE {s}.notes (tenant_id text NOT NULL, id bigint NOT NULL DEFAULT nextval('{s}.deals_number_seq'),
          PRIMARY KEY (tenant_id, id));
        ALTER TABLE {s}.notes ENABLE ROW LEVEL SECURITY; ALTER TABLE {s}.notes FORCE ROW LEVEL SECURITY;
        CREATE POLICY wall ON {s}.notes USING (tenant_id = guardian.current_tenant())
          WITH CHECK (tenant_id = guardian.current_tenant())"),
    bad("rule", &[RuleOnTable], "CREATE RULE keep AS ON DELETE TO {s}.deals DO INSTEAD NOTHING"),
    bad("published", &[Published], "CREATE PUBLICATION {s}_p FOR TABLE {s}.deals"),
    worse("tenant_of_role", &[TenantByDefault], "ALTER ROLE {r} SET guardian.tenant = 'acme'"),
    worse("tenant_of_database", &[TenantByDefault], "
        EXECUTE format('ALTER DATABASE %I SET guardian.tenant = ''acme''', current_database())"),
    bad("creates", &[SchemaCreate], "GRANT CREATE ON SCHEMA {s} TO {r}"),
    bad("all_create", &[SchemaCreate], "GRANT CREATE ON SCHEMA {s} TO PUBLIC"),
];

pub(crate) const GOOD: &[Case] = &[
    good("base", "NULL"),
    good("four_policies", "
        DROP POLICY wall ON {s}.deals;
        CREATE POLICY r ON {s}.deals FOR SELECT USING (tenant_id = guardian.current_tenant());
        CREATE POLICY a ON {s}.deals FOR INSERT WITH CHECK (tenant_id = guardian.current_tenant());
        CREATE POLICY w ON {s}.deals FOR UPDATE USING (tenant_id = guardian.current_tenant())
          WITH CHECK (tenant_id = guardian.current_tenant());
        CREATE POLICY d ON {s}.deals FOR DELETE USING (tenant_id = guardian.current_tenant())"),
    good("plain_setting", "
        ALTER POLICY wall ON {s}.deals USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
          WITH CHECK (tenant_id = (SELECT current_setting('guardian.tenant')))"),
    good("narrower", "ALTER POLICY wall ON {s}.deals USING (tenant_id = guardian.current_tenant() AND title <> 'hidden')"),
    good("held_by_a_restrictive_one", "
        CREATE POLICY only ON {s}.deals AS RESTRICTIVE TO {r} USING (tenant_id = guardian.current_tenant())
          WITH CHECK (tenant_id = guardian.current_tenant());
        CREATE POLICY more ON {s}.deals FOR SELECT TO {r} USING (title LIKE 'public%')"),
    good("composite_keys", "
        ALTER TABLE {s}.deals ADD UNIQUE (tenant_id, title), ADD parent uuid,
          ADD FOREIGN KEY (tenant_id, parent) REFERENCES {s}.deals (tenant_id, id);
        CREATE UNIQUE INDEX ON {s}.deals (lower(title), tenant_id);
        CREATE INDEX ON {s}.deals (tenant_id, title) WHERE title <> ''"),
    good("invoker_view", "
        CREATE VIEW {s}.v WITH (security_invoker = on) AS SELECT * FROM {s}.deals; GRANT SELECT ON {s}.v TO {r}"),
    good("private_view", "
        CREATE VIEW {s}.v AS SELECT * FROM {s}.deals;
        CREATE MATERIALIZED VIEW {s}.m AS SELECT * FROM {s}.deals WITH NO DATA"),
    good("view_of_nothing", "CREATE VIEW {s}.v AS SELECT 1 AS one; GRANT SELECT ON {s}.v TO {r}"),
    good("definer_asks", "
        CREATE FUNCTION {s}.f() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
          AS 'BEGIN RETURN (SELECT count(*) FROM {s}.deals WHERE tenant_id = guardian.current_tenant()); END';
        REVOKE ALL ON FUNCTION {s}.f() FROM PUBLIC; GRANT EXECUTE ON FUNCTION {s}.f() TO {r}"),
    good("sequence_used", "
        ALTER TABLE {s}.deals ADD number bigserial; GRANT USAGE ON SEQUENCE {s}.deals_number_seq TO {r}"),
    good("invoker_trigger", "
        CREATE FUNCTION {s}.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER t BEFORE INSERT ON {s}.deals FOR EACH ROW EXECUTE FUNCTION {s}.t()"),
    good("partitions", "
        CREATE TABLE {s}.log (tenant_id text NOT NULL, at int NOT NULL, PRIMARY KEY (tenant_id, at)) PARTITION BY RANGE (at);
        CREATE TABLE {s}.log_1 PARTITION OF {s}.log FOR VALUES FROM (0) TO (10);
        ALTER TABLE {s}.log ENABLE ROW LEVEL SECURITY; ALTER TABLE {s}.log FORCE ROW LEVEL SECURITY;
        CREATE POLICY wall ON {s}.log USING (tenant_id = guardian.current_tenant())
          WITH CHECK (tenant_id = guardian.current_tenant());
        ALTER TABLE {s}.log_1 ENABLE ROW LEVEL SECURITY; ALTER TABLE {s}.log_1 FORCE ROW LEVEL SECURITY;
        CREATE POLICY wall ON {s}.log_1 USING (tenant_id = guardian.current_tenant())
          WITH CHECK (tenant_id = guardian.current_tenant())"),
    good("indexes_behind_the_tenant", "
        ALTER TABLE {s}.deals ADD amount numeric; CREATE INDEX ON {s}.deals (tenant_id, amount)"),
    good("odd_names", "
        ALTER TABLE {s}.deals RENAME TO \"De \"\"als; --\"; ALTER TABLE {s}.\"De \"\"als; --\" RENAME title TO \"or\""),
    good("reader_role", "CREATE ROLE {r}_x; GRANT SELECT ON {s}.deals TO {r}_x; GRANT {r}_x TO {r}"),
];
