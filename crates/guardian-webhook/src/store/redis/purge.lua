local count, from = 0, '-'
while count < A.limit do
  local some = redis.call('ZRANGEBYLEX', k('all'), from, '(' .. A.before, 'LIMIT', 0, 1000)
  if #some == 0 then break end
  from = '(' .. some[#some]
  for _, member in ipairs(some) do
    if count >= A.limit then break end
    local m, t = member:match('^(%x+)|(.*)$')
    local ids, done = redis.call('SMEMBERS', k('of', t, m)), true
    for _, id in ipairs(ids) do
      if open(t, id) then done = false end
    end
    if done then
      for _, id in ipairs(ids) do
        local e = redis.call('HGET', k('d', t, id), 'e')
        redis.call('ZREM', k('log', t), id)
        redis.call('ZREM', k('log', t, e), id)
        redis.call('DEL', k('d', t, id), k('a', t, id))
      end
      redis.call('DEL', k('of', t, m))
      redis.call('HDEL', k('msg', t), m)
      redis.call('ZREM', k('all'), member)
      count = count + 1
    end
  end
end
return tostring(count)
