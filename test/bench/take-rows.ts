import type { ValkeyServer } from '../support/valkey.ts';
import { cpuMicroseconds } from './cpu.ts';
import type { Figures, Row, RowTools } from './row.ts';
import { startTask, type Task } from './servers.ts';
import { startedValkey } from './valkey.ts';

export type TakeRowName = 'memory_take' | 'memory_take_two_workers' | 'redis_take' | 'redis_take_5000_a_second';

/** Takes of two charges through the stores alone, each store in a process that measures itself. */
export function createTakeRows(tools: RowTools): Readonly<Record<TakeRowName, () => Promise<Row>>> {
  const { count, started } = tools;
  let redis: Promise<{ readonly task: Task; readonly valkey: ValkeyServer }> | undefined;
  const onRedis = () => {
    redis ??= startedValkey(tools).then(async (valkey) => {
      return { valkey, task: await started(startTask('redis-takes.ts', [valkey.url])) };
    });
    return redis;
  };

  async function memory(workers: number): Promise<Row> {
    const task = await started(startTask('memory-takes.ts', [String(workers)]));
    return { measure: () => task.run({ takes: count(500_000) }) };
  }

  return {
    memory_take: () => memory(1),
    memory_take_two_workers: () => memory(2),
    redis_take: async () => {
      const { task, valkey } = await onRedis();
      return {
        measure: async () => {
          const alone = count(1_000);
          const calls = await scriptCalls(valkey);
          await task.run({ takes: alone, concurrency: 1 });
          const oneByOne = await scriptCalls(valkey);
          const takes = count(40_000);
          const before = cpuMicroseconds(valkey.program().pid);
          const figures = await task.run({ takes });
          const redisUs = (cpuMicroseconds(valkey.program().pid) - before) / takes;
          const together = await scriptCalls(valkey);
          return {
            ...figures,
            redis_cpu_us: redisUs,
            round_trips: (oneByOne - calls) / alone,
            calls_per_take: (together - oneByOne) / takes,
          };
        },
      };
    },
    redis_take_5000_a_second: async () => {
      const { task, valkey } = await onRedis();
      const takes = count(10_000);
      return {
        measure: async (): Promise<Figures> => {
          const before = cpuMicroseconds(valkey.program().pid);
          const figures = await task.run({ takes, per_second: 5_000 });
          return { ...figures, redis_cpu_us: (cpuMicroseconds(valkey.program().pid) - before) / takes };
        },
      };
    },
  };
}

/** How many scripts the server was asked for by their digest, which is all that a take sends. */
async function scriptCalls(valkey: ValkeyServer): Promise<number> {
  const stats = String(await valkey.ask('INFO', 'commandstats'));
  return Number(/^cmdstat_evalsha:calls=(\d+)/m.exec(stats)?.[1] ?? 0);
}
