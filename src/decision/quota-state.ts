import type { ChargePlan, LimitState, QuotaState } from './charges.ts';

/** `input.quota` has an entry for every required limit, also when the store failed. */
export function withEveryLimit(
  state: QuotaState,
  plans: readonly ChargePlan[],
  required: readonly string[],
): QuotaState {
  const absent = missingStates(state, required);
  if (absent.length === 0) return state;
  const unknown = absent.map((name) => {
    const {
      kind = 'rate',
      unit = 'requests',
      limit = 0,
    } = plans[0]?.find(({ terms }) => terms.name === name)?.terms ?? {};
    return [name, unaskedState({ kind, unit, limit }, { exceeded: true, shadow: false })] as const;
  });
  return { ...state, limits: { ...state.limits, ...Object.fromEntries(unknown) } };
}

/** A limit of which no store said anything. */
export function unaskedState(
  { kind, unit, limit }: Pick<LimitState, 'kind' | 'unit' | 'limit'>,
  { exceeded, shadow }: Pick<LimitState, 'exceeded' | 'shadow'>,
): LimitState {
  return { kind, unit, limit, remaining: 0, held: 0, wait_ms: 0, reset_ms: 0, exceeded, shadow, verified: false };
}

/** The required limits of which the state says nothing. */
export function missingStates(state: QuotaState, required: readonly string[]): readonly string[] {
  for (const name of required) if (!Object.hasOwn(state.limits, name)) return missingOf(state, required);
  return NONE;
}

const NONE: readonly string[] = [];

function missingOf(state: QuotaState, required: readonly string[]): readonly string[] {
  return required.filter((name) => !Object.hasOwn(state.limits, name));
}
