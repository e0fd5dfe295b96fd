-- Decides one operation against every limit of the account and, when all allow it, counts or holds it: all meters or none.
-- KEYS  1 state  2 totals of the receiving hour  3 objects  4 changed objects  5 idempotency today  6 idempotency yesterday
--       7 keys to be booked  8 reservations  9 expiries  10 dirty  11 crossings  12 idempotency tomorrow
-- ARGV  1 run id  2 catalogue version  3 now ms  4 receiving hour ms  5 account  6 mode: c consume, p peek, r reserve, f force
--         in capitals: a denial is not kept for the idempotency key, since limits may be raised and the operation asked again
--       7 source  8 service/namespace  9 idempotency field or ''  10 hash of the request  11 decision id
--      12 payload bytes or ''  13 object field  14 storage: '' none, d delta, s set  15 storage bytes
--      16 storage meter  17 the object's level as Postgres has it, or ''  18 reservation id or ''  19 its expiry ms
--      20 answer Postgres has for the idempotency field; 'none' when it has none; '' when it was not asked
--      21 the epoch in which Postgres was asked for either; in another it is asked again
--      then meter, quantity …
-- Answers a list that begins with a status:
--   1 allowed, 0 denied: header, object level before, after, refusals, answer kept, the leave under which quick.lua may count from here on
--      or '', the room of each counter joined by commas, then each meter packed, in the order asked (storage last)
--      refusals: p payload, oN object ceiling, N bytes of the object held, gN the Nth meter has room that cannot be granted; others are read off its numbers
--  -1 load, why (absent, run, turned, catalog, meter, lost), epoch · -2 the object's level is not here, epoch · -3 a grant is used up: as for 0
--  -4 reservations are due to expire first · -5 the idempotency key may be known to Postgres, epoch
--  -6 as many idempotency keys as are kept in a day were answered today
--   2 replayed: the kept answer · 3 the idempotency key stands for another request
local FIRST = 22
-- Of one account: at 260 bytes each, 2.6 GB. Whoever needs more takes leases, which need no keys.
local KEYS_A_DAY = 10000000
local run, now, hour, mode = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), string.lower(ARGV[6])
local keeps_denial = mode == ARGV[6]
local keyed = ARGV[9] ~= '' and mode ~= 'p'

if keyed then
  -- Tomorrow's too: the first try may have gone to a process whose clock is past midnight already.
  local seen = redis.call('HGET', KEYS[5], ARGV[9]) or redis.call('HGET', KEYS[6], ARGV[9]) or redis.call('HGET', KEYS[12], ARGV[9])
  if not seen and ARGV[20] ~= '' and ARGV[20] ~= 'none' then seen = ARGV[20] end
  if seen then
    if string.sub(seen, 1, 16) ~= ARGV[10] then return { 3 } end
    return { 2, string.sub(seen, 17) }
  end
end

