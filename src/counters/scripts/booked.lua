-- Forgets what Postgres now holds. The marks go only if nothing has changed since they were read.
-- KEYS  1 state  2 changed objects  3 idempotency keys to be booked  4 dirty  5 crossings  then the totals of hours that can receive no more
-- ARGV  1 account  2 changes as read  3 number of booked objects  4 number of booked keys  5 number of told crossings
--       then object field, value as read …  then idempotency field …  then crossing field, value as read …  then the closed hours ms
-- Answers 1 when the account is clean, 0 when it has changed meanwhile and stays dirty.
local objects, keys, crossings = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local arg = 6
for _ = 1, objects do
  if redis.call('HGET', KEYS[2], ARGV[arg]) == ARGV[arg + 1] then redis.call('HDEL', KEYS[2], ARGV[arg]) end
  arg = arg + 2
end
for _ = 1, keys do
  redis.call('HDEL', KEYS[3], ARGV[arg])
  arg = arg + 1
end
for _ = 1, crossings do
  if redis.call('HGET', KEYS[5], ARGV[arg]) == ARGV[arg + 1] then redis.call('HDEL', KEYS[5], ARGV[arg]) end
  arg = arg + 2
end
local packed = redis.call('HGET', KEYS[1], 'h')
local h = packed and unpack_header(packed)
if (packed and int(h[H_CHANGES]) or '0') ~= ARGV[2] then return 0 end
if #ARGV >= arg then
  local hours, key = redis.call('HGET', KEYS[1], 'hours') or '', 6
  for i = arg, #ARGV do
    hours = string.gsub(hours, ARGV[i] .. ',', '')
    redis.call('DEL', KEYS[key])
    key = key + 1
  end
  if packed then redis.call('HSET', KEYS[1], 'hours', hours) end
end
if redis.call('HLEN', KEYS[2]) > 0 or redis.call('HLEN', KEYS[3]) > 0 or redis.call('HLEN', KEYS[5]) > 0 then return 0 end
redis.call('SREM', KEYS[4], ARGV[1])
if packed then
  h[H_DIRTY] = 0
  redis.call('HSET', KEYS[1], 'h', pack_header(h, run_of(packed)))
end
return 1
