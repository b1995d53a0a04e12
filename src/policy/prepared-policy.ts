import { readPlan } from './plan/plan-reader.ts';
import { translatePlan } from './plan/translate.ts';
import type { Translation } from './plan/translation.ts';
import { type Projection, projectInput } from './projection.ts';

/** What is made of a plan once, in whichever thread: it can be sent to another. */
export interface PreparedPolicy {
  readonly entrypoints: readonly string[];
  readonly builtins: readonly string[];
  /** The texts that the policy itself holds. */
  readonly texts: ReadonlySet<string>;
  /** Which part of `input` each entrypoint can read. */
  readonly projections: ReadonlyMap<string, Projection>;
  readonly translation: Translation;
}

/** Throws a `PolicyLoadError` `invalid_plan`. */
export function preparePolicy(plan: Uint8Array): PreparedPolicy {
  const read = readPlan(plan);
  return {
    entrypoints: read.plans.map(({ name }) => name),
    builtins: [...read.builtins.keys()],
    texts: new Set(read.strings),
    projections: projectInput(read),
    translation: translatePlan(read),
  };
}
