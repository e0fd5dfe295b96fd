-- Reads what accounts have to book, each all at one moment.
-- KEYS  by account: state, changed objects, idempotency keys to be booked, crossings, then by receiving hour that it is thought to have: totals,
--       totals as they were booked last
-- ARGV  1 objects wanted, about  2 idempotency keys wanted, about  3 fields and values read after which the rest is left to another call
--       4 totals of an hour beyond which those that stand as they were booked are left out
--       then by account: the hours it is thought to have, how many they are
-- Answers by account {header or '', what the limits follow from, objects, keys, crossings, totals …}, from objects on each a flat list of
-- fields and values, of an hour with many totals after the field '+' with their number; its hours where they are others; 0 where it was left.
local left, many, answer = tonumber(ARGV[3]), tonumber(ARGV[4]), {}

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

-- What fields of one bucket and place share, and processes count in several of them, which are added up: they are left out together or not at all.
local function shared_of(field) return string.match(field, '^(.*)/') or field end

-- The totals of an account's hours. Every process that ever counted in an hour, and each after every doubt anew, has totals of its own there:
-- read and booked again each second, 434 of an account were most of what a roll-up did.
local function totals_of(at, hours)
  local found, size, any = {}, {}, false
  for i = 1, hours do
    found[i] = redis.call('HGETALL', KEYS[at + 2 * i])
    size[i] = #found[i] / 2
    left = left - #found[i]
    any = any or size[i] > many
  end
  if not any then return found end
  local changed = {}
  for i = 1, hours do
    local booked = {}
    if size[i] > many then
      local flat = redis.call('HGETALL', KEYS[at + 2 * i + 1])
      for f = 1, #flat, 2 do booked[flat[f]] = flat[f + 1] end
    end
    for f = 1, #found[i], 2 do
      if booked[found[i][f]] ~= found[i][f + 1] then changed[shared_of(found[i][f])] = true end
    end
  end
  for i = 1, hours do
    local kept = size[i] > many and { '+', tostring(size[i]) } or {}
    for f = 1, #found[i], 2 do
      if changed[shared_of(found[i][f])] then
        kept[#kept + 1] = found[i][f]
        kept[#kept + 1] = found[i][f + 1]
      end
    end
    found[i] = kept
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
  for i = 3, #found do left = left - #found[i] end
  for i, totals in ipairs(totals_of(at + 2, hours)) do found[5 + i] = totals end
  return found
end

local at = 1
for arg = 5, #ARGV, 2 do
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
