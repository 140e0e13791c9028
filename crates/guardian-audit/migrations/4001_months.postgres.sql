-- Events and what they are found by, in a partition for each month of their recording. A log that is empty begins anew; one that is not
-- keeps what it has in a first partition, up to the end of the month of now or of its last event.

-- In the order in which everybody takes them, and before anything else: whoever writes or searches meanwhile waits.
LOCK TABLE guardian_audit_heads, guardian_audit_events, guardian_audit_index IN ACCESS EXCLUSIVE MODE;

DO $install$
BEGIN
EXECUTE replace($functions$

-- The start of a month in microseconds since 1970.
CREATE FUNCTION @schema@.guardian_audit_month(p_month timestamp) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
  SELECT (extract(epoch FROM date_trunc('month', p_month)) * 1000000)::bigint
$body$;

-- Partitions can be read by their own names: each has the tenants' policy.
CREATE FUNCTION @schema@.guardian_audit_wall(p_table text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  EXECUTE format('ALTER TABLE @schema@.%I ENABLE ROW LEVEL SECURITY', p_table);
  EXECUTE format('ALTER TABLE @schema@.%I FORCE ROW LEVEL SECURITY', p_table);
  EXECUTE format('CREATE POLICY guardian_tenant ON @schema@.%I FOR ALL TO PUBLIC
    USING (tenant_id = NULLIF(current_setting(''guardian.tenant'', true), ''''))
    WITH CHECK (tenant_id = NULLIF(current_setting(''guardian.tenant'', true), ''''))', p_table);
END
$body$;

-- Makes the partitions of the month in which the day lies; false when they are there, or something was recorded in the month already and is in
-- another partition. As the owner of the tables, before the month begins.
CREATE FUNCTION @schema@.guardian_audit_add_month(p_day date) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  v_from bigint := @schema@.guardian_audit_month(p_day::timestamp);
  v_to bigint := @schema@.guardian_audit_month(p_day::timestamp + interval '1 month');
  v_parent text;
  v_child text;
BEGIN
  -- Before the tables of events, as everybody does: two who add the same month take turns, and nobody waits for another in a circle.
  LOCK TABLE @schema@.guardian_audit_heads IN ACCESS EXCLUSIVE MODE;
  FOREACH v_parent IN ARRAY ARRAY['guardian_audit_events', 'guardian_audit_index'] LOOP
    v_child := v_parent || to_char(p_day, '_YYYY_MM');
    IF to_regclass('@schema@.' || quote_ident(v_child)) IS NOT NULL THEN
      RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE @schema@.%I PARTITION OF @schema@.%I FOR VALUES FROM (%s) TO (%s)', v_child, v_parent, v_from, v_to);
    PERFORM @schema@.guardian_audit_wall(v_child);
  END LOOP;
  RETURN true;
-- The rows are in the common partition, or the first one reaches into the month.
EXCEPTION WHEN check_violation OR invalid_object_definition THEN
  RETURN false;
END
$body$;
$functions$, '@schema@', quote_ident(current_schema()));
END $install$;

ALTER TABLE guardian_audit_events DROP CONSTRAINT guardian_audit_events_pkey;
ALTER TABLE guardian_audit_events RENAME TO guardian_audit_events_before;
ALTER INDEX guardian_audit_events_id RENAME TO guardian_audit_events_before_id;
ALTER INDEX guardian_audit_events_recorded RENAME TO guardian_audit_events_before_recorded;
ALTER TABLE guardian_audit_index DROP CONSTRAINT guardian_audit_index_pkey;
ALTER TABLE guardian_audit_index RENAME TO guardian_audit_index_before;
ALTER INDEX guardian_audit_index_terms RENAME TO guardian_audit_index_before_terms;

CREATE TABLE guardian_audit_events (LIKE guardian_audit_events_before, PRIMARY KEY (tenant_id, sequence, recorded))
  PARTITION BY RANGE (recorded);

-- That places and ids are not given twice is seen to by the lock of the head, under which both are looked up.
CREATE INDEX guardian_audit_events_id ON guardian_audit_events (tenant_id, event_id);
CREATE INDEX guardian_audit_events_recorded ON guardian_audit_events (tenant_id, recorded, sequence);

CREATE TABLE guardian_audit_index (LIKE guardian_audit_index_before, PRIMARY KEY (tenant_id, sequence, recorded))
  PARTITION BY RANGE (recorded);
CREATE INDEX guardian_audit_index_terms ON guardian_audit_index USING gin (terms);

-- The owner is bound by the policies as everybody is, and would see no event of anybody.
ALTER TABLE guardian_audit_heads NO FORCE ROW LEVEL SECURITY;
ALTER TABLE guardian_audit_events_before NO FORCE ROW LEVEL SECURITY;

DO $install$
DECLARE
  v_last bigint := (SELECT max(recorded) FROM guardian_audit_heads);
  v_bound bigint;
BEGIN
IF pg_relation_size('guardian_audit_events_before') = 0 AND NOT EXISTS (SELECT FROM guardian_audit_events_before) THEN
  DROP TABLE guardian_audit_events_before;
  DROP TABLE guardian_audit_index_before;
ELSE
  v_bound := guardian_audit_month(greatest(now() AT TIME ZONE 'UTC', to_timestamp(v_last / 1000000) AT TIME ZONE 'UTC') + interval '1 month');
  EXECUTE format('ALTER TABLE guardian_audit_events ATTACH PARTITION guardian_audit_events_before FOR VALUES FROM (MINVALUE) TO (%s)', v_bound);
  EXECUTE format('ALTER TABLE guardian_audit_index ATTACH PARTITION guardian_audit_index_before FOR VALUES FROM (MINVALUE) TO (%s)', v_bound);
  ALTER TABLE guardian_audit_events_before FORCE ROW LEVEL SECURITY;
END IF;
END $install$;

ALTER TABLE guardian_audit_heads FORCE ROW LEVEL SECURITY;

CREATE TABLE guardian_audit_events_other PARTITION OF guardian_audit_events DEFAULT;
CREATE TABLE guardian_audit_index_other PARTITION OF guardian_audit_index DEFAULT;
SELECT guardian_audit_wall('guardian_audit_events');
SELECT guardian_audit_wall('guardian_audit_events_other');
SELECT guardian_audit_wall('guardian_audit_index');
SELECT guardian_audit_wall('guardian_audit_index_other');

DO $install$
DECLARE
  v_role text := 'guardian_audit_search_' || left(md5(current_database()), 12);
BEGIN
  EXECUTE 'GRANT SELECT ON guardian_audit_index TO ' || v_role;
  EXECUTE 'CREATE POLICY guardian_search ON guardian_audit_index FOR SELECT TO ' || v_role || ' USING (true)';
END $install$;

-- This month, where nothing is in it yet, and the next one.
SELECT guardian_audit_add_month((now() AT TIME ZONE 'UTC')::date);
SELECT guardian_audit_add_month((now() AT TIME ZONE 'UTC' + interval '1 month')::date);
