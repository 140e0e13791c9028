-- One argument, in JSON. Numbers of time are microseconds since 1970, below 2^53 and so exact.
local P = KEYS[1]
local A = cjson.decode(ARGV[1])

-- No tenant's id has a `|` in it. What a caller chooses, an idempotency key or a lane, comes last.
local function k(...) return P .. '|' .. table.concat({...}, '|') end

local function num(value) return string.format('%.0f', value) end

-- Deliveries that are due at the same time come as they were queued.
local function place(seq, id) return string.format('%016.0f:%s', tonumber(seq), id) end

-- A queue is ready when its first delivery is due, not before the floor, never while it is paused.
local function refresh(t, e, floor)
  local first = redis.call('ZRANGE', k('due', t, e), 0, 0, 'WITHSCORES')
  if #first == 0 or redis.call('HGET', k('q', t, e), 'pa') == '1' then
    redis.call('ZREM', k('ready'), t .. '|' .. e)
    return
  end
  redis.call('ZADD', k('ready'), num(math.max(floor, tonumber(first[2]))), t .. '|' .. e)
end

local function gate(t, e) return tonumber(redis.call('HGET', k('q', t, e), 'ga') or '') or 0 end

-- Puts a delivery into its queue, to be due then, or to wait for its turn in its lane.
local function admit(t, id, at)
  local d = k('d', t, id)
  local f = redis.call('HMGET', d, 'e', 'la')
  local e, lane = f[1], f[2]
  local seq = redis.call('INCR', k('seq'))
  redis.call('HSET', d, 'sq', seq)
  redis.call('HINCRBY', k('q', t, e), 'op', 1)
  if lane ~= '' then
    local key = k('lane', t, e, lane)
    redis.call('ZADD', key, seq, id)
    if redis.call('ZCARD', key) > 1 then
      redis.call('HSET', d, 'st', '2', 'na', '')
      return
    end
  end
  redis.call('HSET', d, 'st', '0', 'na', num(at))
  redis.call('ZADD', k('due', t, e), num(at), place(seq, id))
  local floor = gate(t, e)
  if floor == 0 then
    floor = math.min(at, tonumber(redis.call('ZSCORE', k('ready'), t .. '|' .. e) or at))
  end
  refresh(t, e, floor)
end

-- Ends a delivery and lets the next of its lane come.
local function finish(t, id, state, reason, now)
  local d = k('d', t, id)
  local f = redis.call('HMGET', d, 'e', 'la', 'sq')
  local e, lane, seq = f[1], f[2], f[3]
  redis.call('ZREM', k('due', t, e), place(seq, id))
  redis.call('ZREM', k('ls', t, e), id)
  if redis.call('EXISTS', k('q', t, e)) == 1 then redis.call('HINCRBY', k('q', t, e), 'op', -1) end
  redis.call('HSET', d, 'st', state, 're', reason, 'na', '', 'fi', num(now))
  if lane == '' then return end
  local key = k('lane', t, e, lane)
  redis.call('ZREM', key, id)
  local after = redis.call('ZRANGE', key, 0, 0)[1]
  if after and redis.call('HGET', k('d', t, after), 'st') == '2' then
    redis.call('HSET', k('d', t, after), 'st', '0', 'na', num(now))
    redis.call('ZADD', k('due', t, e), num(now), place(redis.call('HGET', k('d', t, after), 'sq'), after))
  end
end

local function open(t, id)
  local state = redis.call('HGET', k('d', t, id), 'st')
  return state and tonumber(state) < 3
end
