-- The decisions, on the server. Whole numbers only, the same as in `store/sql/counter.rs`.
--
--   b<n>:<w>:<u>:<f>      token bucket: one token takes w/n microseconds; full again at u + f/n
--   f<end>:<window>:<count>   fixed window
--   w<precision>:<window>:<slice>:<total>:<stamp>:<count>:...   sliding window, oldest first
--
-- `p_policies` and `p_subjects` have one line for each limit, `p_rules` seven numbers: kind (1 bucket, 2 sliding, 3 fixed,
-- 4 permits), 1 if enforced, cost, limit, and
--   bucket: n, w, 0; sliding: precision (0 exact, 1 strict, 2 lenient), window, slice; fixed: window, 0, 0; permits: ttl, 0, 0
--
-- Every function works with the caller's rights and under a search path of its own. The tables are named with the schema
-- that this was installed in.
DO $install$
BEGIN
EXECUTE replace($functions$

-- The tenant as it is in the rows. Whose rows they are was said before, by the transaction.
CREATE FUNCTION @schema@.guardian_rate_limits_realm(p_tenant text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF p_tenant IS NULL THEN
    PERFORM set_config('guardian.realm', 'shared', true);
    RETURN '*';
  END IF;
  IF p_tenant = '' OR p_tenant = '*' THEN
    RAISE EXCEPTION 'no tenant is called `%`', p_tenant USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF p_tenant IS DISTINCT FROM current_setting('guardian.tenant', true) THEN
    RAISE EXCEPTION 'the transaction is not bound to the tenant `%`', p_tenant
      USING ERRCODE = 'insufficient_privilege',
        HINT = 'set guardian.tenant for the transaction: SELECT set_config(''guardian.tenant'', ..., true)';
  END IF;
  RETURN p_tenant;
END
$body$;

-- Waits until nobody else works on these counters, rows that do not exist included, and holds them until the transaction
-- ends. In one order for all, so that no two wait for each other. The statements after it see what was committed before.
CREATE FUNCTION @schema@.guardian_rate_limits_lock(p_realm text, p_policies text[], p_subjects text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v_lock bigint;
BEGIN
  IF cardinality(p_policies) = 1 THEN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_realm || ' ' || p_policies[1] || ' ' || p_subjects[1], 7238114906));
    RETURN;
  END IF;
  FOR v_lock IN
    SELECT DISTINCT hashtextextended(p_realm || ' ' || k.policy || ' ' || k.subject, 7238114906) AS lock
    FROM unnest(p_policies, p_subjects) AS k(policy, subject) ORDER BY lock
  LOOP
    PERFORM pg_advisory_xact_lock(v_lock);
  END LOOP;
END
$body$;

-- The server's time in microseconds since 1970, which steps back when its clock is set back. Tests give their own.
CREATE FUNCTION @schema@.guardian_rate_limits_now(p_now bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  RETURN coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
END
$body$;

-- How far a bucket is from full, in whole microseconds and a numerator over n; and whether that was converted from another
-- rule's units: then it stands for the same tokens, rounded up by less than 1/n.
CREATE FUNCTION @schema@.guardian_rate_limits_debt(
  p_state text, p_now bigint, p_n bigint, p_w bigint, OUT whole bigint, OUT fraction bigint, OUT moved boolean
) LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v bigint[];
  v_units numeric;
BEGIN
  whole := 0; fraction := 0; moved := false;
  IF p_state IS NULL OR left(p_state, 1) <> 'b' THEN
    RETURN;
  END IF;
  v := string_to_array(substr(p_state, 2), ':')::bigint[];
  IF cardinality(v) <> 4 OR NOT (v[1] > 0 AND v[2] > 0 AND v[3] >= 0 AND v[4] >= 0 AND v[4] < v[1]) THEN
    RAISE EXCEPTION 'a rate limit''s state cannot be read' USING ERRCODE = 'data_corrupted';
  END IF;
  whole := v[3] - p_now;
  IF whole < 0 THEN
    whole := 0;
    RETURN;
  END IF;
  IF v[1] = p_n AND v[2] = p_w THEN
    fraction := v[4];
    RETURN;
  END IF;
  v_units := div((whole::numeric * v[1] + v[4]) * p_w + (v[2] - 1), v[2]);
  moved := true;
  IF v_units >= 4000000000000000 * p_n::numeric THEN
    whole := 4000000000000000;
  ELSE
    whole := div(v_units, p_n)::bigint;
    fraction := (v_units - whole::numeric * p_n)::bigint;
  END IF;
END
$body$;

-- The fixed window that runs now, and its count. A clock that was set back finds the window that it has left; what was
-- counted under another window's length counts in the present one.
CREATE FUNCTION @schema@.guardian_rate_limits_fixed(
  p_state text, p_now bigint, p_window bigint, OUT ends bigint, OUT used bigint
) LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v bigint[];
BEGIN
  ends := p_now - p_now % p_window + p_window; used := 0;
  IF p_state IS NULL OR left(p_state, 1) <> 'f' THEN
    RETURN;
  END IF;
  v := string_to_array(substr(p_state, 2), ':')::bigint[];
  IF cardinality(v) <> 3 OR NOT (v[1] >= 0 AND v[2] > 0 AND v[3] >= 0) THEN
    RAISE EXCEPTION 'a rate limit''s state cannot be read' USING ERRCODE = 'data_corrupted';
  END IF;
  IF v[1] <= p_now THEN
    RETURN;
  END IF;
  used := v[3];
  IF v[2] = p_window THEN
    ends := v[1];
  END IF;
END
$body$;

-- What still counts, as stamp, count, stamp, count, ...; its sum; and whether it was converted. A stamp is a time, or with
-- slices the number of one. It stops counting at stamp * step + span. A time that is known only to a slice is taken to be
-- its end, or its beginning if the new rule is lenient.
CREATE FUNCTION @schema@.guardian_rate_limits_log(
  p_state text, p_now bigint, p_precision bigint, p_window bigint, p_slice bigint,
  OUT entries bigint[], OUT total bigint, OUT moved boolean
) LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v bigint[];
  v_size int;
  v_at int := 5;
  v_step bigint := CASE WHEN p_precision = 0 THEN 1 ELSE p_slice END;
  v_span bigint := p_window + CASE WHEN p_precision = 1 THEN p_slice ELSE 0 END;
  v_stamp bigint;
  v_length int := 0;
BEGIN
  entries := '{}'; total := 0; moved := false;
  IF p_state IS NULL OR left(p_state, 1) <> 'w' THEN
    RETURN;
  END IF;
  v := string_to_array(substr(p_state, 2), ':')::bigint[];
  v_size := cardinality(v);
  IF v_size < 4 OR v_size % 2 <> 0 OR NOT (v[1] BETWEEN 0 AND 2 AND v[2] > 0 AND v[3] >= 0) THEN
    RAISE EXCEPTION 'a rate limit''s state cannot be read' USING ERRCODE = 'data_corrupted';
  END IF;
  IF v[1] = p_precision AND v[2] = p_window AND v[3] = p_slice THEN
    total := v[4];
    WHILE v_at < v_size AND v[v_at] * v_step + v_span <= p_now LOOP
      total := total - v[v_at + 1];
      v_at := v_at + 2;
    END LOOP;
    entries := v[v_at:v_size];
    RETURN;
  END IF;
  moved := true;
  WHILE v_at < v_size LOOP
    v_stamp := v[v_at];
    IF v[1] <> 0 THEN
      v_stamp := CASE WHEN p_precision = 2 THEN v_stamp * v[3] ELSE least((v_stamp + 1) * v[3] - 1, p_now) END;
    END IF;
    v_stamp := v_stamp / v_step;
    IF v_stamp * v_step + v_span > p_now THEN
      total := total + v[v_at + 1];
      IF v_length > 0 AND entries[v_length - 1] >= v_stamp THEN
        entries[v_length] := entries[v_length] + v[v_at + 1];
      ELSE
        entries[v_length + 1] := v_stamp;
        entries[v_length + 2] := v[v_at + 1];
        v_length := v_length + 2;
      END IF;
    END IF;
    v_at := v_at + 2;
  END LOOP;
END
$body$;

CREATE FUNCTION @schema@.guardian_rate_limits_keep(
  p_realm text, p_policy text, p_subject text, p_state text, p_until bigint
) RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  INSERT INTO @schema@.guardian_rate_limits (tenant_id, policy, subject, state, expires_at)
    VALUES (p_realm, p_policy, p_subject, p_state, (p_until / 60000000 + 1) * 60000000)
    ON CONFLICT (tenant_id, policy, subject) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at;
END
$body$;

-- Decides all limits of a request and, if it is to charge, charges all or none. Replies four numbers a limit, separated by
-- commas: 1 if it admits, then
--   bucket: the debt before the request (whole, fraction), 0; others: what is used before it, wait (-1 never), reset
CREATE FUNCTION @schema@.guardian_rate_limits_check(
  p_tenant text, p_policies text, p_subjects text, p_rules text, p_permit text, p_charge boolean, p_now bigint
) RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v_policies text[] := string_to_array(p_policies, E'\n');
  v_subjects text[] := string_to_array(p_subjects, E'\n');
  v_rules bigint[] := string_to_array(p_rules, ',')::bigint[];
  v_realm text := @schema@.guardian_rate_limits_realm(p_tenant);
  v_now bigint;
  v_allowed boolean := true;
  v_reply bigint[] := '{}';
  v_admitted boolean[];
  -- What is written if all admit, if not, and until when that counts.
  v_taken text[]; v_taken_until bigint[];
  v_moved text[]; v_moved_until bigint[];
  v_state text;
  v_base int;
  v_kind bigint; v_cost bigint; v_limit bigint; v_p bigint; v_q bigint; v_r bigint;
  v_admits boolean;
  v_a bigint; v_b bigint; v_c bigint;
  v_whole bigint; v_fraction bigint; v_is_moved boolean; v_price numeric;
  v_entries bigint[]; v_total bigint; v_size int; v_at int; v_left bigint;
  v_step bigint; v_span bigint; v_stamp bigint; v_newest bigint;
  v_found record; v_held record;
BEGIN
  IF p_charge THEN
    PERFORM @schema@.guardian_rate_limits_lock(v_realm, v_policies, v_subjects);
  END IF;
  -- Only now, so that who comes later is later.
  v_now := @schema@.guardian_rate_limits_now(p_now);

  FOR i IN 1 .. cardinality(v_policies) LOOP
    v_base := i * 7 - 6;
    v_kind := v_rules[v_base]; v_cost := v_rules[v_base + 2]; v_limit := v_rules[v_base + 3];
    v_p := v_rules[v_base + 4]; v_q := v_rules[v_base + 5]; v_r := v_rules[v_base + 6];
    v_state := NULL; v_is_moved := false;
    IF v_kind <> 4 THEN
      SELECT t.state INTO v_state FROM @schema@.guardian_rate_limits t
        WHERE t.tenant_id = v_realm AND t.policy = v_policies[i] AND t.subject = v_subjects[i];
    END IF;

    IF v_kind = 1 THEN
      v_found := @schema@.guardian_rate_limits_debt(v_state, v_now, v_p, v_q);
      v_whole := v_found.whole; v_fraction := v_found.fraction; v_is_moved := v_found.moved;
      v_a := v_whole; v_b := v_fraction; v_c := 0; v_admits := false;
      IF v_is_moved THEN
        v_moved[i] := 'b' || v_p || ':' || v_q || ':' || (v_now + v_whole) || ':' || v_fraction;
        v_moved_until[i] := v_now + v_whole + 1;
      END IF;
      IF v_cost <= v_limit THEN
        v_price := v_cost::numeric * v_q;
        v_whole := v_whole + div(v_price, v_p)::bigint;
        v_fraction := v_fraction + mod(v_price, v_p)::bigint;
        IF v_fraction >= v_p THEN
          v_whole := v_whole + 1;
          v_fraction := v_fraction - v_p;
        END IF;
        v_admits := v_whole::numeric * v_p + v_fraction <= v_limit::numeric * v_q;
        IF v_admits THEN
          v_taken[i] := 'b' || v_p || ':' || v_q || ':' || (v_now + v_whole) || ':' || v_fraction;
          v_taken_until[i] := v_now + v_whole + 1;
        END IF;
      END IF;

    ELSIF v_kind = 2 THEN
      v_found := @schema@.guardian_rate_limits_log(v_state, v_now, v_p, v_q, v_r);
      v_entries := v_found.entries; v_total := v_found.total; v_is_moved := v_found.moved;
      v_size := cardinality(v_entries);
      v_step := CASE WHEN v_p = 0 THEN 1 ELSE v_r END;
      v_span := v_q + CASE WHEN v_p = 1 THEN v_r ELSE 0 END;
      v_newest := CASE WHEN v_size > 0 THEN v_entries[v_size - 1] ELSE 0 END;
      v_stamp := greatest(v_now / v_step, v_newest);
      IF v_is_moved THEN
        v_moved[i] := concat_ws(':', 'w' || v_p, v_q, v_r, v_total, array_to_string(nullif(v_entries, '{}'), ':'));
        v_moved_until[i] := v_newest * v_step + v_span;
      END IF;
      v_left := v_total + v_cost - v_limit;
      v_admits := v_left <= 0;
      v_a := v_total;
      IF v_admits THEN
        v_b := 0; v_c := v_stamp * v_step + v_span - v_now;
        IF v_size > 0 AND v_newest = v_stamp THEN
          v_entries[v_size] := v_entries[v_size] + v_cost;
        ELSE
          v_entries := v_entries || ARRAY[v_stamp, v_cost];
        END IF;
        v_taken[i] := concat_ws(':', 'w' || v_p, v_q, v_r, v_total + v_cost, array_to_string(v_entries, ':'));
        v_taken_until[i] := v_stamp * v_step + v_span;
      ELSE
        v_b := -1; v_c := CASE WHEN v_size > 0 THEN v_newest * v_step + v_span - v_now ELSE 0 END;
        IF v_cost <= v_limit THEN
          v_at := 2;
          v_left := v_left - v_entries[2];
          WHILE v_left > 0 AND v_at < v_size LOOP
            v_at := v_at + 2;
            v_left := v_left - v_entries[v_at];
          END LOOP;
          v_b := v_entries[v_at - 1] * v_step + v_span - v_now;
        END IF;
      END IF;

    ELSIF v_kind = 3 THEN
      v_found := @schema@.guardian_rate_limits_fixed(v_state, v_now, v_p);
      v_c := v_found.ends; v_a := v_found.used;
      v_admits := v_a + v_cost <= v_limit;
      v_b := CASE WHEN v_admits THEN 0 WHEN v_cost > v_limit THEN -1 ELSE v_c - v_now END;
      IF v_admits THEN
        v_taken[i] := 'f' || v_c || ':' || v_p || ':' || (v_a + v_cost);
        v_taken_until[i] := v_c;
      END IF;
      v_c := v_c - v_now;

    ELSE
      SELECT coalesce(sum(t.cost), 0)::bigint, coalesce(max(t.ends_at), v_now) - v_now INTO v_a, v_c
        FROM @schema@.guardian_rate_permits t
        WHERE t.tenant_id = v_realm AND t.policy = v_policies[i] AND t.subject = v_subjects[i] AND t.ends_at > v_now;
      v_left := v_a + v_cost - v_limit;
      v_admits := v_left <= 0;
      IF v_admits THEN
        v_b := 0; v_c := greatest(v_c, v_p);
      ELSE
        v_b := -1;
        IF v_cost <= v_limit THEN
          FOR v_held IN
            SELECT t.ends_at, t.cost FROM @schema@.guardian_rate_permits t
              WHERE t.tenant_id = v_realm AND t.policy = v_policies[i] AND t.subject = v_subjects[i] AND t.ends_at > v_now
              ORDER BY t.ends_at LIMIT v_left
          LOOP
            v_left := v_left - v_held.cost;
            v_b := v_held.ends_at - v_now;
            EXIT WHEN v_left <= 0;
          END LOOP;
        END IF;
      END IF;
    END IF;

    IF v_rules[v_base + 1] = 1 AND NOT v_admits THEN
      v_allowed := false;
    END IF;
    v_admitted[i] := v_admits;
    v_reply := v_reply || ARRAY[v_admits::int::bigint, v_a, v_b, v_c];
  END LOOP;

  IF p_charge THEN
    FOR i IN 1 .. cardinality(v_policies) LOOP
      -- A dry run that would deny is not charged.
      IF NOT (v_allowed AND v_admitted[i]) THEN
        IF v_moved[i] IS NOT NULL THEN
          PERFORM @schema@.guardian_rate_limits_keep(v_realm, v_policies[i], v_subjects[i], v_moved[i], v_moved_until[i]);
        END IF;
      ELSIF v_rules[i * 7 - 6] <> 4 THEN
        PERFORM @schema@.guardian_rate_limits_keep(v_realm, v_policies[i], v_subjects[i], v_taken[i], v_taken_until[i]);
      ELSIF p_permit <> '' THEN
        DELETE FROM @schema@.guardian_rate_permits t
          WHERE t.tenant_id = v_realm AND t.policy = v_policies[i] AND t.subject = v_subjects[i] AND t.ends_at <= v_now;
        INSERT INTO @schema@.guardian_rate_permits (tenant_id, policy, subject, permit, ends_at, cost)
          VALUES (v_realm, v_policies[i], v_subjects[i], p_permit, v_now + v_rules[i * 7 - 2], v_rules[i * 7 - 4]);
      END IF;
    END LOOP;
  END IF;
  PERFORM set_config('guardian.realm', '', true);
  RETURN array_to_string(v_reply, ',');
END
$body$;

-- Puts back what a check charged so many microseconds ago, as far as it still counts.
CREATE FUNCTION @schema@.guardian_rate_limits_refund(
  p_tenant text, p_policies text, p_subjects text, p_rules text, p_age bigint, p_now bigint
) RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v_policies text[] := string_to_array(p_policies, E'\n');
  v_subjects text[] := string_to_array(p_subjects, E'\n');
  v_rules bigint[] := string_to_array(p_rules, ',')::bigint[];
  v_realm text := @schema@.guardian_rate_limits_realm(p_tenant);
  v_now bigint; v_then bigint;
  v_state text; v_base int; v_kind bigint; v_cost bigint; v_p bigint; v_q bigint; v_r bigint;
  v_whole bigint; v_fraction bigint; v_units numeric; v_back numeric;
  v_entries bigint[]; v_total bigint; v_size int; v_best int; v_stamp bigint; v_step bigint; v_span bigint;
  v_until bigint; v_found record;
BEGIN
  PERFORM @schema@.guardian_rate_limits_lock(v_realm, v_policies, v_subjects);
  v_now := @schema@.guardian_rate_limits_now(p_now);
  v_then := greatest(v_now - p_age, 0);
  FOR i IN 1 .. cardinality(v_policies) LOOP
    v_base := i * 7 - 6;
    v_kind := v_rules[v_base]; v_cost := v_rules[v_base + 2];
    v_p := v_rules[v_base + 4]; v_q := v_rules[v_base + 5]; v_r := v_rules[v_base + 6];
    -- What is taken of a concurrency limit is released, not refunded.
    CONTINUE WHEN v_kind = 4;
    SELECT t.state INTO v_state FROM @schema@.guardian_rate_limits t
      WHERE t.tenant_id = v_realm AND t.policy = v_policies[i] AND t.subject = v_subjects[i];
    CONTINUE WHEN v_state IS NULL;

    IF v_kind = 1 THEN
      v_found := @schema@.guardian_rate_limits_debt(v_state, v_now, v_p, v_q);
      v_whole := v_found.whole; v_fraction := v_found.fraction;
      v_units := v_whole::numeric * v_p + v_fraction;
      -- What has refilled since the charge is not given back a second time.
      v_back := v_cost::numeric * v_q - (v_now - v_then)::numeric * v_p;
      CONTINUE WHEN v_back <= 0 OR v_units = 0;
      v_units := greatest(v_units - v_back, 0);
      v_whole := div(v_units, v_p)::bigint;
      v_fraction := mod(v_units, v_p)::bigint;
      v_state := 'b' || v_p || ':' || v_q || ':' || (v_now + v_whole) || ':' || v_fraction;
      v_until := CASE WHEN v_units = 0 THEN v_now ELSE v_now + v_whole + 1 END;

    ELSIF v_kind = 2 THEN
      v_found := @schema@.guardian_rate_limits_log(v_state, v_now, v_p, v_q, v_r);
      v_entries := v_found.entries; v_total := v_found.total;
      v_size := cardinality(v_entries);
      v_step := CASE WHEN v_p = 0 THEN 1 ELSE v_r END;
      v_span := v_q + CASE WHEN v_p = 1 THEN v_r ELSE 0 END;
      v_stamp := v_then / v_step;
      CONTINUE WHEN v_size = 0 OR v_stamp * v_step + v_span <= v_now;
      -- The check's own entry, or the nearest where the caller's clock and the way here blur the time.
      v_best := 1;
      FOR v_at IN 3 .. v_size BY 2 LOOP
        IF abs(v_entries[v_at] - v_stamp) < abs(v_entries[v_best] - v_stamp) THEN
          v_best := v_at;
        END IF;
      END LOOP;
      v_cost := least(v_cost, v_entries[v_best + 1]);
      v_total := v_total - v_cost;
      IF v_cost = v_entries[v_best + 1] THEN
        v_entries := v_entries[1:v_best - 1] || v_entries[v_best + 2:v_size];
        v_size := v_size - 2;
      ELSE
        v_entries[v_best + 1] := v_entries[v_best + 1] - v_cost;
      END IF;
      v_state := concat_ws(':', 'w' || v_p, v_q, v_r, v_total, array_to_string(nullif(v_entries, '{}'), ':'));
      v_until := CASE WHEN v_size > 0 THEN v_entries[v_size - 1] * v_step + v_span ELSE v_now END;

    ELSE
      v_found := @schema@.guardian_rate_limits_fixed(v_state, v_now, v_p);
      v_until := v_found.ends; v_total := v_found.used;
      CONTINUE WHEN v_total = 0 OR v_then - v_then % v_p + v_p < v_until;
      v_state := 'f' || v_until || ':' || v_p || ':' || greatest(v_total - v_cost, 0);
    END IF;
    PERFORM @schema@.guardian_rate_limits_keep(v_realm, v_policies[i], v_subjects[i], v_state, v_until);
  END LOOP;
  PERFORM set_config('guardian.realm', '', true);
END
$body$;

-- Makes counters as good as new.
CREATE FUNCTION @schema@.guardian_rate_limits_reset(p_tenant text, p_policies text, p_subjects text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v_policies text[] := string_to_array(p_policies, E'\n');
  v_subjects text[] := string_to_array(p_subjects, E'\n');
  v_realm text := @schema@.guardian_rate_limits_realm(p_tenant);
BEGIN
  PERFORM @schema@.guardian_rate_limits_lock(v_realm, v_policies, v_subjects);
  FOR i IN 1 .. cardinality(v_policies) LOOP
    DELETE FROM @schema@.guardian_rate_limits t
      WHERE t.tenant_id = v_realm AND t.policy = v_policies[i] AND t.subject = v_subjects[i];
    DELETE FROM @schema@.guardian_rate_permits t
      WHERE t.tenant_id = v_realm AND t.policy = v_policies[i] AND t.subject = v_subjects[i];
  END LOOP;
  PERFORM set_config('guardian.realm', '', true);
END
$body$;

-- Ends a permit.
CREATE FUNCTION @schema@.guardian_rate_limits_release(p_tenant text, p_policies text, p_subjects text, p_permit text)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v_policies text[] := string_to_array(p_policies, E'\n');
  v_subjects text[] := string_to_array(p_subjects, E'\n');
  v_realm text := @schema@.guardian_rate_limits_realm(p_tenant);
BEGIN
  PERFORM @schema@.guardian_rate_limits_lock(v_realm, v_policies, v_subjects);
  FOR i IN 1 .. cardinality(v_policies) LOOP
    DELETE FROM @schema@.guardian_rate_permits t
      WHERE t.tenant_id = v_realm AND t.policy = v_policies[i] AND t.subject = v_subjects[i] AND t.permit = p_permit;
  END LOOP;
  PERFORM set_config('guardian.realm', '', true);
END
$body$;

$functions$, '@schema@', quote_ident(current_schema()));
END $install$;
