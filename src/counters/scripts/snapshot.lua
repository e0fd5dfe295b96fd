-- Reads an account's header and meters as they stand.
-- KEYS  1 state
-- ARGV  names of meters
-- Answers {header or '', then each meter packed or ''}.
local fields = { 'h', 'q' }
for _, name in ipairs(ARGV) do fields[#fields + 1] = 'm:' .. name end
local found = redis.call('HMGET', KEYS[1], unpack(fields))
local answer = { found[1] or '' }
for i = 1, #ARGV do
  answer[i + 1] = found[2 + i] and pack_meter(read_meter(found[2 + i], found[2])) or ''
end
return answer
