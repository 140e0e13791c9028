-- First whether all is as it was when the healths were calculated.
for _, item in ipairs(A.items) do
  local f = redis.call('HMGET', k('d', item.t, item.id), 'st', 'fe')
  if f[1] ~= '1' or f[2] ~= item.fence then return 'false' end
end
for _, queue in ipairs(A.queues) do
  if redis.call('HGET', k('q', queue.t, queue.e), 'hv') ~= queue.version then return 'false' end
end
for _, item in ipairs(A.items) do
  local d = k('d', item.t, item.id)
  if item.attempt ~= '' then
    redis.call('RPUSH', k('a', item.t, item.id), item.attempt)
    redis.call('HSET', d, 'at', num(item.number), 'ls', item.status)
  end
  if item.at >= 0 then
    local member = place(redis.call('HGET', d, 'sq'), item.id)
    redis.call('ZREM', k('ls', item.t, item.e), item.id)
    redis.call('ZADD', k('due', item.t, item.e), num(item.at), member)
    redis.call('HSET', d, 'st', '0', 'na', num(item.at))
  else
    finish(item.t, item.id, item.state, item.reason, A.now)
  end
end
for _, queue in ipairs(A.queues) do
  -- A claim may have shut the gate meanwhile, for the rate: it is never opened earlier than it says.
  local shut = math.max(tonumber(queue.gate) or 0, gate(queue.t, queue.e))
  redis.call('HSET', k('q', queue.t, queue.e), 'he', queue.health, 'ga', shut > A.now and num(shut) or '')
  redis.call('HINCRBY', k('q', queue.t, queue.e), 'hv', 1)
  refresh(queue.t, queue.e, math.max(A.now, shut))
end
return 'true'
