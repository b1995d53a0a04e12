import { createHash } from 'node:crypto';
import { LUA_ARITHMETIC } from './redis-script-arithmetic.ts';

export interface RedisScript {
  readonly text: string;
  /** By which EVALSHA names it. */
  readonly sha: string;
}

/**
 * Several takes in one call, each of them all or nothing. KEYS: the marker, then of each take its record, where it may
 * hold, and the buckets of its plans. ARGV: the marker as it must be, then one take each; `redis-codec` says how.
 * What is read is read before, and what is written is written after all arithmetic, so that an error writes nothing.
 * Of each take the answer says 0 taken, 1 exceeded, 2 duplicate, 3 released, 4 its windows are of another time,
 * 5 its bucket cannot be read.
 */
const TAKE = `
local now = timeMs()
local found = call('MGET', unpack(KEYS))
if found[1] ~= ARGV[1] then return pack('<Bd', 9, now) end

local buckets, records, dirty, out = {}, {}, {}, { pack('<Bd', 0, now) }

local function toWrite(b)
  if b.dirty then return end
  b.dirty = true
  dirty[#dirty + 1] = b
end

local function take(arg, key)
  local plans, reserved = byte(arg, 3, 4)
  local at, recordKey, horizon, note = 5, nil, 0, ''
  if reserved > 0 then
    recordKey = KEYS[key]
    local record = records[recordKey] or found[key]
    key = key + 1
    if record then return byte(record) == 2 and '\\3' or '\\2' end
    local size
    horizon, size, at = unpacked('<dI2', arg, at)
    note = sub(arg, at, at + size - 1)
    at = at + size
  end
  local states = {}
  for plan = 1, plans do
    local count = byte(arg, at)
    at = at + 1
    local charges, all = {}, true
    for c = 1, count do
      local kind, enforced, hold, refundable = byte(arg, at, at + 3)
      local limit, burst, period, cost, ttl, start, finish = 0, 0, 0, 0, 0, 0, 0
      if kind == 1 then
        local first, second, third, last
        limit, burst, period, cost, ttl, first, second, third, last, at = unpacked('<ddddddddd', arg, at + 4)
        start, finish = windowAt(now, first, second, third, last)
        if not start then return '\\4' end
      else
        limit, burst, period, cost, ttl, at = unpacked('<ddddd', arg, at + 4)
      end
      local name = KEYS[key]
      local b = buckets[name]
      if not b then
        local value = found[key]
        if isBroken(value) then return '\\5' end
        b = toBucket(value, kind, limit, now, start, name)
        buckets[name] = b
      end
      key = key + 1
      if advance(b, kind, period, now, start, finish) then toWrite(b) end
      local fitted = fits(b, burst, period, cost)
      if enforced == 1 and not fitted then all = false end
      b.kind, b.limit, b.burst, b.period, b.cost, b.finish, b.fitted = kind, limit, burst, period, cost, finish, fitted
      if reserved > 0 then b.hold, b.refundable, b.ttl, b.start = hold, refundable, ttl, start end
      charges[c] = b
    end
    if all then
      local answer, holding, expires = { pack('BB', 0, plan - 1) }, 0, 0
      local id = recordKey and sub(recordKey, -50)
      for c = 1, count do
        local b = charges[c]
        local holds = reserved > 0 and b.hold > 0
        local lasts = holds and b.hold < 3
        if lasts then holding = holding + 1 end
        if b.fitted then
          if holds then
            local deadline = now + b.ttl
            if lasts and deadline > expires then expires = deadline end
            admit(b, b.kind, b.limit, b.period, b.cost, id, deadline, b.hold == 1 and 0 or 1)
          else
            admit(b, b.kind, b.limit, b.period, b.cost)
          end
          toWrite(b)
        end
        answer[c + 1] = told(b, b.fitted, b.kind, b.burst, b.period, now, b.finish, b.cost)
      end
      if holding > 0 or reserved == 2 then
        local parts = { pack('<BBdI2', 0, plan - 1, expires, #note), note, pack('B', count) }
        for c = 1, count do
          local b = charges[c]
          parts[c + 3] = pack('<BBBBddddddI2', b.kind, b.hold < 3 and b.hold or 0, b.refundable, b.fitted and 1 or 0,
            b.limit, b.burst, b.period, b.fitted and b.cost or 0, b.start, b.finish, #b.name) .. b.name
        end
        local record = table.concat(parts)
        records[recordKey] = record
        dirty[#dirty + 1] = { name = recordKey, record = record, life = max(0, expires - now) + horizon }
      end
      return table.concat(answer)
    end
    for c = 1, count do
      local b = charges[c]
      states[#states + 1] = told(b, b.fitted, b.kind, b.burst, b.period, now, b.finish, b.cost)
    end
  end
  return '\\1' .. table.concat(states)
end

local key = 2
for i = 2, #ARGV do
  out[i] = take(ARGV[i], key)
  key = key + unpacked('<I2', ARGV[i])
end
for i = 1, #dirty do
  local b = dirty[i]
  if b.record then call('SET', b.name, b.record, 'PX', b.life)
  else call('SET', b.name, packed(b), 'PX', lifeMs(b, b.kind, b.period, now, b.finish)) end
end
return table.concat(out)
`;

