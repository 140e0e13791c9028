local answers = {}
for at, item in ipairs(A.items) do
  local taken = nil
  if item.key ~= '' then
    local key = k('key', A.t, item.key)
    local held = redis.call('GET', key)
    if held then
      local id, til = held:match('^(%x+)|(%d+)$')
      if tonumber(til) > item.created then taken = id end
    end
    if not taken then
      redis.call('SET', key, item.id .. '|' .. num(item['until']), 'PX', num(math.max(1, math.ceil((item['until'] - item.created) / 1000))))
    end
  end
  answers[at] = taken or ''
  if not taken then
    redis.call('HSET', k('msg', A.t), item.id, item.msg)
    redis.call('ZADD', k('all'), 0, item.id .. '|' .. A.t)
    for _, fan in ipairs(item.fan) do
      local id, e, lane = fan[1], fan[2], fan[3]
      redis.call('HSET', k('d', A.t, id), 'm', item.id, 'e', e, 'ty', item.ty, 'st', '0', 're', '', 'at', 0, 'rs', 0, 'na', '', 'cr',
        num(item.created), 'fi', '', 'la', lane, 'ls', '', 'fe', 0)
      redis.call('ZADD', k('log', A.t), 0, id)
      redis.call('ZADD', k('log', A.t, e), 0, id)
      redis.call('SADD', k('of', A.t, item.id), id)
      admit(A.t, id, item.created)
    end
  end
end
return cjson.encode(answers)
