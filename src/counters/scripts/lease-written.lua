-- Notes that Postgres has written down what a lease was granted, so that the next settle need not write it again.
-- KEYS  1 leases
-- ARGV  1 lease  2 version of the grant
-- Answers 1 when noted, 0 when the lease is gone or was granted more since.
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then return 0 end
local r = split(text, '|')
if r[11] ~= ARGV[2] then return 0 end
r[14] = '='
redis.call('HSET', KEYS[1], ARGV[1], table.concat(r, '|'))
return 1
