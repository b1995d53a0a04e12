import { createHash } from 'node:crypto';
import type { Instant } from '../../src/decision/ports.ts';
import type { Builtin, Builtins } from '../../src/policy/builtins/builtin.ts';
import type { Outcome } from './engine.ts';

/** The one builtin that OPA's cases bring along. No case asks for the time that passes meanwhile. */
export const SLEEP: readonly [string, Builtin] = ['test.sleep', () => null];

/** The clock's reading and the randomness of every evaluation. */
export function underTest(): { readonly at: Instant; readonly randomBytes: (count: number) => Uint8Array } {
  let drawn = 0;
  return {
    at: { epochMs: 1_764_000_000_123, monotonicMs: 1_000 },
    randomBytes: (count) => createHash('shake256', { outputLength: count }).update(String(drawn++)).digest(),
  };
}

/** More than any case needs, so that one which runs away ends. */
const STEPS = 200_000_000;

export interface Budget {
  steps: number;
  exhausted(): void;
}

export function createBudget(): Budget {
  return {
    steps: STEPS,
    exhausted: () => {
      throw new Error('the case runs away');
    },
  };
}

/** The refusal of a policy that calls what is not there; `undefined` when all is. */
export function refusalOf(called: readonly string[], builtins: Builtins): Outcome | undefined {
  const missing = called.filter((name) => !builtins.has(name));
  return missing.length === 0
    ? undefined
    : { kind: 'refused', reason: `the builtin \`${missing.join('`, `')}\` is not supported` };
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
