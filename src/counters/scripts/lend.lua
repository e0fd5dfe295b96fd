-- At a hot account's home (docs/decisions/0041): takes down what its branches have spent, and lends one of them more. What is lent is held
-- against the account's limits until it is spent or drawn back.
-- KEYS  1 state  2 crossings  3 dirty
-- ARGV  1 run id  2 catalogue version  3 now ms  4 account  5 until when nothing is lent ms, or ''
--       6 the branch that asks, by its number, or ''  7 slots the account is spread over  8 number of meters named
--       then by meter: name, quantity needed (0 for none)
--       then by branch that was read: number, epoch (0 where nothing stood there), name, how often drawn back, day start, month start,
--       number of meters, and by meter: name, granted and spent of the day, of the month
-- Answers {status, header, numbers of the branches lent to in this epoch, numbers of those whose state was lost, then each meter named:
-- packed, quantity lent now, held by branches of the day, of the month, and of the asking branch of the day and the month: lent in all,
-- used elsewhere}
--   1 done, 0 nothing is lent (too near a limit, or for the time being), -3 Postgres has to grant what would be lent first,
--   -1 load, why, epoch: as check.lua
-- Kept by branch, in the state's field b:<number>: epoch|name|drawn back|day|month|meter,lent,settled (day),lent,settled (month);…
-- Less than this many times what is asked for is not worth a branch's while: it is left to the home.
local LEAST_TIMES = 8
local CHUNK_TIMES = 16
-- As the grants the home itself gets: a hundredth of a limit for all slots together, and no crumbs.
local CHUNKS_PER_LIMIT, CHUNK_MIN = 100, 100
local BRANCHES_MAX = 15
local LENT, SETTLED = 1, 2

local run, now, asking, slots = ARGV[1], tonumber(ARGV[3]), ARGV[6], tonumber(ARGV[7])
local packed = redis.call('HGET', KEYS[1], 'h')
if not packed then return { -1, 'absent', '0' } end
local h = unpack_header(packed)
local epoch = int(h[H_EPOCH])
if run_of(packed) ~= run then return { -1, 'run', epoch } end
local starts = { [0] = h[H_DAY], [PERIOD_SLOTS] = h[H_MONTH] }

local meters, touched = {}, {}
local function meter(name)
  if meters[name] == nil then meters[name] = get_meter(KEYS[1], name) or false end
  return meters[name]
end

-- What each branch was lent and has settled, by meter and period, in the windows that stand now.
local function read_loan(text)
  local parts = text and split(text, '|')
  if not parts or parts[1] ~= epoch then return nil end
  local loan = { name = parts[2], drawn = tonumber(parts[3]), meters = {} }
  local same = { [0] = tonumber(parts[4]) == h[H_DAY], [PERIOD_SLOTS] = tonumber(parts[5]) == h[H_MONTH] }
  for name, a, b, c, d in string.gmatch(parts[6], '([^,;]+),(%d+),(%d+),(%d+),(%d+)') do
    loan.meters[name] = {
      [0] = same[0] and { tonumber(a), tonumber(b) } or { 0, 0 },
      [PERIOD_SLOTS] = same[PERIOD_SLOTS] and { tonumber(c), tonumber(d) } or { 0, 0 },
    }
  end
  return loan