/** Reads the charges of a record; the rest of the text is theirs alone. */
const LUA_RECORD = `
local function toRecord(value)
  local state, plan, expires, size, at = unpacked('<BBdI2', value)
  local record = { state = state, plan = plan, expires = expires, note = sub(value, at, at + size - 1), charges = {} }
  at = at + size
  local count = byte(value, at)
  at = at + 1
  for c = 1, count do
    local g, length = {}, 0
    g.kind, g.hold, g.refundable, g.taken, g.limit, g.burst, g.period, g.amount, g.start, g.finish, length, at =
      unpacked('<BBBBddddddI2', value, at)
    g.name = sub(value, at, at + length - 1)
    at = at + length
    record.charges[c] = g
  end
  record.used = sub(value, at)
  return record
end

local function fromRecord(record, used)
  local parts = { pack('<BBdI2', record.state, record.plan, record.expires, #record.note), record.note,
    pack('B', #record.charges) }
  for c, g in ipairs(record.charges) do
    parts[c + 3] = pack('<BBBBddddddI2', g.kind, g.hold, g.refundable, g.taken, g.limit, g.burst, g.period, g.amount,
      g.start, g.finish, #g.name) .. g.name
  end
  parts[#parts + 1] = used or ''
  return table.concat(parts)
end

-- A window that is over is as if the next one had begun.
local function readTaken(g, now)
  local value = call('MGET', g.name)[1]
  if isBroken(value) then error('a bucket cannot be read') end
  local over = g.kind == 1 and now >= g.finish
  local start = over and g.finish or g.start
  local b = toBucket(value, g.kind, g.limit, now, start)
  return b, advance(b, g.kind, g.period, now, start, over and MOST or g.finish)
end

local function writeTaken(g, b, now)
  local left = call('PTTL', g.name)
  local life = lifeMs(b, g.kind, g.period, now, max(now, g.finish))
  if left > life then life = left end
  return { 'SET', g.name, packed(b), 'PX', life }
end
`;

/**
 * What is done about one reservation. KEYS: marker, record. ARGV: the marker as it must be; `settle`, `release`, `undo`
 * (a release that forgets the id), `renew` or `look`; of a settle what was used, of a renew the new time to live, of a
 * release how long to mark an unknown id.
 * Answers a byte: 0 done, 1 nothing is known, 2 it is over already, 9 the marker is another; `look` the record behind 0.
 */
