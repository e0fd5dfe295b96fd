-- Installs what Postgres says of an account: a new epoch, or newer windows, limits and sums for the present one.
-- KEYS  1 state  2 objects  3 changed objects  4 expiries  5 leases  6 crossings  7 dirty  8 reservations
-- ARGV  1 run id  2 kind: open | refresh  3 the epoch of this run that an open may replace, or 0  4 meters named
--       5 epoch  6 limits version  7 catalogue version  8 foreign seq  9 day start  10 day end  11 month start  12 month end
--      13 object ceiling  14 payload ceiling  15 Postgres has objects: 1 | 0  16 now ms
--      17 until when an unknown idempotency key is looked up in Postgres, ms; 0 where there can be none
--      then by meter: name, gauge 1 | 0, level, and for day, then month: plan limit, cap, base, lowest threshold
--      at the end: the epoch that was closed here in good order and whose reservations go on, or 0; account; what its limits follow from (any text)
-- Answers {1, epoch} when installed; {0, epoch} when the state is already newer or of another epoch (nothing changed).
local run, kind, now = ARGV[1], ARGV[2], tonumber(ARGV[16])
local new = {}
for i = 5, 14 do new[i - 4] = tonumber(ARGV[i]) end
local packed = redis.call('HGET', KEYS[1], 'h')
local h = packed and unpack_header(packed)
local same_run = packed and run_of(packed) == run
local before = packed and unpack_header(packed)

local opening = kind == 'open'
local holds = {}
if opening then
  if same_run and h[H_EPOCH] ~= tonumber(ARGV[3]) then return { 0, int(h[H_EPOCH]) } end
  if ARGV[#ARGV - 2] ~= '0' then holds = open_holds(KEYS[8], KEYS[4], ARGV[#ARGV - 2], now) or {} end
  local levels = {}
  for _, hold in ipairs(holds) do
    local object = hold[2][10]
    if hold[2][9] ~= '' then levels[object] = redis.call('HGET', KEYS[2], object) end
  end
  -- What another incarnation left here was booked before this epoch was opened; its object levels come again from Postgres.
  -- Leases of the last epoch stand against what Postgres lent to that one; it knows them too.
  redis.call('DEL', KEYS[2], KEYS[3], KEYS[5])
  -- After a good end a level is here what it is in Postgres, and says besides what is held of the object.
  for object, level in pairs(levels) do redis.call('HSET', KEYS[2], object, level) end
  for _, hold in ipairs(holds) do
    hold[2][2] = ARGV[5]
    redis.call('HSET', KEYS[8], hold[1], table.concat(hold[2], '|', 1, 10))
  end
  -- Reservations of an epoch that was lost hold nothing here; the earliest tells when they are to be cleared away.
  local first = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
  h = { new[1], 0, 0, new[4], new[5], new[6], new[7], new[8], NONE, NONE, 0, packed and h[H_CHANGES] + 1 or new[1] * 1e9, 0, 0,
    tonumber(ARGV[15]), first[2] and tonumber(first[2]) or NONE, tonumber(ARGV[17]) }
elseif not same_run or h[H_EPOCH] ~= new[H_EPOCH] then
  return { 0, packed and int(h[H_EPOCH]) or '0' }
end

-- Sums older than those Redis has been told would put a turned window on a stale base: the caller reads again.
if not opening and new[H_FOREIGN] < h[H_FOREIGN] then return { 0, int(h[H_EPOCH]) } end

local newer_limits = new[H_LIMITS] >= h[H_LIMITS] and new[H_CATALOG] >= h[H_CATALOG]
local newer_sums = new[H_FOREIGN] > h[H_FOREIGN]
local turned = { [0] = new[H_DAY] > h[H_DAY], [PERIOD_SLOTS] = new[H_MONTH] > h[H_MONTH] }
local current = { [0] = new[H_DAY] == h[H_DAY], [PERIOD_SLOTS] = new[H_MONTH] == h[H_MONTH] }

local function set_limits(m, arg)
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    m[at + PLAN], m[at + CAP] = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
    arg = arg + 4
  end
  m[MORE] = 1
end

-- A gauge has one level: the lower of its two thresholds is its mark.
local function gauge_mark(arg)
  local day, month = tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 7])
  if day == NONE or (month ~= NONE and month < day) then return month end
  return day
end

local function new_gauge(level, arg)
  local g = { 0, 0, level, 1, now, level, 0, NONE, 0, 0, 0, 0, now, bucket_at(h, now - now % HOUR_MS), 0, NONE, NONE }
  set_limits(g, arg)
  g[MARK] = gauge_mark(arg)
  return g
end

local function new_counter(arg)
  local m = { [PLACE] = NONE }
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    m[at + GRANTED], m[at + MORE], m[at + BASE], m[at + SPENT], m[at + HELD], m[at + MARK] = 0, 1, tonumber(ARGV[arg + 2]), 0, 0,
      tonumber(ARGV[arg + 3])
    m[at + PLAN], m[at + CAP] = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
    arg = arg + 4
  end
  return m
end

