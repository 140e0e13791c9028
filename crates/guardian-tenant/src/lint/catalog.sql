-- What the lint knows of a Postgres database, as one JSON document. It reads the system catalog alone, never a row of a
-- table, and needs no special right.
WITH schemas AS (
  SELECT oid, nspname, nspowner, nspacl FROM pg_catalog.pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
relations AS (
  SELECT c.*, n.nspname FROM pg_catalog.pg_class AS c JOIN schemas AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT pg_catalog.json_build_object(
  'version', pg_catalog.current_setting('server_version_num')::int,
  'current_user', current_user,
  'roles', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', r.rolname, 'superuser', r.rolsuper, 'bypass', r.rolbypassrls, 'login', r.rolcanlogin,
      'inherit', r.rolinherit, 'replication', r.rolreplication,
      'member_of', (SELECT pg_catalog.json_agg(g.rolname ORDER BY g.rolname) FROM pg_catalog.pg_auth_members AS m
        JOIN pg_catalog.pg_roles AS g ON g.oid = m.roleid WHERE m.member = r.oid)) ORDER BY r.rolname)
    FROM pg_catalog.pg_roles AS r),
  'role_settings', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'role', r.rolname, 'settings', s.setconfig) ORDER BY r.rolname)
    FROM pg_catalog.pg_db_role_setting AS s LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
    WHERE s.setdatabase = 0
      OR s.setdatabase = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())),
  'schemas', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', n.nspname, 'owner', pg_catalog.pg_get_userbyid(n.nspowner),
      'create', (SELECT pg_catalog.json_agg(CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END)
        FROM pg_catalog.aclexplode(COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) AS a
        WHERE a.privilege_type = 'CREATE')) ORDER BY n.nspname)
    FROM schemas AS n),
  'relations', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'oid', c.oid::bigint, 'schema', c.nspname, 'name', c.relname, 'kind', c.relkind,
      'owner', pg_catalog.pg_get_userbyid(c.relowner), 'rls', c.relrowsecurity, 'forced', c.relforcerowsecurity,
      'partition', c.relispartition, 'options', c.reloptions,
      'parents', (SELECT pg_catalog.json_agg(i.inhparent::bigint) FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid),
      'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
          'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, NULL), 'not_null', a.attnotnull,
          'default', CASE WHEN a.atthasdef THEN (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid)
            FROM pg_catalog.pg_attrdef AS d WHERE d.adrelid = c.oid AND d.adnum = a.attnum) END) ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
      'grants', (SELECT pg_catalog.json_agg(DISTINCT pg_catalog.jsonb_build_object(
          'grantee', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
          'privilege', a.privilege_type))
        FROM (SELECT e.* FROM pg_catalog.aclexplode(COALESCE(c.relacl,
              pg_catalog.acldefault(CASE WHEN c.relkind = 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner))) AS e
            UNION ALL SELECT e.* FROM pg_catalog.pg_attribute AS a, pg_catalog.aclexplode(a.attacl) AS e
              WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped) AS a),
      'reads', CASE WHEN c.relkind IN ('v', 'm') THEN (SELECT pg_catalog.json_agg(DISTINCT d.refobjid::bigint)
        FROM pg_catalog.pg_rewrite AS w JOIN pg_catalog.pg_depend AS d
          ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> c.oid
        WHERE w.ev_class = c.oid) END,
      'policies', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
          'name', p.polname, 'command', p.polcmd, 'permissive', p.polpermissive,
          'roles', (SELECT pg_catalog.json_agg(CASE WHEN o = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(o) END)
            FROM pg_catalog.unnest(p.polroles) AS o),
          'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
          'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) ORDER BY p.polname)
        FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid),
      'indexes', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
          'name', x.relname, 'method', am.amname, 'unique', i.indisunique, 'primary', i.indisprimary,
          'exclusion', i.indisexclusion, 'valid', i.indisvalid, 'partial', i.indpred IS NOT NULL,
          'keys', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
              'column', a.attname,
              'leakproof', (SELECT pg_catalog.bool_or(f.proleakproof) FROM pg_catalog.pg_opclass AS oc
                JOIN pg_catalog.pg_amop AS ao ON ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype
                JOIN pg_catalog.pg_operator AS op ON op.oid = ao.amopopr
                JOIN pg_catalog.pg_proc AS f ON f.oid = op.oprcode
                WHERE oc.oid = k.class AND ao.amoppurpose = 's')) ORDER BY k.place)
            FROM ROWS FROM (pg_catalog.unnest(pg_catalog.string_to_array(i.indkey::text, ' ')::int2[]),
                pg_catalog.unnest(pg_catalog.string_to_array(i.indclass::text, ' ')::oid[])) WITH ORDINALITY AS k(number, class, place)
              LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number AND k.number <> 0
            WHERE k.place <= i.indnkeyatts)) ORDER BY x.relname)
        FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
          JOIN pg_catalog.pg_am AS am ON am.oid = x.relam WHERE i.indrelid = c.oid),
      'foreign_keys', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
          'name', k.conname, 'target', k.confrelid::bigint,
          'columns', (SELECT pg_catalog.json_agg(a.attname ORDER BY n.place)
            FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS n(number, place)
              JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = n.number),
          'target_columns', (SELECT pg_catalog.json_agg(a.attname ORDER BY n.place)
            FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS n(number, place)
              JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = n.number)) ORDER BY k.conname)
        FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype = 'f'),
      'triggers', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
          'name', t.tgname, 'function', t.tgfoid::bigint) ORDER BY t.tgname)
        FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
      'rules', (SELECT pg_catalog.json_agg(w.rulename ORDER BY w.rulename) FROM pg_catalog.pg_rewrite AS w
        WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN'),
      'publications', (SELECT pg_catalog.json_agg(p.pubname ORDER BY p.pubname) FROM pg_catalog.pg_publication_tables AS p
        WHERE p.schemaname = c.nspname AND p.tablename = c.relname),
      'used_by', CASE WHEN c.relkind = 'S' THEN (SELECT pg_catalog.json_agg(DISTINCT u.relation) FROM (
          SELECT d.adrelid::bigint AS relation FROM pg_catalog.pg_depend AS p JOIN pg_catalog.pg_attrdef AS d ON d.oid = p.objid
            WHERE p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
              AND p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.refobjid = c.oid
          UNION SELECT p.refobjid::bigint FROM pg_catalog.pg_depend AS p
            WHERE p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.objid = c.oid
              AND p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.deptype IN ('a', 'i')) AS u) END
    ) ORDER BY c.nspname, c.relname) FROM relations AS c),
  'functions', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'oid', f.oid::bigint, 'schema', n.nspname, 'name', f.proname,
      'arguments', pg_catalog.pg_get_function_identity_arguments(f.oid), 'owner', pg_catalog.pg_get_userbyid(f.proowner),
      'definer', f.prosecdef, 'leakproof', f.proleakproof, 'settings', f.proconfig, 'language', l.lanname,
      'trigger', f.prorettype IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype),
      'procedure', f.prokind = 'p',
      'source', COALESCE(pg_catalog.pg_get_function_sqlbody(f.oid), f.prosrc),
      'execute', (SELECT pg_catalog.json_agg(CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END)
        FROM pg_catalog.aclexplode(COALESCE(f.proacl, pg_catalog.acldefault('f', f.proowner))) AS a)
      ) ORDER BY n.nspname, f.proname)
    FROM pg_catalog.pg_proc AS f JOIN schemas AS n ON n.oid = f.pronamespace
      JOIN pg_catalog.pg_language AS l ON l.oid = f.prolang
    WHERE f.prokind IN ('f', 'p') AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
      WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = f.oid AND d.deptype = 'e')),
  'default_grants', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'creator', pg_catalog.pg_get_userbyid(d.defaclrole), 'schema', n.nspname, 'kind', d.defaclobjtype,
      'grantee', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
      'privilege', a.privilege_type))
    FROM pg_catalog.pg_default_acl AS d LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace,
      pg_catalog.aclexplode(d.defaclacl) AS a)
)::text AS catalog
