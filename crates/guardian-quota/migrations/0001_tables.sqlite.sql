-- What tenants have subscribed to.
CREATE TABLE guardian_quota_subscriptions (
  tenant_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id)
) WITHOUT ROWID;

-- How each subject stands with each meter. That of the organisation has the empty path, and its version is the number of the
-- meter's last entry.
CREATE TABLE guardian_quota_accounts (
  tenant_id TEXT NOT NULL,
  feature TEXT NOT NULL,
  subject TEXT NOT NULL,
  version INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (tenant_id, feature, subject)
) WITHOUT ROWID;

-- The ledgers there are.
CREATE INDEX guardian_quota_accounts_root ON guardian_quota_accounts (tenant_id, feature) WHERE subject = '';

-- The ledger; rows are added and never changed.
CREATE TABLE guardian_quota_entries (
  tenant_id TEXT NOT NULL,
  feature TEXT NOT NULL,
  seq INTEGER NOT NULL,
  event_key TEXT,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, feature, seq)
) WITHOUT ROWID;

CREATE UNIQUE INDEX guardian_quota_entries_key ON guardian_quota_entries (tenant_id, feature, event_key)
  WHERE event_key IS NOT NULL;

-- How far each ledger was relayed, and who is at it.
CREATE TABLE guardian_quota_relays (
  tenant_id TEXT NOT NULL,
  feature TEXT NOT NULL,
  sent INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  held INTEGER,
  PRIMARY KEY (tenant_id, feature)
) WITHOUT ROWID;
