-- Reads what an account has to book, all at one moment.
-- KEYS  1 state  2 changed objects  3 idempotency keys to be booked  4 crossings  then the totals of the receiving hours
-- ARGV  1 the hours as read before  2 objects wanted, about  3 idempotency keys wanted, about
-- Answers {header or '', what the limits follow from, objects, keys, crossings, totals …}, from objects on each a flat list of fields
-- and values; {} when an hour has begun since.
if (redis.call('HGET', KEYS[1], 'hours') or '') ~= ARGV[1] then return {} end
-- The next check of the account goes the whole way and notes the change: booked.lua must see that there was one. So the quick path, which
-- notes none, is closed from here until then.
redis.call('HDEL', KEYS[1], 'g')
local packed = redis.call('HGET', KEYS[1], 'h')
if packed then
  -- Thresholds that were reached the quick way, which notes nothing.
  local h, all, rooms = unpack_header(packed), redis.call('HGETALL', KEYS[1]), {}
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'q:' then rooms[string.sub(all[i], 3)] = all[i + 1] end
  end
  for i = 1, #all, 2 do
    local name = string.sub(all[i], 3)
    if string.sub(all[i], 1, 2) == 'm:' and rooms[name] then note_crossing(h, read_meter(all[i + 1], rooms[name]), name, KEYS[4]) end
  end
end
local answer = {
  packed or '',
  redis.call('HGET', KEYS[1], 'limits') or '',
  redis.call('HSCAN', KEYS[2], 0, 'COUNT', ARGV[2])[2],
  redis.call('HSCAN', KEYS[3], 0, 'COUNT', ARGV[3])[2],
  redis.call('HGETALL', KEYS[4]),
}
for i = 5, #KEYS do answer[i + 1] = redis.call('HGETALL', KEYS[i]) end
return answer
