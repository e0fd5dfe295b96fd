-- Prepended to every script of this folder. Layout of the packed fields: src/counters/layout.ts.
-- Header: epoch, limits version, catalogue version, foreign seq, day start, day end, month start, month end,
--         object ceiling, payload ceiling, object seq, changes, latest hour, is dirty, Postgres has objects,
--         next reservation to expire, end of the time in which unknown idempotency keys are looked up; then the run id.
local HEADER = '<ddddddddddddddddd'
local HEADER_DOUBLES = 17
local H_EPOCH, H_LIMITS, H_CATALOG, H_FOREIGN, H_DAY, H_DAY_END, H_MONTH, H_MONTH_END = 1, 2, 3, 4, 5, 6, 7, 8
local H_OBJECT_CEILING, H_PAYLOAD_CEILING, H_SEQ, H_CHANGES, H_HOUR, H_DIRTY, H_HAS_OBJECTS = 9, 10, 11, 12, 13, 14, 15
local H_EXPIRY, H_KEYS_COLD = 16, 17

-- Counter: for the day, then for the month: plan limit, cap, granted, more to be had, base, spent, held, next mark; then its place among the
--          rooms (see read_meter), NONE until it is counted.
-- Gauge: plan limit and cap of both as above; the rest is not by period: the day's granted is the level it may reach, spent the level.
local METER = '<ddddddddddddddddd'
local METER_DOUBLES, PLACE = 17, 17
local PLAN, CAP, GRANTED, MORE, BASE, SPENT, HELD, MARK = 1, 2, 3, 4, 5, 6, 7, 8
local PERIOD_SLOTS = 8
local G_FROM, G_HIGH, G_LOW, G_SINCE, G_BUCKET = 5, 11, 12, 13, 14
local NONE = -1
local MAX = 9007199254740991
local HOUR_MS = 3600000
-- Byte-milliseconds pass 2^53 within an hour (5 GB × 1 h is 1.8e16): they are kept as high × 2^26 + low, exact up to 2^79.
local LIMB = 67108864

local function unpack_header(packed)
  return { struct.unpack(HEADER, packed) }
end

local function pack_header(h, run)
  return struct.pack(HEADER, unpack(h, 1, HEADER_DOUBLES)) .. run
end

local function run_of(packed)
  return string.sub(packed, HEADER_DOUBLES * 8 + 1)
end

local function unpack_meter(packed)
  return { struct.unpack(METER, packed) }
end

local function pack_meter(m)
  return struct.pack(METER, unpack(m, 1, METER_DOUBLES))
end

-- The lower of plan limit and cap of the period at offset `at`; NONE where neither is set.
local function limit_at(m, at)
  local plan, cap = m[at + PLAN], m[at + CAP]
  if plan == NONE then return cap end
  if cap == NONE or plan < cap then return plan end
  return cap
end

-- tostring() turns to exponents at 10^14; %.0f does not, and unlike %d it is exact in every Lua Redis ships.
local function int(n)
  return string.format('%.0f', n)
end

-- How much more of a counter may be spent before something must be looked at: a limit, the end of what is granted, 2^53.
-- Each term falls by what is spent, so the room does too, exactly.
local function room_of(m)
  local room = MAX - math.max(m[SPENT] + m[HELD], m[PERIOD_SLOTS + SPENT] + m[PERIOD_SLOTS + HELD])
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    local taken, limit = m[at + SPENT] + m[at + HELD], limit_at(m, at)
    room = math.min(room, MAX - m[at + BASE] - taken)
    if limit ~= NONE then room = math.min(room, limit - m[at + BASE] - taken, m[at + GRANTED] - taken) end
  end
  return room
end

-- A meter as it stands. `rooms`, the field q, has at the place of each meter that was counted the room it has left, as doubles; what quick.lua
-- has spent since the meter was packed is the difference to the room it was packed with.
local function read_meter(packed, rooms)
  local m = unpack_meter(packed)
  if rooms and m[PLACE] ~= NONE then
    local spent = room_of(m) - struct.unpack('<d', rooms, m[PLACE] * 8 + 1)
    m[SPENT], m[PERIOD_SLOTS + SPENT] = m[SPENT] + spent, m[PERIOD_SLOTS + SPENT] + spent
  end
  return m
