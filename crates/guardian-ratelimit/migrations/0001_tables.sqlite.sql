-- Counters. `tenant_id` is `*` in the shared realm, which no tenant is called. `subject` is `w` for the whole realm, `i:`
-- and a number, or `t:` and a text. `expires_at`: microseconds since 1970, from when on the row says nothing any more.
CREATE TABLE guardian_rate_limits (
  tenant_id TEXT NOT NULL,
  policy TEXT NOT NULL,
  subject TEXT NOT NULL,
  state TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, policy, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX guardian_rate_limits_expires ON guardian_rate_limits (expires_at);

-- Permits of concurrency limits, each until `ends_at`.
CREATE TABLE guardian_rate_permits (
  tenant_id TEXT NOT NULL,
  policy TEXT NOT NULL,
  subject TEXT NOT NULL,
  permit TEXT NOT NULL,
  ends_at INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, policy, subject, permit)
) STRICT, WITHOUT ROWID;

CREATE INDEX guardian_rate_permits_held ON guardian_rate_permits (tenant_id, policy, subject, ends_at, cost);
CREATE INDEX guardian_rate_permits_ends ON guardian_rate_permits (ends_at);
