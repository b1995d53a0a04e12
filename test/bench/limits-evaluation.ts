import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { parseBundle } from '../../src/bundle/bundle.ts';
import { mergeData } from '../../src/bundle/merged-data.ts';
import type { JsonValue } from '../../src/decision/json.ts';
import { createWasmEngine } from '../../src/policy/wasm-engine.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { policyInput } from '../contract/policy-support/engine.ts';
import { CLAIMS } from './calls.ts';
import type { Figures } from './row.ts';
import { answerTasks } from './task.ts';

/**
 * How much of what two limits add to a Check is the evaluation of Rego: the two entrypoints of a Check on the route of
 * the bundle that requires limits, and on the one that requires none.
 */
const [bundleFile = ''] = process.argv.slice(2);
const bundle = parseBundle('authz', readFileSync(bundleFile));
const DECISIONS = { default: { decision: 'authz/decision', limits: 'authz/limits', result: 'sallyport' } } as const;
const engine = createWasmEngine({
  config: { budget_ms: 5, memory_max_mb: 512, decisions: DECISIONS },
  clock: systemClock,
  randomBytes,
  pause: () => setImmediate(),
  onSpareFailure: (error) => {
    throw error;
  },
});
const policy = await engine.load({ plan: bundle.plan, wasm: bundle.wasm, data: mergeData([bundle]).text });

const STATE = {
  kind: 'rate',
  unit: 'requests',
  limit: 1_000_000_000,
  remaining: 999_999_999,
  held: 0,
  wait_ms: 0,
  reset_ms: 1,
  exceeded: false,
  shadow: false,
  verified: true,
};
const TAKEN = { plan: 0, taken: true, limits: { 'client-rps': STATE, 'tenant-rps': STATE } };
const NOTHING_TAKEN = { plan: 0, taken: true, limits: {} };

function evaluations(route: 'limited' | 'unlimited'): () => void {
  const members: { readonly [name: string]: JsonValue } = {
    request: {
      method: 'POST',
      path: `/tenant-a/llama-3-8b/${route}`,
      host: 'inference.example.com',
      scheme: 'http',
      content_type: 'application/json',
      size: { known: true, bytes: 31 },
    },
    route: {
      name: route,
      tenant: 'tenant-a',
      model: 'llama-3-8b',
      operation: 'infer',
      params: { tenant: 'tenant-a', model: 'llama-3-8b' },
    },
    identity: {
      kind: 'jwt',
      subject: 'test-user',
      issuer: 'https://issuer.test',
      ...CLAIMS,
      roles: [...CLAIMS.roles],
      scopes: [],
      credentials: [],
    },
    peer: null,
    network: { client_ip: '203.0.113.7' },
  };
  const before = policyInput(members);
  const after = policyInput({ ...members, quota: route === 'limited' ? TAKEN : NOTHING_TAKEN });
  return () => {
    const at = systemClock.now();
    policy.evaluate('authz/limits', before, at);
    const { value } = policy.evaluate('authz/decision', after, at);
    if (!JSON.stringify(value).includes('"allow":true')) throw new Error(`not allowed: ${JSON.stringify(value)}`);
  };
}

const limited = evaluations('limited');
const unlimited = evaluations('unlimited');

function cpuOf(run: () => void, times: number): number {
  const before = process.cpuUsage();
  for (let time = 0; time < times; time += 1) run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

/** In turns, so that what else the machine does weighs on both alike. */
const SLICES = 20;

answerTasks(async ({ evaluations: times = 0 }): Promise<Figures> => {
  const each = Math.max(1, Math.round(times / SLICES));
  let limitedUs = 0;
  let unlimitedUs = 0;
  for (let slice = 0; slice < SLICES; slice += 1) {
    unlimitedUs += cpuOf(unlimited, each) / SLICES;
    limitedUs += cpuOf(limited, each) / SLICES;
  }
  return { cpu_us: limitedUs, unlimited_cpu_us: unlimitedUs };
});
