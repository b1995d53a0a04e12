import { expect, test } from 'vitest';
import type { BucketCharge, BucketTerms } from '../../../src/quota/bucket.ts';
import type { StoreTake } from '../../../src/quota/bucket-store.ts';
import { createWindows } from '../../../src/quota/calendar.ts';
import { createRedisBatch } from '../../../src/quota/redis/redis-batch.ts';
import { createRedisKeys } from '../../../src/quota/redis/redis-keys.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';

const keys = createRedisKeys('p:');
const MARKER = Buffer.from('marker');
const SPANS = [1, 60, 3600].map((periodSeconds) => createWindows({ periodSeconds }));

function randomCharge(random: Random, place: number): BucketCharge {
  const windows = SPANS[random.below(4)];
  // Some are too long to be kept, some have other letters.
  const id = `${place}${['', 'é', 'x'.repeat(150)][random.below(3)]}${random.below(1000)}`;
  const limit = 1 + random.below(100);
  const shared: Pick<BucketTerms, 'id' | 'limit' | 'burst' | 'region' | 'scope'> = {
    ...{ id, limit, burst: limit },
    ...{ region: 'callers', scope: 'tenant' },
  };
  const terms: BucketTerms =
    windows === undefined
      ? { ...shared, kind: 'rate', periodMs: 1000 }
      : { ...shared, kind: 'window', periodMs: 1, windows };
  return { terms, cost: random.below(limit), enforced: random.below(2) === 0, refundable: true };
}

function randomPlans(random: Random): StoreTake['plans'] {
  return Array.from({ length: 1 + random.below(2) }, () =>
    Array.from({ length: 1 + random.below(12) }, (_, place) => randomCharge(random, place)),
  );
}

test('a take that is repeated is written as it is at that moment, byte for byte, whatever was kept of it', () => {
  const random = createRandom(seedOf('repeated takes'));
  const all = Array.from({ length: 40 }, () => randomPlans(random));
  const repeating = createRedisBatch({ keys, horizonMs: 1000 });
  const plain = createRedisBatch({ keys, horizonMs: 1000 });
  let nowMs = 1_800_000_000_000;
  for (let sent = 0; sent < caseCount(300); sent += 1) {
    for (let takes = 1 + random.below(20); takes > 0 && !plain.full; takes -= 1) {
      const take = { id: 'any', plans: all[random.below(all.length)] ?? [], note: '' };
      repeating.add({ ...take, repeated: true }, false, nowMs);
      plain.add(take, false, nowMs);
    }
    expect(repeating.takes).toBe(plain.takes);
    expect(repeating.full).toBe(plain.full);
    expect(repeating.finish(MARKER).equals(plain.finish(MARKER))).toBe(true);
    // Forwards mostly, over the ends of windows, and back at times, as a server's clock may go.
    nowMs += random.below(10) === 0 ? -random.below(90_000) : random.below(40_000);
  }
});

test('a take that holds is written anew each time, whatever it says', () => {
  const batch = createRedisBatch({ keys, horizonMs: 1000 });
  const plans = [[randomCharge(createRandom(1), 0)]];
  const written = ['1', '2'].map((last) => {
    const id = `0199e7a2b000-0000000000000000000${last}-00112233445566ff`;
    batch.add({ id, plans, note: `note ${last}`, repeated: true }, true, 0);
    return batch.finish(MARKER).toString('latin1');
  });
  expect(written[0]).toContain('note 1');
  expect(written[1]).toContain('note 2');
});
