-- Ends a reservation: settled (what happened is counted, what was held returns) or released (what was held returns).
-- KEYS  1 state  2 totals of the receiving hour  3 objects  4 changed objects  5 reservations  6 expiries  7 dirty  8 crossings
-- ARGV  1 run id  2 now ms  3 receiving hour ms  4 account  5 source  6 reservation id  7 action: settle | release
--       8 until when the answer is kept ms  9 storage: '' as reserved, d delta, s set  10 storage bytes
--      11 storage meter  12 the object's level as Postgres has it, or ''
--      13 usage given: 1 | 0 (as reserved)  then meter, quantity …
-- Answers a list that begins with a status:
--   1 ended now, 2 ended so before: exceeded 1 | 0, header, bucket, label, object, level before, after, usage "meter,quantity;…", gauge packed or ''
--  -1 load, why, epoch · -2 unknown id · -3 expired · -4 ended the other way before · -5 a meter is not loaded · -6 a counter is full
--  -7 the object's level is not here: object · -8 the level would pass 2^53 · -9 the life it was held in was lost
local run, now, hour, id, action = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[6], ARGV[7]
local packed = redis.call('HGET', KEYS[1], 'h')
if not packed then return { -1, 'absent', '0' } end
local h = unpack_header(packed)
if run_of(packed) ~= run then return { -1, 'run', int(h[H_EPOCH]) } end
now = math.max(now, h[H_DAY], h[H_MONTH])
if now >= h[H_DAY_END] or now >= h[H_MONTH_END] then return { -1, 'turned', int(h[H_EPOCH]) } end

local text = redis.call('HGET', KEYS[5], id)
if not text then return { -2 } end
local r = reservation_parts(text)
if r[1] ~= 'held' then
  if r[1] == 'expired' then return { -3 } end
  if r[1] ~= action then return { -4 } end
  return { 2, r[2], packed, '0', '', '', '0', '0', r[3], '' }
end
if now >= tonumber(r[3]) then return { -3 } end
if tonumber(r[2]) ~= h[H_EPOCH] then return { -9 } end

-- Gather: what was held, what is to be counted.
local held, counted, order = {}, {}, {}
local function note(into, name, quantity)
  if not held[name] and not counted[name] then order[#order + 1] = name end
  into[name] = (into[name] or 0) + quantity
end
if r[8] ~= '' then
  for _, part in ipairs(split(r[8], ';')) do
    local pair = split(part, ',')
    note(held, pair[1], tonumber(pair[2]))
    if action == 'settle' and ARGV[13] == '0' then note(counted, pair[1], tonumber(pair[2])) end
  end
end
if action == 'settle' then for i = 14, #ARGV, 2 do note(counted, ARGV[i], tonumber(ARGV[i + 1])) end end

local meters = {}
for _, name in ipairs(order) do
  local m = get_meter(KEYS[1], name)
  if not m then return { -5 } end
  meters[name] = m
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    if m[at + BASE] + m[at + SPENT] + (counted[name] or 0) > MAX then return { -6 } end
  end
end
local storage = r[9] ~= '' and split(r[9], ',') or nil
local moving = action == 'settle' and (ARGV[9] ~= '' or storage)
-- What is stored may be told only now, of a reservation that held none of it.
local gauge_name = storage and storage[1] or moving and ARGV[11]
local gauge = gauge_name and get_meter(KEYS[1], gauge_name)
if gauge_name and not gauge then return { -5 } end
local bytes, reserved = 0, 0
if gauge then
  local level = redis.call('HGET', KEYS[3], r[10])
  if level then bytes, reserved = object_level(level)
  elseif ARGV[12] ~= '' then bytes = tonumber(ARGV[12])
  elseif h[H_HAS_OBJECTS] == 1 then return { -7, r[10] } end
end
local asked, after = storage and tonumber(storage[4]) or 0, bytes
if moving then
  local kind, amount = ARGV[9], tonumber(ARGV[10])
  if kind == '' then kind, amount = storage[2], tonumber(storage[3]) end
  after = kind == 's' and amount or math.max(0, bytes + amount)
  if after > MAX or gauge[SPENT] + after - bytes > MAX then return { -8 } end
end

-- Write. The usage belongs to the window it was reserved in; a window that is over no longer stands in the counters.
local in_window = { [0] = tonumber(r[4]) == h[H_DAY], [PERIOD_SLOTS] = tonumber(r[5]) == h[H_MONTH] }
local label = int(h[H_EPOCH]) .. '/' .. ARGV[5] .. '/' .. r[6] .. '/' .. r[7] .. '/'
local exceeded, usage = 0, {}
for _, name in ipairs(order) do
  local m, quantity = meters[name], counted[name] or 0
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    if in_window[at] then
      m[at + HELD] = math.max(0, m[at + HELD] - (held[name] or 0))
      m[at + SPENT] = m[at + SPENT] + quantity
      local limit = limit_at(m, at)
      if limit ~= NONE and quantity > (held[name] or 0) and m[at + BASE] + m[at + SPENT] + m[at + HELD] > limit then exceeded = 1 end
    end
  end
  put_meter(KEYS[1], name, m)
  if quantity > 0 then
    redis.call('HINCRBY', KEYS[2], label .. name, int(quantity))
    usage[#usage + 1] = name .. ',' .. int(quantity)
    note_crossing(h, m, name, KEYS[8])
  end
end
if gauge then
  gauge[HELD] = math.max(0, gauge[HELD] - asked)
  reserved = math.max(0, reserved - asked)
  if after ~= bytes then
    move_gauge(h, gauge, gauge_name, after - bytes, now, KEYS[2])
    note_level_crossing(gauge, gauge_name, KEYS[8])
    redis.call('HSET', KEYS[4], r[10], int(h[H_EPOCH]) .. '/' .. int(h[H_SEQ]) .. '/' .. int(after) .. '/' .. int(now))
    if after - bytes > asked then
      local plan, cap = limit_at(gauge, 0), limit_at(gauge, PERIOD_SLOTS)
      if (plan ~= NONE and gauge[SPENT] + gauge[HELD] > plan) or (cap ~= NONE and gauge[SPENT] + gauge[HELD] > cap) then exceeded = 1 end
      if h[H_OBJECT_CEILING] ~= NONE and r[10] ~= '//' and after + reserved > h[H_OBJECT_CEILING] then exceeded = 1 end
    end
  end
  redis.call('HSET', KEYS[3], r[10], object_text(after, reserved))
  redis.call('HSET', KEYS[1], 'm:' .. gauge_name, pack_meter(gauge))
end
local used = table.concat(usage, ';')
redis.call('HSET', KEYS[5], id, table.concat({ action, exceeded, used }, '|'))
redis.call('ZADD', KEYS[6], ARGV[8], id)
if #usage > 0 or after ~= bytes then mark_changed(h, ARGV[4], hour, KEYS[1], KEYS[2], KEYS[7]) end
local header = pack_header(h, run)
redis.call('HSET', KEYS[1], 'h', header)
return { 1, exceeded, header, r[6], r[7], r[10], int(bytes), int(after), used, gauge and pack_meter(gauge) or '' }
