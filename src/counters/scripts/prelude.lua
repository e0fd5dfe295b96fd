-- Prepended to every script of this folder. Layout of the packed fields: src/counters/layout.ts.
-- Header: epoch, limits version, catalogue version, foreign seq, day start, day end, month start, month end,
--         object ceiling, payload ceiling, next object seq, changes, latest hour, is dirty, Postgres has objects; then the run id.
local HEADER = '<ddddddddddddddd'
local HEADER_BYTES = 120
local H_EPOCH, H_LIMITS, H_CATALOG, H_FOREIGN, H_DAY, H_DAY_END, H_MONTH, H_MONTH_END = 1, 2, 3, 4, 5, 6, 7, 8
local H_OBJECT_CEILING, H_PAYLOAD_CEILING, H_SEQ, H_CHANGES, H_HOUR, H_DIRTY, H_HAS_OBJECTS = 9, 10, 11, 12, 13, 14, 15

-- Meter: for the day, then for the month: plan limit, cap, granted, more to be had, base, spent, held, next mark.
local METER = '<dddddddddddddddd'
local PLAN, CAP, GRANTED, MORE, BASE, SPENT, HELD, MARK = 1, 2, 3, 4, 5, 6, 7, 8
local PERIOD_SLOTS = 8
local NONE = -1
local MAX = 9007199254740991

local function unpack_header(packed)
  return { struct.unpack(HEADER, packed) }
end

local function pack_header(h, run)
  return struct.pack(HEADER, unpack(h, 1, 15)) .. run
end

local function run_of(packed)
  return string.sub(packed, HEADER_BYTES + 1)
end

local function unpack_meter(packed)
  return { struct.unpack(METER, packed) }
end

local function pack_meter(m)
  return struct.pack(METER, unpack(m, 1, 16))
end

-- The lower of plan limit and cap of the period at offset `at`; NONE where neither is set.
local function limit_at(m, at)
  local plan, cap = m[at + PLAN], m[at + CAP]
  if plan == NONE then return cap end
  if cap == NONE or plan < cap then return plan end
  return cap
end

-- tostring() turns to exponents at 10^14; %.0f does not, and unlike %d it is exact in every Lua Redis ships.
local function int(n)
  return string.format('%.0f', n)
end