const RESERVATION = `
local now = timeMs()
local found = call('MGET', KEYS[1], KEYS[2])
if found[1] ~= ARGV[1] then return pack('<Bd', 9, now) end
local value, what = found[2], ARGV[2]
local id = sub(KEYS[2], -50)
if not value then
  if what == 'release' then call('SET', KEYS[2], pack('<BBdI2B', 2, 0, now, 0, 0), 'PX', (unpacked('<d', ARGV[3]))) end
  return pack('<Bd', 1, now)
end
if what == 'look' then return pack('<Bd', 0, now) .. value end
local record = toRecord(value)
if record.state ~= 0 then return pack('<Bd', 2, now) end
local writes = {}
if what == 'renew' then
  local deadline = now + unpacked('<d', ARGV[3])
  for _, g in ipairs(record.charges) do
    if g.hold > 0 and g.taken == 1 then
      local b = readTaken(g, now)
      if renew(b, id, deadline) then writes[#writes + 1] = writeTaken(g, b, now) end
    end
  end
  if #writes == 0 then return pack('<Bd', 2, now) end
  record.expires = deadline
else
  local at, used = 1, 0
  for _, g in ipairs(record.charges) do
    local settled = what ~= 'settle'
    if settled then used = g.refundable == 1 and 0 or g.amount end
    if what == 'settle' and g.hold > 0 then
      used, at = unpacked('<d', ARGV[3], at)
      settled = true
    end
    if settled and g.taken == 1 then
      local b, setBack = readTaken(g, now)
      if settle(b, g.kind, g.period, id, g.amount, g.hold, g.start, used) or setBack then
        writes[#writes + 1] = writeTaken(g, b, now)
      end
    end
  end
  record.state = what == 'settle' and 1 or 2
end
for _, write in ipairs(writes) do call(unpack(write)) end
if what == 'undo' then
  call('DEL', KEYS[2])
  return pack('<Bd', 0, now)
end
local left = call('PTTL', KEYS[2])
if what == 'renew' then left = max(left, record.expires - now + unpacked('<d', ARGV[4])) end
call('SET', KEYS[2], fromRecord(record, what == 'settle' and ARGV[3] or ''), 'PX', max(1, left))
return pack('<Bd', 0, now)
`;

/**
 * Buckets by themselves. KEYS: marker, buckets. ARGV: the marker as it must be; `charge` (forced), `refund` (of the
 * window that starts where the charge says), `confirm` or `cancel` (of what the last argument holds provisionally) or
 * `peek`; one charge each, as a take has them, a refund with the start of its window behind. Answers 0 and the states,
 * 4 where a window is of another time, 9 where the marker is another.
 */
const BUCKETS = `
local now = timeMs()
local found = call('MGET', unpack(KEYS))
if found[1] ~= ARGV[1] then return pack('<Bd', 9, now) end
local what, writes, out = ARGV[2], {}, { pack('<Bd', 0, now) }
for c = 2, #KEYS do
  local arg = ARGV[c + 1]
  local kind = byte(arg)
  local limit, burst, period, cost = unpacked('<dddd', arg, 5)
  local start, finish = 0, 0
  if kind == 1 then
    start, finish = windowAt(now, unpacked('<dddd', arg, 45))
    if not start then return pack('<Bd', 4, now) end
  end
  if isBroken(found[c]) then error('a bucket cannot be read') end
  local b = toBucket(found[c], kind, limit, now, start)
  local setBack = advance(b, kind, period, now, start, finish)
  local done = false
  if what == 'charge' then
    admit(b, kind, limit, period, cost)
    done = true
  elseif what == 'refund' then
    done = settle(b, kind, period, '-', cost, 0, unpacked('<d', arg, #arg - 7), 0) or setBack
  elseif what ~= 'peek' then
    local id = ARGV[#KEYS + 2]
    done = findHold(b, id) and settle(b, kind, period, id, cost, 2, b.at, what == 'confirm' and cost or 0) or setBack
  end
  if done then writes[#writes + 1] = { 'SET', KEYS[c], packed(b), 'PX', lifeMs(b, kind, period, now, finish) } end
  if what ~= 'peek' then cost = 0 end
  out[c] = told(b, fits(b, burst, period, cost), kind, burst, period, now, finish, cost)
end
for _, write in ipairs(writes) do call(unpack(write)) end
return table.concat(out)
`;

export const TAKE_SCRIPT: RedisScript = toScript(LUA_ARITHMETIC + TAKE);
export const RESERVATION_SCRIPT: RedisScript = toScript(LUA_ARITHMETIC + LUA_RECORD + RESERVATION);
export const BUCKETS_SCRIPT: RedisScript = toScript(LUA_ARITHMETIC + BUCKETS);

/** In the spelling of `EVALSHA`. */
export function toScript(text: string): RedisScript {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}
