import { cpuMicroseconds } from './cpu.ts';
import type { LoadResult } from './latency.ts';
import type { LoadOrder } from './load.ts';
import type { LoadGenerator } from './servers.ts';

/** What one round of a row showed, or the medians of all; names end in their unit. */
export type Figures = Readonly<Record<string, number>>;

/** One line of the table. */
export interface Row {
  /** Measures once; round 0 is a warm-up. */
  measure(round: number): Promise<Figures>;
  /** Whether it can be warmed up only once: what it asks is new only the first time. */
  readonly warmsOnce?: boolean;
  /** Rounds that are enough, where each takes seconds. */
  readonly rounds?: number;
}

/** What all rows are made with. */
export interface RowTools {
  readonly load: LoadGenerator;
  /** For the files that carry calls to the load generator. */
  readonly folder: string;
  readonly rounds: number;
  /** A count at the scale of this run. */
  readonly count: (full: number) => number;
  /** Keeps what was started until the run is over. */
  readonly started: <T extends { stop(): Promise<unknown> }>(starting: Promise<T>) => Promise<T>;
}

/** Calls in flight at a server. */
export const CONCURRENCY = 32;

export interface Watched {
  readonly pid: number;
  /** Of the Redis that the server asks. */
  readonly redisPid?: number;
}

/** One round of load on a server, and what it cost. */
export async function measureLoad(load: LoadGenerator, { pid, redisPid }: Watched, order: LoadOrder): Promise<Figures> {
  const before = cpuMicroseconds(pid);
  const redisBefore = redisPid === undefined ? 0 : cpuMicroseconds(redisPid);
  const result = await load.run(order);
  const figures = { cpu_us: (cpuMicroseconds(pid) - before) / order.count, ...toFigures(result) };
  if (redisPid === undefined) return figures;
  return { ...figures, redis_cpu_us: (cpuMicroseconds(redisPid) - redisBefore) / order.count };
}

function toFigures({ p50Ms, p99Ms, perSecond }: LoadResult): Figures {
  return { p50_ms: p50Ms, p99_ms: p99Ms, per_second: perSecond };
}
