local found = {}
for _, id in ipairs(A.ids) do
  local f = redis.call('HMGET', k('d', A.t, id), 'm', 'e', 'ty', 'st', 're', 'at', 'rs', 'na', 'cr', 'fi', 'la', 'ls')
  if f[1] then
    f[13] = id
    found[#found + 1] = f
  end
end
return #found == 0 and '[]' or cjson.encode(found)
