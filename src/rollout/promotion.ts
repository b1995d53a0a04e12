import { nameOf, type RolloutCandidate } from './candidate.ts';
import type { RolloutParts } from './parts.ts';
import type { Trial } from './trial.ts';

/**
 * Runs `putInForce` in a step in which nothing else comes into force, unless the set in force has changed since the
 * candidate was staged. Answers whether it is in force.
 */
export type Promote = (candidate: RolloutCandidate, putInForce: () => boolean) => Promise<boolean>;

/** Asks for a trial's promotion, one time until there is an answer; what comes of it is told by `putInForce`. */
export function createAskPromotion({
  promote,
  logger,
}: Pick<RolloutParts, 'promote' | 'logger'>): (trial: Trial, putInForce: () => boolean) => void {
  let asked: Trial | undefined;
  return (trial, putInForce) => {
    if (asked === trial) return;
    asked = trial;
    const settled = (): void => {
      if (asked === trial) asked = undefined;
    };
    promote(trial.candidate, putInForce).then(settled, (error: unknown) => {
      settled();
      logger.error({ ...nameOf(trial.candidate), error }, 'the promotion of a bundle failed');
    });
  };
}