end

local function get_meter(state_key, name)
  local found = redis.call('HMGET', state_key, 'm:' .. name, 'q')
  return found[1] and read_meter(found[1], found[2])
end

-- The rooms with a meter's own as it is now, where it has a place.
local function with_room(rooms, m)
  local at = m[PLACE] * 8
  if at < 0 then return rooms end
  return string.sub(rooms, 1, at) .. struct.pack('<d', room_of(m)) .. string.sub(rooms, at + 9)
end

-- Packs a meter anew, and takes away the quick path's leave (the field g): what changed may be no mere spending.
local function put_meter(state_key, name, m)
  redis.call('HSET', state_key, 'm:' .. name, pack_meter(m))
  if m[PLACE] ~= NONE then redis.call('HSET', state_key, 'q', with_room(redis.call('HGET', state_key, 'q'), m)) end
  redis.call('HDEL', state_key, 'g')
end

local function split(text, separator)
  local parts = {}
  for part in string.gmatch(text .. separator, '(.-)' .. separator) do parts[#parts + 1] = part end
  return parts
end

-- A kept reservation: state, epoch, expiry, day, month, bucket, place, counters, storage, object. Only the last may hold a separator.
local function reservation_parts(text)
  local parts = split(text, '|')
  if #parts > 10 then parts[10] = table.concat(parts, '|', 10) end
  return parts
end

-- Reservations of an epoch that hold something still, each {id, parts}; nil where there are more than can be gone through at once. Those that
-- have ended are kept among the expiries too, for a day: none of them is read before its last hour.
local HOLDS_MAX, HOLD_MS_MAX = 2000, 3600000
local function open_holds(reservations_key, expiries_key, epoch, now)
  local ids = redis.call('ZRANGEBYSCORE', expiries_key, '-inf', int(now + HOLD_MS_MAX), 'LIMIT', 0, HOLDS_MAX + 1)
  if #ids > HOLDS_MAX then return nil end
  local holds = {}
  for _, id in ipairs(ids) do
    local r = reservation_parts(redis.call('HGET', reservations_key, id) or '')
    if r[1] == 'held' and r[2] == epoch then holds[#holds + 1] = { id, r } end
  end
  return holds
end

-- What they hold of each meter: by the day's and the month's offset, in windows that are the header's; of a gauge at the first.
local function held_by_meter(holds, h)
  local held = {}
  local function add(name, at, quantity)
    if not held[name] then held[name] = { [0] = 0, [PERIOD_SLOTS] = 0 } end
    held[name][at] = held[name][at] + quantity
  end
  for _, hold in ipairs(holds) do
    local r = hold[2]
    for _, part in ipairs(r[8] ~= '' and split(r[8], ';') or {}) do
      local pair = split(part, ',')
      if tonumber(r[4]) == h[H_DAY] then add(pair[1], 0, tonumber(pair[2])) end
      if tonumber(r[5]) == h[H_MONTH] then add(pair[1], PERIOD_SLOTS, tonumber(pair[2])) end
    end
    if r[9] ~= '' then
      local storage = split(r[9], ',')
      add(storage[1], 0, tonumber(storage[4]))
    end
  end
  return held
end

-- The bucket that usage at `now` is booked in: its hour, cut where a window starts inside it, so that a bucket lies in one window.
local function bucket_at(h, hour)
  return math.max(hour, h[H_DAY], h[H_MONTH])
end

-- An object's committed and reserved bytes, kept as "bytes" or "bytes/reserved".
local function object_level(text)
  local slash = string.find(text, '/', 1, true)
  if not slash then return tonumber(text), 0 end
  return tonumber(string.sub(text, 1, slash - 1)), tonumber(string.sub(text, slash + 1))
end

local function object_text(bytes, reserved)
  if reserved == 0 then return int(bytes) end
  return int(bytes) .. '/' .. int(reserved)
end

-- Adds level × elapsed to a gauge's integral. Both limbs stay below 2^53: level < 2^53, elapsed ≤ an hour < 2^22.
local function integrate(g, elapsed)
  local level = g[SPENT]
  local level_low = level % LIMB
  local low = g[G_LOW] + level_low * elapsed
  g[G_HIGH] = g[G_HIGH] + ((level - level_low) / LIMB) * elapsed + math.floor(low / LIMB)
  g[G_LOW] = low % LIMB
end

-- One bucket of a gauge as it is booked: from, high, low, level, until, seq.
local function gauge_text(h, g, level, at)
  return table.concat({ int(g[G_FROM]), int(g[G_HIGH]), int(g[G_LOW]), int(level), int(at), int(h[H_SEQ]) }, ',')
end

-- Moves a gauge by `growth` at `now`: integrates the level it had, closing the bucket it was in where that is over, and notes
-- what is to be booked in the totals. Between two touched buckets the level was constant: the reader carries it forward.
local function move_gauge(h, g, meter, growth, now, totals_key)
  local prefix = '~' .. int(h[H_EPOCH]) .. '/'
  -- A clock that lags behind the last change finds no time elapsed.
  now = math.max(now, g[G_SINCE])
  local bucket = bucket_at(h, now - now % HOUR_MS)
  h[H_SEQ] = h[H_SEQ] + 1
  if bucket ~= g[G_BUCKET] then
    local closed = math.min(g[G_BUCKET] - g[G_BUCKET] % HOUR_MS + HOUR_MS, bucket)
    integrate(g, closed - g[G_SINCE])
    redis.call('HSET', totals_key, prefix .. int(g[G_BUCKET]) .. '/' .. meter, gauge_text(h, g, g[SPENT], closed))
    g[G_HIGH], g[G_LOW], g[G_SINCE], g[G_FROM], g[G_BUCKET] = 0, 0, bucket, bucket, bucket
    h[H_SEQ] = h[H_SEQ] + 1
  end
  integrate(g, now - g[G_SINCE])
  g[G_SINCE] = now
  g[SPENT] = math.max(0, g[SPENT] + growth)
  redis.call('HSET', totals_key, prefix .. int(bucket) .. '/' .. meter, gauge_text(h, g, g[SPENT], now))
end

-- The most that was reached stands, also where less is used by the time somebody looks.
local function note_reached(crossings_key, field, used)
  local noted = redis.call('HGET', crossings_key, field)
  if not noted or tonumber(noted) < used then redis.call('HSET', crossings_key, field, int(used)) end
end

-- Notes where usage has reached a threshold, for the roll-up to tell. Each count at or above the lowest one notes how far it is by
-- now, so that a window's last word stands even when the window turns before anybody looked; what quick.lua has counted is noted when the
-- roll-up looks, and before a window turns. A note stands under the limits and in the windows of the header; load.lua writes them into the
-- note before it replaces either.
local function note_crossing(h, m, name, crossings_key)
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    local used = m[at + BASE] + m[at + SPENT]
    if m[at + MARK] ~= NONE and used >= m[at + MARK] then
      local period, start = 'day', h[H_DAY]
      if at ~= 0 then period, start = 'month', h[H_MONTH] end
      note_reached(crossings_key, name .. '/' .. period .. '/' .. int(start), used)
    end
  end
end

local function note_level_crossing(g, name, crossings_key)
  if g[MARK] ~= NONE and g[SPENT] >= g[MARK] then note_reached(crossings_key, name .. '/level/0', g[SPENT]) end
end

-- After a change: marks the account for the roll-up and the hour's totals as being there.
local function mark_changed(h, account, hour, state_key, totals_key, dirty_key)
  if h[H_HOUR] ~= hour then
    local hours = redis.call('HGET', state_key, 'hours') or ''
    if not string.find(hours, int(hour), 1, true) then redis.call('HSET', state_key, 'hours', hours .. int(hour) .. ',') end
    -- Only totals prove that the hour's key must exist; a reservation writes none.
    if redis.call('EXISTS', totals_key) == 1 then h[H_HOUR] = hour end
  end
  h[H_CHANGES] = h[H_CHANGES] + 1
  if h[H_DIRTY] == 0 then
    redis.call('SADD', dirty_key, account)
    h[H_DIRTY] = 1
  end
end
