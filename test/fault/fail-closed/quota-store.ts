import type { QuotaState, TakeResult } from '../../../src/decision/charges.ts';
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

const STATE: QuotaState = {
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
};

/** What a store answers that took the charge, and counts what is given back. */
const taken = (ledger: Ledger): TakeResult => ({
  kind: 'taken',
  take: {
    reservationId: undefined,
    release: () => {
      ledger.released += 1;
    },
  },
  state: STATE,
});

interface Ledger {
  taken: number;
  released: number;
}

/** Charged requests that the policy would allow, in front of a store that answers as given. */
async function trial(take: Store, clock = createSkewedClock()): Promise<string> {
  const current = generation(
    { 'authz/decision': { allow: true }, 'authz/limits': [CHARGE] },
    { inspect: () => inspected({ route: { ...inferRoute, requiredLimits: ['calls'] } }) },
  );
  const ledger: Ledger = { taken: 0, released: 0 };
  const counting: Quota['take'] = async (request, at) => {
    const result = await take(ledger, request, at);
    if (result.kind === 'taken' && result.take !== undefined) ledger.taken += 1;
    return result;
  };
  const answer = await askCore({ clock, currentGeneration: () => current, quota: { take: counting } });
  if (answer === 'allow') return answer;
  // What was taken for a request that is denied is given back, also when it was taken too late.
  await eventually(() => (ledger.released >= ledger.taken ? true : undefined), 5_000);
  return ledger.released === ledger.taken
    ? answer
    : `${answer}, and ${ledger.released} of ${ledger.taken} takes given back`;
}

type Store = (ledger: Ledger, ...asked: Parameters<Quota['take']>) => ReturnType<Quota['take']>;

/** A store of another make: its answers are not what the port's type says, which is the point. */
const answering = (answer: unknown) => () => trial(() => answer as TakeResult);

const refusing = (cause: string) => () =>
  trial(() => ({ kind: 'unavailable', cause, state: { taken: false, limits: {} } }));

export const quotaTrials: Trials = {
  healthy: () => trial(taken),
  faults: {
    down: () => trial((_ledger, request, at) => createNoStore().take(request, at)),
    slow: () => trial((ledger) => new Promise((resolve) => setTimeout(() => resolve(taken(ledger)), 2_500))),
    hang: () => trial(() => new Promise(() => undefined)),
    garbage: answering('OK'),
    partial: answering({ kind: 'taken' }),
    reset: () => trial(() => Promise.reject(new Error('read ECONNRESET'))),
    full: refusing('OOM command not allowed when used memory > maxmemory'),
    'wrong version': answering({ kind: 'admitted', takeId: 'take-1', state: STATE }),
    stalled: () => {
      const clock = createSkewedClock();
      return trial(async (ledger) => {
        clock.skip(10_000);
        return taken(ledger);
      }, clock);
    },
  },
};
