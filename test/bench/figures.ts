import { median } from './latency.ts';
import type { Figures } from './row.ts';
import type { RowName } from './rows.ts';

/** What each round of each row showed. */
export type Rounds = ReadonlyMap<RowName, readonly Figures[]>;

interface Ratio {
  readonly over: RowName;
  readonly under: RowName;
  /** What is compared: the sum of these figures of a row. */
  readonly of: readonly string[];
  /** The other row's figures, where they are called otherwise. */
  readonly underOf?: readonly string[];
}

const CPU = ['cpu_us'];

/** How many times an evaluation in JavaScript goes into one by OPA, of one row: both on an `input` that was read before. */
function vsOpa(row: RowName): Ratio {
  return { over: row, under: row, of: ['opa_us'], underOf: ['js_us'] };
}

/** How many times it goes into one in Wasm: both as the service asks for it. */
function vsWasm(row: RowName): Ratio {
  return { over: row, under: row, of: ['wasm_us'], underOf: ['js_engine_us'] };
}

/**
 * The first row's figure over the second's: the median over the rounds, since what else the machine does weighs on both
 * rows of a round alike.
 */
export const RATIOS: Readonly<Record<string, Ratio>> = {
  check_warm_vs_grpc_js_echo: { over: 'check_warm_token', under: 'grpc_js_echo', of: CPU },
  check_warm_vs_http2_echo: { over: 'check_warm_token', under: 'http2_echo', of: CPU },
  opa_server_vs_check_warm: { over: 'opa_server', under: 'check_warm_token', of: CPU },
  memory_take_two_workers_vs_one: { over: 'memory_take_two_workers', under: 'memory_take', of: ['per_cpu_second'] },
  rls_vs_envoy_ratelimit: { over: 'rls_envoy_ratelimit', under: 'rls_sallyport', of: CPU },
  rls_vs_envoy_ratelimit_with_redis: {
    over: 'rls_envoy_ratelimit',
    under: 'rls_sallyport',
    of: ['cpu_us', 'redis_cpu_us'],
  },
  js_vs_opa_tenant: vsOpa('policy_tenant'),
  js_vs_opa_rbac: vsOpa('policy_rbac_1000_roles'),
  js_vs_opa_regex: vsOpa('policy_ten_regexes'),
  js_vs_opa_rules: vsOpa('policy_10000_rules'),
  js_vs_opa_tenants: vsOpa('policy_100000_tenants'),
  js_vs_wasm_tenant: vsWasm('policy_tenant'),
  js_vs_wasm_rbac: vsWasm('policy_rbac_1000_roles'),
  js_vs_wasm_regex: vsWasm('policy_ten_regexes'),
  js_vs_wasm_rules: vsWasm('policy_10000_rules'),
  js_vs_wasm_tenants: vsWasm('policy_100000_tenants'),
};

interface Added {
  readonly row: RowName;
  readonly of: string;
  /** What is taken off that figure of the row: the same without it, where the row does not compare them itself. */
  readonly less?: string;
}

const REGO_OF_LIMITS = { row: 'rego_two_limits', of: 'cpu_us', less: 'unlimited_cpu_us' } as const;
const LIMITS_IN_MEMORY = { row: 'check_two_limits_memory', of: 'added_cpu_us' } as const;
const LIMITS_IN_REDIS = { row: 'check_two_limits_redis', of: 'added_cpu_us' } as const;

/** Rows that say what something adds to a call: its CPU less the CPU of the same without it. */
export const ADDED: Readonly<Record<string, Added>> = {
  decision_log_file_us: { row: 'check_decision_log', of: 'file_added_cpu_us' },
  decision_log_spool_http_us: { row: 'check_decision_log', of: 'spool_http_added_cpu_us' },
  two_limits_memory_us: LIMITS_IN_MEMORY,
  two_limits_redis_us: LIMITS_IN_REDIS,
  two_limits_rego_us: REGO_OF_LIMITS,
  two_limits_rego_wasm_us: { row: 'rego_two_limits', of: 'wasm_cpu_us', less: 'unlimited_wasm_cpu_us' },
  two_limits_memory_without_rego_us: LIMITS_IN_MEMORY,
  two_limits_redis_without_rego_us: LIMITS_IN_REDIS,
};

/**
 * What is taken off such a figure besides: what another row of the same round adds. A policy that is evaluated alone,
 * again and again, costs less than among requests, and that difference is left in.
 */
const LESS: Readonly<Record<string, Added>> = {
  two_limits_memory_without_rego_us: REGO_OF_LIMITS,
  two_limits_redis_without_rego_us: REGO_OF_LIMITS,
};

/** The median of each figure. */
export function mediansOf(rounds: readonly Figures[]): Figures {
  const names = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, rounded(name, median(rounds.map((one) => one[name] ?? NaN)))]));
}

/** What turns show on the whole. */
export function meanOf(turns: readonly Figures[]): Figures {
  const sums: Record<string, number> = {};
  for (const figures of turns) {
    for (const [name, value] of Object.entries(figures)) sums[name] = (sums[name] ?? 0) + value / turns.length;
  }
  return sums;
}

/** What one figure of a turn is more than another of the same turn. */
export function medianAdded(turns: readonly Figures[], of: string, less: string): number {
  return median(turns.map((figures) => (figures[of] ?? NaN) - (figures[less] ?? NaN)));
}

export function addedFigures(rounds: Rounds): readonly (readonly [string, Figures])[] {
  return Object.entries(ADDED).flatMap(([name, added]) => {
    const each = addedIn(rounds, added);
    const less = LESS[name];
    const others = less === undefined ? [] : addedIn(rounds, less);
    if (each === undefined || others === undefined) return [];
    const figures = each.map((one, number) => one - (less === undefined ? 0 : (others[number] ?? NaN)));
    return [[name, { cpu_us: rounded('cpu_us', median(figures)) }] as const];
  });
}

function addedIn(rounds: Rounds, { row, of, less }: Added): readonly number[] | undefined {
  return rounds.get(row)?.map((figures) => (figures[of] ?? NaN) - (less === undefined ? 0 : (figures[less] ?? NaN)));
}

export function toRatios(rounds: Rounds): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(RATIOS).flatMap(([name, { over, under, of, underOf = of }]) => {
      const [above, below] = [rounds.get(over), rounds.get(under)];
      if (above === undefined || below === undefined) return [];
      const each = above.map((round, number) => sumOf(round, of) / sumOf(below[number], underOf));
      return [[name, toDigits(median(each), 2)] as const];
    }),
  );
}

function sumOf(figures: Figures | undefined, names: readonly string[]): number {
  let sum = 0;
  for (const name of names) sum += figures?.[name] ?? NaN;
  return sum;
}

/** A thousandth of a millisecond and of a call; a tenth of a microsecond, or a hundredth where it is little. */
function rounded(name: string, value: number): number {
  if (name.endsWith('_us')) return toDigits(value, Math.abs(value) < 10 ? 2 : 1);
  return toDigits(value, name.endsWith('_second') ? 0 : 3);
}

function toDigits(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
