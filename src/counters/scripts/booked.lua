-- Forgets what Postgres now holds of accounts. The marks go only if nothing has changed since they were read.
-- Of hours with very many totals those that have not grown since they were read are laid at rest: every process that ever counted in an hour, and
-- each after every doubt anew, has totals of its own there, and 434 of one account, read and booked again each second, were most of the work.
-- A field that grows again begins at 0, and what rests is added to it (collect.lua).
-- KEYS  by account: state, changed objects, idempotency keys to be booked, dirty, crossings, then by hour that can receive no more, and by hour with
--       very many totals: totals, totals at rest
-- ARGV  by account: its name, changes as read, number of booked objects, of booked keys, of told crossings, of closed hours, of hours with very many
--       then object field, value as read …  then idempotency field …  then crossing field, value as read …  then the closed hours ms
--       then by hour with very many: number of places, and by place: its name, what rests of it as read, what is to rest, number of fields,
--       then field, value as read …
-- Answers by account 1 when it is clean, 0 when it has changed meanwhile and stays dirty.
local answer, at, arg = {}, 1, 1

-- Removes fields that still hold what was read of them.
local function forget(key, from, count)
  for i = from, from + 2 * count - 2, 2 do
    if redis.call('HGET', key, ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', key, ARGV[i]) end
  end
end

-- Lays one place's fields at rest if all stands as read; answers where the next place begins in ARGV.
local function lay(totals, resting, from)
  local place, before, after, following = ARGV[from], ARGV[from + 1], ARGV[from + 2], from + 4 + 2 * tonumber(ARGV[from + 3])
  if (redis.call('HGET', resting, place) or '') ~= before then return following end
  for i = from + 4, following - 2, 2 do
    if redis.call('HGET', totals, ARGV[i]) ~= ARGV[i + 1] then return following end
  end
  redis.call('HSET', resting, place, after)
  for i = from + 4, following - 2, 2 do redis.call('HDEL', totals, ARGV[i]) end
  redis.call('HSET', totals, '+', redis.call('HLEN', resting))
  return following
end

local function clean(at, account, changes, hours_from, hours)
  local state, objects, keys, dirty, crossings = KEYS[at], KEYS[at + 1], KEYS[at + 2], KEYS[at + 3], KEYS[at + 4]
  local packed = redis.call('HGET', state, 'h')
  local h = packed and unpack_header(packed)
  if (packed and int(h[H_CHANGES]) or '0') ~= changes then return 0 end
  if hours > 0 then
    local list = redis.call('HGET', state, 'hours') or ''
    for i = 0, hours - 1 do
      list = string.gsub(list, ARGV[hours_from + i] .. ',', '')
      redis.call('DEL', KEYS[at + 5 + 2 * i], KEYS[at + 6 + 2 * i])
    end
    if packed then redis.call('HSET', state, 'hours', list) end
  end
  if redis.call('HLEN', objects) > 0 or redis.call('HLEN', keys) > 0 or redis.call('HLEN', crossings) > 0 then return 0 end
  redis.call('SREM', dirty, account)
  if packed then
    h[H_DIRTY] = 0
    redis.call('HSET', state, 'h', pack_header(h, run_of(packed)))
  end
  return 1
end

while arg <= #ARGV do
  local account, changes = ARGV[arg], ARGV[arg + 1]
  local objects, keys, crossings, hours = tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 4]), tonumber(ARGV[arg + 5])
  local large = tonumber(ARGV[arg + 6])
  arg = arg + 7
  forget(KEYS[at + 1], arg, objects)
  arg = arg + 2 * objects
  for i = arg, arg + keys - 1 do redis.call('HDEL', KEYS[at + 2], ARGV[i]) end
  arg = arg + keys
  forget(KEYS[at + 4], arg, crossings)
  arg = arg + 2 * crossings
  answer[#answer + 1] = clean(at, account, changes, arg, hours)
  arg = arg + hours
  at = at + 5 + 2 * hours
  for _ = 1, large do
    local places = tonumber(ARGV[arg])
    arg = arg + 1
    for _ = 1, places do arg = lay(KEYS[at], KEYS[at + 1], arg) end
    at = at + 2
  end
end
return answer
