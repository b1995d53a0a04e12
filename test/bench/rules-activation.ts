import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { loadGeneration } from '../../src/generation.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { policyInput } from '../contract/policy-support/engine.ts';
import type { MeasuredPolicy } from './measured-policies.ts';
import type { Figures } from './row.ts';
import { answerTasks } from './task.ts';
import { examineWith, trialConfig } from './trial-config.ts';

/**
 * Activates one policy in a process that did nothing before, as the service does: tried and prepared in a thread, loaded in
 * this one, asked once. `activation_cpu_ms` is the CPU of all its threads, `trial_ms` the work of that
 * thread once it has started, `load_ms` what this one does with it; `peak_rss_mb` is the most that the process ever had, `idle_rss_mb` what it had before.
 */
const [folder = ''] = process.argv.slice(2);
const read = (name: string): Buffer => readFileSync(join(folder, name));
// `policy-rows.ts` writes it.
const { entrypoint, timed } = JSON.parse(read('questions.json').toString()) as MeasuredPolicy;
const bundle: Bundle = {
  name: 'measured',
  revision: '1',
  roots: [''],
  data: read('data.json'),
  plan: read('plan.json'),
  wasm: read('policy.wasm'),
  entrypoints: [entrypoint],
  rego: new Map(),
  metadata: {},
  cases: [],
  sha256: '',
};
const config = trialConfig(entrypoint);
let trialMs = Number.NaN;
const examine = examineWith(config, (ms) => {
  trialMs = ms;
});
Object.freeze(Object.prototype);

answerTasks(async (): Promise<Figures> => {
  const idle = process.memoryUsage.rss();
  const began = performance.now();
  const cpu = process.cpuUsage();
  const prepared = await examine([bundle], new AbortController().signal);
  const tried = performance.now();
  const { parts } = await loadGeneration([bundle], config, { limited: () => undefined }, prepared);
  const loaded = performance.now();
  const [first, ...others] = timed;
  if (first === undefined) throw new Error('there is no question');
  const { value } = parts.evaluate(entrypoint, policyInput(first.input), systemClock.now());
  const ended = performance.now();
  const { user, system } = process.cpuUsage(cpu);
  for (const { input, expected } of others) {
    const answer = parts.evaluate(entrypoint, policyInput(input), systemClock.now()).value;
    if (!isDeepStrictEqual(answer, expected)) throw new Error(`answers ${JSON.stringify(answer)}`);
  }
  if (!isDeepStrictEqual(value, first.expected)) throw new Error(`answers ${JSON.stringify(value)}`);
  return {
    activation_ms: ended - began,
    activation_cpu_ms: (user + system) / 1_000,
    trial_ms: trialMs,
    load_ms: loaded - tried,
    first_answer_ms: ended - loaded,
    idle_rss_mb: idle / 2 ** 20,
    // In KiB.
    peak_rss_mb: process.resourceUsage().maxRSS / 1024,
  };
});
