-- Who the platform's tenants are. The registry is written by the platform alone, in unscoped transactions; a tenant reads
-- its own row. Ids are compared byte for byte, whatever the database's collation.
CREATE TABLE guardian_tenants (
  tenant_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  status TEXT NOT NULL,
  plan TEXT NOT NULL,
  region TEXT NOT NULL,
  purge_after BIGINT,
  version BIGINT NOT NULL,
  document JSONB NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  created BIGINT NOT NULL
);

CREATE INDEX guardian_tenants_name ON guardian_tenants (name, tenant_id);
CREATE INDEX guardian_tenants_created ON guardian_tenants (created, tenant_id);
CREATE INDEX guardian_tenants_due ON guardian_tenants (purge_after, tenant_id) WHERE purge_after IS NOT NULL;

ALTER TABLE guardian_tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_tenants FOR SELECT TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
CREATE POLICY guardian_platform_insert ON guardian_tenants FOR INSERT TO PUBLIC
  WITH CHECK (current_setting('guardian.unscoped', true) = 'on');
CREATE POLICY guardian_platform_update ON guardian_tenants FOR UPDATE TO PUBLIC
  USING (current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (current_setting('guardian.unscoped', true) = 'on');
CREATE POLICY guardian_platform_delete ON guardian_tenants FOR DELETE TO PUBLIC
  USING (current_setting('guardian.unscoped', true) = 'on');

-- Events that were stored with a change and not delivered yet.
CREATE TABLE guardian_tenant_events (
  tenant_id TEXT COLLATE "C" NOT NULL,
  id UUID NOT NULL,
  event JSONB NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

CREATE INDEX guardian_tenant_events_id ON guardian_tenant_events (id);

ALTER TABLE guardian_tenant_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_tenant_events FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_platform ON guardian_tenant_events FOR ALL TO PUBLIC
  USING (current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (current_setting('guardian.unscoped', true) = 'on');
