import type { ChargePlan, QuotaState } from './charges.ts';

/** `input.quota` has an entry for every required limit, also when the store failed. */
export function withEveryLimit(
  state: QuotaState,
  plans: readonly ChargePlan[],
  required: readonly string[],
): QuotaState {
  const absent = missingStates(state, required);
  if (absent.length === 0) return state;
  const unknown = absent.map((name) => {
    const charge = plans[0]?.find(({ terms }) => terms.name === name)?.terms;
    return [
      name,
      {
        kind: charge?.kind ?? 'rate',
        unit: charge?.unit ?? 'requests',
        limit: charge?.limit ?? 0,
        remaining: 0,
        held: 0,
        wait_ms: 0,
        reset_ms: 0,
        exceeded: true,
        shadow: false,
        verified: false,
      },
    ] as const;
  });
  return { ...state, limits: { ...state.limits, ...Object.fromEntries(unknown) } };
}

/** The required limits of which the state says nothing. */
export function missingStates(state: QuotaState, required: readonly string[]): readonly string[] {
  return required.length === 0 ? required : required.filter((name) => !Object.hasOwn(state.limits, name));
}
