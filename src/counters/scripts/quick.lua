-- Counts operations that nothing stands in the way of: the shortest way, for many at once, each all meters or none. Whatever is not as
-- the caller knows it, or is used up, is not counted here: check.lua decides it.
-- A leave (field g) stands as long as nothing but spending has changed in the state since a caller was told of it; with it the caller
-- knows the windows, the limits, the epoch and its meters' places, and has looked at the time. A room is what may be spent of a meter before
-- a limit, the end of a grant or 2^53 is reached; check.lua and the others read spending off it (prelude.lua). The rooms of an account are
-- one field, q, of doubles: a field of text for each meter took Redis 6.5 us a check of four, this takes 3.7.
-- Without the prelude, whose functions would be made anew for each call.
-- KEYS  by operation: state, totals of the receiving hour
-- ARGV  1 number of shapes, then by shape: number of meters, the end of the field in which its operations are counted as a whole or '',
--       the meters' names, their quantities, their places among the rooms
--       then by operation: number of its shape, how many times, leave, label (epoch/source/bucket/service/namespace/)
-- Answers by operation, in one flat list: 1 and the room left of each meter, in the shape's order; or 0 alone, with nothing counted.
local call, number, unpacked, packed = redis.call, tonumber, struct.unpack, struct.pack
-- Of each shape: where its names begin in ARGV, how many they are, the end of its field, its quantities, where its rooms stand.
local shapes, arg = {}, 2
for s = 1, number(ARGV[1]) do
  local n, quantities, places = number(ARGV[arg]), {}, {}
  for i = 1, n do
    quantities[i] = number(ARGV[arg + 1 + n + i])
    places[i] = number(ARGV[arg + 1 + 2 * n + i]) + 1
  end
  shapes[s] = { arg + 1, n, ARGV[arg + 1], quantities, places }
  arg = arg + 2 + 3 * n
end

-- By their length, how rooms are packed.
local formats = {}

local answer, last = {}, 0
for key = 1, #KEYS, 2 do
  local shape, times, leave, label = shapes[number(ARGV[arg])], number(ARGV[arg + 1]), ARGV[arg + 2], ARGV[arg + 3]
  local names, n, whole, quantities, places = shape[1], shape[2], shape[3], shape[4], shape[5]
  local state, totals = KEYS[key], KEYS[key + 1]
  arg = arg + 4
  local found = call('HMGET', state, 'g', 'q')
  local free, rooms, format = found[1] == leave and found[2], nil, nil
  if free then
    local length = #found[2]
    format = formats[length]
    if not format then
      format = '<' .. string.rep('d', length / 8)
      formats[length] = format
    end
    rooms = { unpacked(format, found[2]) }
    -- Where the next would begin: what unpack answers last.
    rooms[#rooms] = nil
    for i = 1, n do
      local asked, room = quantities[i] * times, rooms[places[i]]
      -- Of nothing asked for there is always room, also beyond a limit; a meter without a place is not open to this way.
      if not room or (asked > 0 and asked > room) then
        free = false
        break
      end
      rooms[places[i]] = room - asked
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
  last = last + 1
  if free then
    call('HSET', state, 'q', packed(format, unpack(rooms)))
    answer[last] = 1
    for i = 1, n do
      if whole == '' and quantities[i] > 0 then call('HINCRBY', totals, label .. ARGV[names + i], quantities[i] * times) end
      answer[last + i] = rooms[places[i]]
    end
    last = last + n
  else
    answer[last] = 0
  end
end
return answer
