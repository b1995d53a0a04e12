import { randomBytes } from 'node:crypto';
import { StoreFault } from '../../src/quota/bucket-store.ts';
import { quotaConfigSchema } from '../../src/quota/config.ts';
import { createRedisStore } from '../../src/quota/redis/redis-store.ts';
import { createTakeIds } from '../../src/quota/take-ids.ts';
import { startSystemTimer, systemClock } from '../../src/telemetry/system-clock.ts';
import { type LoadResult, toLoadResult } from './latency.ts';
import { CONCURRENCY, type Figures } from './row.ts';
import { twoChargePlans } from './take-plans.ts';
import { answerTasks } from './task.ts';

// Takes of two charges through the Redis store, with the deadline that a service has unless told otherwise.

const [url = ''] = process.argv.slice(2);
const store = createRedisStore({
  config: {
    store: {
      kind: 'redis',
      url,
      key_prefix: 'bench:',
      cold_start_seconds: 0,
      max_buckets: 131_072,
      max_outsider_buckets: 65_536,
      max_reservations: 16_384,
    },
    deadline_ms: quotaConfigSchema.properties.deadline_ms.default,
    settle_horizon_seconds: 900,
  },
  clock: systemClock,
  startTimer: startSystemTimer,
  random: randomBytes,
  report: () => undefined,
});
await store.start();
const ids = createTakeIds(randomBytes);
const plans = twoChargePlans('redis');

async function takeOnce(number: number): Promise<void> {
  const at = systemClock.now();
  const request = { id: ids.plain(), plans: plans[number % plans.length] ?? [], note: '' };
  const { kind } = await store.take(request, at);
  if (kind !== 'taken') throw new Error(`a take was answered with ${kind}`);
}

/** So many at once, each followed by the next as soon as it is answered. */
async function takeSteadily(takes: number, concurrency: number): Promise<LoadResult> {
  const latenciesMs = new Float64Array(takes);
  const startedMs = performance.now();
  let next = 0;
  const loop = async (): Promise<void> => {
    while (next < takes) {
      const number = next;
      next += 1;
      const beganMs = performance.now();
      await takeOnce(number);
      latenciesMs[number] = performance.now() - beganMs;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  return toLoadResult(latenciesMs, performance.now() - startedMs);
}

/** So many a second whatever is answered, in steps of a millisecond; counts those that had no answer in time. */
async function takeAtRate(perSecond: number, takes: number): Promise<Figures> {
  const latenciesMs: number[] = [];
  let missed = 0;
  let overloaded = 0;
  const under: Promise<void>[] = [];
  const begin = async (number: number): Promise<void> => {
    const beganMs = performance.now();
    try {
      await takeOnce(number);
      latenciesMs.push(performance.now() - beganMs);
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error;
      if (error.reason === 'overloaded') overloaded += 1;
      else missed += 1;
    }
  };
  const startedMs = performance.now();
  while (under.length < takes) {
    const due = Math.min(takes, Math.floor(((performance.now() - startedMs) * perSecond) / 1000));
    while (under.length < due) under.push(begin(under.length));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(under);
  const { p50Ms, p99Ms } = toLoadResult(Float64Array.from(latenciesMs), 1);
  const rate = takes / ((performance.now() - startedMs) / 1000);
  return { p50_ms: p50Ms, p99_ms: p99Ms, per_second: rate, deadline_misses: missed, process_stalls: overloaded };
}

answerTasks(async ({ takes = 0, per_second: perSecond, concurrency = CONCURRENCY }): Promise<Figures> => {
  const before = process.cpuUsage();
  const figures =
    perSecond === undefined ? toFigures(await takeSteadily(takes, concurrency)) : await takeAtRate(perSecond, takes);
  const { user, system } = process.cpuUsage(before);
  return { cpu_us: (user + system) / takes, ...figures };
});

function toFigures({ p50Ms, p99Ms, perSecond }: LoadResult): Figures {
  return { p50_ms: p50Ms, p99_ms: p99Ms, per_second: perSecond };
}
