import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { JsonValue } from '../../src/decision/json.ts';
import { createWasmEngine } from '../../src/policy/wasm-engine.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { compilePolicy, fixture } from '../contract/policy-support/compile-policy.ts';
import { policyInput } from '../contract/policy-support/engine.ts';

/** Prints µs per request of two evaluations (limits, decision) of a tenant policy. `node test/bench/policy-eval.ts` */
const DECISIONS = { default: { decision: 'tenant/decision', limits: 'tenant/limits', result: 'sallyport' } } as const;

const data = {
  catalog: {
    roles: { operator: ['infer', 'embed'], reader: ['list'] },
    tiers: {
      premium: { max_bytes: 1_000_000, requests_per_minute: 600 },
      free: { max_bytes: 10_000, requests_per_minute: 10 },
    },
    models: { 'llama-3-8b': { tiers: ['free', 'premium'] }, 'mistral-7b': { tiers: ['premium'] } },
  },
};

const fields: { readonly [member: string]: JsonValue } = {
  request: {
    method: 'POST',
    path: '/tenant-a/llama-3-8b/infer',
    host: 'api.example.com',
    scheme: 'https',
    content_type: 'application/json',
    size: { known: true, bytes: 1_234 },
  },
  route: { name: 'infer', tenant: 'tenant-a', model: 'llama-3-8b', operation: 'infer', params: { tenant: 'tenant-a' } },
  identity: {
    kind: 'jwt',
    subject: 'user-1',
    issuer: 'https://issuer.example.com',
    tenant: 'tenant-a',
    tier: 'premium',
    roles: ['operator', 'reader'],
    scopes: ['inference'],
    claims: {
      sub: 'user-1',
      tenant: 'tenant-a',
      roles: ['operator', 'reader'],
      iat: 1_700_000_000,
      exp: 1_700_000_600,
    },
    credentials: [{ kind: 'jwt', issuer: 'https://issuer.example.com' }],
  },
  network: { client_ip: '192.0.2.7' },
  inference: { model: 'llama-3-8b', stream: false, max_tokens: 256, message_count: 3 },
};

const engine = createWasmEngine({
  config: { budget_ms: 5, memory_max_mb: 512, decisions: DECISIONS },
  clock: systemClock,
  randomBytes,
  pause: () => setImmediate(),
  onSpareFailure: (error) => {
    throw error;
  },
});
const entrypoints = ['tenant/decision', 'tenant/limits'];
const policy = await engine.load(compilePolicy({ rego: { 'tenant.rego': fixture('tenant') }, entrypoints, data }));

const cases: readonly (readonly [string, { readonly [member: string]: JsonValue }])[] = [
  ['our fields', fields],
  [
    'our fields beside a body of 16 kB',
    { ...fields, attributes: { body: 'x'.repeat(16_384) }, parsed_body: 'x'.repeat(16_384) },
  ],
];
for (const [name, members] of cases) {
  const input = policyInput(members);
  const run = (): void => {
    const at = systemClock.now();
    policy.evaluate('tenant/limits', input, at);
    policy.evaluate('tenant/decision', input, at);
  };
  for (let count = 0; count < 20_000; count++) run();
  const rounds: number[] = [];
  for (let round = 0; round < 8; round++) {
    const before = process.cpuUsage();
    for (let count = 0; count < 5_000; count++) run();
    const { user, system } = process.cpuUsage(before);
    rounds.push((user + system) / 5_000);
  }
  console.info(
    `${name}: ${Math.min(...rounds).toFixed(1)} µs CPU for two evaluations (best of ${rounds.length} rounds)`,
  );
}
console.info(policy.evaluate('tenant/decision', policyInput(fields), systemClock.now()).value);
policy.close();
