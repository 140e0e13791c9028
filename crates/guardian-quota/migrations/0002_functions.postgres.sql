-- One batch of calls on one meter of one tenant, as one statement. The caller has decided on accounts as it knows them; here
-- the decision is kept if they are still that, and else nothing is, and the caller learns how they are.
--
-- Everything that writes a meter's accounts raises the version of the organisation's, so that its row is the lock of all and
-- its version says whether anything changed. `p_root` is the organisation's new state, or NULL when nothing is to be written.
--
-- Answers NULL when it is kept, else JSON: "stale" when the subscription is another; {"entries": …}, the documents of those keys
-- that are in the ledger; {"accounts": …}, the path, version and state of each subject that was named and has an account, when
-- the version was another.
--
-- What most calls run is written for the least work: an assignment and a RETURN of values need no query, as a PERFORM and a
-- RETURN QUERY do.
CREATE FUNCTION guardian_quota_apply(
  p_tenant TEXT, p_feature TEXT, p_revision BIGINT, p_expected BIGINT, p_seq BIGINT, p_root TEXT,
  p_subjects TEXT, p_keys TEXT, p_accounts TEXT, p_first TEXT, p_entries TEXT
) RETURNS TEXT
LANGUAGE plpgsql AS $$
DECLARE
  is_kept BOOLEAN;
  found_there TEXT;
BEGIN
  -- For this transaction, which this statement is: row-level security lets through what is the tenant's.
  found_there := set_config('guardian.tenant', p_tenant, true);
  found_there := set_config('lock_timeout', '10000', true);
  IF p_keys IS NOT NULL THEN
    -- Who adds a key raises the version, so that what is not seen here is seen there.
    SELECT json_build_object('entries', json_agg(e.document)) INTO found_there FROM guardian_quota_entries e
      WHERE e.tenant_id = p_tenant AND e.feature = p_feature
        AND e.event_key = ANY (ARRAY(SELECT json_array_elements_text(p_keys::json)))
      HAVING count(*) > 0;
    IF FOUND THEN
      RETURN found_there;
    END IF;
  END IF;
  IF p_root IS NULL THEN
    SELECT COALESCE((SELECT a.version FROM guardian_quota_accounts a
        WHERE a.tenant_id = p_tenant AND a.feature = p_feature AND a.subject = ''), 0) = p_expected
      AND EXISTS (SELECT 1 FROM guardian_quota_subscriptions s WHERE s.tenant_id = p_tenant AND s.revision = p_revision)
      INTO is_kept;
  ELSIF p_expected = 0 THEN
    INSERT INTO guardian_quota_accounts (tenant_id, feature, subject, version, state)
      SELECT p_tenant, p_feature, '', p_seq, p_root
      WHERE EXISTS (SELECT 1 FROM guardian_quota_subscriptions s WHERE s.tenant_id = p_tenant AND s.revision = p_revision)
      ON CONFLICT (tenant_id, feature, subject) DO NOTHING;
    is_kept := FOUND;
  ELSE
    UPDATE guardian_quota_accounts a SET version = p_seq, state = p_root
      WHERE a.tenant_id = p_tenant AND a.feature = p_feature AND a.subject = '' AND a.version = p_expected
        AND EXISTS (SELECT 1 FROM guardian_quota_subscriptions s WHERE s.tenant_id = p_tenant AND s.revision = p_revision);
    is_kept := FOUND;
  END IF;
  IF NOT is_kept THEN
    IF NOT EXISTS (SELECT 1 FROM guardian_quota_subscriptions s WHERE s.tenant_id = p_tenant AND s.revision = p_revision) THEN
      RETURN '"stale"';
    END IF;
    -- One statement, one snapshot: the accounts are those of one version.
    RETURN json_build_object('accounts', COALESCE(
      (SELECT json_agg(json_build_array(a.subject, a.version, a.state)) FROM guardian_quota_accounts a
        WHERE a.tenant_id = p_tenant AND a.feature = p_feature
          AND a.subject = ANY (ARRAY(SELECT json_array_elements_text(p_subjects::json)))), '[]'));
  END IF;
  IF p_accounts IS NOT NULL THEN
    INSERT INTO guardian_quota_accounts (tenant_id, feature, subject, version, state)
      SELECT p_tenant, p_feature, n.value->>0, p_seq, n.value->>1 FROM json_array_elements(p_accounts::json) n
      ON CONFLICT (tenant_id, feature, subject) DO UPDATE SET version = excluded.version, state = excluded.state;
  END IF;
  IF p_first IS NOT NULL THEN
    INSERT INTO guardian_quota_entries (tenant_id, feature, seq, event_key, document)
      VALUES (p_tenant, p_feature, p_expected + 1, NULL, p_first);
  END IF;
  IF p_entries IS NOT NULL THEN
    INSERT INTO guardian_quota_entries (tenant_id, feature, seq, event_key, document)
      SELECT p_tenant, p_feature, (n.value->>0)::BIGINT, n.value->>1, n.value->>2
      FROM json_array_elements(p_entries::json) n;
  END IF;
  RETURN NULL;
END
$$;
