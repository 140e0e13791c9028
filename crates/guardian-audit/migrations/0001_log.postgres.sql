-- A tenant's log: how far it goes. `number` stands for the tenant in the index. `frontier` is the edge of the tree over the
-- leaf hashes; `recorded` is when the last event was, in microseconds since 1970.
CREATE TABLE guardian_audit_heads (
  tenant_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  number BIGINT GENERATED ALWAYS AS IDENTITY,
  size BIGINT NOT NULL,
  frontier BYTEA NOT NULL,
  recorded BIGINT NOT NULL
) WITH (fillfactor = 50);

-- The events. `leaf` stays when `body` and `terms` are dropped.
CREATE TABLE guardian_audit_events (
  tenant_id TEXT COLLATE "C" NOT NULL,
  sequence BIGINT NOT NULL,
  event_id UUID NOT NULL,
  recorded BIGINT NOT NULL,
  occurred BIGINT NOT NULL,
  leaf BYTEA NOT NULL,
  body BYTEA,
  terms TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, sequence)
);

CREATE UNIQUE INDEX guardian_audit_events_id ON guardian_audit_events (tenant_id, event_id);
CREATE INDEX guardian_audit_events_recorded ON guardian_audit_events (tenant_id, recorded, sequence);

-- What events are found by, apart from them so that the rows that a search reads are short. Each lexeme begins with the
-- tenant's number, so that no list of the index holds events of two tenants. The index knows which words there are and not in which
-- order: `pairs_low` and `pairs_high` are 128 bits, of which each two words that follow each other set three, so that most events
-- without a phrase need not be looked at.
CREATE TABLE guardian_audit_index (
  tenant_id TEXT COLLATE "C" NOT NULL,
  sequence BIGINT NOT NULL,
  recorded BIGINT NOT NULL,
  pairs_low BIGINT NOT NULL,
  pairs_high BIGINT NOT NULL,
  terms TSVECTOR NOT NULL,
  PRIMARY KEY (tenant_id, sequence)
);

CREATE INDEX guardian_audit_index_terms ON guardian_audit_index USING gin (terms);

CREATE TABLE guardian_audit_notes (
  tenant_id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  bytes BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, kind, name)
);

ALTER TABLE guardian_audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_audit_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_audit_heads FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));

ALTER TABLE guardian_audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_audit_events FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_audit_events FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));

ALTER TABLE guardian_audit_index ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_audit_index FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_audit_index FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));

ALTER TABLE guardian_audit_notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_audit_notes FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_audit_notes FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
