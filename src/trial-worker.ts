import { parentPort, workerData } from 'node:worker_threads';
import type { Bundle } from './bundle/bundle.ts';
import { cutFault } from './bundle/errors.ts';
import { parseJson } from './bundle/member-json.ts';
import { parseRequestCases, runRequestCase } from './cases/request-case.ts';
import { isObject } from './decision/json.ts';
import { createTry } from './decision/trial.ts';
import type { BundleParts, Examination, ExaminationResult } from './examine.ts';
import { loadGeneration } from './generation.ts';
import { trialPorts } from './trial.ts';

/** The thread that `examine.ts` starts: one set of bundles, one answer. */
async function examine({ config, bundles, warmUpMs }: Examination): Promise<ExaminationResult> {
  const beganMs = performance.now();
  const generation = await loadGeneration(bundles.map(toBundle), config, { limited: () => undefined });
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
  return { kind: 'passed', cases: cases.length, loadMs, slowestMs };
}

/** Cut here, so that a long text does not travel. */
function failed(message: string): ExaminationResult {
  return { kind: 'failed', message: cutFault(message) };
}

function toBundle(parts: BundleParts): Bundle {
  const dataValue = parseJson('data.json', parts.data);
  if (!isObject(dataValue)) throw new Error('its data are no object');
  return { ...parts, dataValue, planValue: parseJson('plan.json', parts.plan) };
}

// Nothing that is parsed here can then reach other objects through their prototype.
Object.freeze(Object.prototype);
try {
  // Only `examine.ts` starts this file.
  parentPort?.postMessage(await examine(workerData as Examination));
} catch (error) {
  parentPort?.postMessage(failed(error instanceof Error ? error.message : String(error)));
}
