import { type Charge, type LimitState, NEVER, type QuotaState, type TakeResult } from '../decision/charges.ts';
import type { Quota } from '../decision/ports.ts';

/** What a case says of one limit; whatever it does not say is untouched. */
export interface LimitGiven {
  /** What is left before the request; default: all that fits at once. */
  readonly remaining?: number;
  readonly exceeded?: boolean;
  /** The store does not answer for it: its charge's `on_failure` decides. */
  readonly unavailable?: boolean;
  /** It is counted and not enforced, whatever the policy says. */
  readonly shadow?: boolean;
  readonly waitMs?: number;
  readonly resetMs?: number;
}

/** By name of the limit; `unavailable`: the store answers for none. */
export type QuotaGiven = ReadonlyMap<string, LimitGiven> | 'unavailable';

/** Judges takes on what a case says is left, and takes nothing; the first plan that fits is taken, as in the service. */
export function givenQuota(given: QuotaGiven): Quota {
  return {
    take: ({ plans }): TakeResult => {
      const asked = plans.flat().map((charge) => charge.terms);
      const down = asked.find((terms) => isUnavailable(given, terms.name) && terms.onFailure === 'deny');
      if (down !== undefined) {
        return {
          kind: 'unavailable',
          state: { taken: false, limits: {} },
          cause: `the case says so of \`${down.name}\``,
        };
      }
      let first: QuotaState | undefined;
      let retryMs: number | undefined;
      for (const [number, plan] of plans.entries()) {
        const limits = plan.map((charge) => [charge.terms.name, toState(charge, given)] as const);
        const refusing = limits.filter(([, { exceeded, shadow }]) => exceeded && !shadow);
        const state = { taken: refusing.length === 0, limits: Object.fromEntries(limits) };
        if (state.taken) return { kind: 'taken', take: undefined, state: { ...state, plan: number } };
        first ??= state;
        const waitMs = Math.max(...refusing.map(([, { wait_ms }]) => wait_ms));
        if (waitMs !== NEVER) retryMs = Math.min(retryMs ?? waitMs, waitMs);
      }
      const state = first ?? { taken: false, limits: {} };
      return { kind: 'exceeded', state, ...(retryMs === undefined ? {} : { retryMs }) };
    },
  };
}

function isUnavailable(given: QuotaGiven, name: string): boolean {
  return given === 'unavailable' || given.get(name)?.unavailable === true;
}

/** How long a case lets a caller wait where it does not say. */
const WAIT_MS = 1_000;

function toState({ terms }: Charge, given: QuotaGiven): LimitState {
  const { name, kind, unit, limit, burst, cost, mode } = terms;
  const said: LimitGiven = given === 'unavailable' ? {} : (given.get(name) ?? {});
  const unavailable = isUnavailable(given, name);
  const available = Math.min(burst, said.remaining ?? (said.exceeded === true ? 0 : burst));
  const exceeded = !unavailable && (said.exceeded === true || cost > available);
  return {
    kind,
    unit,
    limit,
    remaining: exceeded ? available : Math.max(0, available - cost),
    held: 0,
    wait_ms: exceeded ? (cost > burst ? NEVER : (said.waitMs ?? WAIT_MS)) : 0,
    reset_ms: said.resetMs ?? 0,
    exceeded,
    shadow: mode === 'shadow' || said.shadow === true,
    verified: !unavailable,
  };
}
