-- A tenant's log: how far it goes. `number` stands for the tenant in the index, so it is the key, and is never used again.
-- `frontier` is the edge of the tree over the leaf hashes; `recorded` is when the last event was, in microseconds since 1970.
CREATE TABLE guardian_audit_heads (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant_id TEXT NOT NULL UNIQUE,
  size INTEGER NOT NULL,
  frontier BLOB NOT NULL,
  recorded INTEGER NOT NULL
) STRICT;

-- The events. `leaf` stays when `body` and `terms` are dropped. The wide columns are the last ones, so that a row's other
-- columns are read without them.
CREATE TABLE guardian_audit_events (
  tenant_id TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  event_id BLOB NOT NULL,
  recorded INTEGER NOT NULL,
  occurred INTEGER NOT NULL,
  leaf BLOB NOT NULL,
  body BLOB,
  terms TEXT,
  PRIMARY KEY (tenant_id, sequence)
) STRICT;

CREATE UNIQUE INDEX guardian_audit_events_id ON guardian_audit_events (tenant_id, event_id);
CREATE INDEX guardian_audit_events_recorded ON guardian_audit_events (tenant_id, recorded, sequence);

-- What events are found by. A row's id is the tenant's number times 2^40 plus the sequence, so that the order of rows is
-- the order of a log and a range of a log is a range of rows. Each token begins with the tenant's number, so that no list
-- of the index holds events of two tenants. The texts themselves are in `guardian_audit_events.terms`.
CREATE VIRTUAL TABLE guardian_audit_index USING fts5 (
  terms, content = '', columnsize = 0, tokenize = "ascii tokenchars '_.@/:=~-'"
);

-- What is written is merged eight into one, not four: an entry is written anew half as often.
INSERT INTO guardian_audit_index (guardian_audit_index, rank) VALUES ('automerge', 8);

-- A deleted entry is taken out of the index at once, not when its pages happen to be merged.
INSERT INTO guardian_audit_index (guardian_audit_index, rank) VALUES ('secure-delete', 1);

CREATE TABLE guardian_audit_notes (
  tenant_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (tenant_id, kind, name)
) STRICT, WITHOUT ROWID;
