import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { BucketTerms } from '../../src/quota/bucket.ts';
import type { StoreTaken } from '../../src/quota/bucket-store.ts';
import { createWindows } from '../../src/quota/calendar.ts';
import { describeWith } from '../support/describe-with.ts';
import { openRedisStore, plainCharge, slowRate } from '../support/redis-store.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { systemClock } from '../support/system-ports.ts';
import { startValkey, type ValkeyServer } from '../support/valkey.ts';

describeWith(['valkey'], 'takes that are repeated', () => {
  let server: ValkeyServer;
  beforeAll(async () => {
    server = await startValkey();
  });
  afterAll(() => server.remove());

  test('count to the last unit, beside others of the same buckets that are not', async () => {
    const random = createRandom(seedOf('repeated takes on Valkey'));
    const opened = await openRedisStore({ url: server.url, deadlineMs: 20_000 });
    const { store } = opened;
    onTestFinished(() => store.stop());
    const limit = caseCount(3000);
    const rate = slowRate('rate', limit);
    // Longer than the test: a window that ended meanwhile would be another one.
    const day = createWindows({ periodSeconds: 30 * 86_400 });
    const window: BucketTerms = { ...slowRate('window', limit * 2), kind: 'window', periodMs: 1, windows: day };
    const plans = [[plainCharge(rate), plainCharge(window)], [plainCharge(window, 2)]].map((plan) => [plan]);

    const took = [0, 0];
    let refused = 0;
    while (refused < 200) {
      const asked = Array.from({ length: 1 + random.below(64) }, async (): Promise<void> => {
        const which = random.below(plans.length);
        const repeated = random.below(4) > 0;
        const take = {
          id: opened.newId(),
          plans: plans[which] ?? [],
          note: '',
          fresh: true,
          unrecorded: true,
          repeated,
        };
        const { kind }: StoreTaken = await store.take(take, systemClock.now());
        if (kind === 'taken') took[which] = (took[which] ?? 0) + 1;
        else refused += 1;
      });
      await Promise.all(asked);
    }
    const [both = 0, windows = 0] = took;
    expect(await opened.remaining(rate)).toBe(limit - both);
    expect(await opened.remaining(window)).toBe(2 * limit - both - 2 * windows);
    // What refused is used up: less is left than the smaller of the two plans costs.
    expect(Math.min(limit - both, 2 * limit - both - 2 * windows)).toBe(0);
  });
});
