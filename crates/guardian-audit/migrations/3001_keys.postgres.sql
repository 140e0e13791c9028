-- The keys of data subjects. `owner` is the SHA-256 of tenant and subject: the table is no list of people.
CREATE TABLE guardian_audit_keys (
  tenant_id TEXT COLLATE "C" NOT NULL,
  owner TEXT COLLATE "C" NOT NULL,
  key_id UUID NOT NULL,
  secret BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, owner)
);

CREATE UNIQUE INDEX guardian_audit_keys_id ON guardian_audit_keys (tenant_id, key_id);

ALTER TABLE guardian_audit_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_audit_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_audit_keys FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
