-- Checkpoints of audit logs that are kept apart from the logs. Ids are compared byte for byte, whatever the collation.
CREATE TABLE guardian_audit_anchors (
  tenant_id TEXT COLLATE "C" NOT NULL,
  id BIGINT NOT NULL,
  size BIGINT NOT NULL,
  made TIMESTAMPTZ NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

CREATE INDEX guardian_audit_anchors_size ON guardian_audit_anchors (tenant_id, size, id);

-- Rows are inserted and read; there is no policy by which anybody changes or deletes one.
ALTER TABLE guardian_audit_anchors ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_audit_anchors FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant_select ON guardian_audit_anchors FOR SELECT TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
CREATE POLICY guardian_tenant_insert ON guardian_audit_anchors FOR INSERT TO PUBLIC
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
