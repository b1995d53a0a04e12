import { describe, expect, test } from 'vitest';
import { createLearnedUse, type LearnedUse } from '../../../src/quota/learned-use.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';

const learned = (maxEntries = 100): LearnedUse => createLearnedUse({ enabled: true, max_entries: maxEntries });

describe('what was learned', () => {
  test.each([0, 1, 3, 4, 5, 300, 4096, 2 ** 31, 2 ** 32 + 7, 2 ** 53 - 1])(
    'of %i is not below it, and at most a quarter above',
    (used) => {
      const uses = learned();
      for (let call = 0; call < 20; call += 1) uses.learn('acme', 'llama', 'tpm', used);
      const p95 = uses.p95('acme', 'llama', 'tpm') ?? -1;
      expect(p95).toBeGreaterThanOrEqual(used);
      expect(p95).toBeLessThanOrEqual(used * 1.25);
    },
  );

  test('covers 95 of 100 calls', () => {
    const random = createRandom(seedOf('learned use'));
    for (let round = 0; round < caseCount(50); round += 1) {
      const uses = learned();
      const calls = Array.from({ length: 100 }, () => random.below(10 ** (1 + random.below(7))));
      for (const used of calls) uses.learn('acme', 'llama', 'tpm', used);
      const p95 = uses.p95('acme', 'llama', 'tpm') ?? -1;
      expect(calls.filter((used) => used <= p95).length).toBeGreaterThanOrEqual(95);
      const sorted = calls.toSorted((a, b) => a - b);
      expect(p95).toBeLessThanOrEqual(Math.max(1, (sorted[94] ?? 0) * 1.25));
    }
  });

  test('fades: the last thousand calls count most', () => {
    const uses = learned();
    for (let call = 0; call < 5000; call += 1) uses.learn('acme', 'llama', 'tpm', 4000);
    for (let call = 0; call < 8000; call += 1) uses.learn('acme', 'llama', 'tpm', 100);
    expect(uses.p95('acme', 'llama', 'tpm')).toBeLessThan(130);
  });

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('ignores a use of %s', (used) => {
    const uses = learned();
    for (let call = 0; call < 30; call += 1) uses.learn('acme', 'llama', 'tpm', used);
    expect(uses.p95('acme', 'llama', 'tpm')).toBeUndefined();
  });

  test.each<readonly [string, string, string]>([
    ['a', 'cmellama', 'tpm'],
    ['acmellama', '', 'tpm'],
    ['acme', 'llamatpm', ''],
    ['acme', '5:llama', 'tpm'],
  ])('is kept apart from that of %s, %s, %s', (tenant, model, limit) => {
    const uses = learned();
    for (let call = 0; call < 20; call += 1) uses.learn('acme', 'llama', 'tpm', 10);
    expect(uses.p95(tenant, model, limit)).toBeUndefined();
  });

  test('is forgotten of whom nobody asked for the longest time', () => {
    const uses = learned(10);
    for (const tenant of ['first', ...Array.from({ length: 10 }, (_, at) => `other ${at}`)]) {
      for (let call = 0; call < 20; call += 1) uses.learn(tenant, 'llama', 'tpm', 10);
    }
    expect(uses.p95('first', 'llama', 'tpm')).toBeUndefined();
    expect(uses.p95('other 9', 'llama', 'tpm')).toBeDefined();
  });
});
