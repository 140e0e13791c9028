-- Who the platform's tenants are. The registry is written by the platform alone; a tenant reads its own row.
CREATE TABLE guardian_tenants (
  tenant_id TEXT NOT NULL PRIMARY KEY,
  status TEXT NOT NULL,
  plan TEXT NOT NULL,
  region TEXT NOT NULL,
  purge_after BIGINT,
  version BIGINT NOT NULL,
  document TEXT NOT NULL,
  name TEXT NOT NULL,
  created BIGINT NOT NULL
) WITHOUT ROWID;

CREATE INDEX guardian_tenants_name ON guardian_tenants (name, tenant_id);
CREATE INDEX guardian_tenants_created ON guardian_tenants (created, tenant_id);
CREATE INDEX guardian_tenants_due ON guardian_tenants (purge_after, tenant_id) WHERE purge_after IS NOT NULL;

-- Events that were stored with a change and not delivered yet.
CREATE TABLE guardian_tenant_events (
  tenant_id TEXT NOT NULL,
  id BLOB NOT NULL,
  event TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;

CREATE INDEX guardian_tenant_events_id ON guardian_tenant_events (id);
