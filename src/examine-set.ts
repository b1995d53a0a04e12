import { cutFault } from './bundle/errors.ts';
import { parseRequestCases, runRequestCase } from './cases/request-case.ts';
import { createTry } from './decision/trial.ts';
import type { Examination, ExaminationResult } from './examine.ts';
import { loadGeneration } from './generation.ts';
import { prepareSet } from './prepared-set.ts';
import { trialPorts } from './trial.ts';

/** Loads a set of bundles and decides its own cases, again and again for a while. What throws is for the caller to answer. */
export async function examineSet({ config, bundles, warmUpMs }: Examination): Promise<ExaminationResult> {
  const beganMs = performance.now();
  const prepared = prepareSet(bundles, config.policy);
  const generation = await loadGeneration(bundles, config, { limited: () => undefined }, prepared);
  const loadMs = performance.now() - beganMs;
  const tryOnce = createTry(trialPorts(config));
  const cases = bundles.flatMap(({ name, cases: own }) => parseRequestCases(own, `cases.json of bundle \`${name}\``));
  const decided = { number: 1, ...generation.parts };
  for (const one of cases) {
    const { failures } = await runRequestCase(one, decided, tryOnce);
    const [first] = failures;
    if (first !== undefined) return failed(`its own case \`${one.name}\` fails: ${first}`);
  }
  let slowestMs = 0;
  const untilMs = performance.now() + warmUpMs;
  for (let number = 0; cases.length > 0 && performance.now() < untilMs; number += 1) {
    const one = cases[number % cases.length];
    if (one === undefined) break;
    const startMs = performance.now();
    await runRequestCase(one, decided, tryOnce);
    if (number >= cases.length) slowestMs = Math.max(slowestMs, performance.now() - startMs);
  }
  generation.close();
  return { kind: 'passed', prepared, cases: cases.length, loadMs, slowestMs };
}

/** Cut here, so that a long text does not travel. */
export function failed(message: string): ExaminationResult {
  return { kind: 'failed', message: cutFault(message) };
}
