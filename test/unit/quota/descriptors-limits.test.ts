import { describe, expect, it } from 'vitest';
import type { TakeResult } from '../../../src/decision/charges.ts';
import type { Quota } from '../../../src/decision/ports.ts';
import { compileDescriptors } from '../../../src/quota/descriptors/descriptors-data.ts';
import {
  createDescriptorLimits,
  type DescriptorAnswer,
  type DescriptorLimitsPorts,
} from '../../../src/quota/descriptors/descriptors-limits.ts';
import type { AskedDescriptor, DescriptorRequest } from '../../../src/quota/descriptors/descriptors-plan.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { createWindowQuota, type WindowQuota } from '../../support/window-quota.ts';

const window = (limit: number): object => ({ kind: 'window', unit: 'requests', limit, per_seconds: 60 });
const rate = (limit: number): object => ({ kind: 'rate', unit: 'requests', limit, per_seconds: 60 });
const MOST = Number.MAX_SAFE_INTEGER;
const DESCRIPTORS = [
  { key: 'window', limits: window(3), name: 'w' },
  { key: 'wide', limits: window(100) },
  { key: 'rate', limits: rate(3) },
  { key: 'debt', limits: rate(3), count_over_limit: true },
  { key: 'shadow', limits: window(1), shadow: true },
  { key: 'open', unlimited: true },
  { key: 'instead', limits: window(50), replaces: ['w'] },
  { key: 'white' },
];

interface Tested {
  readonly clock: ManualClock;
  readonly quota: WindowQuota;
  readonly faults: unknown[];
  readonly ask: (...descriptors: readonly Asked[]) => Promise<Answered>;
}

type Asked = readonly [string, Partial<AskedDescriptor>?] | string;
/** Codes, what remains, and seconds until reset of each descriptor behind the overall code. */
type Answered = readonly [string, ...(readonly [string, number, number])[]] | string;

/** `key` or `key=value`. */
function toRequest(descriptors: readonly Asked[]): DescriptorRequest {
  return {
    domain: 'd',
    descriptors: descriptors.map((asked) => {
      const [text, over = {}] = typeof asked === 'string' ? [asked] : asked;
      const [key = '', value = ''] = text.split('=');
      return { entries: [{ key, value }], hits: 1, negative: false, ...over };
    }),
  };
}

function toAnswered(answer: DescriptorAnswer): Answered {
  if (answer.kind === 'undecided') return answer.cause;
  const code = (over: boolean): string => (over ? 'OVER' : 'OK');
  return [
    code(answer.overLimit),
    ...answer.statuses.map(
      ({ overLimit, remaining, resetMs }) => [code(overLimit), remaining, resetMs / 1000] as const,
    ),
  ];
}

function start(over: Partial<DescriptorLimitsPorts> = {}): Tested {
  const clock = createManualClock({ epochMs: 1_800_000_000_000 });
  const quota = createWindowQuota();
  const faults: unknown[] = [];
  const table = compileDescriptors({ d: { descriptors: DESCRIPTORS } }, (where, message) => {
    throw new Error(`${where}: ${message}`);
  });
  const limit = createDescriptorLimits({
    table: () => table,
    quota,
    adjust: (adjustments, at) => quota.adjust(adjustments, at),
    clock,
    onFault: (error) => faults.push(error),
    ...over,
  });
  return { clock, quota, faults, ask: async (...asked) => toAnswered(await limit(toRequest(asked))) };
}

