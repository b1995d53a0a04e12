import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compilePolicy } from '../contract/policy-support/compile-policy.ts';
import { archiveOf } from './bundle-server.ts';
import { DATA_BYTES, withManyTenants } from './many-tenants.ts';
import {
  equalityRules,
  type MeasuredPolicy,
  manyTenants,
  rbacPolicy,
  regexPolicy,
  tenantPolicy,
} from './measured-policies.ts';
import { createOpaBench } from './opa-bench.ts';
import type { Row, RowTools } from './row.ts';
import { startTask, writeBytes } from './servers.ts';

export type PolicyRowName =
  | 'policy_tenant'
  | 'policy_rbac_1000_roles'
  | 'policy_ten_regexes'
  | 'policy_10000_rules'
  | 'policy_100000_tenants'
  | 'data_swap_12_mb'
  | 'activation_10000_rules';

/** For what each engine is timed in a round, in milliseconds. */
const TIMED_MS = 600;
/** `opa bench` takes a second of its own clock, and some more. */
const ROUNDS = 3;

/** One evaluation of the same policies by OPA, Wasm and JavaScript, and what it takes until one answers. */
export function createPolicyRows(tools: RowTools): Readonly<Record<PolicyRowName, () => Promise<Row>>> {
  const { count, folder, started } = tools;
  const rules = () => equalityRules(count(10_000));

  async function evaluations(policy: MeasuredPolicy): Promise<Row> {
    const bench = await createOpaBench(folder, policy);
    const task = await started(startTask('policy-evaluations.ts', [await writePolicy(folder, policy)]));
    return {
      warmsOnce: true,
      rounds: ROUNDS,
      measure: async (round) => {
        const inProcess = await task.run({ ms: count(TIMED_MS) });
        return round === 0 ? inProcess : { ...(await bench()), ...inProcess };
      },
    };
  }

  return {
    policy_tenant: () => evaluations(tenantPolicy()),
    policy_rbac_1000_roles: () => evaluations(rbacPolicy(count(1_000))),
    policy_ten_regexes: () => evaluations(regexPolicy()),
    policy_10000_rules: () => evaluations(rules()),
    policy_100000_tenants: () => evaluations(manyTenants(count(100_000))),

    data_swap_12_mb: async () => {
      const large = (text: string): string => withManyTenants(text, count(DATA_BYTES));
      const files = ['swap-1', 'swap-2'].map(async (name) =>
        writeBytes(folder, name, [Buffer.from(await archiveOf(name, large))]),
      );
      const task = await started(startTask('data-swap.ts', await Promise.all(files)));
      return { measure: (round) => task.run({ round }) };
    },

    activation_10000_rules: async () => {
      const policy = await writePolicy(folder, rules());
      return {
        warmsOnce: true,
        rounds: ROUNDS,
        measure: async () => {
          const task = await startTask('rules-activation.ts', [policy]);
          try {
            return await task.run({});
          } finally {
            await task.stop();
          }
        },
      };
    },
  };
}

/** What OPA makes of a policy, its data and its questions as files of a folder. */
async function writePolicy(folder: string, { rego, data, ...questions }: MeasuredPolicy): Promise<string> {
  const own = await mkdtemp(join(folder, 'policy-'));
  const compiled = compilePolicy({ rego: { 'policy.rego': rego }, entrypoints: [questions.entrypoint], data });
  const files = {
    'plan.json': compiled.plan,
    'policy.wasm': compiled.wasm,
    'data.json': compiled.data,
    'questions.json': JSON.stringify(questions),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(own, name), content);
  return own;
}
