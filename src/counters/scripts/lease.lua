-- Lends to a holder, and takes its account of what it has spent: grant, settle with or without more, return. All meters in one step.
-- KEYS  1 state  2 totals of the receiving hour  3 leases  4 dirty  5 crossings
-- ARGV  1 run id  2 catalogue version  3 now ms  4 receiving hour ms  5 account  6 lease, its name within the account
--       7 kind: g grant, s settle, c settle and return the rest  8 seq, '' for none  9 ttl ms (g)  10 hash of the request (g)
--      11 fair: 1 | 0  12 the epoch of a lease that Postgres knows and Redis may not, or ''  13 its record  14 number of totals
--       then totals: service/namespace/meter, quantity …  then what is asked for: meter, quantity …
-- Answers a list that begins with a status:
--   1 done, 2 done before: header, record after, recall 1 | 0, then each meter of the lease, of the totals and asked for: name, packed
--  -3 a grant is used up: header, then each meter asked for: quantity to be lent, packed as it would stand before. Nothing is written
--  -1 load, why, epoch · -2 unknown here: epoch, month start · -4 reservations are due to expire first · -6 too many leases
--   3 the lease stands for another request
local LAST = 14
-- Of one account, at 250 bytes each; those of crashed holders stay until the billing month ends.
local LEASES_MAX = 1000
local RECALL_MS = 2000
-- A fair share below a sixteenth of what is asked for would be spent before the next heartbeat: then it is left to direct checks.
local LEAST_SHARE = 16
local R_STATE, R_SEQ, R_DAY, R_DAY_END, R_MONTH, R_MONTH_END, R_BUCKET, R_EXPIRES, R_TTL, R_HASH, R_VERSION, R_EXCEEDED, R_GRANTED, R_FIRM, R_TOTALS, R_TOLD =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16

local run, now, hour, lease, kind = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[6], ARGV[7]
local packed = redis.call('HGET', KEYS[1], 'h')
if not packed then return { -1, 'absent', '0' } end
local h = unpack_header(packed)
local epoch = int(h[H_EPOCH])
if run_of(packed) ~= run then return { -1, 'run', epoch } end
now = math.max(now, h[H_DAY], h[H_MONTH])
if now >= h[H_DAY_END] or now >= h[H_MONTH_END] then return { -1, 'turned', epoch } end
if kind == 'g' and tonumber(ARGV[2]) > h[H_CATALOG] then return { -1, 'catalog', epoch } end
if hour == h[H_HOUR] and redis.call('EXISTS', KEYS[2]) == 0 then return { -1, 'lost', epoch } end

