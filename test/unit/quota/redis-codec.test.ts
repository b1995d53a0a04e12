import { describe, expect, test } from 'vitest';
import type { BucketTerms } from '../../../src/quota/bucket.ts';
import { parseRedisUrl } from '../../../src/quota/redis/redis-address.ts';
import { createRedisBatch } from '../../../src/quota/redis/redis-batch.ts';
import { readReservation, readState, toDoubles, viewOf } from '../../../src/quota/redis/redis-codec.ts';
import { createRedisKeys } from '../../../src/quota/redis/redis-keys.ts';
import { createRecentTakes } from '../../../src/quota/redis/redis-recent.ts';
import { createRespReader } from '../../../src/quota/redis/redis-resp.ts';

const keys = createRedisKeys('p:');
const rate: BucketTerms = {
  id: 'a',
  kind: 'rate',
  limit: 10,
  burst: 10,
  periodMs: 1000,
  region: 'callers',
  scope: 'tenant',
};
const ID = '0199e7a2b000-00000000000000000001-00112233445566ff';

describe('keys', () => {
  test('name the version, and what belongs together in one slot', () => {
    expect(keys.bucket(rate)).toBe('p:1:{b}:b:a');
    expect(keys.record(ID)).toBe(`p:1:{00112233445566ff}:r:${ID}`);
    expect(keys.record('../x')).toBeUndefined();
  });

  test('of long or other letters are digests, and no two are alike', () => {
    const ids = ['é', 'e\u0301', 'x'.repeat(10_000_000), 'x'.repeat(201), '\ud800', '\ufffd', 'a', 'b}:b:a'];
    const names = ids.map((id) => keys.bucket({ ...rate, id }));
    expect(new Set(names).size).toBe(ids.length);
    for (const name of names) {
      expect(name.length).toBeLessThan(300);
      expect(Buffer.byteLength(name)).toBe(name.length);
    }
  });
});

describe('a batch', () => {
  test('is one command with the keys and the takes in order, and is empty after it', () => {
    const batch = createRedisBatch({ keys, horizonMs: 900_000 });
    const charge = { terms: rate, cost: 1, enforced: true, refundable: true };
    const held = { ...charge, terms: { ...rate, id: 'b' }, hold: { ttlMs: 5, onExpiry: 'release' as const } };
    batch.add({ id: ID, plans: [[charge], [charge, held]], note: 'né' }, true, 0);
    batch.add({ id: 'any', plans: [[charge]], note: 'ignored' }, false, 0);
    const replies: unknown[] = [];
    createRespReader((reply) => replies.push(reply)).read(batch.finish(Buffer.from('marker')));
    const parts = replies[0] as readonly Buffer[];
    expect(parts).toHaveLength(12);
    expect(parts.slice(2, 9).map(String)).toEqual([
      '6',
      'p:1:born',
      `p:1:{00112233445566ff}:r:${ID}`,
      'p:1:{b}:b:a',
      'p:1:{b}:b:a',
      'p:1:{b}:b:b',
      'p:1:{b}:b:a',
    ]);
    expect(batch.takes).toBe(0);
  });

  test('grows for what is large, and takes no more than a call can pass on', () => {
    const batch = createRedisBatch({ keys, horizonMs: 1 });
    const plan = Array.from({ length: 16 }, (_, index) => ({
      terms: { ...rate, id: `${index}`.padEnd(200, 'x') },
      cost: 1,
      enforced: true,
      refundable: true,
    }));
    let added = 0;
    for (; !batch.full; added += 1)
      batch.add({ id: ID, plans: Array.from({ length: 8 }, () => plan), note: '' }, false, 0);
    expect(added).toBeLessThan(64);
    const replies: unknown[] = [];
    createRespReader((reply) => replies.push(reply)).read(batch.finish(Buffer.from('m')));
    expect(replies).toHaveLength(1);
  });
});

describe('answers', () => {
  test('that are cut short are a fault, and no state', () => {
    expect(() => readState(viewOf(Buffer.alloc(20)), 0, rate, 1, 0)).toThrow(RangeError);
    expect(() => readReservation(Buffer.alloc(3))).toThrow(RangeError);
    expect(() => readReservation(Buffer.from([9, 0]))).toThrow(RangeError);
  });

  test('keep numbers to the last bit', () => {
    const told = Buffer.concat([toDoubles(2 ** 53 - 1, 5, 10, 3, 2 ** 53 - 1, 0, -1), Buffer.from([0])]);
    expect(readState(viewOf(told), 0, rate, 1, 5)).toMatchObject({
      level: 2 ** 53 - 1,
      version: 2 ** 53 - 1,
      held: 3,
      fits: false,
    });
  });
});

test('the last takes are remembered, and older ones forgotten', () => {
  const recent = createRecentTakes(10);
  for (let take = 0; take < 35; take += 1) recent.set(`id-${take}`, 'recorded');
  expect(recent.get('id-34')).toBe('recorded');
  expect(recent.get('id-25')).toBe('recorded');
  expect(recent.get('id-0')).toBeUndefined();
});

test.each([
  ['redis://localhost', { host: 'localhost', port: 6379, secure: false, database: 0 }],
  ['rediss://u%40x:p%2Fw@h:7/3', { host: 'h', port: 7, secure: true, user: 'u@x', password: 'p/w', database: 3 }],
  ['redis://[::1]:5', { host: '::1', port: 5 }],
])('the url %s is read', (url, address) => {
  expect(parseRedisUrl(url)).toMatchObject(address);
});
