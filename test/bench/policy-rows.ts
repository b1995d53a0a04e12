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
  let rules: Promise<WrittenPolicy> | undefined;
  const writtenRules = (): Promise<WrittenPolicy> => {
    rules ??= writePolicy(folder, equalityRules(count(10_000)));
    return rules;
  };

  async function evaluations({ policy, files }: WrittenPolicy): Promise<Row> {
    const task = await started(startTask('policy-evaluations.ts', [files]));
    const bench = await createOpaBench(folder, policy);
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
    policy_tenant: async () => evaluations(await writePolicy(folder, tenantPolicy())),
    policy_rbac_1000_roles: async () => evaluations(await writePolicy(folder, rbacPolicy(count(1_000)))),
    policy_ten_regexes: async () => evaluations(await writePolicy(folder, regexPolicy())),
    policy_10000_rules: async () => evaluations(await writtenRules()),
    policy_100000_tenants: async () => evaluations(await writePolicy(folder, manyTenants(count(100_000)))),

    data_swap_12_mb: async () => {
      const large = (text: string): string => withManyTenants(text, count(DATA_BYTES));
      const files = ['swap-1', 'swap-2'].map(async (name) =>
        writeBytes(folder, name, [Buffer.from(await archiveOf(name, large))]),
      );
      const task = await started(startTask('data-swap.ts', await Promise.all(files)));
      return { warmsOnce: true, measure: (round) => task.run({ round }) };
    },

    activation_10000_rules: async () => {
      const { files } = await writtenRules();
      return {
        warmsOnce: true,
        rounds: ROUNDS,
        measure: async () => {
          const task = await startTask('rules-activation.ts', [files]);
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

interface WrittenPolicy {
  readonly policy: MeasuredPolicy;
  /** The folder with what OPA makes of it, its data and its questions. */
  readonly files: string;
}

async function writePolicy(folder: string, policy: MeasuredPolicy): Promise<WrittenPolicy> {
  const own = await mkdtemp(join(folder, 'policy-'));
  const { rego, data, ...questions } = policy;
  const compiled = compilePolicy({ rego: { 'policy.rego': rego }, entrypoints: [questions.entrypoint], data });
  const files = {
    'plan.json': compiled.plan,
    'policy.wasm': compiled.wasm,
    'data.json': compiled.data,
    'questions.json': JSON.stringify(questions),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(own, name), content);
  return { policy, files: own };
}
