-- Events that were committed with a change of the caller's and are on their way into the log.
CREATE TABLE guardian_audit_outbox (
  tenant_id TEXT COLLATE "C" NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  event_id UUID NOT NULL,
  occurred BIGINT NOT NULL,
  body BYTEA NOT NULL,
  terms TEXT COLLATE "C" NOT NULL,
  blind TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

-- A transaction across tenants may look, to learn whose events are waiting; it cannot change or take them.
ALTER TABLE guardian_audit_outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_audit_outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_audit_outbox FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
CREATE POLICY guardian_unscoped ON guardian_audit_outbox FOR SELECT TO PUBLIC
  USING (current_setting('guardian.unscoped', true) = 'on');
