import type { Generation, Outcome } from './ports.ts';
import type { Explained } from './rule-trace.ts';
import type { Redecide } from './trial.ts';

/** One evaluation of a decision, explained. */
export interface ExplainedEvaluation extends Explained {
  readonly entrypoint: string;
}

/**
 * Decides once more what was decided, with what was found out the first time and every evaluation watched: limits first,
 * then the decision. `undefined` where the policy was never asked, or cannot say.
 */
export async function explainOutcome(
  outcome: Outcome,
  redecide: Redecide,
): Promise<readonly ExplainedEvaluation[] | undefined> {
  const { generation } = outcome;
  if (generation === undefined) return undefined;
  const evaluations: ExplainedEvaluation[] = [];
  const watched = watchGeneration(generation, (evaluation) => evaluations.push(evaluation));
  if (watched === undefined) return undefined;
  const again = await redecide(outcome, watched);
  return again === undefined ? undefined : evaluations;
}

/** The same without waiting: `undefined` also where the decision had to wait for something. */
export function explainNow(outcome: Outcome, redecide: Redecide): readonly ExplainedEvaluation[] | undefined {
  const { generation } = outcome;
  if (generation === undefined) return undefined;
  const evaluations: ExplainedEvaluation[] = [];
  const watched = watchGeneration(generation, (evaluation) => evaluations.push(evaluation));
  if (watched === undefined) return undefined;
  const again = redecide(outcome, watched);
  // A request that waits for nothing was decided before it came back.
  if (again instanceof Promise) again.catch(() => undefined);
  return evaluations.length === 0 ? undefined : [...evaluations];
}

/** The generation, deciding by watched evaluations that are handed on; `undefined` where it cannot. */
export function watchGeneration(
  generation: Generation,
  told: (evaluation: ExplainedEvaluation) => void,
): Generation | undefined {
  const { explain } = generation;
  if (explain === undefined) return undefined;
  return {
    ...generation,
    evaluate: (entrypoint, input, at) => {
      const explained = explain(entrypoint, input, at);
      told({ entrypoint, ...explained });
      if (explained.evaluation instanceof Error) throw explained.evaluation;
      return explained.evaluation;
    },
  };
}
