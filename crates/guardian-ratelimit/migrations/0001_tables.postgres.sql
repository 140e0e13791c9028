-- Counters. `tenant_id` is `*` in the shared realm, which no tenant is called. `subject` is `w` for the whole realm, `i:`
-- and a number, or `t:` and a text. `expires_at`: microseconds since 1970, from when on the row says nothing any more;
-- rounded up to a minute, so that most updates leave the index alone and find room on their own page.
CREATE TABLE guardian_rate_limits (
  tenant_id TEXT COLLATE "C" NOT NULL,
  policy TEXT COLLATE "C" NOT NULL,
  subject TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, policy, subject)
) WITH (fillfactor = 50);

CREATE INDEX guardian_rate_limits_expires ON guardian_rate_limits (expires_at);

-- Permits of concurrency limits, each until `ends_at`.
CREATE TABLE guardian_rate_permits (
  tenant_id TEXT COLLATE "C" NOT NULL,
  policy TEXT COLLATE "C" NOT NULL,
  subject TEXT COLLATE "C" NOT NULL,
  permit TEXT COLLATE "C" NOT NULL,
  ends_at BIGINT NOT NULL,
  cost BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, policy, subject, permit)
);

CREATE INDEX guardian_rate_permits_held ON guardian_rate_permits (tenant_id, policy, subject, ends_at) INCLUDE (cost);
CREATE INDEX guardian_rate_permits_ends ON guardian_rate_permits (ends_at);

-- A row belongs to the transaction's tenant. The shared realm belongs to none: its rows are there only while one of the
-- functions below works on it, which says so in `guardian.realm`. A transaction across tenants may look and delete.
ALTER TABLE guardian_rate_limits ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_rate_limits FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_rate_limits FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR (tenant_id = '*' AND current_setting('guardian.realm', true) = 'shared')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR (tenant_id = '*' AND current_setting('guardian.realm', true) = 'shared'));

ALTER TABLE guardian_rate_permits ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_rate_permits FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_rate_permits FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR (tenant_id = '*' AND current_setting('guardian.realm', true) = 'shared')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR (tenant_id = '*' AND current_setting('guardian.realm', true) = 'shared'));
