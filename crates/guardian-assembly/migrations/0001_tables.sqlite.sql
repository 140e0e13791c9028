-- Events that have happened and that not all who listen have heard of.
CREATE TABLE guardian_outbox (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant_id TEXT NOT NULL,
  id BLOB NOT NULL,
  -- What it is about: of two events about one thing the elder is told first.
  about TEXT,
  event TEXT NOT NULL,
  -- Who has heard of it: a bit each.
  heard INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  next_at INTEGER NOT NULL
);
CREATE INDEX guardian_outbox_next ON guardian_outbox (next_at, number);
CREATE INDEX guardian_outbox_about ON guardian_outbox (tenant_id, about, number) WHERE about IS NOT NULL;

-- Rate limits that tenants have of their own. A rule that was taken back stays as NULL: other processes have to hear of it.
CREATE TABLE guardian_limit_rules (
  tenant_id TEXT NOT NULL,
  policy TEXT NOT NULL,
  rule TEXT,
  changed INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, policy)
) WITHOUT ROWID;
CREATE INDEX guardian_limit_rules_changed ON guardian_limit_rules (changed);
