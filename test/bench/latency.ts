/** What one round of load showed from outside. */
export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function toLoadResult(latenciesMs: Float64Array, elapsedMs: number): LoadResult {
  const sorted = latenciesMs.toSorted();
  return {
    perSecond: (sorted.length / elapsedMs) * 1_000,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
  };
}

export function percentilesOf(values: Float64Array): {
  readonly p50: number;
  readonly p99: number;
  readonly last: number;
} {
  const sorted = values.toSorted();
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), last: quantile(sorted, 1) };
}

/** The middle value; of an even number, the lower of the two. */
export function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

function quantile(sorted: ArrayLike<number>, q: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)] ?? Number.NaN;
}
