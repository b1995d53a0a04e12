import { expect, test } from 'vitest';
import type { Principal } from '../../src/decision/principal.ts';
import { tenantA } from '../support/core.ts';
import { describeWith } from '../support/describe-with.ts';
import { type CountedBy, type KeyedCaller, openKeyedDecider } from '../support/keyed-decider.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';

/** SECURITY row 18 through the decider, with the smallest table that config takes. */
const LIMIT = 3;
const MAX_GROWTH_BYTES = 64 * 2 ** 20;
const STORE = { kind: 'memory', max_buckets: 1024, max_outsider_buckets: 1024, max_reservations: 64 };

describeWith(['opa'], 'callers without end', () => {
  test('cost bounded memory and no metric series, and nobody, old or new, gets above his limit', async () => {
    const seed = seedOf('cardinality');
    const random = createRandom(seed);
    const count = caseCount(100_000);
    const decider = await openKeyedDecider({ limit: LIMIT, quota: { store: STORE } });
    try {
      const old: readonly [CountedBy, KeyedCaller][] = [
        ['address', { forwarded: '203.0.113.7' }],
        ['principal', { principal: tenantA }],
        ['claim:team', { principal: { ...tenantA, claims: { team: 'red' } } }],
      ];
      for (const [by, caller] of old) expect(await passesOf(decider, by, caller)).toBe(LIMIT);

      const warm = Math.max(500, Math.ceil(count / 5));
      let early = { rss: 0, series: 0 };
      for (let at = 0; at < count; at += 1) {
        if (at === warm) early = await measure(decider);
        await decider.passes(...stranger(at, random.below(0xffff)));
      }
      const late = await measure(decider);
      // The old ones were exhausted before, and newcomers have a full limit at the most.
      const again = await Promise.all(old.map(([by, caller]) => passesOf(decider, by, caller)));
      const newcomers: number[] = [];
      for (let at = 0; at < 300; at += 1) {
        newcomers.push(await passesOf(decider, ...stranger(count + at, random.below(0xffff))));
      }
      const grown = late.rss - early.rss;
      console.info(
        `cardinality: ${count} distinct callers, RSS ${grown < 0 ? '' : '+'}${(grown / 2 ** 20).toFixed(1)} MB since the ${warm}th, ` +
          `${late.series} metric series (${early.series} then), old ones ${again.join(' ')} more, newcomers ${Math.max(...newcomers)} of ${LIMIT} at the most`,
      );
      expect(again).toEqual([0, 0, 0]);
      expect(Math.max(...newcomers)).toBeLessThanOrEqual(LIMIT);
      expect(late.series).toBe(early.series);
      expect(grown).toBeLessThan(MAX_GROWTH_BYTES);
    } finally {
      await decider.close();
    }
  }, 600_000);
});

type Keyed = Awaited<ReturnType<typeof openKeyedDecider>>;

async function measure(decider: Keyed): Promise<{ readonly rss: number; readonly series: number }> {
  const text = await decider.metrics();
  return { rss: process.memoryUsage().rss, series: text.split('\n').filter((line) => /^[a-z]/.test(line)).length };
}

/** How often a caller passes who asks more often than he may. */
async function passesOf(decider: Keyed, by: CountedBy, caller: KeyedCaller): Promise<number> {
  let passed = 0;
  for (let at = 0; at < LIMIT + 2; at += 1) if (await decider.passes(by, caller)) passed += 1;
  return passed;
}

/** Each in a way of his own: by address, subject, issuer, key, claim, and a path that nobody declared. */
function stranger(at: number, draw: number): [CountedBy, KeyedCaller] {
  const name = `${at}-${draw}`;
  const is = (parts: Partial<Principal>): KeyedCaller => ({ principal: { ...tenantA, ...parts } });
  switch (at % 7) {
    case 0:
      return [
        'address',
        { forwarded: `2001:db8:${((at >> 16) & 0xffff).toString(16)}:${(at & 0xffff).toString(16)}::1` },
      ];
    case 1:
      return ['address', { forwarded: `${11 + (at >> 24)}.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}` }];
    case 2:
      return ['principal', is({ subject: name })];
    case 3:
      return ['principal', is({ issuer: `https://${name}.test` })];
    case 4:
      return ['key_id', is({ kind: 'api_key', keyId: name })];
    case 5:
      return ['claim:team', is({ claims: { team: name } })];
    default:
      return ['principal', { ...is({ subject: 'passer-by' }), target: `/${name}/llama-3-8b/infer/${draw}` }];
  }
}
