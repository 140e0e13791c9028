if tonumber(redis.call('HGET', k('er', A.t), A.id) or '0') + 1 ~= A.rev then return '"conflict"' end
redis.call('HSET', k('er', A.t), A.id, num(A.rev))
redis.call('HSET', k('ep', A.t), A.id, A.doc)
redis.call('ZADD', k('epi', A.t), 0, A.id)
redis.call('INCR', k('rev', A.t))
local q = k('q', A.t, A.id)
redis.call('HSETNX', q, 'op', 0)
if redis.call('HEXISTS', q, 'he') == 0 or (redis.call('HGET', q, 'pa') == '1' and A.pa == 0) then
  redis.call('HSET', q, 'he', A.healthy, 'ga', '')
  redis.call('HINCRBY', q, 'hv', 1)
end
redis.call('HSET', q, 'pa', num(A.pa), 'co', num(A.co), 'ra', num(A.ra), 'rv', num(A.rev))
refresh(A.t, A.id, math.max(gate(A.t, A.id), A.now))
return '"done"'
