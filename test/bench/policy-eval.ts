import type { JsonValue } from '../../src/decision/json.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { compilePolicy, fixture } from '../contract/policy-support/compile-policy.ts';
import { policyInput } from '../contract/policy-support/engine.ts';
import { createEngines } from './engines.ts';
import { TENANT_DATA, tenantInput } from './tenant-policy.ts';

/** Prints µs per request of two evaluations (limits, decision) of a tenant policy, by each engine. `node test/bench/policy-eval.ts` */
const DECISIONS = { default: { decision: 'tenant/decision', limits: 'tenant/limits', result: 'sallyport' } } as const;

const fields = tenantInput('tenant-a');
const entrypoints = ['tenant/decision', 'tenant/limits'];
const sources = { rego: { 'tenant.rego': fixture('tenant') }, entrypoints, data: TENANT_DATA };
const compiled = compilePolicy(sources);
const engines = createEngines(DECISIONS);

const cases: readonly (readonly [string, { readonly [member: string]: JsonValue }])[] = [
  ['our fields', fields],
  [
    'our fields beside a body of 16 kB',
    { ...fields, attributes: { body: 'x'.repeat(16_384) }, parsed_body: 'x'.repeat(16_384) },
  ],
];
for (const [name, engine] of Object.entries(engines)) {
  const policy = await engine.load(compiled);
  for (const [fieldsOf, members] of cases) {
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
    const best = Math.min(...rounds).toFixed(1);
    console.info(`${name}, ${fieldsOf}: ${best} µs CPU for two evaluations (best of ${rounds.length} rounds)`);
  }
  console.info(policy.evaluate('tenant/decision', policyInput(fields), systemClock.now()).value);
  policy.close();
}
