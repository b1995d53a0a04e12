import type { Figures } from './row.ts';
import type { RowName } from './rows.ts';

interface Target {
  /** What the issues ask of a figure of a row, or of a ratio. */
  readonly of: { readonly row: RowName; readonly figure: string } | { readonly ratio: string };
  readonly atMost?: number;
  readonly atLeast?: number;
}

const TARGETS: readonly Target[] = [
  { of: { ratio: 'check_warm_vs_grpc_js_echo' }, atMost: 1.5 },
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
