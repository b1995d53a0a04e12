import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BucketTerms } from '../../src/quota/bucket.ts';
import { readState, STATE_BYTES, toDoubles, viewOf } from '../../src/quota/redis/redis-codec.ts';
import type { RedisConnection } from '../../src/quota/redis/redis-connection.ts';
import { LUA_ARITHMETIC } from '../../src/quota/redis/redis-script-arithmetic.ts';
import { toHoldId } from '../support/bucket-draws.ts';
import { type BucketVector, bucketVectors, toFlat, toTerms, VECTOR_OPERATIONS } from '../support/bucket-vectors.ts';
import { describeWith } from '../support/describe-with.ts';
import { caseCount, seedOf } from '../support/seed.ts';
import { connectTo, startValkey, type ValkeyServer } from '../support/valkey.ts';

/** One vector for each of ARGV; answers the bucket as it is stored behind its length, then what is told of it. */
const REPLAY = `
local out = {}
for i = 1, #ARGV do
  local arg = ARGV[i]
  local kind, limit, burst, period, now, start, finish, code, cost, deadline, sort, from, refundable, used, size, at =
    unpacked('<ddddddddddddddd', arg)
  local id = sub(arg, at, at + 49)
  local value = sub(arg, at + 50)
  local b = toBucket(value, kind, limit, now, start)
  local version = b.version
  local setBack = advance(b, kind, period, now, start, finish) and code ~= 6
  local asked, fitted = 0, nil
  if code <= 1 then
    asked = cost
    fitted = fits(b, burst, period, cost)
    if fitted then
      if code == 1 then admit(b, kind, limit, period, cost, id, now + deadline, sort)
      else admit(b, kind, limit, period, cost) end
    end
  elseif code == 2 then settle(b, kind, period, id, cost, sort, from, used)
  elseif code == 3 then settle(b, kind, period, id, cost, sort, from, refundable == 1 and 0 or cost)
  elseif code == 4 then renew(b, id, deadline)
  elseif code == 5 then admit(b, kind, limit, period, cost) end
  if fitted == nil then fitted = fits(b, burst, period, 0) end
  local after = b.version == version and not setBack and value or packed(b)
  out[i] = pack('<d', #after) .. after .. told(b, fitted, kind, burst, period, now, finish, asked)
end
return table.concat(out)
`;

const BATCH = 500;

describeWith(['valkey'], 'the arithmetic of the script', () => {
  let server: ValkeyServer;
  let connection: RedisConnection;

  beforeAll(async () => {
    server = await startValkey();
    connection = await connectTo(server.port);
  });
  afterAll(async () => {
    connection.close('done');
    await server.remove();
  });

  test('comes to the same as that of this process, bit for bit', async () => {
    const count = caseCount(100_000);
    const seen = new Map<string, number>();
    let batch: BucketVector[] = [];
    const replay = async (): Promise<void> => {
      const script = ['EVAL', LUA_ARITHMETIC + REPLAY, '0', ...batch.map(encode)];
      const reply = await connection.ask(script);
      if (!Buffer.isBuffer(reply)) throw new Error(JSON.stringify(reply));
      let at = 0;
      for (const vector of batch) {
        const size = reply.readDoubleLE(at);
        const after = decode(reply.subarray(at + 8, at + 8 + size));
        const cost = (vector.operation[0] ?? 6) <= 1 ? (vector.operation[1] ?? 0) : 0;
        const [nowMs, startMs, endMs] = vector.moment;
        const terms = withWindow(toTerms(vector.terms), startMs, endMs);
        const state = readState(viewOf(reply), at + 8 + size, terms, cost, nowMs);
        at += 8 + size + STATE_BYTES;
        const { limit, remaining, held, fits, waitMs, resetMs, version, level } = state;
        const told = [limit, remaining, held, fits ? 1 : 0, waitMs, resetMs, version, level];
        if (!same(after, vector.after) || !same(told, vector.state)) {
          expect({ vector, after, state: told }).toEqual({ vector, after: vector.after, state: vector.state });
        }
        const sort = `${toTerms(vector.terms).kind} ${VECTOR_OPERATIONS[vector.operation[0] ?? 6]} ${vector.did}`;
        seen.set(sort, (seen.get(sort) ?? 0) + 1);
      }
      batch = [];
    };
    for (const vector of bucketVectors(seedOf('script arithmetic'), count)) {
      batch.push(vector);
      if (batch.length === BATCH) await replay();
    }
    if (batch.length > 0) await replay();
    if (count >= 10_000) expect(seen.size).toBeGreaterThan(30);
    console.info(`script arithmetic: ${count} vectors of ${seen.size} sorts, all equal`);
  });
});

function same(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((number, index) => number === other[index]);
}

function withWindow(terms: BucketTerms, startMs: number, endMs: number): BucketTerms {
  return terms.kind === 'window' ? { ...terms, windows: { at: () => ({ startMs, endMs }) } } : terms;
}

function encode({ terms, moment, before, operation }: BucketVector): Buffer {
  const [code = 6, ...rest] = operation;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = rest;
  // cost or amount, time or deadline, sort, start, refundable, used, hold
  const operands =
    code === 1
      ? [a, c, d, 0, 0, 0, b]
      : code === 2 || code === 3
        ? [b, 0, c, d, e, f, a]
        : code === 4
          ? [0, b, 0, 0, 0, 0, a]
          : [a, 0, 0, 0, 0, 0, 0];
  const numbers = toDoubles(...terms, ...moment, code, ...operands.slice(0, 6), 0);
  return Buffer.concat([numbers, Buffer.from(toHoldId(operands[6] ?? 0)), stored(before)]);
}

/** As the store keeps a bucket. */
function stored([level = 0, at = 0, drain = 0, held = 0, version = 0, ...holds]: readonly number[]): Buffer {
  const parts = [toDoubles(level, at, drain, held, version)];
  for (let from = 0; from < holds.length; from += 4) {
    const [id = 0, amount = 0, deadline = 0, onExpiry = 0] = holds.slice(from, from + 4);
    parts.push(Buffer.from(toHoldId(id)), toDoubles(amount, deadline), Buffer.from([onExpiry]));
  }
  return Buffer.concat(parts);
}

function decode(bytes: Buffer): readonly number[] {
  const double = (at: number): number => bytes.readDoubleLE(at);
  const holds: { id: string; amount: number; deadlineMs: number; onExpiry: 'charge' | 'release' }[] = [];
  for (let at = 40; at < bytes.length; at += 67) {
    const onExpiry = bytes[at + 66] === 1 ? 'charge' : 'release';
    holds.push({
      id: bytes.toString('latin1', at, at + 50),
      amount: double(at + 50),
      deadlineMs: double(at + 58),
      onExpiry,
    });
  }
  return toFlat({ level: double(0), atMs: double(8), drain: double(16), held: double(24), version: double(32), holds });
}
