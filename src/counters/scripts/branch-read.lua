-- Says where a branch of a hot account stands (docs/decisions/0041): a state that spends what its home has lent it. With an epoch it founds
-- one for it where there is none, closed and with nothing lent; and it may draw back, after which nothing is spent here until it is filled.
-- KEYS  1 the branch's state
-- ARGV  1 run id  2 the epoch its home lives in; 0 only to look  3 a name nobody has had, for a branch that is founded  4 draw back: 1 | 0
-- Answers {header or '', its name, how often it was drawn back, then each meter: name, packed}.
-- The header is '' where nothing stands here for this run.
local EMPTY = -1
local packed = redis.call('HGET', KEYS[1], 'h')
local h = packed and unpack_header(packed)
local here, epoch = packed and run_of(packed) == ARGV[1], tonumber(ARGV[2])

if epoch > 0 and not (here and h[H_EPOCH] >= epoch) then
  -- What an earlier epoch or another run of the server counted here stands in the totals, under that epoch. Its budget ends with it.
  local fields = redis.call('HKEYS', KEYS[1])
  for _, field in ipairs(fields) do
    if field ~= 'hours' then redis.call('HDEL', KEYS[1], field) end
  end
  h = { epoch, 0, EMPTY, 0, 0, 0, 0, 0, NONE, NONE, 0, packed and h[H_CHANGES] + 1 or epoch * 1e9, 0, 0, 0, NONE, 0 }
  here = true
  redis.call('HSET', KEYS[1], 'h', pack_header(h, ARGV[1]), 'b', ARGV[3] .. ',0', 'marked', '')
end
if not here then return { '', '', '0' } end

local branch = split(redis.call('HGET', KEYS[1], 'b') or '', ',')
local drawn = tonumber(branch[2] or 0)
local all, meters = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 'm:' then
    local name = string.sub(all[i], 3)
    meters[name] = get_meter(KEYS[1], name)
  end
end
-- A branch of a later epoch is not this home's to draw on.
if ARGV[4] == '1' and h[H_EPOCH] == epoch then
  drawn = drawn + 1
  for name, m in pairs(meters) do
    m[GRANTED], m[PERIOD_SLOTS + GRANTED] = m[SPENT], m[PERIOD_SLOTS + SPENT]
    put_meter(KEYS[1], name, m)
  end
  -- Of no catalogue: whatever is asked of it has it filled first.
  h[H_CATALOG] = EMPTY
  redis.call('HSET', KEYS[1], 'h', pack_header(h, ARGV[1]), 'b', branch[1] .. ',' .. int(drawn))
  redis.call('HDEL', KEYS[1], 'g')
end

local answer = { pack_header(h, ARGV[1]), branch[1], int(drawn) }
for name, m in pairs(meters) do
  answer[#answer + 1] = name
  answer[#answer + 1] = pack_meter(m)
end
return answer
