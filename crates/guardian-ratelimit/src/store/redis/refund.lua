-- Puts back what a check charged, as far as it still counts.
-- ARGV: time or '', how many microseconds ago the check was, then for each key its kind and its numbers.
local charged_at = now - tonumber(ARGV[2])
local states = call('MGET', unpack(KEYS))
local at = 3

for i = 1, #KEYS do
  local key, kind, v = KEYS[i], ARGV[at], states[i]
  if kind == 'b' then
    local n, units = tonumber(ARGV[at + 1]), ARGV[at + 3]
    local u, f = debt_of(i, v, n, ARGV[at + 2], units)
    -- What has refilled since the charge is not given back a second time.
    local back = tonumber(ARGV[at + 4]) - math.max(now - charged_at, 0)
    if back >= 0 and (u > 0 or f > 0) then
      u, f = u - back, f - tonumber(ARGV[at + 5])
      if f < 0 then u, f = u - 1, f + n end
      if u < 0 or (u == 0 and f == 0) then call('DEL', key) else keep_bucket(key, u, f, units) end
    end
    at = at + 6
  elseif kind == 'w' then
    local cost = tonumber(ARGV[at + 1])
    local p, window, slice = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    local log = window_of(i, v, p, window, slice)
    local stamp = stamp_of(charged_at, p, slice)
    local size = #log
    if size > 3 and leaves(stamp, p, window, slice) > now then
      -- The check's own entry, or the nearest where the caller's clock and the way here blur the time.
      local best, distance = 4, math.abs(log[4] - stamp)
      for entry = 6, size - 1, 2 do
        local d = math.abs(log[entry] - stamp)
        if d < distance then best, distance = entry, d end
      end
      log[best + 1] = log[best + 1] - math.min(cost, log[best + 1])
      if log[best + 1] == 0 then
        table.remove(log, best)
        table.remove(log, best)
      end
      keep_window(key, log, p, window, slice)
    end
    at = at + 5
  elseif kind == 'f' then
    local cost, window = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local ends, count = fixed_of(i, v, window)
    if count > 0 and charged_at - charged_at % window + window >= ends then
      keep_fixed(key, ends, window, count - math.min(cost, count))
    end
    at = at + 3
  else
    -- What is taken of a concurrency limit is released, not refunded.
    at = at + 1
  end
end
return 0
