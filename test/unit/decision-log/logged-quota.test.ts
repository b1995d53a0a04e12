import { expect, test } from 'vitest';
import type { LimitState, QuotaState } from '../../../src/decision/charges.ts';
import { EventCopy } from '../../../src/decision-log/event-copy.ts';
import { LoggedLimits } from '../../../src/decision-log/logged-limits.ts';
import { quotaMembers, writeQuota } from '../../../src/decision-log/logged-quota.ts';
import { inspected } from '../../support/core.ts';
import { allowOutcome } from '../../support/outcome.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';

const NAMES = ['per-tenant', 'constant', 'größe "x"', 'unlogged', '__proto__'];
const isConstant = (text: string): boolean => text !== 'unlogged' && text !== 'per-tenant';
const NUMBERS = [0, 0, 1, 10, 2 ** 31, 2 ** 53 - 1, Number.NaN];

test('the section quota, written at once, is what its members come to, whatever was written before', () => {
  const random = createRandom(seedOf('logged quota'));
  const limit = (): LimitState => ({
    kind: random.pick(['rate', 'window', 'concurrency', 'canary']),
    unit: random.pick(['requests', 'tokens', 'bytes', 'nano_usd', 'canary']),
    limit: random.pick(NUMBERS),
    remaining: random.pick(NUMBERS),
    held: random.pick(NUMBERS),
    wait_ms: random.pick(NUMBERS),
    reset_ms: random.pick(NUMBERS),
    exceeded: random.chance(0.3),
    shadow: random.chance(0.3),
    verified: random.chance(0.7),
  });
  const state = (): QuotaState => {
    const limits: { [name: string]: LimitState } = Object.create(null);
    for (const name of NAMES) if (random.chance(0.5)) limits[name] = limit();
    const taken = random.chance(0.7);
    return { taken, limits, ...(taken ? { plan: random.below(3) } : {}) };
  };
  for (let count = caseCount(2_000); count > 0; count -= 1) {
    const outcome = allowOutcome({
      quota: state(),
      inspected: inspected({ route: { name: 'infer', params: {}, requiredLimits: ['per-tenant'] } }),
    });
    const [one, other] = [0, 1].map(() => new EventCopy({ presented: undefined, isConstant }));
    if (one === undefined || other === undefined) throw new Error('two copies were made');
    const json = writeQuota(outcome, one, isConstant) ?? '';
    const { plan, taken, limits } = quotaMembers(outcome, other, isConstant) ?? {};
    if (!(limits instanceof LoggedLimits)) throw new Error('limits are logged');
    const named = Object.keys(limits.toObject()).length === 0 ? {} : { limits: limits.toObject() };
    // As text: a member may have any name.
    expect(JSON.stringify(JSON.parse(json))).toBe(JSON.stringify({ plan, taken, ...named }));
    expect(one.erased).toEqual(other.erased);
  }
});
