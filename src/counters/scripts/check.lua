-- Decides one operation against every limit of the account and, when all allow it, counts it: all meters or none.
-- KEYS  1 state  2 totals of the receiving hour  3 objects  4 changed objects  5 idempotency today  6 idempotency yesterday  7 dirty
-- ARGV  1 run id  2 catalogue version  3 now ms  4 receiving hour ms  5 account  6 mode: c consume, p peek
--       7 source  8 service/namespace  9 idempotency field or ''  10 hash of the request  11 decision id
--      12 payload bytes or ''  13 object field or ''  14 storage: '' none, d delta, s set  15 storage bytes
--      16 storage meter  17 the object's level as Postgres has it, or ''  then meter, quantity …
-- Answers a list that begins with a status:
--   1 allowed, 0 denied: header, object level before, after, refusals, then each meter packed, in the order asked (storage last)
--      refusals: p payload, o object ceiling, s account storage, n missing: one letter each; a meter's own are read off its numbers
--  -1 load, why (absent, run, turned, catalog, meter, lost), epoch · -2 the object's level is not here · -3 a grant is used up: as for 0
--   2 replayed: the stored answer (see remember below) · 3 the idempotency key stands for another request
local run, now, hour, mode = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[6]
local keyed = ARGV[9] ~= ''

if keyed then
  local seen = redis.call('HGET', KEYS[5], ARGV[9]) or redis.call('HGET', KEYS[6], ARGV[9])
  if seen then
    if string.sub(seen, 1, 16) ~= ARGV[10] then return { 3 } end
    return { 2, string.sub(seen, 17) }
  end
end

