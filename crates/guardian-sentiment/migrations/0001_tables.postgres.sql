-- What is kept of messages: how they were read.
CREATE TABLE guardian_sentiment_entries (
  tenant_id TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  at TIMESTAMPTZ NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

-- In which series each message is counted, in the order of histories.
CREATE TABLE guardian_sentiment_members (
  tenant_id TEXT COLLATE "C" NOT NULL,
  segment TEXT COLLATE "C" NOT NULL,
  at TIMESTAMPTZ NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, segment, at, id),
  FOREIGN KEY (tenant_id, id) REFERENCES guardian_sentiment_entries (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX guardian_sentiment_members_of ON guardian_sentiment_members (tenant_id, id);

-- How each series stands.
CREATE TABLE guardian_sentiment_series (
  tenant_id TEXT COLLATE "C" NOT NULL,
  segment TEXT COLLATE "C" NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (tenant_id, segment)
);

-- Alarms that were raised and not told; each is deleted once it was told.
CREATE TABLE guardian_sentiment_untold (
  tenant_id TEXT COLLATE "C" NOT NULL,
  event UUID NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  segment TEXT COLLATE "C" NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, event)
);

-- What was learned for tenants.
CREATE TABLE guardian_sentiment_adaptations (
  tenant_id TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  learned BYTEA NOT NULL,
  PRIMARY KEY (tenant_id)
);

-- Rows are changed at every message, and their index entries never: room in the pages keeps the changes within them.
ALTER TABLE guardian_sentiment_series SET (fillfactor = 50);

ALTER TABLE guardian_sentiment_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_sentiment_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_sentiment_entries FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
ALTER TABLE guardian_sentiment_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_sentiment_members FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_sentiment_members FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
ALTER TABLE guardian_sentiment_series ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_sentiment_series FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_sentiment_series FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
ALTER TABLE guardian_sentiment_untold ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_sentiment_untold FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_sentiment_untold FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
ALTER TABLE guardian_sentiment_adaptations ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_sentiment_adaptations FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_sentiment_adaptations FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
