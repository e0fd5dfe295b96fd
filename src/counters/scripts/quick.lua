-- Counts operations that nothing stands in the way of: the shortest way, for many at once, each all meters or none. Whatever is not as
-- the caller knows it, or is used up, is not counted here: check.lua decides it.
-- A leave (field g) stands as long as nothing but spending has changed in the state since a caller was told of it; with it the caller
-- knows the windows, the limits and the epoch, and has looked at the time. A room (field q:<meter>) is what may be spent of a meter
-- before a limit, the end of a grant or 2^53 is reached; check.lua and the others read spending off it (prelude.lua).
-- Without the prelude, whose functions would be made anew for each call.
-- KEYS  by operation: state, totals of the receiving hour
-- ARGV  1 number of shapes, then by shape: number of meters, the end of the field in which its operations are counted as a whole or '',
--       the meters' names, their quantities
--       then by operation: number of its shape, how many times, leave, label (epoch/source/bucket/service/namespace/)
-- Answers by operation, in one flat list: 1 and the room left of each meter, in the shape's order; or 0 alone, with nothing counted.
local call, number = redis.call, tonumber
-- A shape is read where it stands in ARGV: where its names begin, where its quantities do, how many they are, and the fields to be read.
local shapes, arg = {}, 2
for s = 1, number(ARGV[1]) do
  local n, fields = number(ARGV[arg]), { 'g' }
  for i = 1, n do fields[i + 1] = 'q:' .. ARGV[arg + 1 + i] end
  shapes[s] = { arg + 1, arg + 1 + n, n, fields, ARGV[arg + 1] }
  arg = arg + 2 + 2 * n
end

local answer, last, writes = {}, 0, {}
for key = 1, #KEYS, 2 do
  local shape, times, leave, label = shapes[number(ARGV[arg])], number(ARGV[arg + 1]), ARGV[arg + 2], ARGV[arg + 3]
  local names, quantities, n, fields, whole = shape[1], shape[2], shape[3], shape[4], shape[5]
  local state, totals = KEYS[key], KEYS[key + 1]
  arg = arg + 4
  local found = call('HMGET', state, unpack(fields))
  local free = found[1] == leave
  if free then
    for i = 1, n do
      local room, quantity = found[i + 1], number(ARGV[quantities + i]) * times
      -- Of nothing asked for there is always room, also beyond a limit; a meter without a room is not open to this way.
      if not room or (quantity > 0 and quantity > number(room)) then
        free = false
        break
      end
      writes[2 * i - 1], writes[2 * i] = fields[i + 1], number(room) - quantity
    end
  end
  -- Totals that were there and are gone: the key was lost, and with it usage that only its sources still hold.
  if free and whole ~= '' then
    -- A field that was there proves that the key was; only of a new one it must be asked.
    if call('HINCRBY', totals, label .. whole, times) == times and call('HLEN', totals) == 1 then
      call('DEL', totals)
      free = false
    end
  elseif free then
    free = call('EXISTS', totals) == 1
  end
  if free then
    call('HSET', state, unpack(writes, 1, 2 * n))
    last = last + 1
    answer[last] = 1
    for i = 1, n do
      local quantity = ARGV[quantities + i]
      if whole == '' and quantity ~= '0' then call('HINCRBY', totals, label .. ARGV[names + i], number(quantity) * times) end
      answer[last + i] = writes[2 * i]
    end
    last = last + n
  else
    last = last + 1
    answer[last] = 0
  end
end
return answer
