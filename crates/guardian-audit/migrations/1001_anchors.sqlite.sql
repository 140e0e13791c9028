-- Checkpoints of audit logs that are kept apart from the logs. Rows are inserted and never changed.
CREATE TABLE guardian_audit_anchors (
  tenant_id TEXT NOT NULL,
  id INTEGER NOT NULL,
  size INTEGER NOT NULL,
  made INTEGER NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;

CREATE INDEX guardian_audit_anchors_size ON guardian_audit_anchors (tenant_id, size, id);

CREATE TRIGGER guardian_audit_anchors_update BEFORE UPDATE ON guardian_audit_anchors
BEGIN
  SELECT RAISE(ABORT, 'anchors are never changed');
END;

-- REPLACE would take the row that is there away without asking the other triggers.
CREATE TRIGGER guardian_audit_anchors_insert BEFORE INSERT ON guardian_audit_anchors
WHEN EXISTS (SELECT 1 FROM guardian_audit_anchors WHERE tenant_id = NEW.tenant_id AND id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'anchors are never changed');
END;

CREATE TRIGGER guardian_audit_anchors_delete BEFORE DELETE ON guardian_audit_anchors
BEGIN
  SELECT RAISE(ABORT, 'anchors are never deleted');
END;
