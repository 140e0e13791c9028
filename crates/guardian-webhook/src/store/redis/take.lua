local taken, left = {}, A.limit
for _, queue in ipairs(A.queues) do
  local t, e, version, most, cap = queue[1], queue[2], queue[3], queue[4], queue[5]
  local q = redis.call('HMGET', k('q', t, e), 'hv', 'ra', 'rv')
  local ready = tonumber(redis.call('ZSCORE', k('ready'), t .. '|' .. e) or '')
  -- Somebody else may have been here meanwhile: what is not as it was is left for the next claim.
  if left > 0 and ready and ready <= A.now and q[1] == version then
    local inflight = redis.call('ZCOUNT', k('ls', t, e), '(' .. num(A.now), '+inf')
    local want = math.max(0, math.min(most, left, cap - inflight))
    local given = 0
    if want > 0 then
      for _, member in ipairs(redis.call('ZRANGEBYSCORE', k('due', t, e), '-inf', num(A.now), 'LIMIT', 0, want)) do
        local id = member:sub(-32)
        local d = k('d', t, id)
        redis.call('ZADD', k('due', t, e), num(A['until']), member)
        redis.call('ZADD', k('ls', t, e), num(A['until']), id)
        redis.call('HSET', d, 'st', '1', 'na', num(A['until']))
        local fence = redis.call('HINCRBY', d, 'fe', 1)
        local f = redis.call('HMGET', d, 'm', 'at', 'rs')
        taken[#taken + 1] = {t, id, e, f[1], tostring(fence), f[2], f[3], q[3] or '0', redis.call('HGET', k('msg', t), f[1])}
        given = given + 1
      end
    end
    left = left - given
    local shut, rate = gate(t, e), tonumber(q[2] or '0')
    if rate > 0 and given > 0 then shut = math.max(shut, A.now + math.ceil(given * 1000000 / rate)) end
    redis.call('HSET', k('q', t, e), 'ga', shut > A.now and num(shut) or '')
    local floor = math.max(shut, A.now)
    if inflight + given >= cap then floor = math.max(floor, A['until']) end
    refresh(t, e, floor)
  end
end
return #taken == 0 and '[]' or cjson.encode(taken)
