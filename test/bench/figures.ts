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
}

const CPU = ['cpu_us'];

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
};

/** Rows that say what the limits of a row add: its CPU less the CPU of the same without limits, which it measures too. */
export const ADDED: Readonly<Record<string, RowName>> = {
  two_limits_memory_us: 'check_two_limits_memory',
  two_limits_redis_us: 'check_two_limits_redis',
  two_limits_rego_us: 'rego_two_limits',
  two_limits_memory_without_rego_us: 'check_two_limits_memory',
  two_limits_redis_without_rego_us: 'check_two_limits_redis',
};

/**
 * What is taken off such a figure: what another row of the same round adds. A policy that is evaluated alone, again and
 * again, costs less than among requests, and that difference is left in.
 */
const LESS: Readonly<Record<string, RowName>> = {
  two_limits_memory_without_rego_us: 'rego_two_limits',
  two_limits_redis_without_rego_us: 'rego_two_limits',
};

/** The median of each figure. */
export function mediansOf(rounds: readonly Figures[]): Figures {
  const names = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, rounded(name, median(rounds.map((one) => one[name] ?? NaN)))]));
}

export function addedFigures(rounds: Rounds): readonly (readonly [string, Figures])[] {
  return Object.entries(ADDED).flatMap(([name, row]) => {
    const each = rounds.get(row);
    const less = LESS[name];
    const others = less === undefined ? [] : rounds.get(less);
    if (each === undefined || others === undefined) return [];
    const added = each.map((round, number) => addedIn(round) - (less === undefined ? 0 : addedIn(others[number])));
    return [[name, { cpu_us: rounded('cpu_us', median(added)) }] as const];
  });
}

function addedIn({ cpu_us: limited = NaN, unlimited_cpu_us: unlimited = NaN }: Figures = {}): number {
  return limited - unlimited;
}

export function toRatios(rounds: Rounds): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(RATIOS).flatMap(([name, { over, under, of }]) => {
      const [above, below] = [rounds.get(over), rounds.get(under)];
      if (above === undefined || below === undefined) return [];
      const each = above.map((round, number) => sumOf(round, of) / sumOf(below[number], of));
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
