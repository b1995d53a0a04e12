import { type BundleRowName, createBundleRows } from './bundle-rows.ts';
import { type CheckRowName, createCheckRows } from './check-rows.ts';
import { createLimitRows, type LimitRowName } from './limit-rows.ts';
import { createLogRows, type LogRowName } from './log-rows.ts';
import { createPolicyRows, type PolicyRowName } from './policy-rows.ts';
import { createRateLimitRows, type RateLimitRowName } from './rate-limit-rows.ts';
import type { Row, RowTools } from './row.ts';
import type { LoadGenerator } from './servers.ts';
import { createTakeRows, type TakeRowName } from './take-rows.ts';

export type RowName =
  | BundleRowName
  | CheckRowName
  | LimitRowName
  | LogRowName
  | PolicyRowName
  | RateLimitRowName
  | TakeRowName;

/** In the order in which a round visits them: what is compared stands together. */
export const ROW_NAMES = [
  'http2_echo',
  'grpc_js_echo',
  'check_no_token',
  'check_warm_token',
  'check_cold_token',
  'http_check_warm_token',
  'opa_server',
  'check_two_limits_memory',
  'check_two_limits_redis',
  'rego_two_limits',
  'memory_take',
  'memory_take_two_workers',
  'redis_take',
  'redis_take_5000_a_second',
  'rls_envoy_ratelimit',
  'rls_sallyport',
  'check_decision_log',
  'long_poll_500_agents',
  'activation_12_mb',
  'rollback_10_agents',
  'policy_tenant',
  'policy_rbac_1000_roles',
  'policy_ten_regexes',
  'policy_10000_rules',
  'policy_100000_tenants',
  'data_swap_12_mb',
  'activation_10000_rules',
] as const satisfies readonly RowName[];

export interface RowOptions {
  readonly folder: string;
  readonly rounds: number;
  /** Scales every row's count. */
  readonly scale: number;
  readonly names: readonly RowName[];
  readonly load: LoadGenerator;
}

/** Starts the servers that the rows need and writes the rows' calls. */
export async function prepareRows(
  options: RowOptions,
): Promise<{ readonly rows: ReadonlyMap<RowName, Row>; readonly stop: () => Promise<void> }> {
  const { folder, rounds, scale, names, load } = options;
  const running: { stop(): Promise<unknown> }[] = [];
  const stop = async (): Promise<void> => {
    for (const one of running.reverse()) await one.stop();
  };
  const tools: RowTools = {
    load,
    folder,
    rounds,
    count: (full) => Math.max(64, Math.round(full * scale)),
    started: async (starting) => {
      const one = await starting;
      running.push(one);
      return one;
    },
  };
  const makers: Readonly<Record<RowName, () => Promise<Row>>> = {
    ...createCheckRows(tools),
    ...createLimitRows(tools),
    ...createTakeRows(tools),
    ...createRateLimitRows(tools),
    ...createLogRows(tools),
    ...createBundleRows(tools),
    ...createPolicyRows(tools),
  };
  try {
    const rows = new Map<RowName, Row>();
    for (const name of names) rows.set(name, await makers[name]());
    return { rows, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
