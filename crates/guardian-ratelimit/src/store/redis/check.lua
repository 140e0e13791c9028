-- Decides all limits of a request and charges all or none.
-- ARGV: time or '', permit or '', '1' to charge, then for each key its kind, '1' if enforced, and its numbers.
-- Replies four numbers a key: admits, then
--   bucket: the debt before the request (whole, fraction), 0; others: what is used before it, wait (-1 never), reset.
local permit, charge = ARGV[2], ARGV[3] == '1'
local states = call('MGET', unpack(KEYS))
local allowed, reply, plans, at = true, {}, {}, 4

for i = 1, #KEYS do
  local kind, enforced, v = ARGV[at], ARGV[at + 1] == '1', states[i]
  local admits, a, b, c
  if kind == 'b' then
    local n, units = tonumber(ARGV[at + 2]), ARGV[at + 4]
    local u, f, moved = debt_of(i, v, n, ARGV[at + 3], units)
    local cost, most = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 7])
    a, b, c, admits = u, f, 0, false
    if cost >= 0 then
      u, f = u + cost, f + tonumber(ARGV[at + 6])
      if f >= n then u, f = u + 1, f - n end
      admits = u < most or (u == most and f <= tonumber(ARGV[at + 8]))
    end
    plans[i] = { kind, u, f, units, moved, a, b }
    at = at + 9
  elseif kind == 'w' then
    local cost, limit = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    local p, window, slice = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
    local log, total, moved = window_of(i, v, p, window, slice)
    local size = #log
    local newest = size > 3 and log[size - 1] or 0
    local stamp = stamp_of(now, p, slice)
    if stamp < newest then stamp = newest end
    local over = total + cost - limit
    admits, a = over <= 0, total
    if admits then
      b, c = 0, leaves(stamp, p, window, slice) - now
    else
      b, c = -1, size > 3 and leaves(newest, p, window, slice) - now or 0
      if cost <= limit then
        local at_entry, left = 4, log[5] or 0
        while left < over and at_entry + 2 < size do
          at_entry = at_entry + 2
          left = left + log[at_entry + 1]
        end
        b = leaves(log[at_entry], p, window, slice) - now
      end
    end
    plans[i] = { kind, log, stamp, cost, moved, p, window, slice }
    at = at + 7
  elseif kind == 'f' then
    local cost, limit, window = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    local ends, count = fixed_of(i, v, window)
    admits, a, c = count + cost <= limit, count, ends - now
    b = admits and 0 or cost > limit and -1 or c
    plans[i] = { kind, ends, window, count + cost }
    at = at + 5
  else
    local cost, limit, ttl = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    local after, last = fmt('(%.0f', now), 0
    a = 0
    -- A text here is another algorithm's state, which nothing is held in.
    if not v then
      a = call('ZCOUNT', KEYS[i], after, '+inf')
      if a > 0 then last = tonumber(call('ZREVRANGE', KEYS[i], 0, 0, 'WITHSCORES')[2]) - now end
    end
    local over = a + cost - limit
    admits = over <= 0
    if admits then
      b, c = 0, math.max(last, ttl)
    else
      b, c = -1, last
      if cost <= limit then
        b = call('ZRANGEBYSCORE', KEYS[i], after, '+inf', 'WITHSCORES', 'LIMIT', fmt('%.0f', over - 1), 1)[2] - now
      end
    end
    plans[i] = { kind, cost, ttl, v, c }
    at = at + 5
  end
  if enforced and not admits then allowed = false end
  local r = i * 4
  reply[r - 3], reply[r - 2], reply[r - 1], reply[r] = admits and 1 or 0, a, b, c
end

if not charge then return reply end

for i = 1, #KEYS do
  local key, plan, kind = KEYS[i], plans[i], plans[i][1]
  -- A dry run that would deny is not charged.
  local take = allowed and reply[i * 4 - 3] == 1
  if kind == 'b' then
    if take then
      keep_bucket(key, plan[2], plan[3], plan[4])
    elseif plan[5] then
      keep_bucket(key, plan[6], plan[7], plan[4])
    end
  elseif kind == 'w' then
    local log, stamp = plan[2], plan[3]
    if take then
      local size = #log
      if size > 3 and log[size - 1] == stamp then
        log[size] = log[size] + plan[4]
      else
        log[size + 1], log[size + 2] = stamp, plan[4]
      end
    end
    if take or plan[5] then keep_window(key, log, plan[6], plan[7], plan[8]) end
  elseif kind == 'f' then
    if take then keep_fixed(key, plan[2], plan[3], plan[4]) end
  elseif take and permit ~= '' then
    if plan[4] then call('DEL', key) end
    call('ZREMRANGEBYSCORE', key, '-inf', fmt('%.0f', now))
    local ends = fmt('%.0f', now + plan[3])
    for first = 1, plan[2], 1000 do
      local members = {}
      for k = first, math.min(first + 999, plan[2]) do
        members[#members + 1] = ends
        members[#members + 1] = permit .. ':' .. k
      end
      call('ZADD', key, unpack(members))
    end
    call('PEXPIRE', key, fmt('%.0f', ceil(plan[5] / 1000) + slack))
  end
end
return reply
