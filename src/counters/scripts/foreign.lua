-- Adds to accounts' sums what was booked past Redis, where Redis knows all that was booked before it: in their windows, one after the other.
-- KEYS  by addition: state, crossings, dirty
-- ARGV  1 run id, then by addition: account, its foreign seq with the addition, number of lines, and by line: bucket, meter, quantity
-- Answers by addition: 1 Redis knows it, 0 the account is not loaded, -1 it knows too little: the sums are to be read and installed.
local run, arg = ARGV[1], 2
local answer = {}

local function add(h, name, bucket, quantity, state_key, crossings_key)
  local in_day = bucket >= h[H_DAY] and bucket < h[H_DAY_END]
  local in_month = bucket >= h[H_MONTH] and bucket < h[H_MONTH_END]
  if not in_day and not in_month then return end
  local m = get_meter(state_key, name)
  -- A meter that has come into the catalogue since is installed with its sums.
  if not m then return end
  if in_day then m[BASE] = m[BASE] + quantity end
  if in_month then m[PERIOD_SLOTS + BASE] = m[PERIOD_SLOTS + BASE] + quantity end
  put_meter(state_key, name, m)
  note_crossing(h, m, name, crossings_key)
end

for at = 1, #KEYS, 3 do
  local state_key, crossings_key, dirty_key = KEYS[at], KEYS[at + 1], KEYS[at + 2]
  local account, seq, lines = ARGV[arg], tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local first = arg + 3
  arg = first + 3 * lines
  local packed = redis.call('HGET', state_key, 'h')
  local h = packed and run_of(packed) == run and unpack_header(packed)
  local told = 0
  if h and h[H_FOREIGN] >= seq then told = 1
  -- Without lines it raised no seq: what is missing is another's.
  elseif h and (lines == 0 or h[H_FOREIGN] ~= seq - 1) then told = -1
  elseif h then
    for line = first, arg - 1, 3 do
      add(h, ARGV[line + 1], tonumber(ARGV[line]), tonumber(ARGV[line + 2]), state_key, crossings_key)
    end
    h[H_FOREIGN] = seq
    if h[H_DIRTY] == 0 and redis.call('HLEN', crossings_key) > 0 then
      redis.call('SADD', dirty_key, account)
      h[H_DIRTY] = 1
    end
    redis.call('HSET', state_key, 'h', pack_header(h, run))
    told = 1
  end
  answer[#answer + 1] = told
end
return answer
