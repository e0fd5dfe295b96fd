-- Asks the account's holders, at their next heartbeat, to give back what they do not need: somebody was denied.
-- KEYS  1 leases
-- ARGV  1 until when, ms
-- Answers how many leases there are.
local leases = redis.call('HLEN', KEYS[1])
if leases > 0 then redis.call('HSET', KEYS[1], '!recall', ARGV[1]) end
return leases
