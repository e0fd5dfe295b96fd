-- Ends reservations whose time is up, each once, and forgets answers that were kept long enough.
-- KEYS  1 state  2 objects  3 reservations  4 expiries
-- ARGV  1 run id  2 now ms  3 most to be ended  4 until when the expiry of each is remembered ms
-- Answers how many were ended or forgotten; -1 when the state is not loaded for this run.
local packed = redis.call('HGET', KEYS[1], 'h')
if not packed or run_of(packed) ~= ARGV[1] then return -1 end
local h = unpack_header(packed)
local due = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
local meters = {}
local function meter_of(name)
  if not meters[name] then
    meters[name] = get_meter(KEYS[1], name) or {}
  end
  return meters[name]
end
for _, id in ipairs(due) do
  local r = reservation_parts(redis.call('HGET', KEYS[3], id) or '')
  if r[1] ~= 'held' then
    redis.call('HDEL', KEYS[3], id)
    redis.call('ZREM', KEYS[4], id)
  else
    -- Held by another epoch: nothing of it stands here.
    if tonumber(r[2]) == h[H_EPOCH] then
      local in_window = { [0] = tonumber(r[4]) == h[H_DAY], [PERIOD_SLOTS] = tonumber(r[5]) == h[H_MONTH] }
      if r[8] ~= '' then
        for _, part in ipairs(split(r[8], ';')) do
          local pair = split(part, ',')
          local m = meter_of(pair[1])
          for at = 0, PERIOD_SLOTS, PERIOD_SLOTS do
            if in_window[at] and m[at + HELD] then m[at + HELD] = math.max(0, m[at + HELD] - tonumber(pair[2])) end
          end
        end
      end
      if r[9] ~= '' then
        local storage = split(r[9], ',')
        local gauge, asked = meter_of(storage[1]), tonumber(storage[4])
        if gauge[HELD] then gauge[HELD] = math.max(0, gauge[HELD] - asked) end
        local level = redis.call('HGET', KEYS[2], r[10])
        if level then
          local bytes, reserved = object_level(level)
          redis.call('HSET', KEYS[2], r[10], object_text(bytes, math.max(0, reserved - asked)))
        end
      end
    end
    redis.call('HSET', KEYS[3], id, 'expired')
    redis.call('ZADD', KEYS[4], ARGV[4], id)
  end
end
for name, m in pairs(meters) do
  if m[HELD] then put_meter(KEYS[1], name, m) end
end
local first = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
h[H_EXPIRY] = first[2] and tonumber(first[2]) or NONE
redis.call('HDEL', KEYS[1], 'g')
redis.call('HSET', KEYS[1], 'h', pack_header(h, ARGV[1]))
return #due
