-- Tells a branch what its home has lent it, and under which limits and in which windows it is spent. Totals, not differences: saying it
-- twice, or late, changes nothing; said from before it was drawn back, it is not heard.
-- KEYS  1 the branch's state
-- ARGV  1 run id  2 epoch  3 the branch's name  4 how often it had been drawn back  5 limits version  6 catalogue version  7 day start  8 day end
--       9 month start  10 month end  11 payload ceiling
--       then by meter: name, and for day, then month: plan limit, cap, lent in all, used elsewhere
-- Answers 1 when heard, 0 when it is another's, of another epoch, or was drawn back since.
local packed = redis.call('HGET', KEYS[1], 'h')
if not packed or run_of(packed) ~= ARGV[1] then return 0 end
local h = unpack_header(packed)
if int(h[H_EPOCH]) ~= ARGV[2] or redis.call('HGET', KEYS[1], 'b') ~= ARGV[3] .. ',' .. ARGV[4] then return 0 end
local new = {}
for i = 5, 11 do new[i] = tonumber(ARGV[i]) end
-- Limits and windows never run backwards.
if new[5] < h[H_LIMITS] or new[7] < h[H_DAY] or new[9] < h[H_MONTH] then return 0 end
local turned = { [0] = new[7] > h[H_DAY], [PERIOD_SLOTS] = new[9] > h[H_MONTH] }

local arg = 12
while arg <= #ARGV do
  local name = ARGV[arg]
  local m = get_meter(KEYS[1], name) or { NONE, NONE, 0, 1, 0, 0, 0, NONE, NONE, NONE, 0, 1, 0, 0, 0, NONE, NONE }
  for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
    local from = arg + (at == 0 and 1 or 5)
    if turned[at] then m[at + GRANTED], m[at + SPENT] = 0, 0 end
    m[at + PLAN], m[at + CAP], m[at + MORE] = tonumber(ARGV[from]), tonumber(ARGV[from + 1]), 1
    m[at + GRANTED], m[at + BASE] = math.max(m[at + GRANTED], tonumber(ARGV[from + 2])), tonumber(ARGV[from + 3])
  end
  put_meter(KEYS[1], name, m)
  arg = arg + 9
end
h[H_LIMITS], h[H_CATALOG], h[H_PAYLOAD_CEILING] = new[5], new[6], new[11]
h[H_DAY], h[H_DAY_END], h[H_MONTH], h[H_MONTH_END] = new[7], new[8], new[9], new[10]
redis.call('HSET', KEYS[1], 'h', pack_header(h, ARGV[1]))
redis.call('HDEL', KEYS[1], 'g')
return 1
