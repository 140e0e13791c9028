-- What the scripts share: reading, converting and keeping states. Every number is a whole one below 2^53.
--
--   b<n>:<w>:<u>:<f>   token bucket: one token takes w/n microseconds; full again at u + f/n
--   f<end>:<window>:<count>   fixed window
--   w<msgpack>         sliding window: {precision, window, slice, stamp, count, stamp, count, ...}, oldest first
--   (sorted set)       concurrency: one member for each permit held, scored with its end
local call, fmt, floor, ceil = redis.call, string.format, math.floor, math.ceil
local byte, match, sub = string.byte, string.match, string.sub
local tonumber, KEYS, ARGV = tonumber, KEYS, ARGV
local EXACT, STRICT, LENIENT = 0, 1, 2
-- Up to here a quotient's floor is exact.
local SAFE = 2 ^ 52

-- The server's time in microseconds. Tests give their own.
local given = ARGV[1]
local now
if given == '' then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
else
  now = tonumber(given)
end

-- States outlive their meaning by a little. A given time says nothing about the server's, so there by an hour.
local slack = given == '' and 10 or 3600000

local function keep(key, value, span)
  call('SET', key, value, 'PX', fmt('%.0f', ceil(span / 1000) + slack))
end

local function unreadable(i)
  error('GUARDIAN unreadable state at key ' .. i, 0)
end

local function gcd(a, b)
  while b > 0 do a, b = b, a % b end
  return a
end

-- The debt in a new rule's units that stands for the same tokens, rounded up by less than 1/n. Exact while the
-- numbers are below 2^52; beyond, in doubles and rounded up by one to two microseconds.
local function converted(u, f, old_n, old_w, n, w)
  local common = gcd(w, old_w)
  local a, b = w / common, old_w / common
  local debt = u * old_n + f
  if debt < SAFE then
    local q = floor(debt / b)
    local r = debt - q * b
    if r * a < SAFE and q * a < SAFE / 2 then
      local taken = q * a + ceil(r * a / b)
      local whole = floor(taken / n)
      return whole, taken - whole * n
    end
  end
  return math.min(ceil((u + f / old_n) / old_w * old_n / n * w) + 1, 4e15), 0
end

-- How far a bucket's theoretical arrival time lies ahead, as whole microseconds and a numerator over n; and
-- whether that was converted from another rule's units. `units` is how a state in this rule's units begins.
local function debt_of(i, v, n, w, units)
  if not v or byte(v) ~= 98 then return 0, 0, false end
  local size = #units
  if sub(v, 1, size) == units then
    local u, f = match(v, '^(%d+):(%d+)$', size + 1)
    if not u then unreadable(i) end
    u = u - now
    if u < 0 then return 0, 0, false end
    return u, tonumber(f), false
  end
  local old_n, old_w, u, f = match(v, '^b(%d+):(%d+):(%d+):(%d+)$')
  if not u then unreadable(i) end
  u = u - now
  if u < 0 then return 0, 0, false end
  u, f = converted(u, tonumber(f), tonumber(old_n), tonumber(old_w), n, tonumber(w))
  return u, f, true
end

local function keep_bucket(key, u, f, units)
  keep(key, units .. fmt('%.0f:%.0f', now + u, f), u + 1)
end

-- The fixed window that runs now, and its count. A clock that was set back finds the window that it has left; what
-- was counted under another window's length counts in the present one.
local function fixed_of(i, v, window)
  local ends = now - now % window + window
  if not v or byte(v) ~= 102 then return ends, 0 end
  local e, w, c = match(v, '^f(%d+):(%d+):(%d+)$')
  if not e then unreadable(i) end
  e, c = tonumber(e), tonumber(c)
  if e <= now then return ends, 0 end
  if tonumber(w) == window then ends = e end
  return ends, c
end

local function keep_fixed(key, ends, window, count)
  keep(key, fmt('f%.0f:%.0f:%.0f', ends, window, count), ends - now)
end

local function stamp_of(time, p, slice)
  if p == EXACT then return time end
  return floor(time / slice)
end

-- When what was counted at a stamp stops counting. A strict slice counts until the whole microsecond after its
-- last one is a window away: what came late in that microsecond is never dropped too early.
local function leaves(stamp, p, window, slice)
  if p == EXACT then return stamp + window end
  if p == STRICT then return (stamp + 1) * slice + window end
  return stamp * slice + window
end

-- What still counts, as {precision, window, slice, stamp, count, ...}; its sum; and whether it was converted.
-- A time that is known only to a slice is taken to be its end, or its beginning if the new rule is lenient.
local function window_of(i, v, p, window, slice)
  local log, total = { p, window, slice }, 0
  if not v or byte(v) ~= 119 then return log, 0, false end
  local ok, old = pcall(cmsgpack.unpack, sub(v, 2))
  if not ok or type(old) ~= 'table' or #old < 3 then unreadable(i) end
  local old_p, old_slice = old[1], old[3]
  local moved = old_p ~= p or old[2] ~= window or old_slice ~= slice
  local size = 3
  for at = 4, #old - 1, 2 do
    local stamp, count = old[at], old[at + 1]
    if moved then
      local time = stamp
      if old_p ~= EXACT then
        time = p == LENIENT and stamp * old_slice or math.min((stamp + 1) * old_slice - 1, now)
      end
      stamp = stamp_of(time, p, slice)
    end
    if leaves(stamp, p, window, slice) > now then
      total = total + count
      if size > 3 and log[size - 1] >= stamp then
        log[size] = log[size] + count
      else
        log[size + 1], log[size + 2] = stamp, count
        size = size + 2
      end
    end
  end
  return log, total, moved
end

local function keep_window(key, log, p, window, slice)
  local size = #log
  if size == 3 then
    call('DEL', key)
  else
    keep(key, 'w' .. cmsgpack.pack(log), leaves(log[size - 1], p, window, slice) - now)
  end
end
