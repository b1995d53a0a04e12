import { readFileSync } from 'node:fs';
import { parseBundle } from '../../src/bundle/bundle.ts';
import { mergeData } from '../../src/bundle/merged-data.ts';
import type { JsonValue } from '../../src/decision/json.ts';
import type { LoadedPolicy } from '../../src/policy/policy-engine.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { policyInput } from '../contract/policy-support/engine.ts';
import { CLAIMS } from './calls.ts';
import { createEngines } from './engines.ts';
import { meanOf } from './figures.ts';
import type { Figures } from './row.ts';
import { answerTasks } from './task.ts';

/**
 * How much of what two limits add to a Check is the evaluation of Rego: the two entrypoints of a Check on the route of
 * the bundle that requires limits, and on the one that requires none; in JavaScript, and in Wasm.
 */
const [bundleFile = ''] = process.argv.slice(2);
const bundle = parseBundle('authz', readFileSync(bundleFile));
const DECISIONS = { default: { decision: 'authz/decision', limits: 'authz/limits', result: 'sallyport' } } as const;
const engines = createEngines(DECISIONS);
const compiled = { plan: bundle.plan, wasm: bundle.wasm, data: mergeData([bundle]).text };
const policies = { js: await engines.js.load(compiled), wasm: await engines.wasm.load(compiled) };

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

function evaluations(policy: LoadedPolicy, route: 'limited' | 'unlimited'): () => void {
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

const measured = {
  unlimited_cpu_us: evaluations(policies.js, 'unlimited'),
  cpu_us: evaluations(policies.js, 'limited'),
  unlimited_wasm_cpu_us: evaluations(policies.wasm, 'unlimited'),
  wasm_cpu_us: evaluations(policies.wasm, 'limited'),
};

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
  const turns: Figures[] = [];
  for (let slice = 0; slice < SLICES; slice += 1) {
    turns.push(Object.fromEntries(Object.entries(measured).map(([name, run]) => [name, cpuOf(run, each)])));
  }
  return meanOf(turns);
});
