-- How new the policy of a tenant is.
CREATE TABLE guardian_rbac_heads (
  tenant_id TEXT COLLATE "C" NOT NULL,
  revision BIGINT NOT NULL,
  PRIMARY KEY (tenant_id)
);

ALTER TABLE guardian_rbac_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_rbac_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_rbac_heads FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));

-- The policy as it is: roles, memberships, areas, grants, separations of duty. Names are compared byte for byte.
CREATE TABLE guardian_rbac_items (
  tenant_id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  document JSONB NOT NULL,
  PRIMARY KEY (tenant_id, kind, name)
);

ALTER TABLE guardian_rbac_items ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_rbac_items FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_rbac_items FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));

-- The commits that made it, for processes that follow.
CREATE TABLE guardian_rbac_log (
  tenant_id TEXT COLLATE "C" NOT NULL,
  revision BIGINT NOT NULL,
  changes JSONB NOT NULL,
  PRIMARY KEY (tenant_id, revision)
);

ALTER TABLE guardian_rbac_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_rbac_log FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_rbac_log FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));

-- Events that were stored with a commit and not delivered yet.
CREATE TABLE guardian_rbac_events (
  tenant_id TEXT COLLATE "C" NOT NULL,
  id UUID NOT NULL,
  event JSONB NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

ALTER TABLE guardian_rbac_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_rbac_events FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_rbac_events FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));

-- When grants were last used, in microseconds since 1970.
CREATE TABLE guardian_rbac_uses (
  tenant_id TEXT COLLATE "C" NOT NULL,
  grant_id UUID NOT NULL,
  used BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, grant_id)
);

ALTER TABLE guardian_rbac_uses ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardian_rbac_uses FORCE ROW LEVEL SECURITY;
CREATE POLICY guardian_tenant ON guardian_rbac_uses FOR ALL TO PUBLIC
  USING (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''))
  WITH CHECK (tenant_id = NULLIF(current_setting('guardian.tenant', true), ''));
