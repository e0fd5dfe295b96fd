-- Ends an account's epoch in good order: nothing is unbooked, so what it was granted and did not spend is free again. What reservations hold, the
-- next epoch holds from its first moment on, if it is opened here (load.lua).
-- Its number stays: whoever opens the next one finds that all of it is booked, and calls on nobody. So does until when keys that are unknown
-- here are looked up in Postgres: of this life they are all here.
-- KEYS  1 state  2 reservations  3 expiries
-- ARGV  1 run id  2 epoch  3 changes as they were when all was booked  4 now ms
-- Answers 1 when the state is gone; 0 when it is another's, has changed since, or holds something else: what is lent stays lent.
local packed = redis.call('HGET', KEYS[1], 'h')
if not packed or run_of(packed) ~= ARGV[1] then return 0 end
local h = unpack_header(packed)
if int(h[H_EPOCH]) ~= ARGV[2] or int(h[H_CHANGES]) ~= ARGV[3] or h[H_DIRTY] == 1 then return 0 end
local holds = open_holds(KEYS[2], KEYS[3], ARGV[2], tonumber(ARGV[4]))
if not holds then return 0 end
local held = held_by_meter(holds, h)
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 'm:' then
    local m, own = unpack_meter(all[i + 1]), held[string.sub(all[i], 3)] or { [0] = 0, [PERIOD_SLOTS] = 0 }
    if m[HELD] ~= own[0] or m[PERIOD_SLOTS + HELD] ~= own[PERIOD_SLOTS] then return 0 end
  end
end
-- The hours stay: their totals may still be there, to be cleared by the roll-up.
redis.call('HDEL', KEYS[1], 'h', 'g')
redis.call('HSET', KEYS[1], 'closed', ARGV[2] .. ',' .. int(h[H_KEYS_COLD]) .. ',' .. (#holds > 0 and 1 or 0))
return 1