end
local function loan_text(loan)
  local list = {}
  for name, of in pairs(loan.meters) do
    local day, month = of[0], of[PERIOD_SLOTS]
    list[#list + 1] = table.concat({ name, int(day[LENT]), int(day[SETTLED]), int(month[LENT]), int(month[SETTLED]) }, ',')
  end
  return table.concat({ epoch, loan.name, int(loan.drawn), int(h[H_DAY]), int(h[H_MONTH]), table.concat(list, ';') }, '|')
end
local function of_meter(loan, name)
  if not loan.meters[name] then loan.meters[name] = { [0] = { 0, 0 }, [PERIOD_SLOTS] = { 0, 0 } } end
  return loan.meters[name]
end
local function held_of(one)
  return math.max(0, one[LENT] - one[SETTLED])
end

local fields = { 'b:until' }
for i = 1, BRANCHES_MAX do fields[i + 1] = 'b:' .. i end
local found, loans, written = redis.call('HMGET', KEYS[1], unpack(fields)), {}, {}
for i = 1, BRANCHES_MAX do loans[i] = read_loan(found[i + 1]) end

-- Settle: what is spent moves from held to spent. Of two accounts of a branch the one that came later in its life stands.
local lost, arg = {}, 9 + 2 * tonumber(ARGV[8])
local first_read = arg
while arg <= #ARGV do
  local number, its_epoch, name, drawn, day, month, n = tonumber(ARGV[arg]), ARGV[arg + 1], ARGV[arg + 2], tonumber(ARGV[arg + 3]),
    tonumber(ARGV[arg + 4]), tonumber(ARGV[arg + 5]), tonumber(ARGV[arg + 6])
  local loan = loans[number]
  local current = its_epoch == epoch
  if current and not loan and ARGV[arg] == asking then
    loan = { name = name, drawn = drawn, meters = {} }
    loans[number], written[number] = loan, true
  end
  -- A branch of this epoch under another name was founded anew: what was there, with what it had spent, is gone.
  if current and loan and loan.name ~= name then lost[#lost + 1] = ARGV[arg]
  elseif current and loan then
    local in_window = { [0] = day == starts[0], [PERIOD_SLOTS] = month == starts[PERIOD_SLOTS] }
    local newly = drawn > loan.drawn
    for at_meter = arg + 7, arg + 7 + 5 * (n - 1), 5 do
      local meter_name = ARGV[at_meter]
      local m, of = meter(meter_name), of_meter(loan, meter_name)
      for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
        local from = at_meter + (at == 0 and 1 or 3)
        local granted, spent, one = tonumber(ARGV[from]), tonumber(ARGV[from + 1]), of[at]
        if m and in_window[at] then
          local before, grown = held_of(one), math.max(0, spent - one[SETTLED])
          one[SETTLED] = one[SETTLED] + grown
          -- Lent before it was drawn back and not heard of till then: it never will be.
          if newly then one[LENT] = granted end
          -- Past 2^53 nothing is exact.
          local fits = math.min(grown, math.max(0, MAX - m[at + SPENT] - math.max(0, m[at + BASE])))
          local held = held_of(one)
          if grown > 0 or held ~= before then
            m[at + HELD], m[at + SPENT] = math.max(0, m[at + HELD] + held - before), m[at + SPENT] + fits
            touched[meter_name], written[number] = true, true
          end
        elseif in_window[at] and newly then one[LENT] = granted end
      end
    end
    if newly then loan.drawn, written[number] = drawn, true end
  end
  arg = arg + 7 + 5 * n
end

-- Lend: as much of each meter as the asking branch may have, as the rest leaves, and as Postgres has granted or may still grant.
local status, gifts, load = 1, {}, nil
local pause = tonumber(found[1] or '0')
if asking ~= '' then
  local loan = loans[tonumber(asking)]
  if now >= h[H_DAY_END] or now >= h[H_MONTH_END] then load = 'turned'
  elseif tonumber(ARGV[2]) > h[H_CATALOG] then load = 'catalog'
  elseif now < pause then status = 0
  elseif not loan or #lost > 0 then status = 0
  else
    for i = 9, first_read - 1, 2 do
      local name, needed, m = ARGV[i], tonumber(ARGV[i + 1]), meter(ARGV[i])
      if not m then load = 'meter'
      elseif needed > 0 then
        local of, least = of_meter(loan, name), nil
        for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
          local limit = limit_at(m, at)
          if limit ~= NONE then
            local chunk = math.max(CHUNK_MIN, CHUNK_TIMES * needed, math.ceil(limit / (CHUNKS_PER_LIMIT * slots)))
            local free = math.max(0, limit - m[at + BASE] - m[at + SPENT] - m[at + HELD])
            least = math.min(least or MAX, needed + chunk, held_of(of[at]) + math.floor(free / (2 * slots)))
          end
        end
        if least and least < LEAST_TIMES * needed then status = 0
        elseif least then
          gifts[name] = { [0] = 0, [PERIOD_SLOTS] = 0 }
          for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
            if limit_at(m, at) ~= NONE then
              local gift = math.max(0, least - held_of(of[at]))
              local taken = m[at + SPENT] + m[at + HELD]
              if taken + gift > m[at + GRANTED] then
                if m[at + MORE] ~= 1 then status = 0 elseif status == 1 then status = -3 end
              end
              gifts[name][at] = gift
            end
          end
        end
      end
    end
  end
  if status == 1 and not load then
    for name, gift in pairs(gifts) do
      local m, of = meters[name], of_meter(loan, name)
      for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
        if gift[at] > 0 then
          -- Spent without a limit it may have been more than was lent.
          of[at][LENT] = math.max(of[at][LENT], of[at][SETTLED]) + gift[at]
          m[at + HELD] = m[at + HELD] + gift[at]
          touched[name], written[tonumber(asking)] = true, true
        end
      end
    end
  end
end

-- Write.
for name in pairs(touched) do
  local m = meters[name]
  put_meter(KEYS[1], name, m)
  note_crossing(h, m, name, KEYS[2])
end
for number in pairs(written) do redis.call('HSET', KEYS[1], 'b:' .. number, loan_text(loans[number])) end
if ARGV[5] ~= '' and tonumber(ARGV[5]) > pause then redis.call('HSET', KEYS[1], 'b:until', ARGV[5]) end
if next(touched) then
  if h[H_DIRTY] == 0 and redis.call('HLEN', KEYS[2]) > 0 then
    redis.call('SADD', KEYS[3], ARGV[4])
    h[H_DIRTY] = 1
  end
  -- Whoever would close the account took it for booked as it stood before.
  h[H_CHANGES] = h[H_CHANGES] + 1
  redis.call('HSET', KEYS[1], 'h', pack_header(h, run))
end
if load then return { -1, load, epoch } end

local lent = {}
for i = 1, BRANCHES_MAX do
  if loans[i] then lent[#lent + 1] = i end
end
local answer = { status, pack_header(h, run), table.concat(lent, ','), table.concat(lost, ',') }
local asker = loans[tonumber(asking) or 0]
for i = 9, first_read - 1, 2 do
  local name = ARGV[i]
  local m, gift = meter(name), gifts[name]
  if not m then return { -1, 'meter', epoch } end
  answer[#answer + 1] = pack_meter(m)
  answer[#answer + 1] = int(gift and math.max(gift[0], gift[PERIOD_SLOTS]) or 0)
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    local held = 0
    for branch = 1, BRANCHES_MAX do
      if loans[branch] and loans[branch].meters[name] then held = held + held_of(loans[branch].meters[name][at]) end
    end
    answer[#answer + 1] = int(held)
  end
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    local one = asker and of_meter(asker, name)[at] or { 0, 0 }
    answer[#answer + 1] = int(one[LENT])
    answer[#answer + 1] = int(m[at + BASE] + m[at + SPENT] - one[SETTLED])
  end
end
return answer
