import { randomBytes } from 'node:crypto';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { openMemoryStore } from '../../src/quota/memory/memory-store.ts';
import { createMemoryTable, type MemoryTable } from '../../src/quota/memory/memory-table.ts';
import { createTakeIds } from '../../src/quota/take-ids.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import type { Figures } from './row.ts';
import { twoChargePlans } from './take-plans.ts';
import { answerTasks } from './task.ts';

// Takes of two charges through the memory store, by workers that share one table.

interface WorkerStart {
  readonly table: MemoryTable;
  readonly workerId: number;
}

interface Worked {
  readonly cpuUs: number;
  readonly elapsedMs: number;
}

/** The time of a request is asked for once, and not by its take. */
const TAKES_PER_INSTANT = 64;

/** A thread that another program keeps from its core holds a lock meanwhile. */
const PATIENCE_MS = 1000;

function takeOften({ table, workerId }: WorkerStart): (takes: number) => Worked {
  const store = openMemoryStore({ table, workerId, patienceMs: PATIENCE_MS });
  const ids = createTakeIds(randomBytes);
  const plans = twoChargePlans(`worker-${workerId}`);
  return (takes) => {
    const before = process.threadCpuUsage();
    const startedMs = performance.now();
    let at = systemClock.now();
    for (let number = 0; number < takes; number += 1) {
      if (number % TAKES_PER_INSTANT === 0) at = systemClock.now();
      const wanted = plans[number % plans.length] ?? [];
      // As the service takes what it does not hold.
      const { kind } = store.take({ id: ids.plain(), plans: wanted, note: '', fresh: true, unrecorded: true }, at);
      if (kind !== 'taken') throw new Error(`a take was answered with ${kind}`);
    }
    const elapsedMs = performance.now() - startedMs;
    const { user, system } = process.threadCpuUsage(before);
    return { cpuUs: user + system, elapsedMs };
  };
}

async function main(): Promise<void> {
  const [workerCount = '1'] = process.argv.slice(2);
  const table = createMemoryTable({
    store: { max_buckets: 131_072, max_outsider_buckets: 65_536, max_reservations: 16_384 },
    settleHorizonSeconds: 900,
    key: randomBytes(16),
  });
  const workers = Array.from({ length: Number(workerCount) }, (_, index) => {
    const start: WorkerStart = { table, workerId: index + 1 };
    return new Worker(new URL(import.meta.url), { workerData: start });
  });
  answerTasks(async ({ takes = 0 }): Promise<Figures> => {
    const worked = await Promise.all(workers.map((worker) => ask(worker, takes)));
    const all = takes * workers.length;
    const cpuUs = worked.reduce((sum, one) => sum + one.cpuUs, 0) / all;
    const perSecond = worked.reduce((sum, one) => sum + takes / (one.elapsedMs / 1000), 0);
    return { cpu_us: cpuUs, per_second: perSecond, per_cpu_second: (workers.length * 1_000_000) / cpuUs };
  });
}

function ask(worker: Worker, takes: number): Promise<Worked> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (worked: Worked) => {
      worker.off('error', reject);
      resolve(worked);
    });
    worker.postMessage(takes);
  });
}

if (isMainThread) {
  await main();
} else {
  // The parent starts this file with nothing else.
  const take = takeOften(workerData as WorkerStart);
  parentPort?.on('message', (takes: number) => parentPort?.postMessage(take(takes)));
}
