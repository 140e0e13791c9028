local held = redis.call('HGET', k('er', A.t), A.id)
if not held then return '"missing"' end
if not A.any and tonumber(held) ~= A.rev then return '"conflict"' end
redis.call('HDEL', k('ep', A.t), A.id)
for _, id in ipairs(redis.call('ZRANGE', k('log', A.t, A.id), 0, -1)) do
  if open(A.t, id) then finish(A.t, id, '5', 'the endpoint was removed', A.now) end
end
redis.call('HDEL', k('er', A.t), A.id)
redis.call('ZREM', k('epi', A.t), A.id)
redis.call('ZREM', k('ready'), A.t .. '|' .. A.id)
redis.call('DEL', k('q', A.t, A.id), k('due', A.t, A.id), k('ls', A.t, A.id))
redis.call('INCR', k('rev', A.t))
return '"done"'
