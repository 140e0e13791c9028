-- A tenant's rules about addresses, one document with a revision.
CREATE TABLE guardian_ipaccess (
  tenant_id TEXT NOT NULL PRIMARY KEY,
  revision INTEGER NOT NULL,
  document TEXT NOT NULL
);
