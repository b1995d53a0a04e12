import type { Quota } from '../decision/ports.ts';

/**
 * The quota of a service without a store: it can take only a plan without charges. Anything else is `unavailable`,
 * because a limit that nobody counts is no limit.
 */
export function createNoStore(): Quota {
  return {
    take({ plans }) {
      const plan = plans.findIndex((charges) => charges.length === 0);
      if (plan === -1) {
        return { kind: 'unavailable', state: NOTHING_TAKEN, cause: 'no quota store is configured' };
      }
      return { kind: 'taken', take: undefined, state: { plan, taken: true, limits: {} } };
    },
  };
}

const NOTHING_TAKEN = { taken: false, limits: {} } as const;
