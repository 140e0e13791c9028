-- A text operator is not leakproof, so a policy's condition is evaluated before it and its index is dead. The search is
-- therefore a function of a role that nobody logs in as and that may read the index of every tenant; the tenant of the
-- transaction is a condition within it. Roles belong to the server, so each database has its own, and a right in one says
-- nothing in another.
DO $install$
DECLARE
  v_role text := 'guardian_audit_search_' || left(md5(current_database()), 12);
  v_is_superuser boolean := (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER);
BEGIN
IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role) THEN
  BEGIN
    EXECUTE 'CREATE ROLE ' || v_role || ' NOLOGIN NOINHERIT';
  EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
  END;
END IF;
-- To give it a schema and a function, be it for a moment.
IF NOT v_is_superuser THEN
  EXECUTE 'GRANT ' || v_role || ' TO CURRENT_USER';
END IF;
EXECUTE 'CREATE SCHEMA guardian_audit_search AUTHORIZATION ' || v_role;

EXECUTE replace(replace($statements$
GRANT USAGE ON SCHEMA @schema@ TO @role@;
GRANT SELECT ON @schema@.guardian_audit_index TO @role@;
CREATE POLICY guardian_search ON @schema@.guardian_audit_index FOR SELECT TO @role@ USING (true);

-- The places in the log between two, newest first or oldest first, of at most so many events that the query finds and that have these
-- bits of pairs of words.
-- Newest first, the end of the log is read row by row before the index is asked: where the query finds much, the page is
-- full by then, and where it does not, the index has little to give. Where a fifth of the page was found among the first
-- thousand rows, four thousand more are read: the index would give all that the query ever finds, to be sorted.
CREATE FUNCTION guardian_audit_search.find(
  p_query text, p_from bigint, p_to bigint, p_oldest boolean, p_limit bigint, p_low bigint DEFAULT 0, p_high bigint DEFAULT 0
) RETURNS SETOF bigint
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = on SET enable_indexscan = on SET enable_indexonlyscan = on
SET jit = off SET max_parallel_workers_per_gather = 0 AS $body$
DECLARE
  v_tenant text := NULLIF(current_setting('guardian.tenant', true), '');
  v_caller text := CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END;
  v_query tsquery := p_query::tsquery;
  v_finds text := 'SELECT i.sequence FROM @schema@.guardian_audit_index i
    WHERE i.tenant_id = $1 AND i.sequence BETWEEN $2 AND $3 AND i.terms @@ $4'
    || CASE WHEN p_low = 0 AND p_high = 0 THEN '' ELSE ' AND i.pairs_low & $6 = $6 AND i.pairs_high & $7 = $7' END
    || ' ORDER BY i.sequence ' || CASE WHEN p_oldest THEN 'ASC' ELSE 'DESC' END || ' LIMIT $5';
  v_floor bigint := greatest(p_from, p_to - 999);
  v_to bigint := p_to;
  v_left bigint := p_limit;
  v_found bigint;
  v_again boolean := false;
BEGIN
  IF v_tenant IS NULL THEN
    RAISE EXCEPTION 'the transaction has no tenant' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT has_table_privilege(v_caller, '@schema@.guardian_audit_events', 'SELECT') THEN
    RAISE EXCEPTION 'permission denied for the audit log' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT p_oldest THEN
    PERFORM set_config('enable_bitmapscan', 'off', true);
    LOOP
      RETURN QUERY EXECUTE v_finds USING v_tenant, v_floor, v_to, v_query, v_left, p_low, p_high;
      GET DIAGNOSTICS v_found = ROW_COUNT;
      v_left := v_left - v_found;
      v_to := v_floor - 1;
      EXIT WHEN v_again OR v_left <= 0 OR v_to < p_from OR v_found * 5 < p_limit;
      v_again := true;
      v_floor := greatest(p_from, v_to - 3999);
    END LOOP;
  END IF;
  IF v_left <= 0 OR v_to < p_from THEN
    RETURN;
  END IF;
  PERFORM set_config('enable_bitmapscan', 'on', true), set_config('enable_indexscan', 'off', true),
    set_config('enable_indexonlyscan', 'off', true);
  RETURN QUERY EXECUTE v_finds USING v_tenant, p_from, v_to, v_query, v_left, p_low, p_high;
END
$body$;

ALTER FUNCTION guardian_audit_search.find(text, bigint, bigint, boolean, bigint, bigint, bigint) OWNER TO @role@;
-- Whoever may read the events may search them: the function asks.
GRANT USAGE ON SCHEMA guardian_audit_search TO PUBLIC;
$statements$, '@schema@', quote_ident(current_schema())), '@role@', v_role);

-- Nobody stays a member of it: its policy would be theirs too.
IF NOT v_is_superuser THEN
  EXECUTE 'REVOKE ' || v_role || ' FROM CURRENT_USER';
END IF;
END $install$;
