-- Reads what accounts have to book, each all at one moment.
-- KEYS  by account: state, changed objects, idempotency keys to be booked, crossings, then by receiving hour that it is thought to have: totals,
--       totals at rest
-- ARGV  1 objects wanted, about  2 idempotency keys wanted, about  3 fields and values read after which the rest is left to another call
--       then by account: the hours it is thought to have, how many they are
-- Answers by account {header or '', what the limits follow from, objects, keys, crossings, totals …}, from objects on each a flat list of
-- fields and values; among totals '<place' with what is at rest of it; its hours where they are others; 0 where it was left.
local left, answer = tonumber(ARGV[3]), {}

-- By the text that says which meters have a threshold: their names and fields. Accounts of one plan have one text.
local fields_of = {}
local function marked_fields(marked)
  local fields = fields_of[marked]
  if fields then return fields end
  fields = { names = split(marked, ','), meters = {} }
  for i, name in ipairs(fields.names) do fields.meters[i] = 'm:' .. name end
  fields_of[marked] = fields
  return fields
end

-- Thresholds that were reached the quick way, which notes nothing.
local function note_quick(state, h, marked, rooms, crossings)
  -- Of no meter was anything counted.
  if not rooms or rooms == '' then return end
  local fields = marked_fields(marked)
  for i, packed in ipairs(redis.call('HMGET', state, unpack(fields.meters))) do
    local m = packed and read_meter(packed, rooms)
    if m and m[PLACE] ~= NONE then note_crossing(h, m, fields.names[i], crossings) end
  end
end

-- About so many fields of a hash and their values; none only where it has none. A scan gives up after some times as many buckets, and those
-- at the beginning are empty once what they held is booked: without going on, 940,000 of a million changed objects were never found.
local function some_of(key, count)
  local cursor, found = '0', nil
  repeat
    local page = redis.call('HSCAN', key, cursor, 'COUNT', count)
    cursor, found = page[1], page[2]
  until #found > 0 or cursor == '0'
  return found
end

-- The bucket and place a process' field belongs to; nil for those of leases and gauges, which never rest.
local function place_of(field)
  local first = string.sub(field, 1, 1)
  if first ~= '=' and first ~= '~' then return string.match(field, '^(.*)/') end
end

-- The totals of an account's hours. What is counted of one place in several fields, or hours, is added up: with any of it goes what lies at rest
-- of it (booked.lua). Whatever else rests has not grown since it was booked.
local function totals_of(at, hours)
  local found, resting = {}, {}
  for i = 1, hours do
    found[i] = redis.call('HGETALL', KEYS[at + 2 * i])
    for f = 1, #found[i], 2 do
      if found[i][f] == '+' then resting[i] = tonumber(found[i][f + 1]) end
    end
  end
  if not next(resting) then return found end
  local places, seen = {}, {}
  for i = 1, hours do
    for f = 1, #found[i], 2 do
      local place = place_of(found[i][f])
      if place and not seen[place] then places[#places + 1] = place end
      if place then seen[place] = true end
    end
  end
  for i, count in pairs(resting) do
    local key = KEYS[at + 2 * i + 1]
    if redis.call('HLEN', key) ~= count then
      -- Lost, and with it what was booked: the next check finds no totals, and everybody books their own copies.
      redis.call('DEL', KEYS[at + 2 * i], key)
      found[i] = {}
    end
    for _, place in ipairs(found[i][1] and places or {}) do
      local rested = redis.call('HGET', key, place)
      if rested then
        found[i][#found[i] + 1] = '<' .. place
        found[i][#found[i] + 1] = rested
      end
    end
  end
  return found
end

local function read(at, hours, packed, limits, marked, rooms)
  local state, crossings = KEYS[at], KEYS[at + 3]
  -- The next check of the account goes the whole way and notes the change: booked.lua must see that there was one. So the quick path,
  -- which notes none, is closed from here until then.
  redis.call('HDEL', state, 'g')
  if packed then note_quick(state, unpack_header(packed), marked, rooms, crossings) end
  local found = {
    packed or '',
    limits or '',
    some_of(KEYS[at + 1], ARGV[1]),
    some_of(KEYS[at + 2], ARGV[2]),
    redis.call('HGETALL', crossings),
  }
  for i, totals in ipairs(totals_of(at + 2, hours)) do found[5 + i] = totals end
  for i = 3, #found do left = left - #found[i] end
  return found
end

local at = 1
for arg = 4, #ARGV, 2 do
  local hours = tonumber(ARGV[arg + 1])
  if left <= 0 then
    answer[#answer + 1] = 0
  else
    local state = redis.call('HMGET', KEYS[at], 'hours', 'h', 'limits', 'marked', 'q')
    local present = state[1] or ''
    answer[#answer + 1] = present == ARGV[arg] and read(at, hours, state[2], state[3], state[4], state[5]) or present
  end
  at = at + 4 + 2 * hours
end
return answer
