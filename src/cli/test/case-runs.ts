import type { Bundle } from '../../bundle/bundle.ts';
import type { CaseFile } from '../../cases/case-file.ts';
import { explanationOf, linesText } from '../../cases/explanation.ts';
import { runRequestCase } from '../../cases/request-case.ts';
import { watchGeneration } from '../../decision/explain-outcome.ts';
import type { Trial } from '../trial.ts';
import type { TestResult } from './test-result.ts';

export interface CaseRuns {
  readonly files: readonly CaseFile[];
  readonly bundle: Bundle;
  readonly trial: Trial;
  readonly run: RegExp | undefined;
  /** Told the places of all that the cases evaluate, which makes them slower; as they are without it. */
  readonly onEvaluated?: (places: ReadonlySet<string>) => void;
}

/** Decides every case by the bundle; a failure tells how the decision came about. */
export async function runCases({ files, bundle, trial, run, onEvaluated }: CaseRuns): Promise<readonly TestResult[]> {
  const results: TestResult[] = [];
  const { generation: loaded, close } = await trial.load([bundle]);
  const watched = onEvaluated && watchGeneration(loaded, ({ evaluated }) => onEvaluated(evaluated()));
  const generation = watched ?? loaded;
  try {
    for (const { file, cases } of files) {
      for (const one of cases) {
        if (run !== undefined && !run.test(one.name)) continue;
        const startMs = performance.now();
        const { failures, outcome } = await runRequestCase(one, generation, trial.tryOnce, trial.toEvent);
        results.push({
          suite: 'request cases',
          group: file,
          name: one.name,
          file,
          ...(one.line === undefined ? {} : { line: one.line }),
          durationMs: performance.now() - startMs,
          state: failures.length > 0 ? 'failed' : 'passed',
          failures,
          ...(failures.length > 0 ? { output: linesText(explanationOf(outcome)).trimEnd() } : {}),
        });
      }
    }
  } finally {
    close();
  }
  return results;
}
