-- Ends a permit on each key. ARGV: the permit. Its members share an end, so they are there or gone together.
for i = 1, #KEYS do
  local k = 1
  while redis.pcall('ZREM', KEYS[i], ARGV[1] .. ':' .. k) == 1 do k = k + 1 end
end
return 0
