import { type RedisScript, toScript } from './redis-script.ts';

/**
 * Finds or makes the marker of a fleet's state: an epoch (32 bytes), when state was lost (0 never, -1 lost and accepted
 * by the operator), from when on takes are answered. KEYS: marker, what the operator sets to accept a loss. ARGV: a new
 * epoch, the epoch that this process knows or nothing, how long to wait after a loss and at a first start.
 */
const JOIN = `
local now = timeMs()
local found = call('MGET', KEYS[1], KEYS[2])
local marker, known = found[1], ARGV[2]
local cold, grace = unpacked('<dd', ARGV[3])
local made
if found[2] then
  made = ARGV[1] .. pack('<dd', -1, now)
elseif not marker or #marker ~= 48 then
  made = ARGV[1] .. (known == '' and pack('<dd', 0, now + grace) or pack('<dd', now, now + cold))
elseif known ~= '' and sub(marker, 1, 32) ~= known and unpacked('<d', marker, 33) == 0 then
  made = ARGV[1] .. pack('<dd', now, now + cold)
end
if made then call('SET', KEYS[1], made) end
if found[2] then call('DEL', KEYS[2]) end
return pack('<Bd', 0, now) .. (made or marker)
`;

/**
 * Says that a replica lives. KEYS: the replicas, the operator's key, the marker. Answers whether the operator's key is
 * set, how many replicas live, and the marker.
 */
const BEAT = `
local now = timeMs()
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 10000)
call('ZADD', KEYS[1], now, ARGV[1])
call('PEXPIRE', KEYS[1], 60000)
local found = call('MGET', KEYS[2], KEYS[3])
return pack('<BdBd', 0, now, found[1] and 1 or 0, call('ZCARD', KEYS[1])) .. (found[2] or '')
`;

const LUA_TIME = `
local sub, pack, unpacked, call = string.sub, struct.pack, struct.unpack, redis.call
local function timeMs()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
`;

export const JOIN_SCRIPT: RedisScript = toScript(LUA_TIME + JOIN);
export const BEAT_SCRIPT: RedisScript = toScript(LUA_TIME + BEAT);
