import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { BucketCharge, BucketTerms } from '../../../src/quota/bucket.ts';
import { STATE_BYTES } from '../../../src/quota/redis/redis-codec.ts';
import { createRedisKeys } from '../../../src/quota/redis/redis-keys.ts';
import { createRedisTakes, fromReceipt, type RedisTakesOptions } from '../../../src/quota/redis/redis-takes.ts';

const AT = { epochMs: 1_800_000_000_000, monotonicMs: 5_000 };
const SERVER_MS = 1_800_000_000_123;
/** Which of three charges the server says it took; the second is in shadow and did not fit. */
const FITTED = [true, false, true];

function charge(id: string, extra: Partial<BucketCharge> = {}): BucketCharge {
  const terms: BucketTerms = {
    id,
    kind: 'rate',
    limit: 10,
    burst: 10,
    periodMs: 1000,
    region: 'callers',
    scope: 'tenant',
  };
  return { terms, cost: 1, enforced: true, refundable: true, ...extra };
}

const CHARGES = [charge('a'), charge('b', { enforced: false }), charge('c')];

function reply(): Buffer {
  const bytes = Buffer.alloc(11 + FITTED.length * STATE_BYTES);
  bytes.writeDoubleLE(SERVER_MS, 1);
  for (const [index, fitted] of FITTED.entries()) {
    const at = 11 + index * STATE_BYTES;
    bytes.writeDoubleLE(SERVER_MS, at + 8);
    bytes.writeDoubleLE(fitted ? -1 : 7, at + 48);
    bytes[at + 56] = fitted ? 1 : 0;
  }
  return bytes;
}

async function takenBy(options: { receipts?: boolean }, request: { unrecorded?: boolean; recordMs?: number }) {
  const remembered: unknown[] = [];
  const state = {
    marker: () => Buffer.alloc(8),
    observe: (bytes: Buffer) => bytes.readDoubleLE(1),
    serverMs: (monotonicMs: number) => monotonicMs,
  };
  const takes = createRedisTakes({
    ...options,
    keys: createRedisKeys('test:'),
    calls: { send: (call) => call.answered(reply()) },
    // Only what takes ask of it.
    state: state as unknown as RedisTakesOptions['state'],
    clock: { now: () => AT },
    horizonMs: 1000,
    remember: (_id, taken) => remembered.push(taken),
    unwanted: () => undefined,
    unknown: () => undefined,
    changed: () => undefined,
  });
  const id = '018f00000000-00000000000000000000-00000000';
  const answer = takes.take({ id, plans: [CHARGES], note: '', fresh: true, ...request }, AT);
  await turn();
  return { answer: await answer, remembered };
}

const PLAIN = { atMs: SERVER_MS, taken: FITTED };

test('a take that may be left unrecorded is answered with a receipt, which says all that is remembered of others', async () => {
  const { answer, remembered } = await takenBy({ receipts: true }, { unrecorded: true });
  expect(remembered).toEqual([]);
  const receipt = answer.kind === 'taken' ? answer.receipt : undefined;
  expect(receipt).toEqual({ taken: 0b101, shared: 0, epochMs: SERVER_MS });
  expect(receipt && fromReceipt(receipt, CHARGES.length)).toEqual(PLAIN);
});

test.each([
  { what: 'asked for without one', options: { receipts: true }, request: {} },
  { what: 'asked for where none are given', options: {}, request: { unrecorded: true } },
])('a take $what is remembered and has no receipt', async ({ options, request }) => {
  const { answer, remembered } = await takenBy(options, request);
  expect(remembered).toEqual([PLAIN]);
  expect(answer).toMatchObject({ kind: 'taken', plan: 0 });
  expect(answer).not.toHaveProperty('receipt');
});
