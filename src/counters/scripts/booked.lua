-- Forgets what Postgres now holds. The marks go only if nothing has changed since they were read.
-- KEYS  1 state  2 changed objects  3 dirty  then the totals of hours that can receive no more
-- ARGV  1 account  2 changes as read  3 number of booked objects  then object field, value as read …  then the closed hours ms
-- Answers 1 when the account is clean, 0 when it has changed meanwhile and stays dirty.
local objects = tonumber(ARGV[3])
for i = 4, 3 + objects * 2, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[2], ARGV[i]) end
end
local packed = redis.call('HGET', KEYS[1], 'h')
local h = packed and unpack_header(packed)
if (packed and int(h[H_CHANGES]) or '0') ~= ARGV[2] then return 0 end
local first_hour = 4 + objects * 2
if #ARGV >= first_hour then
  local hours = redis.call('HGET', KEYS[1], 'hours') or ''
  for i = first_hour, #ARGV do
    hours = string.gsub(hours, ARGV[i] .. ',', '')
    redis.call('DEL', KEYS[4 + i - first_hour])
  end
  if packed then redis.call('HSET', KEYS[1], 'hours', hours) end
end
if redis.call('HLEN', KEYS[2]) > 0 then return 0 end
redis.call('SREM', KEYS[3], ARGV[1])
if packed then
  h[H_DIRTY] = 0
  redis.call('HSET', KEYS[1], 'h', pack_header(h, run_of(packed)))
end
return 1
