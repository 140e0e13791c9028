-- Events that were committed with a change of the caller's and are on their way into the log. `id` is the key, because a key that
-- counts up by itself stands alone.
CREATE TABLE guardian_audit_outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant_id TEXT NOT NULL,
  event_id BLOB NOT NULL,
  occurred INTEGER NOT NULL,
  body BLOB NOT NULL,
  terms TEXT NOT NULL,
  blind TEXT NOT NULL
) STRICT;

CREATE INDEX guardian_audit_outbox_order ON guardian_audit_outbox (tenant_id, id);
