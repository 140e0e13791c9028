-- Rate limits for callers in SQL, on the same counters as the library's.
DO $install$
BEGIN
EXECUTE replace($functions$

-- The numbers of a rule in the library's syntax: kind, 1, 1, limit, and three more, as `guardian_rate_limits_check` takes
-- them. White space is that of ASCII.
CREATE FUNCTION @schema@.guardian_rate_limits_rule(p_rule text) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v_parts text[];
  v_unit numeric;
  v_count numeric; v_window numeric; v_number numeric; v_slice numeric;
  v_why text;
BEGIN
  IF p_rule IS NULL THEN
    RAISE EXCEPTION 'the rule is missing' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF octet_length(p_rule) <= 128 THEN
    -- 1 count, 2 number and 3 unit of the window, 4 algorithm, 5 burst, 6 precision, 7 slices, 8 and 9 time of a permit.
    v_parts := regexp_match(p_rule, '^[ \t\n\v\f\r]*([0-9]+(?:_[0-9]+)*)[ \t\n\v\f\r]*(?:'
      || '/[ \t\n\v\f\r]*([0-9]+(?:_[0-9]+)*)?[ \t\n\v\f\r]*([a-zµ]+)(?![a-zA-Zµ])[ \t\n\v\f\r]*(?:'
      || '(fixed|burst(?=[ \t\n\v\f\r]*[0-9])|sliding)(?![a-zA-Zµ])[ \t\n\v\f\r]*'
      || '([0-9]+(?:_[0-9]+)*)?[ \t\n\v\f\r]*(?:(exact|strict|lenient)(?![a-zA-Zµ])[ \t\n\v\f\r]*([0-9]+(?:_[0-9]+)*)?)?)?'
      || '|concurrent(?![a-zA-Zµ])[ \t\n\v\f\r]*for(?![a-zA-Zµ])[ \t\n\v\f\r]*([0-9]+(?:_[0-9]+)*)[ \t\n\v\f\r]*([a-zµ]+)'
      || ')[ \t\n\v\f\r]*$');
  END IF;
  -- Each algorithm has its own words only.
  IF v_parts IS NULL
    OR (v_parts[5] IS NOT NULL) <> (coalesce(v_parts[4], '') = 'burst')
    OR (v_parts[6] IS NOT NULL AND coalesce(v_parts[4], '') <> 'sliding')
    OR (v_parts[7] IS NOT NULL AND v_parts[6] = 'exact')
  THEN
    RAISE EXCEPTION 'invalid rule `%`: expected such as `100/min burst 20`, `100/min sliding` or `1000/day fixed`',
      left(p_rule, 80) USING ERRCODE = 'invalid_parameter_value';
  END IF;

  v_unit := CASE coalesce(v_parts[3], v_parts[9])
    WHEN 'week' THEN 604800000000 WHEN 'w' THEN 604800000000 WHEN 'weeks' THEN 604800000000
    WHEN 'day' THEN 86400000000 WHEN 'd' THEN 86400000000 WHEN 'days' THEN 86400000000
    WHEN 'h' THEN 3600000000 WHEN 'hr' THEN 3600000000 WHEN 'hour' THEN 3600000000 WHEN 'hours' THEN 3600000000
    WHEN 'min' THEN 60000000 WHEN 'mins' THEN 60000000 WHEN 'minute' THEN 60000000 WHEN 'minutes' THEN 60000000
    WHEN 's' THEN 1000000 WHEN 'sec' THEN 1000000 WHEN 'secs' THEN 1000000 WHEN 'second' THEN 1000000
    WHEN 'seconds' THEN 1000000
    WHEN 'ms' THEN 1000 WHEN 'millisecond' THEN 1000 WHEN 'milliseconds' THEN 1000
    WHEN 'us' THEN 1 WHEN 'µs' THEN 1 WHEN 'microsecond' THEN 1 WHEN 'microseconds' THEN 1
  END;
  v_count := replace(v_parts[1], '_', '')::numeric;
  v_window := v_unit * coalesce(replace(coalesce(v_parts[2], v_parts[8]), '_', '')::numeric, 1);
  v_number := replace(coalesce(v_parts[5], v_parts[7]), '_', '')::numeric;
  v_why := CASE
    WHEN v_unit IS NULL THEN 'use the units `ms`, `s`, `min`, `h`, `day` or `week`'
    WHEN v_window NOT BETWEEN 1000 AND 31622400000000 THEN 'the time must be 1ms to 366d'
    WHEN v_parts[9] IS NOT NULL AND v_count NOT BETWEEN 1 AND 10000 THEN 'the permits must be 1 to 10000'
    WHEN v_count NOT BETWEEN 1 AND 1000000000 THEN 'the count must be 1 to 1000000000'
    WHEN v_parts[9] IS NULL AND v_count > v_window * 1000 THEN 'the rate must be at most one per nanosecond'
    WHEN v_parts[5] IS NOT NULL AND v_number NOT BETWEEN 1 AND 1000000000 THEN 'the burst must be 1 to 1000000000'
    WHEN v_parts[5] IS NOT NULL AND div(v_number * v_window * 1000, v_count) > 316224000000000000
      THEN 'an empty bucket would take more than ten years to fill'
    WHEN v_parts[6] = 'exact' AND v_count > 1024 THEN 'an exact window holds at most 1024; use `strict` or `lenient`'
    WHEN v_parts[7] IS NOT NULL AND v_number NOT BETWEEN 2 AND 1000 THEN 'the slices must be 2 to 1000'
  END;
  IF v_why IS NOT NULL THEN
    RAISE EXCEPTION 'invalid rule `%`: %', p_rule, v_why USING ERRCODE = 'invalid_parameter_value';
  END IF;

  IF v_parts[9] IS NOT NULL THEN
    RETURN ARRAY[4, 1, 1, v_count, v_window, 0, 0]::bigint[];
  ELSIF v_parts[4] = 'fixed' THEN
    RETURN ARRAY[3, 1, 1, v_count, v_window, 0, 0]::bigint[];
  ELSIF v_parts[4] = 'sliding' THEN
    IF v_parts[6] = 'exact' OR (v_parts[6] IS NULL AND v_count <= 64) THEN
      RETURN ARRAY[2, 1, 1, v_count, 0, v_window, 0]::bigint[];
    END IF;
    v_slice := div(v_window + coalesce(v_number, 60) - 1, coalesce(v_number, 60));
    RETURN ARRAY[2, 1, 1, v_count, CASE v_parts[6] WHEN 'lenient' THEN 2 ELSE 1 END, v_window, v_slice]::bigint[];
  END IF;
  RETURN ARRAY[1, 1, 1, coalesce(v_number, v_count), v_count / gcd(v_count, v_window), v_window / gcd(v_count, v_window), 0]
    ::bigint[];
END
$body$;

-- One limit, for what has named its subject as it is in the rows. Tests give a time.
CREATE FUNCTION @schema@.guardian_rate_limits_ask(
  p_tenant text, p_policy text, p_subject text, p_rule text, p_cost bigint, p_now bigint,
  OUT allowed boolean, OUT limit_value bigint, OUT remaining bigint, OUT retry_after interval, OUT reset_after interval
) LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v_rule bigint[] := @schema@.guardian_rate_limits_rule(p_rule);
  v bigint[];
  v_debt numeric; v_most numeric; v_price numeric;
  v_wait bigint; v_reset bigint;
BEGIN
  IF p_policy IS NULL OR p_policy !~ '^[A-Za-z0-9._-]{1,64}$' THEN
    RAISE EXCEPTION 'invalid policy name `%`: it has 1 to 64 characters of `A-Z a-z 0-9 . _ -`', left(p_policy, 80)
      USING ERRCODE = 'invalid_parameter_value';
  ELSIF p_cost IS NULL OR p_cost < 1 THEN
    RAISE EXCEPTION 'the cost of `%` must be at least 1', p_policy USING ERRCODE = 'invalid_parameter_value';
  ELSIF v_rule[1] = 4 THEN
    RAISE EXCEPTION 'the rule `%` holds permits, which need somebody to release them: acquire it in the library', p_rule
      USING ERRCODE = 'feature_not_supported';
  END IF;
  v_rule[3] := p_cost;
  v := string_to_array(
    @schema@.guardian_rate_limits_check(p_tenant, p_policy, p_subject, array_to_string(v_rule, ','), '', true, p_now), ',');
  allowed := v[1] = 1;
  limit_value := v_rule[4];
  IF v_rule[1] = 1 THEN
    v_debt := v[2]::numeric * v_rule[5] + v[3];
    v_most := limit_value::numeric * v_rule[6];
    v_price := p_cost::numeric * v_rule[6];
    v_wait := CASE WHEN allowed THEN 0 WHEN p_cost > limit_value THEN -1
      ELSE div(v_debt + v_price - v_most + v_rule[5] - 1, v_rule[5]) END;
    IF allowed THEN
      v_debt := v_debt + v_price;
    END IF;
    remaining := div(greatest(v_most - v_debt, 0), v_rule[6]);
    v_reset := div(v_debt + v_rule[5] - 1, v_rule[5]);
  ELSE
    remaining := greatest(limit_value - v[2] - CASE WHEN allowed THEN p_cost ELSE 0 END, 0);
    v_wait := v[3]; v_reset := v[4];
  END IF;
  retry_after := CASE WHEN v_wait >= 0 THEN v_wait * interval '1 microsecond' END;
  reset_after := v_reset * interval '1 microsecond';
END
$body$;

CREATE FUNCTION @schema@.check_rate_limit(
  tenant text, policy text, subject text, rule text, cost integer DEFAULT 1,
  OUT allowed boolean, OUT limit_value bigint, OUT remaining bigint, OUT retry_after interval, OUT reset_after interval
) LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v_answer record;
BEGIN
  IF octet_length(subject) > 512 THEN
    RAISE EXCEPTION 'the subject of `%` has % bytes, the most is 512', policy, octet_length(subject)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  v_answer := @schema@.guardian_rate_limits_ask(
    tenant, policy, coalesce('t:' || replace(replace(subject, '%', '%25'), E'\n', '%0A'), 'w'), rule, cost, NULL);
  allowed := v_answer.allowed; limit_value := v_answer.limit_value; remaining := v_answer.remaining;
  retry_after := v_answer.retry_after; reset_after := v_answer.reset_after;
END
$body$;

CREATE FUNCTION @schema@.check_rate_limit(
  tenant text, policy text, subject numeric, rule text, cost integer DEFAULT 1,
  OUT allowed boolean, OUT limit_value bigint, OUT remaining bigint, OUT retry_after interval, OUT reset_after interval
) LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v_answer record;
BEGIN
  IF NOT (subject BETWEEN 0 AND 18446744073709551615 AND subject = trunc(subject)) THEN
    RAISE EXCEPTION 'the subject of `%` must be a whole number of 64 bits without a sign', policy
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  v_answer := @schema@.guardian_rate_limits_ask(tenant, policy, coalesce('i:' || trunc(subject), 'w'), rule, cost, NULL);
  allowed := v_answer.allowed; limit_value := v_answer.limit_value; remaining := v_answer.remaining;
  retry_after := v_answer.retry_after; reset_after := v_answer.reset_after;
END
$body$;

COMMENT ON FUNCTION @schema@.check_rate_limit(text, text, text, text, integer) IS
  'Counts a request against one limit, as the library does; a subject that is NULL is the whole tenant, a tenant that is NULL the shared realm';
COMMENT ON FUNCTION @schema@.check_rate_limit(text, text, numeric, text, integer) IS
  'The same for a subject that is a number';

$functions$, '@schema@', quote_ident(current_schema()));
END $install$;
