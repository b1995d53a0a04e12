import { expect, test } from 'vitest';
import type { BucketTerms } from '../../../src/quota/bucket.ts';
import { createRedisKeys } from '../../../src/quota/redis/redis-keys.ts';
import { createRedisPart, type RedisPartOptions } from '../../../src/quota/redis/redis-part.ts';
import { createReservationId } from '../../../src/quota/reservation-id.ts';

const TERMS: BucketTerms = {
  id: 'rps',
  kind: 'rate',
  limit: 10,
  burst: 10,
  periodMs: 1000,
  region: 'callers',
  scope: 'tenant',
};
const AT = { epochMs: 1_800_000_000_000, monotonicMs: 5_000 };
const ID = createReservationId(AT.epochMs, (bytes) => Buffer.alloc(bytes, 7), 'acme');

/** A part whose server answers every script with these bytes. */
function answering(reply: Buffer) {
  const state = {
    marker: () => Buffer.alloc(0),
    observe: (bytes: Buffer) => bytes.readDoubleLE(1),
    serverMs: (monotonicMs: number) => monotonicMs,
  };
  return createRedisPart({
    keys: createRedisKeys('test:'),
    calls: { send: (call) => call.answered(reply) },
    // Only what a part asks of it.
    state: state as unknown as RedisPartOptions['state'],
    clock: { now: () => AT },
    horizonMs: 1000,
    changed: () => undefined,
  });
}

const question = { terms: TERMS, cost: 0, enforced: false, refundable: false };

test.each([
  { what: 'nothing', reply: Buffer.alloc(0) },
  { what: 'less than a head', reply: Buffer.alloc(8) },
  { what: 'a head and no bucket', reply: Buffer.alloc(9) },
  { what: 'half a bucket', reply: Buffer.alloc(20) },
])('an answer of $what is refused, and no error of another kind', async ({ reply }) => {
  const part = answering(reply);
  const refused = { name: 'StoreFault', reason: 'refused' };
  await expect(part.peek([question], AT)).rejects.toMatchObject(refused);
  await expect(part.look(ID)).rejects.toMatchObject(refused);
});
