import type { Authorize, Outcome } from '../decision/ports.ts';

/** Tells the rollout of each outcome. The reply is what `authorize` answered, also when that fails. */
export function withRollout(authorize: Authorize, rollout: { record(outcome: Outcome): void }): Authorize {
  const record = (outcome: Outcome): Outcome => {
    try {
      rollout.record(outcome);
    } catch {
      // INVARIANT: a decision that was made is answered; a missing comparison is the smaller fault.
    }
    return outcome;
  };
  return (request) => {
    const outcome = authorize(request);
    return outcome instanceof Promise ? outcome.then(record) : record(outcome);
  };
}
