local found = {}
for at, member in ipairs(redis.call('ZRANGEBYSCORE', k('ready'), '-inf', num(A.now), 'LIMIT', 0, A.window)) do
  local t, e = member:match('^(.-)|(.*)$')
  local q = redis.call('HMGET', k('q', t, e), 'co', 'ra', 'he', 'hv')
  local inflight = redis.call('ZCOUNT', k('ls', t, e), '(' .. num(A.now), '+inf')
  found[at] = {t, e, q[1] or '0', q[2] or '0', q[3] or '{}', q[4] or '0', tostring(inflight)}
end
return cjson.encode(found)
