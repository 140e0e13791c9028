-- The keys of data subjects. `owner` is the SHA-256 of tenant and subject: the table is no list of people.
CREATE TABLE guardian_audit_keys (
  tenant_id TEXT NOT NULL,
  owner TEXT NOT NULL,
  key_id BLOB NOT NULL,
  secret BLOB NOT NULL,
  PRIMARY KEY (tenant_id, owner)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX guardian_audit_keys_id ON guardian_audit_keys (tenant_id, key_id);
