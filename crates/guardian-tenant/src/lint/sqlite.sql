-- What the lint knows of a SQLite schema, as one JSON document. Reads the schema alone, never a row of a table.
SELECT json_object(
  'foreign_keys', (SELECT foreign_keys FROM pragma_foreign_keys),
  'relations', (SELECT json_group_array(json_object(
      'name', m.name, 'kind', m.type, 'on', m.tbl_name, 'sql', m.sql,
      'storage', (SELECT t.type FROM pragma_table_list AS t WHERE t.schema = 'main' AND t.name = m.name),
      'columns', (SELECT json_group_array(json_object(
          'name', c.name, 'type', c.type, 'not_null', c."notnull", 'default', c.dflt_value, 'key', c.pk))
        FROM pragma_table_xinfo(m.name) AS c),
      'indexes', (SELECT json_group_array(json_object(
          'name', i.name, 'unique', i."unique", 'origin', i.origin, 'partial', i.partial,
          'keys', (SELECT json_group_array(json_object('column', x.name, 'collation', x.coll))
            FROM (SELECT * FROM pragma_index_xinfo(i.name) WHERE key = 1 ORDER BY seqno) AS x)))
        FROM pragma_index_list(m.name) AS i),
      'foreign_keys', (SELECT json_group_array(json_object('id', f.id, 'target', f."table", 'from', f."from", 'to', f."to"))
        FROM pragma_foreign_key_list(m.name) AS f)))
    FROM sqlite_master AS m WHERE m.type IN ('table', 'view', 'trigger') AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\')
) AS catalog