local fields = { 'h' }
for i = FIRST, #ARGV, 2 do fields[#fields + 1] = 'm:' .. ARGV[i] end
local storing = ARGV[14] ~= ''
if storing then fields[#fields + 1] = 'm:' .. ARGV[16] end
local asked = #fields
fields[asked + 1], fields[asked + 2] = 'g', 'q'
local state = redis.call('HMGET', KEYS[1], unpack(fields))
if not state[1] then return { -1, 'absent', '0' } end
local h = unpack_header(state[1])
local epoch = int(h[H_EPOCH])
if run_of(state[1]) ~= run then return { -1, 'run', epoch } end
-- Another process' clock may lag over midnight by its skew; an account's window never runs backwards.
now = math.max(now, h[H_DAY], h[H_MONTH])
if now >= h[H_DAY_END] or now >= h[H_MONTH_END] then return { -1, 'turned', epoch } end
if tonumber(ARGV[2]) > h[H_CATALOG] then return { -1, 'catalog', epoch } end
-- Totals of this hour were written and are gone: the key was lost, and with it usage that only its sources still hold.
if hour == h[H_HOUR] and redis.call('EXISTS', KEYS[2]) == 0 then return { -1, 'lost', epoch } end
if h[H_EXPIRY] ~= NONE and now >= h[H_EXPIRY] then return { -4 } end
-- What was acknowledged meanwhile in a life that was lost is in Postgres since this one was opened.
local is_asked = ARGV[21] == epoch
if keyed and not (is_asked and ARGV[20] ~= '') and now < h[H_KEYS_COLD] then return { -5, epoch } end
if keyed and redis.call('HLEN', KEYS[5]) >= KEYS_A_DAY then return { -6 } end

local before, reserved, after, growth = 0, 0, 0, 0
if storing then
  local level = redis.call('HGET', KEYS[3], ARGV[13])
  if level then before, reserved = object_level(level)
  elseif is_asked and ARGV[17] ~= '' then before = tonumber(ARGV[17])
  elseif h[H_HAS_OBJECTS] == 1 then return { -2, epoch } end
  after = tonumber(ARGV[15])
  if ARGV[14] == 'd' then after = math.max(0, before + after) end
  growth = after - before
end

-- Pass one: test.
local refusals, denied, needs_grant = '', false, false
local enforced = mode ~= 'f'
if enforced and ARGV[12] ~= '' and h[H_PAYLOAD_CEILING] ~= NONE and tonumber(ARGV[12]) > h[H_PAYLOAD_CEILING] then
  refusals, denied = 'p', true
end
local meters, last = {}, asked - (storing and 1 or 0)
for i = 2, last do
  if not state[i] then return { -1, 'meter', epoch } end
  local m, q = read_meter(state[i], state[asked + 2]), tonumber(ARGV[FIRST + (i - 2) * 2 + 1])
  meters[i] = m
  if q > 0 then
    for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
      local limit = enforced and limit_at(m, at) or NONE
      -- A correction may make the base negative; what is spent must stay exact all the same.
      if m[at + BASE] + m[at + SPENT] + m[at + HELD] + q > (limit == NONE and MAX or limit) then denied = true
      elseif m[at + SPENT] + m[at + HELD] + q > MAX then denied = true
      elseif limit ~= NONE and m[at + SPENT] + m[at + HELD] + q > m[at + GRANTED] then
        if m[at + MORE] == 1 then needs_grant = true else refusals, denied = refusals .. 'g' .. (i - 2), true end
      end
    end
  end
end
if storing then
  if not state[asked] then return { -1, 'meter', epoch } end
  local g = unpack_meter(state[asked])
  meters[asked] = g
  if growth > 0 then
    if enforced and h[H_OBJECT_CEILING] ~= NONE and ARGV[13] ~= '//' and after + reserved > h[H_OBJECT_CEILING] then
      refusals, denied = refusals .. 'o' .. int(reserved), true
    end
    local top, limited = g[SPENT] + g[HELD] + growth, false
    for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
      local limit = enforced and limit_at(g, at) or NONE
      if limit ~= NONE then limited = true end
      if top > (limit == NONE and MAX or limit) then denied = true end
    end
    if limited and top > g[GRANTED] then
      if g[MORE] == 1 then needs_grant = true else refusals, denied = refusals .. 'g' .. (asked - 2), true end
    end
  end
end

-- Pass two: write, once everything is known to hold. A refused, peeked or postponed operation writes no counter.
local status = denied and 0 or needs_grant and -3 or 1
local guard, rooms = state[asked + 1] or '', state[asked + 2] or ''
local held = mode == 'r'
if status == 1 and mode ~= 'p' then
  local writes, changed, record = {}, false, {}
  local bucket = bucket_at(h, hour)
  local label = epoch .. '/' .. ARGV[7] .. '/' .. int(bucket) .. '/' .. ARGV[8] .. '/'
  for i = 2, last do
    local name, quantity = ARGV[FIRST + (i - 2) * 2], ARGV[FIRST + (i - 2) * 2 + 1]
    if quantity ~= '0' then
      local m, q = meters[i], tonumber(quantity)
      local slot = held and HELD or SPENT
      m[slot] = m[slot] + q
      m[PERIOD_SLOTS + slot] = m[PERIOD_SLOTS + slot] + q
      if m[PLACE] == NONE then m[PLACE] = #rooms / 8 end
      rooms = with_room(rooms, m)
      writes[#writes + 1] = 'm:' .. name
      writes[#writes + 1] = pack_meter(m)
      if held then record[#record + 1] = name .. ',' .. quantity
      else
        redis.call('HINCRBY', KEYS[2], label .. name, quantity)
        note_crossing(h, m, name, KEYS[11])
      end
      changed = true
    end
  end
  if changed then
    writes[#writes + 1] = 'q'
    writes[#writes + 1] = rooms
  end
  if storing then
    local g = meters[asked]
    if held then
      local asked = math.max(0, growth)
      g[HELD] = g[HELD] + asked
      redis.call('HSET', KEYS[3], ARGV[13], object_text(before, reserved + asked))
      changed = true
    else
      redis.call('HSET', KEYS[3], ARGV[13], object_text(after, reserved))
      if growth ~= 0 then
        move_gauge(h, g, ARGV[16], growth, now, KEYS[2])
        note_level_crossing(g, ARGV[16], KEYS[11])
        redis.call('HSET', KEYS[4], ARGV[13], epoch .. '/' .. int(h[H_SEQ]) .. '/' .. int(after) .. '/' .. int(now))
        changed = true
      end
    end
    writes[#writes + 1] = 'm:' .. ARGV[16]
    writes[#writes + 1] = pack_meter(g)
  end
  if held then
    local expires = tonumber(ARGV[19])
    local storage = storing and table.concat({ ARGV[16], ARGV[14], ARGV[15], int(math.max(0, growth)) }, ',') or ''
    redis.call('HSET', KEYS[8], ARGV[18], table.concat({ 'held', epoch, ARGV[19], int(h[H_DAY]), int(h[H_MONTH]), int(bucket), ARGV[8],
      table.concat(record, ';'), storage, ARGV[13] }, '|'))
    redis.call('ZADD', KEYS[9], ARGV[19], ARGV[18])
    if h[H_EXPIRY] == NONE or expires < h[H_EXPIRY] then h[H_EXPIRY] = expires end
    writes[#writes + 1] = 'h'
    writes[#writes + 1] = pack_header(h, run)
    redis.call('HDEL', KEYS[1], 'g')
    guard = ''
  elseif changed then
    mark_changed(h, ARGV[5], hour, KEYS[1], KEYS[2], KEYS[10])
    writes[#writes + 1] = 'h'
    writes[#writes + 1] = pack_header(h, run)
    -- From here on quick.lua may count, until something else than spending changes what stands here. No two leaves of a life are alike.
    if guard == '' then
      guard = epoch .. '.' .. int(h[H_CHANGES])
      writes[#writes + 1] = 'g'
      writes[#writes + 1] = guard
    end
  end
  if #writes > 0 then redis.call('HSET', KEYS[1], unpack(writes)) end
end

-- What of a limit cannot be granted when all that can be was: lent to other lives of the account (layout.ts says the same).
local function stranded_at(m, at, is_gauge)
  local first = is_gauge and 0 or at
  if m[first + MORE] ~= 0 then return 0 end
  local limit, granted = limit_at(m, at), m[first + GRANTED]
  if is_gauge then
    local other = limit_at(m, PERIOD_SLOTS - at)
    if limit == NONE or (other ~= NONE and other < limit) then limit = other end
  else granted = granted + m[at + BASE] end
  return limit == NONE and 0 or math.max(0, limit - granted)
end

-- Keep the answer, in text, about 30 bytes a meter: the day's then the month's plan, cap, used, held; then what of both is stranded, if any.
local kept = ''
if keyed and (status == 1 or (status == 0 and keeps_denial)) then
  local parts = { table.concat({ status, ARGV[11], int(before), int(after), refusals, int(h[H_DAY_END]), int(h[H_MONTH_END]),
    int(h[H_OBJECT_CEILING]), int(h[H_PAYLOAD_CEILING]), status == 1 and ARGV[18] or '', ARGV[19] }, ',') }
  for i = 2, asked do
    local m, numbers = meters[i], {}
    for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
      local used, reserving = m[at + BASE] + m[at + SPENT], m[at + HELD]
      if i > last then used, reserving = m[SPENT], m[HELD] end
      numbers[#numbers + 1] = table.concat({ int(m[at + PLAN]), int(m[at + CAP]), int(used), int(reserving) }, ',')
    end
    local day, month = stranded_at(m, 0, i > last), stranded_at(m, PERIOD_SLOTS, i > last)
    if day > 0 or month > 0 then numbers[3] = int(day) .. ',' .. int(month) end
    parts[#parts + 1] = table.concat(numbers, ',')
  end
  kept = ARGV[10] .. table.concat(parts, ';')
  redis.call('HSET', KEYS[5], ARGV[9], kept)
  if redis.call('HLEN', KEYS[5]) == 1 then redis.call('EXPIRE', KEYS[5], 172800) end
  redis.call('HSET', KEYS[7], ARGV[9], int(now) .. '/' .. kept)
  if h[H_DIRTY] == 0 then
    mark_changed(h, ARGV[5], hour, KEYS[1], KEYS[2], KEYS[10])
    redis.call('HSET', KEYS[1], 'h', pack_header(h, run))
  end
end

local left = {}
for i = 2, last do left[i - 1] = int(room_of(meters[i])) end
local answer = { status, pack_header(h, run), int(before), int(after), refusals, kept, guard, table.concat(left, ',') }
for i = 2, asked do answer[#answer + 1] = pack_meter(meters[i]) end
return answer
