/**
 * `arithmetic.ts` in Lua, line by line: Lua counts in the same doubles. A number never becomes text (`..` and
 * `tostring` keep 14 digits); it travels as the eight bytes that it is. A kind is 0 rate, 1 window, 2 concurrency.
 *
 * A stored bucket is `level, at, drain, held, version` and behind them its holds in the order in which they expire,
 * each `id (50 bytes), amount, deadline, 1 charge | 0 release`. Holds stay packed: a take looks at the first and the
 * last of them only.
 */
export const LUA_ARITHMETIC = `
local MOST, SET_BACK, HOLD, HEAD = 9007199254740991, 1000, 67, 40
local ceil, max, min = math.ceil, math.max, math.min
local byte, find, sub = string.byte, string.find, string.sub
local pack, unpacked, call = struct.pack, struct.unpack, redis.call

local function isBroken(value)
  return value and (#value < HEAD or (#value - HEAD) % HOLD ~= 0)
end

-- All fields at once, so that the table never grows: those of a charge are filled in by a take.
local function toBucket(value, kind, limit, now, start, name)
  local level, at, drain, held, version, holds = 0, kind == 1 and start or now, limit, 0, 0, ''
  if value then
    local rest
    level, at, drain, held, version, rest = unpacked('<ddddd', value)
    if rest <= #value then holds = sub(value, rest) end
  end
  return { level = level, at = at, drain = drain, held = held, version = version, holds = holds, name = name,
    kind = kind, limit = limit, burst = 0, period = 0, cost = 0, finish = 0, fitted = false, dirty = false }
end

local function packed(b)
  local head = pack('<ddddd', b.level, b.at, b.drain, b.held, b.version)
  if b.holds == '' then return head end
  return head .. b.holds
end

local function drained(level, elapsed, drain)
  if elapsed >= ceil(level / drain) then return 0 end
  return level - elapsed * drain
end

local function drainTo(b, now)
  local at = b.at
  if now <= at then return end
  b.level = drained(b.level, now - at, b.drain)
  b.at = now
end

local function raise(b, kind, period, units)
  if kind == 2 then return end
  b.level = max(0, min(MOST, b.level + units * period))
end

-- True: the clock was set back, and the bucket is to be written whatever comes of the rest.
local function advance(b, kind, period, now, start, finish)
  if kind == 1 and start > b.at then
    b.level, b.at, b.held, b.holds = 0, start, 0, ''
    return false
  end
  local setBack = false
  if kind == 0 and b.at - now > SET_BACK then
    setBack, b.at = true, now
  elseif kind == 1 and b.at > finish then
    setBack, b.at = true, start
  end
  local holds, from = b.holds, 1
  while from < #holds do
    local amount, deadline, onExpiry = unpacked('<ddB', holds, from + 50)
    if deadline > now then break end
    if kind == 0 then drainTo(b, deadline) end
    from = from + HOLD
    b.held = b.held - amount
    if onExpiry == 1 then raise(b, kind, period, amount) end
  end
  if from > 1 then b.holds = sub(holds, from) end
  if kind == 0 then drainTo(b, now) end
  return setBack
end

local function fits(b, burst, period, cost)
  return cost <= burst and b.level + (b.held + cost) * period <= burst * period
end

local function insert(b, entry, deadline)
  local holds = b.holds
  local at = #holds
  while at > 0 and unpacked('<d', holds, at - 8) > deadline do at = at - HOLD end
  if at == #holds then b.holds = holds .. entry
  else b.holds = sub(holds, 1, at) .. entry .. sub(holds, at + 1) end
end

-- onExpiry: 0 release, 1 charge; nil where nothing is held.
local function admit(b, kind, limit, period, cost, id, deadline, onExpiry)
  if onExpiry then
    insert(b, id .. pack('<ddB', cost, deadline, onExpiry), deadline)
    b.held = b.held + cost
  else
    raise(b, kind, period, cost)
  end
  b.drain = limit
  b.version = b.version + 1
end

local function findHold(b, id)
  local at = find(b.holds, id, 1, true)
  while at and (at - 1) % HOLD ~= 0 do at = find(b.holds, id, at + 1, true) end
  return at
end

local function removeHold(b, id)
  local at = findHold(b, id)
  if not at then return false end
  local holds = b.holds
  b.held = b.held - unpacked('<d', holds, at + 50)
  b.holds = sub(holds, 1, at - 1) .. sub(holds, at + HOLD)
  return true
end

-- sort: 0 charged at once, 1 held and released on expiry, 2 held and charged on expiry.
local function settle(b, kind, period, id, amount, sort, start, used)
  local live = removeHold(b, id)
  if not live and kind == 1 and start ~= b.at then return false end
  local charged = amount
  if live or sort == 1 then charged = 0 end
  local more = used - charged
  if not live and sort == 2 and kind == 0 and more < 0 then more = 0 end
  raise(b, kind, period, more)
  b.version = b.version + 1
  return true
end

local function renew(b, id, deadline)
  local at = findHold(b, id)
  if not at then return false end
  local amount, _, onExpiry = unpacked('<ddB', b.holds, at + 50)
  removeHold(b, id)
  insert(b, id .. pack('<ddB', amount, deadline, onExpiry), deadline)
  b.held = b.held + amount
  b.version = b.version + 1
  return true
end

local function waitMs(b, kind, burst, period, now, finish, cost)
  if cost > burst then return MOST end
  local level, held, holds, from = b.level, b.held, b.holds, 1
  local passed, drainedFor = 0, 0
  if kind == 0 then drainedFor = max(0, b.at - now) end
  while true do
    local room = (burst - held - cost) * period
    local fitsIn = MOST
    if level <= room then fitsIn = passed
    elseif kind == 0 and room >= 0 then fitsIn = drainedFor + ceil((level - room) / b.drain) end
    local amount, deadline, onExpiry
    if from < #holds then amount, deadline, onExpiry = unpacked('<ddB', holds, from + 50) end
    if not deadline or fitsIn <= deadline - now then
      return min(MOST, fitsIn, kind == 1 and max(0, finish - now) or MOST)
    end
    passed = deadline - now
    if kind == 0 and passed > drainedFor then
      level = drained(level, passed - drainedFor, b.drain)
      drainedFor = passed
    end
    held = held - amount
    if onExpiry == 1 and kind ~= 2 then level = min(MOST, level + amount * period) end
    from = from + HOLD
  end
end

-- What the client makes a state of; it walks no holds, so where there are some the wait is told.
local function told(b, fitted, kind, burst, period, now, finish, cost)
  local holds, last, wait = b.holds, 0, -1
  if holds ~= '' then
    last = unpacked('<d', holds, #holds - 8)
    if not fitted then wait = waitMs(b, kind, burst, period, now, finish, cost) end
  end
  return pack('<dddddddB', b.level, b.at, b.drain, b.held, b.version, last, wait, fitted and 1 or 0)
end

local function timeMs()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The window of the three that were passed that holds now; nil where none does.
local function windowAt(now, first, second, third, last)
  if now < first or now >= last then return nil end
  if now < second then return first, second end
  if now < third then return second, third end
  return third, last
end

-- Until nothing of it counts any more, whichever way its holds end, and a while longer.
local function lifeMs(b, kind, period, now, finish)
  local life = 60000
  local holds = b.holds
  if holds ~= '' then life = life + max(0, unpacked('<d', holds, #holds - 8) - now) end
  if kind == 0 then life = life + max(0, b.at - now) + ceil((b.level + b.held * period) / b.drain) end
  if kind == 1 then life = max(life, finish - now) + 3600000 end
  return max(1, min(life, 315360000000))
end
`;
