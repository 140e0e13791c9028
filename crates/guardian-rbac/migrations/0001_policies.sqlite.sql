-- How new the policy of a tenant is.
CREATE TABLE guardian_rbac_heads (
  tenant_id TEXT NOT NULL PRIMARY KEY,
  revision BIGINT NOT NULL
) WITHOUT ROWID;

-- The policy as it is: roles, memberships, areas, grants, separations of duty.
CREATE TABLE guardian_rbac_items (
  tenant_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, kind, name)
) WITHOUT ROWID;

-- The commits that made it, for processes that follow.
CREATE TABLE guardian_rbac_log (
  tenant_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  changes TEXT NOT NULL,
  PRIMARY KEY (tenant_id, revision)
) WITHOUT ROWID;

-- Events that were stored with a commit and not delivered yet.
CREATE TABLE guardian_rbac_events (
  tenant_id TEXT NOT NULL,
  id BLOB NOT NULL,
  event TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;

-- When grants were last used, in microseconds since 1970.
CREATE TABLE guardian_rbac_uses (
  tenant_id TEXT NOT NULL,
  grant_id BLOB NOT NULL,
  used BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, grant_id)
) WITHOUT ROWID;