-- Amounts by name, in the order written: "name,quantity;…".
local function read_list(text)
  local list = { order = {} }
  for name, n in string.gmatch(text, '([^,;]+),(%d+)') do
    list.order[#list.order + 1] = name
    list[name] = tonumber(n)
  end
  return list
end
local function add(list, name, n)
  if not list[name] then list.order[#list.order + 1] = name end
  list[name] = (list[name] or 0) + n
end
local function list_text(list)
  local parts = {}
  for i, name in ipairs(list.order) do parts[i] = name .. ',' .. int(list[name]) end
  return table.concat(parts, ';')
end
local function meter_of(label)
  return string.match(label, '[^/]*$')
end

-- The lease as it stands.
local text = redis.call('HGET', KEYS[3], lease)
local bucket = bucket_at(h, hour)
local r, replayed
if kind == 'g' then
  if text then
    r, replayed = split(text, '|'), true
    if r[R_HASH] ~= ARGV[10] then return { 3 } end
  else
    if redis.call('HLEN', KEYS[3]) >= LEASES_MAX then return { -6 } end
    local ttl = tonumber(ARGV[9])
    r = { 'open', '-1', int(h[H_DAY]), int(h[H_DAY_END]), int(h[H_MONTH]), int(h[H_MONTH_END]), int(bucket), '0', ARGV[9], ARGV[10], '0', '0', '', '', '' }
  end
else
  if not text and ARGV[12] == epoch then text = ARGV[13] end
  if not text then return { -2, epoch, int(h[H_MONTH]) } end
  r = split(text, '|')
  replayed = ARGV[8] ~= '' and tonumber(ARGV[8]) <= tonumber(r[R_SEQ])
end
local granted, totals = read_list(r[R_GRANTED]), read_list(r[R_TOTALS])
local open, current = r[R_STATE] == 'open', tonumber(r[R_BUCKET]) == bucket
local in_window = { [0] = tonumber(r[R_DAY]) == h[H_DAY], [PERIOD_SLOTS] = tonumber(r[R_MONTH]) == h[H_MONTH] }

-- Gather: what is spent by meter, before and after, and every meter concerned.
local first_ask = LAST + 1 + 2 * tonumber(ARGV[14])
local spent, more, meters, names = {}, {}, {}, {}
local function concern(name)
  if meters[name] == nil then
    names[#names + 1] = name
    meters[name] = false
  end
end
for _, name in ipairs(granted.order) do concern(name) end
for _, label in ipairs(totals.order) do
  local name = meter_of(label)
  concern(name)
  spent[name] = (spent[name] or 0) + totals[label]
end
for i = LAST + 1, first_ask - 1, 2 do
  local label, total = ARGV[i], tonumber(ARGV[i + 1])
  local name = meter_of(label)
  concern(name)
  local grown = total - (totals[label] or 0)
  if grown > 0 then more[name] = (more[name] or 0) + grown end
end
for i = first_ask, #ARGV, 2 do concern(ARGV[i]) end
for _, name in ipairs(names) do
  meters[name] = get_meter(KEYS[1], name)
  if not meters[name] then return { -1, 'meter', epoch } end
end

local function answer(status, recall)
  local reply = { status, pack_header(h, run), table.concat(r, '|'), recall and '1' or '0' }
  for _, name in ipairs(names) do
    reply[#reply + 1] = name
    reply[#reply + 1] = pack_meter(meters[name])
  end
  return reply
end
local recalled_until = redis.call('HGET', KEYS[3], '!recall')
local recall = recalled_until and now < tonumber(recalled_until) or false
if replayed then return answer(2, recall) end

-- A lease that has expired unsettled is taken back by its holder alone, once that has said what it spent: whoever else returns it does not know.
local expires = tonumber(r[R_EXPIRES])
local unsettled = kind == 'c' and ARGV[8] == '' and open and now >= expires and tonumber(r[R_TOLD] or NONE) < expires
local asking, closing = #ARGV >= first_ask and open and current and kind ~= 'c', kind == 'c' and open and not unsettled
if asking and h[H_EXPIRY] ~= NONE and now >= h[H_EXPIRY] then return { -4 } end

-- What is spent moves from held to spent; what is spent beyond what was lent happened too. A window that is over no longer stands here.
for _, name in ipairs(names) do
  local m, before, grown = meters[name], spent[name] or 0, more[name] or 0
  local lent = granted[name] or 0
  local held = open and math.max(0, lent - before) or 0
  local holds = open and not closing and math.max(0, lent - before - grown) or 0
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    if in_window[at] then
      -- Past 2^53 nothing is exact; a holder that says so is wrong about itself.
      local fits = math.min(grown, math.max(0, MAX - m[at + BASE] - m[at + SPENT]), MAX - m[at + SPENT])
      m[at + HELD] = math.max(0, m[at + HELD] - held + holds)
      m[at + SPENT] = m[at + SPENT] + fits
      local limit = limit_at(m, at)
      if limit ~= NONE and grown > held and m[at + BASE] + m[at + SPENT] + m[at + HELD] > limit then r[R_EXCEEDED] = '1' end
    end
  end
end

-- What is asked for: as much as every limit leaves, and Postgres has granted or may still grant.
local short, needs_grant, gifts, needs = false, false, {}, {}
if asking then
  local holders = math.max(1, redis.call('HLEN', KEYS[3]) + (kind == 'g' and 1 or 0) - (recalled_until and 1 or 0))
  for i = first_ask, #ARGV, 2 do
    local name, asked = ARGV[i], tonumber(ARGV[i + 1])
    local m, gift, limited = meters[name], asked, false
    for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
      local limit = limit_at(m, at)
      local taken = m[at + SPENT] + m[at + HELD]
      if limit ~= NONE then limited = true end
      gift = math.min(gift, math.max(0, (limit == NONE and MAX or limit) - m[at + BASE] - taken), math.max(0, MAX - taken))
    end
    if gift < asked then short = true end
    if limited and ARGV[11] == '1' then
      local free = MAX
      for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
        local limit = limit_at(m, at)
        if limit ~= NONE then free = math.min(free, math.max(0, limit - m[at + BASE] - m[at + SPENT] - m[at + HELD])) end
      end
      gift = math.min(gift, math.floor(free / (2 * holders)))
      if gift * LEAST_SHARE < asked then gift = 0 end
    end
    for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
      local room = m[at + GRANTED] - m[at + SPENT] - m[at + HELD]
      if gift > 0 and limit_at(m, at) ~= NONE and gift > room then
        if m[at + MORE] == 1 then needs_grant = true else gift, short = math.max(0, room), true end
      end
    end
    gifts[name] = gift
    needs[#needs + 1] = int(gift)
    needs[#needs + 1] = pack_meter(m)
  end
end
if needs_grant then return { -3, pack_header(h, run), unpack(needs) } end

-- Write. The totals are absolutes of the lease's one bucket: the greatest wins, wherever they are brought from and however often.
local label, changed = '=' .. epoch .. '/' .. lease .. '/' .. r[R_BUCKET] .. '/', false
for i = LAST + 1, first_ask - 1, 2 do
  local name, total = ARGV[i], tonumber(ARGV[i + 1])
  if total > (totals[name] or 0) then
    add(totals, name, total - (totals[name] or 0))
    redis.call('HSET', KEYS[2], label .. name, ARGV[i + 1])
    changed = true
  end
end
local lent = false
for i = first_ask, #ARGV, 2 do
  local name = ARGV[i]
  local gift, m = gifts[name] or 0, meters[name]
  if asking and (gift > 0 or kind == 'g') then
    if not lent and r[R_FIRM] == '=' then r[R_FIRM] = r[R_GRANTED] end
    lent = true
    add(granted, name, gift)
    for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do m[at + HELD] = m[at + HELD] + gift end
  end
end
if lent then r[R_VERSION] = int(tonumber(r[R_VERSION]) + 1) end

local over = false
for _, name in ipairs(names) do
  local m = meters[name]
  put_meter(KEYS[1], name, m)
  if more[name] then note_crossing(h, m, name, KEYS[5]) end
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    local limit = limit_at(m, at)
    if limit ~= NONE and granted[name] and m[at + BASE] + m[at + SPENT] + m[at + HELD] > limit then over = true end
  end
end
if closing then r[R_STATE] = 'returned' end
-- A lease whose limit has been lowered under it is not kept alive: it ends within its ttl.
if open and kind ~= 'c' and current and not over then
  r[R_EXPIRES] = int(math.max(tonumber(r[R_EXPIRES]), math.min(now + tonumber(r[R_TTL]), h[H_DAY_END], h[H_MONTH_END])))
end
if ARGV[8] ~= '' then r[R_SEQ], r[R_TOLD] = ARGV[8], int(now) end
r[R_GRANTED], r[R_TOTALS] = list_text(granted), list_text(totals)
if kind == 'c' and not unsettled then redis.call('HDEL', KEYS[3], lease)
else redis.call('HSET', KEYS[3], lease, table.concat(r, '|')) end
if short then redis.call('HSET', KEYS[3], '!recall', int(now + RECALL_MS)) end
if changed then
  mark_changed(h, ARGV[5], hour, KEYS[1], KEYS[2], KEYS[4])
  redis.call('HSET', KEYS[1], 'h', pack_header(h, run))
end
return answer(1, open and not closing and (recall or over))
