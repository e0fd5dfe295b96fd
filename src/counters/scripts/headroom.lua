-- Glances at accounts' sums: whether all that is asked about stands in the month given, and far below its end.
-- KEYS  by account: state
-- ARGV  1 run id  2 how far a sum may be, then by account: month start, number of meters, the meters' names
-- Answers by account 1, or 0 where it is to be looked at more closely.
local run, far, arg = ARGV[1], tonumber(ARGV[2]), 3
local answer = {}
for key = 1, #KEYS do
  local month, n = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
  local fields = { 'h', 'q' }
  for i = 1, n do fields[2 + i] = 'm:' .. ARGV[arg + 1 + i] end
  arg = arg + 2 + n
  local found = redis.call('HMGET', KEYS[key], unpack(fields))
  local roomy = found[1] and run_of(found[1]) == run and unpack_header(found[1])[H_MONTH] == month
  for i = 1, n do
    local packed = roomy and found[2 + i]
    local m = packed and read_meter(packed, found[2])
    roomy = m and m[BASE] + m[SPENT] <= far and m[PERIOD_SLOTS + BASE] + m[PERIOD_SLOTS + SPENT] <= far
  end
  answer[key] = roomy and 1 or 0
end
return answer
