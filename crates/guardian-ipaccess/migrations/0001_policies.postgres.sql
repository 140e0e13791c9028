-- A tenant's rules about addresses, one document with a revision.
CREATE TABLE guardian_ipaccess (
  tenant_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  revision BIGINT NOT NULL,
  document JSONB NOT NULL
);

ALTER TABLE guardian_ipaccess ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_ipaccess FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_ipaccess FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
