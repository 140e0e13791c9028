local found = {}
for at, item in ipairs(A.items) do
  local t, id, e, fence = item[1], item[2], item[3], item[4]
  local f = redis.call('HMGET', k('d', t, id), 'st', 'fe')
  local q = redis.call('HMGET', k('q', t, e), 'he', 'hv', 'ga')
  local kept = f[1] == '1' and f[2] == fence and q[1]
  found[at] = {kept and '1' or '0', q[1] or '{}', q[2] or '0', q[3] or ''}
end
return cjson.encode(found)