describe('limits by descriptors', () => {
  it('count down to the end of the window, and begin anew', async () => {
    const { ask, clock, quota } = start();
    clock.advance(15_000);
    expect(await ask('window=a')).toEqual(['OK', ['OK', 2, 45]]);
    expect(await ask('window=a')).toEqual(['OK', ['OK', 1, 45]]);
    expect(await ask('window=b')).toEqual(['OK', ['OK', 2, 45]]);
    expect(await ask('window=a')).toEqual(['OK', ['OK', 0, 45]]);
    expect(await ask('window=a')).toEqual(['OVER', ['OVER', 0, 45]]);
    clock.advance(44_999);
    expect(await ask('window=a')).toEqual(['OVER', ['OVER', 0, 0.001]]);
    clock.advance(1);
    expect(await ask('window=a')).toEqual(['OK', ['OK', 2, 60]]);
    expect(quota.adjusted).toEqual([]);
  });

  it('let pass what nothing limits', async () => {
    const { ask, quota } = start();
    expect(await ask('white=a', 'other=a', 'open=a')).toEqual([
      'OK',
      ['OK', 0, 0],
      ['OK', 0, 0],
      ['OK', 2 ** 32 - 1, 0],
    ]);
    expect(quota.takes).toBe(0);
  });

  it('take all descriptors of a request in one step', async () => {
    const { ask, quota } = start();
    expect(await ask('window=a', 'wide=a', 'rate=a', 'white=a')).toEqual([
      'OK',
      ['OK', 2, 60],
      ['OK', 99, 60],
      ['OK', 2, 20],
      ['OK', 0, 0],
    ]);
    expect(quota.takes).toBe(1);
  });

  it('say which descriptor is over its limit, and count the windows beside it as if it passed', async () => {
    const { ask, quota } = start();
    for (let times = 0; times < 3; times++) await ask('window=a');
    expect(await ask('window=a', 'wide=a', 'rate=a')).toEqual(['OVER', ['OVER', 0, 60], ['OK', 99, 0], ['OK', 3, 0]]);
    expect(quota.adjusted).toHaveLength(1);
    expect(await ask('wide=a')).toEqual(['OK', ['OK', 98, 60]]);
    expect(await ask('rate=a')).toEqual(['OK', ['OK', 2, 20]]);
  });

  it('add up descriptors that meet in one bucket', async () => {
    const { ask } = start();
    expect(await ask('window=a', 'window=a')).toEqual(['OK', ['OK', 1, 60], ['OK', 1, 60]]);
    expect(await ask('window=a', 'window=a')).toEqual(['OVER', ['OVER', 0, 60], ['OVER', 0, 60]]);
  });

  it('hold for several values of one rule in one request, all or nothing', async () => {
    const { ask } = start();
    for (let times = 0; times < 3; times++) await ask('rate=b');
    expect(await ask('rate=a', 'rate=b', 'rate=c')).toEqual(['OVER', ['OK', 3, 20], ['OVER', 0, 60], ['OVER', 0, 0]]);
    expect(await ask('rate=a', 'rate=c')).toEqual(['OK', ['OK', 2, 20], ['OK', 2, 20]]);
    for (let times = 0; times < 3; times++) await ask('window=b');
    expect(await ask('window=a', 'window=b')).toEqual(['OVER', ['OK', 2, 60], ['OVER', 0, 60]]);
    expect(await ask('window=a')).toEqual(['OK', ['OK', 1, 60]]);
  });

  it('hold for more buckets than one step takes', async () => {
    const rules = Array.from({ length: 40 }, (_, at) => ({ key: `k${at}`, limits: rate(1) }));
    const table = compileDescriptors({ d: { descriptors: rules } }, () => undefined);
    const { ask, quota } = start({ table: () => table });
    const keys = rules.map(({ key }) => key);
    expect((await ask(...keys))[0]).toBe('OK');
    expect(quota.takes).toBe(3);
    expect((await ask('k39'))[0]).toBe('OVER');
    expect((await ask('k0'))[0]).toBe('OVER');
  });

  it('count what a window refuses, so that less than that does not fit either', async () => {
    const { ask } = start();
    await ask('window=a');
    expect(await ask(['window=a', { hits: 5 }])).toEqual(['OVER', ['OVER', 0, 60]]);
    expect(await ask('window=a')).toEqual(['OVER', ['OVER', 0, 60]]);
  });

  it('count what a rate refuses only where it says so, and then as a debt', async () => {
    const { ask, clock } = start();
    expect(await ask(['rate=a', { hits: 5 }])).toEqual(['OVER', ['OVER', 3, 0]]);
    expect(await ask(['rate=a', { hits: 3 }])).toEqual(['OK', ['OK', 0, 60]]);
    expect(await ask(['debt=a', { hits: 5 }])).toEqual(['OVER', ['OVER', 0, 0]]);
    clock.advance(59_999);
    expect(await ask('debt=a')).toMatchObject(['OVER', ['OVER', 0, 40.001]]);
    clock.advance(60_001);
    expect(await ask('debt=a')).toEqual(['OK', ['OK', 2, 20]]);
  });

  it('only look where there are no hits', async () => {
    const { ask } = start();
    expect(await ask(['window=a', { hits: 0 }])).toEqual(['OK', ['OK', 3, 0]]);
    await ask(['window=a', { hits: 3 }]);
    expect(await ask(['window=a', { hits: 0 }])).toEqual(['OK', ['OK', 0, 60]]);
    await ask(['window=a', { hits: 9 }]);
    expect(await ask(['window=a', { hits: 0 }])).toEqual(['OK', ['OK', 0, 60]]);
  });

  it('refuse nothing in shadow', async () => {
    const { ask } = start();
    expect(await ask('shadow=a')).toEqual(['OK', ['OK', 0, 60]]);
    expect(await ask('shadow=a')).toEqual(['OK', ['OK', 0, 60]]);
  });

  it('are replaced by those that name them', async () => {
    const { ask } = start();
    expect(await ask('window=a', 'instead=a')).toEqual(['OK', ['OK', 0, 0], ['OK', 49, 60]]);
    expect(await ask('window=a')).toEqual(['OK', ['OK', 2, 60]]);
  });

  it('get hits back', async () => {
    const { ask } = start();
    await ask(['window=a', { hits: 3 }]);
    expect(await ask(['window=a', { hits: 2, negative: true }])).toEqual(['OK', ['OK', 2, 60]]);
    expect(await ask(['window=a', { hits: 9, negative: true }])).toEqual(['OK', ['OK', 3, 0]]);
    expect(await ask(['window=a', { hits: 2 }])).toEqual(['OK', ['OK', 1, 60]]);
  });

  it('may be the caller’s own, apart from those of the rules', async () => {
    const { ask } = start();
    const override = { requestsPerUnit: 1, unit: 'hour' } as const;
    expect(await ask(['window=a', { override }])).toEqual(['OK', ['OK', 0, 3600]]);
    expect(await ask(['window=a', { override }])).toEqual(['OVER', ['OVER', 0, 3600]]);
    expect(await ask('window=a')).toEqual(['OK', ['OK', 2, 60]]);
    expect(await ask(['none=a', { override: { ...override, requestsPerUnit: 0 } }])).toEqual(['OVER', ['OVER', 0, 0]]);
  });

  it('are undecided without rules', async () => {
    expect(await start({ table: () => undefined }).ask('white=a')).toBe('there are no rules yet');
  });

  it('are undecided where the store does not answer', async () => {
    const unavailable: TakeResult = {
      kind: 'unavailable',
      state: { taken: false, limits: {} },
      cause: 'the store is gone',
    };
    for (const take of [() => unavailable, () => Promise.resolve(unavailable)] satisfies Quota['take'][]) {
      const { ask } = start({ quota: { take } });
      expect(await ask('window=a')).toBe('the store is gone');
      expect(await ask('window=a', 'window=b')).toBe('the store is gone');
      expect(await ask('white=a')).toEqual(['OK', ['OK', 0, 0]]);
    }
  });

  it('are over where the store has no room, which callers can bring about by new values', async () => {
    const full = {
      kind: 'unavailable',
      state: { taken: false, limits: {} },
      cause: 'no room',
      reason: 'full',
    } as const;
    for (const take of [() => full, () => Promise.resolve(full)]) {
      const { ask } = start({ quota: { take } });
      expect(await ask('window=a', 'white=a')).toEqual(['OVER', ['OVER', 0, 0], ['OK', 0, 0]]);
      expect(await ask('window=a', 'window=b')).toEqual(['OVER', ['OVER', 0, 0], ['OVER', 0, 0]]);
    }
  });

  it('give back what was taken where a later step fails', async () => {
    const quota = createWindowQuota();
    let steps = 0;
    const { ask } = start({
      quota: {
        take: (request, at) => {
          steps += 1;
          if (steps === 2) throw new Error('gone');
          return quota.take(request, at);
        },
      },
    });
    await expect(ask('rate=a', 'rate=b')).rejects.toThrow('gone');
    expect(await ask('rate=a')).toEqual(['OK', ['OK', 2, 20]]);
  });

  it.each([
    ['at once', [MOST]],
    ['one by one', Array.from({ length: 50 }, () => 5)],
    ['again and again', Array.from({ length: 5 }, () => MOST)],
  ])('let a rate owe one burst at the most, however many hits it refuses %s', async (_how, hits) => {
    const { ask, clock } = start();
    for (const sent of hits) await ask(['debt=a', { hits: sent }]);
    clock.advance(79_999);
    expect(await ask(['debt=a', { hits: 0 }])).toEqual(['OK', ['OK', 0, 40.001]]);
    clock.advance(1);
    expect(await ask('debt=a')).toEqual(['OK', ['OK', 0, 60]]);
  });

  it('let a rate owe one burst at the most, also where it was not asked or gave back', async () => {
    for (const asked of [
      ['debt=full', 'debt=a'],
      ['debt=a', 'debt=full'],
    ]) {
      const { ask, clock } = start();
      await ask(['debt=full', { hits: 3 }]);
      for (let times = 0; times < 20; times++) {
        expect((await ask(...asked.map((text) => [text, { hits: 2 }] as const)))[0]).toBe('OVER');
      }
      clock.advance(80_000);
      expect(await ask('debt=a')).toEqual(['OK', ['OK', 0, 60]]);
      expect(await ask('debt=a')).toEqual(['OVER', ['OVER', 0, 60]]);
    }
  });

  it('are over where the answer says nothing of them, whatever else it says', async () => {
    const exceeded: TakeResult = { kind: 'exceeded', state: { taken: false, limits: {} } };
    const { ask } = start({ quota: { take: () => exceeded } });
    expect(await ask('window=a', 'rate=a')).toEqual(['OVER', ['OVER', 0, 0], ['OVER', 0, 0]]);
  });

  it('stay refused where hits cannot be counted by force, and say so', async () => {
    for (const adjust of [() => Promise.reject(new Error('gone')), failing]) {
      const { ask, faults } = start({ adjust });
      expect(await ask(['window=a', { hits: 5 }])).toMatchObject(['OVER', ['OVER', 0, 0]]);
      expect(faults).toEqual([new Error('gone')]);
    }
  });

  it('follow the rules in force, and keep the buckets of those that stay', async () => {
    const tables = [3, 5].map((limit) =>
      compileDescriptors({ d: { descriptors: [{ key: 'window', limits: window(limit) }] } }, () => undefined),
    );
    let [table] = tables;
    const { ask } = start({ table: () => table });
    expect(await ask('window=a')).toEqual(['OK', ['OK', 2, 60]]);
    table = tables[1];
    expect(await ask('window=a')).toEqual(['OK', ['OK', 3, 60]]);
  });
});

function failing(): void {
  throw new Error('gone');
}