local function refresh_counter(m, arg)
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    local base = tonumber(ARGV[arg + 2])
    if turned[at] then m[at + GRANTED], m[at + MORE], m[at + BASE], m[at + SPENT], m[at + HELD] = 0, 1, base, 0, 0
    elseif current[at] and newer_sums then m[at + BASE], m[at + MORE] = base, 1 end
    if newer_limits then
      m[at + PLAN], m[at + CAP], m[at + MORE], m[at + MARK] = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]), 1, tonumber(ARGV[arg + 3])
    end
    arg = arg + 4
  end
end

-- Read first: what was reached the quick way, which notes nothing, is noted under what stands till now.
local meters, at_arg = {}, 18
for _ = 1, tonumber(ARGV[4]) do
  local name = ARGV[at_arg]
  local m = same_run and get_meter(KEYS[1], name)
  if m then
    meters[name] = m
    if m[PLACE] ~= NONE then note_crossing(before, m, name, KEYS[6]) end
  end
  at_arg = at_arg + 11
end

-- What was noted so far was reached in the windows and under the limits that stood till now: the notes say so from here on. Whoever
-- tells them later would take them for reached under the new ones.
local limits = redis.call('HGET', KEYS[1], 'limits') or ''
if before and (opening or turned[0] or turned[PERIOD_SLOTS] or (newer_limits and limits ~= ARGV[#ARGV])) then
  local stood = table.concat({ int(before[H_LIMITS]), int(before[H_DAY]), int(before[H_DAY_END]), int(before[H_MONTH]), int(before[H_MONTH_END]) }, ',')
  local noted = redis.call('HGETALL', KEYS[6])
  for i = 1, #noted, 2 do
    if not string.find(noted[i], '|', 1, true) then
      redis.call('HDEL', KEYS[6], noted[i])
      redis.call('HSET', KEYS[6], noted[i] .. '|' .. stood .. '|' .. limits, noted[i + 1])
    end
  end
end

local held = held_by_meter(holds, h)
local writes, gauges, counters, marked = {}, {}, {}, {}
local rooms = not opening and redis.call('HGET', KEYS[1], 'q') or ''
at_arg = 18
for _ = 1, tonumber(ARGV[4]) do
  local name, gauge, level, arg = ARGV[at_arg], ARGV[at_arg + 1] == '1', tonumber(ARGV[at_arg + 2]), at_arg + 3
  local m = not opening and meters[name]
  if not m then m = gauge and new_gauge(level, arg) or new_counter(arg)
  elseif not gauge then refresh_counter(m, arg)
  elseif newer_limits then
    set_limits(m, arg)
    m[MARK] = gauge_mark(arg)
  end
  if held[name] then m[HELD], m[PERIOD_SLOTS + HELD] = m[HELD] + held[name][0], m[PERIOD_SLOTS + HELD] + held[name][PERIOD_SLOTS] end
  writes[#writes + 1] = 'm:' .. name
  writes[#writes + 1] = pack_meter(m)
  rooms = with_room(rooms, m)
  if not gauge and (m[MARK] ~= NONE or m[PERIOD_SLOTS + MARK] ~= NONE) then marked[#marked + 1] = name end
  if gauge then gauges[ARGV[at_arg]] = m else counters[ARGV[at_arg]] = m end
  at_arg = at_arg + 11
end

if newer_limits then
  h[H_LIMITS], h[H_CATALOG], h[H_OBJECT_CEILING], h[H_PAYLOAD_CEILING] = new[H_LIMITS], new[H_CATALOG], new[H_OBJECT_CEILING], new[H_PAYLOAD_CEILING]
  writes[#writes + 1] = 'limits'
  writes[#writes + 1] = ARGV[#ARGV]
end
-- Sums read for windows that are over say nothing of the present ones: taken for told, the present ones would never hear theirs.
local behind = new[H_DAY] < h[H_DAY] or new[H_MONTH] < h[H_MONTH]
if newer_sums and not behind then h[H_FOREIGN] = new[H_FOREIGN] end
if turned[0] then h[H_DAY], h[H_DAY_END] = new[H_DAY], new[H_DAY_END] end
if turned[PERIOD_SLOTS] then
  h[H_MONTH], h[H_MONTH_END] = new[H_MONTH], new[H_MONTH_END]
  -- Every lease here was of the month that is over: it holds nothing any more, and Postgres takes what is settled late.
  redis.call('DEL', KEYS[5])
end
-- A limit below what is used, a level that stands in a new window, usage that came past the checks: reached without a count of ours.
for name, m in pairs(counters) do note_crossing(h, m, name, KEYS[6]) end
for name, g in pairs(gauges) do note_level_crossing(g, name, KEYS[6]) end
if h[H_DIRTY] == 0 and redis.call('HLEN', KEYS[6]) > 0 then
  redis.call('SADD', KEYS[7], ARGV[#ARGV - 1])
  h[H_DIRTY] = 1
end
writes[#writes + 1] = 'q'
writes[#writes + 1] = rooms
writes[#writes + 1] = 'marked'
writes[#writes + 1] = table.concat(marked, ',')
writes[#writes + 1] = 'h'
writes[#writes + 1] = pack_header(h, run)
if opening then
  -- A meter that this life does not name is none of it, and its place is another's by now.
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 2) == 'm:' then redis.call('HDEL', KEYS[1], field) end
  end
end
redis.call('HSET', KEYS[1], unpack(writes))
redis.call('HDEL', KEYS[1], 'g', 'closed')
return { 1, int(h[H_EPOCH]) }
