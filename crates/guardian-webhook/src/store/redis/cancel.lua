local count = 0
for _, id in ipairs(A.ids) do
  if open(A.t, id) then
    finish(A.t, id, '5', 'cancelled', A.now)
    local e = redis.call('HGET', k('d', A.t, id), 'e')
    refresh(A.t, e, math.max(gate(A.t, e), A.now))
    count = count + 1
  end
end
return tostring(count)
