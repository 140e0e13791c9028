-- Workflows with their channels.
CREATE TABLE guardian_workflows (
  tenant_id TEXT NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, name)
) WITHOUT ROWID;

-- What workflows were; rows are added and, once nothing needs them, removed, never changed.
CREATE TABLE guardian_workflow_versions (
  tenant_id TEXT NOT NULL,
  name TEXT NOT NULL,
  number INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, name, number)
) WITHOUT ROWID;

-- What workflows listen to on their channels: the name of an event, the beginning of one, a schedule, the path of a webhook.
CREATE TABLE guardian_workflow_triggers (
  tenant_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  topic TEXT NOT NULL,
  workflow TEXT NOT NULL,
  PRIMARY KEY (tenant_id, kind, topic, workflow)
) WITHOUT ROWID;

CREATE UNIQUE INDEX guardian_workflow_triggers_path ON guardian_workflow_triggers (tenant_id, topic) WHERE kind = 'webhook';
CREATE INDEX guardian_workflow_triggers_of ON guardian_workflow_triggers (tenant_id, workflow);

-- Runs as they were kept last. `due` says when somebody has to look at one, `held` until when a worker has it.
CREATE TABLE guardian_workflow_runs (
  tenant_id TEXT NOT NULL,
  id BLOB NOT NULL,
  workflow TEXT NOT NULL,
  version INTEGER NOT NULL,
  status TEXT NOT NULL,
  started_by TEXT NOT NULL,
  created INTEGER NOT NULL,
  due INTEGER,
  held INTEGER,
  fence INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

CREATE INDEX guardian_workflow_runs_due ON guardian_workflow_runs (due) WHERE due IS NOT NULL;
CREATE INDEX guardian_workflow_runs_of ON guardian_workflow_runs (tenant_id, workflow, version);

-- Their history: the entries of one checkpoint are a row, under the number of the first.
CREATE TABLE guardian_workflow_history (
  tenant_id TEXT NOT NULL,
  run_id BLOB NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  entries TEXT NOT NULL,
  PRIMARY KEY (tenant_id, run_id, first)
) WITHOUT ROWID;

-- Messages to them, until they are taken in.
CREATE TABLE guardian_workflow_messages (
  tenant_id TEXT NOT NULL,
  run_id BLOB NOT NULL,
  number INTEGER NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (tenant_id, run_id, number)
) WITHOUT ROWID;
