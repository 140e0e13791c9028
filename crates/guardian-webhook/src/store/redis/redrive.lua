local count = 0
for _, id in ipairs(A.ids) do
  local d = k('d', A.t, id)
  local f = redis.call('HMGET', d, 'st', 'fi', 'e', 'at')
  if f[1] and tonumber(f[1]) >= 3 and tonumber(f[2]) <= A.now and redis.call('HEXISTS', k('ep', A.t), f[3]) == 1 then
    redis.call('HSET', d, 'rs', f[4], 'fi', '', 're', '')
    admit(A.t, id, A.now)
    count = count + 1
  end
end
return tostring(count)
