-- A number for each tenant that changes with its endpoints.
CREATE TABLE guardian_webhook_tenants (
  tenant_id TEXT NOT NULL PRIMARY KEY,
  revision INTEGER NOT NULL
) WITHOUT ROWID;

-- Endpoints; their secrets are sealed in the document.
CREATE TABLE guardian_webhook_endpoints (
  tenant_id TEXT NOT NULL,
  id BLOB NOT NULL,
  revision INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;

-- The queue of each endpoint: when it is ready, before when its gate is shut, how it does.
CREATE TABLE guardian_webhook_queues (
  tenant_id TEXT NOT NULL,
  endpoint_id BLOB NOT NULL,
  revision INTEGER NOT NULL,
  paused INTEGER NOT NULL,
  concurrency INTEGER NOT NULL,
  rate INTEGER,
  ready INTEGER,
  gate INTEGER,
  health TEXT NOT NULL,
  PRIMARY KEY (tenant_id, endpoint_id)
);
CREATE INDEX guardian_webhook_queues_ready ON guardian_webhook_queues (ready) WHERE ready IS NOT NULL AND NOT paused;

-- What happened.
CREATE TABLE guardian_webhook_messages (
  tenant_id TEXT NOT NULL,
  id BLOB NOT NULL,
  event_type TEXT NOT NULL,
  created INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  body BLOB NOT NULL,
  versions TEXT,
  ordering_key TEXT,
  PRIMARY KEY (tenant_id, id)
);

-- Keys under which messages were published once, with the digest of what was published.
CREATE TABLE guardian_webhook_keys (
  tenant_id TEXT NOT NULL,
  key TEXT NOT NULL,
  message_id BLOB NOT NULL,
  digest BLOB NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, key)
) WITHOUT ROWID;
CREATE INDEX guardian_webhook_keys_until ON guardian_webhook_keys (until);

-- Messages on their way. States: 0 queued, 1 sending, 2 waiting, 3 succeeded, 4 dead, 5 cancelled. `next_at` is when one is due,
-- or when its lease ends.
CREATE TABLE guardian_webhook_deliveries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant_id TEXT NOT NULL,
  id BLOB NOT NULL,
  message_id BLOB NOT NULL,
  endpoint_id BLOB NOT NULL,
  event_type TEXT NOT NULL,
  state INTEGER NOT NULL,
  reason TEXT,
  attempts INTEGER NOT NULL,
  round_start INTEGER NOT NULL,
  next_at INTEGER,
  created INTEGER NOT NULL,
  finished INTEGER,
  lane TEXT,
  last_status INTEGER,
  fence INTEGER NOT NULL,
  UNIQUE (tenant_id, id)
);
CREATE INDEX guardian_webhook_deliveries_due ON guardian_webhook_deliveries (tenant_id, endpoint_id, next_at, seq) WHERE next_at IS NOT NULL;
CREATE INDEX guardian_webhook_deliveries_sending ON guardian_webhook_deliveries (tenant_id, endpoint_id) WHERE state = 1;
CREATE INDEX guardian_webhook_deliveries_lane ON guardian_webhook_deliveries (tenant_id, endpoint_id, lane, seq) WHERE lane IS NOT NULL AND state < 3;
CREATE INDEX guardian_webhook_deliveries_active ON guardian_webhook_deliveries (tenant_id, endpoint_id, lane) WHERE lane IS NOT NULL AND state < 2;
CREATE INDEX guardian_webhook_deliveries_message ON guardian_webhook_deliveries (tenant_id, message_id);
CREATE INDEX guardian_webhook_deliveries_endpoint ON guardian_webhook_deliveries (tenant_id, endpoint_id, id);
CREATE INDEX guardian_webhook_deliveries_type ON guardian_webhook_deliveries (tenant_id, event_type, id);
CREATE INDEX guardian_webhook_deliveries_state ON guardian_webhook_deliveries (tenant_id, state, id) WHERE state <> 3;

-- What was tried; an attempt of one number is recorded once.
CREATE TABLE guardian_webhook_attempts (
  tenant_id TEXT NOT NULL,
  delivery_id BLOB NOT NULL,
  number INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, delivery_id, number)
) WITHOUT ROWID;

-- What was queued since workers looked last: rows are added with deliveries, and workers take them.
CREATE TABLE guardian_webhook_bells (
  number INTEGER PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  endpoint_id BLOB NOT NULL,
  lane TEXT,
  at INTEGER NOT NULL
);
