-- What tenants have subscribed to.
CREATE TABLE guardian_quota_subscriptions (
  tenant_id TEXT COLLATE "C" NOT NULL,
  revision BIGINT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id)
);

-- How each subject stands with each meter. That of the organisation has the empty path, and its version is the number of the
-- meter's last entry.
CREATE TABLE guardian_quota_accounts (
  tenant_id TEXT COLLATE "C" NOT NULL,
  feature TEXT COLLATE "C" NOT NULL,
  subject TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (tenant_id, feature, subject)
);

-- The ledgers there are.
CREATE INDEX guardian_quota_accounts_root ON guardian_quota_accounts (tenant_id, feature) WHERE subject = '';

-- The ledger; rows are added and never changed.
CREATE TABLE guardian_quota_entries (
  tenant_id TEXT COLLATE "C" NOT NULL,
  feature TEXT COLLATE "C" NOT NULL,
  seq BIGINT NOT NULL,
  event_key TEXT COLLATE "C",
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, feature, seq)
);

CREATE UNIQUE INDEX guardian_quota_entries_key ON guardian_quota_entries (tenant_id, feature, event_key)
  WHERE event_key IS NOT NULL;

-- How far each ledger was relayed, and who is at it.
CREATE TABLE guardian_quota_relays (
  tenant_id TEXT COLLATE "C" NOT NULL,
  feature TEXT COLLATE "C" NOT NULL,
  sent BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  held TIMESTAMPTZ,
  PRIMARY KEY (tenant_id, feature)
);

-- Rows are changed at every call, and their index entries never: room in the pages keeps the changes within them.
ALTER TABLE guardian_quota_accounts SET (fillfactor = 50);
ALTER TABLE guardian_quota_relays SET (fillfactor = 70);

-- A tenant sees its own rows; relays go across tenants and say so.
ALTER TABLE guardian_quota_subscriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_quota_subscriptions FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_quota_subscriptions FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
ALTER TABLE guardian_quota_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_quota_accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_quota_accounts FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
ALTER TABLE guardian_quota_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_quota_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_quota_entries FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
ALTER TABLE guardian_quota_relays ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_quota_relays FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_quota_relays FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
