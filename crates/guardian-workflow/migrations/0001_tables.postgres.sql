-- Workflows with their channels.
CREATE TABLE guardian_workflows (
  tenant_id TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  revision BIGINT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, name)
);

-- What workflows were; rows are added and, once nothing needs them, removed, never changed.
CREATE TABLE guardian_workflow_versions (
  tenant_id TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, name, number)
);

-- What workflows listen to on their channels: the name of an event, the beginning of one, a schedule, the path of a webhook.
CREATE TABLE guardian_workflow_triggers (
  tenant_id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  topic TEXT COLLATE "C" NOT NULL,
  workflow TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, kind, topic, workflow)
);

CREATE UNIQUE INDEX guardian_workflow_triggers_path ON guardian_workflow_triggers (tenant_id, topic) WHERE kind = 'webhook';
CREATE INDEX guardian_workflow_triggers_of ON guardian_workflow_triggers (tenant_id, workflow);

-- Runs as they were kept last. `due` says when somebody has to look at one, `held` until when a worker has it.
CREATE TABLE guardian_workflow_runs (
  tenant_id TEXT COLLATE "C" NOT NULL,
  id UUID NOT NULL,
  workflow TEXT NOT NULL,
  version BIGINT NOT NULL,
  status TEXT NOT NULL,
  started_by TEXT NOT NULL,
  created TIMESTAMPTZ NOT NULL,
  due TIMESTAMPTZ,
  held TIMESTAMPTZ,
  fence BIGINT NOT NULL,
  messages BIGINT NOT NULL,
  seen BIGINT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

-- Rows are changed at every step: room in the pages lets most of these changes spare the indexes.
ALTER TABLE guardian_workflow_runs SET (fillfactor = 70);

CREATE INDEX guardian_workflow_runs_due ON guardian_workflow_runs (due) WHERE due IS NOT NULL;
CREATE INDEX guardian_workflow_runs_of ON guardian_workflow_runs (tenant_id, workflow, version);

-- Their history: the entries of one checkpoint are a row, under the number of the first.
CREATE TABLE guardian_workflow_history (
  tenant_id TEXT COLLATE "C" NOT NULL,
  run_id UUID NOT NULL,
  first BIGINT NOT NULL,
  last BIGINT NOT NULL,
  entries TEXT NOT NULL,
  PRIMARY KEY (tenant_id, run_id, first)
);

-- Messages to them, until they are taken in.
CREATE TABLE guardian_workflow_messages (
  tenant_id TEXT COLLATE "C" NOT NULL,
  run_id UUID NOT NULL,
  number BIGINT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (tenant_id, run_id, number)
);

-- A tenant sees its own rows; workers go across tenants and say so.
ALTER TABLE guardian_workflows ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_workflows FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_workflows FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
ALTER TABLE guardian_workflow_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_workflow_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_workflow_versions FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
ALTER TABLE guardian_workflow_triggers ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_workflow_triggers FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_workflow_triggers FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
ALTER TABLE guardian_workflow_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_workflow_runs FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_workflow_runs FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
ALTER TABLE guardian_workflow_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_workflow_history FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_workflow_history FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
ALTER TABLE guardian_workflow_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_workflow_messages FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_workflow_messages FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on')
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), '')
    OR current_setting('guardian.unscoped', true) = 'on');
