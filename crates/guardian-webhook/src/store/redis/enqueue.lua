-- First what each comes to: with a key that is used for another message, nothing of all this happens.
local answers, used, refused = {}, {}, false
for at, item in ipairs(A.items) do
  answers[at] = ''
  if item.key ~= '' then
    local held = used[item.key] or redis.call('GET', k('key', A.t, item.key))
    local id, til, digest
    if held then id, til, digest = held:match('^(%x+)|(%d+)|(.+)$') end
    if id and tonumber(til) > item.created then
      answers[at] = id
      if digest ~= item.digest then
        answers[at] = '!' .. id
        refused = true
      end
    else
      used[item.key] = item.id .. '|' .. num(item['until']) .. '|' .. item.digest
    end
  end
end
if refused then return cjson.encode(answers) end
for at, item in ipairs(A.items) do
  if answers[at] == '' then
    if item.key ~= '' then
      redis.call('SET', k('key', A.t, item.key), used[item.key], 'PX', num(math.max(1, math.ceil((item['until'] - item.created) / 1000))))
    end
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
