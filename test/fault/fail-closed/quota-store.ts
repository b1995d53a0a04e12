import type { TakeResult } from '../../../src/decision/charges.ts';
import type { Quota } from '../../../src/decision/ports.ts';
import { createNoStore } from '../../../src/quota/no-store.ts';
import { generation, inferRoute, inspected } from '../../support/core.ts';
import { eventually } from '../../support/programs.ts';
import type { Trials } from './matrix.ts';
import { askCore, createSkewedClock } from './world.ts';

const CHARGE = {
  name: 'calls',
  key: ['tenant'],
  unit: 'requests',
  kind: 'rate',
  limit: 10,
  per_seconds: 60,
  cost: 1,
  scope: 'tenant',
};

const TAKEN: TakeResult = {
  kind: 'taken',
  takeId: 'take-1',
  state: {
    plan: 0,
    taken: true,
    limits: {
      calls: {
        kind: 'rate',
        unit: 'requests',
        limit: 10,
        remaining: 9,
        held: 0,
        wait_ms: 0,
        reset_ms: 1_000,
        exceeded: false,
        shadow: false,
        verified: true,
      },
    },
  },
};

/** Charged requests that the policy would allow, in front of a store that answers as given. */
async function trial(take: Quota['take'], clock = createSkewedClock()): Promise<string> {
  const current = generation(
    { 'authz/decision': { allow: true }, 'authz/limits': [CHARGE] },
    { inspect: () => inspected({ route: { ...inferRoute, requiredLimits: ['calls'] } }) },
  );
  const released: string[] = [];
  let taken = 0;
  const counting: Quota['take'] = async (plans, at) => {
    const result = await take(plans, at);
    if (result.kind === 'taken' && typeof result.takeId === 'string') taken += 1;
    return result;
  };
  const release: Quota['release'] = async (takeId) => {
    released.push(takeId);
  };
  const answer = await askCore({ clock, currentGeneration: () => current, quota: { take: counting, release } });
  if (answer === 'allow') return answer;
  // What was taken for a request that is denied is given back, also when it was taken too late.
  await eventually(() => (released.length >= taken ? true : undefined), 5_000);
  return released.length === taken ? answer : `${answer}, and ${released.length} of ${taken} takes given back`;
}

/** A store of another make: its answers are not what the port's type says, which is the point. */
const answering = (answer: unknown) => () => trial(() => answer as TakeResult);

const refusing = (cause: string) => () =>
  trial(() => ({ kind: 'unavailable', cause, state: { taken: false, limits: {} } }));

export const quotaTrials: Trials = {
  healthy: () => trial(() => TAKEN),
  faults: {
    down: () => trial((plans, at) => createNoStore().take(plans, at)),
    slow: () => trial(() => new Promise((resolve) => setTimeout(() => resolve(TAKEN), 2_500))),
    hang: () => trial(() => new Promise(() => undefined)),
    garbage: answering('OK'),
    partial: answering({ kind: 'taken' }),
    reset: () => trial(() => Promise.reject(new Error('read ECONNRESET'))),
    full: refusing('OOM command not allowed when used memory > maxmemory'),
    'wrong version': answering({ kind: 'admitted', takeId: 'take-1', state: TAKEN.state }),
    stalled: () => {
      const clock = createSkewedClock();
      return trial(async () => {
        clock.skip(10_000);
        return TAKEN;
      }, clock);
    },
  },
};
