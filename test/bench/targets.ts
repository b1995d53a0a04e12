import type { Figures } from './row.ts';

interface Target {
  /** What the issues ask of a figure of a row, measured or made from others, or of a ratio. */
  readonly of: { readonly row: string; readonly figure: string } | { readonly ratio: string };
  readonly atMost?: number;
  readonly atLeast?: number;
}

const TARGETS: readonly Target[] = [
  { of: { ratio: 'check_warm_vs_grpc_js_echo' }, atMost: 1.5 },
  { of: { row: 'two_limits_memory_us', figure: 'cpu_us' }, atMost: 4 },
  { of: { row: 'two_limits_redis_us', figure: 'cpu_us' }, atMost: 25 },
  { of: { row: 'memory_take', figure: 'per_cpu_second' }, atLeast: 1_000_000 },
  { of: { ratio: 'memory_take_two_workers_vs_one' }, atLeast: 1.5 },
  { of: { row: 'redis_take', figure: 'round_trips' }, atMost: 1 },
  { of: { row: 'redis_take_5000_a_second', figure: 'deadline_misses' }, atMost: 0 },
  { of: { ratio: 'rls_vs_envoy_ratelimit' }, atLeast: 1.5 },
  { of: { ratio: 'rls_vs_envoy_ratelimit_with_redis' }, atLeast: 1.2 },
  { of: { row: 'policy_tenant', figure: 'js_us' }, atMost: 1 },
  { of: { ratio: 'js_vs_opa_tenant' }, atLeast: 50 },
  { of: { row: 'policy_rbac_1000_roles', figure: 'js_us' }, atMost: 1 },
  { of: { ratio: 'js_vs_opa_regex' }, atLeast: 10 },
  { of: { row: 'policy_10000_rules', figure: 'js_us' }, atMost: 1 },
  { of: { row: 'data_swap_12_mb', figure: 'blocked_ms' }, atMost: 5 },
  { of: { row: 'activation_12_mb', figure: 'blocked_ms' }, atMost: 5 },
  { of: { row: 'activation_10000_rules', figure: 'activation_ms' }, atMost: 1_000 },
  { of: { row: 'activation_10000_rules', figure: 'peak_rss_mb' }, atMost: 400 },
];

export interface JudgedTarget {
  readonly seen: number;
  readonly target: string;
  readonly met: boolean;
}

/** What was asked for beside what was seen; nothing of what was not measured. */
export function judgedTargets(
  rows: readonly (readonly [string, Figures])[],
  ratios: Readonly<Record<string, number>>,
): Readonly<Record<string, JudgedTarget>> {
  const figures = new Map(rows);
  return Object.fromEntries(
    TARGETS.flatMap(({ of, atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY }) => {
      const [name, seen] =
        'ratio' in of ? [of.ratio, ratios[of.ratio]] : [`${of.row} ${of.figure}`, figures.get(of.row)?.[of.figure]];
      if (seen === undefined) return [];
      const target = Number.isFinite(atMost) ? `≤ ${atMost}` : `≥ ${atLeast}`;
      return [[name, { seen, target, met: seen <= atMost && seen >= atLeast }] as const];
    }),
  );
}
