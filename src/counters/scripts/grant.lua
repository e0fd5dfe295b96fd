-- Tells Redis what Postgres has granted to this epoch. Totals, not differences: saying it twice, or late, changes nothing.
-- KEYS  1 state
-- ARGV  1 run id  2 epoch  3 limits version
--       then by limit: meter, period (day | month | level), window start ms (0 for a level), granted in all, more to be had 1 | 0
-- Answers 1 when heard; 0 when the state is of another run or epoch: the grant stays stranded until that epoch is sealed.
local packed = redis.call('HGET', KEYS[1], 'h')
if not packed or run_of(packed) ~= ARGV[1] then return 0 end
local h = unpack_header(packed)
if h[H_EPOCH] ~= tonumber(ARGV[2]) then return 0 end
for i = 4, #ARGV, 5 do
  local name, period = ARGV[i], ARGV[i + 1]
  local at = period == 'month' and PERIOD_SLOTS or 0
  local start = period == 'level' and 0 or period == 'day' and h[H_DAY] or h[H_MONTH]
  local m = get_meter(KEYS[1], name)
  if m and start == tonumber(ARGV[i + 2]) then
    m[at + GRANTED] = math.max(m[at + GRANTED], tonumber(ARGV[i + 3]))
    -- "No more" is an answer about limits of one version; under newer ones there may be more.
    if tonumber(ARGV[3]) >= h[H_LIMITS] then m[at + MORE] = tonumber(ARGV[i + 4]) end
    put_meter(KEYS[1], name, m)
  end
end
return 1
