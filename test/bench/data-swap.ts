import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LoadedGeneration, loadGeneration } from '../../src/generation.ts';
import { readBundle } from '../../src/read-bundle.ts';
import { systemClock, threadCpuMs } from '../../src/telemetry/system-clock.ts';
import { policyInput } from '../contract/policy-support/engine.ts';
import { allowedInput } from './calls.ts';
import type { Figures } from './row.ts';
import { answerTasks } from './task.ts';
import { examineWith, trialConfig } from './trial-config.ts';

/**
 * Takes over one of two bundles as the service does, and nothing else meanwhile: read in one thread, tried and prepared in
 * another, loaded in this one. `blocked_ms` is the longest that the event loop stood still from the archive to the first
 * answer; `blocked_cpu_ms` the most CPU that this thread took between two turns a millisecond apart, which on a busy machine
 * is what was its own doing; `load_ms` and `load_cpu_ms` what this thread does with what was prepared.
 */
const archives = process.argv.slice(2).map((file) => readFileSync(file));
const config = trialConfig('authz/decision', 'authz/limits');
const examine = examineWith(config);
Object.freeze(Object.prototype);

const RESOLUTION_MS = 1;
/** For what is seen of a block only when the next timer is late. */
const SETTLE_MS = 20;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
let mostCpuMs = 0;
let lastCpuMs = threadCpuMs();
setInterval(() => {
  const cpuMs = threadCpuMs();
  mostCpuMs = Math.max(mostCpuMs, cpuMs - lastCpuMs);
  lastCpuMs = cpuMs;
}, RESOLUTION_MS);
let inForce: LoadedGeneration | undefined;

answerTasks(async ({ round = 0 }): Promise<Figures> => {
  const archive = archives[round % archives.length] ?? new Uint8Array();
  await sleep(SETTLE_MS);
  delay.reset();
  mostCpuMs = 0;
  const bundle = await readBundle('authz', archive);
  const prepared = await examine([bundle], new AbortController().signal);
  const [beganMs, cpuBefore] = [performance.now(), threadCpuMs()];
  const next = await loadGeneration([bundle], config, { limited: () => undefined }, prepared);
  const figures = { load_ms: performance.now() - beganMs, load_cpu_ms: threadCpuMs() - cpuBefore };
  inForce?.close();
  inForce = next;
  const { value } = next.parts.evaluate('authz/decision', policyInput(allowedInput()), systemClock.now());
  if (!JSON.stringify(value).includes('"allow":true')) throw new Error(`not allowed: ${JSON.stringify(value)}`);
  await sleep(SETTLE_MS);
  return { blocked_ms: Math.max(0, delay.max / 1e6 - RESOLUTION_MS), blocked_cpu_ms: mostCpuMs, ...figures };
});