local fields = { 'h' }
for i = 18, #ARGV, 2 do fields[#fields + 1] = 'm:' .. ARGV[i] end
local storing = ARGV[14] ~= ''
if storing then fields[#fields + 1] = 'm:' .. ARGV[16] end
local state = redis.call('HMGET', KEYS[1], unpack(fields))
if not state[1] then return { -1, 'absent', '0' } end
local h = unpack_header(state[1])
local epoch = int(h[H_EPOCH])
if run_of(state[1]) ~= run then return { -1, 'run', epoch } end
-- Another process' clock may lag over midnight by its skew; an account's window never runs backwards.
if now < h[H_DAY] then now = h[H_DAY] end
if now < h[H_MONTH] then now = h[H_MONTH] end
if now >= h[H_DAY_END] or now >= h[H_MONTH_END] then return { -1, 'turned', epoch } end
if tonumber(ARGV[2]) > h[H_CATALOG] then return { -1, 'catalog', epoch } end
-- Totals of this hour were written and are gone: the key was lost, and with it usage that only its sources still hold.
if hour == h[H_HOUR] and redis.call('EXISTS', KEYS[2]) == 0 then return { -1, 'lost', epoch } end

local before, after, growth = 0, 0, 0
local refusals, needs_grant = '', false
if storing then
  local level = redis.call('HGET', KEYS[3], ARGV[13])
  if not level then
    if ARGV[17] ~= '' then level = ARGV[17]
    elseif h[H_HAS_OBJECTS] == 0 then level = 0
    else return { -2 } end
  end
  before = tonumber(level)
  after = tonumber(ARGV[15])
  if ARGV[14] == 'd' then after = math.max(0, before + after) end
  growth = after - before
end

if ARGV[12] ~= '' and h[H_PAYLOAD_CEILING] ~= NONE and tonumber(ARGV[12]) > h[H_PAYLOAD_CEILING] then refusals = 'p' end

-- Pass one: test.
local meters, last = {}, #state - (storing and 1 or 0)
local denied = refusals ~= ''
for i = 2, last do
  if not state[i] then return { -1, 'meter', epoch } end
  local m, q = unpack_meter(state[i]), tonumber(ARGV[14 + i * 2 + 1])
  meters[i] = m
  if q > 0 then
    for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
      local limit = limit_at(m, at)
      local used = m[at + BASE] + m[at + SPENT] + m[at + HELD]
      if used + q > (limit == NONE and MAX or limit) then denied = true
      elseif limit ~= NONE and m[at + SPENT] + m[at + HELD] + q > m[at + GRANTED] then
        if m[at + MORE] == 1 then needs_grant = true else denied = true end
      end
    end
  end
end
if storing then
  if not state[#state] then return { -1, 'meter', epoch } end
  local g = unpack_meter(state[#state])
  meters[#state] = g
  if growth > 0 then
    if h[H_OBJECT_CEILING] ~= NONE and ARGV[13] ~= '//' and after > h[H_OBJECT_CEILING] then
      refusals, denied = refusals .. 'o', true
    end
    for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
      local limit = limit_at(g, at)
      if g[at + SPENT] + g[at + HELD] + growth > (limit == NONE and MAX or limit) then
        refusals, denied = refusals .. 's', true
        break
      end
    end
  end
end

-- Pass two: write, once everything is known to hold. A refused, peeked or postponed operation writes no counter.
local status = denied and 0 or needs_grant and -3 or 1
if status == 1 and mode == 'c' then
  local writes = {}
  -- An hour that holds a window's start is cut there, so that every bucket lies in one window.
  local bucket = math.max(hour, h[H_DAY], h[H_MONTH])
  local label = epoch .. '/' .. ARGV[7] .. '/' .. int(bucket) .. '/' .. ARGV[8] .. '/'
  local counted = false
  for i = 2, last do
    local name, quantity = ARGV[14 + i * 2], ARGV[14 + i * 2 + 1]
    if quantity ~= '0' then
      local m, q = meters[i], tonumber(quantity)
      m[SPENT] = m[SPENT] + q
      m[PERIOD_SLOTS + SPENT] = m[PERIOD_SLOTS + SPENT] + q
      writes[#writes + 1] = 'm:' .. name
      writes[#writes + 1] = pack_meter(m)
      redis.call('HINCRBY', KEYS[2], label .. name, quantity)
      counted = true
    end
  end
  if storing then
    local g = meters[#state]
    for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do g[at + SPENT] = math.max(0, g[at + SPENT] + growth) end
    writes[#writes + 1] = 'm:' .. ARGV[16]
    writes[#writes + 1] = pack_meter(g)
    redis.call('HSET', KEYS[3], ARGV[13], int(after))
    if growth ~= 0 then
      h[H_SEQ] = h[H_SEQ] + 1
      redis.call('HSET', KEYS[4], ARGV[13], epoch .. '/' .. int(h[H_SEQ]) .. '/' .. int(after) .. '/' .. int(now))
      counted = true
    end
  end
  if counted then
    if h[H_HOUR] ~= hour then
      local hours = redis.call('HGET', KEYS[1], 'hours') or ''
      if not string.find(hours, int(hour), 1, true) then redis.call('HSET', KEYS[1], 'hours', hours .. int(hour) .. ',') end
      -- Only totals prove that the hour's key must exist; storage alone does not write any.
      if redis.call('EXISTS', KEYS[2]) == 1 then h[H_HOUR] = hour end
    end
    h[H_CHANGES] = h[H_CHANGES] + 1
    if h[H_DIRTY] == 0 then
      redis.call('SADD', KEYS[7], ARGV[5])
      h[H_DIRTY] = 1
    end
    writes[#writes + 1] = 'h'
    writes[#writes + 1] = pack_header(h, run)
  end
  if #writes > 0 then redis.call('HSET', KEYS[1], unpack(writes)) end
end

local answer = { status, pack_header(h, run), int(before), int(after), refusals }
for i = 2, #state do answer[#answer + 1] = pack_meter(meters[i]) end

-- Remember: the answer in text, about 30 bytes a meter: the day's then the month's plan, cap, used, held.
if keyed and mode == 'c' and status >= 0 then
  local kept = { table.concat({ status, ARGV[11], int(before), int(after), refusals, int(h[H_DAY_END]), int(h[H_MONTH_END]),
    int(h[H_OBJECT_CEILING]), int(h[H_PAYLOAD_CEILING]) }, ',') }
  for i = 2, #state do
    local m, numbers = meters[i], {}
    for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
      numbers[#numbers + 1] = table.concat({ int(m[at + PLAN]), int(m[at + CAP]), int(m[at + BASE] + m[at + SPENT]), int(m[at + HELD]) }, ',')
    end
    kept[#kept + 1] = table.concat(numbers, ',')
  end
  redis.call('HSET', KEYS[5], ARGV[9], ARGV[10] .. table.concat(kept, ';'))
  if redis.call('HLEN', KEYS[5]) == 1 then redis.call('EXPIRE', KEYS[5], 172800) end
end
return answer
