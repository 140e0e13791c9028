-- What is kept of messages: how they were read.
CREATE TABLE guardian_sentiment_entries (
  tenant_id TEXT NOT NULL,
  id TEXT NOT NULL,
  at INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

-- In which series each message is counted, in the order of histories.
CREATE TABLE guardian_sentiment_members (
  tenant_id TEXT NOT NULL,
  segment TEXT NOT NULL,
  at INTEGER NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, segment, at, id),
  FOREIGN KEY (tenant_id, id) REFERENCES guardian_sentiment_entries (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX guardian_sentiment_members_of ON guardian_sentiment_members (tenant_id, id);

-- How each series stands.
CREATE TABLE guardian_sentiment_series (
  tenant_id TEXT NOT NULL,
  segment TEXT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (tenant_id, segment)
) STRICT, WITHOUT ROWID;

-- Alarms that were raised and not told; each is deleted once it was told.
CREATE TABLE guardian_sentiment_untold (
  tenant_id TEXT NOT NULL,
  event BLOB NOT NULL,
  id TEXT NOT NULL,
  segment TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, event)
) STRICT, WITHOUT ROWID;

-- What was learned for tenants.
CREATE TABLE guardian_sentiment_adaptations (
  tenant_id TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  learned BLOB NOT NULL
) STRICT, WITHOUT ROWID;
