import type { Authorize, Outcome } from '../decision/ports.ts';

/** Tells the rollout of each outcome. The reply is what `authorize` answered, also when that fails. */
export function withRollout(authorize: Authorize, rollout: { record(outcome: Outcome): void }): Authorize {
  return async (request) => {
    const outcome = await authorize(request);
    try {
      rollout.record(outcome);
    } catch {
      // INVARIANT: a decision that was made is answered; a missing comparison is the smaller fault.
    }
    return outcome;
  };
}
